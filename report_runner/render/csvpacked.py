"""The CSV of a large result: cells taken from the database's own texts where they are the same.

For every column it is said which texts are a cell as they are; all others go the way of each cell
of a small result. The two give the same file, which a test compares.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from report_runner.contract.format_options import (
    CsvOptions,
    DateFormat,
    DecimalMark,
    Quoting,
    TimestampFormat,
)
from report_runner.models import Table
from report_runner.packed import PackedRows

Cell = Callable[[Any], str]
Cells = Callable[[Sequence[str | None]], list[str]]
_TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)?", re.ASCII)
_ZONED = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)?[+-]\d\d", re.ASCII)
_NUMBERS = ("int2", "int4", "int8", "numeric", "float4", "float8")


def packed_lines(
    table: Table, cells: Sequence[Cell], offsets: Sequence[bool], options: CsvOptions
) -> Iterator[str] | None:
    """All lines of a chunk at once; None where each cell has to be looked at.

    `cells` write the values of each column, `offsets` tells whether its times have their offset.
    """
    rows = table.rows
    chunks = rows.texts() if isinstance(rows, PackedRows) else None
    if (
        chunks is None
        or len(table.columns) < 2  # a line may be empty
        or options.quoting is not Quoting.MINIMAL
        or options.null_text
    ):
        return None
    assert isinstance(rows, PackedRows)  # noqa: S101 - it has texts
    columns = [
        _cells(rows, number, type_.name, cells[number], offsets[number], options)
        for number, type_ in enumerate(table.types)
    ]
    separator, end = options.separator.character, options.line_end.characters

    def lines() -> Iterator[str]:
        for chunk in chunks:
            found = [column(texts) for column, texts in zip(columns, chunk, strict=True)]
            yield end.join(map(separator.join, zip(*found, strict=True))) + end

    return lines()


def _cells(
    rows: PackedRows, number: int, name: str, cell: Cell, offset: bool, options: CsvOptions
) -> Cells:
    """What writes a column of texts."""

    def one_by_one(texts: Sequence[str | None]) -> list[str]:
        return [cell(value) for value in rows.decoded(number, texts)]

    def one(text: str) -> str:
        return cell(rows.decoded(number, (text,))[0])

    def unless(strange: Callable[[str], Any]) -> Cells:
        return lambda texts: [
            "" if text is None else one(text) if strange(text) else text for text in texts
        ]

    point = options.decimal_mark is DecimalMark.POINT
    iso = options.date_format is DateFormat.ISO
    sql = iso and options.timestamp_format is TimestampFormat.SQL
    if name in _NUMBERS and point:
        return unless(lambda text: "e" in text)
    if name == "bool":
        written = {"t": cell(True), "f": cell(False), None: cell(None)}
        return lambda texts: [written[text] for text in texts]
    if name == "date" and sql:
        return lambda texts: ["" if text is None else text for text in texts]
    if name == "timestamp" and sql:
        return unless(lambda text: not _TIMESTAMP.fullmatch(text))
    if name == "timestamptz" and sql and offset:
        return lambda texts: [
            "" if text is None else f"{text}:00" if _ZONED.fullmatch(text) else one(text)
            for text in texts
        ]
    if name in ("text", "varchar", "bpchar", "uuid"):
        separator = re.escape(options.separator.character)
        special = re.compile(f'["{separator}\r\n\t]|\\A[ =+@-]| \\Z|\\A\\Z')
        return unless(special.search)
    return one_by_one
