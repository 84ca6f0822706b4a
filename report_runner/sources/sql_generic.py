"""Rows by any other SQLAlchemy dialect, whose driver a derived image brings.

What this project cannot know of another database it does not promise: only values whose Python type
tells them whole are taken, all others are refused with the remedy.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from datetime import date, time
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, create_engine, exc, text
from sqlalchemy.engine import Engine
from sqlalchemy.pool import NullPool

from report_runner.contract.model import parse_duration
from report_runner.contract.numbers import exact
from report_runner.contract.reasons import Reason
from report_runner.contract.sql import placeholder_names
from report_runner.contract.sql_mysql import MysqlQuery, QueryProblemError
from report_runner.contract.sql_source import SqlSource
from report_runner.contract.values import json_text
from report_runner.models import RunError, Table
from report_runner.sources import Fetched, SourceContext
from report_runner.sources.sql_access import SqlAccess, one_line

_FETCH_ROWS = 1000
_WRONG_LOGIN = re.compile(
    r"password|login|denied|ORA-0101[67]|ORA-12514|certificate|unknown database", re.IGNORECASE
)


def fetch_generic(source: SqlSource, access: SqlAccess, context: SourceContext) -> Fetched:
    """Run the query and read its rows. Raises RunError; no message holds a password."""
    statement, values = _statement(source, access, context)
    found: list[Table | BaseException] = []

    def read() -> None:
        try:
            found.append(_read(statement, values, source, access, context))
        except BaseException as error:  # noqa: BLE001 - raised below, in the run's own thread
            found.append(error)

    # No driver has the same time-out: the thread is left behind, and ends with the run.
    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    thread.join(parse_duration(source.timeout).total_seconds())
    if not found:
        raise access.timed_out(source.timeout)
    (result,) = found
    if isinstance(result, BaseException):
        raise result
    return Fetched(result)


def _statement(
    source: SqlSource, access: SqlAccess, context: SourceContext
) -> tuple[Any, Mapping[str, Any]]:
    known = context.parameters()
    names = placeholder_names(source.query)
    try:
        MysqlQuery(source.query, backslash=False).with_values(known, lambda _name, _value: "")
        # A colon of the author's own is none of SQLAlchemy's placeholders.
        escaped = MysqlQuery(source.query.replace(":", "\\:"), backslash=False)
        query = escaped.with_values(known, lambda name, _value: f":{name}")
    except QueryProblemError as error:
        raise RunError(Reason.CONFIGURATION_ERROR, f"{access.field}.query {error}") from None
    values = {
        name: json_text(value) if isinstance(value := known[name], dict) else value
        for name in names
    }
    lists: list[Any] = [
        bindparam(name, expanding=True) for name in names if isinstance(values[name], list)
    ]
    return text(query).bindparams(*lists), values


def _read(
    statement: Any,
    values: Mapping[str, Any],
    source: SqlSource,
    access: SqlAccess,
    context: SourceContext,
) -> Table:
    redact = context.secrets.redact
    engine = _engine(access)
    try:
        connection = engine.connect()
    except exc.SQLAlchemyError as error:
        told = str(getattr(error, "orig", None) or error)
        if _WRONG_LOGIN.search(told):
            raise access.no_login(told, redact) from error
        raise access.unavailable(told, redact) from error
    with connection:
        try:
            result = connection.execution_options(stream_results=True).execute(statement, values)
            columns = list(result.keys())
            access.check_columns(columns)
            rows: list[tuple[Any, ...]] = []
            while batch := result.fetchmany(_FETCH_ROWS):
                for row in batch:
                    if len(rows) == source.max_rows:
                        raise access.too_many(source.max_rows)
                    pairs = zip(columns, row, strict=True)
                    rows.append(tuple(_value(access, len(rows) + 1, *pair) for pair in pairs))
            # Nothing is kept of what the statement may have done.
            connection.rollback()
        except exc.SQLAlchemyError as error:
            told = one_line(redact(str(getattr(error, "orig", None) or error)))
            if isinstance(error, exc.DBAPIError) and error.connection_invalidated:
                raise RunError(
                    Reason.DATABASE_UNAVAILABLE, f"{access.field}.query: {told}"
                ) from error
            raise access.refused(told) from error
    return Table(tuple(columns), rows)


def _engine(access: SqlAccess) -> Engine:
    try:
        return create_engine(access.url, poolclass=NullPool, hide_parameters=True)
    except (exc.ArgumentError, ImportError) as error:
        raise RunError(
            Reason.CONFIGURATION_ERROR,
            f"{access.field}: the image names the driver {access.url.drivername}, but lacks it: "
            f"{one_line(str(error))}",
        ) from error


def _value(access: SqlAccess, row: int, column: str, value: Any) -> Any:
    match value:
        case None | bool() | int() | Decimal() | str() | date() | time():
            return value
        case float():
            return exact(value)
        case bytes() | memoryview():
            return "\\x" + bytes(value).hex()
        case UUID():
            return str(value)
    raise access.refused(
        f"column {column}, row {row}: a {type(value).__name__} of the driver has no certain text; "
        "cast the column to text in the query"
    )
