"""The checks of a report's rows: what was expected, what was found, and the rows that break it.

NULL is left out of sums and ranges, as in SQL, and NaN is never right.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from report_runner.contract.checks import (
    Change,
    DataCheck,
    Freshness,
    Reconciliation,
    RowCount,
    ValueRange,
)
from report_runner.contract.expression import described
from report_runner.contract.model import parse_duration
from report_runner.contract.moments import FarMoment
from report_runner.contract.numbers import EXACT, as_decimal, format_number, is_number, total
from report_runner.contract.reasons import Reason
from report_runner.contract.values import plain_text
from report_runner.contract.words import counted, listed, nearest, shortened
from report_runner.expressions import Scope, evaluate
from report_runner.models import RunError, Table
from report_runner.rows_digest import key_digest

ROWS_KEPT = 1000  # of those that break a check, for the file


@dataclass(frozen=True, slots=True)
class CheckContext:
    """What checks look at beside their source."""

    scope: Scope
    now: datetime
    # Figures of the last delivered run by `figure_name`; None where there is no such run.
    earlier: Mapping[str, str] | None
    compared_with: str = ""  # that run, in words


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found; `broken` are the numbers of at most ROWS_KEPT rows, from 0."""

    passed: bool
    expected: str
    found: str
    broken: Sequence[int] = ()
    broken_count: int = 0
    note: str = ""
    figures: Mapping[str, str] = field(default_factory=dict)

    def message(self, name: str) -> str:
        """For a person: it holds figures, and no row."""
        message = f"check {name}: expected {self.expected}, found {self.found}"
        verb = "breaks" if self.broken_count == 1 else "break"
        rows = f"; {counted(self.broken_count, 'row')} {verb} it" if self.broken_count else ""
        return message + rows + (f" ({self.note})" if self.note else "")


def run_check(check: DataCheck, context: CheckContext) -> Finding:
    """Raises RunError(ConfigurationError) for a column that there is not, or of another type."""
    where = f"spec.report.checks[{check.name}]"
    if check.expression is not None:
        holds = evaluate(check.expression, f"{where}.expression", context.scope)
        return Finding(holds, " ".join(check.expression.split()), str(holds).lower())
    assert check.source is not None  # noqa: S101 - a rule of the model
    rows = _Rows(check.source, context.scope.tables[check.source], where)
    if check.rows is not None:
        return _row_count(check.rows, len(rows.table.rows))
    if check.not_null:
        return _not_null(check.not_null, rows)
    if check.unique:
        return _unique(check.unique, rows)
    if check.range is not None:
        return _range(check.range, rows)
    if check.fresh is not None:
        return _fresh(check.fresh, rows, context)
    if check.reconciles is not None:
        return _reconciles(check.reconciles, rows, context)
    assert check.change is not None  # noqa: S101 - a rule of the model
    return _change(check.change, rows, context)


@dataclass(frozen=True, slots=True)
class _Rows:
    source: str
    table: Table
    where: str

    def column(self, name: str) -> list[Any]:
        place = self.place(name)
        return [row[place] for row in self.table.rows]

    def place(self, name: str) -> int:
        known = self.table.columns
        if not known and not self.table.rows:
            return 0  # a source that tells its columns by its rows
        if name not in known:
            near = nearest(name, known) or f"; there is {listed(known)}"
            raise self.wrong(f"source {self.source!r} has no column {shortened(name)}{near}")
        return known.index(name)

    def numbers(self, name: str) -> list[Decimal | None]:
        """Raises RunError for a value that is no number."""
        values = self.column(name)
        for value in values:
            if value is not None and not is_number(value):
                raise self.wrong(
                    f"column {shortened(name)} of source {self.source!r} holds "
                    f"{described(value)}: cast it to a number in the query"
                )
        return [None if value is None else as_decimal(value) for value in values]

    def sum(self, name: str) -> tuple[Decimal, int]:
        """The sum of a column, and how many NULL were left out."""
        values = self.numbers(name)
        present = [value for value in values if value is not None]
        return as_decimal(total(present)), len(values) - len(present)

    def wrong(self, problem: str) -> RunError:
        return RunError(Reason.CONFIGURATION_ERROR, f"{self.where}: {problem}")


