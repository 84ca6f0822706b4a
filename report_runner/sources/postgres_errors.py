"""What went wrong between the runner and PostgreSQL: a reason, the place, the remedy."""

from __future__ import annotations

import re
from dataclasses import dataclass

import psycopg
from psycopg import errors

from report_runner.contract.libpq import without_address
from report_runner.contract.reasons import Reason
from report_runner.contract.sources import PostgresSource
from report_runner.contract.sql import original_index, place, placeholder_names
from report_runner.models import RunError
from report_runner.redaction import Redactor

MESSAGE_LIMIT = 600

_CORRUPTED = ("XX001", "XX002")  # data_corrupted, index_corrupted
_UNAVAILABLE_CLASSES = ("08", "53", "57", "58", "XX")
_UNKNOWN_NAMES = ("42P01", "42883", "42704", "3F000")  # table, function, type, schema
_PERMANENT_CLASSES = ("0A", "22", "25", "26", "28", "34", "3D", "3F", "42", "44")


@dataclass(frozen=True, slots=True)
class SourceNames:
    """How this source is called in messages."""

    field: str
    secret: str


def connect_error(
    error: psycopg.Error, where: SourceNames, server: str, redact: Redactor
) -> RunError:
    """Why logging in failed, in libpq's words, but with the Secret's host and not its address."""
    text = _one_line(redact(without_address(str(error))))
    permanent = any(
        word in text
        for word in (
            "password authentication failed",
            "no password supplied",
            "does not exist",
            "no pg_hba.conf entry",
            "invalid sslmode",
            "invalid port",
            "SASL authentication failed",
            "no such database",
            "no such user",
            "unsupported startup parameter",
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
    error: psycopg.Error, source: PostgresSource, field: str, redact: Redactor, search_path: str
) -> RunError:
    """The reason for an SQLSTATE (PostgreSQL, appendix A), with the place in the query."""
    state = error.sqlstate or ""
    text = _one_line(redact(error.diag.message_primary or str(error)))
    if error.diag.message_hint:
        text += f" ({_one_line(redact(error.diag.message_hint))})"
    text += _named_placeholders(text, source.query)
    where = _place(error.diag.statement_position, source.query)
    message = f"{field}.query{where}: {text}" + (f" [SQLSTATE {state}]" if state else "")
    if isinstance(error, errors.QueryCanceled):
        if "user request" in text:  # pg_cancel_backend; the words are those of lc_messages
            return RunError(Reason.DATABASE_UNAVAILABLE, message)
        return RunError(
            Reason.TIMEOUT,
            f"{field}.query was stopped after {field}.timeout ({source.timeout}): make it faster, "
            "or raise that",
        )
    if isinstance(error, errors.LockNotAvailable):
        return RunError(
            Reason.DATABASE_UNAVAILABLE,
            f"{message}; it waited 30 s for a lock that another session holds",
        )
    if isinstance(error, errors.ReadOnlySqlTransaction):
        return RunError(Reason.CONFIGURATION_ERROR, f"{message}; a report may only read")
    if state in _UNKNOWN_NAMES and search_path:
        message += (
            f"; search_path of this role is {search_path}: write the schema with the name, or have "
            "it set with ALTER ROLE ... SET search_path"
        )
    if isinstance(error, errors.CharacterNotInRepertoire):
        message += (
            "; the database has no encoding (SQL_ASCII), and a column of the result is not UTF-8: "
            "write convert_from(column::bytea, 'LATIN1'), or whichever encoding it has"
        )
    if "statement pooling mode" in text:
        return RunError(
            Reason.CONFIGURATION_ERROR, f"{message}; set pool_mode of PgBouncer to transaction"
        )
    # Without a state it is the driver's: a value that cannot be sent or read.
    if state.startswith(_PERMANENT_CLASSES) or (not state and isinstance(error, errors.DataError)):
        return RunError(Reason.CONFIGURATION_ERROR, message)
    if state in _CORRUPTED:
        return RunError(Reason.DATA_CORRUPTED, message)
    if not state or state.startswith(_UNAVAILABLE_CLASSES):
        return RunError(Reason.DATABASE_UNAVAILABLE, message)
    return RunError(Reason.INTERNAL_ERROR, message)


def _place(position: str | None, query: str) -> str:
    """` line 2, column 8` for a position (characters, from 1) in what was sent for the query."""
    if not position or not position.isdigit():
        return ""
    return f" {place(query, original_index(query, int(position)))}"


def _named_placeholders(text: str, query: str) -> str:
    """` ($1 is %(days)s)` where PostgreSQL names a parameter by its number."""
    names = placeholder_names(query)
    numbers = sorted({int(number) for number in re.findall(r"\$(\d{1,5})", text)})
    said = [f"${n} is %({names[n - 1]})s" for n in numbers if 0 < n <= len(names)]
    return f" ({', '.join(said)})" if said else ""


def _one_line(text: str) -> str:
    return " ".join(text.split())[:MESSAGE_LIMIT]
