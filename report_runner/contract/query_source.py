"""The source `query`: SQL over the sources declared before it."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from report_runner.contract.model import Integer, Model, QueryDuration
from report_runner.contract.rules import Rule


class QuerySource(Model):
    """Rows from SQL over the sources declared before it, by an embedded DuckDB."""

    sql: Annotated[
        str,
        StringConstraints(max_length=65536),
        Rule("self.trim() != ''", "write a query: one SELECT", lambda text: bool(text.strip())),
    ] = Field(
        description="One SELECT in DuckDB's SQL; every source before this one is a table by its "
        "name. Parameters as in a query of postgres: %(report_date)s, and %% for a percent sign."
    )
    timeout: QueryDuration = Field(
        default="5m", description="The query is stopped after this time, e.g. 90s, 5m."
    )
    max_rows: Integer = Field(
        default=100_000,
        ge=1,
        le=1_000_000,
        description="A result with more rows fails the run rather than exhausting its memory.",
    )
