"""The parameters of one run: computed, typed, and as the run was asked for."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import date, datetime
from decimal import Decimal, localcontext
from typing import Any
from zoneinfo import ZoneInfo

from jinja2 import TemplateRuntimeError, Undefined, UndefinedError

from report_runner.contract.datefilters import HOLIDAYS, Holidays
from report_runner.contract.definition import Definition
from report_runner.contract.expression import compiled, described, expression_environment
from report_runner.contract.numbers import EXACT, exact
from report_runner.contract.parameters import (
    computed_problem,
    field_of,
    is_computed,
    raw_values,
    read_override,
    single_expression,
    typed,
)
from report_runner.contract.reasons import Reason
from report_runner.contract.report import Report
from report_runner.contract.words import listed, nearest, shortened
from report_runner.environment import RunStamps
from report_runner.expressions import guarded_expression
from report_runner.models import RunError
from report_runner.render.template import with_known_names

VALUE_LIMIT = 65_536  # bytes of one computed value


def with_parameters(
    definition: Definition,
    run: RunStamps,
    overrides: Mapping[str, Any] | None = None,
) -> Definition:
    """The definition with the parameters that this run has. Raises RunError."""
    calendar = definition.calendar
    if calendar is not None:
        problem = calendar.problem()
        if problem:
            raise _wrong(f"spec.calendar: {problem}")
        # Imported before expressions are evaluated, which have no file to read it from.
        calendar.is_business_day(run.report_date)
    report = definition.report
    values = resolve(report, run, definition.time_zone, overrides or {}, definition.holidays)
    if values == report.parameters:
        return definition
    # Not validated again: a computed value may be a date, which no manifest can hold.
    report = report.model_copy(update={"parameters": values})
    return definition.model_copy(update={"report": report})


def resolve(
    report: Report,
    run: RunStamps,
    time_zone: str,
    overrides: Mapping[str, Any],
    holidays: Holidays = frozenset(),
) -> dict[str, Any]:
    """Every parameter by name. Raises RunError(ConfigurationError), naming the field."""
    types = {declared.name: declared.type for declared in report.declared_parameters}
    values = raw_values(report)
    for name, value in overrides.items():
        if name not in types:
            known = sorted(types)
            near = nearest(name, known) or f"; there is {listed(known) or 'none'}"
            raise _wrong(
                f"parameter {shortened(name)} is none of spec.report.declaredParameters{near}"
            )
        try:
            values[name] = read_override(value, types[name])
        except ValueError as error:
            raise _wrong(f"parameter {name}, as this run was asked for, {error}") from None
    templates = {
        name: value
        for name, value in values.items()
        if is_computed(value) and name not in overrides
    }
    plain = {
        name: _typed(value, types.get(name), field_of(report, name))
        for name, value in values.items()
        if name not in templates
    }
    names = {
        "report_date": run.report_date,
        "slot": run.slot.astimezone(ZoneInfo(time_zone)),
        "time_zone": time_zone,
        "parameters": exact(plain),
        HOLIDAYS: holidays,
    }
    computed = {
        name: _typed(_compute(text, field_of(report, name), names), types.get(name), field)
        for name, text in templates.items()
        if (field := field_of(report, name))
    }
    return {name: computed[name] if name in computed else plain[name] for name in values}


def _typed(value: Any, kind: Any, field: str) -> Any:
    if kind is None:
        return value
    try:
        return typed(value, kind)
    except ValueError as error:
        raise _wrong(f"{field}: {error}") from None


def _wrong(message: str) -> RunError:
    return RunError(Reason.CONFIGURATION_ERROR, message)


def _compute(text: str, field: str, names: Mapping[str, Any]) -> Any:
    problem = computed_problem(text)
    if problem is not None:
        raise _wrong(f"{field}: {problem}")

    def work(write: Callable[[bytes], None]) -> None:
        answer = json.dumps(_packed(_value(text, names))).encode()
        if len(answer) > VALUE_LIMIT:
            raise TemplateRuntimeError(f"gives more than {VALUE_LIMIT} bytes")
        write(answer)

    return _unpacked(json.loads(guarded_expression(work, field, text)))


def _value(text: str, names: Mapping[str, Any]) -> Any:
    """The value of a template that is one expression, as it is; the text of any other."""
    expression = single_expression(text)
    try:
        with localcontext(EXACT):
            if expression is None:
                return expression_environment().from_string(text).render(names)
            value = compiled(expression)(names)
            if isinstance(value, Undefined):
                str(value)  # StrictUndefined says which name it is
            return value
    except UndefinedError as error:
        with_known_names(error, names)
        raise


def _packed(value: Any) -> list[Any]:
    """JSON that keeps dates, times and decimals: the kind and the value."""
    if value is None or isinstance(value, bool | int | str):
        return ["plain", value if not isinstance(value, str) else str(value)]
    if isinstance(value, datetime):
        return ["time", value.isoformat()]
    if isinstance(value, date):
        return ["date", value.isoformat()]
    if isinstance(value, float | Decimal):
        return ["number", str(exact(value))]
    if isinstance(value, list | tuple):
        return ["list", [_packed(inner) for inner in value]]
    if isinstance(value, dict):
        return ["object", [[str(name), _packed(inner)] for name, inner in value.items()]]
    raise TemplateRuntimeError(
        f"gives {described(value)}, which is no value of a parameter: a text, a number, true or "
        "false, a date, or a list of these"
    )


def _unpacked(packed: list[Any]) -> Any:
    kind, value = packed
    match kind:
        case "time":
            return datetime.fromisoformat(value)
        case "date":
            return date.fromisoformat(value)
        case "number":
            return Decimal(value)
        case "list":
            return [_unpacked(inner) for inner in value]
        case "object":
            return {name: _unpacked(inner) for name, inner in value}
    return value
