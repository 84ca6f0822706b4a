"""The source `sql`: MySQL, MariaDB and other databases by a SQLAlchemy URL."""

from __future__ import annotations

from pydantic import Field

from report_runner.contract.model import Model
from report_runner.contract.secret import SecretReference
from report_runner.contract.select import MOST_ROWS, TIMEOUT, CancelledAfter, ResultRows, SelectText


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
    query: SelectText = Field(
        description="One SELECT. %(report_date)s, %(slot)s and every parameter of "
        "report.parameters are bound by name, a list after IN; write %% for a percent sign."
    )
    timeout: CancelledAfter = TIMEOUT
    max_rows: ResultRows = MOST_ROWS
