"""Parameters of a report: plain values, computed ones, and declarations with a type."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache
from typing import Annotated, Any, Protocol

from jinja2 import nodes
from pydantic import AfterValidator, Field, StringConstraints
from pydantic_core import PydanticCustomError

from report_runner.contract.expression import (
    EXPRESSION_LIMIT,
    described,
    expression_environment,
    problem_of,
    unknown_in,
)
from report_runner.contract.freeform import TEXT_LIMIT, value_schema
from report_runner.contract.model import ONE_LINE, Identifier, Model
from report_runner.contract.numbers import exact, is_number
from report_runner.contract.rules import Rule
from report_runner.contract.sql import RESERVED_PARAMETERS
from report_runner.contract.templating import compile_problem

COMPUTED_LIMIT = 30  # templates of one report's parameters: the operator compiles each
PARAMETERS_LIMIT = 50  # that one run is asked for with
TEXT_OF_OVERRIDE = 1000  # characters
OVERRIDES_LIMIT = 4096  # characters of all parameters that one run is asked for with, as JSON
_MARKS = ("{{", "{%")
_WHOLE = re.compile(r"[+-]?\d{1,200}", re.ASCII)
_NUMBER = re.compile(r"[+-]?\d{1,200}(\.\d{1,200})?", re.ASCII)
_BOOLEANS = {"true": True, "false": False}
# What the template of a computed parameter may name.
COMPUTED_NAMES = ("holidays", "parameters", "report_date", "slot", "time_zone")


class ParameterType(StrEnum):
    """What a declared parameter holds."""

    TEXT = "text"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    DATE = "date"


_REMEDIES = {
    ParameterType.TEXT: "write it in quotes",
    ParameterType.INTEGER: "write a whole number, such as 10",
    ParameterType.NUMBER: "write a number, such as 2.5",
    ParameterType.BOOLEAN: "write true or false",
    ParameterType.DATE: "write YYYY-MM-DD",
}


def is_computed(value: Any) -> bool:
    """Whether a value of spec.report.parameters is a template; texts within lists are not."""
    return isinstance(value, str) and any(mark in value for mark in _MARKS)


@lru_cache(maxsize=4096)
def computed_problem(text: str) -> str | None:
    """Why the template of a parameter does not compile; None where it does."""
    if len(text) > EXPRESSION_LIMIT:
        return f"a computed parameter has at most {EXPRESSION_LIMIT} characters, not {len(text)}"
    problem = problem_of(text, lambda: None)
    if problem is None:
        found = compile_problem(text)
        problem = None if found is None else found.message
    return None if problem is None else f"no Jinja2 template: {problem}"


def single_expression(text: str) -> nodes.Expr | None:
    """The expression of a template that is one `{{ … }}` and nothing else."""
    tree = expression_environment().parse(text.strip())
    if len(tree.body) != 1 or not isinstance(tree.body[0], nodes.Output):
        return None
    found = tree.body[0].nodes
    return found[0] if len(found) == 1 and not isinstance(found[0], nodes.TemplateData) else None


def typed(value: Any, kind: ParameterType) -> Any:
    """The value as one of its declared type: a date from its text. Raises ValueError."""
    value = exact(value)
    whole = isinstance(value, Decimal) and value.is_finite() and value == value.to_integral_value()
    match kind:
        case ParameterType.TEXT if isinstance(value, str):
            return value
        case ParameterType.BOOLEAN if isinstance(value, bool):
            return value
        case ParameterType.INTEGER if whole:
            return int(value)
        case ParameterType.INTEGER if isinstance(value, int) and not isinstance(value, bool):
            return value
        case ParameterType.NUMBER if is_number(value):
            return value
        case ParameterType.DATE if isinstance(value, date) and not isinstance(value, datetime):
            return value
        case ParameterType.DATE if isinstance(value, str):
            try:
                return date.fromisoformat(value)
            except ValueError:
                pass
    raise ValueError(f"is {described(value)}, not of type {kind.value}: {_REMEDIES[kind]}")


def read_override(value: Any, kind: ParameterType) -> Any:
    """A value given for one run; a text is read as its type is written. Raises ValueError."""
    if isinstance(value, str):
        text = value.strip()
        if kind is ParameterType.INTEGER and _WHOLE.fullmatch(text):
            return int(text)
        if kind is ParameterType.NUMBER and _NUMBER.fullmatch(text):
            return Decimal(text)
        if kind is ParameterType.BOOLEAN and text in _BOOLEANS:
            return _BOOLEANS[text]
    return typed(value, kind)


def _checked_default(value: Any) -> Any:
    problem = None
    if isinstance(value, dict | list):
        problem = "write a text, a number, true or false"
    elif isinstance(value, str) and len(value) > TEXT_LIMIT:
        problem = f"a text has at most {TEXT_LIMIT} characters"
    elif is_computed(value):
        problem = computed_problem(value)
    if problem is not None:
        raise PydanticCustomError("rule", "{message}", {"message": problem})
    return value


class DeclaredParameter(Model):
    """A parameter with a type, a description and a default."""

    name: Identifier = Field(description="Name: {{ parameters.NAME }}, %(NAME)s.")
    type: ParameterType = Field(
        default=ParameterType.TEXT,
        description="A value of another type is refused. A date is written YYYY-MM-DD, and is one "
        "in templates and queries.",
    )
    description: Annotated[str, StringConstraints(max_length=500), ONE_LINE] | None = Field(
        default=None, description="What it is for."
    )
    default: Annotated[Any, AfterValidator(_checked_default)] = Field(
        default=None,
        json_schema_extra=value_schema(0),
        description="The value where report.parameters has none; it may be computed as well.",
    )


class _Declarations(Protocol):
    """The part of a report that declares parameters."""

    @property
    def parameters(self) -> dict[str, Any]: ...

    @property
    def declared_parameters(self) -> list[DeclaredParameter]: ...


def raw_values(report: _Declarations) -> dict[str, Any]:
    """Every parameter that a run has, computed ones as their templates."""
    defaults = {each.name: each.default for each in report.declared_parameters}
    return {name: value for name, value in defaults.items() if value is not None} | dict(
        report.parameters
    )


def parameters_problem(report: _Declarations) -> tuple[str, str] | None:
    """Field and message of the first parameter that no run can have; None where all are right."""
    values = raw_values(report)
    plain = [name for name, value in values.items() if not is_computed(value)]
    for declared in report.declared_parameters:
        field = f"spec.report.declaredParameters[{declared.name}]"
        if declared.name not in values:
            return field, (f"has no value: write a default, or report.parameters.{declared.name}")
        if declared.name in plain:
            given = declared.name in report.parameters
            where = f"spec.report.parameters.{declared.name}" if given else f"{field}.default"
            try:
                typed(values[declared.name], declared.type)
            except ValueError as error:
                return where, str(error)
    for name, value in values.items():
        if name not in plain:
            problem = _names_problem(value, plain, values)
            if problem is not None:
                return field_of(report, name), problem
    return None


def field_of(report: _Declarations, name: str) -> str:
    """The field that holds a parameter's value."""
    if name in report.parameters:
        return f"spec.report.parameters.{name}"
    return f"spec.report.declaredParameters[{name}].default"


