"""Documents: pages are numbered right, every row stands once, nothing outside is read."""

from __future__ import annotations

import csv
import re
import subprocess
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from pypdf import PdfReader

from report_runner.contract.reasons import Reason
from report_runner.contract.report import BuiltinTemplate, Chart, Format
from report_runner.contract.templating import template_environment
from report_runner.models import RenderInput, RunError, Table
from report_runner.render.context import template_context
from report_runner.render.documents import builtin_template, render, render_text

NOW = datetime(2026, 1, 5, 6, tzinfo=UTC)


def given(rows: int = 3, template: str = "", **changes: object) -> RenderInput:
    table = Table(("code", "amount"), [(f"ROW{n:05d}", n * 1.5 - 3) for n in range(rows)])
    values: dict[str, object] = {
        "title": "A <title>",
        "report_type": "positions",
        "namespace": "reports",
        "name": "positions",
        "slot": NOW,
        "report_date": date(2026, 1, 5),
        "time_zone": "Europe/Madrid",
        "generated_at": NOW,
        "run_id": "run.1",
        "parameters": {},
        "tables": {"positions": table},
        "template": template or builtin_template(BuiltinTemplate.EXECUTIVE_DASHBOARD),
    }
    return RenderInput(**(values | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize("builtin", list(BuiltinTemplate))
def test_a_long_table_over_many_pages(tmp_path: Path, builtin: BuiltinTemplate) -> None:
    (made,) = render(given(900, builtin_template(builtin)), [Format.PDF], tmp_path)
    texts = [page.extract_text() for page in PdfReader(made.path).pages]
    assert made.pages == len(texts) > 10
    for number, text in enumerate(texts, 1):
        assert f"Page {number} of {len(texts)}" in text
        assert "Amount" in text  # the table's head, on every page
    assert re.findall(r"ROW\d{5}", "\n".join(texts)) == [f"ROW{n:05d}" for n in range(900)]


@pytest.mark.parametrize("builtin", list(BuiltinTemplate))
@pytest.mark.parametrize("count", [3, 12, 40, 120])
def test_every_number_stands_whole(tmp_path: Path, builtin: BuiltinTemplate, count: int) -> None:
    columns = ("account", *(f"month_{n:03d}" for n in range(1, count)))
    rows = [
        (f"ACC-{row:05d}", *(Decimal(f"{1_000_000 * n + 7919 * row}.{n % 100:02d}")
                             for n in range(1, count)))
        for row in range(8)
    ]  # fmt: skip
    data = given(0, builtin_template(builtin), tables={"a": Table(columns, rows)})
    (made,) = render(data, [Format.PDF], tmp_path)
    text = subprocess.run(["pdftotext", "-layout", made.path, "-"], capture_output=True, check=True)
    shown = set(text.stdout.decode().split())
    assert {f"{value:,}" for row in rows for value in row[1:]} <= shown
    parts = re.findall(r"part (\d+) of (\d+)", text.stdout.decode())
    assert all(number == str(n) for n, (number, _) in enumerate(parts, 1))
    for account, *_ in rows:  # the key column stands in each part
        assert text.stdout.decode().count(account) == max(len(parts), 1)


def test_a_column_wider_than_the_page_fails_with_a_remedy(tmp_path: Path) -> None:
    table = Table(("key", "digits"), [("a", int("9" * 200))])
    with pytest.raises(RunError, match=r"column 'digits' needs \d+ pt.*shorten") as caught:
        render(given(tables={"a": table}), [Format.PDF], tmp_path)
    assert caught.value.reason is Reason.CONFIGURATION_ERROR


def test_rows_that_are_left_out_are_counted(tmp_path: Path) -> None:
    template = "{{ table(sources.positions, limit=2) }}"
    (made,) = render(given(1200, template), [Format.HTML], tmp_path)
    assert "2 of 1,200 rows" in made.path.read_text()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, None),
        ({"parameters": {"data_date": "2026-01-02"}}, "2 January 2026"),
        ({"tables": {"a": Table(("as_of",), [("2025-12-31",), (None,)])}}, "31 December 2025"),
        # 23:30 in Madrid is the day before in UTC's afternoon, and the schedule is Madrid's.
        ({"tables": {"a": Table(("as_of",), [(datetime(2026, 1, 1, 23, 30, tzinfo=UTC),)])}},
         "2 January 2026"),
    ],
)  # fmt: skip
def test_data_date_is_said_where_the_data_say_it(
    tmp_path: Path, changes: dict[str, object], said: str | None
) -> None:
    (made,) = render(given(**changes), [Format.HTML], tmp_path)  # type: ignore[arg-type]
    text = re.sub(r"<[^>]+>|\s+", " ", made.path.read_text())
    assert ("data of" in text) is (said is not None)
    assert said is None or said in text


