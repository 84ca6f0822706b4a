"""Why a run failed or does not start: a reason of the vocabulary and words for a person."""

from __future__ import annotations

from dataclasses import dataclass

from report_operator.domain.texts import MESSAGE_LIMIT, cut
from report_runner.contract.reasons import Reason

# What keeps a run from starting is told with a note before it once the run has been given up on.
PENDING_LIMIT = MESSAGE_LIMIT - 100


@dataclass(frozen=True, slots=True)
class Cause:
    """A reason of the vocabulary and a message for a person."""

    reason: Reason
    message: str


@dataclass(frozen=True, slots=True)
class PendingReason:
    """What keeps a pod from starting."""

    cause: Cause
    missing_secret: str = ""


def make_cause(reason: Reason, message: str) -> Cause:
    """One line, at most MESSAGE_LIMIT characters."""
    return Cause(reason, cut(" ".join(message.split()), MESSAGE_LIMIT))


def with_remedy(said: str, remedy: str) -> str:
    """What Kubernetes said, then what to do, in PENDING_LIMIT characters; what is long is cut.

    A remedy is only long where somebody has written a long name into an Event.
    """
    remedy = cut(" ".join(remedy.split()), PENDING_LIMIT * 2 // 3)
    return f"{cut(' '.join(said.split()), PENDING_LIMIT - len(remedy) - 2)}; {remedy}"