def _names_problem(text: str, plain: Collection[str], known: Mapping[str, Any]) -> str | None:
    problem = computed_problem(text)
    if problem is not None:
        return problem
    tree = expression_environment().parse(text)
    found = unknown_in(tree, COMPUTED_NAMES, {"parameters": known})
    if found is not None:
        return f"{found}; a computed parameter knows {', '.join(COMPUTED_NAMES)}"
    found = unknown_in(tree, COMPUTED_NAMES, {"parameters": plain})
    return found and f"{found}: a computed parameter may name plain ones, not other computed ones"


def _fits(values: dict[str, str]) -> dict[str, str]:
    if len(json.dumps(values)) > OVERRIDES_LIMIT:
        raise PydanticCustomError(
            "rule", "{message}", {"message": f"at most {OVERRIDES_LIMIT} characters as JSON"}
        )
    return values


# That one run is asked for with; each is read as the type that its parameter is declared with.
ParameterValues = Annotated[
    dict[Identifier, Annotated[str, StringConstraints(max_length=TEXT_OF_OVERRIDE)]],
    AfterValidator(_fits),
]


def check_computed(values: dict[str, Any]) -> dict[str, Any]:
    """Raises PydanticCustomError for a template that does not compile."""
    if sum(map(is_computed, values.values())) > COMPUTED_LIMIT:
        message = f"at most {COMPUTED_LIMIT} parameters are computed"
        raise PydanticCustomError("rule", "{message}", {"message": message})
    for name, value in values.items():
        problem = computed_problem(value) if is_computed(value) else None
        if problem is not None:
            raise PydanticCustomError(
                "rule", "{message}", {"message": problem, "path": str(name)[:60]}
            )
    return values


_RESERVED = "report_date and slot are set by the run: choose another name"
# Of a report.
PARAMETER_RULES = (
    Rule(
        None,
        _RESERVED,
        lambda report: not RESERVED_PARAMETERS & set(report.parameters),
        path="parameters",
    ),
    Rule(
        None,
        _RESERVED,
        lambda report: not RESERVED_PARAMETERS & {p.name for p in report.declared_parameters},
        path="declaredParameters",
    ),
)
