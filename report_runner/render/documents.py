"""A report's documents: its formats, rendered from tables, charts and a template."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack, nullcontext
from importlib import resources
from pathlib import Path
from typing import Any

from report_runner import tracing
from report_runner.contract import traces
from report_runner.contract.files import TEMPORARY_SUFFIX
from report_runner.contract.report import BuiltinTemplate, Format
from report_runner.formats import FORMATS, RenderJob
from report_runner.models import Document, RenderInput
from report_runner.render.bounded import check_run
from report_runner.render.charts import ChartJob
from report_runner.render.context import TABLE_STYLE_FILE, TABLE_STYLE_MARK
from report_runner.render.references import check_references
from report_runner.render.template import FIELD, Page, render_line, render_page

__all__ = ["builtin_template", "render", "render_text"]

# The marks in builtin templates, and the shared file that replaces each.
_SHARED = {
    "{# base blocks #}\n": "blocks.html.j2",
    "/* base style */": "base.css",
    TABLE_STYLE_MARK: TABLE_STYLE_FILE,
}


def render(data: RenderInput, formats: Sequence[Format], directory: Path) -> list[Document]:
    """Write `directory/report.<format>.tmp` for each format; the documents in the given order.

    A file that holds one source alone is `report-<source>.<format>.tmp`.

    Raises RunError: ConfigurationError for what the author can mend (it names the template's line
    or the chart), ResourceExhausted for what needs too much time, memory or space.
    """
    pages = [wanted for wanted in formats if FORMATS[wanted].needs_page]
    documents = []
    for wanted in formats:
        if wanted in pages:
            continue
        start = FORMATS[wanted].start_worker
        with start() if start else nullcontext() as worker:
            documents += _write(wanted, data, directory, worker=worker)
    if pages:
        documents += _render_pages(data, pages, directory)
    check_run(documents)
    return sorted(documents, key=lambda document: list(formats).index(document.format))


def _write(
    wanted: Format,
    data: RenderInput,
    directory: Path,
    page: Page | None = None,
    worker: Any = None,
) -> list[Document]:
    documents = []
    for source in FORMATS[wanted].files_of(data):
        path = directory / f"report{wanted.suffix_of(source)}{TEMPORARY_SUFFIX}"
        job = RenderJob(data, path, page, worker, source)
        with tracing.span(traces.FORMAT, {traces.NAME: wanted.value}):
            count = FORMATS[wanted].write(job)
        documents.append(Document(wanted, path, count, source, tuple(job.notes)))
        check_run(documents)  # before the next one, which takes space as well
    return documents


def _render_pages(data: RenderInput, formats: Sequence[Format], directory: Path) -> list[Document]:
    with ExitStack() as stack:
        # Charts are drawn and the workers' libraries load while the template is rendered.
        job = ChartJob(data.charts, data.tables, data.time_zone)
        stack.callback(job.cancel)
        workers = {
            wanted: stack.enter_context(start())
            for wanted in formats
            if (start := FORMATS[wanted].start_worker) is not None
        }
        page = render_page(data, job.result())
        check_references(page.markup, data.template, FIELD)
        return [
            document
            for wanted in formats
            for document in _write(wanted, data, directory, page, workers.get(wanted))
        ]


def builtin_template(name: BuiltinTemplate) -> str:
    """The Jinja2 source, with the shared blocks and styles in place."""
    folder = resources.files("report_runner") / "templates"
    source = (folder / f"{name.value}.html.j2").read_text(encoding="utf-8")
    for mark, file in _SHARED.items():
        source = source.replace(mark, (folder / file).read_text(encoding="utf-8"))
    return source


def render_text(source: str, data: RenderInput) -> str:
    """One line of plain text from a template, for an e-mail's subject."""
    return render_line(source, data)
