"""The source `query`: SQL over the sources declared before it."""

from __future__ import annotations

from pydantic import Field

from report_runner.contract.model import Model, QueryDuration
from report_runner.contract.select import MOST_ROWS, TIMEOUT, ResultRows, SelectText


class QuerySource(Model):
    """Rows from SQL over the sources declared before it, by an embedded DuckDB."""

    sql: SelectText = Field(
        description="One SELECT in DuckDB's SQL; every source before this one is a table by its "
        "name. Parameters as in a query of postgres: %(report_date)s, and %% for a percent sign."
    )
    timeout: QueryDuration = Field(
        default=TIMEOUT, description="The query is stopped after this time, e.g. 90s, 5m."
    )
    max_rows: ResultRows = MOST_ROWS
