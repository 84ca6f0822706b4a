"""The data types of a run: tables, the input of rendering, rendered documents."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any

from report_runner.contract.datefilters import Holidays
from report_runner.contract.format_options import FormatOptions
from report_runner.contract.reasons import Reason
from report_runner.contract.report import Chart, Format
from report_runner.packed import PackedRows


class RunError(Exception):
    """Ends the run with a reason and a message for a person.

    The message names the field (for example `spec.report.sources[positions].postgres.query`)
    and the remedy, and holds neither a password nor report data.
    """

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


class RunSkipped(Exception):  # noqa: N818 - no error: the author asked for it
    """Ends the run without a report; `message` tells a person why none was wanted."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


@dataclass(frozen=True, slots=True)
class ColumnType:
    """A column's type in PostgreSQL: `numeric(12,2)` has precision 12 and scale 2."""

    name: str
    precision: int | None = None
    scale: int | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of one source.

    Values: None, bool, int, float, Decimal, str, date, time, datetime (aware ones of a database
    have a `SessionOffset`), FarMoment for what Python cannot hold, and of inline rows dict and
    list. `contract.values.plain_text` writes any of them. `types` is empty where the source does
    not know its columns' types.
    """

    columns: tuple[str, ...]
    rows: Sequence[tuple[Any, ...]]
    types: tuple[ColumnType, ...] = ()

    def values(self, number: int) -> Iterator[Any]:
        """One column of all rows."""
        if isinstance(self.rows, PackedRows):
            return self.rows.column(number)
        return (row[number] for row in self.rows)

    def records(self) -> list[dict[str, Any]]:
        """The rows as dicts by column name."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]


@dataclass(frozen=True, slots=True)
class RenderInput:
    """The whole input of rendering: equal inputs give equal documents."""

    title: str
    report_type: str
    namespace: str
    name: str
    slot: datetime  # aware, UTC
    report_date: date
    time_zone: str
    generated_at: datetime  # aware
    run_id: str
    parameters: Mapping[str, Any]
    tables: Mapping[str, Table]
    charts: Sequence[Chart] = field(default_factory=tuple)
    template: str = ""  # Jinja2 source
    options: FormatOptions | None = None
    holidays: Holidays = frozenset()  # dates that are no business days
    warnings: tuple[str, ...] = ()  # checks of severity warn that did not pass

    def sources_for(self, name: str) -> list[str]:
        """The sources that a data format writes: those of its options, else all of them."""
        options = self.options.of(name) if self.options else None
        return options.sources if options and options.sources else list(self.tables)


@dataclass(frozen=True, slots=True)
class Document:
    """One rendered file, still under its temporary name."""

    format: Format
    path: Path
    pages: int | None = None
    source: str | None = None  # the one that it holds, where it holds one alone
    notes: tuple[str, ...] = ()  # what a reader has to know, such as numbers kept as text

    @property
    def suffix(self) -> str:
        """The end of its name, such as `.pdf` or `-positions.csv`."""
        return self.format.suffix_of(self.source)
