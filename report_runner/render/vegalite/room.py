"""Room for names: axes of many categories and legends of many entries, whole and legible.

Sizes are pixels of the drawing. What an author has set stays; what was left open is worked out
from the rows.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeGuard
from unicodedata import combining, east_asian_width

from report_runner.render.vegalite import SpecProblem, shortened

COMPOSED = ("hconcat", "vconcat", "concat", "facet", "repeat")
HIGHEST = 920  # of a drawing that has to go on one page below its caption
_FONT = 10.0
_LEAST_X, _LEAST_Y = 5.6, 6.0  # font sizes that can still be read on paper
_LINE = 1.2  # height of a line, by font size
_LETTER = 0.62  # width of a letter, by font size
_SYMBOL = 34  # a legend's symbol and the padding around it and its label
_HOUSE_COLOURS = 8
_GAP = 5  # pixels between two labels beside each other
_WIDE_CATEGORIES = 20
_CHANNELS = ("color", "fill", "stroke", "shape", "strokeDash")
_COLOURS = ("color", "fill", "stroke")


@dataclass(frozen=True, slots=True)
class Room:
    """The size of a drawing whose author set none."""

    width: float
    height: float


def text_width(text: str, size: float) -> float:
    """An estimate, a little more than the house font needs."""
    letters = sum(
        0.0 if combining(letter) else 1.0 if east_asian_width(letter) in "WF" else _LETTER
        for letter in text
    )
    return letters * size


def _units(spec: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The encodings of a specification, outermost first."""
    if isinstance(spec.get("encoding"), dict):
        yield spec["encoding"]
    for word in ("layer", "hconcat", "vconcat", "concat"):
        for child in spec.get(word) or ():
            yield from _units(child)
    if isinstance(spec.get("spec"), dict):
        yield from _units(spec["spec"])


def _is_discrete(channel: Any) -> TypeGuard[dict[str, Any]]:
    """Whether each value of the column has a place of its own."""
    if not isinstance(channel, dict) or not isinstance(channel.get("field"), str):
        return False
    if any(channel.get(word) for word in ("aggregate", "bin", "timeUnit")):
        return False
    return channel.get("type", "nominal") in ("nominal", "ordinal")


def _names(channel: Mapping[str, Any], values: Sequence[Mapping[str, Any]]) -> list[str]:
    """The labels of a discrete channel; empty where a transform makes them."""
    field = re.sub(r"\\(.)", r"\1", channel["field"])
    found = dict.fromkeys(
        _label(row[field]) for row in values if field in row and not isinstance(row[field], dict)
    )
    return list(found)


def _label(value: Any) -> str:
    return "null" if value is None else str(value)


def needs_width(
    spec: Mapping[str, Any], columns: Sequence[str], rows: Sequence[Sequence[Any]]
) -> bool:
    """Whether a drawing of half the page's width would be too narrow."""
    for encoding in _units(spec):
        for channel in ("x", "y", *_CHANNELS):
            given = encoding.get(channel)
            if not _is_discrete(given) or given["field"] not in columns:
                continue
            index = columns.index(given["field"])
            names = {_label(row[index]) for row in rows}
            longest = max((text_width(name, _FONT) for name in names), default=0)
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
            if _is_discrete(encoding.get(name)):
                legend = max(legend, _legend(encoding[name], name, values, width))
    if composed:
        return out, None
    for path, encoding in _axes(out):
        for name in ("x", "y"):
            channel = encoding.get(name)
            if not _is_discrete(channel) or channel.get("axis", {}) is None:
                continue
            size = spec.get("height") if name == "y" else width
            wanted, problem = _axis(channel, name, values, size, height)
            if problem:
                return out, SpecProblem((*path, name), problem)
            height = max(height, wanted)
    out.setdefault("width", room.width)
    out.setdefault("height", math.ceil(min(height + legend, HIGHEST)))
    if isinstance(out["width"], int | float) and isinstance(out["height"], int | float):
        out.setdefault("autosize", {"type": "fit", "contains": "padding"})
    if height + legend > HIGHEST and "height" not in spec:
        return out, SpecProblem(
            (),
            f"its names and legend need {height + legend:.0f} px of height, and a page has "
            f"{HIGHEST}; shorten the names, or show fewer of them",
        )
    return out, None


