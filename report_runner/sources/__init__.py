"""The table of sources: where a report's rows come from.

A new source is a field of `SourceSpec` in the contract, and a module with its line here.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from report_runner.sources import inline
from report_runner.sources.inline import inline_table
from report_runner.sources.protocol import Fetched, Source, SourceContext

__all__ = ["SOURCES", "Fetched", "Source", "SourceContext", "fetch_all", "inline_table"]


def _postgres() -> Source:
    # Imported only where it is needed: a fresh pod pays for every import.
    from report_runner.sources import postgres

    return postgres


def _sql() -> Source:
    from report_runner.sources import sql

    return sql


def _query() -> Source:
    from report_runner.sources import query

    return query


# By the field of SourceSpec.
SOURCES: dict[str, Callable[[], Source]] = {
    "postgres": _postgres,
    "inline": lambda: inline,
    "sql": _sql,
    "query": _query,
}


def fetch_all(context: SourceContext) -> dict[str, Fetched]:
    """Every source of the report, by name. Raises RunError."""
    fetched: dict[str, Fetched] = {}
    for source in context.definition.report.sources:
        field, spec = source.selected()
        begin = time.monotonic()
        tables = {name: done.table for name, done in fetched.items()}
        found = SOURCES[field]().fetch(source.name, spec, replace(context, tables=tables))
        fetched[source.name] = replace(found, seconds=time.monotonic() - begin)
    return fetched
