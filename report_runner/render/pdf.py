"""Prints HTML to PDF in worker processes; long tables in pieces, in parallel.

WeasyPrint needs 0.6 ms and 19 kB for each cell, so a document with thousands of rows is cut into
pieces of some 470 rows. The pieces are made without anything in the pages' margins; then one
document of empty pages brings the margins of all pages, bookmarks, links and metadata, so that
"page 7 of 41" is counted by the same engine as in a document made at once. A document that would
look otherwise in pieces is printed at once.
"""

from __future__ import annotations

import hashlib
import logging
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from report_runner.cgroup import cpu_limit, memory_limit
from report_runner.contract import files
from report_runner.contract.reasons import Reason
from report_runner.contract.report import Format
from report_runner.models import RunError
from report_runner.render import workers
from report_runner.render.bounded import check_size, is_too_large, too_large
from report_runner.render.page import expand, fold
from report_runner.render.pdf_worker import (
    Answer,
    DoesNotFitError,
    MarginsRequest,
    PieceRequest,
    Request,
    SkeletonRequest,
    WholeRequest,
)
from report_runner.render.sandbox import MIB, SandboxLimits, share_of_memory
from report_runner.render.split import (
    LONG_TABLE,
    Cut,
    LongDocument,
    find_long_tables,
    slice_rows,
)
from report_runner.render.split_check import WholeError
from report_runner.render.template import FIELD, Page
from report_runner.render.worker_process import WorkerProcess

logger = logging.getLogger(__name__)

PIECE_ROWS = 470
SECONDS = 600.0  # for one piece
MEMORY_LIMIT = 1536 * MIB
TWO_WORKERS_MEMORY = 600 * MIB  # of the cgroup, from which on two fit
_ANSWER_LIMIT = MIB
KILLED_REMEDY = "raise spec.resources.limits.memory, or show fewer rows"


class Worker(WorkerProcess):
    """A process that prints; see render.pdf_worker."""

    def __init__(self) -> None:
        process = workers.take(workers.WorkerKind.PAGES)
        super().__init__(process, "the PDF", KILLED_REMEDY)

    def answer(self) -> Answer:
        """The answer to the oldest request. Raises RunError."""
        memory = share_of_memory(MEMORY_LIMIT, 0.85)
        fields, _ = self.receive(SandboxLimits(SECONDS, memory, _ANSWER_LIMIT))
        following = fields.pop("next_row")
        answer = Answer(next_row=None if following is None else tuple(following), **fields)
        if answer.kind:
            if is_too_large(answer.error):
                raise too_large(Format.PDF)
            if answer.kind == "MemoryError":
                raise RunError(Reason.RESOURCE_EXHAUSTED, "the PDF: needs too much memory")
            if answer.kind == WholeError.__name__:
                raise WholeError(answer.error)
            problem = answer.error
            if answer.kind != DoesNotFitError.__name__:
                problem = f"cannot be printed: {answer.kind}: {answer.error}".rstrip(": ")
            raise RunError(Reason.CONFIGURATION_ERROR, f"{FIELD}: {problem}")
        return answer

    def ask(self, request: Request) -> Answer:
        self.send(request)
        return self.answer()


@dataclass(frozen=True, slots=True)
class _Printed:
    path: Path
    pages: int


def write_pdf(page: Page, path: Path, created: datetime, worker: Worker) -> int:
    """Print a page to `path`; the number of pages. Raises RunError."""
    stamp = f"D:{created.astimezone(UTC):%Y%m%d%H%M%S}Z"
    try:
        document = _long_document(page)
        if document is not None:
            return _write_pieces(document, path, stamp, worker)
    except WholeError as error:
        return _write_whole(page, path, stamp, worker, str(error))
    return _write_whole(page, path, stamp, worker, "")


def _write_whole(page: Page, path: Path, stamp: str, worker: Worker, reason: str) -> int:
    """`reason`: why a long document is not printed in pieces."""
    if reason:
        logger.info("the PDF is printed at once, because %s", reason)
    html = expand(page)
    identifier = hashlib.md5(html.encode(), usedforsecurity=False).digest()
    try:
        return worker.ask(WholeRequest(html, str(path), stamp, identifier)).pages
    except RunError as error:
        if not reason or error.reason is not Reason.RESOURCE_EXHAUSTED:
            raise
        raise RunError(
            error.reason,
            f"{error}; it has to be printed at once, because {reason}: without that a long "
            "document is printed in pieces, which need less",
        ) from error


def _write_pieces(document: LongDocument, path: Path, stamp: str, worker: Worker) -> int:
    """Raises WholeError where the pieces would not look as the whole does."""
    with ExitStack() as stack:
        workers = [worker]
        if _room_for_two():
            workers.append(stack.enter_context(Worker()))
        for one in workers:
            one.ask(SkeletonRequest(document.skeleton))
        margins = path.with_suffix(".margins")
        pieces: list[_Printed] = []
        try:
            _print_pieces(document, workers, path, pieces)
            pages = sum(piece.pages for piece in pieces)
            marks = tuple(f"{piece.path}.marks" for piece in pieces)
            worker.ask(MarginsRequest(pages, str(margins), stamp, marks))
            _merge(pieces, margins, path)
        finally:
            for used in path.parent.glob(f"{path.stem}.piece*"):
                used.unlink()
            margins.unlink(missing_ok=True)
    return pages


