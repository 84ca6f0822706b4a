"""Prints HTML to PDF in worker processes; long tables in pieces, in parallel.

WeasyPrint needs 0.6 ms and 19 kB for each cell, so a document with thousands of rows is cut into
pieces of some 470 rows. The pieces are made without anything in the pages' margins; then one
document of empty pages brings the margins of all pages, so that "page 7 of 41" is counted by
the same engine as in a document made at once.
"""

from __future__ import annotations

import hashlib
import json
import pickle
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from report_runner.contract import files
from report_runner.contract.reasons import Reason
from report_runner.contract.report import Format
from report_runner.models import RunError
from report_runner.render import workers
from report_runner.render.bounded import check_size, is_too_large, too_large
from report_runner.render.cgroup import cpu_limit, memory_limit
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
from report_runner.render.sandbox import MIB, SandboxLimits, read_bounded, share_of_memory
from report_runner.render.split import (
    LONG_TABLE,
    Cut,
    LongDocument,
    find_long_tables,
    slice_rows,
)
from report_runner.render.template import FIELD, Page

PIECE_ROWS = 470
SECONDS = 600.0  # for one piece
MEMORY_LIMIT = 1536 * MIB
TWO_WORKERS_MEMORY = 600 * MIB  # of the cgroup, from which on two fit
_ANSWER_LIMIT = MIB


class Worker:
    """A process that prints; see render.pdf_worker."""

    def __init__(self) -> None:
        self._process = workers.take(workers.WorkerKind.PAGES)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        workers.stop(self._process)

    def send(self, request: Request) -> None:
        """Send a request; `receive` returns its answer."""
        assert self._process.stdin is not None  # noqa: S101 - it is a pipe
        try:
            pickle.dump(request, self._process.stdin)
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # the process has ended: receive() reports it

    def receive(self) -> Answer:
        """The answer to the oldest request. Raises RunError."""
        assert self._process.stdout is not None  # noqa: S101 - it is a pipe
        limits = SandboxLimits(SECONDS, share_of_memory(MEMORY_LIMIT, 0.85), _ANSWER_LIMIT)
        line = read_bounded(
            self._process.pid,
            self._process.stdout.fileno(),
            limits,
            "the PDF",
            until=lambda received: received.endswith(b"\n"),
        )
        if not line.endswith(b"\n"):
            raise RunError(
                Reason.RESOURCE_EXHAUSTED,
                "the PDF: its process was killed, most likely for want of memory; raise "
                "spec.resources.limits.memory, or show fewer rows",
            )
        fields = json.loads(line)
        following = fields.pop("next_row")
        answer = Answer(next_row=None if following is None else tuple(following), **fields)
        if answer.kind:
            if is_too_large(answer.error):
                raise too_large(Format.PDF)
            if answer.kind == "MemoryError":
                raise RunError(Reason.RESOURCE_EXHAUSTED, "the PDF: needs too much memory")
            problem = answer.error
            if answer.kind != DoesNotFitError.__name__:
                problem = f"cannot be printed: {answer.kind}: {answer.error}".rstrip(": ")
            raise RunError(Reason.CONFIGURATION_ERROR, f"{FIELD}: {problem}")
        return answer

    def ask(self, request: Request) -> Answer:
        self.send(request)
        return self.receive()


@dataclass(frozen=True, slots=True)
class _Printed:
    path: Path
    pages: int


def write_pdf(page: Page, path: Path, created: datetime, worker: Worker) -> int:
    """Print a page to `path`; the number of pages. Raises RunError."""
    document = _long_document(page)
    if document is None:
        html = expand(page)
        answer = worker.ask(
            WholeRequest(
                html,
                str(path),
                f"D:{created.astimezone(UTC):%Y%m%d%H%M%S}Z",
                hashlib.md5(html.encode(), usedforsecurity=False).digest(),
            )
        )
        return answer.pages
    with ExitStack() as stack:
        workers = [worker]
        if _room_for_two():
            workers.append(stack.enter_context(Worker()))
        for one in workers:
            one.ask(SkeletonRequest(document.skeleton))
        pieces = _print_pieces(document, workers, path)
        pages = sum(piece.pages for piece in pieces)
        margins = path.with_suffix(".margins")
        worker.ask(MarginsRequest(pages, str(margins)))
        _merge(pieces, margins, path, created)
    return pages


