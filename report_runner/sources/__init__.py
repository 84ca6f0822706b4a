"""Where a report's rows come from."""

from __future__ import annotations

from dataclasses import dataclass

from report_runner.contract.definition import Definition
from report_runner.contract.numbers import exact
from report_runner.contract.report import InlineSource
from report_runner.environment import RunStamps
from report_runner.models import Table
from report_runner.mounted import Secrets


@dataclass(frozen=True, slots=True)
class SourceContext:
    """What every kind of source may need."""

    definition: Definition
    run: RunStamps
    secrets: Secrets


@dataclass(frozen=True, slots=True)
class Fetched:
    """Rows, and what a person should know about how they came."""

    table: Table
    warnings: tuple[str, ...] = ()


def inline_table(source: InlineSource) -> Table:
    """The rows as written; columns as `source.columns` has them, else alphabetical."""
    # The API server sorts the keys of an object; so does this, wherever the rows come from.
    columns = source.columns or sorted({name for row in source.rows for name in row})
    return Table(
        columns=tuple(columns),
        rows=[tuple(exact(row.get(column)) for column in columns) for row in source.rows],
    )


def fetch_all(context: SourceContext) -> dict[str, Fetched]:
    """Every source of the report, by name. Raises RunError."""
    fetched: dict[str, Fetched] = {}
    for source in context.definition.report.sources:
        if source.postgres is not None:
            # Only where it is needed: a fresh pod pays for every import.
            from report_runner.sources.postgres import fetch

            fetched[source.name] = fetch(source.name, source.postgres, context)
        elif source.inline is not None:
            fetched[source.name] = Fetched(inline_table(source.inline))
    return fetched
