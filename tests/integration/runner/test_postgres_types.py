"""Values of every type, as PostgreSQL itself writes them and as each output shows them.

Each batch is one query: a value per type and row, beside it PostgreSQL's own text of the same value
(or the documented format, computed by PostgreSQL). The number of values is printed.
"""

from __future__ import annotations

import csv
import html
import json
import math
import random
import re
import struct
import subprocess
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from conftest import Database
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from psycopg import sql
from pyarrow import parquet
from xlsxwriter.utility import xl_rowcol_to_cell

from report_runner.contract.definition import Definition
from report_runner.contract.numbers import average, divide, round_half_up
from report_runner.contract.reasons import Reason
from report_runner.contract.report import Format
from report_runner.environment import RunStamps
from report_runner.models import RenderInput, RunError, Table
from report_runner.mounted import Secrets
from report_runner.render.documents import render
from report_runner.render.parquet import parquet_column
from report_runner.sources import SourceContext, fetch_all
from tests.support.libreoffice import Cell, read_workbooks

ZONES = ("Europe/Madrid", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe")
ROWS = 12  # values of each type in one example
EXAMPLES = 8

whole = st.integers(-(10**9), 10**9)
# A text as a query's author writes one: any character that a line of XML can hold.
text = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zl", "Zp", "Zs", "Cn", "Co")),
    min_size=1, max_size=12,
).filter(lambda t: not t.startswith(("=", "+", "-", "@")))  # fmt: skip
numeric = st.one_of(
    st.decimals(allow_nan=False, allow_infinity=True).map(str) | st.just("NaN"),
    st.tuples(whole, st.integers(0, 60)).map(lambda p: format(Decimal(p[0]).scaleb(-p[1]), "f")),
    st.integers(-(10**200), 10**200).map(str),
)
days = st.one_of(
    st.dates().map(str),
    st.sampled_from(("infinity", "-infinity", "0044-03-15 BC", "20260-01-02", "4713-01-01 BC")),
)
clock = st.times().map(str)
instants = st.one_of(
    st.datetimes(datetime(1850, 1, 1), datetime(2100, 1, 1)).map(lambda t: f"{t} UTC"),  # noqa: DTZ001
    # Clock changes, to the second and around.
    st.integers(-7200, 7200).map(lambda n: f"2026-10-25 01:00:00 UTC|{n}"),
    st.sampled_from(("infinity", "-infinity", "0044-03-15 12:00:00 UTC BC",
                     "20260-01-02 00:00:00 UTC")),
)  # fmt: skip
spans = st.tuples(st.integers(-99, 99), st.integers(-999, 999), st.integers(-(10**12), 10**12)).map(
    lambda p: f"{p[0]} mons {p[1]} days {p[2]} microseconds"
)
json_values = st.recursive(
    st.none() | st.booleans() | whole | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=6,
)


def as_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def array(items: list[str]) -> str:
    quoted = (item.replace("\\", "\\\\").replace('"', '\\"') for item in items)
    return "{" + ",".join(f'"{item}"' for item in quoted) + "}"


def ordered(pair: tuple[int, int]) -> str:
    return f"[{min(pair)},{max(pair)})"