def _room_for_two() -> bool:
    limit = memory_limit()
    return cpu_limit() >= 1.5 and (limit is None or limit >= TWO_WORKERS_MEMORY)


def _long_document(page: Page) -> LongDocument | None:
    """The document to cut; None where it is short or has to stay whole."""
    given = {
        str(index): table.rows
        for index, table in enumerate(page.tables)
        if len(table.rows) > LONG_TABLE
    }
    markup = fold(page, given)
    if not given and markup.count("<tr") <= LONG_TABLE:
        return None
    import tinyhtml5

    root = tinyhtml5.parse(markup, namespace_html_elements=False)  # type: ignore[no-untyped-call]
    return find_long_tables(root, given)


def _print_pieces(document: LongDocument, workers: Sequence[Worker], path: Path) -> list[_Printed]:
    """All pieces in their order.

    The first says how many rows a page takes. While pages are uniform, pieces that end with a
    page are printed in parallel; where a piece ends elsewhere, the later ones are discarded and
    the next begins at its real end.
    """
    done: list[_Printed] = []
    size = 0  # bytes of the pieces: the merged file has about as many
    start: Cut | None = None
    rows_per_page = 0
    finished = False
    while not finished:
        plan = list(_plan(document, start, rows_per_page))
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
            answer = one.receive()
            free.append(one)
            done.append(_Printed(target, answer.pages))
            if answer.pages:
                size += check_size(target, Format.PDF)
            if size > files.OUTPUT_FILE_LIMIT:
                raise too_large(Format.PDF)
            if end is None:
                finished = True
                break
            if answer.next_row is None or answer.pages == 0:
                raise RunError(
                    Reason.CONFIGURATION_ERROR,
                    f"{FIELD}: a row of a long table is higher than a page; shorten its text",
                )
            start = Cut(*answer.next_row)
            rows_per_page = answer.rows_per_page
            if start != end:
                for other, _, _ in waiting:  # printed from a start that turned out wrong
                    other.receive()
                break
    return done


def _plan(
    document: LongDocument, start: Cut | None, rows_per_page: int
) -> Iterator[tuple[Cut | None, Cut | None]]:
    """The pieces to print next: one, or several where the rows per page are known."""
    table = start.table if start else 0
    row = start.row if start else 0
    total = len(document.rows[table])
    size = PIECE_ROWS
    if rows_per_page and start is not None:
        size = max(PIECE_ROWS // rows_per_page, 1) * rows_per_page
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


def _merge(pieces: Sequence[_Printed], margins: Path, path: Path, created: datetime) -> None:
    """One file of all pieces, each page with its margins."""
    import pikepdf

    with pikepdf.new() as merged, pikepdf.open(margins) as frames:
        for piece in pieces:
            with pikepdf.open(piece.path) as part:
                merged.pages.extend(part.pages)
        for target, frame in zip(merged.pages, frames.pages, strict=True):
            pikepdf.Page(target).add_overlay(pikepdf.Page(frame), None)
        stamp = f"D:{created.astimezone(UTC):%Y%m%d%H%M%S}Z"
        merged.docinfo["/CreationDate"] = merged.docinfo["/ModDate"] = pikepdf.String(stamp)
        if "/Title" in frames.docinfo:
            merged.docinfo["/Title"] = pikepdf.String(str(frames.docinfo["/Title"]))
        merged.save(
            path,
            deterministic_id=True,
            object_stream_mode=pikepdf.ObjectStreamMode.generate,
            compress_streams=True,
        )
    for used in (margins, *(piece.path for piece in pieces)):
        used.unlink()
