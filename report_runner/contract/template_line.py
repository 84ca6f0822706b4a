"""A field of one line that is a Jinja2 template: a subject, a path."""

from __future__ import annotations

from functools import lru_cache

from pydantic import AfterValidator
from pydantic_core import PydanticCustomError

from report_runner.contract.templating import compile_problem


@lru_cache(maxsize=1024)
def _problem(text: str) -> str | None:
    problem = compile_problem(text)
    return None if problem is None else problem.message


def _compiles(text: str) -> str:
    problem = _problem(text)
    if problem is not None:
        raise PydanticCustomError("rule", "no Jinja2 template: {problem}", {"problem": problem})
    return text


IS_TEMPLATE = AfterValidator(_compiles)
