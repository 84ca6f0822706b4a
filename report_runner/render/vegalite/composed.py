"""Sizes of drawings beside and below each other: concatenated, repeated, by facets.

The engine gives each of them 200 pixels, however many there are, and the page would show them
smaller than can be read.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from report_runner.render.vegalite import SpecProblem
from report_runner.render.vegalite.labels import (
    FONT,
    LEAST_FONT,
    axes_of,
    fit_axis,
    is_discrete,
    label_width,
    names_of,
)

FACETS = ("row", "column", "facet")  # channels
_GAP = 20  # between two drawings: the engine's own
_WIDTH, _HEIGHT = 200, 170  # wanted of one
_LEAST = 45  # plain pixels between the axes
_HEADER, _TITLE = 18, 22
_X_AXIS, _Y_AXIS, _NO_AXIS = 44, 58, 8

Path = tuple[str | int, ...]
Values = Sequence[Mapping[str, Any]]


class PlaceError(Exception):
    """The drawings do not fit on a page."""

    def __init__(self, path: Path, message: str) -> None:
        super().__init__(message)
        self.problem = SpecProblem(path, message)


def place(spec: dict[str, Any], path: Path, width: float, most: float, values: Values) -> float:
    """The height of a view with its axes; sets the sizes in it that its author left open.

    `width` and `most` are the room that it has. Raises PlaceError.
    """
    for word in ("hconcat", "vconcat", "concat"):
        if word in spec:
            children = spec[word]
            count = len(children)
            columns = {"hconcat": count, "vconcat": 1}.get(word) or _columns(spec, count, width)
            cell, share = _cell(width, most, columns, math.ceil(count / columns))
            heights = [
                place(child, (*path, word, index), cell, share, values)
                for index, child in enumerate(children)
            ]
            rows = [max(heights[at : at + columns]) for at in range(0, count, columns)]
            return sum(rows) + _GAP * (len(rows) - 1)
    inner = spec.get("spec")
    if isinstance(inner, dict) and "repeat" in spec:
        columns, count = _repeated(spec, width)
        cell, share = _cell(width, most, columns, count)
        height = place(inner, (*path, "spec"), cell, share, values)
        return count * height + _GAP * (count - 1)
    if isinstance(inner, dict) and "facet" in spec:
        given = spec["facet"]
        facets = {"facet": given} if "field" in given else given
        return _facets(spec, inner, facets, (*path, "spec"), width, most, values)
    encoding = spec.get("encoding") or {}
    facets = {word: encoding[word] for word in FACETS if isinstance(encoding.get(word), dict)}
    if facets:
        return _facets(facets.get("facet", {}), spec, facets, path, width, most, values)
    return _leaf(spec, path, width - _extent(spec, values), most, values)


def _columns(spec: dict[str, Any], count: int, width: float, least: float = _WIDTH) -> int:
    """How many are beside each other; sets it where it is open."""
    given = spec.get("columns")
    if not isinstance(given, int) or given < 1:
        given = max(1, min(count, int((width + _GAP) // (least + _GAP))))
        # Rows of about one length.
        given = math.ceil(count / math.ceil(count / given)) if count else 1
        spec["columns"] = given
    return min(given, max(count, 1))


def _cell(width: float, most: float, columns: int, rows: int) -> tuple[float, float]:
    return (width - _GAP * (columns - 1)) / columns, (most - _GAP * (rows - 1)) / rows


def _repeated(spec: dict[str, Any], width: float) -> tuple[int, int]:
    given = spec["repeat"]
    if isinstance(given, list):
        columns = _columns(spec, len(given), width)
        return columns, math.ceil(len(given) / columns)
    return max(len(given.get("column", ())), 1), max(len(given.get("row", ())), 1)


def _facets(
    spec: dict[str, Any],
    inner: dict[str, Any],
    facets: Mapping[str, dict[str, Any]],
    path: Path,
    width: float,
    most: float,
    values: Values,
) -> float:
    """`spec` has the number of columns; the axes are those of the outermost drawings."""
    names = {
        word: names_of(facet, values) if is_discrete(facet) else []
        for word, facet in facets.items()
    }
    longest = {
        word: max((label_width(name, FONT) for name in found), default=0.0)
        for word, found in names.items()
    }
    room = width - _extent(inner, values)
    if "facet" in facets:
        count = max(len(names["facet"]), 1)
        columns = _columns(spec, count, room, max(_WIDTH * 0.75, longest["facet"]))
        rows = math.ceil(count / columns)
    else:
        columns = max(len(names.get("column", ())), 1)
        rows = max(len(names.get("row", ())), 1)
        room -= _HEADER + _TITLE if "row" in facets else 0
    titles = _TITLE + _HEADER * (rows if "facet" in facets else 1) + _X_AXIS
    cell, share = _cell(room, most - titles, columns, rows)
    for word in ("facet", "column"):
        if word in facets:
            _fit_header(facets[word], longest[word], cell, (*path, word))
    height = _leaf(inner, path, cell, share + _X_AXIS, values) - _X_AXIS
    if "row" in facets:
        _fit_header(facets["row"], longest["row"], height, (*path, "row"))
    return rows * height + _GAP * (rows - 1) + titles


def _fit_header(facet: dict[str, Any], longest: float, room: float, path: Path) -> None:
    """`longest` is the length of the longest name at the usual size."""
    header = facet.get("header", {})
    if header is None or longest <= room or "labelFontSize" in header:
        return
    font = FONT * room / longest
    if font < LEAST_FONT:
        raise PlaceError(
            path, f"a name takes {longest:.0f} px, and each drawing has {room:.0f}; show fewer"
        )
    facet["header"] = {**header, "labelFontSize": round(font, 2)}


def _extent(spec: dict[str, Any], values: Values) -> float:
    """The width of the y axis."""
    found = float(_NO_AXIS)
    for _, encoding in axes_of(spec):
        channel = encoding.get("y")
        if not isinstance(channel, dict) or channel.get("axis", {}) is None:
            continue
        extent = float(_Y_AXIS)
        if is_discrete(channel):
            names = names_of(channel, values)
            extent = max((label_width(name, FONT) for name in names), default=0.0) + 34
        found = max(found, extent)
    return found


def _leaf(spec: dict[str, Any], path: Path, width: float, most: float, values: Values) -> float:
    """The height with the x axis of one drawing, `width` between its axes."""
    if width < _LEAST and "width" not in spec:
        raise PlaceError(
            path,
            f"so many drawings beside each other leave {max(width, 0):.0f} px each; show fewer, "
            "or set columns",
        )
    given = spec.get("width")
    width = float(given) if isinstance(given, int | float) else math.floor(width)
    own = spec.get("height")
    height = float(own) if isinstance(own, int | float) else max(min(_HEIGHT, most - _X_AXIS), 60)
    below = float(_X_AXIS)
    for where, encoding in axes_of(spec, path):
        for name in ("x", "y"):
            channel = encoding.get(name)
            if not is_discrete(channel) or channel.get("axis", {}) is None:
                continue
            # fit_axis reckons with the axes inside of the size.
            size = width + 60 if name == "x" else own or max(most - _X_AXIS, 60) + 30
            wanted, problem = fit_axis(channel, name, values, size, height)
            if problem:
                raise PlaceError((*where, name), problem)
            if name == "x":
                below = max(below, _X_AXIS + wanted - height)
            elif not own:
                height = max(height, wanted - 40)
    if below > _X_AXIS and not own:
        height = max(min(height, most - below), 60)
    spec.setdefault("width", width)
    spec.setdefault("height", math.floor(height))
    return height + below
