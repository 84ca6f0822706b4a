"""What a delivery channel has to offer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import Protocol

from report_runner.contract.definition import Definition
from report_runner.contract.egress import EgressPolicy
from report_runner.contract.model import Model
from report_runner.contract.report import Format
from report_runner.environment import RunStamps
from report_runner.models import RenderInput
from report_runner.mounted import Secrets


@dataclass(frozen=True, slots=True)
class Attachment:
    """A finished file, and the name that the recipient sees."""

    path: Path
    name: str
    format: Format
    source: str | None = None  # the one that it holds, where it holds one alone

    @property
    def ending(self) -> str:
        """The end of its name, such as `.pdf` or `-positions.csv`."""
        return self.format.suffix_of(self.source)


@dataclass(frozen=True, slots=True)
class DeliveryContext:
    """The finished report, and the run that delivers it."""

    definition: Definition
    run: RunStamps
    secrets: Secrets
    data: RenderInput  # without tables
    subject: str  # of the e-mail, as it was rendered with the tables
    files: Sequence[Attachment]
    clock: Callable[[], datetime]
    egress: EgressPolicy = field(default_factory=EgressPolicy)
    edition: str = ""  # not empty: it replaces what was sent of this slot before
    note: Path | None = None  # of warnings, for who gets files that have none in them
    resent: frozenset[str] = frozenset()  # keys of targets that had it, and get it again


class SentFile(Model, extra="ignore"):
    """What was written at a place: a later look there compares with it."""

    bytes: int
    sha256: str
    place: str  # digest of which place it was: a definition or a Secret may name another one now


@dataclass(frozen=True, slots=True)
class DeliveryTarget:
    """One recipient or place.

    `message_id` is the same for each attempt of a slot, so that the other side can recognise a
    repeated delivery; another one for each edition, which it must not take for a repetition.
    """

    name: str
    message_id: str
    file: SentFile | None = None  # where it can be looked at again


class AnswerKind(Enum):
    ACCEPTED = "accepted"
    REFUSED = "refused"  # the target does not have the report
    UNKNOWN = "unknown"  # no answer, or none that tells


@dataclass(frozen=True, slots=True)
class DeliveryAnswer:
    """The other side's answer for one target; `text` is for a person."""

    target: DeliveryTarget
    kind: AnswerKind
    text: str = ""


class Channel(Protocol):
    """One kind of delivery. It keeps no state over attempts: delivery.ledger does."""

    def plan(self) -> Sequence[DeliveryTarget]:
        """Every target of this delivery, each once."""

    def deliver(
        self, targets: Sequence[DeliveryTarget], begin: Callable[[DeliveryTarget], None]
    ) -> Iterator[DeliveryAnswer]:
        """Deliver to these targets; one answer for each, as it comes.

        `begin(target)` makes the intent durable. Call it right before the step after which the
        target may have the report: a run that is killed earlier delivers again, a run that is
        killed later asks `verify`. Raises RunError where no further target can be reached.
        """

    def verify(self, target: DeliveryTarget) -> DeliveryAnswer:
        """Whether a delivery that was begun and not answered has arrived.

        REFUSED: it has not, so it may be sent again. UNKNOWN: the channel cannot tell; it is not
        sent again in this run, and `text` tells a person where to look.
        """
