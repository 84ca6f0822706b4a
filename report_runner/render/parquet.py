"""The Parquet files of a report, one for each source, written in a process of its own.

The rows go there in batches: pyarrow needs memory for one batch, and this process loads none of it.
"""

from __future__ import annotations

import logging
import math
import struct
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from itertools import chain, islice
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from report_runner.contract.moments import FarMoment, in_zone, order_of
from report_runner.contract.numbers import as_decimal, scale
from report_runner.contract.reasons import Reason
from report_runner.contract.report import Format
from report_runner.contract.values import plain_text
from report_runner.models import ColumnType, RenderInput, RunError, Table
from report_runner.packed import CHUNK_ROWS, PackedRows
from report_runner.render import workers
from report_runner.render.bounded import check_size, is_too_large, too_large
from report_runner.render.datacolumns import DataKind, column_kind, place_error, present
from report_runner.render.parquet_worker import (
    BeginRequest,
    Column,
    EndRequest,
    Request,
    RowsRequest,
)
from report_runner.render.sandbox import MIB, SandboxLimits, share_of_memory
from report_runner.render.worker_process import WorkerProcess

logger = logging.getLogger(__name__)

BATCH_CELLS = 200_000
SECONDS = 600.0  # for one batch
MEMORY_LIMIT = 512 * MIB
_ANSWER_LIMIT = MIB
_TEXT_REFUSED = ("ArrowInvalid", "ArrowNotImplementedError")
KILLED_REMEDY = "raise spec.resources.limits.memory, or narrow the query"
# Digits that the decimal types of Arrow hold.
_DECIMAL128, _DECIMAL256 = 38, 76
_EPOCH = order_of(date(1970, 1, 1))[1]
_INTEGERS = {"int2": "int16", "int4": "int32", "int8": "int64"}
_REMEDY = "write the column as column::text in the query, or take parquet out of report.formats"


class TextRefusedError(Exception):
    """Arrow does not read a text of the database as a value of its column."""


class Worker(WorkerProcess):
    """A process that writes; see render.parquet_worker."""

    def __init__(self) -> None:
        process = workers.take(workers.WorkerKind.PARQUET)
        super().__init__(process, "the Parquet file", KILLED_REMEDY)

    def ask(self, request: Request) -> None:
        """Have a request done. Raises RunError."""
        self.send(request)
        memory = share_of_memory(MEMORY_LIMIT, 0.5)
        answer, _ = self.receive(SandboxLimits(SECONDS, memory, _ANSWER_LIMIT))
        if answer:
            if is_too_large(answer["error"]):
                raise too_large(Format.PARQUET)
            if answer["kind"] in _TEXT_REFUSED and isinstance(request, RowsRequest):
                raise TextRefusedError(answer["error"])
            raise RunError(
                Reason.INTERNAL_ERROR, f"the Parquet file: {answer['kind']}: {answer['error']}"
            )


@dataclass(frozen=True, slots=True)
class ParquetColumn:
    """A column of the file, and what makes its values of those of the source."""

    column: Column
    convert: Callable[[Any], Any]


def write_parquet(data: RenderInput, source: str, path: Path, worker: Worker) -> None:
    """The rows of one source. Raises RunError."""
    table = data.tables[source]
    zone = ZoneInfo(data.time_zone)
    try:
        if not _write_texts(source, table, zone, path, worker):
            _write_values(source, table, zone, path, worker)
    except TextRefusedError as error:
        # A value that Arrow has no place for: which one it is, and what helps, is told here.
        logger.info("%s: written value by value (%s)", path.name, error)
        try:
            _write_values(source, table, zone, path, worker)
        except TextRefusedError as again:
            raise RunError(Reason.INTERNAL_ERROR, f"the Parquet file: {again}") from again
    check_size(path, Format.PARQUET)


