"""Rows from MySQL and MariaDB: one SELECT, read only, bounded in time and size."""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast
from zoneinfo import ZoneInfo

import pymysql
from pymysql import converters, err
from pymysql.cursors import SSCursor

from report_runner.contract.model import parse_duration
from report_runner.contract.reasons import Reason
from report_runner.contract.sql_mysql import MysqlQuery, QueryProblemError
from report_runner.contract.sql_source import SqlSource
from report_runner.models import RunError, Table
from report_runner.packed import RowCollector
from report_runner.redaction import Redactor
from report_runner.sources import Fetched, SourceContext
from report_runner.sources.mysql_types import (
    MysqlColumn,
    is_in_repeated_hour,
    literal,
    mysql_column,
)
from report_runner.sources.sql_access import CONNECT_SECONDS, SqlAccess, one_line

_PORT = 3306
_UTC = ("Etc/UTC", "UTC", "Etc/GMT", "GMT", "Etc/Universal", "Etc/Zulu")
_GRACE_SECONDS = 10  # behind the server's own time-out
_NO_ZONE = 1298
_OUT_OF_TIME = (1969, 3024)  # max_statement_time, max_execution_time
_LOST = 2013
# Incorrect key file, table crashed (1194, 1195), index corrupt, table corrupt.
_CORRUPTED = (1034, 1194, 1195, 1712, 1877)
# Not reached, overloaded, shutting down, killed; and the client's own errors of a connection.
_UNAVAILABLE = frozenset(
    (1040, 1041, 1042, 1053, 1077, 1078, 1079, 1080, 1129, 1158, 1159, 1160, 1161, 1184, 1203,
     1205, 1213, 1226, 1290, 1317, 1836, 1927, 2002, 2003, 2005, 2006, 2013, 2014, 2027, 2055)
)  # fmt: skip
# The server changed or cut a value, and went on.
_CHANGED = frozenset((1260, 1264, 1265, 1292, 1366, 1406, 1916, 3155))
_WARNINGS = 20


def fetch_mysql(source: SqlSource, access: SqlAccess, context: SourceContext) -> Fetched:
    """Run the query and read its rows. Raises RunError; no message holds a password."""
    redact = context.secrets.redact
    connection = _connect(source, access, context)
    try:
        with _query_errors(source, access, redact):
            _prepare_session(connection, source, access, context)
            statement = _statement(connection, access, source.query, context)
            return Fetched(*_read(connection, statement, source, access, context))
    finally:
        # Not COM_QUIT: what is left of a result that is too large would be read before.
        connection._force_close()  # type: ignore[attr-defined]


def _connect(
    source: SqlSource, access: SqlAccess, context: SourceContext
) -> pymysql.Connection[SSCursor]:
    url = access.url
    timeout = parse_duration(source.timeout).total_seconds()
    try:
        return pymysql.connect(
            host=url.host,
            port=url.port or _PORT,
            user=url.username,
            password=str(url.password or ""),
            database=url.database,
            charset="utf8mb4",
            cursorclass=SSCursor,
            conv=cast("Any", converters.encoders),  # no decoders: every value is a text
            connect_timeout=CONNECT_SECONDS,
            read_timeout=int(timeout) + _GRACE_SECONDS,
            write_timeout=CONNECT_SECONDS,
            ssl=ssl.create_default_context(cafile=str(access.ca)) if access.ca else None,
            local_infile=False,
            program_name=f"report-scheduler/{context.run.run_id}"[:200],
        )
    except (err.Error, OSError, ssl.SSLError) as error:
        code, text = _code_and_text(error)
        if code in _UNAVAILABLE and "CERTIFICATE_VERIFY_FAILED" not in text:
            raise access.unavailable(text, context.secrets.redact) from error
        raise access.no_login(text, context.secrets.redact) from error


def _prepare_session(
    connection: pymysql.Connection[SSCursor],
    source: SqlSource,
    access: SqlAccess,
    context: SourceContext,
) -> None:
    if access.ca is not None and not connection._secure:  # type: ignore[attr-defined]
        raise access.no_login(
            "the server has no TLS, though the Secret has a ca.crt", context.secrets.redact
        )
    zone = context.definition.time_zone
    cursor = connection.cursor()
    try:
        cursor.execute("SET SESSION time_zone = %s", ("+00:00" if zone in _UTC else zone,))
    except err.Error as error:
        if _code_and_text(error)[0] != _NO_ZONE:
            raise
        raise RunError(
            Reason.CONFIGURATION_ERROR,
            f"spec.timeZone: the database of Secret {access.secret} does not know the zone {zone}; "
            "have its time zone tables loaded (mariadb-tzinfo-to-sql, mysql_tzinfo_to_sql), or set "
            "spec.timeZone to Etc/UTC",
        ) from error
    seconds = parse_duration(source.timeout).total_seconds()
    limit = (
        f"SET SESSION max_statement_time = {seconds:g}"
        if "MariaDB" in str(cast("Any", connection).server_version)
        else f"SET SESSION max_execution_time = {int(seconds * 1000)}"
    )
    cursor.execute(limit)
    # The author's dialect stays the server's; only that a division by zero is told is added.
    cursor.execute("SET SESSION sql_mode = CONCAT(@@sql_mode, ',ERROR_FOR_DIVISION_BY_ZERO')")
    cursor.execute("SET SESSION TRANSACTION READ ONLY")
    cursor.execute("START TRANSACTION READ ONLY")


