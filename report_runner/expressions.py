"""Evaluates an author's expressions over the rows of a run, in a process of its own with limits.

The names in an expression are those of a template that hold data: every source by its name, also
as `sources.NAME`; `parameters`, `report_date`, `slot`, `time_zone` and `holidays`. Where a source
has the name of one of the others, `sources.NAME` is the source.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import localcontext
from typing import Any
from zoneinfo import ZoneInfo

from jinja2 import TemplateRuntimeError, Undefined, UndefinedError

from report_runner.contract.datefilters import HOLIDAYS, Holidays
from report_runner.contract.expression import compiled, described, parse_expression
from report_runner.contract.numbers import EXACT
from report_runner.environment import RunStamps
from report_runner.models import RunError, Table
from report_runner.render.context import TemplateSource
from report_runner.render.template import guarded, with_known_names


@dataclass(frozen=True, slots=True)
class Scope:
    """What an expression is about."""

    run: RunStamps
    time_zone: str
    parameters: Mapping[str, Any]
    tables: Mapping[str, Table]
    holidays: Holidays = frozenset()  # dates that are no business days

    def names(self) -> dict[str, Any]:
        """The values by name."""
        sources = {name: TemplateSource(name, table) for name, table in self.tables.items()}
        return {
            **sources,
            "sources": sources,
            "parameters": self.parameters,
            "report_date": self.run.report_date,
            "slot": self.run.slot.astimezone(ZoneInfo(self.time_zone)),
            "time_zone": self.time_zone,
            HOLIDAYS: self.holidays,
        }


def evaluate(text: str, field: str, scope: Scope) -> bool:
    """Whether the condition `text` of `field` (`spec.report.sendIf`) holds.

    Raises RunError: ConfigurationError for an expression that fails or gives anything but true or
    false, ResourceExhausted for one that needs too much time or memory.
    """

    def work(write: Callable[[bytes], None]) -> None:
        write(json.dumps({"value": _value(text, scope.names())}).encode())

    value: bool = json.loads(guarded_expression(work, field, text))["value"]
    return value


def guarded_expression(
    work: Callable[[Callable[[bytes], None]], None], field: str, text: str
) -> bytes:
    """`guarded`, with the whole expression in messages: Jinja2 knows no lines within one."""
    try:
        return guarded(work, field, " ".join(text.split()))
    except RunError as error:
        message = error.message.replace(f"{field}: line 1: ", f"{field}: ", 1)
        raise RunError(error.reason, message) from error.__cause__


def _value(text: str, names: dict[str, Any]) -> bool:
    try:
        with localcontext(EXACT):
            value = compiled(parse_expression(text))(names)
            if not isinstance(value, bool):
                if isinstance(value, Undefined):
                    str(value)  # StrictUndefined says which name it is
                raise TemplateRuntimeError(
                    f"gives {described(value)}, not true or false: write a comparison, such as "
                    "`positions | length > 0`"
                )
    except UndefinedError as error:
        with_known_names(error, names)
        raise
    return value