small = st.integers(-(2**31), 2**31 - 2)
# PostgreSQL's type → texts that it reads.
TYPES: dict[str, st.SearchStrategy[str]] = {
    "boolean": st.sampled_from(("true", "false")),
    "smallint": st.integers(-(2**15), 2**15 - 1).map(str),
    "integer": st.integers(-(2**31), 2**31 - 1).map(str),
    "bigint": st.integers(-(2**63), 2**63 - 1).map(str),
    "oid": st.integers(0, 2**32 - 1).map(str),
    "numeric": numeric,
    "numeric(18,8)": st.integers(-(10**17), 10**17).map(lambda n: str(Decimal(n).scaleb(-8))),
    "real": st.floats(width=32).map(repr),
    "double precision": st.floats().map(repr),
    "money": st.integers(-(10**12), 10**12).map(lambda n: str(Decimal(n).scaleb(-2))),
    "text": text,
    "varchar(20)": text,
    "char(14)": text,
    "name": text,
    "positive": st.integers(1, 10**6).map(str),
    "mood": st.sampled_from(("sad", "so so", "happy, or not")),
    "item": st.tuples(text, whole).map(lambda p: f'("{p[0]}",{p[1]})'.replace("\\", "")
                                       if '"' not in p[0] else f"(x,{p[1]})"),
    "bytea": st.binary(max_size=12).map(lambda b: "\\x" + b.hex()),
    "date": days,
    "time": clock,
    "timetz": clock.map(lambda t: f"{t}+05:30"),
    "timestamp": st.datetimes().map(str) | st.sampled_from(("infinity", "0001-01-01 00:00:00 BC")),
    "timestamptz": instants,
    "interval": spans,
    "uuid": st.uuids().map(str),
    "json": json_values.map(as_json),
    "jsonb": json_values.map(as_json),
    "text[]": st.lists(text, max_size=3).map(array),
    "numeric[]": st.lists(whole, max_size=3).map(lambda n: array([str(i) for i in n])),
    "date[]": st.lists(days, max_size=3).map(array),
    "timestamptz[]": st.lists(st.datetimes(datetime(1950, 1, 1), datetime(2090, 1, 1)),  # noqa: DTZ001
                              max_size=2).map(lambda d: array([f"{t} UTC" for t in d])),
    "mood[]": st.just('{sad,"happy, or not"}'),
    "int4range": st.tuples(small, small).map(ordered) | st.just("empty"),
    "daterange": st.dates(max_value=date(9990, 1, 1)).map(lambda d: f"[{d},)"),
    "int4multirange": st.tuples(small, small).map(lambda p: "{" + ordered(p) + "}"),
    "tstzrange": st.just("[2026-10-25 00:30+00,2026-10-25 01:30+00)"),
    "inet": st.ip_addresses().map(str),
    "cidr": st.ip_addresses().map(str),
    "macaddr": st.just("08:00:2b:01:02:03"),
    "bit(5)": st.text("01", min_size=5, max_size=5),
    "varbit": st.text("01", min_size=1, max_size=9),
    "xml": text.map(lambda t: f"<a>{html.escape(t)}</a>"),
    "tsvector": st.just("'a' 'cat':1A,2 'sat':3"),
    "tsquery": st.just("'cat' & !'dog'"),
    "point": st.tuples(whole, whole).map(lambda p: f"({p[0]},{p[1]})"),
    "pg_lsn": st.just("16/B374D848"),
    "regclass": st.just("pg_class"),
}  # fmt: skip
# As above, but never beyond what a cell of a workbook or a column of Parquet has.
in_reach = st.datetimes(datetime(1901, 1, 1), datetime(2090, 1, 1))  # noqa: DTZ001
TYPES |= {
    "decimal(12,2)": st.integers(-(10**11), 10**11).map(lambda n: str(Decimal(n).scaleb(-2))),
    "day": st.dates(date(1901, 1, 1)).map(str),
    "timestamp(3)": in_reach.map(str),
    "timestamptz(0)": in_reach.map(lambda t: f"{t} UTC"),
    "time(3)": st.times(max_value=time(23, 59, 59)).map(str),
}
# The documented format where it is another than `value::text`; {} is the value.
ZONED = (
    "CASE WHEN isfinite({0}) AND extract(year FROM {0}) BETWEEN 1 AND 9999 "
    "THEN regexp_replace({0}::text, '([+-]\\d\\d)$', '\\1:00') ELSE {0}::text END"
)
WRITTEN = {
    # Casts to text add a mask and take away blanks; format() writes what a client gets.
    "inet": "CASE WHEN {0} IS NOT NULL THEN format('%%s', {0}) END",
    "char(14)": "CASE WHEN {0} IS NOT NULL THEN format('%%s', {0}) END",
    # In full, without an exponent.
    "real": "CASE {0}::text WHEN '-0' THEN '-0' ELSE {0}::text::numeric::text END",
    "double precision": "CASE {0}::text WHEN '-0' THEN '-0' ELSE {0}::text::numeric::text END",
    "timestamptz": ZONED,
    "timestamptz(0)": ZONED,
}


# What JSON has as something else than PostgreSQL's text of it.
IN_JSON = (
    "boolean", "smallint", "integer", "bigint", "numeric", "numeric(18,8)", "decimal(12,2)", "real",
    "double precision", "positive", "date", "day", "timestamp", "timestamp(3)", "timestamptz",
    "timestamptz(0)", "json", "jsonb",
)  # fmt: skip
JSON_OF = {name: f"to_json({WRITTEN[name]})" for name in ("inet", "char(14)")}


