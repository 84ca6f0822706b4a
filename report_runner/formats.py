"""The table of output formats: how each is written.

A format's name and media type are with its member of `Format`, which the CRD lists.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from report_runner.contract.report import Format
from report_runner.models import RenderInput
from report_runner.render.bounded import open_text
from report_runner.render.csvfile import csv_sources, write_source
from report_runner.render.jsonfile import write_json
from report_runner.render.page import expand, with_policy
from report_runner.render.template import Page


@dataclass(frozen=True, slots=True)
class RenderJob:
    """What a renderer works with."""

    data: RenderInput
    path: Path  # of the file to write
    rendered: Page | None = None
    worker: Any = None  # what `start_worker` of the format gave
    source: str | None = None  # of `files_of` of the format
    notes: list[str] = field(default_factory=list)  # what a reader of the file has to know

    @property
    def page(self) -> Page:
        """The rendered template. Raises LookupError where the format does not declare it."""
        if self.rendered is None:
            raise LookupError(f"{self.path.name}: its format has to declare needs_page")
        return self.rendered


@dataclass(frozen=True, slots=True)
class OutputFormat:
    """How one format is written.

    `write` returns the number of pages, or None where the format has none. It opens its file with
    `open_text`, or otherwise ends at files.OUTPUT_FILE_LIMIT. `files_of` gives the source of each
    file where the format has one for each source; None is the one file of the whole report.
    """

    write: Callable[[RenderJob], int | None]
    needs_page: bool = False  # the template is rendered and the charts are drawn
    start_worker: Callable[[], AbstractContextManager[Any]] | None = None
    files_of: Callable[[RenderInput], Sequence[str | None]] = lambda _: (None,)


def _write_csv(job: RenderJob) -> None:
    write_source(job.data, job.source, job.path)


def _write_json(job: RenderJob) -> None:
    write_json(job.data, job.path)


def _write_xlsx(job: RenderJob) -> None:
    from report_runner.render.xlsx import write_xlsx

    job.notes.extend(write_xlsx(job.data, job.path))


def _parquet_files(data: RenderInput) -> Sequence[str | None]:
    return data.sources_for(Format.PARQUET)


def _parquet_worker() -> AbstractContextManager[Any]:
    from report_runner.render.parquet import Worker

    return Worker()


def _write_parquet(job: RenderJob) -> None:
    from report_runner.render.parquet import write_parquet

    write_parquet(job.data, job.source or "", job.path, job.worker)


def _write_html(job: RenderJob) -> None:
    with open_text(job.path, Format.HTML, "utf-8") as stream:
        stream.write(with_policy(expand(job.page)))


def _pdf_worker() -> AbstractContextManager[Any]:
    # Imported only where it is needed: a fresh pod pays for every import.
    from report_runner.render.pdf import Worker

    return Worker()


def _write_pdf(job: RenderJob) -> int:
    from report_runner.render.pdf import write_pdf

    return write_pdf(job.page, job.path, job.data.generated_at, job.worker)


# workers.likely_needed starts the worker of PDF ahead of this table: importing it takes too long.
FORMATS: dict[Format, OutputFormat] = {
    Format.PDF: OutputFormat(_write_pdf, needs_page=True, start_worker=_pdf_worker),
    Format.HTML: OutputFormat(_write_html, needs_page=True),
    Format.CSV: OutputFormat(_write_csv, files_of=csv_sources),
    Format.XLSX: OutputFormat(_write_xlsx),
    Format.JSON: OutputFormat(_write_json),
    Format.PARQUET: OutputFormat(
        _write_parquet, start_worker=_parquet_worker, files_of=_parquet_files
    ),
}
