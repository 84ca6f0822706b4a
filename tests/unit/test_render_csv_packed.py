"""The CSV of a large result is that of the same rows one by one, byte for byte."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from report_runner.contract.format_options import CsvOptions
from report_runner.models import ColumnType, Table
from report_runner.packed import PLAIN_ROWS, PackedRows, RowCollector
from report_runner.render.csvfile import write_csv
from report_runner.sources.postgres_types import decoder

ZONE = ZoneInfo("Europe/Madrid")
# As PostgreSQL writes them.
TEXTS: dict[str, list[str | None]] = {
    "int4": ["0", "-5", "2147483647", None],
    "numeric": ["0.00", "-1.10", "123456789012345678901234567890.123", "NaN", "-Infinity", None],
    "float8": ["0.1", "1e+300", "-0", "NaN", "Infinity", "1.5e-07", "-12.5", None],
    "bool": ["t", "f", None],
    "date": ["2026-01-05", "infinity", "-infinity", "0044-03-15 BC", "20260-01-02", None],
    "time": ["12:00:00", "12:00:00.12", "24:00:00", None],
    "timestamp": ["2026-01-05 06:00:00", "2026-01-05 06:00:00.12", "infinity", "-infinity",
                  "0044-03-15 12:00:00 BC", "20260-01-02 03:04:05", None],
    "timestamptz": [
        "2026-10-25 02:30:00+02", "2026-10-25 02:30:00+01", "2026-01-05 06:00:00.5+05:30",
        "1850-01-01 00:00:00-00:14:44", "infinity", "-infinity", "0044-03-15 11:45:16-00:14:44 BC",
        "20260-01-02 01:00:00+01", None,
    ],
    "text": ["a", "", " ", "a ", " a", "=1", "+1", "-1", "-x", "@x", "\tx", "a\tb", 'a"b', "a,b",
             "a;b", "a|b", "a\nb", "a\rb", "\rx", "ü€😀", "'", "none", "-1 days", "x\u00a0", None],
    "uuid": ["2fbf8a55-53c8-46e5-9ef7-a1743d417f3d", None],
    "interval": ["-01:30:00", "1 mon", None],
    "jsonb": ['{"a": 1}', "-1", None],
    "_text": ["{a,b}", None],
}  # fmt: skip
# The clock's repeated hour shows the offset; a column without it does not.
PLAIN_ZONED = ["2026-01-05 06:00:00+01", "2026-07-05 06:00:00.25+02", None]


def tables() -> tuple[Table, Table]:
    names = (*TEXTS, "plain")
    lists = [*TEXTS.values(), PLAIN_ZONED]
    types = tuple(ColumnType(name) for name in (*TEXTS, "timestamptz"))
    decoders = [decoder(type_, ZONE) for type_ in types]
    collector = RowCollector()
    for number in range(PLAIN_ROWS + 999):
        collector.add(tuple(values[number % len(values)] for values in lists))
    rows = collector.rows(decoders)
    assert isinstance(rows, PackedRows)
    return Table(names, rows, types), Table(names, list(rows), types)


@pytest.mark.parametrize(
    "options",
    [
        {}, {"separator": ";"}, {"separator": "tab"}, {"separator": "|"},
        {"separator": ";", "decimalMark": ","}, {"quoting": "all"}, {"quoting": "nonNumeric"},
        {"lineEnd": "lf", "byteOrderMark": False}, {"dateFormat": "DD.MM.YYYY"},
        {"timestampFormat": "iso8601"}, {"zoneOffset": "whenAmbiguous"},
        {"booleanFormat": "yes/no"}, {"nullText": "none"}, {"formulaGuard": False},
    ],
)  # fmt: skip
def test_the_file_is_the_same(tmp_path: Path, options: dict[str, Any]) -> None:
    packed, plain = tables()
    made = CsvOptions.model_validate(options)
    write_csv(packed, tmp_path / "packed.csv", ZONE, made)
    write_csv(plain, tmp_path / "plain.csv", ZONE, made)
    assert (tmp_path / "packed.csv").read_bytes() == (tmp_path / "plain.csv").read_bytes()


def test_one_column_of_nulls_keeps_its_lines(tmp_path: Path) -> None:
    collector = RowCollector()
    for _ in range(PLAIN_ROWS + 1):
        collector.add((None,))
    types = (ColumnType("text"),)
    write_csv(Table(("a",), collector.rows([None]), types), tmp_path / "a.csv", ZONE)
    lines = (tmp_path / "a.csv").read_text(encoding="utf-8-sig").split("\n")
    assert lines[1:3] == ['""', '""']
    assert len(lines) == PLAIN_ROWS + 3
