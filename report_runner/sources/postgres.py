"""Rows from PostgreSQL: one statement, bound parameters, read only, bounded in time and size."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import psycopg
from psycopg import conninfo, errors, sql

from report_runner import mounted
from report_runner.contract.model import parse_duration
from report_runner.contract.numbers import exact
from report_runner.contract.reasons import Reason
from report_runner.contract.report import PostgresSource
from report_runner.models import RunError, Table
from report_runner.redaction import Redactor
from report_runner.sources import Fetched, SourceContext

CONNECT_SECONDS = 15
APPLICATION_NAME_LIMIT = 63  # PostgreSQL cuts what is longer (NAMEDATALEN - 1)
APPLICATION_PREFIX = "report-scheduler/"
FETCH_ROWS = 1000
SEARCH_PATH = "public, pg_catalog"
MESSAGE_LIMIT = 600

_UNSAFE_IN_COMMENT = re.compile(r"[^A-Za-z0-9._/:-]")
_UNAVAILABLE_CLASSES = ("08", "53", "57", "58", "XX")
_PERMANENT_CLASSES = ("0A", "22", "25", "26", "28", "34", "3D", "3F", "42", "44")


@dataclass(frozen=True, slots=True)
class _Names:
    """How this source is called in messages."""

    field: str
    secret: str


def fetch(name: str, source: PostgresSource, context: SourceContext) -> Fetched:
    """Run the query and read its rows. Raises RunError; no message holds a password."""
    secret = source.connection.secret_ref.name
    where = _Names(f"spec.report.sources[{name}].postgres", secret)
    parameters = bound_parameters(context)
    options = _connection(source, context, where)
    try:
        connection = psycopg.connect(
            conninfo.make_conninfo(**options), connect_timeout=CONNECT_SECONDS
        )
    except psycopg.Error as error:
        context.secrets.show_known_host(secret)
        server = context.secrets.redact(f"{options['host']}:{options['port']}")
        raise _connect_error(error, where, server, context.secrets.redact) from error
    with connection:
        connection.read_only = True
        try:
            fetched = _read(connection, source, context, parameters, where)
            # Some functions write though the transaction is read only: lo_from_bytea, for one.
            connection.rollback()
        except psycopg.Error as error:
            raise query_error(error, source, where.field, context.secrets.redact) from error
        return fetched


def _connection(source: PostgresSource, context: SourceContext, where: _Names) -> dict[str, str]:
    field = f"{where.field}.connection.secretRef"

    def key(name: str, check: mounted.Check, default: str | None = None) -> str:
        return context.secrets.read(where.secret, name, field, check, default)

    milliseconds = int(parse_duration(source.timeout) / timedelta(milliseconds=1))
    options = {
        "host": key("host", mounted.host),
        "port": key("port", mounted.port, "5432"),
        "dbname": key("dbname", mounted.name),
        "user": key("user", mounted.name),
        "password": key("password", mounted.password),
        "sslmode": key("sslmode", mounted.one_of(mounted.SSL_MODES), "prefer"),
        "application_name": application_name(context.run.run_id),
        "options": f"-c statement_timeout={milliseconds} -c default_transaction_read_only=on "
        "-c lock_timeout=30s -c idle_in_transaction_session_timeout=10min",
    }
    ca = context.secrets.certificates(where.secret, field)
    if ca is not None:
        options["sslrootcert"] = str(ca)
    return options


def application_name(run_id: str) -> str:
    """As pg_stat_activity shows it; of a long run id the end stays, which tells runs apart."""
    return APPLICATION_PREFIX + run_id[-(APPLICATION_NAME_LIMIT - len(APPLICATION_PREFIX)) :]


def bound_parameters(context: SourceContext) -> dict[str, Any]:
    """Every value that a query may name."""
    return {
        **exact(context.definition.report.parameters),
        "report_date": context.run.report_date,
        "slot": context.run.slot,
    }


def _comment(context: SourceContext) -> str:
    definition = context.definition
    text = f"report {definition.namespace}/{definition.name} run {context.run.run_id}"
    return "/* " + _UNSAFE_IN_COMMENT.sub(" ", text).replace("*/", "") + " */"


def _read(
    connection: psycopg.Connection[tuple[Any, ...]],
    source: PostgresSource,
    context: SourceContext,
    parameters: Mapping[str, Any],
    where: _Names,
) -> Fetched:
    connection.execute(sql.SQL("SET LOCAL search_path = " + SEARCH_PATH))
    warnings = _role_warnings(connection, where.secret)
    with connection.cursor() as cursor:
        # Parameters are always passed, so the extended protocol is used: one statement only.
        # The comment stands at the end: a position in an error is one of the author's text.
        query = source.query.rstrip().rstrip(";")
        statement = f"{query}\n{_comment(context)}".encode()
        rows: list[tuple[Any, ...]] = []
        try:
            # Rows come in as they are needed: too large a result never is in memory whole.
            for row in cursor.stream(statement, parameters, size=FETCH_ROWS):
                rows.append(row)
                if len(rows) > source.max_rows:
                    break
            if not rows:
                # A stream without rows does not tell its columns.
                cursor.execute(statement, parameters)
        except (psycopg.ProgrammingError, TypeError) as error:
            if isinstance(error, psycopg.Error) and error.sqlstate:
                raise
            raise RunError(
                Reason.CONFIGURATION_ERROR,
                f"{where.field}.query: {context.secrets.redact(str(error))}; write one SELECT, a "
                f"percent sign as %%, and as placeholders any of {_placeholders(parameters)}",
            ) from error
        columns = tuple(column.name for column in cursor.description or ())
        _check_columns(columns, where)
    if len(rows) > source.max_rows:
        raise RunError(
            Reason.CONFIGURATION_ERROR,
            f"{where.field}: the result has more than maxRows ({source.max_rows}) rows; narrow "
            "the query or raise maxRows",
        )
    return Fetched(Table(columns, rows), warnings)


def _placeholders(parameters: Mapping[str, Any]) -> str:
    return ", ".join(f"%({name})s" for name in sorted(parameters))


def _check_columns(columns: tuple[str, ...], where: _Names) -> None:
    twice = sorted({column for column in columns if columns.count(column) > 1})
    if twice:
        raise RunError(
            Reason.CONFIGURATION_ERROR,
            f"{where.field}.query: the result has several columns {', '.join(twice)}; "
            "give each a name of its own with AS",
        )


def _role_warnings(connection: psycopg.Connection[tuple[Any, ...]], secret: str) -> tuple[str, ...]:
    row = connection.execute(
        "SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user"
    ).fetchone()
    if row is not None and row[0]:
        return (f"the role of Secret {secret} is a superuser: log in as one that may only read",)
    return ()


def _connect_error(error: psycopg.Error, where: _Names, server: str, redact: Redactor) -> RunError:
    """Why logging in failed, in libpq's words (which name an address, and not the host)."""
    text = _one_line(redact(str(error)))
    permanent = any(
        word in text
        for word in (
            "password authentication failed",
            "no password supplied",
            "does not exist",
            "no pg_hba.conf entry",
            "invalid sslmode",
            "invalid port",
            "certificate verify failed",
            "root certificate file",
        )
    )
    if permanent:
        return RunError(
            Reason.CONFIGURATION_ERROR,
            f"{where.field}: login at {server} with Secret {where.secret} failed: {text}",
        )
    return RunError(
        Reason.DATABASE_UNAVAILABLE,
        f"{where.field}: no connection to {server} with Secret {where.secret}: {text}",
    )


