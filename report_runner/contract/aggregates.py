"""Sums, extremes, order and groups in templates, with NULL treated as SQL treats it.

`sum`, `avg`, `min` and `max` leave NULL out; `sort` puts NULL last and `groupby` makes a group of
it, so that no row disappears. A value that cannot take part is named with its column.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from typing import Any, NamedTuple

from jinja2 import TemplateRuntimeError, pass_environment, pass_eval_context
from jinja2.environment import Environment
from jinja2.filters import do_join, make_attrgetter
from jinja2.nodes import EvalContext
from jinja2.runtime import Undefined

from report_runner.contract.moments import kind_of, order_of
from report_runner.contract.numbers import NOTHING, as_decimal, average, is_number, total
from report_runner.contract.printable import printed

Attribute = str | int | None


class Group(NamedTuple):
    """One group, with the names that Jinja2's own `groupby` gives."""

    grouper: Any
    list: list[Any]


def _values(
    environment: Environment, filter_name: str, rows: Iterable[Any], attribute: Attribute
) -> list[Any]:
    """The values themselves, or those of one column. Raises TemplateRuntimeError."""
    get = make_attrgetter(environment, attribute) if attribute is not None else None
    values = [get(row) if get else row for row in rows]
    for value in values:
        if isinstance(value, Undefined):
            raise TemplateRuntimeError(
                f"filter {filter_name}: there is no column {attribute!r} in these rows"
            )
    return values


def _column(attribute: Attribute) -> str:
    return f"column {attribute!r}" if attribute is not None else "the values"


def _numbers(filter_name: str, values: Iterable[Any], attribute: Attribute) -> list[Any]:
    """The values that are not NULL. Raises TemplateRuntimeError where one is no number."""
    present = [value for value in values if value is not None]
    for value in present:
        if not is_number(value):
            raise TemplateRuntimeError(
                f"filter {filter_name}: {_column(attribute)} holds a {type(value).__name__}; "
                "cast it to a number in the query"
            )
    return present


@pass_environment
def sum_filter(
    environment: Environment, rows: Iterable[Any], attribute: Attribute = None, start: Any = 0
) -> Any:
    """The exact sum; 0 where there is nothing."""
    values = _values(environment, "sum", rows, attribute)
    return total(_numbers("sum", values, attribute), start)


@pass_environment
def avg_filter(environment: Environment, rows: Iterable[Any], attribute: Attribute = None) -> Any:
    """The mean with PostgreSQL's digits; NULL where there is nothing."""
    present = _numbers("avg", _values(environment, "avg", rows, attribute), attribute)
    return average(present) if present else None


def _comparable(filter_name: str, attribute: Attribute, case_sensitive: bool) -> Callable[..., Any]:
    """A key by which values compare; NULL is greatest, as in PostgreSQL's default order."""
    kinds: set[str] = set()

    def key(value: Any) -> tuple[Any, ...]:
        if value is None:
            return (1,)
        comparable: Any = value
        if isinstance(value, bool):
            kind = "boolean"
        elif is_number(value):
            number = as_decimal(value)
            # NaN is greater than every number and equal to itself, as in PostgreSQL.
            kind, comparable = "number", (number.is_nan(), 0 if number.is_nan() else number)
        elif (moment := kind_of(value)) is not None:
            kind, comparable = moment.value, order_of(value)
        elif isinstance(value, str):
            kind, comparable = "text", value if case_sensitive else value.lower()
        else:
            kind = type(value).__name__
        kinds.add(kind)
        if len(kinds) > 1:
            raise TemplateRuntimeError(
                f"filter {filter_name}: {_column(attribute)} holds values that do not compare "
                f"({' and '.join(sorted(kinds))}); cast them to one type in the query"
            )
        return (0, comparable)

    return key


def _extreme(
    environment: Environment,
    filter_name: str,
    choose: Callable[..., Any],
    rows: Iterable[Any],
    case_sensitive: bool,
    attribute: Attribute,
) -> Any:
    items = list(rows)
    values = _values(environment, filter_name, items, attribute)
    key = _comparable(filter_name, attribute, case_sensitive)
    found = [
        (key(value), item) for value, item in zip(values, items, strict=True) if value is not None
    ]
    return choose(found, key=lambda pair: pair[0])[1] if found else None


@pass_environment
def min_filter(
    environment: Environment,
    rows: Iterable[Any],
    case_sensitive: bool = False,
    attribute: Attribute = None,
) -> Any:
    """The smallest value, or the row that has it; NULL where there is nothing."""
    return _extreme(environment, "min", min, rows, case_sensitive, attribute)


@pass_environment
def max_filter(
    environment: Environment,
    rows: Iterable[Any],
    case_sensitive: bool = False,
    attribute: Attribute = None,
) -> Any:
    """The largest value, or the row that has it; NULL where there is nothing."""
    return _extreme(environment, "max", max, rows, case_sensitive, attribute)


@pass_environment
def sort_filter(
    environment: Environment,
    rows: Iterable[Any],
    reverse: bool = False,
    case_sensitive: bool = False,
    attribute: str | int | None = None,
) -> list[Any]:
    """The rows in order, by one or several columns ("desk,day"); NULL comes last either way."""
    names: Sequence[Attribute] = (
        [name.strip() for name in attribute.split(",")]
        if isinstance(attribute, str)
        else [attribute]
    )
    found = list(rows)
    for name in reversed(names):
        values = _values(environment, "sort", found, name)
        key = _comparable("sort", name, case_sensitive)
        keyed = [(key(value), row) for value, row in zip(values, found, strict=True)]
        present = [pair for pair in keyed if len(pair[0]) > 1]
        absent = [row for comparable, row in keyed if len(comparable) == 1]
        present.sort(key=lambda pair: pair[0], reverse=reverse)
        found = [*(row for _, row in present), *absent]
    return found


@pass_environment
def groupby_filter(
    environment: Environment,
    rows: Iterable[Any],
    attribute: str | int,
    default: Any = None,
    case_sensitive: bool = False,
) -> list[Group]:
    """Pairs of a value and its rows, in the order of the values; those of NULL come last."""
    items = list(rows)
    get = make_attrgetter(environment, attribute, default=default)
    values = [get(row) for row in items]
    for value in values:
        if isinstance(value, Undefined):
            raise TemplateRuntimeError(
                f"filter groupby: there is no column {attribute!r} in these rows"
            )
    key = _comparable("groupby", attribute, case_sensitive)
    keyed = sorted(
        ((key(value), value, row) for value, row in zip(values, items, strict=True)),
        key=lambda entry: entry[0],
    )
    groups = []
    for _, members in groupby(keyed, key=lambda entry: entry[0]):
        found = list(members)
        groups.append(Group(found[0][1], [row for _, _, row in found]))
    return groups


@pass_eval_context
def join_filter(
    context: EvalContext, rows: Iterable[Any], d: str = "", attribute: Attribute = None
) -> str:
    """Jinja2's `join`; NULL is printed as elsewhere in a report."""
    values = (
        rows if attribute is None else map(make_attrgetter(context.environment, attribute), rows)
    )
    shown = [NOTHING if value is None else printed(value) for value in values]
    joined: str = do_join(context, shown, d)
    return joined


AGGREGATES: dict[str, Callable[..., Any]] = {
    "sum": sum_filter,
    "avg": avg_filter,
    "min": min_filter,
    "max": max_filter,
    "sort": sort_filter,
    "groupby": groupby_filter,
    "join": join_filter,
}
