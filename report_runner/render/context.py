"""The context of a template: the names that it can use."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from functools import cached_property
from importlib import resources
from typing import Any
from zoneinfo import ZoneInfo

from jinja2 import TemplateRuntimeError
from markupsafe import Markup

from report_runner.contract.datefilters import HOLIDAYS
from report_runner.contract.moments import in_zone
from report_runner.contract.words import listed, nearest, shortened
from report_runner.models import RenderInput, Table
from report_runner.render.charts import ChartImage
from report_runner.render.layout import LANDSCAPE, LANDSCAPE_HEIGHT, PORTRAIT
from report_runner.render.tables import HtmlTable, build_table, natural_width

KPIS = "kpis"
TABLE_STYLE_MARK = "/* table style */"  # a builtin template's place for the style of tables
TABLE_STYLE_FILE = "table.css"
AS_OF = "as_of"


class TemplateSource:
    """One named result. `rows` are records by column name; iterating gives the same."""

    def __init__(self, name: str, table: Table) -> None:
        self.name = name
        self.columns = table.columns
        self._table = table
        self._template_hint = (
            f"source {name!r}, which is a table: write {{{{ table(sources.{name}) }}}}, or loop "
            "over its rows and print their columns"
        )

    def __str__(self) -> str:
        # Filters and str.format call this, so they fail as printing does.
        raise TemplateRuntimeError(f"cannot print {self._template_hint}")

    @cached_property
    def rows(self) -> tuple[Mapping[str, Any], ...]:
        """Records by column name."""
        return tuple(self._table.records())

    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self._table.rows)

    def column(self, name: str) -> list[Any]:
        """All values of one column, e.g. `sources.positions.column("weight") | sum`."""
        if name not in self.columns:
            raise TemplateRuntimeError(_no_column(f"source {self.name!r}", name, self.columns))
        index = self.columns.index(name)
        return [row[index] for row in self._table.rows]


def source_table(source: TemplateSource) -> Table:
    """The table behind a source."""
    return source._table


def data_date(data: RenderInput) -> date | None:
    """The date of the data; None where neither a parameter nor a column gives it.

    The parameter `data_date`, else the latest value in a column called `as_of` of any source (a
    date, an ISO text, or an instant, whose day is the schedule's). Raises TemplateRuntimeError for
    a parameter that is no date.
    """
    zone = ZoneInfo(data.time_zone)
    given = data.parameters.get("data_date")
    if given is not None:
        day = _day(given, zone)
        if day is None:
            raise TemplateRuntimeError(
                "spec.report.parameters.data_date is no date: write it as YYYY-MM-DD"
            )
        return day
    found = [
        day
        for table in data.tables.values()
        if AS_OF in table.columns
        for row in table.rows
        if (day := _day(row[table.columns.index(AS_OF)], zone)) is not None
    ]
    return max(found, default=None)


def _day(value: Any, zone: ZoneInfo) -> date | None:
    if isinstance(value, str):
        try:
            return date.fromisoformat(value)
        except ValueError:
            return None
    if isinstance(value, datetime):
        return in_zone(value, zone).date()
    return value if isinstance(value, date) else None


def _no_column(where: str, name: str, known: Sequence[str]) -> str:
    verb = "have" if where.endswith("s") else "has"
    near = nearest(str(name), known) or ";"
    return f"{where} {verb} no column {shortened(str(name))}{near} there is {listed(known)}"


def _select(rows: Any, columns: Sequence[str] | None) -> tuple[list[str], list[tuple[Any, ...]]]:
    """Column names and rows of a source or of records, restricted to the wanted columns."""
    if isinstance(rows, TemplateSource):
        names, found = list(rows.columns), source_table(rows).rows
        if columns is None:
            return names, list(found)
        for name in columns:
            if name not in names:
                where = f"table: source {rows.name!r}"
                raise TemplateRuntimeError(_no_column(where, name, names))
        picked = [names.index(name) for name in columns]
        return list(columns), [tuple(row[i] for i in picked) for row in found]
    records = list(rows)
    if not all(isinstance(record, Mapping) for record in records):
        raise TemplateRuntimeError("table: wants a source or a list of records")
    known = list(dict.fromkeys(str(name) for record in records for name in record))
    for name in columns or () if records else ():
        if name not in known:
            raise TemplateRuntimeError(_no_column("table: the records", name, known))
    names = list(columns) if columns is not None else list(records[0]) if records else []
    return names, [tuple(record.get(name) for name in names) for record in records]


class TableMaker:
    """The `table(...)` of templates: returns a placeholder and collects the table."""

    def __init__(self, token: str, zone: ZoneInfo, available: float, style: str) -> None:
        self.tables: list[HtmlTable] = []
        self._token = token
        self._zone = zone
        self._available = available
        self._style = style  # goes before the first table; '' where the page has it

    def __call__(
        self,
        rows: Any,
        columns: Sequence[str] | None = None,
        *,
        caption: str | None = None,
        labels: Mapping[str, str] | None = None,
        formats: Mapping[str, str] | None = None,
        signed: Sequence[str] | None = None,
        keys: Sequence[str] | None = None,
        width: float | None = None,
        limit: int | None = None,
        empty: str = "No rows.",
    ) -> Markup:
        """A table of a source or of records.

        `columns` picks and orders, `labels` and `formats` go by column name (formats: text,
        plain, integer, decimals:N, percent:N of a ratio, date, datetime), `signed` names the
        columns whose gains and losses are coloured (by default those that are called so),
        `keys` names the columns that a table too wide for the page repeats in each of its parts,
        `width` is the room in points where that is not the page's (in a column, say),
        `limit` shows the first rows only, and a line that says of how many.
        """
        names, found = _select(rows, columns)
        shown = found if limit is None else found[:limit]
        first = len(self.tables)
        self.tables += build_table(
            names,
            shown,
            caption=caption,
            labels=labels,
            formats=formats,
            signed=signed,
            keys=keys,
            zone=self._zone,
            available=self._available if width is None else float(width),
            empty=empty,
            left_out=len(found) - len(shown),
        )
        style, self._style = self._style, ""
        return Markup(  # noqa: S704  (only the runner's style, a token and numbers)
            style
            + "".join(placeholder(self._token, index) for index in range(first, len(self.tables)))
        )


def placeholder(token: str, index: int) -> str:
    """The placeholder of table number `index` in a template's output."""
    return f'<table data-table="{token}-{index}"></table>'


def orientation(data: RenderInput, charts: Mapping[str, ChartImage]) -> str:
    """`landscape` where a table needs clearly more than the width of an upright page.

    A chart that would be higher than such a page keeps it upright: a table can go into parts.
    """
    if any(chart.wide and chart.ratio * LANDSCAPE > LANDSCAPE_HEIGHT for chart in charts.values()):
        return "portrait"
    widest = max(
        (natural_width(t.columns, t.rows) for name, t in data.tables.items() if name != KPIS),
        default=0.0,
    )
    return "landscape" if widest > 1.2 * PORTRAIT else "portrait"


def table_sources(data: RenderInput) -> list[str]:
    """The sources that the builtin templates show as tables.

    The parameter `tables` names them; without it they are those that neither are the key figures
    nor feed a chart.
    """
    wanted = data.parameters.get("tables")
    if isinstance(wanted, list):
        return [str(name) for name in wanted]
    drawn = {chart.source for chart in data.charts}
    return [name for name in data.tables if name != KPIS and name not in drawn]


def table_style(template: str) -> str:
    """The style element that the first table of a template brings; '' where the page has it."""
    style = resources.files("report_runner") / "templates" / TABLE_STYLE_FILE
    text = style.read_text(encoding="utf-8")
    return "" if text in template else f"<style>{text}</style>"


def template_context(data: RenderInput, charts: Mapping[str, ChartImage]) -> dict[str, Any]:
    """All names except `table`."""
    zone = ZoneInfo(data.time_zone)
    return {
        "title": data.title,
        "report_type": data.report_type,
        "report_date": data.report_date,
        "data_date": data_date(data),
        "slot": data.slot.astimezone(zone),
        "time_zone": data.time_zone,
        "generated_at": data.generated_at.astimezone(zone),
        "run_id": data.run_id,
        # Not `namespace`, which is Jinja2's own way to keep a running total.
        "schedule_namespace": data.namespace,
        "name": data.name,
        "parameters": data.parameters,
        HOLIDAYS: data.holidays,
        "warnings": list(data.warnings),
        "sources": {name: TemplateSource(name, table) for name, table in data.tables.items()},
        "charts": charts,
        "orientation": orientation(data, charts),
        "table_sources": table_sources(data),
    }
