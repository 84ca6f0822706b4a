"""What the columns of a source hold, for the formats whose cells have types."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import time
from decimal import Decimal
from enum import StrEnum
from typing import Any

from report_runner.contract.moments import MomentKind, kind_of
from report_runner.contract.reasons import Reason
from report_runner.models import RunError, Table


class DataKind(StrEnum):
    """What all values of a column are, NULLs apart."""

    BOOLEAN = "boolean"
    INTEGER = "integer"
    DECIMAL = "decimal"
    FLOAT = "float"
    DATE = "date"
    TIME = "time"
    TIMESTAMP = "timestamp"
    ZONED = "timestamp with zone"
    TEXT = "text"

    @property
    def numeric(self) -> bool:
        return self in (DataKind.INTEGER, DataKind.DECIMAL, DataKind.FLOAT)

    @property
    def moment(self) -> bool:
        """Whether it has a day."""
        return self in (DataKind.DATE, DataKind.TIMESTAMP, DataKind.ZONED)


# By the name of PostgreSQL's type; any other is text.
_DECLARED = {
    "bool": DataKind.BOOLEAN,
    "int2": DataKind.INTEGER,
    "int4": DataKind.INTEGER,
    "int8": DataKind.INTEGER,
    "numeric": DataKind.DECIMAL,
    "float4": DataKind.FLOAT,
    "float8": DataKind.FLOAT,
    "date": DataKind.DATE,
    "time": DataKind.TIME,
    "timestamp": DataKind.TIMESTAMP,
    "timestamptz": DataKind.ZONED,
}
_MOMENTS = {
    MomentKind.DATE: DataKind.DATE,
    MomentKind.TIME: DataKind.TIMESTAMP,
    MomentKind.ZONED: DataKind.ZONED,
}


def present(table: Table, number: int) -> Iterator[tuple[int, Any]]:
    """The values of a column that are not NULL, each with the number of its row, from 1."""
    for index, value in enumerate(table.values(number), 1):
        if value is not None:
            yield index, value


def column_kind(table: Table, number: int) -> DataKind:
    """By the type that the database gave, else by the values."""
    if table.types:
        return _DECLARED.get(table.types[number].name, DataKind.TEXT)
    kinds = {_kind(value) for _, value in present(table, number)}
    if kinds == {DataKind.INTEGER, DataKind.DECIMAL}:
        return DataKind.DECIMAL
    return kinds.pop() if len(kinds) == 1 else DataKind.TEXT


def _kind(value: Any) -> DataKind:
    moment = kind_of(value)
    if moment is not None:
        return _MOMENTS[moment]
    if isinstance(value, bool):
        return DataKind.BOOLEAN
    if isinstance(value, int):
        return DataKind.INTEGER
    if isinstance(value, Decimal | float):
        return DataKind.DECIMAL
    return DataKind.TIME if isinstance(value, time) else DataKind.TEXT


def place_error(source: str, column: str, row: int | None, problem: str) -> RunError:
    """The error for a value that a format cannot hold; `row` is counted from 1."""
    where = f"spec.report.sources[{source}]: column {column}" + (f", row {row}" if row else "")
    return RunError(Reason.CONFIGURATION_ERROR, f"{where}: {problem}")