def _room_for_two() -> bool:
    limit = memory_limit()
    return cpu_limit() >= 1.5 and (limit is None or limit >= TWO_WORKERS_MEMORY)


def _long_document(page: Page) -> LongDocument | None:
    """The document to cut; None where it is short. Raises WholeError."""
    given = {
        f"{page.token}-{index}": table.rows
        for index, table in enumerate(page.tables)
        if len(table.rows) > LONG_TABLE
    }
    markup = fold(page, given)
    if not given and markup.count("<tr") <= LONG_TABLE:
        return None
    import tinyhtml5

    root = tinyhtml5.parse(markup, namespace_html_elements=False)  # type: ignore[no-untyped-call]
    return find_long_tables(root, given)


def _print_pieces(
    document: LongDocument, workers: Sequence[Worker], path: Path, done: list[_Printed]
) -> None:
    """Appends all pieces in their order to `done`.

    The first says how many rows a page takes. While pages are uniform, pieces that end with a
    page are printed in parallel; where a piece ends elsewhere, the later ones are discarded and
    the next begins at its real end. A piece without a page's end between two rows is made longer.
    """
    size = 0  # bytes of the pieces: the merged file has about as many
    start: Cut | None = None
    rows_per_page, piece_rows = 0, PIECE_ROWS
    finished = False
    while not finished:
        plan = list(_plan(document, start, rows_per_page, piece_rows))
        waiting: deque[tuple[Worker, Cut | None, Path]] = deque()
        todo = deque(plan)
        free = deque(workers)
        number = len(done)
        while todo or waiting:
            while todo and free:
                first, end = todo.popleft()
                target = path.with_suffix(f".piece{number}")
                number += 1
                one = free.popleft()
                one.send(PieceRequest(slice_rows(document, first, end), str(target)))
                waiting.append((one, end, target))
            one, end, target = waiting.popleft()
            try:
                answer = one.answer()
            except WholeError:
                _discard(other for other, _, _ in waiting)
                raise
            free.append(one)
            if end is not None and answer.next_row is None:
                _discard(other for other, _, _ in waiting)
                rows_per_page, piece_rows = 0, piece_rows * 2
                break
            done.append(_Printed(target, answer.pages))
            size += check_size(target, Format.PDF)
            if size > files.OUTPUT_FILE_LIMIT:
                raise too_large(Format.PDF)
            if answer.next_row is None:
                finished = True
                break
            start = Cut(*answer.next_row)
            rows_per_page = answer.rows_per_page
            if start != end:
                # Printed from a start that turned out wrong.
                _discard(other for other, _, _ in waiting)
                break


def _discard(workers: Iterable[Worker]) -> None:
    """Waits for answers that nobody needs, so that the next one is that of the next request."""
    for one in workers:
        with suppress(WholeError):
            one.answer()


def _plan(
    document: LongDocument, start: Cut | None, rows_per_page: int, size: int
) -> Iterator[tuple[Cut | None, Cut | None]]:
    """The next pieces of `size` rows: one, or several where the rows per page are known."""
    table = start.table if start else 0
    row = start.row if start else 0
    total = len(document.rows[table])
    if rows_per_page and start is not None:
        size = max(size // rows_per_page, 1) * rows_per_page
        while row + size + rows_per_page < total:
            yield Cut(table, row), Cut(table, row + size)
            row += size
        if table + 1 == len(document.rows):
            yield Cut(table, row), None
        elif row == start.row:
            yield Cut(table, row), Cut(table + 1, min(size, len(document.rows[table + 1])) - 1)
    elif row + size < total:
        yield start, Cut(table, row + size)
    elif table + 1 < len(document.rows):
        yield start, Cut(table + 1, min(size, len(document.rows[table + 1]) - 1))
    else:
        yield start, None


def _merge(pieces: Sequence[_Printed], margins: Path, path: Path) -> None:
    """One file: the frames, which have all that belongs to the document, on the pieces' pages."""
    import pikepdf

    with ExitStack() as stack:
        merged = stack.enter_context(pikepdf.open(margins))
        frames = iter(merged.pages)
        for piece in pieces:
            part = stack.enter_context(pikepdf.open(piece.path))
            for content in part.pages:
                frame = pikepdf.Page(next(frames))
                # WeasyPrint gives all pages the same object.
                resources: Any = pikepdf.Dictionary(dict(frame.obj.Resources.items()))
                if "/XObject" in resources:
                    resources.XObject = pikepdf.Dictionary(dict(resources.XObject.items()))
                frame.obj.Resources = resources
                frame.add_underlay(pikepdf.Page(content), None)
        merged.save(
            path,
            deterministic_id=True,
            object_stream_mode=pikepdf.ObjectStreamMode.generate,
            compress_streams=True,
        )