def query_error(
    error: psycopg.Error, source: PostgresSource, field: str, redact: Redactor
) -> RunError:
    """The reason for an SQLSTATE (PostgreSQL, appendix A), with the place in the query."""
    state = error.sqlstate or ""
    text = _one_line(redact(error.diag.message_primary or str(error)))
    if error.diag.message_hint:
        text += f" ({_one_line(redact(error.diag.message_hint))})"
    place = _place(error.diag.statement_position, source.query)
    message = f"{field}.query{place}: {text}" + (f" [SQLSTATE {state}]" if state else "")
    if isinstance(error, errors.QueryCanceled):
        return RunError(Reason.TIMEOUT, f"{field}.query took longer than timeout {source.timeout}")
    if isinstance(error, errors.ReadOnlySqlTransaction):
        return RunError(Reason.CONFIGURATION_ERROR, f"{message}; a report may only read")
    if state.startswith(_PERMANENT_CLASSES):
        return RunError(Reason.CONFIGURATION_ERROR, message)
    if not state or state.startswith(_UNAVAILABLE_CLASSES):
        return RunError(Reason.DATABASE_UNAVAILABLE, message)
    return RunError(Reason.INTERNAL_ERROR, message)


def _place(position: str | None, query: str) -> str:
    """` line 2, column 8` for a position (characters, from 1) in the query."""
    if not position or not position.isdigit():
        return ""
    before = query[: int(position) - 1]
    return f" line {before.count(chr(10)) + 1}, column {len(before) - before.rfind(chr(10))}"


def _one_line(text: str) -> str:
    return " ".join(text.split())[:MESSAGE_LIMIT]
