"""Rows of a Parquet file, with the types that PostgreSQL would give them."""

from __future__ import annotations

import importlib
import io
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from report_runner.contract.numbers import as_decimal
from report_runner.models import ColumnType
from report_runner.sources.typed import ShapeError, in_zone

BATCH = 10_000  # rows
pa: Any = importlib.import_module("pyarrow")  # it has no types
pq: Any = importlib.import_module("pyarrow.parquet")


@dataclass(slots=True)
class ColumnarRows:
    """Rows with their columns; those of several files one after the other."""

    columns: tuple[str, ...] = ()
    types: tuple[ColumnType, ...] = ()
    rows: list[tuple[Any, ...]] = field(default_factory=list)


def read_parquet(content: bytes, into: ColumnarRows, zone: str, rows: int, size: int) -> int:
    """Adds the rows of one file; returns the bytes that they took in memory.

    No more than `rows` rows and `size` bytes are read, and some. Raises ShapeError.
    """
    used = 0
    try:
        file = pq.ParquetFile(io.BytesIO(content))
        schema = file.schema_arrow
        _check_schema(schema, into)
        readers = [_reader(entry, ZoneInfo(zone)) for entry in schema]
        for batch in file.iter_batches(batch_size=BATCH, use_threads=False):
            used += batch.nbytes
            columns = [read(batch.column(n)) for n, read in enumerate(readers)]
            into.rows += zip(*columns, strict=True) if columns else []
            if used > size or len(into.rows) > rows:
                break
    except (pa.ArrowException, OSError) as error:
        raise ShapeError(
            f"expected a whole Parquet file, found {len(content)} bytes that are none: it may be "
            "cut short, or of another format"
        ) from error
    return used


def _check_schema(schema: Any, into: ColumnarRows) -> None:
    columns = tuple(schema.names)
    twice = sorted({name for name in columns if columns.count(name) > 1})
    if twice:
        raise ShapeError(f"the file has several columns {twice[0][:60]!r}")
    types = tuple(_column_type(entry) for entry in schema)
    if into.columns and (columns, types) != (into.columns, into.types):
        raise ShapeError("its columns or their types are other than those of the objects before")
    into.columns, into.types = columns, types


def _column_type(entry: Any) -> ColumnType:
    kind = entry.type
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_decimal(kind):
        return ColumnType("numeric", kind.precision, kind.scale)
    for test, name in (
        (pa.types.is_boolean, "bool"),
        (pa.types.is_uint64, "numeric"),
        (pa.types.is_integer, "int8"),
        (pa.types.is_float32, "float4"),
        (pa.types.is_floating, "float8"),
        (pa.types.is_date, "date"),
        (pa.types.is_time, "time"),
    ):
        if test(kind):
            return ColumnType(name)
    if pa.types.is_timestamp(kind):
        return ColumnType("timestamp" if kind.tz is None else "timestamptz")
    return ColumnType("text")


def _reader(entry: Any, zone: ZoneInfo) -> Callable[[Any], list[Any]]:
    """From a column of a batch to values as `Table` has them."""
    kind = entry.type
    if pa.types.is_dictionary(kind):
        inner = _reader(pa.field(entry.name, kind.value_type), zone)
        return lambda column: inner(column.dictionary_decode())
    if pa.types.is_floating(kind):
        # As text: the shortest one that reads back as the same number of this width.
        wide = pa.float32() if pa.types.is_float16(kind) else kind
        return lambda column: [
            None if text is None else Decimal(text)
            for text in column.cast(wide).cast(pa.string()).to_pylist()
        ]
    if pa.types.is_timestamp(kind):
        whole = pa.timestamp("us", kind.tz)
        return lambda column: [
            None if moment is None else in_zone(moment, zone)
            for moment in _listed(entry.name, _cast(entry.name, column, whole))
        ]
    if pa.types.is_time(kind):
        return lambda column: _listed(entry.name, _cast(entry.name, column, pa.time64("us")))
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return lambda column: [
            None if value is None else "\\x" + value.hex() for value in column.to_pylist()
        ]
    if pa.types.is_duration(kind) or pa.types.is_interval(kind):
        raise ShapeError(
            f"column {entry.name[:60]} has the type {kind}: write it as a number or a text"
        )
    if pa.types.is_nested(kind):
        return lambda column: [_nested(value) for value in _listed(entry.name, column)]
    return lambda column: _listed(entry.name, column)


def _cast(name: str, column: Any, kind: Any) -> Any:
    try:
        return column.cast(kind, safe=True)
    except pa.ArrowInvalid:
        raise ShapeError(
            f"column {name[:60]} has times with more than six decimals of a second: write "
            "microseconds into the file"
        ) from None


def _listed(name: str, column: Any) -> list[Any]:
    try:
        found: list[Any] = column.to_pylist()
    except (ValueError, OverflowError):
        raise ShapeError(
            f"column {name[:60]} has a value that is beyond the years 1 to 9999, or no text"
        ) from None
    return found


def _nested(value: Any) -> Any:
    if isinstance(value, float):
        return as_decimal(value)
    if isinstance(value, dict):
        return {str(key): _nested(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_nested(inner) for inner in value]
    return "\\x" + value.hex() if isinstance(value, bytes) else value