@pytest.fixture(scope="module")
def types(database: Database) -> Iterator[Database]:
    with database.admin() as admin:
        admin.execute("CREATE TYPE mood AS ENUM ('sad', 'so so', 'happy, or not')")
        admin.execute("CREATE TYPE item AS (name text, amount numeric)")
        admin.execute("CREATE DOMAIN positive AS integer CHECK (VALUE > 0)")
        admin.execute("CREATE DOMAIN day AS date")
        admin.execute("ALTER DATABASE postgres SET lc_monetary = 'C'")
    yield database
    with database.admin() as admin:
        admin.execute("DROP TYPE mood, item; DROP DOMAIN positive, day")


def fetched(database: Database, directory: Path, query: str, zone: str) -> Table:
    database.secret(directory)
    definition = Definition.model_validate(
        {
            "namespace": "reports", "name": "daily", "uid": "u1", "reportType": "t",
            "timeZone": zone,
            "report": {
                "title": "Types",
                "sources": [{"name": "a", "postgres": {
                    "connection": {"secretRef": {"name": "report-db"}}, "query": query}}],
                "template": {"builtin": "executive_dashboard"},
            },
        }
    )  # fmt: skip
    run = RunStamps(datetime(2026, 1, 5, 6, tzinfo=UTC), date(2026, 1, 5), "daily.1", 1, "pod")
    return fetch_all(SourceContext(definition, run, Secrets(directory)))["a"].table


def literal(type_name: str, value: str) -> str:
    value, _, shift = value.partition("|") if type_name == "timestamptz" else (value, "", "")
    quoted = sql.Literal(value).as_string().replace("%", "%%")
    found = f"{quoted}::{type_name}"
    return f"({found} + interval '{shift} seconds')" if shift else found


def query_of(rows: list[dict[str, str | None]]) -> tuple[str, list[str]]:
    """A SELECT of the values, each with PostgreSQL's own text behind it."""
    names = list(rows[0])
    selects = []
    for row in rows:
        given = (
            f"{f'NULL::{name}' if (value := row[name]) is None else literal(name, value)} AS v{n}"
            for n, name in enumerate(names)
        )
        selects.append("SELECT " + ", ".join(given))
    shown = []
    for number, name in enumerate(names):
        written = WRITTEN.get(name, "{}::text").format(f"v{number}")
        as_json = JSON_OF.get(name, "to_json({})" if name in IN_JSON else "to_json({}::text)")
        shown += [f"v{number}", f"{written} AS t{number}"]
        shown.append(f"{as_json.format(f'v{number}')}::text AS j{number}")
    return f"SELECT {', '.join(shown)} FROM ({' UNION ALL '.join(selects)}) AS given", names


def render_input(table: Table, zone: str, template: str = "") -> RenderInput:
    now = datetime(2026, 1, 5, 6, tzinfo=UTC)
    return RenderInput(
        title="T", report_type="t", namespace="n", name="r", slot=now, report_date=date(2026, 1, 5),
        time_zone=zone, generated_at=now, run_id="r.1", parameters={}, tables={"a": table},
        template=template,
    )  # fmt: skip


def picked(table: Table, letter: str) -> Table:
    places = [i for i, name in enumerate(table.columns) if name.startswith(letter)]
    return columns_of(table, places)


def columns_of(table: Table, places: list[int]) -> Table:
    return Table(
        tuple(table.columns[i] for i in places),
        [tuple(row[i] for i in places) for row in table.rows],
        tuple(table.types[i] for i in places),
    )


compared: dict[str, int] = dict.fromkeys(("csv", "html", "pdf", "json", "xlsx", "parquet"), 0)
typed_cells = 0  # of the compared cells of workbooks, those that are no texts


def check_csv(table: Table, names: list[str], zone: str, directory: Path) -> None:
    values, texts = picked(table, "v"), picked(table, "t")
    (made,) = render(render_input(values, zone), [Format.CSV], directory)
    with made.path.open(encoding="utf-8-sig", newline="") as stream:
        found = list(csv.reader(stream))[1:]
    for row, right in zip(found, texts.rows, strict=True):
        for name, cell, expected in zip(names, row, right, strict=True):
            assert cell == ("" if expected is None else expected), name
            compared["csv"] += 1


