"""The options of a CSV: what each does, and that none loses anything."""

from __future__ import annotations

import csv
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from pydantic import ValidationError
from test_render_documents import given

from report_runner.contract.format_options import CsvOptions, FormatOptions
from report_runner.contract.moments import FarMoment, MomentKind, SessionOffset
from report_runner.contract.report import Format
from report_runner.models import Table
from report_runner.render.csvfile import write_csv
from report_runner.render.documents import render

MADRID = ZoneInfo("Europe/Madrid")


def at(text: str, hours: int) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment.replace(tzinfo=SessionOffset(timedelta(hours=hours), MADRID))


def written(rows: list[tuple[Any, ...]], tmp_path: Path, **options: Any) -> str:
    columns = tuple(f"c{number}" for number in range(len(rows[0])))
    path = tmp_path / "a.csv"
    write_csv(Table(columns, rows), path, MADRID, CsvOptions.model_validate(options))
    text = path.read_bytes().decode()
    first = text.index("\n") + 1
    return text[first:]


@pytest.mark.parametrize(
    ("options", "row", "line"),
    [
        ({}, (Decimal("-1234.50"), 10**20, None, ""), '-1234.50,100000000000000000000,,""\r\n'),
        ({"separator": ";", "decimalMark": ","}, (Decimal("1234.5"), "a;b", "a,b"),
         '1234,5;"a;b";a,b\r\n'),
        ({"separator": "tab"}, ("a\tb", "a,b", 1), '"a\tb"\ta,b\t1\r\n'),
        ({"separator": "|"}, ("a|b", 1), '"a|b"|1\r\n'),
        ({"decimalMark": ",", "quoting": "all"}, (Decimal("0.5"), None, "a"), '"0,5",,"a"\r\n'),
        ({"quoting": "nonNumeric"}, (Decimal("0.5"), 7, True, None, "7", date(2026, 1, 5)),
         '0.5,7,"true",,"7","2026-01-05"\r\n'),
        ({"lineEnd": "lf"}, (1, 2), "1,2\n"),
        ({"booleanFormat": "wahr/falsch"}, (True, False), "wahr,falsch\r\n"),
        ({"nullText": "NULL"}, (None, "NULL", ""), 'NULL,"NULL",""\r\n'),
        ({"dateFormat": "DD.MM.YYYY"}, (date(2026, 1, 5), datetime(2026, 1, 5, 6, 7)),  # noqa: DTZ001
         "05.01.2026,05.01.2026 06:07:00\r\n"),
        ({"dateFormat": "MM/DD/YYYY"}, (FarMoment("0044-03-15 BC", MomentKind.DATE),
         FarMoment("infinity", MomentKind.DATE), FarMoment("20260-01-02", MomentKind.DATE)),
         "03/15/0044 BC,infinity,01/02/20260\r\n"),
        ({"timestampFormat": "iso8601"}, (at("2026-01-05 06:07:08.5", 1), date(2026, 1, 5)),
         "2026-01-05T06:07:08.5+01:00,2026-01-05\r\n"),
        ({"zoneOffset": "whenAmbiguous"}, (at("2026-01-05 06:07:08", 1),),
         "2026-01-05 06:07:08\r\n"),
        ({"formulaGuard": False}, ("=1+1", "-", "+34 93 555 01 01"), "=1+1,-,+34 93 555 01 01\r\n"),
        ({}, ("=1+1", "-", "-5", "\t=1"), "'=1+1,'-,-5,'\t=1\r\n"),
        # Not a date: its text stays as it is, whatever the format of dates.
        ({"dateFormat": "DD.MM.YYYY", "decimalMark": ",", "separator": ";"},
         ("2026-01-05", "1.5", "[2026-01-01,2026-02-01)"),
         "2026-01-05;1.5;[2026-01-01,2026-02-01)\r\n"),
    ],
)  # fmt: skip
def test_options(tmp_path: Path, options: dict[str, Any], row: tuple[Any, ...], line: str) -> None:
    assert written([row], tmp_path, **options) == line


