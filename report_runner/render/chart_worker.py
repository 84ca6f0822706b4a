"""The process that draws charts: specifications on standard input, one JSON line each out."""

from __future__ import annotations

import ctypes
import json
import os
import re
import signal
import sys
import tempfile
from collections.abc import Iterator, Set
from typing import Any

_PR_SET_PDEATHSIG = 1
_ERROR, _WARN = "ERROR ", "WARN "
VERSION = "6.4"  # of Vega-Lite: that of the schema in render.vegalite
_PRINTED_LIMIT = 64 * 1024  # bytes
_OFFSETS = {"xOffset": "x", "x2Offset": "x2", "yOffset": "y", "y2Offset": "y2"}
# Of a mark. The engine draws one that is no number as 0, or not at all.
_GEOMETRY = frozenset(
    ("x", "x2", "y", "y2", "width", "height", "size", "angle", "opacity", "innerRadius",
     "outerRadius", "startAngle", "endAngle")
)  # fmt: skip


_MARK = re.compile(r'<g class="mark-(?!group)\w+ role-mark [^"]*"[^>]*(?<!/)>')


def end_with_parent() -> None:
    """Lets the kernel end this process when the one that started it ends."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class _Printed:
    """What the engine prints while it draws: it logs what an expression throws, and goes on."""

    def __enter__(self) -> _Printed:
        self._file = tempfile.TemporaryFile()
        self._kept = [os.dup(number) for number in (1, 2)]
        for number in (1, 2):
            os.dup2(self._file.fileno(), number)
        return self

    def __exit__(self, *_: object) -> None:
        for number, kept in zip((1, 2), self._kept, strict=True):
            os.dup2(kept, number)
            os.close(kept)
        self._file.seek(0)
        text = self._file.read(_PRINTED_LIMIT).decode(errors="replace")
        self._file.close()
        lines = text.splitlines()
        self.errors = [line.removeprefix(_ERROR) for line in lines if line.startswith(_ERROR)]
        self.warnings = [line.removeprefix(_WARN) for line in lines if line.startswith(_WARN)]


def _short(text: str) -> str:
    # A whole specification may follow, with the report's data in it.
    return text.split("{")[0].strip()[:300]


def _computed(spec: Any) -> Iterator[Any]:
    """What of marks comes from an expression; of rows the engine leaves out those without number.

    `{"x": {"value": {"expr": …}}}` and `{"x": {"expr": …}}`, wherever they stand.
    """
    if isinstance(spec, list):
        for inner in spec:
            yield from _computed(inner)
    elif isinstance(spec, dict):
        for name, inner in spec.items():
            value = inner.get("value", inner) if isinstance(inner, dict) else None
            if isinstance(value, dict) and "expr" in value:
                yield _OFFSETS.get(name, name)
            yield from _computed(inner)


def _no_number(scene: dict[str, Any], names: Set[str]) -> str | None:
    """Which of `names` is no number in a mark: JSON has null for NaN and the infinities."""
    for item in scene.get("items", ()):
        if scene.get("role") == "mark":
            for name in names:
                if name in item and item[name] is None:
                    return name
        found = _no_number(item, names)
        if found is not None:
            return found
    return None


def shows_data(svg: str) -> bool:
    """Whether a drawing has a mark: of those without a row the engine writes an empty element."""
    return _MARK.search(svg) is not None


def draw(spec: dict[str, Any], theme: dict[str, Any]) -> dict[str, Any]:
    """`svg`, `warnings` and whether it `shows_data`, or what went wrong as `error`."""
    import vl_convert

    wrong = None
    try:
        with _Printed() as printed:
            svg = vl_convert.vegalite_to_svg(
                spec, vl_version=VERSION, config=theme, allowed_base_urls=[], show_warnings=True
            )
            names = _GEOMETRY & set(_computed({**spec, "data": None}))
            if names:
                scene = vl_convert.vegalite_to_scenegraph(spec, config=theme, allowed_base_urls=[])
                wrong = _no_number(scene["scenegraph"], names)
    except ValueError as error:
        # The engine's own words without its stack.
        lines = [line.strip() for line in str(error).splitlines()]
        told = next((line for line in lines if "Error:" in line), lines[0] if lines else "?")
        return {"error": _short(told.removeprefix("Uncaught ").split(" at ")[0])}
    if printed.errors:
        # Drawn without what the expression should have given: a wrong figure.
        return {"error": f"an expression fails: {_short(printed.errors[0])}"}
    if wrong is not None:
        return {"error": f"an expression fails: the {wrong} of a mark is not a number"}
    warnings = [_short(line) for line in printed.warnings[:10]]
    return {"svg": svg, "warnings": warnings, "shows_data": shows_data(svg)}


def main() -> None:
    """Draws all that is asked for, in order."""
    end_with_parent()
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a library prints is no answer
    draw({"mark": "point"}, {})  # the engine starts while the data are fetched
    asked = sys.stdin.buffer.read()
    if not asked:
        return  # started ahead of need, and there was none
    job = json.loads(asked)
    for spec in job["specs"]:
        out.write(json.dumps(draw(spec, job["theme"])) + "\n")
        out.flush()


if __name__ == "__main__":
    main()