def test_html_is_one_file_and_escaped(tmp_path: Path) -> None:
    (made,) = render(given(), [Format.HTML], tmp_path)
    html = made.path.read_text()
    assert "A &lt;title&gt;" in html
    assert "default-src 'none'" in html


def test_csv_is_safe_in_a_spreadsheet(tmp_path: Path) -> None:
    table = Table(("text", "number"), [("=1+1", -5), ("@x", None), ("-3.5", 1)])
    (made,) = render(given(tables={"t": table}), [Format.CSV], tmp_path)
    with made.path.open(encoding="utf-8-sig", newline="") as stream:
        rows = list(csv.reader(stream))
    assert rows == [["text", "number"], ["'=1+1", "-5"], ["'@x", ""], ["-3.5", "1"]]


@pytest.mark.parametrize(
    ("template", "reason", "said"),
    [
        ("a\n{{ nope }}", Reason.CONFIGURATION_ERROR, "line 2: 'nope' is undefined"),
        ("{% if %}", Reason.CONFIGURATION_ERROR, "line 1"),
        ("{{ ''.__class__.__mro__ }}", Reason.CONFIGURATION_ERROR, "spec.report.template"),
        ("{{ 'a' * 200000000 }}", Reason.RESOURCE_EXHAUSTED, "too large"),
        ("{% for i in range(99999999) %}x{% endfor %}", Reason.RESOURCE_EXHAUSTED, "line 1"),
    ],
)
def test_what_is_wrong_with_a_template(
    tmp_path: Path, template: str, reason: Reason, said: str
) -> None:
    with pytest.raises(RunError) as caught:
        render(given(template=template), [Format.HTML], tmp_path)
    assert caught.value.reason is reason
    assert said in caught.value.message


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("{{ sources.positions }}", "write {{ table(sources.positions) }}"),
        ("{{ sources.positions.column }}", "a function: call it"),
        ("{{ sources.positions.rows }}", "a list: loop over it"),
        ("{{ sources.positions.columns }}", "a list: loop over it, or write | join(', ')"),
        ("{{ sources }}", "a mapping"),
        ("{{ parameters }}", "a mapping"),
        ("{{ charts }}", "a mapping"),
        ("{{ table }}", "a function: call it"),
        ("{% for row in sources.positions %}{{ row }}{% endfor %}", "a mapping"),
        ("{% for row in sources.positions %}{{ loop }}{% endfor %}", "loop.index"),
        ("{{ cycler(1, 2) }}", "a value of type Cycler"),
        ("{% macro m() %}{% endmacro %}{{ m }}", "a function: call it"),
        ("{{ range(3) }}", "a list"),
        ("{{ [1, 2] }}", "a list"),
        ("{{ sources.positions | map(attribute='code') }}", "a list"),
        ("{{ 'a' ~ sources.positions }}", "table(sources.positions)"),
        ("{{ sources.positions | string }}", "table(sources.positions)"),
        ("{{ sources.positions | upper }}", "table(sources.positions)"),
        ("{{ sources.positions | e }}", "table(sources.positions)"),
        ("{{ sources.positions | pprint }}", "table(sources.positions)"),
        ("{{ [sources.positions] | join }}", "table(sources.positions)"),
        ("{{ '%s' % sources.positions }}", "table(sources.positions)"),
        ("{{ '%s' | format(sources.positions) }}", "table(sources.positions)"),
        ("{{ '{}'.format(sources.positions) }}", "table(sources.positions)"),
        ("{{ sources.positions | join(', ') }}", "a mapping"),
    ],
)
def test_objects_are_not_printed(tmp_path: Path, template: str, said: str) -> None:
    with pytest.raises(RunError) as caught:
        render(given(template=f"a\n{template}"), [Format.HTML], tmp_path)
    assert caught.value.reason is Reason.CONFIGURATION_ERROR
    assert "spec.report.template: line 2: cannot print" in caught.value.message
    assert said in caught.value.message
    with pytest.raises(RunError, match=r"spec\.delivery\.email\.subject.* cannot print"):
        render_text(template, given())


def test_values_are_printed(tmp_path: Path) -> None:
    template = (
        "{{ 1 }} {{ 1.5 }} {{ true }} {{ none }} {{ report_date }} {{ title }} "
        "{{ 'a' ~ none ~ 1 }} {{ sources.positions.columns | join('+') }} {{ '%s %d' % ('x', 2) }} "
        "{{ sources.positions | map(attribute='code') | join(',') }} {{ [1] | tojson }} "
        "{{ sources.positions | join(';', attribute='code') }}"
    )
    (made,) = render(given(template=template), [Format.HTML], tmp_path)
    assert made.path.read_text().endswith(
        "1 1.5 True – 2026-01-05 A &lt;title&gt; a–1 code+amount x 2 "
        "ROW00000,ROW00001,ROW00002 [1] ROW00000;ROW00001;ROW00002"
    )


