"""Where a report's rows come from: a named source, and its kinds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import Field, StringConstraints

from report_runner.contract.cache import SourceCache
from report_runner.contract.freeform import ELEMENTS_LIMIT, VALUES_SCHEMA, BoundedValues
from report_runner.contract.http_source import HttpSource
from report_runner.contract.model import Identifier, Model
from report_runner.contract.object_source import ObjectSource
from report_runner.contract.query_source import QuerySource
from report_runner.contract.rules import Rule, exactly_one_of
from report_runner.contract.schema import LIST_SET, unique
from report_runner.contract.secret import SecretReference
from report_runner.contract.select import (
    MOST_ROWS,
    TIMEOUT,
    CancelledAfter,
    ResultRows,
    SelectText,
)
from report_runner.contract.sql_source import SqlSource


class PostgresConnection(Model):
    """How to reach the database."""

    secret_ref: SecretReference = Field(
        description="Secret with the keys host, port (5432), dbname, user, password, and "
        "optionally sslmode (prefer) and ca.crt. Let it be a role that may only read."
    )


class PostgresSource(Model):
    """Rows from one SQL query."""

    connection: PostgresConnection = Field(description="Where to log in.")
    query: SelectText = Field(
        description="One SELECT. %(report_date)s, %(slot)s and every parameter of "
        "report.parameters are bound by name; write %% for a percent sign."
    )
    timeout: CancelledAfter = TIMEOUT
    max_rows: ResultRows = MOST_ROWS


class InlineSource(Model):
    """Rows written in the manifest itself: small reference data, or a first try."""

    rules = (
        Rule(
            None,
            "every key of a row has to be one of columns",
            lambda source: (
                not source.columns or all(set(row) <= set(source.columns) for row in source.rows)
            ),
            path="rows",
        ),
    )

    rows: list[
        Annotated[
            dict[str, Any],
            Field(max_length=ELEMENTS_LIMIT, json_schema_extra=VALUES_SCHEMA),
            BoundedValues,
        ]
    ] = Field(
        max_length=1000,
        description="Each row an object; its keys are the columns. A cell holds lists and objects "
        "of at most 4 levels.",
    )
    columns: Annotated[
        list[Annotated[str, StringConstraints(min_length=1, max_length=253)]], unique()
    ] = Field(
        default_factory=list,
        max_length=200,
        json_schema_extra=LIST_SET,
        description="The columns in their order; left out, they are in alphabetical order, "
        "because the API server does not keep the order of a row's keys.",
    )


class SourceSpec(Model):
    """A named result that templates and charts use."""

    rules = (
        exactly_one_of("postgres", "inline", "http", "object", "sql", "query"),
        Rule(
            "!has(self.cache) || !has(self.inline) && !has(self.query)",
            "only rows that come from elsewhere need a cache: take it out",
            lambda source: source.cache is None or not (source.inline or source.query),
            path="cache",
        ),
    )

    name: Identifier = Field(description="Name in templates and charts: a letter, then a-z0-9_.")
    postgres: PostgresSource | None = Field(default=None, description="Rows from PostgreSQL.")
    inline: InlineSource | None = Field(default=None, description="Rows written here.")
    http: HttpSource | None = Field(default=None, description="Rows from an HTTP API.")
    object: ObjectSource | None = Field(
        default=None, description="Rows from files in an S3-compatible object store."
    )
    sql: SqlSource | None = Field(
        default=None, description="Rows from MySQL, MariaDB, or another database with a driver."
    )
    query: QuerySource | None = Field(
        default=None, description="Rows from SQL over the sources before this one."
    )
    cache: SourceCache | None = Field(
        default=None,
        exclude_if=lambda value: value is None,
        description="Use rows again that a run has fetched.",
    )

    def selected(self) -> tuple[str, Model]:
        """The field that says where the rows come from, and its value."""
        (found,) = (pair for pair in self.set_models() if pair[0] != "cache")
        return found

    def urls(self) -> list[tuple[str, str]]:
        """Field and text of each URL that a run of it calls."""
        if self.http:
            return [(f"http.{place}", url) for place, url in self.http.urls()]
        return [("object.endpoint", self.object.endpoint)] if self.object else []

    def sql_texts(self) -> Iterator[tuple[str, str]]:
        """Every text with placeholders, each with its field."""
        if self.postgres is not None:
            yield "postgres.query", self.postgres.query
        if self.sql is not None:
            yield "sql.query", self.sql.query
        if self.query is not None:
            yield "query.sql", self.query.sql
