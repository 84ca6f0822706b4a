"""A workbook as LibreOffice opens it."""

from __future__ import annotations

import re
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path

from test_render_data_formats import NUMERIC, at, column, data, parts

from report_runner.contract.moments import FarMoment, MomentKind
from report_runner.contract.report import Format
from report_runner.models import ColumnType, Table
from report_runner.render.documents import render
from tests.support.libreoffice import Cell, read_workbooks

# A column, the cells that a spreadsheet has to have of it, and the note of its header.
COLUMNS: dict[str, tuple[Table, list[Cell], str]] = {
    "codes": (column("00417", "=1+1", "http://x.example/", "12E4", "@x", "-"), [
        Cell("string", "00417", "00417"), Cell("string", "=1+1", "=1+1"),
        Cell("string", "http://x.example/", "http://x.example/"), Cell("string", "12E4", "12E4"),
        Cell("string", "@x", "@x"), Cell("string", "-", "-")], ""),
    "markup": (column("<r><t>x</t></r>", "_x0041_x0042_", " a  b ", "a\tb", "a\nb"), [
        Cell("string", text, text)
        for text in ("<r><t>x</t></r>", "_x0041_x0042_", " a  b ", "a\tb", "a\nb")], ""),
    "money": (column(Decimal("1234567.80"), Decimal("-0.05"), None, Decimal(0)), [
        Cell("float", "1234567.8", "1,234,567.80"), Cell("float", "-0.05", "-0.05"), Cell(),
        Cell("float", "0", "0.00")], ""),
    "digits15": (column(Decimal("1234567890123.45"), 5), [
        Cell("float", "1234567890123.45", "1,234,567,890,123.45"), Cell("float", "5", "5.00")], ""),
    "digits16": (column(Decimal("12345678901234.56"), 5), [
        Cell("string", "12345678901234.56", "12345678901234.56"), Cell("string", "5", "5")],
        "kept as text: row 1 has a number of more than 15 digits"),
    "bigint": (column(1, 4929123456789012345), [
        Cell("string", "1", "1"), Cell("string", "4929123456789012345", "4929123456789012345")],
        "kept as text: row 2 has a number of more than 15 digits"),
    "nan": (column(Decimal("1.5"), Decimal("NaN")), [
        Cell("string", "1.5", "1.5"), Cell("string", "NaN", "NaN")],
        "kept as text: row 2 has NaN or an infinity"),
    "huge": (column(Decimal("1E+309"), Decimal(1)), [
        Cell("string", "1" + "0" * 309, "1" + "0" * 309), Cell("string", "1", "1")],
        "kept as text: row 1 has a number that is too large or too small for a spreadsheet"),
    # LibreOffice itself writes 15 digits; the file has all of them.
    "double": (column(Decimal("0.30000000000000004"), type_=ColumnType("float8")), [
        Cell("float", "0.3", "0.30000000000000000")], ""),
    "day": (column(date(1900, 3, 1), date(2026, 1, 5), date(9999, 12, 31)), [
        Cell("date", day, day) for day in ("1900-03-01", "2026-01-05", "9999-12-31")], ""),
    "old": (column(date(2026, 1, 5), date(1900, 2, 28)), [
        Cell("string", "2026-01-05", "2026-01-05"), Cell("string", "1900-02-28", "1900-02-28")],
        "kept as text: row 2 has a day before 1900-03-01"),
    "infinity": (column(FarMoment("infinity", MomentKind.DATE), date(2026, 1, 5)), [
        Cell("string", "infinity", "infinity"), Cell("string", "2026-01-05", "2026-01-05")],
        "kept as text: row 1 has a day that no calendar of a spreadsheet has"),
    "stamp": (column(datetime(2026, 1, 5, 6, 7, 8, 250_000), datetime(2026, 1, 5)), [  # noqa: DTZ001
        Cell("date", "2026-01-05T06:07:08.250000000", "2026-01-05 06:07:08.250"),
        Cell("date", "2026-01-05", "2026-01-05 00:00:00.000")], ""),
    "micro": (column(datetime(2026, 1, 5, 6, 7, 8, 1)), [  # noqa: DTZ001
        Cell("string", "2026-01-05 06:07:08.000001", "2026-01-05 06:07:08.000001")],
        "kept as text: row 1 has a time with more than milliseconds"),
    "zoned": (column(at("2026-01-05 06:00:00", 1), at("2026-07-05 06:00:00", 2)), [
        Cell("date", "2026-01-05T06:00:00", "2026-01-05 06:00:00"),
        Cell("date", "2026-07-05T06:00:00", "2026-07-05 06:00:00")],
        "times are those of Europe/Madrid"),
    "doubled": (column(at("2026-10-25 02:30:00", 2), at("2026-10-25 02:30:00", 1)), [
        Cell("string", "2026-10-25 02:30:00+02:00", "2026-10-25 02:30:00+02:00"),
        Cell("string", "2026-10-25 02:30:00+01:00", "2026-10-25 02:30:00+01:00")],
        "kept as text: row 1 has a time in an hour that a clock repeats"),
    "clock": (column(time(6, 7, 8), time(23, 59, 59)), [
        Cell("time", "PT06H07M08S", "06:07:08"), Cell("time", "PT23H59M59S", "23:59:59")], ""),
    "midnight": (column("24:00:00", time(1), type_=ColumnType("time")), [
        Cell("string", "24:00:00", "24:00:00"), Cell("string", "01:00:00", "01:00:00")],
        "kept as text: row 1 has the time 24:00"),
    "flag": (column(True, False, None, True), [
        Cell("float", "1", "TRUE", "of:=TRUE()"), Cell("float", "0", "FALSE", "of:=FALSE()"),
        Cell(), Cell("float", "1", "TRUE", "of:=TRUE()")], ""),
    "mixed": (column(1, "a", None, {"b": [1, None]}), [
        Cell("string", "1", "1"), Cell("string", "a", "a"), Cell(),
        Cell("string", '{"b": [1, null]}', '{"b": [1, null]}')], ""),
    "nothing": (column(None, type_=NUMERIC), [], ""),
    "no_rows": (column(), [], ""),
}  # fmt: skip
FORMATS = {
    "percent:1": (Decimal("0.1234"), Cell("percentage", "0.1234", "12.3%")),
    "decimals:1": (Decimal("1234.56"), Cell("float", "1234.56", "1,234.6")),
    "integer": (Decimal("1234.56"), Cell("float", "1234.56", "1,235")),
    "plain": (2026, Cell("float", "2026", "2026")),
    "text": (Decimal("1234.50"), Cell("string", "1234.50", "1234.50")),
    "date": (datetime(2026, 1, 5, 6), Cell("date", "2026-01-05T06:00:00", "2026-01-05")),  # noqa: DTZ001
    "datetime": (date(2026, 1, 5), Cell("date", "2026-01-05", "2026-01-05 00:00:00")),
}


