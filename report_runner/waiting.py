"""`spec.report.waitFor`: asks the source whether the report's data are ready.

The operator waits, this asks once. Before the deadline "not ready" ends the pod (DataNotReadyYet),
and the operator lets it ask again later; at the deadline `onDeadline` says what becomes of the run.
The deadline counts from the slot, or from the day that a calendar moved it to: a run for an older
date asks once.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from report_runner.contract.model import parse_duration
from report_runner.contract.numbers import exact
from report_runner.contract.reasons import Reason
from report_runner.contract.result import ANSWER_LIMIT, WaitAnswer
from report_runner.contract.waiting import OnDeadline, WaitFor
from report_runner.contract.words import counted
from report_runner.expressions import Scope, evaluate
from report_runner.models import RunError, RunSkipped, Table
from report_runner.sources import SourceContext, fetch_all

FIELD = "spec.report.waitFor"
STOPPED = "the check was stopped before it had an answer: spec.timeout, or its pod was deleted"
UNTIL_SHOWN = 120  # characters of the expression in an answer
# Of a source that cannot be read just now: before the deadline that is an answer too.
TRANSIENT = (Reason.DATABASE_UNAVAILABLE, Reason.EXTERNAL_SOURCE_UNAVAILABLE, Reason.TIMEOUT)


class DataNotReadyYet(Exception):  # noqa: N818 - no error: the run asks again later
    """Ends the pod, and neither the run nor a try of it."""

    def __init__(self, check: WaitAnswer) -> None:
        super().__init__(check.answer)
        self.check = check


def ask_for_data(context: SourceContext, now: datetime, *, begun: bool = False) -> str | None:
    """What a reader has to know of data that are used although they are not ready; None: nothing.

    Raises DataNotReadyYet, and at the deadline RunError(DataNotReady) or RunSkipped; a report that
    somebody has already, or is to get again (`begun`), is not skipped.
    """
    wait = context.definition.report.wait_for
    if wait is None:
        return None
    deadline = _deadline(wait, context)
    answer = _ask(wait, context, last=now >= deadline)
    if answer is None:
        return None
    if now < deadline:
        raise DataNotReadyYet(_check(wait, context, answer))
    message = f"the data were not ready by {deadline:%Y-%m-%dT%H:%M:%SZ}: {answer}"
    match wait.on_deadline:
        case OnDeadline.SKIP if not begun:
            raise RunSkipped(Reason.DATA_NOT_READY, message)
        case OnDeadline.FAIL | OnDeadline.SKIP:
            raise RunError(Reason.DATA_NOT_READY, f"{message}; retry it when they are there")
        case OnDeadline.SEND_MARKED:
            return message


def unanswered(context: SourceContext, now: datetime) -> WaitAnswer | None:
    """What a check says that is stopped before it has an answer; None where it may not ask again.

    Who stops it are the operator, a person, or spec.timeout: that is no try of the run.
    """
    wait = context.definition.report.wait_for
    if wait is None or now >= _deadline(wait, context):
        return None
    return _check(wait, context, STOPPED)


def _deadline(wait: WaitFor, context: SourceContext) -> datetime:
    return context.run.due + parse_duration(wait.deadline)


def _check(wait: WaitFor, context: SourceContext, answer: str) -> WaitAnswer:
    return WaitAnswer(
        answer=answer,
        every_seconds=int(parse_duration(wait.every).total_seconds()),
        deadline=_deadline(wait, context),
        on_deadline=wait.on_deadline,
    )


def _ask(wait: WaitFor, context: SourceContext, *, last: bool) -> str | None:
    """None where the data are ready, else the answer. Raises RunError."""
    try:
        table = _fetch(wait.source, context)
    except RunError as error:
        if last or error.reason not in TRANSIENT:
            raise
        # Before it is cut: half a password is none that would be found.
        return _cut(context.secrets.redact(f"{error.reason.value}: {error.message}"))
    scope = Scope(
        context.run,
        context.definition.time_zone,
        exact(context.definition.report.parameters),
        {wait.source: table},
        context.definition.holidays,
    )
    if evaluate(wait.until, f"{FIELD}.until", scope):
        return None
    rows = counted(len(table.rows), "row", "rows")
    until = " ".join(wait.until.split())
    shown = until if len(until) <= UNTIL_SHOWN else f"{until[:UNTIL_SHOWN]}..."
    return _cut(f"source {wait.source} has {rows}, and `{shown}` is not true")


def _fetch(name: str, context: SourceContext) -> Table:
    """The rows of one source. One that others come before may be made from these."""
    report = context.definition.report
    index = next(i for i, source in enumerate(report.sources) if source.name == name)
    field, _ = report.sources[index].selected()
    first = 0 if field == "query" else index
    needed = report.model_copy(update={"sources": report.sources[first : index + 1]})
    definition = context.definition.model_copy(update={"report": needed})
    return fetch_all(replace(context, definition=definition))[name].table


def _cut(text: str) -> str:
    return text if len(text) <= ANSWER_LIMIT else f"{text[: ANSWER_LIMIT - 3]}..."
