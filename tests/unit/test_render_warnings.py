"""Warnings above a report, whatever its template is."""

from __future__ import annotations

from pathlib import Path

import pytest
from pypdf import PdfReader
from test_render_documents import given

from report_runner.contract.report import BuiltinTemplate, Format
from report_runner.delivery.message import email_bodies
from report_runner.render.documents import builtin_template, render
from report_runner.render.warnings import with_warnings

TEXT = "not ready: 3 < 4"


@pytest.mark.parametrize(
    ("page", "before"),
    [
        ("<html><head><title>x</title></head><body id='b'>report</body></html>", "<body id='b'>"),
        ("<html><BODY>report</BODY></html>", "<BODY>"),
        ("<!-- <body> --><html><body>report</body></html>", "<html><body>"),
        ("<html><head><title>x</title></head>report</html>", "</head>"),
        ("<!-- </head> -->report", ""),
        ("report", ""),
    ],
)
def test_warning_is_the_first_that_a_page_shows(page: str, before: str) -> None:
    marked = with_warnings(page, [TEXT])
    assert f'{before}<p class="report-warning"' in marked
    assert "<b>Warning:</b> not ready: 3 &lt; 4</p>" in marked
    assert marked.endswith(page[page.index("report") :])


def test_page_without_warnings_is_as_it_was() -> None:
    assert with_warnings("<body>x", ()) == "<body>x"


@pytest.mark.parametrize("builtin", list(BuiltinTemplate))
def test_first_page_of_a_pdf_has_the_warning(tmp_path: Path, builtin: BuiltinTemplate) -> None:
    template = builtin_template(builtin)
    (plain,) = render(given(template=template), [Format.PDF], tmp_path)
    pages = plain.pages
    (made,) = render(given(template=template, warnings=(TEXT,)), [Format.PDF], tmp_path)
    assert TEXT in PdfReader(made.path).pages[0].extract_text()
    assert made.pages == pages


def test_mail_says_each_warning_before_all_else() -> None:
    text, html = email_bodies(given(warnings=(TEXT, "another")))
    assert text.startswith("Warning: not ready: 3 < 4\nWarning: another\nReport: ")
    assert "not ready: 3 &lt; 4</p>" in html
    assert html.index("another") < html.index("<table>")


def test_mail_without_warnings_is_as_it_was() -> None:
    text, html = email_bodies(given())
    assert text.startswith("Report: ")
    assert "Warning" not in html