def _statement(
    connection: pymysql.Connection[SSCursor],
    access: SqlAccess,
    text: str,
    context: SourceContext,
) -> str:
    """The author's query with its parameters as literals."""
    cursor = connection.cursor()
    cursor.execute("SELECT @@sql_mode")
    mode = str(next(iter(cursor.fetchall()))[0])
    zone = ZoneInfo(context.definition.time_zone)

    def quote(text: str) -> str:
        return str(connection.escape(text))

    def write(name: str, value: Any) -> str:
        try:
            return literal(value, zone, quote)
        except ValueError as error:
            raise RunError(
                Reason.CONFIGURATION_ERROR, f"spec.report.parameters.{name} {error}"
            ) from None

    query = MysqlQuery(text, "NO_BACKSLASH_ESCAPES" not in mode)
    try:
        return query.with_values(context.parameters(), write)
    except QueryProblemError as error:
        raise RunError(Reason.CONFIGURATION_ERROR, f"{access.field}.query {error}") from None


def _read(
    connection: pymysql.Connection[SSCursor],
    statement: str,
    source: SqlSource,
    access: SqlAccess,
    context: SourceContext,
) -> tuple[Table, tuple[str, ...]]:
    cursor = connection.cursor()
    cursor.execute(statement)
    result: Any = cursor._result  # type: ignore[attr-defined]
    try:
        if not cursor.description:
            raise access.refused("gives no rows; write one SELECT")
        columns = _columns(result.fields, access)
        collector = RowCollector()
        while (row := cursor.fetchone()) is not None:
            if len(collector) == source.max_rows:
                raise access.too_many(source.max_rows)
            values = zip(columns, row, strict=True)
            number = len(collector) + 1
            collector.add(tuple(_value(access, number, *value) for value in values))
    finally:
        # Else the rest of a result that is too large would be read when the cursor goes.
        result.unbuffered_active = False
    names = tuple(column.name for column in columns)
    table = Table(names, collector.rows(), tuple(column.type for column in columns))
    zone = ZoneInfo(context.definition.time_zone)
    return table, (
        *_server_warnings(connection, access, context.secrets.redact),
        *_column_warnings(access, columns, table, zone),
    )


def _columns(fields: Sequence[Any], access: SqlAccess) -> list[MysqlColumn]:
    access.check_columns([str(field.name) for field in fields])
    try:
        return [mysql_column(field) for field in fields]
    except ValueError as error:
        raise access.refused(str(error)) from None


def _value(access: SqlAccess, row: int, column: MysqlColumn, value: Any) -> Any:
    if value is None:
        return None
    try:
        return column.convert(value)
    except (ValueError, ArithmeticError) as error:
        raise access.refused(f"column {column.name}, row {row}: {error}") from None


def _server_warnings(
    connection: pymysql.Connection[SSCursor], access: SqlAccess, redact: Redactor
) -> list[str]:
    """What the server warned of. Raises RunError where it changed or cut a value."""
    cursor = connection.cursor()
    cursor.execute("SHOW WARNINGS")
    found = [(int(code), str(text)) for _, code, text in cursor.fetchall()]
    changed = next((text for code, text in found if code in _CHANGED), None)
    if changed is not None:
        raise access.refused(
            f"the server would cut or change a value: {one_line(redact(changed))}; cast or filter "
            "it in the query"
        )
    texts = dict.fromkeys(f"{access.field}.query: {one_line(redact(text))}" for _, text in found)
    return list(texts)[:_WARNINGS]


def _column_warnings(
    access: SqlAccess, columns: Sequence[MysqlColumn], table: Table, zone: ZoneInfo
) -> list[str]:
    found = [f"{access.field}.query: {column.warning}" for column in columns if column.warning]
    for number, column in enumerate(columns):
        if column.in_zone and any(is_in_repeated_hour(v, zone) for v in table.values(number)):
            found.append(
                f"{access.field}.query: column {column.name} has times in an hour that the clock "
                f"repeats; write UNIX_TIMESTAMP({column.name}) where it matters which"
            )
    return found


@contextmanager
def _query_errors(source: SqlSource, access: SqlAccess, redact: Redactor) -> Iterator[None]:
    begin = time.monotonic()
    try:
        yield
    except (err.Error, OSError) as error:
        code, text = _code_and_text(error)
        seconds = parse_duration(source.timeout).total_seconds()
        lost = code == _LOST and time.monotonic() - begin >= seconds
        if code in _OUT_OF_TIME or lost:
            raise access.timed_out(source.timeout) from error
        said = f"{one_line(redact(text))}" + (f" [{code}]" if code else "")
        if code in _CORRUPTED:
            raise RunError(Reason.DATA_CORRUPTED, f"{access.field}.query: {said}") from error
        if code in _UNAVAILABLE or isinstance(error, OSError):
            raise RunError(Reason.DATABASE_UNAVAILABLE, f"{access.field}.query: {said}") from error
        raise access.refused(said) from error


def _code_and_text(error: Exception) -> tuple[int, str]:
    """The number and the words of an error."""
    if error.args and isinstance(error.args[0], int):
        return error.args[0], str(error.args[1] if len(error.args) > 1 else "")
    return 0, str(error)
