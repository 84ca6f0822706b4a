"""The result of a run in its termination message: JSON within the kubelet's 4,096 bytes."""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum
from typing import Annotated

from pydantic import Field, ValidationError

from report_runner.contract.model import Model
from report_runner.contract.pod import TERMINATION_LOG_LIMIT
from report_runner.contract.reasons import Reason
from report_runner.contract.report import Format
from report_runner.contract.waiting import OnDeadline

MESSAGE_LIMIT = 1000  # characters
ANSWER_LIMIT = 300  # characters


class Outcome(StrEnum):
    """How a run ended."""

    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    SKIPPED = "Skipped"  # as the author wanted it: no report was sent, and the reason says why


# What a pod says goes to status and history: whoever writes a termination message may not
# make numbers that neither can hold.
Count = Annotated[int, Field(ge=0, le=2**53)]


class OutputFile(Model):
    """A finished file; `path` is relative to the report volume."""

    path: str
    format: Format
    source: str | None = None  # the one that it holds, where its name has it
    bytes: Count
    sha256: str


class DeliveryStatus(StrEnum):
    """What became of one recipient in this attempt."""

    SENT = "sent"
    ALREADY_SENT = "alreadySent"  # an earlier attempt of the same slot did it
    UNCERTAIN = "uncertain"  # stopped before the server's answer: it may have the message
    FAILED = "failed"


class DeliveryResult(Model):
    """One recipient, or one file at one place."""

    recipient: str
    channel: str = "email"  # the field of spec.delivery; results of older versions have none
    status: DeliveryStatus
    message_id: str | None = None
    error: str | None = None


class WaitAnswer(Model):
    """What a run found whose data are not ready yet: it asks again later."""

    answer: Annotated[str, Field(max_length=ANSWER_LIMIT)]  # of whoever asked, for a person
    every_seconds: Annotated[int, Field(ge=1, le=7 * 86_400)]
    deadline: datetime
    on_deadline: OnDeadline


class RunResult(Model):
    """The runner's own account of a run; `message` is for a person, at most 1,000 characters."""

    outcome: Outcome
    reason: Reason | None = None
    message: str = ""
    slot: datetime | None = None
    report_date: date | None = None
    rows: dict[str, Count] = Field(default_factory=dict)
    pages: Annotated[int, Field(ge=0, le=2**31 - 1)] | None = None
    duration_seconds: float = 0.0
    outputs: list[OutputFile] = Field(default_factory=list)
    deliveries: list[DeliveryResult] = Field(default_factory=list)
    manifest: str | None = None  # path of the manifest, relative to the report volume
    # Of the report volume, when the run ended.
    storage_used_percent: Annotated[int, Field(ge=0, le=100)] | None = None
    # Most memory that it used, of its limit; by its end, so of the whole run.
    memory_used_percent: Annotated[int, Field(ge=0, le=1000)] | None = None
    not_ready: WaitAnswer | None = None  # with EXIT_NOT_READY_YET alone
    warnings: Count | None = None  # checks of severity warn that did not pass
    # Sources with a cache: those whose rows an earlier run fetched, and those that this one did.
    cache_hits: Count | None = None
    cache_misses: Count | None = None
    truncated: bool = False  # lists were cut to fit; the manifest has them whole


def dump_result(result: RunResult, limit: int = TERMINATION_LOG_LIMIT) -> str:
    """JSON of at most `limit` bytes: first the message is cut, then the longer list is.

    The message says how many files and recipients are not in it.
    """
    text = result.model_dump_json(by_alias=True, exclude_none=True)
    if len(text.encode()) <= limit:
        return text
    message = result.message[:MESSAGE_LIMIT]
    cut = result.model_copy(update={"message": message, "truncated": True})
    while True:
        text = cut.model_dump_json(by_alias=True, exclude_none=True)
        if len(text.encode()) <= limit:
            return text
        update: dict[str, object]
        if cut.deliveries or cut.outputs:
            files, recipients = len(cut.outputs), len(cut.deliveries)
            if files > recipients:
                files //= 2
            else:
                recipients //= 2
            note = _left_out(result, files, recipients)
            update = {
                "outputs": cut.outputs[:files],
                "deliveries": cut.deliveries[:recipients],
                "message": message[: MESSAGE_LIMIT - len(note)] + note,
            }
        elif cut.rows:
            update = {"rows": {}}
        elif cut.message:
            update = {"message": cut.message[: max(len(cut.message) // 2 - 1, 0)]}
        elif cut.manifest:
            update = {"manifest": None}
        else:
            return text  # numbers, dates and names of a table: a few hundred bytes
        cut = cut.model_copy(update=update)


def _left_out(result: RunResult, files: int, recipients: int) -> str:
    counts = (("files", files, result.outputs), ("recipients", recipients, result.deliveries))
    return "".join(
        f"; {len(whole) - kept} of {len(whole)} {what} are named in the manifest alone"
        for what, kept, whole in counts
        if kept < len(whole)
    )


def parse_result(text: str | None) -> RunResult | None:
    """The result in a termination message; None where it is missing or not valid."""
    if not text:
        return None
    try:
        return RunResult.model_validate_json(text)
    except ValidationError:
        return None
