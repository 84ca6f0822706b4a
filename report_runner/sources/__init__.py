"""The table of sources: where a report's rows come from.

A new source is a field of `SourceSpec` in the contract, and a module with its line here.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from report_runner import tracing
from report_runner.contract import traces
from report_runner.sources import inline
from report_runner.sources.cache import Cache
from report_runner.sources.inline import inline_table
from report_runner.sources.protocol import Fetched, Source, SourceContext

__all__ = ["SOURCES", "Cache", "Fetched", "Source", "SourceContext", "fetch_all", "inline_table"]


def _postgres() -> Source:
    # Imported only where it is needed: a fresh pod pays for every import.
    from report_runner.sources import postgres

    return postgres


def _http() -> Source:
    from report_runner.sources import http

    return http


def _object() -> Source:
    from report_runner.sources import objects

    return objects


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
    "http": _http,
    "object": _object,
    "sql": _sql,
    "query": _query,
}


def fetch_all(context: SourceContext, cache: Cache | None = None) -> dict[str, Fetched]:
    """Every source of the report, by name. Raises RunError."""
    fetched: dict[str, Fetched] = {}
    for source in context.definition.report.sources:
        field, spec = source.selected()
        begin = time.monotonic()
        tables = {name: done.table for name, done in fetched.items()}
        fetch = partial(SOURCES[field]().fetch, source.name, spec, replace(context, tables=tables))
        with tracing.span(
            traces.SOURCE, {traces.NAME: source.name, traces.KIND: field}
        ) as attributes:
            found = cache.fetch(source, context, fetch) if cache else fetch()
            attributes |= {traces.ROWS: len(found.table.rows)}
            attributes |= {traces.CACHED: found.cached_at is not None}
        fetched[source.name] = replace(found, seconds=time.monotonic() - begin)
    return fetched
