"""Parameters of a run: computed with their types, declared, overridden, and refused by name."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from pydantic import ValidationError

from report_runner.contract.cross_checks import report_problem
from report_runner.contract.definition import Definition
from report_runner.contract.parameters import raw_values
from report_runner.contract.reasons import Reason
from report_runner.contract.report import Report
from report_runner.contract.sql import query_problem
from report_runner.environment import RunStamps
from report_runner.models import RunError
from report_runner.parameters import resolve, with_parameters

RUN = RunStamps(datetime(2026, 11, 24, 6, tzinfo=UTC), date(2026, 11, 24), "run.1", 1, "")


def report(**fields: Any) -> Report:
    return Report.model_validate(
        {
            "title": "Positions",
            "sources": [{"name": "positions", "inline": {"rows": [{"a": 1}]}}],
            "template": {"builtin": "executive_dashboard"},
            **fields,
        }
    )


def resolved(overrides: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    return resolve(report(**fields), RUN, "Europe/Madrid", overrides or {})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{{ report_date | month_start }}", date(2026, 11, 1)),
        (" {{ report_date | add_months(-1) | month_end }} ", date(2026, 10, 31)),
        ("{{ report_date | previous_business_day }}", date(2026, 11, 23)),
        ("{{ slot }}", datetime(2026, 11, 24, 7, tzinfo=ZoneInfo("Europe/Madrid"))),
        ("{{ report_date | quarter }}", 4),
        ("{{ parameters.share / 3 }}", Decimal("0.03333333333333333333")),
        ("{{ parameters.share * 3 }}", Decimal("0.3")),
        ("{{ report_date.month == 11 }}", True),
        ("{{ none }}", None),
        ("{{ [report_date, report_date | add_days(1)] }}",
         [date(2026, 11, 24), date(2026, 11, 25)]),
        ("{{ {'a': report_date} }}", {"a": date(2026, 11, 24)}),
        ("Q{{ report_date | quarter }} {{ report_date.year }}", "Q4 2026"),
        ("{{ report_date }} ", date(2026, 11, 24)),
        ("{% if report_date.day > 20 %}late{% else %}early{% endif %}", "late"),
        ("{{ '{{ report_date }}' }}", "{{ report_date }}"),
        ("EMEA", "EMEA"),
        ("100 %", "100 %"),
    ],
)  # fmt: skip
def test_a_computed_value_keeps_its_type(text: str, expected: object) -> None:
    found = resolved(parameters={"a": text, "share": 0.1})["a"]
    assert found == expected
    assert type(found) is type(expected) or isinstance(found, datetime)


def test_plain_values_stay_as_they_are() -> None:
    values = {"a": 0.1, "b": [1, {"c": "{{ not a template }}"}], "d": "x", "e": True, "f": 10**20}
    assert resolved(parameters=values) == values
    assert isinstance(resolved(parameters=values)["a"], float)


def definition(**fields: Any) -> Definition:
    return Definition(
        namespace="reports", name="a", uid="u", report_type="t", time_zone="Europe/Madrid",
        report=report(**fields),
    )  # fmt: skip


def test_a_definition_without_computed_parameters_is_the_same() -> None:
    plain = definition(parameters={"a": 0.1})
    assert with_parameters(plain, RUN) is plain
    made = with_parameters(definition(parameters={"a": "{{ report_date }}"}), RUN)
    assert made.report.parameters == {"a": date(2026, 11, 24)}
    assert '"a":"2026-11-24"' in made.model_dump_json()


DECLARED = [
    {"name": "region", "default": "EMEA", "description": "Of the desk."},
    {"name": "top", "type": "integer", "default": 10},
    {"name": "floor", "type": "number", "default": 0.5},
    {"name": "all", "type": "boolean", "default": False},
    {"name": "since", "type": "date", "default": "{{ report_date | month_start }}"},
    {"name": "until", "type": "date", "default": "2026-12-31"},
]
DEFAULTS = {
    "region": "EMEA",
    "top": 10,
    "floor": Decimal("0.5"),
    "all": False,
    "since": date(2026, 11, 1),
    "until": date(2026, 12, 31),
}


def test_declared_parameters_have_their_defaults_in_their_types() -> None:
    assert resolved(declaredParameters=DECLARED) == DEFAULTS
    values = {"region": "APAC", "until": "{{ report_date }}"}
    found = resolved(declaredParameters=DECLARED, parameters=values)
    assert found == DEFAULTS | {"region": "APAC", "until": date(2026, 11, 24)}


def test_a_run_may_override_what_is_declared() -> None:
    given = {"region": "{{ x }}", "top": "25", "floor": "-1.50", "all": "true",
             "since": "2025-01-31"}  # fmt: skip
    found = resolved(given, declaredParameters=DECLARED)
    assert found == DEFAULTS | {
        "region": "{{ x }}",  # never a template: it is not the author's
        "top": 25,
        "floor": Decimal("-1.50"),
        "all": True,
        "since": date(2025, 1, 31),
    }
    assert resolved({"top": 3, "all": True}, declaredParameters=DECLARED)["top"] == 3


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"regoin": "x"}, "parameter 'regoin' is none of spec.report.declaredParameters; did you"),
        ({"top": "2.5"}, "this run was asked for, is a text, not of type integer"),
        ({"top": True}, "is a true or false, not of type integer"),
        ({"floor": "NaN"}, "is a text, not of type number"),
        ({"all": "yes"}, "is a text, not of type boolean: write true or false"),
        ({"since": "31.01.2025"}, "is a text, not of type date: write YYYY-MM-DD"),
        ({"region": 5}, "is a number, not of type text: write it in quotes"),
    ],
)
def test_a_wrong_override_is_refused(given: dict[str, Any], told: str) -> None:
    with pytest.raises(RunError) as caught:
        resolved(given, declaredParameters=DECLARED)
    assert caught.value.reason is Reason.CONFIGURATION_ERROR
    assert told in caught.value.message


def test_what_is_not_declared_cannot_be_overridden() -> None:
    with pytest.raises(RunError, match=r"'region' is none of .*; there is none"):
        resolved({"region": "x"}, parameters={"region": "EMEA"})


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{{ report_date | month_start | add_days('x') }}", "takes a whole number"),
        ("{{ 1 / 0 }}", "division"),
        ("{{ range(10 ** 9) | list }}", ""),
        ("{{ slot.strftime }}", "no value of a parameter"),
        ("{{ 'x' * 100000 }}", "gives more than"),
        ("{{ parameters.nothing }}", "there is no 'nothing'"),
    ],
)
def test_what_cannot_be_computed_names_the_field(text: str, told: str) -> None:
    with pytest.raises(RunError) as caught:
        resolved(parameters={"a": text})
    assert caught.value.message.startswith("spec.report.parameters.a: ")
    assert told in caught.value.message


def test_a_computed_value_of_another_type_is_refused() -> None:
    declared = [{"name": "since", "type": "date", "default": "{{ slot }}"}]
    with pytest.raises(RunError, match="default: is a time with zone"):
        resolved(declaredParameters=declared)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{{ report_date | month_strat }}", "did you mean 'month_start'?"),
        ("{{ report_date | ", "no Jinja2 template"),
        ("{{ x }}" + " " * 1000, "at most 1000 characters"),
        ("{% include 'x' %}", "no files"),
    ],
)
def test_what_does_not_compile_is_refused_at_once(text: str, told: str) -> None:
    with pytest.raises(ValidationError) as caught:
        report(parameters={"a": text})
    assert told in str(caught.value)


@pytest.mark.parametrize(
    ("fields", "field", "told"),
    [
        ({"parameters": {"a": "{{ report_dat }}"}}, "spec.report.parameters.a",
         "'report_dat'; did you mean 'report_date'?; a computed parameter knows holidays,"),
        ({"parameters": {"a": "{{ sources.x }}"}}, "spec.report.parameters.a", "'sources'"),
        ({"parameters": {"a": "{{ parameters.c }}"}}, "spec.report.parameters.a",
         "no 'parameters.c'"),
        ({"parameters": {"a": "{{ parameters.b }}", "b": "{{ report_date }}"}},
         "spec.report.parameters.a", "may name plain ones, not other computed ones"),
        ({"parameters": {"a": "{{ parameters.a }}"}}, "spec.report.parameters.a", "not other"),
        ({"declaredParameters": [{"name": "a"}]}, "spec.report.declaredParameters[a]",
         "has no value: write a default, or report.parameters.a"),
        ({"declaredParameters": [{"name": "a", "type": "date", "default": "soon"}]},
         "spec.report.declaredParameters[a].default", "is a text, not of type date"),
        ({"declaredParameters": [{"name": "a", "type": "integer", "default": 1}],
          "parameters": {"a": 1.5}}, "spec.report.parameters.a", "is a number, not of type"),
        ({"sendIf": "position | length > 0"}, "spec.report.sendIf", "did you mean 'positions'?"),
        ({"sendIf": "parameters.a == 1"}, "spec.report.sendIf", "no 'parameters.a'"),
        ({"checks": [{"name": "c", "expression": "foo > 1"}]},
         "spec.report.checks[c].expression", "no 'foo'"),
    ],
)  # fmt: skip
def test_what_no_run_can_have_is_told_before_a_run(
    fields: dict[str, Any], field: str, told: str
) -> None:
    problem = report_problem(report(**fields))
    assert problem is not None
    assert problem[0] == field
    assert told in problem[1]


def test_what_a_run_can_have_is_no_problem() -> None:
    made = report(
        declaredParameters=DECLARED,
        parameters={"a": "{{ parameters.until | add_days(1) }}", "b": 1},
        sendIf="positions | length > parameters.b and sources['positions'] | length > 0",
    )
    assert report_problem(made) is None
    assert query_problem("SELECT %(since)s, %(a)s, %(slot)s", raw_values(made)) is None


@pytest.mark.parametrize("name", ["slot", "report_date"])
def test_the_names_of_the_run_cannot_be_declared(name: str) -> None:
    with pytest.raises(ValidationError, match="set by the run"):
        report(declaredParameters=[{"name": name, "default": "x"}])


def test_a_month_of_dates_is_computed_for_every_day() -> None:
    for days in range(31):
        day = date(2026, 1, 15) + timedelta(days)
        run = RunStamps(RUN.slot, day, "r", 1, "")
        found = resolve(
            report(parameters={"a": "{{ report_date | month_start }}"}), run, "Etc/UTC", {}
        )
        assert found == {"a": day.replace(day=1)}