def shown(name: str, expected: str | None) -> str:
    """What a table shows, by the documentation, of PostgreSQL's own text."""
    if expected is None:
        return "–"
    if name == "boolean":
        return "Yes" if expected == "true" else "No"
    return expected


NUMERIC = ("smallint", "integer", "bigint", "numeric", "numeric(18,8)", "real", "positive",
           "double precision", "decimal(12,2)")  # fmt: skip
MOMENTS = ("timestamp", "timestamptz", "timestamp(3)", "timestamptz(0)")


def check_html(table: Table, names: list[str], zone: str, directory: Path) -> None:
    values, texts = picked(table, "v"), picked(table, "t")
    template = "{{ table(sources.a, width=1000000) }}"
    (made,) = render(render_input(values, zone, template), [Format.HTML], directory)
    rows = re.findall(r"<tr[^>]*>(<td.*?)</tr>", made.path.read_text())
    for row, right in zip(rows, texts.rows, strict=True):
        cells = [html.unescape(cell) for cell in re.findall(r"<td[^>]*>(.*?)</td>", row)]
        for name, cell, expected in zip(names, cells, right, strict=True):
            compared["html"] += 1
            if name in NUMERIC and expected is not None:
                # A column has one number of decimals, and groups of three digits.
                plain = cell.replace(",", "").replace("−", "-")
                same = Decimal(plain) == Decimal(expected)
                assert same or (plain, expected) == ("NaN", "NaN"), (name, cell, expected)
            elif name in MOMENTS and expected is not None:
                # Seconds and offset stand where the column needs them.
                wall = re.sub(r"[+-]\d\d:\d\d(:\d\d)?\Z", "", cell)
                assert expected.startswith(wall.rstrip("0").rstrip(".:")), name
            else:
                assert cell == shown(name, expected), name


def check_pdf(table: Table, names: list[str], zone: str, directory: Path) -> None:
    """Each value on a line of its own between two marks."""
    template = (
        "<style>@page{size:5000mm 400mm} p{font:6pt 'DejaVu Sans';margin:0;white-space:pre}</style>"
        "{% for row in sources.a %}{% for name, value in row.items() %}"
        "<p>#{{ name }}#{{ value }}#</p>{% endfor %}{% endfor %}"
    )
    plain = [i for i, name in enumerate(names) if name not in ("boolean", "text", "varchar(20)",
             "char(14)", "name", "item", "json", "jsonb", "text[]", "xml")]  # fmt: skip
    values, texts = picked(table, "v"), picked(table, "t")
    wanted = columns_of(values, plain)
    (made,) = render(render_input(wanted, zone, template), [Format.PDF], directory)
    done = subprocess.run(["pdftotext", "-raw", made.path, "-"], capture_output=True, check=True)
    found = re.findall(r"#v\d+#(.*?)#", re.sub(r"\s+", "", done.stdout.decode()))
    expected = [row[i] for row in texts.rows for i in plain]
    for name, cell, right in zip(
        [names[i] for _ in texts.rows for i in plain], found, expected, strict=True
    ):
        assert cell == ("–" if right is None else re.sub(r"\s+", "", right)), name
        compared["pdf"] += 1


def check_json(table: Table, names: list[str], zone: str, directory: Path) -> None:
    """As PostgreSQL's to_json, and of a type that JSON does not have its text."""
    values, right = picked(table, "v"), picked(table, "j")
    (made,) = render(render_input(values, zone), [Format.JSON], directory)
    found = json.loads(made.path.read_text(), parse_float=Decimal)["a"]
    for record, expected in zip(found, right.rows, strict=True):
        for name, value, text in zip(names, record.values(), expected, strict=True):
            wanted = None if text is None else json.loads(text, parse_float=Decimal)
            assert value == wanted, (name, value, text)
            compared["json"] += 1