def _copied(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _copied(inner) for key, inner in value.items()}
    return [_copied(inner) for inner in value] if isinstance(value, list) else value


def _axes(
    spec: Mapping[str, Any], path: tuple[str | int, ...] = ()
) -> Iterator[tuple[tuple[str | int, ...], dict[str, Any]]]:
    if isinstance(spec.get("encoding"), dict):
        yield (*path, "encoding"), spec["encoding"]
    for index, child in enumerate(spec.get("layer") or ()):
        yield from _axes(child, (*path, "layer", index))


def _axis(
    channel: dict[str, Any],
    name: str,
    values: Sequence[Mapping[str, Any]],
    size: Any,
    height: float,
) -> tuple[float, str | None]:
    """The height of the drawing that the labels want; sets their size."""
    names = _names(channel, values)
    axis = channel.get("axis") or {}
    if not names or axis.get("labels") is False or "labelOverlap" in axis or "values" in axis:
        return height, None
    longest = max(text_width(text, 1) for text in names)
    if name == "y":
        most = size if isinstance(size, int | float) else HIGHEST - 60
        font = min(_FONT, (most - 30) / len(names) / _LINE)
        least = _LEAST_Y
        wanted = max(height, len(names) * font * _LINE + 40)
    else:
        step = (size - 60) / len(names)
        least = _LEAST_X
        if longest * _FONT + _GAP < step and "labelAngle" not in axis:
            axis = {"labelAngle": 0, **axis}
            font = _FONT
            wanted = height
        else:
            font = min(_FONT, step / 1.1)
            wanted = height + max(0.0, longest * font - 60)
    font = axis.get("labelFontSize", font)
    if font < least and "labelFontSize" not in axis:
        return height, (
            f"the column {shortened(channel['field'])} has {len(names)} values, and the names of "
            f"about {int(len(names) * font / least)} can be read on this axis; show fewer, "
            "or set axis.labelOverlap to leave names out"
        )
    if name == "y":
        # The engine measures with another font than the one that is printed.
        axis = {"minExtent": math.ceil(longest * font), **axis}
    # Flush labels are moved, the first one into its neighbour.
    fixed = {"labelFontSize": round(font, 2), "labelOverlap": False, "labelFlush": False}
    channel["axis"] = fixed | axis
    return wanted, None


def _legend(
    channel: dict[str, Any], name: str, values: Sequence[Mapping[str, Any]], width: float
) -> float:
    """The height that the legend needs beyond what is usual; sets its columns and colours."""
    names = _names(channel, values)
    scale = channel.get("scale")
    if len(names) > _HOUSE_COLOURS and name in _COLOURS and scale is not False:
        scale = scale or {}
        if not {"range", "scheme"} & set(scale):
            channel["scale"] = {**scale, "range": colours(len(names))}
    legend = channel.get("legend", {})
    if not names or legend is None:
        return 0.0
    longest = max(text_width(text, _FONT) for text in names)
    columns = min(max(1, int((width - 20) // (longest + _SYMBOL))), len(names))
    columns = int(legend.get("columns", columns))
    channel["legend"] = {"columns": columns, **legend}
    if legend.get("orient", "top") not in ("top", "bottom"):
        return 0.0
    return (math.ceil(len(names) / max(columns, 1)) - 1) * (_FONT + 5)


def colours(count: int) -> list[str]:
    """That many colours which can be told apart: around the circle, light and dark by turns."""
    found = []
    for index in range(count):
        hue = (index * 137.508 + 213) % 360  # the golden angle: neighbours are far apart
        lightness = (36, 52, 66)[index % 3]
        found.append(f"hsl({hue:.0f}, {(70, 55, 60)[index % 3]}%, {lightness}%)")
    return found