def shorter(cell: Cell) -> Cell:
    """LibreOffice writes `.250000000` or `.25` of the same time."""
    value = re.sub(r"(\.\d*?)0+\Z", r"\1", cell.value) if cell.kind == "date" else cell.value
    return Cell(cell.kind, value, cell.shown, cell.formula, cell.links)


def test_a_spreadsheet_has_every_value(tmp_path: Path) -> None:
    """One start of LibreOffice for all columns: each is a sheet of its own."""
    long = "a_source_whose_name_has_over_31_letters"
    tables = {name: table for name, (table, _, _) in COLUMNS.items()}
    tables |= {f"{long}_1": column(1), f"{long}_2": column(2), "history": column(3)}
    tables |= {f"f{n}": column(value, name=form) for n, (form, (value, _)) in
               enumerate(FORMATS.items())}  # fmt: skip
    options = {"xlsx": {"columnFormats": {form: form for form in FORMATS}}}
    (document,) = render(data(options, **tables), [Format.XLSX], tmp_path)
    workbook = document.path.rename(tmp_path / "all.xlsx")
    assert (
        "<v>0.30000000000000004</v>"
        in parts(workbook)[f"xl/worksheets/sheet{list(tables).index('double') + 1}.xml"]
    )
    (sheets,) = read_workbooks([workbook], tmp_path)
    for name, (_, cells, note) in COLUMNS.items():
        header, *rows = sheets[name]
        found = [row[0] if row else Cell() for row in rows]
        assert [cell.shown for cell in header] == ["c"]
        assert list(map(shorter, found)) == list(map(shorter, cells)), name
        said = {tuple(cell.shown for cell in row) for row in sheets["Notes"]}
        assert ((name, "c", note) in said) == bool(note)
        if note.startswith("kept as text"):
            assert f"xlsx: source {name}, column c is {note}" in document.notes
    for number, (form, (_, cell)) in enumerate(FORMATS.items()):
        assert sheets[f"f{number}"][1] == [cell], form
    assert sheets[f"{long}_1"[:31]][1][0].value == "1"
    assert sheets[f"{long[:29]}~2"][1][0].value == "2"
    assert sheets["history~2"][1][0].value == "3"
    assert ("history~2", "", "rows of the source history") in said