def _row_count(spec: RowCount, count: int) -> Finding:
    low, high = spec.min, spec.max
    passed = (low is None or count >= low) and (high is None or count <= high)
    return Finding(passed, f"{_between(low, high)} rows", counted(count, "row"))


def _between(low: Any, high: Any) -> str:
    if low is None:
        return f"at most {_shown(high)}"
    return f"at least {_shown(low)}" if high is None else f"{_shown(low)} to {_shown(high)}"


def _shown(number: Any) -> str:
    return format_number(number)


def _broken(rows: _Rows, breaks: Callable[[int], bool]) -> dict[str, Any]:
    numbers = [number for number in range(len(rows.table.rows)) if breaks(number)]
    return {"broken": numbers[:ROWS_KEPT], "broken_count": len(numbers)}


def _not_null(columns: Sequence[str], rows: _Rows) -> Finding:
    values = {name: rows.column(name) for name in columns}
    counts = {name: sum(value is None for value in found) for name, found in values.items()}
    broken = _broken(rows, lambda n: any(found[n] is None for found in values.values()))
    found = ", ".join(f"{count} in {name}" for name, count in counts.items() if count)
    return Finding(
        not broken["broken_count"],
        f"no NULL in {listed(columns)}",
        found or f"none in {counted(len(rows.table.rows), 'row')}",
        **broken,
    )


def _unique(columns: Sequence[str], rows: _Rows) -> Finding:
    places = [rows.place(name) for name in columns]
    keys = [key_digest([row[place] for place in places]) for row in rows.table.rows]
    times: dict[bytes, int] = {}
    for key in keys:
        times[key] = times.get(key, 0) + 1
    twice = sum(count > 1 for count in times.values())
    broken = _broken(rows, lambda n: times[keys[n]] > 1)
    return Finding(
        not twice,
        f"each value of {listed(columns)} once",
        f"{counted(twice, 'value')} more than once"
        if twice
        else f"{len(times)} different ones in {counted(len(keys), 'row')}",
        **broken,
    )


def _range(spec: ValueRange, rows: _Rows) -> Finding:
    values = rows.numbers(spec.column)
    low = None if spec.min is None else as_decimal(spec.min)
    high = None if spec.max is None else as_decimal(spec.max)

    def outside(number: int) -> bool:
        value = values[number]
        if value is None:
            return False
        return (
            value.is_nan()
            or (low is not None and value < low)
            or (high is not None and value > high)
        )

    broken = _broken(rows, outside)
    present = [value for value in values if value is not None]
    finite = [value for value in present if not value.is_nan()]
    found = f"{_shown(min(finite))} to {_shown(max(finite))}" if finite else "no number"
    if len(finite) < len(present):
        found += f" and {len(present) - len(finite)} NaN"
    expected = f"{spec.column} of {_between(spec.min, spec.max)}"
    return Finding(not broken["broken_count"], expected, found, note=_left_out(values), **broken)


def _left_out(values: Iterable[Any]) -> str:
    count = sum(value is None for value in values)
    return f"{count} NULL left out" if count else ""


def _fresh(spec: Freshness, rows: _Rows, context: CheckContext) -> Finding:
    zone = ZoneInfo(context.scope.time_zone)
    oldest = context.scope.run.slot - parse_duration(spec.within)
    expected = (
        f"a value of {spec.column} not before {oldest.astimezone(zone):%Y-%m-%d %H:%M}"
        f" ({spec.within} before the slot)"
    )
    values = [value for value in rows.column(spec.column) if value is not None]
    instants = {id(value): _instant(value, zone, rows, spec.column) for value in values}
    far = [value for value in values if instants[id(value)] is None]
    if far:
        return Finding(False, expected, f"{plain_text(far[0])}, which has no age")
    # Such as 9999-12-31, which stands for "no end": it says nothing of the data's age.
    limit = context.now + timedelta(days=1)
    past = [value for value in values if (at := instants[id(value)]) and at <= limit]
    note = f"{counted(len(values) - len(past), 'value')} of the future left out"
    if not past:
        return Finding(
            False, expected, "no value", note=note if values else "there is no row with one"
        )
    newest = max(past, key=lambda value: instants[id(value)] or limit)
    at = instants[id(newest)]
    return Finding(
        at is not None and at >= oldest,
        expected,
        f"{plain_text(newest)} as the newest",
        note=note if len(past) < len(values) else "",
    )


