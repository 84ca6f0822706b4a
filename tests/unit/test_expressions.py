"""Expressions: true or false, exact, and an error rather than a guess."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from pydantic_core import PydanticCustomError

from report_runner.contract.expression import (
    EXPRESSION_LIMIT,
    expression_problem,
    parse_expression,
    unknown_name,
)
from report_runner.contract.parameters import COMPUTED_LIMIT, check_computed, computed_problem
from report_runner.contract.reasons import Reason
from report_runner.environment import RunStamps
from report_runner.expressions import Scope, evaluate
from report_runner.models import RunError, Table

FIELD = "spec.report.sendIf"
RUN = RunStamps(datetime(2026, 11, 24, 6, tzinfo=UTC), date(2026, 11, 24), "run.1", 1, "")
NAIVE = datetime.fromisoformat("2026-11-24T00:00:00")
ROWS = Table(
    ("desk", "amount", "weight", "day", "at", "gone"),
    [
        ("rates", Decimal("0.10"), 0.1, date(2026, 11, 24), NAIVE, None),
        ("fx", Decimal("-2"), 0.2, date(2026, 11, 23), NAIVE, None),
    ],
)


def scope(**tables: Table) -> Scope:
    given = {"positions": ROWS, "empty": Table(("a",), ())}
    return Scope(RUN, "Europe/Madrid", {"region": "EMEA", "floor": Decimal("0.1")}, given | tables)


def holds(text: str, **tables: Table) -> bool:
    return evaluate(text, FIELD, scope(**tables))


def failure(text: str, **tables: Table) -> RunError:
    with pytest.raises(RunError) as caught:
        holds(text, **tables)
    assert caught.value.message.startswith(FIELD)
    return caught.value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("positions | length > 0", True),
        ("empty | length > 0", False),
        ("sources.empty.rows | length == 0", True),
        ("not empty", True),
        ("positions | sum('amount') == -1.9", True),
        ("positions.rows[0].amount == 0.1", True),
        ("positions.rows[0].weight == 0.1", True),
        ("positions.rows[0].amount == positions.rows[0].weight", True),
        ("positions.rows[0].amount == parameters.floor", True),
        ("positions.rows[0].weight * 3 == 0.3", True),
        ("positions | selectattr('weight', 'gt', 0.1) | list | length == 1", True),
        ("0 < positions.rows[0].weight <= 0.1", True),
        ("0.1 in positions.column('amount')", True),
        ("'fx' in positions.column('desk')", True),
        ("'ates' in 'rates'", True),
        ("(positions | max(attribute='day')).day == report_date", True),
        ("report_date.isoweekday() == 2 and slot.hour == 7", True),
        ("positions.rows[0].gone is none", True),
        ("positions.rows[0].gone == none", True),
        ("positions.rows[0].gone != none", False),
        ("parameters.region == 'EMEA'", True),
        ("time_zone == 'Europe/Madrid'", True),
        ("positions.rows[5] is defined", False),
        ("false and positions.rows[9].nothing > 1", False),
    ],
)
def test_true_or_false(text: str, expected: bool) -> None:
    assert expression_problem(text) is None
    assert holds(text) is expected


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("positions | length", "gives a number, not true or false"),
        ("positions", "gives a list, not true or false"),
        ("positions | max(attribute='day') == report_date", "== of a object and a date"),
        ("'yes'", "gives a text, not true or false"),
        ("none", "gives NULL, not true or false"),
        ("positions.rows[0].gone", "gives NULL"),
        ("positions.rows[0].gone > 1", "> with NULL"),
        ("1 <= positions.rows[0].gone", "<= with NULL"),
        ("positions.rows[0].desk == 1", "== of a text and a number"),
        ("positions.rows[0].at == report_date", "== of a time and a date"),
        ("'2026-11-24' == report_date", "== of a text and a date"),
        ("true == 1", "== of a true or false and a number"),
        ("position | length > 0", "'position' is undefined; did you mean 'positions'?"),
        ("sources.position | length > 0", "there is no 'position'; did you mean 'positions'?"),
        ("positions.rows[0].amuont > 0", "there is no 'amuont'; did you mean 'amount'?"),
        ("positions | sum('amuont') > 0", "there is no column 'amuont'"),
        ("positions.rows[9].desk == 'fx'", "there is no element 9; there are 2"),
        ("1 / 0 > 1", "division"),
        ("parameters.__class__ == 1", ""),
    ],
)
def test_anything_else_is_a_configuration_error(text: str, told: str) -> None:
    error = failure(text)
    assert error.reason is Reason.CONFIGURATION_ERROR
    assert told in error.message


@pytest.mark.parametrize(
    "text",
    [
        "range(100000000) | list | length > 1",
        "'x' * 900000000 == 'y'",
        "2 ** 100000 > 1",
    ],
)
def test_what_would_take_all_memory_is_stopped(text: str) -> None:
    assert failure(text).reason in (Reason.RESOURCE_EXHAUSTED, Reason.CONFIGURATION_ERROR)


@pytest.mark.parametrize("nan", [Decimal("NaN"), float("nan")])
def test_nan_compares_as_in_postgresql(nan: Any) -> None:
    table = Table(("v",), [(nan,)])
    assert holds("n.rows[0].v > 10 ** 30", n=table)
    assert holds("n.rows[0].v == n.rows[0].v", n=table)
    assert not holds("n.rows[0].v < 1", n=table)


def test_a_source_may_have_the_name_of_something_else() -> None:
    tables = {"self": ROWS, "slot": ROWS, "range": ROWS}
    assert holds("sources.self | length == 2 and range | length == 2", **tables)
    assert holds("slot.hour == 7 and sources.slot | length == 2", **tables)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("positions | lenght > 0", "no filter is called 'lenght'; did you mean 'length'?"),
        ("positions is emptyy", "no test is called 'emptyy'"),
        ("positions | length >", "unexpected"),
        ("positions | length > 0 }} {{ 1", "behind the end"),
        ("a b", "behind the end"),
        ("", "expected"),
        ("(" * 190 + "1" + ")" * 9, "expected"),
        ("{% if x %}", ""),
    ],
)
def test_what_does_not_compile_is_told_before_a_run(text: str, told: str) -> None:
    problem = expression_problem(text)
    assert problem is not None
    assert told.lower() in problem.lower()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("position | length > 0", "'position'; did you mean 'positions'?"),
        ("sources.position | length > 0", "'sources.position'; did you mean 'sources.positions'?"),
        ("sources['other'] | length > 0", "'sources.other'; did you mean"),
        ("parameters.regin == 'EMEA'", "did you mean 'parameters.region'?"),
        ("positions | selectattr('a', 'eq', foo) | list | length > 0", "'foo'"),
    ],
)
def test_unknown_names_are_told_before_a_run(text: str, told: str) -> None:
    problem = unknown_name(parse_expression(text), ["positions", "others"], ["region"])
    assert problem is not None
    assert told in problem


@pytest.mark.parametrize(
    "text",
    [
        "positions | length > 0 and sources.others | length > 0",
        "range(3) | length == 3 and parameters.region == slot",
    ],
)
def test_known_names_are_no_problem(text: str) -> None:
    assert unknown_name(parse_expression(text), ["positions", "others"], ["region"]) is None


def test_an_error_shows_the_expression() -> None:
    told = failure("true and\n1 / 0 > 1").message
    assert told == f"{FIELD}: division by zero in `true and 1 / 0 > 1`"


@pytest.mark.parametrize(
    "text", ["a" + "~a" * 400, "a" + "<a" * 400, "+".join("a" * 400), "a" + "|abs" * 240]
)
def test_what_takes_long_to_compile_is_refused_before(text: str) -> None:
    assert len(text) <= EXPRESSION_LIMIT
    problem = expression_problem(text)
    assert problem == "more than 200 names, values and operators: compute in the query"
    assert (
        computed_problem("{{" + text[: EXPRESSION_LIMIT - 4] + "}}")
        == f"no Jinja2 template: {problem}"
    )


def test_so_many_parameters_may_be_computed() -> None:
    values = {f"a{n}": "{{ report_date }}" for n in range(COMPUTED_LIMIT)}
    assert check_computed(values) == values
    with pytest.raises(PydanticCustomError, match="at most 30 parameters are computed"):
        check_computed({**values, "b": "{{ slot }}"})
