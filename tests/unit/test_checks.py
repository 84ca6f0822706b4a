"""Checks: what each says of right rows, wrong rows, NULL, NaN and no rows at all."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from report_runner.checks import CheckContext, Finding, run_check
from report_runner.contract.checks import DataCheck
from report_runner.contract.moments import FarMoment, MomentKind
from report_runner.contract.reasons import Reason
from report_runner.environment import RunStamps
from report_runner.expressions import Scope
from report_runner.models import RunError, Table

NOW = datetime(2026, 11, 24, 6, 1, tzinfo=UTC)
RUN = RunStamps(datetime(2026, 11, 24, 6, tzinfo=UTC), date(2026, 11, 24), "run.1", 1, "")
NAN = Decimal("NaN")


def column(*values: Any, name: str = "v") -> Table:
    return Table((name,), [(value,) for value in values])


def find(spec: dict[str, Any], *, earlier: Any = None, **tables: Table) -> Finding:
    check = DataCheck.model_validate({"name": "c", "source": "a", **spec})
    scope = Scope(RUN, "Europe/Madrid", {}, tables)
    return run_check(check, CheckContext(scope, NOW, earlier, "the report of 2026-11-23"))


def told(spec: dict[str, Any], **given: Any) -> tuple[bool, str]:
    found = find(spec, **given)
    return found.passed, found.message("c").removeprefix("check c: ")


@pytest.mark.parametrize(
    ("spec", "table", "passed", "message"),
    [
        ({"rows": {"min": 1}}, column(), False, "expected at least 1 rows, found 0 rows"),
        ({"rows": {"min": 1}}, column(1), True, "expected at least 1 rows, found 1 row"),
        ({"rows": {"max": 1}}, column(1, 2), False, "expected at most 1 rows, found 2 rows"),
        ({"rows": {"min": 1, "max": 2}}, column(1, 2), True, "expected 1 to 2 rows, found 2 rows"),
        ({"notNull": ["v"]}, column(1, None, None), False,
         "expected no NULL in v, found 2 in v; 2 rows break it"),
        ({"notNull": ["v"]}, column(0, "", False), True,
         "expected no NULL in v, found none in 3 rows"),
        ({"notNull": ["v"]}, column(), True, "expected no NULL in v, found none in 0 rows"),
        ({"unique": ["v"]}, column(1, Decimal("1.00"), 2), False,
         "expected each value of v once, found 1 value more than once; 2 rows break it"),
        ({"unique": ["v"]}, column(1, "1", None), True,
         "expected each value of v once, found 3 different ones in 3 rows"),
        ({"unique": ["v"]}, column(None, None, NAN, NAN, 3), False,
         "expected each value of v once, found 2 values more than once; 4 rows break it"),
        ({"unique": ["v"]}, column(), True,
         "expected each value of v once, found 0 different ones in 0 rows"),
        ({"range": {"column": "v", "min": 0, "max": 0.1}}, column(0, Decimal("0.10"), 0.1), True,
         "expected v of 0 to 0.1, found 0 to 0.10"),
        ({"range": {"column": "v", "min": 0, "max": 0.1}}, column(Decimal("0.1000000001"), -1),
         False, "expected v of 0 to 0.1, found −1 to 0.1000000001; 2 rows break it"),
        ({"range": {"column": "v", "min": 0}}, column(1, None, NAN), False,
         "expected v of at least 0, found 1 to 1 and 1 NaN; 1 row breaks it (1 NULL left out)"),
        ({"range": {"column": "v", "max": 5}}, column(Decimal("Infinity")), False,
         "expected v of at most 5, found Infinity to Infinity; 1 row breaks it"),
        ({"range": {"column": "v", "max": 5}}, column(), True,
         "expected v of at most 5, found no number"),
    ],
)  # fmt: skip
def test_rows_of_one_source(spec: dict[str, Any], table: Table, passed: bool, message: str) -> None:
    assert told(spec, a=table) == (passed, message)


@pytest.mark.parametrize(
    ("values", "within", "passed", "message"),
    [
        ([date(2026, 11, 23)], "1d", True, "2026-11-23 as the newest"),
        ([date(2026, 11, 22), None], "1d", False, "2026-11-22 as the newest"),
        (["2026-11-22", "2026-11-24"], "1d", True, "2026-11-24 as the newest"),
        (["2026-11-24T05:00:00Z"], "1h", True, "2026-11-24T05:00:00Z as the newest"),
        (["2026-11-24T04:59:59Z"], "1h", False, "2026-11-24T04:59:59Z as the newest"),
        ([datetime.fromisoformat("2026-11-24T06:30:00")], "1h", True, "2026-11-24 06:30:00 as"),
        ([datetime.fromisoformat("2026-11-24T05:30:00")], "1h", False, "2026-11-24 05:30:00 as"),
        ([datetime(2026, 11, 24, 5, 30, tzinfo=UTC)], "1h", True, "2026-11-24 05:30:00+00:00 as"),
        ([date(9999, 12, 31), date(2026, 11, 1)], "1d", False,
         "2026-11-01 as the newest (1 value of the future left out)"),
        ([date(9999, 12, 31)], "1d", False, "no value (1 value of the future left out)"),
        ([], "1d", False, "no value (there is no row with one)"),
        ([None], "1d", False, "no value (there is no row with one)"),
        ([FarMoment("infinity", MomentKind.DATE)], "1d", False, "infinity, which has no age"),
    ],
)  # fmt: skip
def test_freshness(values: list[Any], within: str, passed: bool, message: str) -> None:
    found = told({"fresh": {"column": "v", "within": within}}, a=column(*values))
    assert found[0] is passed
    assert f"found {message}" in found[1]


@pytest.mark.parametrize(
    ("left", "right", "more", "passed", "message"),
    [
        ([Decimal("0.1")] * 3, [Decimal("0.30")], {}, True, "of 0.30, which is that of b.w"),
        ([0.1] * 3, [Decimal("0.3")], {}, True, "found 0.3 in 3 rows"),
        ([100], [Decimal("100.01")], {}, False, "of 100.01, which is that of b.w, found 100"),
        ([100], [Decimal("100.01")], {"tolerance": 0.01}, True, "of 100.01 ± 0.01,"),
        ([100], [Decimal("100.011")], {"tolerance": 0.01}, False, "± 0.01,"),
        ([99], [100], {"tolerancePercent": 1}, True, "of 100 ± 1%,"),
        ([99], [Decimal("100.1")], {"tolerancePercent": 1}, False, "± 1%,"),
        ([0], [], {"tolerancePercent": 1}, True, "of 0 ± 1%"),
        ([1], [], {"tolerancePercent": 1}, False, "of 0 ± 1%"),
        ([1, None], [1], {}, True, "(1 NULL left out)"),
        ([NAN], [NAN], {"tolerance": 5}, False, "found NaN"),
        ([], [], {}, True, "found 0 in 0 rows"),
    ],
)
def test_sums_reconcile(
    left: list[Any], right: list[Any], more: dict[str, Any], passed: bool, message: str
) -> None:
    spec = {"reconciles": {"column": "v", "against": {"source": "b", "column": "w"}, **more}}
    found = told(spec, a=column(*left), b=column(*right, name="w"))
    assert found[0] is passed
    assert message in found[1]


@pytest.mark.parametrize(
    ("change", "earlier", "passed", "message"),
    [
        ({"tolerance": 1}, {"a": "2"}, True, "rows of a of 2 ± 1, as in the report of 2026-11-23"),
        ({"tolerance": 0}, {"a": "2"}, False, "found 3"),
        ({"tolerance": 0}, {"a": "3"}, True, "found 3"),
        ({"tolerancePercent": 50}, {"a": "2"}, True, "of 2 ± 50%"),
        ({"tolerancePercent": 49.9}, {"a": "2"}, False, "of 2 ± 49.9%"),
        ({"tolerancePercent": 49.9}, {"a": "0"}, False, "of 0 ± 49.9%"),
        ({"tolerancePercent": 5}, None, True, "nothing to compare with: no earlier run"),
        ({"tolerancePercent": 5}, {"b": "1"}, True, "nothing to compare with: the report of 2026"),
        ({"column": "v", "tolerance": 0}, {"a.v": "6.0"}, True, "sum of a.v of 6.0"),
        ({"column": "v", "tolerance": 0}, {"a": "3"}, True, "has no such figure"),
        ({"column": "v", "tolerance": 1}, {"a.v": "NaN"}, False, "sum of a.v of NaN"),
    ],
)
def test_change_since_the_last_delivered_run(
    change: dict[str, Any], earlier: Any, passed: bool, message: str
) -> None:
    table = column(1, 2, 3)
    found = told({"change": change}, a=table, earlier=earlier)
    assert found[0] is passed
    assert message in found[1]
    figures = find({"change": change}, a=table, earlier=earlier).figures
    assert figures == ({"a.v": "6"} if "column" in change else {"a": "3"})


def test_a_sum_that_is_not_a_number_is_never_the_first_to_compare_with() -> None:
    found = told({"change": {"column": "v", "tolerance": 0}}, a=column(1, NAN))
    assert found == (
        False,
        "expected any sum of a.v, found NaN (nothing to compare with: no earlier run was "
        "delivered)",
    )


def test_an_expression() -> None:
    spec = {"source": None, "expression": "a | sum('v') ==\n  b | sum('v')"}
    assert told(spec, a=column(1), b=column(1)) == (
        True,
        "expected a | sum('v') == b | sum('v'), found true",
    )
    assert told(spec, a=column(1), b=column(2))[0] is False


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"notNull": ["w"]}, "spec.report.checks[c]: source 'a' has no column 'w'"),
        ({"unique": ["v", "valeu"]}, "has no column 'valeu'; did you mean 'value'?"),
        ({"range": {"column": "value", "min": 1}}, "column 'value' of source 'a' holds a text"),
        ({"fresh": {"column": "v", "within": "1d"}}, "holds a number, which is no date or time"),
        ({"fresh": {"column": "value", "within": "1d"}}, "holds a text, which is no date or time"),
        ({"change": {"column": "value", "tolerance": 0}}, "cast it to a number in the query"),
        ({"source": None, "expression": "a | length"}, "[c].expression: gives a number"),
    ],
)
def test_what_cannot_be_checked_is_a_configuration_error(
    spec: dict[str, Any], message: str
) -> None:
    with pytest.raises(RunError) as caught:
        find(spec, a=Table(("v", "value"), [(1, "x")]))
    assert caught.value.reason is Reason.CONFIGURATION_ERROR
    assert message in caught.value.message


def test_of_many_broken_rows_the_first_thousand_are_kept() -> None:
    found = find({"notNull": ["v"]}, a=column(1, *[None] * 1500))
    assert found.broken_count == 1500
    assert list(found.broken) == list(range(1, 1001))
    assert "1500 rows break it" in found.message("c")


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({}, "set exactly one of"),
        ({"rows": {"min": 1}, "unique": ["v"]}, "set exactly one of"),
        ({"rows": {}}, "set min, max or both"),
        ({"rows": {"min": 2, "max": 1}}, "min has to be at most max"),
        ({"range": {"column": "v"}}, "set min, max or both"),
        ({"range": {"column": "v", "min": "1"}}, "range.min"),
        ({"range": {"column": "v", "min": True}}, "range.min"),
        ({"unique": ["v", "v"]}, "occurs twice"),
        ({"fresh": {"column": "v", "within": "1 day"}}, "write a duration from 1m to 3650d"),
        ({"change": {}}, "set exactly one of"),
        ({"change": {"tolerance": -1}}, "write a number of 0 or more"),
        ({"source": None, "rows": {"min": 1}}, "names its source"),
        ({"expression": "a | length > 0"}, "names its source"),
        ({"source": None, "expression": "a | lenght > 0"}, "did you mean 'length'?"),
    ],
)
def test_a_wrong_check_is_refused(spec: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        DataCheck.model_validate({"name": "c", "source": "a", **spec})
    assert message in str(caught.value)
