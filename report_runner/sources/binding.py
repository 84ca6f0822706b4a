"""What an author may bind into a URL, a query, a body and a key."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from report_runner.contract.bound_text import BindingError, bind
from report_runner.contract.numbers import exact
from report_runner.contract.reasons import Reason
from report_runner.models import RunError
from report_runner.sources.protocol import SourceContext


def bound(context: SourceContext, field: str, text: str, encode: Callable[[Any], str]) -> str:
    """The text of `field` with its values. Raises RunError."""
    values = {
        "report_date": context.run.report_date,
        "slot": context.run.slot,
        "parameters": exact(context.definition.report.parameters),
    }
    try:
        return bind(text, values, encode)
    except BindingError as error:
        raise RunError(Reason.CONFIGURATION_ERROR, f"{field}: {error}") from None
