"""What a page asks to be loaded from elsewhere: nothing is, so it would be missing without a word.

Links that a reader follows (`<a href>`) and references into the page itself (`#id`) stay. What
stands in the page as a data: URI has to be what it is used as.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html.parser import HTMLParser

from report_runner.contract.reasons import Reason
from report_runner.models import RunError
from report_runner.render.css_references import (
    Reference,
    declaration_references,
    sheet_references,
)
from report_runner.render.data_uri import (
    font_problem,
    image_problem,
    read_data_uri,
    style_problem,
)

_IMAGES = {
    "img": ("src", "srcset"), "source": ("src", "srcset"), "input": ("src",),
    "image": ("href", "xlink:href"), "feimage": ("href", "xlink:href"), "video": ("poster",),
    "body": ("background",), "table": ("background",), "td": ("background",),
    "th": ("background",), "mglyph": ("src",),
}  # fmt: skip
_OTHERS = {
    "use": ("href", "xlink:href"), "object": ("data",), "embed": ("src",), "iframe": ("src",),
    "frame": ("src",), "video": ("src",), "audio": ("src",), "track": ("src",), "script": ("src",),
}  # fmt: skip
# Attributes of SVG that hold a value of CSS.
_PAINT = frozenset((
    "fill", "stroke", "mask", "filter", "clip-path", "marker", "marker-start", "marker-mid",
    "marker-end", "cursor",
))  # fmt: skip
_LOADED_LINKS = {"stylesheet": "style", "icon": "image"}
_NO_LINKS = frozenset(("preload", "attachment", "modulepreload"))
_SRCSET = re.compile(r"\s*,?\s*(\S+)[^,]*")
_SHOWN = 80  # characters of a reference in a message
_PROBLEMS = {"image": image_problem, "font": font_problem, "style": style_problem}
_REMEDIES = {
    "image": "images have to stand in the template itself, as a data: URI "
    "(data:image/png;base64,…) or as <svg>",
    "font": "fonts have to stand in the template itself, as a data: URI "
    "(src: url(data:font/woff2;base64,…))",
    "style": "style sheets have to stand in the template itself, in a <style> element",
    "other": "nothing from elsewhere is shown in a report: take it out, or write its content into "
    "the template",
}
NOT_LOADED = "is not loaded"
_LIMIT = "; a template may have 256 KiB"


@dataclass(frozen=True, slots=True)
class _Found:
    """One reference that will not be loaded."""

    line: int  # of the page
    tag: str
    kind: str
    reference: str
    problem: str = NOT_LOADED


class _Finder(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[_Found] = []
        self._in_style = False
        self._style = ""

    def handle_starttag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        for table, kind in ((_IMAGES, "image"), (_OTHERS, "other")):
            for name in table.get(tag, ()):
                value = given.get(name, "").strip()
                references = _SRCSET.findall(value) if name == "srcset" else [value]
                self._look(tag, [(kind, one) for one in references])
        if tag == "img" and not given.get("src", "x").strip() and not given.get("srcset"):
            self._add(tag, "image", given["src"], "names no image")
        if tag == "link":
            relations = set(given.get("rel", "stylesheet").lower().split())
            kinds = [kind for name, kind in _LOADED_LINKS.items() if name in relations]
            if relations & _NO_LINKS:
                kinds.append("other")
            self._look(tag, [(kind, given.get("href", "")) for kind in kinds[:1]])
        for name, value in given.items():
            if name == "style" or name in _PAINT:
                self._look("style" if name == "style" else tag, declaration_references(value))
        if tag == "style":
            self._in_style, self._style = True, ""

    def handle_endtag(self, tag: str) -> None:
        if tag == "style":
            self._end_style()

    def handle_data(self, data: str) -> None:
        if self._in_style:
            self._style += data

    def close(self) -> None:
        super().close()
        if self._in_style:
            self._style += self.rawdata  # of an element that nothing ends
        self._end_style()

    def _end_style(self) -> None:
        self._in_style = False
        self._look("style", sheet_references(self._style))
        self._style = ""

    def _look(self, tag: str, references: Iterable[Reference]) -> None:
        for kind, reference in references:
            bare = reference.strip()
            if bare[:5].lower() == "data:":
                self._look_inside(tag, kind, bare)
            elif bare and not bare.startswith("#"):
                self._add(tag, kind, reference)

    def _look_inside(self, tag: str, kind: str, uri: str) -> None:
        try:
            data = read_data_uri(uri)
        except ValueError as error:
            self._add(tag, kind, uri, str(error))
            return
        problem = _PROBLEMS[kind](data) if kind in _PROBLEMS else None
        if problem is not None:
            self._add(tag, kind, uri, problem)
        elif kind == "style":
            self._look("style", sheet_references(data.text))
        elif data.is_svg:
            inner = _Finder()
            inner.feed(data.text)
            inner.close()
            for one in inner.found:
                self._add(one.tag, one.kind, one.reference, one.problem)

    def _add(self, tag: str, kind: str, reference: str, problem: str = NOT_LOADED) -> None:
        self.found.append(_Found(self.getpos()[0], tag, kind, reference, problem))


def check_references(markup: str, template: str, field: str) -> None:
    """Raises RunError that names the first reference to something outside of the page.

    The line is that of the template where the reference stands there, else of the page.
    """
    finder = _Finder()
    finder.feed(markup)
    finder.close()
    if not finder.found:
        return
    # What stands elsewhere comes before what stands here and cannot be read.
    first = min(finder.found, key=lambda one: one.problem != NOT_LOADED)
    at = template.find(first.reference) if first.reference else -1
    where = f"line {template.count(chr(10), 0, at) + 1}"
    if at < 0:
        where = f"line {first.line} of the page"
    shown = first.reference
    shown = shown if len(shown) <= _SHOWN else shown[: _SHOWN - 1] + "…"
    raise RunError(
        Reason.CONFIGURATION_ERROR,
        f"{field}: {where}: {shown!r} in <{first.tag}> {first.problem}: {_REMEDIES[first.kind]}"
        f"{_LIMIT}",
    )
