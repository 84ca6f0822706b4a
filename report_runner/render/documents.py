"""A report's documents: PDF, HTML and CSV out of tables, charts and a template."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from importlib import resources
from pathlib import Path

from markupsafe import escape

from report_runner.contract.report import BuiltinTemplate, Format
from report_runner.models import Document, RenderInput
from report_runner.render.bounded import check_run, open_text
from report_runner.render.charts import ChartJob
from report_runner.render.context import TABLE_STYLE_FILE, TABLE_STYLE_MARK
from report_runner.render.csvfile import csv_table, write_csv
from report_runner.render.page import expand, with_policy
from report_runner.render.references import check_references
from report_runner.render.template import FIELD, render_line, render_page

__all__ = ["builtin_template", "mail_body", "render", "render_text"]

# What builtin templates share, and where it goes in.
_SHARED = {
    "{# house blocks #}\n": "blocks.html.j2",
    "/* house style */": "base.css",
    TABLE_STYLE_MARK: TABLE_STYLE_FILE,
}


def render(data: RenderInput, formats: Sequence[Format], directory: Path) -> list[Document]:
    """Write `directory/report.<format>.tmp` for each format.

    Raises RunError: ConfigurationError for what the author can mend (it names the template's line
    or the chart), ResourceExhausted for what needs too much time, memory or space.
    """
    documents: list[Document] = []
    for wanted in formats:
        if wanted is Format.CSV:
            path = directory / "report.csv.tmp"
            write_csv(csv_table(data), path)
            documents.append(Document(wanted, path))
    pages = [wanted for wanted in formats if wanted is not Format.CSV]
    if pages:
        documents += _render_pages(data, pages, directory)
    check_run(documents)
    return sorted(documents, key=lambda document: list(formats).index(document.format))


def _render_pages(data: RenderInput, formats: Sequence[Format], directory: Path) -> list[Document]:
    from report_runner.render.pdf import Worker, write_pdf

    documents: list[Document] = []
    with ExitStack() as stack:
        # Charts are drawn and the printer's libraries load while the template is worked on.
        job = ChartJob(data.charts, data.tables, data.time_zone)
        stack.callback(job.cancel)
        worker = stack.enter_context(Worker()) if Format.PDF in formats else None
        page = render_page(data, job.result())
        check_references(page.markup, data.template, FIELD)
        for wanted in formats:
            path = directory / f"report.{wanted.value}.tmp"
            if wanted is Format.HTML:
                with open_text(path, wanted, "utf-8") as stream:
                    stream.write(with_policy(expand(page)))
                documents.append(Document(wanted, path))
            elif worker is not None:
                count = write_pdf(page, path, data.generated_at, worker)
                documents.append(Document(wanted, path, count))
    return documents


def builtin_template(name: BuiltinTemplate) -> str:
    """The source of a template that comes with the runner."""
    folder = resources.files("report_runner") / "templates"
    source = (folder / f"{name.value}.html.j2").read_text(encoding="utf-8")
    for mark, file in _SHARED.items():
        source = source.replace(mark, (folder / file).read_text(encoding="utf-8"))
    return source


def render_text(source: str, data: RenderInput) -> str:
    """One line of plain text from a template, for a mail's subject."""
    return render_line(source, data)


def mail_body(data: RenderInput) -> tuple[str, str]:
    """Plain text and HTML of the mail that brings the report."""
    facts = [
        ("Report", data.title),
        ("Report date", f"{data.report_date}"),
        ("Scheduled for", f"{data.slot:%Y-%m-%d %H:%M} UTC"),
        ("Schedule", f"{data.namespace}/{data.name}"),
        ("Run", data.run_id),
    ]
    text = "\n".join(f"{label}: {value}" for label, value in facts)
    rows = "".join(
        f'<tr><td style="color:#5c6b7e;padding:2px 16px 2px 0">{escape(label)}</td>'
        f"<td>{escape(value)}</td></tr>"
        for label, value in facts
    )
    html = (
        '<html><body style="font-family:Arial,sans-serif;color:#1b2a3d">'
        f'<h2 style="font-weight:600">{escape(data.title)}</h2><table>{rows}</table>'
        "</body></html>"
    )
    return f"{text}\n", html
