"""What the sources of files and answers share: columns with types, and bounds."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

from pydantic import Field, StringConstraints

from report_runner.contract.model import Integer, Model
from report_runner.contract.schema import list_map, unique

MEBIBYTE = 1 << 20


class ColumnKind(StrEnum):
    """The type that all values of a column have to be of."""

    TEXT = "text"
    INTEGER = "integer"
    NUMERIC = "numeric"
    BOOLEAN = "boolean"
    DATE = "date"
    TIMESTAMP = "timestamp"


class DeclaredColumn(Model):
    """A column, and what its values have to be."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=253)] = Field(
        description="Name of the column."
    )
    type: ColumnKind = Field(
        default=ColumnKind.TEXT,
        description="What every value has to be: text, integer, numeric (every digit is kept), "
        "boolean (true or false), date (YYYY-MM-DD), timestamp (ISO 8601; with an offset it is "
        "shown in the report's time zone). Any other value fails the run.",
    )


Columns = Annotated[
    list[DeclaredColumn],
    unique("name"),
    Field(
        max_length=200,
        json_schema_extra=list_map("name"),
        description="Types of columns, which come first and in this order; a row without one of "
        "them has NULL there. Columns that are not named here follow: numbers and booleans of "
        "JSON and the types of Parquet as they are, everything else as text.",
    ),
]
MaxRows = Annotated[
    Integer,
    Field(
        ge=1,
        le=1_000_000,
        description="More rows fail the run rather than exhausting its memory.",
    ),
]
MaxBytes = Annotated[
    Integer,
    Field(
        ge=1024,
        le=1024 * MEBIBYTE,
        description="Bytes that are read in all, decompressed; more fail the run. JSON needs some "
        "ten times as much memory.",
    ),
]
MAX_ROWS = 100_000
MAX_BYTES = 32 * MEBIBYTE


def bounded_map(**limits: Any) -> dict[str, Any]:
    """Schema of the values of a map of texts."""
    return {"additionalProperties": {"type": "string", **limits}}
