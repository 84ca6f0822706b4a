"""Rows written in the manifest itself."""

from __future__ import annotations

from report_runner.contract.numbers import exact
from report_runner.contract.sources import InlineSource
from report_runner.models import Table
from report_runner.sources.protocol import Fetched, SourceContext


def fetch(_name: str, spec: InlineSource, _context: SourceContext) -> Fetched:
    return Fetched(inline_table(spec))


def inline_table(source: InlineSource) -> Table:
    """The rows as written; columns as `source.columns` has them, else alphabetical."""
    # The API server sorts the keys of an object; so does this, wherever the rows come from.
    columns = source.columns or sorted({name for row in source.rows for name in row})
    return Table(
        columns=tuple(columns),
        rows=[tuple(exact(row.get(column)) for column in columns) for row in source.rows],
    )