def _instant(value: Any, zone: ZoneInfo, rows: _Rows, column: str) -> datetime | None:
    """The instant of a time, the end of a day's; None for one that Python cannot hold."""
    if isinstance(value, FarMoment):
        return None
    if isinstance(value, str):
        with suppress(ValueError):
            value = datetime.fromisoformat(value) if len(value) > 10 else date.fromisoformat(value)
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=zone)
    if isinstance(value, date):
        return datetime.combine(value, time.max, zone)
    raise rows.wrong(
        f"column {shortened(column)} of source {rows.source!r} holds {described(value)}, which is "
        "no date or time: cast it in the query"
    )


def _close(found: Decimal, wanted: Decimal, tolerance: Any, percent: Any) -> tuple[bool, str]:
    """Whether they differ by the tolerance at most, and the tolerance in words."""
    if not (found.is_finite() and wanted.is_finite()):
        return False, ""
    difference = EXACT.subtract(found, wanted).copy_abs()
    if percent is None:
        allowed = as_decimal(tolerance or 0)
        return difference <= allowed, f" ± {_shown(tolerance)}" if tolerance else ""
    part = EXACT.multiply(wanted.copy_abs(), as_decimal(percent))
    return EXACT.multiply(difference, Decimal(100)) <= part, f" ± {_shown(percent)}%"


def _reconciles(spec: Reconciliation, rows: _Rows, context: CheckContext) -> Finding:
    name = spec.against.source
    other = _Rows(name, context.scope.tables[name], rows.where)
    found, left_out = rows.sum(spec.column)
    wanted, other_left_out = other.sum(spec.against.column)
    passed, tolerance = _close(found, wanted, spec.tolerance, spec.tolerance_percent)
    nulls = left_out + other_left_out
    return Finding(
        passed,
        f"a sum of {rows.source}.{spec.column} of {_shown(wanted)}{tolerance}, which is that of "
        f"{name}.{spec.against.column}",
        f"{_shown(found)} in {counted(len(rows.table.rows), 'row')}",
        note=f"{nulls} NULL left out" if nulls else "",
    )


def figure_name(source: str, column: str | None) -> str:
    """How a manifest names a figure that later runs compare with; no identifier has a dot."""
    return source if column is None else f"{source}.{column}"


def _change(spec: Change, rows: _Rows, context: CheckContext) -> Finding:
    name = figure_name(rows.source, spec.column)
    left_out = 0
    if spec.column is None:
        found, what = Decimal(len(rows.table.rows)), f"rows of {rows.source}"
    else:
        found, left_out = rows.sum(spec.column)
        what = f"sum of {name}"
    figures = {name: str(found)}
    note = f"{left_out} NULL left out" if left_out else ""
    earlier = (context.earlier or {}).get(name)
    if earlier is None:
        nothing = (
            "nothing to compare with: no earlier run was delivered"
            if context.earlier is None
            else f"nothing to compare with: {context.compared_with} has no such figure"
        )
        return Finding(
            not found.is_nan(), f"any {what}", _shown(found), note=nothing, figures=figures
        )
    wanted = Decimal(earlier)
    passed, tolerance = _close(found, wanted, spec.tolerance, spec.tolerance_percent)
    return Finding(
        passed,
        f"{what} of {_shown(wanted)}{tolerance}, as in {context.compared_with}",
        _shown(found),
        note=note,
        figures=figures,
    )
