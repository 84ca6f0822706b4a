"""What a page asks to be loaded from elsewhere: nothing is, so it would be missing without a word.

Links that a reader follows (`<a href>`) and references into the page itself (`#id`) stay.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from html.parser import HTMLParser

from report_runner.contract.reasons import Reason
from report_runner.models import RunError

_ATTRIBUTES = {
    "img": ("src", "srcset"), "source": ("src", "srcset"), "input": ("src",),
    "image": ("href", "xlink:href"), "use": ("href", "xlink:href"), "feimage": ("href",
    "xlink:href"), "object": ("data",), "embed": ("src",), "iframe": ("src",), "frame": ("src",),
    "video": ("src", "poster"), "audio": ("src",), "track": ("src",), "body": ("background",),
    "table": ("background",), "td": ("background",), "th": ("background",),
}  # fmt: skip
_LOADED_LINKS = frozenset(("stylesheet", "icon", "preload", "attachment", "modulepreload"))
_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_CSS = re.compile(
    r"""url\(\s*(?:"([^"]*)"|'([^']*)'|([^\s"')]*))\s*\)|@import\s+(?:"([^"]*)"|'([^']*)')""",
    re.IGNORECASE,
)
_SRCSET = re.compile(r"\s*,?\s*(\S+)[^,]*")
_SHOWN = 80  # characters of a reference in a message
_KINDS = {"style": "style sheets, fonts and images of CSS", "link": "style sheets"}


class _Finder(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[tuple[int, str, str]] = []  # line of the page, element, reference
        self._style: int | None = None

    def handle_starttag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        line = self.getpos()[0]
        for name in _ATTRIBUTES.get(tag, ()):
            value = given.get(name, "").strip()
            references = [value]
            if name == "srcset":
                references = _SRCSET.findall(value)
            self.found += [(line, tag, one) for one in references if _is_elsewhere(one)]
        if tag == "link":
            relations = set(given.get("rel", "stylesheet").lower().split())
            if relations & _LOADED_LINKS and _is_elsewhere(given.get("href", "")):
                self.found.append((line, tag, given["href"]))
        for one in _css_references(given.get("style", "")):
            self.found.append((line, "style", one))
        if tag == "style":
            self._style = line

    def handle_endtag(self, tag: str) -> None:
        if tag == "style":
            self._style = None

    def handle_data(self, data: str) -> None:
        if self._style is not None:
            line = self.getpos()[0]
            self.found += [(line, "style", one) for one in _css_references(data)]


def _css_references(text: str) -> Iterator[str]:
    for groups in _CSS.findall(_COMMENT.sub(" ", text)):
        reference = next((one for one in groups if one), "")
        if _is_elsewhere(reference):
            yield reference


def _is_elsewhere(reference: str) -> bool:
    bare = reference.strip()
    return bool(bare) and not bare.startswith("#") and bare[:5].lower() != "data:"


def check_references(markup: str, template: str, field: str) -> None:
    """Raises RunError that names the first reference to something outside of the page.

    The line is that of the template where the reference stands there, else of the page.
    """
    finder = _Finder()
    finder.feed(markup)
    finder.close()
    if not finder.found:
        return
    line, tag, reference = finder.found[0]
    at = template.find(reference)
    where = f"line {template.count(chr(10), 0, at) + 1}" if at >= 0 else f"line {line} of the page"
    shown = reference if len(reference) <= _SHOWN else reference[: _SHOWN - 1] + "…"
    what = _KINDS.get(tag, "images")
    raise RunError(
        Reason.CONFIGURATION_ERROR,
        f"{field}: {where}: {shown!r} in <{tag}> is not loaded: {what} have to stand in the "
        "template itself, as a data: URI (data:image/png;base64,…) or in a <style> element; a "
        "template may have 256 KiB",
    )
