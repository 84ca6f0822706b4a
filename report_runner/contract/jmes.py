"""JMESPath over JSON whose numbers keep their digits.

jmespath itself knows int and float: a literal with a point never equals a Decimal, and its
functions refuse one.
"""

from __future__ import annotations

import math
from decimal import Decimal, InvalidOperation, localcontext
from typing import Annotated, Any

import jmespath
from jmespath import exceptions, functions, visitor
from pydantic import AfterValidator, StringConstraints
from pydantic_core import PydanticCustomError

from report_runner.contract.numbers import EXACT, divide, exact
from report_runner.contract.values import json_text

# jmespath finds the type of a value by the name of its class, in these tables alone.
functions.TYPES_MAP["Decimal"] = "number"
functions.REVERSE_TYPES_MAP["number"] = ("float", "int", "Decimal")


class _ExactFunctions(functions.Functions):
    @functions.signature({"types": ["array-number"]})
    def _func_avg(self, numbers: list[Any]) -> Any:
        return divide(sum(numbers), len(numbers)) if numbers else None

    @functions.signature({"types": []})
    def _func_to_string(self, value: Any) -> str:
        return value if isinstance(value, str) else json_text(value)

    @functions.signature({"types": []})
    def _func_to_number(self, value: Any) -> Any:
        if isinstance(value, str):
            try:
                number = Decimal(value)
            except InvalidOperation:
                return None
            return number if number.is_finite() else None
        is_number = isinstance(value, int | Decimal) and not isinstance(value, bool)
        return value if is_number else None

    @functions.signature({"types": ["number"]})
    def _func_ceil(self, value: Any) -> int:
        found: int = math.ceil(value)
        return found

    @functions.signature({"types": ["number"]})
    def _func_floor(self, value: Any) -> int:
        found: int = math.floor(value)
        return found


class ExpressionError(ValueError):
    """An expression that cannot be applied to what is there; no message holds a value of it."""


def search(expression: str, value: Any) -> Any:
    """What the expression finds. Raises ExpressionError."""
    try:
        compiled = jmespath.compile(expression)
        _exact_literals(compiled.parsed)
        interpreter = visitor.TreeInterpreter(jmespath.Options(custom_functions=_ExactFunctions()))
        with localcontext(EXACT):
            return interpreter.visit(compiled.parsed, value)
    except exceptions.JMESPathTypeError as error:
        raise ExpressionError(
            f"the function {error.function_name}() takes {', '.join(error.expected_types)}, and "
            f"found {error.actual_type}"
        ) from None
    except exceptions.JMESPathError as error:
        raise ExpressionError(str(error)[:200]) from None
    except (TypeError, ValueError, ArithmeticError, RecursionError, AttributeError) as error:
        raise ExpressionError(f"cannot be applied ({type(error).__name__})") from None


def _exact_literals(node: Any) -> None:
    if node["type"] == "literal":
        node["value"] = exact(node["value"])
    for child in node["children"]:
        if isinstance(child, dict):
            _exact_literals(child)


def expression_problem(expression: str) -> str | None:
    """Why a text is no JMESPath; None for one that is."""
    try:
        compiled = jmespath.compile(expression)
    except exceptions.JMESPathError as error:
        return " ".join(str(error).split())[:300]
    except (RecursionError, ValueError, IndexError, KeyError):
        return "cannot be parsed"
    return _unknown_function(compiled.parsed)


def _unknown_function(node: Any) -> str | None:
    if node["type"] == "function_expression":
        known = _ExactFunctions.FUNCTION_TABLE
        if node["value"] not in known:
            return f"there is no function {node['value']}(); there is {', '.join(sorted(known))}"
    for child in node["children"]:
        problem = _unknown_function(child) if isinstance(child, dict) else None
        if problem is not None:
            return problem
    return None


def _parses(expression: str) -> str:
    problem = expression_problem(expression)
    if problem is not None:
        raise PydanticCustomError("rule", "no JMESPath: {problem}", {"problem": problem})
    return expression


Expression = Annotated[
    str, StringConstraints(min_length=1, max_length=1000), AfterValidator(_parses)
]
