"""The source `sql`: MySQL, MariaDB and other databases by a SQLAlchemy URL."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from report_runner.contract.model import Integer, Model, QueryDuration
from report_runner.contract.rules import Rule
from report_runner.contract.secret import SecretReference


class SqlConnection(Model):
    """How to reach the database."""

    secret_ref: SecretReference = Field(
        description="Secret with the key url, such as mysql+pymysql://reader:password@host:3306/db "
        "(a SQLAlchemy URL without options), and optionally ca.crt. Let it be a role that may only "
        "read."
    )


class SqlSource(Model):
    """Rows from one SQL query to MySQL, MariaDB, or what a derived image has a driver of."""

    connection: SqlConnection = Field(description="Where to log in.")
    query: Annotated[
        str,
        StringConstraints(max_length=65536),
        Rule("self.trim() != ''", "write a query: one SELECT", lambda text: bool(text.strip())),
    ] = Field(
        description="One SELECT. %(report_date)s, %(slot)s and every parameter of "
        "report.parameters are bound by name, a list after IN; write %% for a percent sign."
    )
    timeout: QueryDuration = Field(
        default="5m", description="The query is cancelled after this time, e.g. 90s, 5m."
    )
    max_rows: Integer = Field(
        default=100_000,
        ge=1,
        le=1_000_000,
        description="A result with more rows fails the run rather than exhausting its memory.",
    )