def accepted(table: Table, number: int, expected: list[Any], zone: str) -> bool:
    """Whether Parquet has a type for the column; where it has none, it is right to say so."""
    try:
        parquet_column("a", table, number, ZoneInfo(zone))
    except RunError as error:
        refused = error.reason
    else:
        return True
    assert refused is Reason.CONFIGURATION_ERROR
    texts = [text for text in expected if text is not None]
    beyond = ("NaN", "Infinity", "infinity", "BC", "24:00:00")
    digits = max((len(text.strip("-").replace(".", "")) for text in texts), default=0)
    years = [re.match(r"\d{5}", text) for text in texts]
    assert any(part in text for part in beyond for text in texts) or any(years) or digits > 38
    return False


def check_parquet(table: Table, names: list[str], zone: str, directory: Path) -> None:
    values, texts = picked(table, "v"), picked(table, "t")
    kept = [n for n in range(len(names))
            if accepted(values, n, [row[n] for row in texts.rows], zone)]  # fmt: skip
    assert len(kept) > len(names) - 6
    (made,) = render(render_input(columns_of(values, kept), zone), [Format.PARQUET], directory)
    found = parquet.read_table(made.path)
    for field, place in zip(found.schema, kept, strict=True):
        column = found.column(field.name).to_pylist()
        for value, row in zip(column, texts.rows, strict=True):
            assert same_as_text(value, row[place], str(field.type)), (
                names[place],
                value,
                row[place],
            )
            compared["parquet"] += 1


def same_as_text(value: Any, text: str | None, type_: str) -> bool:
    if value is None or text is None:
        return value is None and text is None
    if type_ == "bool":
        return text == ("true" if value else "false")
    if type_.startswith(("int", "decimal")):
        return Decimal(value) == Decimal(text)
    if type_ == "double":
        return repr(value) == repr(float(text))
    if type_ == "float":
        return struct.pack("f", value) == struct.pack("f", float(text))
    if type_.startswith("timestamp"):
        moment = datetime.fromisoformat(text)
        return value.replace(tzinfo=UTC if moment.tzinfo is None else value.tzinfo).timestamp() == (
            moment.replace(tzinfo=moment.tzinfo or UTC).timestamp()
        )
    if type_.startswith("time64"):
        return value == time.fromisoformat(text)
    return str(value) == text


@dataclass(frozen=True)
class Workbook:
    """A workbook that is looked at when all are made, and what has to be in it."""

    path: Path
    names: list[str]
    texts: Table


def make_workbook(table: Table, names: list[str], zone: str, directory: Path, n: int) -> Workbook:
    (made,) = render(render_input(picked(table, "v"), zone), [Format.XLSX], directory)
    return Workbook(made.path.rename(directory / f"{n}.xlsx"), names, picked(table, "t"))


def check_workbooks(workbooks: list[Workbook], directory: Path) -> None:
    global typed_cells
    read = read_workbooks([workbook.path for workbook in workbooks], directory)
    for workbook, sheets in zip(workbooks, read, strict=True):
        _, *rows = sheets["a"]
        numbers = numbers_in(workbook.path)
        for line, (row, right) in enumerate(zip(rows, workbook.texts.rows, strict=True), 1):
            cells = row + [Cell()] * (len(right) - len(row))
            for place, (name, cell, expected) in enumerate(
                zip(workbook.names, cells, right, strict=True)
            ):
                assert same_as_cell(cell, expected), (name, cell, expected)
                if cell.kind == "float" and not cell.formula:
                    assert numbers[xl_rowcol_to_cell(line, place)] == Decimal(expected), name
                compared["xlsx"] += 1
                typed_cells += cell.kind not in ("", "string")


def numbers_in(path: Path) -> dict[str, Decimal]:
    """The numbers of the first sheet, by cell, with the digits that stand in the file."""
    with zipfile.ZipFile(path) as archive:
        sheet = archive.read("xl/worksheets/sheet1.xml").decode()
    found = re.findall(r'<c r="([A-Z]+\d+)"(?: s="\d+")?><v>([^<]*)</v></c>', sheet)
    return {cell: Decimal(number) for cell, number in found}


