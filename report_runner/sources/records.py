"""JSON, NDJSON and CSV as records: nothing is dropped, doubled or rounded without an error."""

from __future__ import annotations

import csv
import io
import json
from typing import Any, NoReturn

from report_runner.contract.format_options import Separator
from report_runner.contract.jmes import ExpressionError, search
from report_runner.sources.typed import (
    Record,
    ShapeError,
    exact_decimal,
    exact_integer,
    type_name,
)

CELL_LIMIT = 1 << 20  # characters of a cell of CSV


def _pairs(pairs: list[tuple[str, Any]]) -> Record:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ShapeError("an object names a key twice")
    return made


def _no_constant(name: str) -> NoReturn:
    raise ShapeError(f"{name} is no JSON")


def decode(content: bytes) -> str:
    """UTF-8, with a byte order mark or without. Raises ShapeError."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ShapeError(f"expected UTF-8, found another byte at {error.start}") from None


def parse_json(text: str, what: str = "JSON") -> Any:
    """The value, numbers with every digit. Raises ShapeError."""
    try:
        return json.loads(
            text,
            parse_float=exact_decimal,
            parse_int=exact_integer,
            parse_constant=_no_constant,
            object_pairs_hook=_pairs,
        )
    except json.JSONDecodeError as error:
        if not text.strip():
            raise ShapeError(f"expected {what}, found nothing") from None
        raise ShapeError(
            f"expected {what}, found something else at line {error.lineno}, column {error.colno}"
        ) from None
    except RecursionError:
        raise ShapeError(f"expected {what}, found one that is nested too deeply") from None


def json_records(answer: Any, rows: str | None) -> list[Record]:
    """The rows of an answer: at the JMESPath `rows`, else it is they. Raises ShapeError."""
    found = answer
    where = "the answer"
    if rows is not None:
        try:
            found = search(rows, answer)
        except ExpressionError as error:
            raise ShapeError(f"rows: {error}") from None
        where = f"rows ({rows[:100]})"
        if found is None:
            raise ShapeError(f"{where} finds nothing in {type_name(answer)}; correct the JMESPath")
    if not isinstance(found, list):
        hint = "" if rows is not None else "; set rows to the JMESPath of the array in it"
        raise ShapeError(f"{where}: expected an array of objects, found {type_name(found)}{hint}")
    for number, record in enumerate(found, 1):
        if not isinstance(record, dict):
            raise ShapeError(
                f"{where}, row {number}: expected an object, found {type_name(record)}; rows can "
                "make objects, as [].{name: [0], value: [1]}"
            )
    return found


def ndjson_records(content: bytes, limit: int) -> list[Record]:
    """One object a line. Raises ShapeError; reads no more than `limit` + 1 rows."""
    records: list[Record] = []
    for number, line in enumerate(decode(content).split("\n"), 1):
        if not line.strip():
            continue
        try:
            record = parse_json(line, "an object a line")
        except ShapeError as error:
            raise ShapeError(f"line {number}: {error}") from None
        if not isinstance(record, dict):
            raise ShapeError(f"line {number}: expected an object, found {type_name(record)}")
        records.append(record)
        if len(records) > limit:
            break
    return records


def csv_records(content: bytes, separator: Separator | None, limit: int) -> list[Record]:
    """Rows by the names in the first line; an empty cell is NULL. Raises ShapeError.

    Reads no more than `limit` + 1 rows.
    """
    character = (separator or Separator.COMMA).character
    text = decode(content)
    csv.field_size_limit(CELL_LIMIT)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=character, strict=True)
    records: list[Record] = []
    try:
        columns = next(reader, [])
        _check_header(columns, character)
        for row in reader:
            if not row and len(columns) > 1:
                continue  # an empty line has no cells
            cells = row or [""]
            if len(cells) != len(columns):
                raise ShapeError(
                    f"line {reader.line_num}: {len(cells)} cells, but the first line names "
                    f"{len(columns)} columns"
                )
            records.append(
                {name: cell if cell != "" else None
                 for name, cell in zip(columns, cells, strict=True)}
            )  # fmt: skip
            if len(records) > limit:
                break
    except csv.Error as error:
        problem = str(error)
        if "unexpected end" in problem:
            problem = "ends within quotes: it may be cut short"
        raise ShapeError(f"line {reader.line_num}: no CSV: {problem}") from None
    return records


def _check_header(columns: list[str], character: str) -> None:
    if not columns:
        raise ShapeError("expected CSV whose first line names the columns, found nothing")
    if len(columns) == 1:
        for other in ",;\t|":
            if other != character and other in columns[0]:
                name = "tab" if other == "\t" else other
                raise ShapeError(
                    f"the first line is one column for this separator, and has {name!r}: set "
                    "separator"
                )
    for number, name in enumerate(columns, 1):
        if not name.strip():
            raise ShapeError(f"column {number} has no name in the first line")
    twice = sorted({name for name in columns if columns.count(name) > 1})
    if twice:
        raise ShapeError(f"the first line names a column twice ({twice[0][:60]!r})")
