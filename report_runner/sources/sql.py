"""Rows by a SQLAlchemy URL: MySQL and MariaDB, and what a derived image has a driver of."""

from __future__ import annotations

import os

from sqlalchemy.engine import make_url
from sqlalchemy.engine.url import URL
from sqlalchemy.exc import ArgumentError

from report_runner import mounted
from report_runner.contract.sql_source import SqlSource
from report_runner.redaction import SecretEntry
from report_runner.sources import Fetched, SourceContext
from report_runner.sources.mysql import fetch_mysql
from report_runner.sources.sql_access import SqlAccess
from report_runner.sources.sql_generic import fetch_generic

KEY = "url"
MYSQL_DRIVERS = ("mysql+pymysql", "mariadb+pymysql")
# Set by a derived image that brings more drivers, as `oracle+oracledb,mssql+pymssql`.
DRIVERS_VARIABLE = "REPORT_SQL_DRIVERS"
# They read files of the run's own pod, or open what their options name.
_LOCAL = ("sqlite", "duckdb", "access", "shillelagh", "csv")


def fetch(name: str, source: SqlSource, context: SourceContext) -> Fetched:
    """Run the query and read its rows. Raises RunError; no message holds a password."""
    secret = source.connection.secret_ref.name
    field = f"spec.report.sources[{name}].sql"
    access = _access(secret, field, context)
    if access.url.drivername in MYSQL_DRIVERS:
        return fetch_mysql(source, access, context)
    return fetch_generic(source, access, context)


def _access(secret: str, field: str, context: SourceContext) -> SqlAccess:
    where = f"{field}.connection.secretRef"
    text = context.secrets.read(secret, KEY, where, _url_problem)
    url = make_url(text)
    for part, value in (
        ("user", url.username),
        ("host", url.host),
        ("password", str(url.password) if url.password is not None else None),
    ):
        if value:
            context.secrets.redact.add(SecretEntry(secret, f"{KEY} {part}", value))
    context.secrets.show_known_host(secret, f"{KEY} host")
    return SqlAccess(field, secret, url, context.secrets.certificates(secret, where))


def known_drivers() -> tuple[str, ...]:
    """Those of the image, by the name that a URL begins with."""
    more = os.environ.get(DRIVERS_VARIABLE, "").replace(" ", "").split(",")
    allowed = [name for name in more if name and not name.startswith(_LOCAL)]
    return (*MYSQL_DRIVERS, *allowed)


def _url_problem(text: str) -> str | None:
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):  # ValueError: a port that is no number
        return "has to be a SQLAlchemy URL, as mysql+pymysql://reader:password@host:3306/database"
    return next((problem for check in _CHECKS if (problem := check(url)) is not None), None)


def _driver_problem(url: URL) -> str | None:
    if url.drivername in known_drivers():
        return None
    if url.get_backend_name() == "postgresql":
        return "is one of PostgreSQL: write the source as postgres, with the keys host, port, ..."
    if url.get_backend_name() in _LOCAL:
        return "would read files of the run's own pod, which is refused"
    there = ", ".join(known_drivers())
    return (
        f"names a driver that is not there; there are {there}. A derived image adds others: it "
        f"installs the driver and names it in the environment variable {DRIVERS_VARIABLE}"
    )


def _options_problem(url: URL) -> str | None:
    # PyMySQL's read files (read_default_file, ssl_key) and send them (local_infile).
    if url.query:
        return "has options behind a question mark; take them out (a CA goes into the key ca.crt)"
    return None


def _host_problem(url: URL) -> str | None:
    if not url.host:
        return "has no host; write mysql+pymysql://reader:password@host:3306/database"
    problem = mounted.host(url.host)
    return None if problem is None else f"its host {problem.split(' (')[0]}"


def _user_problem(url: URL) -> str | None:
    if not url.username:
        return "has no user; write mysql+pymysql://reader:password@host:3306/database"
    if url.password is not None:
        problem = mounted.password(str(url.password))
        if problem is not None:
            return f"its password {problem}"
    return None


def _database_problem(url: URL) -> str | None:
    if not url.database or "/" in url.database:
        return "has no database; write mysql+pymysql://reader:password@host:3306/database"
    return None


_CHECKS = (_driver_problem, _options_problem, _host_problem, _user_problem, _database_problem)
