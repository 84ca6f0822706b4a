"""The workbook of a report: a sheet for each source, written row by row."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from xlsxwriter.format import Format as CellFormat

from report_runner.contract import files
from report_runner.contract.reasons import Reason
from report_runner.contract.report import Format
from report_runner.models import RenderInput, RunError, Table
from report_runner.render.bounded import check_size, too_large
from report_runner.render.datacolumns import DataKind, place_error
from report_runner.render.xlsx_columns import (
    SheetColumn,
    cell_text,
    check_text,
    serial,
    sheet_column,
)
from report_runner.render.xlsx_shim import ExactSheet, ExactWorkbook, new_workbook

ROWS_LIMIT = 1_048_576  # of a sheet, the header among them
COLUMNS_LIMIT = 16_384
NAME_LIMIT = 31
NOTES = "Notes"
FIELD = "spec.report.formatOptions.xlsx.columnFormats"
_CHECK_CHARACTERS = 1 << 20  # after which the size on disk is looked at
_CELL_CHARACTERS = 40

Write = Callable[[int, Any], int]  # (row, value) → XlsxWriter's code: 0 where it was written


def write_xlsx(data: RenderInput, path: Path) -> list[str]:
    """What a reader has to know, such as columns that are text. Raises RunError."""
    wanted = data.options.xlsx.column_formats if data.options and data.options.xlsx else {}
    names = data.sources_for(Format.XLSX)
    sheets = sheet_names(names)
    zone = ZoneInfo(data.time_zone)
    tables = {name: data.tables[name] for name in names}
    plans = _plans(tables, wanted, zone)
    notes = [(sheets[name], "", f"rows of the source {name}") for name in names
             if sheets[name] != name]  # fmt: skip
    notes += [
        (sheets[name], column.name, column.note)
        for name in names
        for column in plans[name]
        if column.note
    ]
    created = data.generated_at.astimezone(UTC).replace(tzinfo=None)
    with new_workbook(path, data.title, created) as workbook:
        size = _Size()
        for name in names:
            sheet = workbook.add_sheet(sheets[name])
            size.sheets.append(sheet)
            _Sheet(workbook, sheet, name, plans[name], zone, size).write(tables[name])
        if notes:
            _write_notes(workbook, sheets[""], notes)
    check_size(path, Format.XLSX)
    return [
        f"xlsx: source {name}, column {column.name} is {column.note}"
        for name in names
        for column in plans[name]
        if column.note and column.kind is DataKind.TEXT
    ]


def sheet_names(sources: Sequence[str]) -> dict[str, str]:
    """The sheet of each source, and of '' the sheet of notes; unique whatever the case.

    A sheet's name has 31 characters at most, and Excel keeps `History` for itself.
    """
    found: dict[str, str] = {}
    taken = {"history"}
    for source in [*sources, ""]:
        name, number = (source or NOTES)[:NAME_LIMIT], 1
        while name.lower() in taken:
            number += 1
            ending = f"~{number}"
            name = (source or NOTES)[: NAME_LIMIT - len(ending)] + ending
        taken.add(name.lower())
        found[source] = name
    return found


def _plans(
    tables: Mapping[str, Table], wanted: Mapping[str, str], zone: ZoneInfo
) -> dict[str, list[SheetColumn]]:
    """How each column of each source is written. Raises RunError(ConfigurationError)."""
    plans: dict[str, list[SheetColumn]] = {}
    used: set[str] = set()
    for source, table in tables.items():
        _check_dimensions(source, table)
        plans[source] = []
        for number, name in enumerate(table.columns):
            check_text(source, name, None, name)
            column = sheet_column(source, table, number, wanted.get(name, ""), zone)
            if column is not None:
                used.add(name)
            else:
                column = sheet_column(source, table, number, "", zone)
            if column is not None:
                plans[source].append(column)
    for name, form in wanted.items():
        if name not in used:
            known = sorted({column for table in tables.values() for column in table.columns})
            problem = (
                f"{form} cannot show the values of this column"
                if name in known
                else f"there is no such column; there are: {', '.join(known)}"
            )
            raise RunError(Reason.CONFIGURATION_ERROR, f"{FIELD}[{name}]: {problem}")
    return plans


def _check_dimensions(source: str, table: Table) -> None:
    rows, columns = len(table.rows), len(table.columns)
    if rows >= ROWS_LIMIT or columns > COLUMNS_LIMIT:
        raise RunError(
            Reason.CONFIGURATION_ERROR,
            f"spec.report.sources[{source}]: {rows:,} rows and {columns:,} columns do not fit into "
            f"a sheet, which has {ROWS_LIMIT - 1:,} rows below its header and {COLUMNS_LIMIT:,} "
            "columns; narrow the query, or take xlsx out of spec.report.formats",
        )


class _Size:
    """Bytes of all rows before they are packed: they lie on the scratch space of the run."""

    def __init__(self) -> None:
        self.sheets: list[ExactSheet] = []
        self._characters = 0

    def add(self, characters: int) -> None:
        """Raises RunError(ResourceExhausted) beyond the cap."""
        self._characters += characters
        if self._characters > min(_CHECK_CHARACTERS, files.OUTPUT_FILE_LIMIT):
            self._characters = 0
            if sum(sheet.bytes_written() for sheet in self.sheets) > files.OUTPUT_FILE_LIMIT:
                raise too_large(Format.XLSX, " before it is packed")


@dataclass(slots=True)
class _Sheet:
    workbook: ExactWorkbook
    sheet: ExactSheet
    source: str
    columns: Sequence[SheetColumn]
    zone: ZoneInfo
    size: _Size

    def write(self, table: Table) -> None:
        """The header and every row. Raises RunError."""
        header = self.workbook.add_format({"bold": True, "bottom": 1})
        writers = []
        for number, column in enumerate(self.columns):
            shown = {"num_format": column.number_format} if column.number_format else {}
            cell_format = self.workbook.add_format(shown) if shown else None
            self.sheet.set_column(number, number, column.width)
            self._checked(self.sheet.write_string(0, number, column.name, header), 0, number)
            if column.note:
                self.sheet.write_comment(0, number, column.note)
            writers.append(self._writer(number, column.kind, cell_format))
        for row, values in enumerate(table.rows, 1):
            characters = 0
            for number, (write, value) in enumerate(zip(writers, values, strict=True)):
                # NULL is no cell at all; an empty text is a cell with an empty text.
                if value is not None:
                    self._checked(write(row, value), row, number)
                    characters += _CELL_CHARACTERS
                    if isinstance(value, str):
                        characters += len(value)
            self.size.add(characters)
        if self.columns:
            self.sheet.freeze_panes(1, 0)
            self.sheet.autofilter(0, 0, len(table.rows), len(self.columns) - 1)

    def _checked(self, code: int | None, row: int, number: int) -> None:
        """XlsxWriter leaves out what does not fit, and says so with a code alone."""
        if code:
            raise place_error(
                self.source,
                self.columns[number].name,
                row or None,
                f"the workbook does not hold it (code {code})",
            )

    def _writer(self, number: int, kind: DataKind, cell_format: CellFormat | None) -> Write:
        sheet, zone = self.sheet, self.zone
        match kind:
            case DataKind.BOOLEAN:
                return lambda row, value: sheet.write_boolean(row, number, value, cell_format)
            case DataKind.INTEGER | DataKind.DECIMAL | DataKind.FLOAT:
                return lambda row, value: sheet.write_number(row, number, value, cell_format)
            case DataKind.DATE | DataKind.TIME | DataKind.TIMESTAMP | DataKind.ZONED:
                return lambda row, value: sheet.write_number(
                    row, number, serial(value, zone), cell_format
                )
            case DataKind.TEXT:
                return lambda row, value: sheet.write_string(
                    row, number, cell_text(value, zone), cell_format
                )


def _write_notes(workbook: ExactWorkbook, name: str, notes: Sequence[tuple[str, str, str]]) -> None:
    sheet = workbook.add_sheet(name)
    bold = workbook.add_format({"bold": True})
    for number, width in enumerate((31, 31, 80)):
        sheet.set_column(number, number, width)
    for row, line in enumerate([("Sheet", "Column", "Note"), *notes]):
        for number, text in enumerate(line):
            sheet.write_string(row, number, text, None if row else bold)