def same_as_cell(cell: Cell, text: str | None) -> bool:
    assert not cell.links
    if text is None or not cell.kind:
        return not cell.kind and not text
    if cell.kind == "date":
        wall = re.sub(r"([+-]\d\d:\d\d(:\d\d)?)\Z", "", text[10:])
        return datetime.fromisoformat(cell.shown) == datetime.fromisoformat(text[:10] + wall)
    if cell.kind == "time":
        return time.fromisoformat(cell.shown) == time.fromisoformat(text)
    if cell.formula:
        return (cell.formula, text) in (("of:=TRUE()", "true"), ("of:=FALSE()", "false"))
    if cell.kind == "float":
        # LibreOffice writes 15 digits and 20 places; `numbers_in` has what stands in the file.
        return math.isclose(float(cell.value), float(text), rel_tol=1e-14, abs_tol=1e-20)
    return cell.value == text


def test_values_of_every_type(types: Database, tmp_path: Path) -> None:
    row = st.fixed_dictionaries(
        {name: st.one_of(values, values, values, st.none()) for name, values in TYPES.items()}
    )
    number = 0
    workbooks: list[Workbook] = []

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
        database=None,
        phases=(Phase.generate,),  # a value that differs is named; making it small takes hours
    )
    @given(st.lists(row, min_size=ROWS, max_size=ROWS), st.sampled_from(ZONES))
    def compare(rows: list[dict[str, str | None]], zone: str) -> None:
        nonlocal number
        number += 1
        query, names = query_of(rows)
        table = fetched(types, tmp_path, query, zone)
        check_csv(table, names, zone, tmp_path)
        check_html(table, names, zone, tmp_path)
        check_json(table, names, zone, tmp_path)
        check_parquet(table, names, zone, tmp_path)
        workbooks.append(make_workbook(table, names, zone, tmp_path, number))
        if number <= 2:
            check_pdf(table, names, zone, tmp_path)

    compare()
    check_workbooks(workbooks, tmp_path)
    print(f"values compared with PostgreSQL's own text: {compared}")
    for name in ("csv", "json", "xlsx"):
        assert compared[name] >= EXAMPLES * ROWS * len(TYPES)
    assert compared["parquet"] >= EXAMPLES * ROWS * (len(TYPES) - 6)
    assert typed_cells >= 5 * EXAMPLES
    assert compared["pdf"] > 0


def test_the_doubled_hour_is_told_apart(types: Database, tmp_path: Path) -> None:
    table = fetched(
        types,
        tmp_path,
        "SELECT timestamptz '2026-10-25 00:30+00' + n * interval '1 hour' AS v "
        "FROM generate_series(0, 1) n",
        "Europe/Madrid",
    )
    data = render_input(table, "Europe/Madrid", "{{ table(sources.a) }}{{ sources.a.rows[1].v }}")
    html_file, csv_file = render(data, [Format.HTML, Format.CSV], tmp_path)
    for file in (html_file, csv_file):
        content = file.path.read_text(encoding="utf-8-sig")
        assert "2026-10-25 02:30" in content
        assert "02:30:00+02:00" in content or "02:30+02:00" in content
        assert "02:30:00+01:00" in content
    (first,), (second,) = table.rows
    assert (second - first).total_seconds() == 3600
    assert first.astimezone(ZoneInfo("UTC")).hour == 0


def test_arithmetic_is_postgres_own(types: Database) -> None:
    draw = random.Random(7)  # noqa: S311 - no secret

    def number() -> str:
        return str(Decimal(draw.randint(-(10**12), 10**12)).scaleb(-draw.randint(0, 14)))

    pairs = [(number(), number(), draw.randint(-6, 12)) for _ in range(3000)]
    pairs = [pair for pair in pairs if Decimal(pair[1]) != 0]
    with types.admin() as admin:
        found = admin.execute(
            "SELECT a / b, round(a, n), (SELECT avg(x) FROM unnest(ARRAY[a, b, a]) x), "
            "to_char(round(a, 2), 'FM999999999999999990.00') "
            "FROM unnest(%s::numeric[], %s::numeric[], %s::int[]) AS t(a, b, n)",
            [list(column) for column in zip(*pairs, strict=True)],
        ).fetchall()
    for (left, right, places), (quotient, rounded, mean, _) in zip(pairs, found, strict=True):
        a, b = Decimal(left), Decimal(right)
        assert str(divide(a, b)) == str(quotient)
        assert round_half_up(a, places) == rounded
        assert average([a, b, a]) == mean
    print(f"operations compared with PostgreSQL's: {3 * len(pairs)}")
