"""Sample rows: `data/NAME.csv`, `data/NAME.json`, else the source's own inline rows."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Sequence
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from report_runner.contract.format_options import Separator
from report_runner.contract.sources import SourceSpec
from report_runner.models import Table
from report_runner.preview.documents import read_text, wrong
from report_runner.sources import inline_table
from report_runner.sources.records import csv_records
from report_runner.sources.typed import ShapeError, make_table

_CSV_ERRORS = {
    "unexpected end of data": "the quote that begins here is not closed",
    "',' expected after '\"'": (
        "after a closing quote comes a comma or the end of the line: write a quote inside of a "
        'cell twice ("")'
    ),
}
# Whole or with a point; "007" and "12E4" are codes, "1e21" is what PostgreSQL writes of a float.
_WHOLE = re.compile(r"-?(0|[1-9]\d*)", re.ASCII)
_NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?(e[+-]?\d+)?", re.ASCII)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_TIME = re.compile(r"\d{4}-\d{2}-\d{2}[ T]\d{2}:\d{2}(:\d{2})?.*", re.ASCII)


def has_samples(source: SourceSpec, directory: Path) -> bool:
    """Whether there are rows for the source among the samples."""
    names = (f"{source.name}.csv", f"{source.name}.json")
    return any((directory / "data" / name).is_file() for name in names)


def sample_table(source: SourceSpec, directory: Path, zone: str = "Etc/UTC") -> Table:
    """Rows of `data/NAME.csv` or `data/NAME.json`, else the source's own inline rows.

    Those of `http` and `object` have the types that a run gives them.
    """
    table = directory / "data" / f"{source.name}.csv"
    listing = directory / "data" / f"{source.name}.json"
    remote = source.http or source.object
    try:
        if remote is not None and listing.is_file() and not table.is_file():
            return make_table(_records(listing), remote.columns, zone)
        if remote is not None and table.is_file() and remote.format.value == "csv":
            separator = Separator.COMMA  # of sample data, whatever the source's own is
            content = read_text(table).encode()
            records = csv_records(content, separator, remote.max_rows)
            return make_table(records, remote.columns, zone)
    except ShapeError as error:
        sample = table if table.is_file() else listing
        raise wrong(f"{sample}:1:1: {error}") from None
    if table.is_file():
        return _csv_table(table)
    if listing.is_file():
        records = _records(listing)
        columns = tuple(dict.fromkeys(key for row in records for key in row))
        return Table(columns, [tuple(row.get(column) for column in columns) for row in records])
    if source.inline is not None:
        return inline_table(source.inline)
    raise wrong(
        f"spec.report.sources[{source.name}]: source {source.name} needs sample data: write "
        f"{table} (first line: the columns) or {listing}"
    )


def _records(path: Path) -> list[dict[str, Any]]:
    try:
        records = json.loads(read_text(path), parse_float=Decimal)
    except json.JSONDecodeError as error:
        raise wrong(f"{path}:{error.lineno}:{error.colno}: {error.msg}") from error
    except (RecursionError, ValueError) as error:  # nested too deeply; a number of 5,000 digits
        raise wrong(f"{path}:1:1: cannot be read: {str(error).split(';')[0]}") from None
    if not isinstance(records, list):
        raise wrong(f"{path}:1:1: write a list of objects, one for each row")
    for number, row in enumerate(records, 1):
        if not isinstance(row, dict):
            raise wrong(
                f"{path}:1:1: row {number} is no object: write a list of objects, one for each row"
            )
    return records


def _csv_table(path: Path) -> Table:
    text = read_text(path)
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows = []
    try:
        columns = next(reader, [])
        _check_header(path, text, columns)
        for record, row in enumerate(reader, 1):
            if row and len(row) != len(columns):
                surplus = min(len(row), len(columns))
                raise wrong(
                    f"{path}:{CsvPlaces(text).of(record, surplus)}: {len(row)} cells, but the "
                    f"first line names {len(columns)} columns"
                )
            if row:
                rows.append(row)
    except csv.Error as error:
        where = CsvPlaces(text).broken or f"{reader.line_num}:1"
        raise wrong(f"{path}:{where}: {_CSV_ERRORS.get(str(error), error)}") from error
    typed = [_typed([row[index] for row in rows]) for index in range(len(columns))]
    return Table(tuple(columns), list(zip(*typed, strict=True)) if rows else [])


def _check_header(path: Path, text: str, columns: Sequence[str]) -> None:
    if not columns:
        raise wrong(f"{path} is empty: its first line has to name the columns")
    for separator, word in ((";", "semicolons"), ("\t", "tabs"), ("|", "bars")):
        if len(columns) == 1 and separator in columns[0]:
            raise wrong(
                f"{path}:1:{columns[0].index(separator) + 1}: the columns are separated by {word}, "
                "which makes one column of them: separate them by commas"
            )
    for index, name in enumerate(columns):
        place = CsvPlaces(text).of(0, index)
        if not name.strip():
            raise wrong(f"{path}:{place}: column {index + 1} has no name")
        if name in columns[:index]:
            raise wrong(
                f"{path}:{place}: two columns are called {name}: give each its own name "
                f"({', '.join(columns)})"
            )


class CsvPlaces:
    """Where each cell of a CSV text begins; read again because csv tells no columns."""

    def __init__(self, text: str) -> None:
        self.records: list[list[tuple[int, int]]] = []  # of each its cells, and its end
        self.broken: str | None = None
        line, column, quoted, closed = 1, 1, False, False
        cells, opened = [(1, 1)], (1, 1)
        for index, character in enumerate(text):
            if quoted:
                if character == '"':
                    quoted, closed = False, True
            elif character == '"' and closed and text[index - 1] == '"':
                quoted, closed = True, False  # two quotes: one of the text
            elif character == '"' and cells[-1] == (line, column):
                quoted, opened = True, (line, column)
            elif character in "\r\n":
                if not (character == "\n" and text[index - 1 : index] == "\r"):
                    self.records.append([*cells, (line, column)])
                cells, closed = [(line + 1, 1)], False
            elif character == ",":
                cells.append((line, column + 1))
                closed = False
            elif closed and self.broken is None:
                self.broken = f"{line}:{column}"
            ends = character == "\n" or (character == "\r" and text[index + 1 : index + 2] != "\n")
            line, column = (line + 1, 1) if ends else (line, column + 1)
        self.records.append([*cells, (line, column)])
        if quoted and self.broken is None:
            self.broken = f"{opened[0]}:{opened[1]}"

    def of(self, record: int, cell: int) -> str:
        """`line:column` of a cell, or of the record's end."""
        line, column = self.records[record][cell]
        return f"{line}:{column}"


def _typed(cells: Sequence[str]) -> list[Any]:
    """A column as a database would give it: of one type, and NULL where a cell is empty."""
    present = [cell for cell in cells if cell != ""]
    readers: tuple[tuple[re.Pattern[str], Callable[[str], Any]], ...] = (
        (_WHOLE, int),
        (_NUMBER, Decimal),
        (_DATE, date.fromisoformat),
        (_TIME, datetime.fromisoformat),
    )
    for pattern, read in readers:
        if present and all(pattern.fullmatch(cell) for cell in present):
            try:
                return [None if cell == "" else read(cell) for cell in cells]
            except ValueError:
                break  # the 30th of February: a text
    return [cell or None for cell in cells]
