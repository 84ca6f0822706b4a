"""Files with data, as a run makes them of a real PostgreSQL: for spreadsheets and for programs."""

from __future__ import annotations

import csv
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml
from conftest import Database
from pyarrow import parquet
from test_run import STEM, board, mailing

from report_runner.contract.reasons import Reason
from report_runner.contract.result import Outcome
from report_runner.models import ColumnType
from report_runner.sources.postgres_types import column_type
from tests.support.libreoffice import Cell, read_workbooks
from tests.support.runner import Pod

REPORT = Path(__file__).resolve().parents[2] / "data" / "reports" / "csv-for-spreadsheets"
OPTIONS = {"separator": ";", "decimalMark": ",", "quoting": "nonNumeric", "formulaGuard": False}


@pytest.fixture
def here(tmp_path: Path, database: Database) -> Pod:
    database.secret(tmp_path / "secrets")
    return Pod(tmp_path)


def define(pod: Pod, **report: Any) -> None:
    """The definition of the report with some of its fields changed."""
    body = yaml.safe_load((REPORT / "m.yaml").read_text())
    body["spec"]["report"] |= report
    changed = pod.root / "m.yaml"
    changed.write_text(yaml.safe_dump(body))
    pod.define_as(changed)


def clients(database: Database) -> list[tuple[str | None, ...]]:
    """The rows as PostgreSQL's own text."""
    query = yaml.safe_load((REPORT / "m.yaml").read_text())["spec"]["report"]["sources"][0]
    with database.admin() as admin:
        cursor = psycopg.RawCursor(admin)
        cursor.execute(query["postgres"]["query"].replace("%%", "%"))
        names = [column.name for column in cursor.description or ()]
        shown = ", ".join(f'"{name}"::text' for name in names)
        inner = query["postgres"]["query"].replace("%%", "%")
        cursor.execute(f"SELECT {shown} FROM ({inner}) AS given".encode())
        return [tuple(names), *cursor.fetchall()]


def test_every_client_in_every_format(here: Pod, database: Database, tmp_path: Path) -> None:
    define(here, formats=["csv", "xlsx", "json", "parquet"], formatOptions={"csv": OPTIONS})
    code, result, log = here.run()
    assert (code, result.outcome) == (0, Outcome.SUCCEEDED), log
    names, *rows = clients(database)

    text = here.output("csv").read_bytes().decode("utf-8-sig")
    assert '"00417";"+34600111222";"08012";"4929123456789012345";"-";' in text
    assert text.split("\r\n")[0] == ";".join(f'"{name}"' for name in names)
    with here.output("csv").open(encoding="utf-8-sig", newline="") as stream:
        found = list(csv.reader(stream, delimiter=";"))[1:]
    for line, row in zip(found, rows, strict=True):
        *texts, fee = line
        assert texts == ["" if value is None else value for value in row[:-1]]
        assert fee.replace(",", ".") == row[-1]

    (sheets,) = read_workbooks([here.output("xlsx")], tmp_path)
    assert list(sheets) == ["clients"]
    for cells, row in zip(sheets["clients"][1:], rows, strict=True):
        for cell, value in zip(cells[:-1], row[:-1], strict=True):
            # An empty text is a cell of the file; LibreOffice has none for it.
            assert cell == (Cell("string", value, value) if value else Cell())
        assert (cells[-1].kind, Decimal(cells[-1].value)) == ("float", Decimal(row[-1] or 0))
        assert cells[-1].shown == f"{Decimal(row[-1] or 0):,.2f}"

    (file,) = here.volume.rglob("*Z.json")  # the manifest's name ends otherwise
    records = json.loads(file.read_text(), parse_float=str, parse_int=str)
    assert [tuple(record.values()) for record in records["clients"]] == rows

    table = parquet.read_table(here.output("parquet"))
    assert str(table.schema.field("fee").type).startswith("decimal128")
    for record, row in zip(table.to_pylist(), rows, strict=True):
        *texts, fee = record.values()
        assert (tuple(texts), fee) == (row[:-1], Decimal(row[-1] or 0))


def test_the_defaults_of_a_csv_are_as_they_were(here: Pod) -> None:
    define(here, formats=["csv"])
    code, _, log = here.run()
    assert code == 0, log
    lines = here.output("csv").read_bytes().decode("utf-8-sig").split("\r\n")
    assert lines[:2] == [
        "client,phone,postcode,account,note,code,size,remark,text,fee",
        "00417,+34600111222,08012,4929123456789012345,'-,12E4,1-2,'-5 %,\"line1\nline2\",1234.50",
    ]


