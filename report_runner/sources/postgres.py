"""Rows from PostgreSQL: one statement, bound parameters, read only, bounded in time and size."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
from psycopg import conninfo, errors, sql

from report_runner import mounted
from report_runner.contract.model import parse_duration
from report_runner.contract.numbers import exact
from report_runner.contract.reasons import Reason
from report_runner.contract.sources import PostgresSource
from report_runner.contract.sql import placeholders, query_problem
from report_runner.models import RunError, Table
from report_runner.packed import RowCollector
from report_runner.sources import Fetched, SourceContext
from report_runner.sources.postgres_errors import SourceNames, connect_error, query_error
from report_runner.sources.postgres_types import (
    bound_value,
    column_type,
    decoder,
    register_loaders,
)

CONNECT_SECONDS = 15
APPLICATION_NAME_LIMIT = 63  # PostgreSQL cuts what is longer (NAMEDATALEN - 1)
APPLICATION_PREFIX = "report-scheduler/"
FETCH_ROWS = 1000

_UNSAFE_IN_COMMENT = re.compile(r"[^A-Za-z0-9._/:-]")


def fetch(name: str, source: PostgresSource, context: SourceContext) -> Fetched:
    """Run the query and read its rows. Raises RunError; no message holds a password."""
    secret = source.connection.secret_ref.name
    where = SourceNames(f"spec.report.sources[{name}].postgres", secret)
    problem = query_problem(source.query, context.definition.report.parameters)
    if problem is not None:
        raise RunError(Reason.CONFIGURATION_ERROR, f"{where.field}.query {problem}")
    parameters = bound_parameters(context)
    options = _connection(context, where)
    try:
        connection = psycopg.connect(
            conninfo.make_conninfo(**options),
            connect_timeout=CONNECT_SECONDS,
            # A pooler may give each transaction another connection to the server.
            prepare_threshold=None,
        )
    except psycopg.Error as error:
        context.secrets.show_known_host(secret)
        server = context.secrets.redact(f"{options['host']}:{options['port']}")
        raise connect_error(error, where, server, context.secrets.redact) from error
    with connection:
        connection.read_only = True
        search_path = ""
        try:
            search_path, warnings = _prepare_session(connection, source, context, where)
            table = _read(connection, source, context, parameters, where)
            # Some functions write though the transaction is read only: lo_from_bytea, for one.
            connection.rollback()
        except psycopg.Error as error:
            redact = context.secrets.redact
            raise query_error(error, source, where.field, redact, search_path) from error
        return Fetched(table, warnings)


def _connection(context: SourceContext, where: SourceNames) -> dict[str, str]:
    field = f"{where.field}.connection.secretRef"

    def key(name: str, check: mounted.Check, default: str | None = None) -> str:
        return context.secrets.read(where.secret, name, field, check, default)

    options = {
        "host": key("host", mounted.host),
        "port": key("port", mounted.port, "5432"),
        "dbname": key("dbname", mounted.name),
        "user": key("user", mounted.name),
        "password": key("password", mounted.password),
        "sslmode": key("sslmode", mounted.one_of(mounted.SSL_MODES), "prefer"),
        "application_name": application_name(context.run.run_id),
        # No other setting: a pooler (PgBouncer) refuses what it does not know.
        "client_encoding": "UTF8",
    }
    ca = context.secrets.certificates(where.secret, field)
    if ca is not None:
        options["sslrootcert"] = str(ca)
    return options


def application_name(run_id: str) -> str:
    """As pg_stat_activity shows it; of a long run id the end stays, which tells runs apart."""
    return APPLICATION_PREFIX + run_id[-(APPLICATION_NAME_LIMIT - len(APPLICATION_PREFIX)) :]


def bound_parameters(context: SourceContext) -> dict[str, Any]:
    """Every value that a query may name. Raises RunError."""
    given: dict[str, Any] = {}
    for name, value in exact(context.definition.report.parameters).items():
        try:
            given[name] = bound_value(value)
        except ValueError as error:
            raise RunError(
                Reason.CONFIGURATION_ERROR, f"spec.report.parameters.{name} {error}"
            ) from None
    return {
        **given,
        "report_date": context.run.report_date,
        "slot": context.run.slot,
    }


def _comment(context: SourceContext) -> str:
    definition = context.definition
    text = f"report {definition.namespace}/{definition.name} run {context.run.run_id}"
    return "/* " + _UNSAFE_IN_COMMENT.sub(" ", text).replace("*/", "") + " */"


def _prepare_session(
    connection: psycopg.Connection[tuple[Any, ...]],
    source: PostgresSource,
    context: SourceContext,
    where: SourceNames,
) -> tuple[str, tuple[str, ...]]:
    """The search_path in effect, and warnings. Everything is set for this transaction alone.

    Behind a pooler a connection may have settings of another client: search_path is set to what
    the role, the database or the server says, and temporary tables come last, since another
    client's may still be there.
    """
    zone = context.definition.time_zone
    row = connection.execute(
        "SELECT (SELECT rolsuper FROM pg_catalog.pg_roles "
        "WHERE rolname OPERATOR(pg_catalog.=) current_user), "
        "(SELECT reset_val FROM pg_catalog.pg_settings "
        "WHERE name OPERATOR(pg_catalog.=) 'search_path')"
    ).fetchone()
    superuser, search_path = row or (False, "")
    path = search_path or '""'
    milliseconds = int(parse_duration(source.timeout) / timedelta(milliseconds=1))
    settings = {
        "search_path": path if "pg_temp" in path else f"{path}, pg_temp",
        "statement_timeout": str(milliseconds),
        "lock_timeout": "30s",
        "idle_in_transaction_session_timeout": "10min",
        "DateStyle": "ISO",  # the order of day and month in a literal stays the role's
        "IntervalStyle": "postgres",
        "bytea_output": "hex",
        "extra_float_digits": "1",
        "standard_conforming_strings": "on",
    }
    try:
        connection.execute(_set_local({"TimeZone": zone}))
    except errors.InvalidParameterValue as error:
        raise RunError(
            Reason.CONFIGURATION_ERROR,
            f"spec.timeZone: the database of Secret {where.secret} does not know the zone {zone}; "
            "update the time zone data of its server, or write another name of the zone",
        ) from error
    connection.execute(_set_local(settings))
    register_loaders(connection)
    if superuser:
        return path, (
            f"the role of Secret {where.secret} is a superuser: log in as one that may only read",
        )
    return path, ()


def _set_local(settings: Mapping[str, str]) -> sql.Composed:
    calls = [
        sql.SQL("pg_catalog.set_config({}, {}, true)").format(name, value)
        for name, value in settings.items()
    ]
    return sql.SQL("SELECT {}").format(sql.SQL(", ").join(calls))


def _read(
    connection: psycopg.Connection[tuple[Any, ...]],
    source: PostgresSource,
    context: SourceContext,
    parameters: Mapping[str, Any],
    where: SourceNames,
) -> Table:
    with connection.cursor() as cursor:
        # Parameters are always passed, so the extended protocol is used: one statement only.
        # The comment stands at the end: a position in an error is one of the author's text.
        query = source.query.rstrip().rstrip(";")
        statement = f"{query}\n{_comment(context)}".encode()
        rows = RowCollector()
        try:
            # Rows come in as they are needed: too large a result never is in memory whole.
            for row in cursor.stream(statement, parameters, size=FETCH_ROWS):
                rows.add(row)
                if len(rows) > source.max_rows:
                    break
            if not rows:
                # A stream without rows does not tell its columns. (There may be rows by now.)
                cursor.execute(statement, parameters)
                for row in cursor.fetchmany(source.max_rows + 1):
                    rows.add(row)
        except (psycopg.ProgrammingError, TypeError) as error:
            if isinstance(error, psycopg.Error) and error.sqlstate:
                raise
            raise RunError(
                Reason.CONFIGURATION_ERROR,
                f"{where.field}.query: {context.secrets.redact(str(error))}; write one SELECT, a "
                f"percent sign as %%, and as placeholders any of {placeholders(parameters)}",
            ) from error
        described = cursor.description or ()
        columns = tuple(column.name for column in described)
        _check_columns(columns, where)
        types = tuple(column_type(connection, column) for column in described)
    if len(rows) > source.max_rows:
        raise RunError(
            Reason.CONFIGURATION_ERROR,
            f"{where.field}: the result has more than maxRows ({source.max_rows}) rows; narrow "
            "the query or raise maxRows",
        )
    zone = ZoneInfo(context.definition.time_zone)
    return Table(columns, rows.rows([decoder(type_, zone) for type_ in types]), types)


def _check_columns(columns: tuple[str, ...], where: SourceNames) -> None:
    twice = sorted({column for column in columns if columns.count(column) > 1})
    if twice:
        raise RunError(
            Reason.CONFIGURATION_ERROR,
            f"{where.field}.query: the result has several columns {', '.join(twice)}; "
            "give each a name of its own with AS",
        )
