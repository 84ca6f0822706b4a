"""The process that makes PDF pages: requests pickled on standard input, one JSON line each out.

WeasyPrint is imported here only. It runs on one document after the other, so that it
never needs more memory than the largest piece.
"""

from __future__ import annotations

import ctypes.util
import gc
import json
import logging
import os
import pickle
import re
import resource
import sys
from dataclasses import dataclass
from typing import Any
from xml.etree.ElementTree import Element

from report_runner.contract import files
from report_runner.render.chart_worker import end_with_parent
from report_runner.render.overflow import overflow_of
from report_runner.render.page_marks import read_marks, take_marks, write_marks
from report_runner.render.path_check import check_path
from report_runner.render.split import ROW, Cut, Piece, margins_tree, piece_tree
from report_runner.render.split_check import WholeError
from report_runner.render.weasyprint_shim import (
    attribute_of,
    children_of,
    kind_of,
    lay_out_svg_texts_whole,
    page_box,
    replace_tree,
    report_lost_texts,
)

_DATA_URI = re.compile(r"data:[^'\"\s]*")


@dataclass(frozen=True, slots=True)
class WholeRequest:
    """A whole document."""

    html: str
    path: str
    created: str  # a PDF date
    identifier: bytes


@dataclass(frozen=True, slots=True)
class SkeletonRequest:
    """The document that the following pieces are cut from."""

    skeleton: Element


@dataclass(frozen=True, slots=True)
class PieceRequest:
    """One piece of the skeleton's document."""

    piece: Piece
    path: str


@dataclass(frozen=True, slots=True)
class MarginsRequest:
    """The margins of all pages of the skeleton's document."""

    pages: int
    path: str
    created: str  # a PDF date
    marks: tuple[str, ...]  # files of the pieces, in their order


Request = WholeRequest | SkeletonRequest | PieceRequest | MarginsRequest


@dataclass(frozen=True, slots=True)
class Answer:
    """Pages written. Where the document goes on, `next_row` (table, row) begins the next page.

    Without pages, no page of the piece ends between two rows.
    """

    pages: int = 0
    next_row: tuple[int, int] | None = None
    rows_per_page: int = 0  # 0 where pages differ
    error: str = ""  # its text, which may be empty
    kind: str = ""  # class of the error; empty where there is none


def _import_weasyprint() -> Any:
    # cffi tries the names of other systems first, and for each that is not there asks the
    # compiler where it might be: a third of a second.
    original = ctypes.util.find_library
    ctypes.util.find_library = lambda name: None  # noqa: ARG005
    try:
        import weasyprint
    finally:
        ctypes.util.find_library = original
    lay_out_svg_texts_whole()
    logging.getLogger("weasyprint").setLevel(logging.ERROR)
    logging.getLogger("fontTools").setLevel(logging.ERROR)
    return weasyprint


class DoesNotFitError(Exception):
    """Content would be cut, overlap, or be missing."""


class _LostTextError(DoesNotFitError):
    """A text is on no page; in a piece that may be for want of the pages before it."""