@pytest.mark.parametrize(
    "expression", ["datum.nope.x", "regexp('(', 'g')", "format(1, 'nosuch')", "nosuch(1)"]
)
def test_a_chart_whose_expression_fails_is_an_error(tmp_path: Path, expression: str) -> None:
    good = {"mark": "bar", "encoding": {"x": {"field": "amount", "type": "quantitative"}}}
    bad = good | {"transform": [{"calculate": expression, "as": "amount"}]}
    charts = tuple(
        Chart(name=name, source="positions", spec=spec)
        for name, spec in (("good", good), ("bad", bad))
    )
    with pytest.raises(RunError) as caught:
        render(given(charts=charts), [Format.HTML], tmp_path)
    assert caught.value.reason is Reason.CONFIGURATION_ERROR
    assert caught.value.message.startswith("spec.report.charts[bad].spec")
    render(given(charts=charts[:1]), [Format.HTML], tmp_path)


def test_no_file_is_embedded(tmp_path: Path) -> None:
    # The check of references takes it for a link; what prints refuses to load it.
    template = "<a rel=attachment href=file:///etc/passwd>text</a>"
    with pytest.raises(RunError, match="would be missing: Failed to load attachment"):
        render(given(template=template), [Format.PDF], tmp_path)


@pytest.mark.parametrize(
    "markup",
    [
        "<img src=REF>",
        "<img srcset='data:image/png;base64,AA 1x, REF 2x'>",
        "<picture><source srcset='REF 1x'></picture>",
        "<link rel=stylesheet href=REF>",
        "<link rel=attachment href=REF>",
        "<style>@import 'REF';</style>",
        "<style>@font-face { font-family: x; src: url(REF) }</style>",
        "<p style=\"background: url('REF')\">",
        "<svg><image href='REF'/></svg>",
        "<svg><use xlink:href='REF#a'/></svg>",
        "<object data='REF'></object>",
        "<embed src='REF'>",
        "<iframe src='REF'></iframe>",
        "<input type=image src='REF'>",
    ],
)
@pytest.mark.parametrize("reference", ["https://example.com/l.png", "l.png", "file:///etc/passwd"])
def test_what_will_not_be_loaded_is_an_error(tmp_path: Path, markup: str, reference: str) -> None:
    template = "<p>\n" + markup.replace("REF", reference)
    with pytest.raises(RunError) as caught:
        render(given(template=template), [Format.HTML], tmp_path)
    assert caught.value.reason is Reason.CONFIGURATION_ERROR
    assert "spec.report.template: line 2: " in caught.value.message
    assert reference in caught.value.message


def test_what_needs_no_loading_is_no_error(tmp_path: Path) -> None:
    svg = "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg'/%3E"
    template = (
        f'<img src="{svg}"><a href="https://example.com/">a</a><a href="#b">b</a>'
        "<svg><defs><g id=c></g></defs><use href='#c'/></svg>"
        "<style>/* url(l.png) */ p { fill: url(#d) }</style><p>url(l.png)</p>"
    )
    assert len(render(given(template=template), [Format.HTML, Format.PDF], tmp_path)) == 2


def test_an_image_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    template = "<img src='data:image/png;base64,iVBORw0KGgo='>"  # of a PNG the first bytes alone
    with pytest.raises(RunError, match="would be missing: Failed to load image") as caught:
        render(given(template=template), [Format.PDF], tmp_path)
    assert caught.value.reason is Reason.CONFIGURATION_ERROR


def test_the_context_shadows_no_name_of_the_template_language() -> None:
    names = set(template_context(given(), {})) | {"table"}
    assert not names & set(template_environment().globals)


def test_a_chart_reads_nothing_but_its_source(tmp_path: Path) -> None:
    chart = Chart(name="bad", source="positions", spec={"mark": "bar", "data": {"url": "http://x"}})
    with pytest.raises(RunError, match=r"spec\.report\.charts\[bad\]"):
        render(given(charts=(chart,)), [Format.HTML], tmp_path)


def test_a_bare_y_of_yaml_is_told() -> None:
    with pytest.raises(ValueError, match="in quotes"):
        Chart(name="c", source="s", spec={"encoding": {"true": {"field": "a"}}})


def test_the_subject_is_one_line() -> None:
    assert render_text("{{ title }}\n {{ report_date }}", given()) == "A <title> 2026-01-05"
    assert render_text("{{ 'a\r\nBcc: b' }}", given()) == "a Bcc: b"


def test_a_subject_is_neither_empty_nor_cut() -> None:
    with pytest.raises(RunError, match=r"email\.subject: is empty once it is rendered"):
        render_text("{{ ' \n' }}", given())
    assert render_text("{{ 'x' * 500 }}", given()) == "x" * 500
    with pytest.raises(RunError, match=r"subject: has 501 characters once .* at most 500"):
        render_text("{{ 'x' * 501 }}", given())
