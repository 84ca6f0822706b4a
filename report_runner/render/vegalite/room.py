"""Room for names: axes of many categories and legends of many entries, whole and legible.

Sizes are pixels of the drawing. What an author has set stays; what was left open is worked out
from the rows.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from report_runner.render.vegalite import SpecProblem
from report_runner.render.vegalite.composed import FACETS, PlaceError, place
from report_runner.render.vegalite.labels import (
    FONT,
    HIGHEST,
    axes_of,
    fit_axis,
    fit_legend,
    is_discrete,
    label_of,
    label_width,
)

COMPOSED = ("hconcat", "vconcat", "concat", "facet", "repeat")
_WIDE_CATEGORIES = 20
_CHANNELS = ("color", "fill", "stroke", "shape", "strokeDash")


@dataclass(frozen=True, slots=True)
class Room:
    """The size of a drawing whose author set none."""

    width: float
    height: float


def _units(spec: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The encodings of a specification, outermost first."""
    if isinstance(spec.get("encoding"), dict):
        yield spec["encoding"]
    for word in ("layer", "hconcat", "vconcat", "concat"):
        for child in spec.get(word) or ():
            yield from _units(child)
    if isinstance(spec.get("spec"), dict):
        yield from _units(spec["spec"])


def needs_width(
    spec: Mapping[str, Any], columns: Sequence[str], rows: Sequence[Sequence[Any]]
) -> bool:
    """Whether a drawing of half the page's width would be too narrow."""
    if any(word in spec for word in COMPOSED):
        return True
    for encoding in _units(spec):
        if any(word in encoding for word in FACETS):
            return True
        for channel in ("x", "y", *_CHANNELS):
            given = encoding.get(channel)
            if not is_discrete(given) or given["field"] not in columns:
                continue
            index = columns.index(given["field"])
            names = {label_of(row[index]) for row in rows}
            longest = max((label_width(name, FONT) for name in names), default=0)
            if len(names) > _WIDE_CATEGORIES or (channel != "x" and longest > 130):
                return True
    return False


def make_room(
    spec: Mapping[str, Any], values: Sequence[Mapping[str, Any]], room: Room
) -> tuple[dict[str, Any], SpecProblem | None]:
    """The specification with sizes, axes and legends for its rows, or what cannot be shown."""
    out = _copied(spec)
    composed = any(word in spec for word in COMPOSED)
    width = spec["width"] if isinstance(spec.get("width"), int | float) else room.width
    height: float = room.height
    legend = 0.0
    for encoding in _units(out):
        for name in _CHANNELS:
            if is_discrete(encoding.get(name)):
                legend = max(legend, fit_legend(encoding[name], name, values, width))
    if composed or any(word in (out.get("encoding") or {}) for word in FACETS):
        most = HIGHEST - legend
        try:
            needed = place(out, (), width, most, values)
        except PlaceError as error:
            return out, error.problem
        if needed > most + 1:  # of rounding
            return out, _too_high(needed + legend)
        return out, None
    for path, encoding in axes_of(out):
        for name in ("x", "y"):
            channel = encoding.get(name)
            if not is_discrete(channel) or channel.get("axis", {}) is None:
                continue
            size = spec.get("height") if name == "y" else width
            wanted, problem = fit_axis(channel, name, values, size, height)
            if problem:
                return out, SpecProblem((*path, name), problem)
            height = max(height, wanted)
    out.setdefault("width", room.width)
    out.setdefault("height", math.ceil(min(height + legend, HIGHEST)))
    if isinstance(out["width"], int | float) and isinstance(out["height"], int | float):
        out.setdefault("autosize", {"type": "fit", "contains": "padding"})
    if height + legend > HIGHEST and "height" not in spec:
        return out, _too_high(height + legend)
    return out, None


def _too_high(height: float) -> SpecProblem:
    return SpecProblem(
        (),
        f"its names and legend need {height:.0f} px of height, and a page has {HIGHEST}; shorten "
        "the names, or show fewer of them",
    )


def _copied(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _copied(inner) for key, inner in value.items()}
    return [_copied(inner) for inner in value] if isinstance(value, list) else value