class _Unprinted(logging.Handler):
    """What WeasyPrint leaves out of the document with no more than a line in its log."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.found: list[str] = []
        self.text: str | None = None

    def emit(self, record: logging.LogRecord) -> None:
        if str(record.msg).startswith(("Failed to load", "Failed to render SVG image")):
            self.found.append(_DATA_URI.sub("data:…", record.getMessage())[:200])

    def lost(self, tag: str) -> None:
        """A text that is on no page."""
        self.text = (
            f"a text in <{tag}>, which stands in a box with a height and behind the page's end; "
            "leave the height out, or use min-height"
        )

    def check(self) -> None:
        """Raises DoesNotFitError."""
        if self.text is not None:
            text, self.text = self.text, None
            raise _LostTextError(f"something would be missing: {text}")
        if self.found:
            problem, self.found = self.found[0], []
            raise DoesNotFitError(f"something would be missing: {problem}")


class _Printer:
    def __init__(self) -> None:
        self.weasyprint = _import_weasyprint()
        self.unprinted = _Unprinted()
        logging.getLogger("weasyprint").addHandler(self.unprinted)
        report_lost_texts(self.unprinted.lost)
        self.fonts = self.weasyprint.text.fonts.FontConfiguration()
        self.skeleton: Element | None = None

    def _render(self, source: str | Element) -> Any:
        fetcher = self.weasyprint.urls.URLFetcher(allowed_protocols=["data"], allow_redirects=False)
        document = self.weasyprint.HTML(
            url_fetcher=fetcher,
            base_url="about:blank",
            media_type="print",
            string=source if isinstance(source, str) else "<html></html>",
        )
        if not isinstance(source, str):
            replace_tree(document, source)
        rendered = document.render(font_config=self.fonts, presentational_hints=False)
        for number, page in enumerate(rendered.pages, 1):
            problem = overflow_of(page, number)
            if problem is not None:
                raise DoesNotFitError(problem)
        self.unprinted.check()
        return rendered

    def _dated(self, created: str) -> Any:
        def finish(_document: Any, pdf: Any) -> None:
            pdf.info["CreationDate"] = pdf.info["ModDate"] = self.weasyprint.pdf.pydyf.String(
                created
            )

        return finish

    def whole(self, request: WholeRequest) -> Answer:
        self.skeleton = None
        try:
            document = self._render(request.html)
        except _LostTextError as error:
            raise DoesNotFitError(str(error)) from error
        document.write_pdf(
            request.path,
            finisher=self._dated(request.created),
            pdf_identifier=request.identifier,
        )
        self.unprinted.check()
        return Answer(len(document.pages))

    def piece(self, request: PieceRequest) -> Answer:
        assert self.skeleton is not None  # noqa: S101 - the first request of all
        piece = request.piece
        try:
            document = self._render(piece_tree(self.skeleton, piece))
        except _LostTextError as error:
            raise WholeError(str(error)) from error
        pages = document.pages
        seen: set[str] = set()
        for page in pages:
            check_path(page_box(page), seen)
        begin = _page_of(pages, piece.start) if piece.start is not None else 0
        if begin is None:
            raise WholeError("its long table does not go on at the top of a page")
        uniform = _rows_per_page(pages[begin:])
        keep, following = len(pages), None
        if piece.end is not None:
            keep, following = _last_clean_cut(pages, begin)
            if following is None:
                return Answer()
        write_marks(f"{request.path}.marks", [take_marks(page) for page in pages[begin:keep]])
        document.copy(pages[begin:keep]).write_pdf(request.path)
        self.unprinted.check()
        return Answer(keep - begin, following, uniform)

    def margins(self, request: MarginsRequest) -> Answer:
        assert self.skeleton is not None  # noqa: S101 - the first request of all
        document = self._render(margins_tree(self.skeleton, request.pages))
        blank = (page_box(page).children[0] for page in document.pages)
        if len(document.pages) != request.pages or any(map(_shows_something, blank)):
            raise WholeError("its style sheet puts something onto pages without content")
        read_marks(document.pages, request.marks)
        document.write_pdf(request.path, finisher=self._dated(request.created))
        return Answer(len(document.pages))

    def answer(self, request: Request) -> Answer:
        match request:
            case WholeRequest():
                return self.whole(request)
            case PieceRequest():
                return self.piece(request)
            case MarginsRequest():
                return self.margins(request)
            case SkeletonRequest(skeleton):
                self.skeleton = skeleton
                return Answer()


def _row(box: Any) -> tuple[int, int] | None:
    mark = attribute_of(box, ROW)
    if mark is None or kind_of(box) != "TableRowBox":
        return None
    table, _, number = mark.partition("-")
    return int(table), int(number)


def _walk(box: Any) -> Any:
    """Rows and other visible things of a page in their order; heads of tables left out."""
    row = _row(box)
    if row is not None:
        yield row
        return
    if getattr(box, "is_header", False) or kind_of(box) == "MarginBox":
        return
    children = children_of(box)
    if not children:
        if kind_of(box) != "TableColumnBox" and hasattr(box, "element"):
            yield None
        return
    for child in children:
        yield from _walk(child)


def _rows_on(page: Any) -> list[tuple[int, int]]:
    return [row for row in _walk(page_box(page)) if row is not None]


def _first_on(page: Any) -> tuple[int, int] | None:
    """The row with which a page begins; None where it begins with something else."""
    row: tuple[int, int] | None = next(_walk(page_box(page)), None)
    return row


def _page_of(pages: list[Any], start: Cut) -> int | None:
    """The index of the page that begins with a row, which comes after a page without it."""
    for index, page in enumerate(pages):
        if _first_on(page) == (start.table, start.row) and index:
            return index
    return None


def _last_clean_cut(pages: list[Any], begin: int) -> tuple[int, tuple[int, int] | None]:
    """The last page after `begin` that begins with a whole row: its index and that row."""
    for index in range(len(pages) - 1, begin, -1):
        first = _first_on(pages[index])
        # A row 0 is no cut: its table is not continued.
        if first is not None and first[1] and first not in _rows_on(pages[index - 1]):
            return index, first
    return 0, None


def _shows_something(box: Any) -> bool:
    if kind_of(box) in ("TextBox", "InlineReplacedBox", "BlockReplacedBox"):
        return True
    return any(map(_shows_something, children_of(box)))


def _rows_per_page(pages: list[Any]) -> int:
    """Rows on each page that is all rows, 0 where these differ or are too few to tell."""
    counts = []
    for page in pages[:-1]:
        found = list(_walk(page_box(page)))
        if all(row is not None for row in found):
            counts.append(len(found))
    return counts[0] if counts and len(set(counts)) == 1 else 0


def main() -> None:
    """Answer requests until standard input ends."""
    end_with_parent()
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # output of libraries must not mix with the answers
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (files.OUTPUT_FILE_LIMIT, hard))
    os.environ.setdefault("SOURCE_DATE_EPOCH", "0")
    printer = _Printer()
    gc.freeze()
    gc.set_threshold(200_000, 50, 100)
    while True:
        try:
            request: Request = pickle.load(sys.stdin.buffer)  # noqa: S301 - from our own parent
        except EOFError:
            return
        try:
            answer = printer.answer(request)
        except Exception as error:  # noqa: BLE001 - reported to the parent
            answer = Answer(error=str(error)[:300], kind=type(error).__name__)
        del request
        gc.collect()
        fields = {name: getattr(answer, name) for name in Answer.__slots__}
        out.write(json.dumps(fields) + "\n")
        out.flush()


if __name__ == "__main__":
    # Pickled requests are of this module by its real name, not of `__main__`.
    from report_runner.render import pdf_worker

    pdf_worker.main()