def sources(*names: str) -> list[dict[str, Any]]:
    connection = {"secretRef": {"name": "report-db"}}
    return [
        {
            "name": name,
            "postgres": {"connection": connection, "query": f"SELECT '{name}' AS name, 1.50 AS n"},
        }
        for name in names
    ]


def test_a_file_for_each_source_is_stored_recorded_and_mailed(here: Pod) -> None:
    formats = ["csv", "xlsx", "parquet"]
    email = board() | {"attach": formats}
    here.define(
        "SELECT 1",
        email,
        sources=sources("positions", "trades", "kpis"),
        formats=formats,
        formatOptions={"csv": {"sources": ["trades", "kpis"]}, "parquet": {"sources": ["trades"]}},
    )
    with mailing(here) as mails:
        code, result, log = here.run()
        assert code == 0, log
        again = here.run()[1]
    endings = ["-trades.csv", "-kpis.csv", ".xlsx", "-trades.parquet"]
    assert [(Path(output.path).name, output.source) for output in result.outputs] == [
        (f"{STEM}{ending}", source)
        for ending, source in zip(endings, ["trades", "kpis", None, "trades"], strict=True)
    ]
    assert here.manifest().outputs == result.outputs == again.outputs
    assert set(here.files()) == {f"{STEM}{end}" for end in [*endings, ".manifest.json"]}
    assert len(mails) == 2
    attached = [part for part in mails[0][1].walk() if part.get_filename()]
    assert [(part.get_filename(), part.get_content_type()) for part in attached] == [
        ("positions-2026-01-05-trades.csv", "text/csv"),
        ("positions-2026-01-05-kpis.csv", "text/csv"),
        (
            "positions-2026-01-05.xlsx",
            "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        ),
        ("positions-2026-01-05-trades.parquet", "application/vnd.apache.parquet"),
    ]
    content = attached[1].get_payload(decode=True)
    assert isinstance(content, bytes)
    assert content.decode("utf-8-sig") == "name,n\r\nkpis,1.50\r\n"


def test_fifty_files_do_not_fit_into_the_result_and_it_says_so(here: Pod) -> None:
    names = [f"source_{number}" for number in range(30)]
    here.define("SELECT 1", sources=sources(*names), formats=["csv"],
                formatOptions={"csv": {"sources": names}})  # fmt: skip
    code, result, log = here.run()
    assert code == 0, log
    assert len(here.manifest().outputs) == 30
    left = 30 - len(result.outputs)
    assert left > 0
    assert result.message == f"30 rows; {left} of 30 files are named in the manifest alone"


@pytest.mark.parametrize(
    ("formats", "value", "said"),
    [
        (["xlsx"], "repeat('x', 32768)", "column v, row 1: the text is longer than the 32,767"),
        (["parquet"], "'NaN'::numeric", "column v, row 1: NaN or an infinity is no decimal"),
        (["parquet"], "'infinity'::date", "column v, row 1: infinity, or a year before 1"),
    ],
)
def test_a_value_without_a_place_fails_the_run(
    here: Pod, formats: list[str], value: str, said: str
) -> None:
    here.define(f"SELECT {value} AS v", formats=formats)
    _, result, _ = here.run()
    assert result.reason is Reason.CONFIGURATION_ERROR
    assert result.message.startswith(f"spec.report.sources[positions]: {said}")
    assert here.files() == []


def test_a_note_is_kept_in_the_manifest(here: Pod) -> None:
    here.define("SELECT 4929123456789012345 AS card", formats=["xlsx"])
    _, result, log = here.run()
    assert result.outcome is Outcome.SUCCEEDED
    note = "xlsx: source positions, column card is kept as text: row 1 has a number of more than 15"
    assert here.manifest().notes == [f"{note} digits"]
    assert note in log


def test_types_of_columns_are_those_of_the_database(database: Database) -> None:
    with database.admin() as admin:
        admin.execute("CREATE DOMAIN amount AS numeric(12,2)")
        cursor = admin.execute(
            "SELECT 1::numeric(12,2), 1000::numeric(2,-3), 1::numeric, 1.5::amount, ARRAY[1], "
            "'{}'::json, ARRAY['{}'::json], now(), NULL, 'x'::name, 0.001::numeric(2,3)"
        )
        found = [column_type(admin, column) for column in cursor.description or ()]
        admin.execute("DROP DOMAIN amount")
    assert found == [
        ColumnType("numeric", 12, 2), ColumnType("numeric", 2, -3), ColumnType("numeric"),
        ColumnType("numeric", 12, 2), ColumnType("text"), ColumnType("json"), ColumnType("text"),
        ColumnType("timestamptz"), ColumnType("text"), ColumnType("name"),
        ColumnType("numeric", 2, 3),
    ]  # fmt: skip