def test_the_offset_stands_in_a_whole_column_with_a_repeated_hour(tmp_path: Path) -> None:
    rows = [
        (at("2026-10-25 02:30:00", 2), at("2026-10-25 04:30:00", 1)),
        (at("2026-10-25 02:30:00", 1), at("2026-10-25 05:30:00", 1)),
        (at("2026-10-25 12:00:00", 1), None),
    ]
    lines = written(rows, tmp_path, zoneOffset="whenAmbiguous").splitlines()
    assert lines == [
        "2026-10-25 02:30:00+02:00,2026-10-25 04:30:00",
        "2026-10-25 02:30:00+01:00,2026-10-25 05:30:00",
        "2026-10-25 12:00:00+01:00,",
    ]


@pytest.mark.parametrize("mark", [True, False])
def test_byte_order_mark(tmp_path: Path, mark: bool) -> None:
    path = tmp_path / "a.csv"
    options = CsvOptions(byte_order_mark=mark)
    write_csv(Table(("a",), [("é",)]), path, MADRID, options)
    assert path.read_bytes() == b"\xef\xbb\xbf" * mark + "a\r\né\r\n".encode()


def test_the_header_keeps_to_the_options(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    options = CsvOptions.model_validate({"separator": ";", "quoting": "all", "lineEnd": "lf"})
    write_csv(Table(("a;b", "=x", ""), [(1, 2, 3)]), path, MADRID, options)
    assert path.read_text("utf-8-sig") == '"a;b";"\'=x";""\n"1";"2";"3"\n'


def test_options_that_would_lose_something_are_refused() -> None:
    for options in (
        {"decimalMark": ","},
        {"timestampFormat": "iso8601", "dateFormat": "DD/MM/YYYY"},
        {"booleanFormat": "yes"},
        {"nullText": 'a"b'},
    ):
        with pytest.raises(ValidationError):
            CsvOptions.model_validate(options)


def test_a_file_for_each_source_that_is_named(tmp_path: Path) -> None:
    tables = {
        "kpis": Table(("label",), [("AUM",)]),
        "positions": Table(("code",), [("00417",)]),
        "trades": Table(("code",), [("00520",)]),
    }
    options = FormatOptions.model_validate({"csv": {"sources": ["trades", "kpis"]}})
    made = render(given(tables=tables, options=options), [Format.CSV], tmp_path)
    assert [(document.source, document.suffix) for document in made] == [
        ("trades", "-trades.csv"),
        ("kpis", "-kpis.csv"),
    ]
    with made[0].path.open(encoding="utf-8-sig", newline="") as stream:
        assert list(csv.reader(stream)) == [["code"], ["00520"]]
    with made[1].path.open(encoding="utf-8-sig", newline="") as stream:
        assert list(csv.reader(stream)) == [["label"], ["AUM"]]


def test_without_sources_it_is_one_file_as_ever(tmp_path: Path) -> None:
    tables = {"kpis": Table(("k",), [(1,)]), "a": Table(("a",), [(2,)]), "b": Table(("b",), [(3,)])}
    options = FormatOptions.model_validate({"csv": {"separator": ";"}})
    for parameters, column in (({}, "a"), ({"csv_source": "b"}, "b")):
        data = given(tables=tables, options=options, parameters=parameters)
        (made,) = render(data, [Format.CSV], tmp_path)
        assert (made.source, made.suffix) == (None, ".csv")
        assert made.path.read_text("utf-8-sig").splitlines()[0] == column


def test_the_name_of_a_long_source_leaves_room_in_a_file_name() -> None:
    long, other = "a" * 63, "a" * 62 + "b"
    assert len(Format.PARQUET.suffix_of(long)) <= 49
    assert Format.PARQUET.suffix_of(long) != Format.PARQUET.suffix_of(other)
    assert Format.CSV.suffix_of("positions") == "-positions.csv"
