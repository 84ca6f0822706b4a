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

from report_runner.contract.report import SourceSpec
from report_runner.models import Table
from report_runner.preview.documents import read_text, wrong
from report_runner.sources import inline_table

# Whole or with a point; "007" and "12E4" are codes, "1e21" is what PostgreSQL writes of a float.
_WHOLE = re.compile(r"-?(0|[1-9]\d*)", re.ASCII)
_NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?(e[+-]?\d+)?", re.ASCII)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_TIME = re.compile(r"\d{4}-\d{2}-\d{2}[ T]\d{2}:\d{2}(:\d{2})?.*", re.ASCII)


def sample_table(source: SourceSpec, directory: Path) -> Table:
    """Rows of `data/NAME.csv` or `data/NAME.json`, else the source's own inline rows."""
    table = directory / "data" / f"{source.name}.csv"
    listing = directory / "data" / f"{source.name}.json"
    if table.is_file():
        return _csv_table(table)
    if listing.is_file():
        try:
            records = json.loads(read_text(listing), parse_float=Decimal)
        except json.JSONDecodeError as error:
            raise wrong(f"{listing}:{error.lineno}:{error.colno}: {error.msg}") from error
        if not isinstance(records, list) or not all(isinstance(row, dict) for row in records):
            raise wrong(f"{listing}: write a list of objects, one for each row")
        columns = tuple(dict.fromkeys(key for row in records for key in row))
        return Table(columns, [tuple(row.get(column) for column in columns) for row in records])
    if source.inline is not None:
        return inline_table(source.inline)
    raise wrong(
        f"source {source.name} needs sample data: write {table} (first line: the columns) or "
        f"{listing}"
    )


def _csv_table(path: Path) -> Table:
    reader = csv.reader(io.StringIO(read_text(path), newline=""), strict=True)
    rows = []
    try:
        columns = next(reader, [])
        _check_header(path, columns)
        for row in reader:
            if row and len(row) != len(columns):
                raise wrong(
                    f"{path}:{reader.line_num}: {len(row)} cells, but the first line names "
                    f"{len(columns)} columns"
                )
            if row:
                rows.append(row)
    except csv.Error as error:
        raise wrong(f"{path}:{reader.line_num}: {error}") from error
    typed = [_typed([row[index] for row in rows]) for index in range(len(columns))]
    return Table(tuple(columns), list(zip(*typed, strict=True)) if rows else [])


def _check_header(path: Path, columns: Sequence[str]) -> None:
    if not columns:
        raise wrong(f"{path} is empty: its first line has to name the columns")
    for index, name in enumerate(columns):
        if not name.strip():
            raise wrong(f"{path}:1: column {index + 1} has no name")
        if name in columns[:index]:
            raise wrong(f"{path}:1: two columns are called {name}: give each its own name")
    for separator, word in ((";", "semicolons"), ("\t", "tabs"), ("|", "bars")):
        if len(columns) == 1 and separator in columns[0]:
            raise wrong(
                f"{path}:1: the columns are separated by {word}, which makes one column of them: "
                "separate them by commas"
            )


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
