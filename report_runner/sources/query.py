"""Rows from SQL over the sources before: DuckDB in a process of its own, without files or network.

The process is bounded in memory and time. Only the sources that the query names are given to it.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any
from zoneinfo import ZoneInfo

from report_runner.contract.model import parse_duration
from report_runner.contract.query_source import QuerySource
from report_runner.contract.reasons import Reason
from report_runner.contract.sql import placeholder_names, query_problem, rewritten, without_end
from report_runner.contract.words import counted
from report_runner.models import RunError, Table
from report_runner.packed import RowCollector
from report_runner.sources import Fetched, SourceContext
from report_runner.sources.query_process import QueryProcess
from report_runner.sources.query_requests import (
    DescribeRequest,
    NextRequest,
    RowsRequest,
    RunRequest,
    TableRequest,
    column_name,
)
from report_runner.sources.query_types import (
    DIGITS,
    Ingoing,
    Outgoing,
    bound_value,
    ingoing,
    outgoing,
)

_ROWS = 10_000
_WORD = re.compile(r"\w+")
_DECIMAL = re.compile(r"DECIMAL\(\d+,(\d+)\)", re.ASCII)
# Where values of different types become one column.
_MEET = re.compile(
    r"\b(union|except|intersect|values|case|if|coalesce|ifnull|greatest|least)\b", re.IGNORECASE
)


def fetch(name: str, source: QuerySource, context: SourceContext) -> Fetched:
    """Run the query and read its rows. Raises RunError."""
    field = f"spec.report.sources[{name}].query"
    sql, parameters = _statement(source, context, field)
    zone = context.definition.time_zone
    with QueryProcess(
        field, _later_sources(name, context), context.definition.report.excluded_source()
    ) as process:
        process.open(zone)
        columns = [
            column
            for table_name in _named_tables(source.sql, context.tables)
            for column in _load(process, table_name, context.tables[table_name])
        ]
        process.deadline = time.monotonic() + parse_duration(source.timeout).total_seconds()
        try:
            table = _result(process, source, sql, parameters, ZoneInfo(zone))
        except RunError as error:
            if time.monotonic() < process.deadline:
                raise
            raise RunError(
                Reason.TIMEOUT,
                f"{field} was stopped after {field}.timeout ({source.timeout}): make it faster, or "
                "raise that",
            ) from error
    warnings = _floating(field, table, columns) + _rounded(field, source.sql, table, columns)
    return Fetched(table, warnings)


def _statement(
    source: QuerySource, context: SourceContext, field: str
) -> tuple[str, dict[str, Any]]:
    """The text for DuckDB, and the values of its placeholders."""
    known = context.parameters()
    problem = query_problem(source.sql, context.definition.report.parameters)
    sql = ""
    if problem is None:
        try:
            sql = rewritten(without_end(source.sql), lambda name: f"${name}")
        except ValueError as error:
            problem = str(error)
    if problem is not None:
        raise RunError(Reason.CONFIGURATION_ERROR, f"{field}.sql {problem}")
    parameters = {}
    for name in placeholder_names(source.sql):
        try:
            parameters[name] = bound_value(known[name])
        except ValueError as error:
            raise RunError(
                Reason.CONFIGURATION_ERROR, f"spec.report.parameters.{name} {error}"
            ) from None
    return sql, parameters


def _named_tables(sql: str, tables: Mapping[str, Table]) -> list[str]:
    words = {word.lower() for word in _WORD.findall(sql)}
    return [name for name in tables if name in words]


def _later_sources(name: str, context: SourceContext) -> list[str]:
    return [
        source.name
        for source in context.definition.report.sources
        if source.name not in context.tables and source.name != name
    ]


def _load(process: QueryProcess, name: str, table: Table) -> list[Ingoing]:
    """Give a table to the process; its columns."""
    if not table.columns:
        raise RunError(
            Reason.CONFIGURATION_ERROR,
            f"spec.report.sources[{name}]: has neither rows nor columns, so that a query cannot "
            "read it; name its columns",
        )
    lower = [column.lower() for column in table.columns]
    twice = sorted({column for column in table.columns if lower.count(column.lower()) > 1})
    if twice:
        raise RunError(
            Reason.CONFIGURATION_ERROR,
            f"spec.report.sources[{name}]: the columns {', '.join(twice)} are one to DuckDB, which "
            "does not tell upper from lower case; rename one of them",
        )
    columns = [ingoing(name, table, number) for number in range(len(table.columns))]
    process.ask(TableRequest(name, [(column.name, column.type) for column in columns]))
    rows = iter(table.rows)
    while batch := list(islice(rows, _ROWS)):
        process.load(
            name,
            RowsRequest(
                [
                    [None if row[n] is None else column.convert(row[n]) for row in batch]
                    for n, column in enumerate(columns)
                ]
            ),
        )
    return columns


def _result(
    process: QueryProcess,
    source: QuerySource,
    sql: str,
    parameters: Mapping[str, Any],
    zone: ZoneInfo,
) -> Table:
    described = process.ask(DescribeRequest(sql, parameters))["columns"]
    names = tuple(str(name) for name, _ in described)
    columns = _columns(process.field, described, zone)
    limit = source.max_rows + 1
    process.ask(RunRequest(sql, parameters, [column.select for column in columns], limit))
    rows = RowCollector()
    while batch := process.ask(NextRequest())["rows"]:
        for row in batch:
            values = zip(names, columns, row, strict=True)
            rows.add(tuple(_value(process.field, *value) for value in values))
    if len(rows) > source.max_rows:
        raise RunError(
            Reason.CONFIGURATION_ERROR,
            f"{process.field}: the result has more than maxRows ({source.max_rows}) rows; narrow "
            "the query or raise maxRows",
        )
    return Table(names, rows.rows(), tuple(column.type for column in columns))


def _columns(field: str, described: list[list[str]], zone: ZoneInfo) -> list[Outgoing]:
    names = [name for name, _ in described]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise RunError(
            Reason.CONFIGURATION_ERROR,
            f"{field}.sql: the result has several columns {', '.join(twice)}; give each a name of "
            "its own with AS",
        )
    found = []
    for number, (name, type_) in enumerate(described):
        try:
            found.append(outgoing(column_name(number), type_, zone))
        except ValueError as error:
            raise RunError(
                Reason.CONFIGURATION_ERROR, f"{field}.sql: column {name} {error}"
            ) from None
    return found


def _value(field: str, name: str, column: Outgoing, value: Any) -> Any:
    if value is None:
        return None
    try:
        return column.convert(value)
    except ValueError as error:
        raise RunError(Reason.CONFIGURATION_ERROR, f"{field}.sql: column {name}: {error}") from None


def _floating(field: str, table: Table, columns: Sequence[Ingoing]) -> tuple[str, ...]:
    """What became binary floating point though no source has any: a quotient of decimals, most
    often.
    """
    if any(column.type in ("FLOAT", "DOUBLE") for column in columns):
        return ()
    floats = [
        name
        for name, type_ in zip(table.columns, table.types, strict=True)
        if type_.name in ("float4", "float8")
    ]
    return tuple(
        f"{field}.sql: column {name} is floating point (DuckDB divides and averages decimals that "
        f"way): write CAST(... AS DECIMAL(18, 6)) where its digits matter"
        for name in floats
    )


def _rounded(field: str, sql: str, table: Table, columns: Sequence[Ingoing]) -> tuple[str, ...]:
    """What may have lost decimals: where a DECIMAL of 38 digits (a sum) without decimals meets one
    with them, DuckDB's common type has none of them, and it says nothing.
    """
    found = (_DECIMAL.fullmatch(column.type) for column in columns)
    most = max((int(match[1]) for match in found if match), default=0)
    if not _MEET.search(sql):
        return ()
    return tuple(
        f"{field}.sql: column {name} has {counted(type_.scale, 'decimal')} and a source has "
        f"{most}: where numbers meet (UNION, CASE, coalesce), DuckDB rounds to what fits beside 38 "
        f"digits; write CAST(... AS DECIMAL(18, {most})) on each side, or CAST(... AS DECIMAL(18, "
        f"{type_.scale})) where that is meant"
        for name, type_ in zip(table.columns, table.types, strict=True)
        if type_.precision == DIGITS and type_.scale is not None and type_.scale < most
    )
