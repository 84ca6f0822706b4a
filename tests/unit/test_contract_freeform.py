"""Bounds of the free parts of a spec, as the models hold them."""

from typing import Any

import pytest
from factories import SPEC, merged, schedule_body

from report_operator.api.v1alpha1.resource import SpecError, parse_schedule
from report_runner.contract.freeform import CHART_LEVELS, VALUE_LEVELS, bounds_problem


def nested(levels: int, leaf: Any = 1) -> Any:
    for level in range(levels):
        leaf = [leaf] if level % 2 else {"a": leaf}
    return leaf


@pytest.mark.parametrize("levels", [CHART_LEVELS + 1, 400, 900, 1100, 100_000])
def test_a_chart_that_is_nested_too_deeply_is_named(levels: int) -> None:
    charts = [{"name": "c", "source": "rates", "spec": {"x": nested(levels - 1)}}]
    spec = {**SPEC, "report": merged(SPEC["report"], {})}
    spec["report"]["charts"] = charts
    with pytest.raises(SpecError, match=r"^spec.report.charts\[c\].spec.x.*nested deeper than 32"):
        parse_schedule({**schedule_body(), "spec": spec})


def test_a_chart_of_the_last_level_is_taken() -> None:
    assert bounds_problem(nested(CHART_LEVELS), CHART_LEVELS, None) is None
    assert bounds_problem(nested(CHART_LEVELS, {}), CHART_LEVELS, None) is not None


def test_values_as_their_schema_has_them() -> None:
    assert bounds_problem(nested(VALUE_LEVELS, []), VALUE_LEVELS, 10) is None
    assert bounds_problem(nested(VALUE_LEVELS, [1]), VALUE_LEVELS, 10) is not None
    assert bounds_problem({"a": ["x" * 11]}, VALUE_LEVELS, 10) == (
        ".a[0]",
        "a text has at most 10 characters",
    )
    assert bounds_problem([1] * 1001, VALUE_LEVELS, 10) is not None
