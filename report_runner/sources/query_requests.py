"""What the process of DuckDB is asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class OpenRequest:
    """The session: its time zone, and the bytes of memory that DuckDB may use."""

    zone: str
    memory: int


@dataclass(frozen=True, slots=True)
class TableRequest:
    """A new table: its columns, each with its type."""

    name: str
    columns: Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class RowsRequest:
    """Rows of the last table, by column: whole numbers, booleans, and texts of all else."""

    columns: Sequence[Sequence[Any]]


@dataclass(frozen=True, slots=True)
class DescribeRequest:
    """Answered with the `columns` of the result: name and type."""

    sql: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class RunRequest:
    """`select` has an expression for each column of `sql`, which are called `column_name(n)`."""

    sql: str
    parameters: Mapping[str, Any]
    select: Sequence[str]
    limit: int


@dataclass(frozen=True, slots=True)
class NextRequest:
    """Answered with the next `rows`; none at the end."""


Request = OpenRequest | TableRequest | RowsRequest | DescribeRequest | RunRequest | NextRequest


def column_name(number: int) -> str:
    """A column of the author's query, whose own names may be the same twice but for their case."""
    return f"c{number}"


def quoted(name: str) -> str:
    """An identifier."""
    return '"' + name.replace('"', '""') + '"'
