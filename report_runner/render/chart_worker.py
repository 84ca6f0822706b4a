"""The process that draws charts: specifications on standard input, one JSON line each out."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
from typing import Any

_PR_SET_PDEATHSIG = 1


def end_with_parent() -> None:
    """Lets the kernel end this process when the one that started it ends."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _draw(spec: dict[str, Any], theme: dict[str, Any]) -> dict[str, str]:
    import vl_convert

    try:
        svg = vl_convert.vegalite_to_svg(spec, config=theme, allowed_base_urls=[])
    except ValueError as error:
        # The engine's own words without its stack.
        lines = [line.strip() for line in str(error).splitlines()]
        told = next((line for line in lines if "Error:" in line), lines[0] if lines else "?")
        told = told.removeprefix("Uncaught ").split(" at ")[0]
        # A whole specification may follow, with the report's data in it.
        return {"error": told.split("{")[0].strip()[:300]}
    return {"svg": svg}


def main() -> None:
    """Draws all that is asked for, in order."""
    end_with_parent()
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a library prints is no answer
    _draw({"mark": "point"}, {})  # the engine starts while the data are fetched
    asked = sys.stdin.buffer.read()
    if not asked:
        return  # started ahead of need, and there was none
    job = json.loads(asked)
    for spec in job["specs"]:
        out.write(json.dumps(_draw(spec, job["theme"])) + "\n")
        out.flush()


if __name__ == "__main__":
    main()
