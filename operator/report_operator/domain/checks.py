"""Chains of small named checks: the first that finds something is the answer."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


def first_problem(
    checks: Iterable[Callable[P, T | None]], *args: P.args, **kwargs: P.kwargs
) -> T | None:
    """Later checks may rely on what earlier ones have found to be right."""
    for check in checks:
        found = check(*args, **kwargs)
        if found is not None:
            return found
    return None
