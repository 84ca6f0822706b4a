"""Bounds of the parts of a spec that have no schema of their own: cells, parameters, charts.

Each bound stands here for the API server (schema) and for Python. A recursive schema cannot be
written in a CRD, so cells and parameters have one that is unrolled; the depth of a chart's
specification is refused by the chart's admission policy (templates/bounds-policy.yaml), and by the
models where that is not installed.
"""

from __future__ import annotations

from typing import Any

from pydantic import AfterValidator
from pydantic_core import PydanticCustomError

VALUE_LEVELS = 4  # objects and lists in each other, in a cell or a parameter
CHART_LEVELS = 32  # in the specification of a chart, itself included
ELEMENTS_LIMIT = 1000  # of one object or list
TEXT_LIMIT = 65_536  # characters of one text in a cell or a parameter

_ANY: dict[str, Any] = {"x-kubernetes-preserve-unknown-fields": True}


def value_schema(levels: int = VALUE_LEVELS) -> dict[str, Any]:
    """A value of any type, of at most so many levels."""
    own = {**_ANY, "nullable": True, "maxLength": TEXT_LIMIT}
    if levels == 0:
        return {**own, "maxProperties": 0, "maxItems": 0}
    inner = value_schema(levels - 1)
    return {
        **own,
        "maxProperties": ELEMENTS_LIMIT,
        "maxItems": ELEMENTS_LIMIT,
        "additionalProperties": inner,
        "items": inner,
    }


# Beside a field's own type, which is an object.
VALUES_SCHEMA: dict[str, Any] = {"additionalProperties": value_schema()}
CHART_SCHEMA: dict[str, Any] = {**_ANY, "maxProperties": ELEMENTS_LIMIT}


def bounds_problem(value: Any, levels: int, text_limit: int | None) -> tuple[str, str] | None:
    """Path below `value` and what is beyond its bounds there; None where all is within them.

    No recursion: what it is about is nested too deeply for one. An empty object or list below the
    last level counts for nothing where the schema lets it pass as well.
    """
    todo: list[tuple[Any, str, int]] = [(value, "", levels)]
    while todo:
        part, path, left = todo.pop()
        if isinstance(part, str):
            if text_limit is not None and len(part) > text_limit:
                return path, f"a text has at most {text_limit} characters"
            continue
        if not isinstance(part, dict | list):
            continue
        if left <= 0 and (part or text_limit is None):
            return path, f"nested deeper than {levels} levels: make it flatter"
        if len(part) > ELEMENTS_LIMIT:
            return path, f"an object or a list has at most {ELEMENTS_LIMIT} elements here"
        pairs = part.items() if isinstance(part, dict) else enumerate(part)
        todo += [(child, _below(path, key), left - 1) for key, child in pairs]
    return None


def _below(path: str, key: str | int) -> str:
    step = f"[{key}]" if isinstance(key, int) else f".{str(key)[:60]}"
    return path + step if len(path) < 200 else path


def _check_values(values: dict[str, Any]) -> dict[str, Any]:
    for name, value in values.items():
        problem = bounds_problem(value, VALUE_LEVELS, TEXT_LIMIT)
        if problem is not None:
            raise _error(f"{str(name)[:60]}{problem[0]}", problem[1])
    return values


def _check_chart(spec: dict[str, Any]) -> dict[str, Any]:
    problem = bounds_problem(spec, CHART_LEVELS, None)
    if problem is not None:
        raise _error(problem[0].removeprefix("."), problem[1])
    return spec


def _error(path: str, message: str) -> PydanticCustomError:
    return PydanticCustomError("rule", "{message}", {"message": message, "path": path})


BoundedValues = AfterValidator(_check_values)
BoundedChart = AfterValidator(_check_chart)
