"""Names on axes and in legends, whole and legible.

Sizes are pixels of the drawing.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeGuard

from report_runner.render.text_width import text_width
from report_runner.render.vegalite import shortened

HIGHEST = 920  # of a drawing that has to go on one page below its caption
FONT = 10.0
LEAST_FONT = 6.0  # that can still be read on paper, beside or above each other
_LEAST_X = 5.6
_LINE = 1.2  # height of a line, by font size
_SPARE = 1.03  # what the engine's own rounding may take
_SYMBOL = 34  # a legend's symbol and the padding around it and its label
_HOUSE_COLOURS = 8
_GAP = 5  # pixels between two labels beside each other
_COLOURS = ("color", "fill", "stroke")


def label_width(text: str, size: float) -> float:
    return text_width(text) * size * _SPARE


def is_discrete(channel: Any) -> TypeGuard[dict[str, Any]]:
    """Whether each value of the column has a place of its own."""
    if not isinstance(channel, dict) or not isinstance(channel.get("field"), str):
        return False
    if any(channel.get(word) for word in ("aggregate", "bin", "timeUnit")):
        return False
    return channel.get("type", "nominal") in ("nominal", "ordinal")


def names_of(channel: Mapping[str, Any], values: Sequence[Mapping[str, Any]]) -> list[str]:
    """The labels of a discrete channel; empty where a transform makes them."""
    field = re.sub(r"\\(.)", r"\1", channel["field"])
    found = dict.fromkeys(
        label_of(row[field]) for row in values if field in row and not isinstance(row[field], dict)
    )
    return list(found)


def label_of(value: Any) -> str:
    return "null" if value is None else str(value)


def axes_of(
    spec: Mapping[str, Any], path: tuple[str | int, ...] = ()
) -> Iterator[tuple[tuple[str | int, ...], dict[str, Any]]]:
    if isinstance(spec.get("encoding"), dict):
        yield (*path, "encoding"), spec["encoding"]
    for index, child in enumerate(spec.get("layer") or ()):
        yield from axes_of(child, (*path, "layer", index))


def fit_axis(
    channel: dict[str, Any],
    name: str,
    values: Sequence[Mapping[str, Any]],
    size: Any,
    height: float,
) -> tuple[float, str | None]:
    """The height of the drawing that the labels want; sets their size."""
    names = names_of(channel, values)
    axis = channel.get("axis") or {}
    if not names or axis.get("labels") is False or "labelOverlap" in axis or "values" in axis:
        return height, None
    longest = max(label_width(text, 1) for text in names)
    if name == "y":
        most = size if isinstance(size, int | float) else HIGHEST - 60
        font = min(FONT, (most - 30) / len(names) / _LINE)
        least = LEAST_FONT
        wanted = max(height, len(names) * font * _LINE + 40)
    else:
        step = (size - 60) / len(names)
        least = _LEAST_X
        if longest * FONT + _GAP < step and "labelAngle" not in axis:
            axis = {"labelAngle": 0, **axis}
            font = FONT
            wanted = height
        else:
            font = min(FONT, step / 1.1)
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


def fit_legend(
    channel: dict[str, Any], name: str, values: Sequence[Mapping[str, Any]], width: float
) -> float:
    """The height that the legend needs beyond what is usual; sets its columns and colours."""
    names = names_of(channel, values)
    scale = channel.get("scale")
    if len(names) > _HOUSE_COLOURS and name in _COLOURS and scale is not False:
        scale = scale or {}
        if not {"range", "scheme"} & set(scale):
            channel["scale"] = {**scale, "range": colours(len(names))}
    legend = channel.get("legend", {})
    if not names or legend is None:
        return 0.0
    longest = max(label_width(text, FONT) for text in names)
    columns = min(max(1, int((width - 20) // (longest + _SYMBOL))), len(names))
    columns = int(legend.get("columns", columns))
    channel["legend"] = {"columns": columns, **legend}
    if legend.get("orient", "top") not in ("top", "bottom"):
        return 0.0
    return (math.ceil(len(names) / max(columns, 1)) - 1) * (FONT + 5)


def colours(count: int) -> list[str]:
    """That many colours which can be told apart: around the circle, light and dark by turns."""
    found = []
    for index in range(count):
        hue = (index * 137.508 + 213) % 360  # the golden angle: neighbours are far apart
        lightness = (36, 52, 66)[index % 3]
        found.append(f"hsl({hue:.0f}, {(70, 55, 60)[index % 3]}%, {lightness}%)")
    return found