def _write_values(source: str, table: Table, zone: ZoneInfo, path: Path, worker: Worker) -> None:
    columns = [parquet_column(source, table, number, zone) for number in range(len(table.columns))]
    worker.ask(BeginRequest(str(path), [column.column for column in columns]))
    rows = iter(table.rows)
    size = max(BATCH_CELLS // max(len(columns), 1), 1)
    while batch := list(islice(rows, size)):
        values = [
            [None if row[number] is None else column.convert(row[number]) for row in batch]
            for number, column in enumerate(columns)
        ]
        worker.ask(RowsRequest(values))
    worker.ask(EndRequest())


def _write_texts(source: str, table: Table, zone: ZoneInfo, path: Path, worker: Worker) -> bool:
    """False where the rows are not kept as the database's texts.

    Most values never become objects of Python: Arrow reads the texts, exactly or not at all.
    """
    rows = table.rows
    chunks = rows.texts() if isinstance(rows, PackedRows) and table.types else None
    if chunks is None or not isinstance(rows, PackedRows):
        return False
    columns = [
        _text_column(source, table, number, zone) or parquet_column(source, table, number, zone)
        for number in range(len(table.columns))
    ]
    worker.ask(BeginRequest(str(path), [column.column for column in columns]))
    at_once = max(BATCH_CELLS // max(len(columns), 1) // CHUNK_ROWS, 1)
    while batch := list(islice(chunks, at_once)):
        values = []
        for number, column in enumerate(columns):
            texts = list(chain.from_iterable(chunk[number] for chunk in batch))
            if not column.column.texts:
                decoded = rows.decoded(number, texts)
                texts = [None if value is None else column.convert(value) for value in decoded]
            values.append(texts)
        worker.ask(RowsRequest(values))
    worker.ask(EndRequest())
    return True


def _text_column(source: str, table: Table, number: int, zone: ZoneInfo) -> ParquetColumn | None:
    """A column whose texts Arrow reads; None for one whose texts mean something else to it."""
    declared, name = table.types[number], table.columns[number]

    def column(type_: str, *arguments: Any) -> ParquetColumn:
        return ParquetColumn(Column(name, type_, arguments, texts=True), lambda value: value)

    match declared.name:
        case "int2" | "int4" | "int8":
            return column(_INTEGERS[declared.name])
        case "numeric":
            size = _declared_size(declared)
            if size is None:  # what it needs is known by its values alone
                found = parquet_column(source, table, number, zone).column
                return column(found.type, *found.arguments)
            digits, places = size
            return column("decimal128" if digits <= _DECIMAL128 else "decimal256", digits, places)
        case "float8":
            return column("float64")
        case "date":
            return column("date32")
        case "timestamp":
            return column("timestamp", "us")
        case "timestamptz":
            return column("timestamp", "us", zone.key)
        case "text" | "varchar":
            return column("string")
    return None


def _declared_size(declared: ColumnType) -> tuple[int, int] | None:
    """Digits and decimals as the database declares them; None where it does not, or too many."""
    if declared.precision is None or declared.scale is None:
        return None
    places, whole = max(declared.scale, 0), max(declared.precision - declared.scale, 0)
    return (max(whole + places, 1), places) if whole + places <= _DECIMAL256 else None


def parquet_column(source: str, table: Table, number: int, zone: ZoneInfo) -> ParquetColumn:
    """The type of a column. Raises RunError(ConfigurationError) for a value that has none."""
    name = table.columns[number]
    kind = column_kind(table, number)
    declared = table.types[number] if table.types else ColumnType("")

    def column(type_: str, convert: Callable[[Any], Any], *arguments: Any) -> ParquetColumn:
        return ParquetColumn(Column(name, type_, arguments), convert)

    def refuse_unless(expected: type | tuple[type, ...], what: str) -> None:
        for row, value in present(table, number):
            if not isinstance(value, expected) or isinstance(value, FarMoment):
                raise place_error(source, name, row, f"{what} has no place in Parquet; {_REMEDY}")

    match kind:
        case DataKind.BOOLEAN:
            return column("bool_", bool)
        case DataKind.INTEGER if declared.name:
            return column(_INTEGERS[declared.name], int)
        case DataKind.INTEGER if all(-(2**63) <= v < 2**63 for _, v in present(table, number)):
            return column("int64", int)
        case DataKind.INTEGER | DataKind.DECIMAL:
            digits, places = _decimal_size(source, table, number, declared)
            type_ = "decimal128" if digits <= _DECIMAL128 else "decimal256"
            return column(type_, as_decimal, digits, places)
        case DataKind.FLOAT:
            if declared.name == "float4":
                return column("float32", _single)
            return column("float64", float)
        case DataKind.DATE:
            refuse_unless(date, "infinity, or a year before 1 or after 9999,")
            return column("date32", lambda value: value)
        case DataKind.TIME:
            refuse_unless(time, "the time 24:00")
            return column("time64", lambda value: value, "us")
        case DataKind.TIMESTAMP | DataKind.ZONED:
            refuse_unless(datetime, "infinity, or a year before 1 or after 9999,")
            in_utc = (zone.key,) if kind is DataKind.ZONED else ()
            return column("timestamp", _microseconds, "us", *in_utc)
        case DataKind.TEXT:
            return column("string", lambda value: _text(value, zone))


def _single(value: Any) -> float:
    """The float32 that is nearest to the number.

    By way of a double it would be rounded twice, and now and then come out one too high or low.
    """
    double = float(value)
    try:
        (bits,) = struct.unpack("<i", struct.pack("<f", double))
    except OverflowError:
        return double
    if not math.isfinite(double) or double == 0:
        return double
    number = as_decimal(value)
    near = [(n, struct.unpack("<f", struct.pack("<i", n))[0]) for n in (bits - 1, bits, bits + 1)]
    found = [(abs(Decimal(single) - number), n & 1, single) for n, single in near
             if math.isfinite(single)]  # fmt: skip
    return float(min(found)[2]) if found else double


def _decimal_size(source: str, table: Table, number: int, declared: ColumnType) -> tuple[int, int]:
    """Digits and decimals of a column of numbers: the declared ones, else those that it needs."""
    name = table.columns[number]
    places = whole = 0
    widest = None
    for row, value in present(table, number):
        found = as_decimal(value)
        if not found.is_finite():
            raise place_error(source, name, row, f"NaN or an infinity is no decimal; {_REMEDY}")
        before = (places, whole)
        places, whole = max(places, scale(found)), max(whole, _whole_digits(found))
        widest = row if (places, whole) != before else widest
    if declared.precision is not None and declared.scale is not None:
        places = max(declared.scale, 0)
        whole = max(declared.precision - declared.scale, 0)
    if whole + places > _DECIMAL256:
        raise place_error(
            source,
            name,
            widest,
            f"the column needs {whole + places} digits, a decimal of Parquet has {_DECIMAL256}; "
            f"round it in the query, as in round(column, 10), or {_REMEDY}",
        )
    if declared.precision is not None:
        return max(whole + places, 1), places
    return _DECIMAL128 if whole + places <= _DECIMAL128 else _DECIMAL256, places


def _whole_digits(value: Decimal) -> int:
    return max(value.adjusted() + 1, 0) if value else 0


def _microseconds(value: datetime) -> int:
    return order_of(value)[1] - _EPOCH


def _text(value: Any, zone: ZoneInfo) -> str:
    return plain_text(in_zone(value, zone) if isinstance(value, datetime) else value)
