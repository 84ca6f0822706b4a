"""A source's rows as Vega-Lite reads them: what has no place in a chart is told, never left out.

The process that draws has the time zone UTC: a date, and the wall clock of the schedule's zone, are
drawn as they are written.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from datetime import datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from report_runner.contract.moments import FarMoment, MomentStyle, in_zone, style_of
from report_runner.contract.numbers import as_decimal
from report_runner.contract.values import plain_text
from report_runner.models import Table

_EXACT = 1 << 53  # whole numbers up to this are exact in JavaScript
_FINE_UNITS = ("hours", "minutes", "seconds", "milliseconds")


def chart_values(
    table: Table, spec: Mapping[str, Any], zone: ZoneInfo, exact: Set[str] = frozenset()
) -> list[dict[str, Any]]:
    """Each row by column name, ready for JSON. Raises ValueError, naming column and remedy.

    Numbers are doubles, those of the columns `exact` texts.
    """
    texts = list(_texts(spec))
    columns = []
    for index, name in enumerate(table.columns):
        values = [row[index] for row in table.rows]
        used = any(name in text for text in texts)
        if name in exact:
            columns.append([None if value is None else plain_text(value) for value in values])
        else:
            columns.append(_column(name, values, zone, _time_scales(spec, name), used))
    return [dict(zip(table.columns, row, strict=True)) for row in zip(*columns, strict=True)]


def _column(
    name: str, values: Sequence[Any], zone: ZoneInfo, scales: Sequence[str], used: bool
) -> list[Any]:
    """`scales`: the time units of the temporal fields that show this column; '' for none."""
    local = [in_zone(value, zone) if isinstance(value, datetime) else value for value in values]
    moments = [value for value in local if isinstance(value, datetime)]
    for value in local:
        if isinstance(value, FarMoment) and scales:
            raise ValueError(
                f"column {name} holds {value}, which has no place on an axis of time; leave such "
                "rows out in the query, or make the field ordinal"
            )
        if used and isinstance(value, float | Decimal) and not as_decimal(value).is_finite():
            raise ValueError(
                f"column {name} holds {plain_text(value)}, which a chart cannot draw; leave such "
                "rows out in the query, or make it NULL: NULLIF(..., 'NaN')"
            )
    style = style_of(moments)
    if style.offset and any(_collides(moments, unit) for unit in scales):
        raise ValueError(
            f"column {name} holds the same time of day twice, before and after a clock change; an "
            f"axis of time cannot tell them apart: give the query ({name} AT TIME ZONE 'UTC') "
            "instead, or make the field ordinal"
        )
    clock = MomentStyle(offset=style.offset and not scales)
    return [_json_value(value, clock) for value in local]


def _json_value(value: Any, clock: MomentStyle) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if abs(value) < _EXACT else float(value)
    if isinstance(value, float | Decimal):
        number = as_decimal(value)
        return float(number) if number.is_finite() else None
    if isinstance(value, datetime):
        return clock.text(value).replace(" ", "T")
    return plain_text(value)


def _collides(moments: Sequence[datetime], unit: str) -> bool:
    """Whether two instants of different offsets would be drawn at one place."""
    if unit and not any(fine in unit for fine in _FINE_UNITS):
        return False
    offsets: dict[datetime, Any] = {}
    for moment in moments:
        place = moment.replace(tzinfo=None, fold=0)
        if unit:
            place = place.replace(minute=0, second=0, microsecond=0)
        if offsets.setdefault(place, moment.utcoffset()) != moment.utcoffset():
            return True
    return False


def _time_scales(spec: Any, name: str) -> list[str]:
    """The time unit, or '', of every field definition that shows the column on a scale of time."""
    found = []
    for part in _parts(spec):
        if part.get("field") == name:
            unit = part.get("timeUnit")
            if part.get("type") == "temporal" or unit is not None:
                found.append(str(unit or ""))
    return found


def _parts(value: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(value, Mapping):
        yield value
        for inner in value.values():
            yield from _parts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _parts(inner)


def _texts(spec: Any) -> Iterator[str]:
    for part in _parts(spec):
        for value in part.values():
            values = value if isinstance(value, list) else [value]
            yield from (text for text in values if isinstance(text, str))
