"""The delivery ledger: nobody gets the report of a slot twice, on any channel.

A channel tells the ledger right before the step after which a target may have the report. A run
that is stopped before that step has sent nothing and sends again. A run that is stopped between
that step and the answer does not know: the channel verifies, and what it cannot verify is reported
and not sent again in this run.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from report_runner.contract.mailbox import mailbox_identity
from report_runner.contract.model import Model
from report_runner.contract.result import DeliveryResult, DeliveryStatus
from report_runner.delivery.channel import (
    AnswerKind,
    Channel,
    DeliveryAnswer,
    DeliveryTarget,
    SentFile,
)

logger = logging.getLogger(__name__)


class LedgerState(StrEnum):
    """What is known of a target's delivery."""

    # Written before the step that completes it; where it stays, the target may or may not have it.
    SENDING = "sending"
    SENT = "sent"
    FAILED = "failed"


class LedgerEntry(Model, extra="ignore"):
    """One target of this slot, over all attempts."""

    message_id: str
    state: LedgerState
    at: datetime
    run_id: str
    answer: str = ""  # of the other side, or the problem
    file: SentFile | None = None
    # The run that is to send it again to a target who has it; empty as soon as that is done.
    again_by: str = ""

    @property
    def settled(self) -> bool:
        """Whether the target has the report, and is not to get it again."""
        return self.state is LedgerState.SENT and not self.again_by


def target_key(channel: str, target: str) -> str:
    """The name of a target among those of all channels.

    A recipient of an e-mail is its address alone, as in manifests of earlier versions; no address
    has a colon.
    """
    return target if channel == "email" else f"{channel}:{target}"


def target_of(key: str) -> str:
    """The target of spec.delivery that an entry is of: a place has an entry for each file."""
    channel, _, rest = key.partition(":")
    return f"{channel}:{rest.partition(':')[0]}" if rest else mailbox_identity(key)


def same_target(one: str, other: str) -> bool:
    """Whether two keys are of one target, in whatever spelling of its address."""
    return _same(one) == _same(other)


def _same(key: str) -> str:
    return key if ":" in key else mailbox_identity(key)


@dataclass(slots=True)
class Ledger:
    """The entries of one channel."""

    channel: str  # the field of spec.delivery
    run_id: str
    entries: dict[str, LedgerEntry]  # of all channels, by target_key
    save: Callable[[], None]  # makes the entries durable
    clock: Callable[[], datetime]

    def entry(self, target: DeliveryTarget) -> LedgerEntry | None:
        """What is known of the target, in whatever spelling of its address."""
        key = target_key(self.channel, target.name)
        own = self.entries.get(key)
        if own is not None and own.settled:
            return own
        same = [entry for name, entry in self.entries.items() if same_target(name, key)]
        sent = [entry for entry in same if entry.settled]
        return next(iter([*sent, *([own] if own else []), *same]), None)

    def begin(self, target: DeliveryTarget) -> None:
        """From now on the target may have the report."""
        self.record(target, LedgerState.SENDING)

    def record(self, target: DeliveryTarget, state: LedgerState, answer: str = "") -> None:
        key = target_key(self.channel, target.name)
        before = self.entries.get(key)
        # Until it is done: a further try has to know that what is there is the one of before.
        again_by = before.again_by if before and state is not LedgerState.SENT else ""
        self.entries[key] = LedgerEntry(
            message_id=target.message_id,
            state=state,
            at=self.clock(),
            run_id=self.run_id,
            answer=answer,
            file=target.file,
            again_by=again_by,
        )
        self.save()


def deliver_once(channel: Channel, ledger: Ledger, report: list[DeliveryResult]) -> None:
    """Deliver to every target that does not have the report yet; `report` gets a result for each.

    Raises RunError where the channel cannot be used: the results until then are in `report`, so
    that a person hears who has the report, or may have it.
    """
    targets = channel.plan()
    known = {target.name: _settled(channel, ledger, target) for target in targets}
    results = {name: result for name, result in known.items() if result is not None}
    open_targets = [target for target in targets if target.name not in results]
    try:
        if open_targets:
            for answer in channel.deliver(open_targets, ledger.begin):
                results[answer.target.name] = _settle(channel, ledger, answer)
    finally:
        report += [results[target.name] for target in targets if target.name in results]


def _settled(channel: Channel, ledger: Ledger, target: DeliveryTarget) -> DeliveryResult | None:
    """The result of an earlier attempt; None where the report is to be sent."""
    entry = ledger.entry(target)
    if entry is not None and entry.settled:
        return _result(ledger, target, DeliveryStatus.ALREADY_SENT, message_id=entry.message_id)
    # Another run id is a new attempt of the slot, which a person asked for.
    if entry is not None and entry.state is LedgerState.SENDING and entry.run_id == ledger.run_id:
        answer = channel.verify(target)
        if answer.kind is not AnswerKind.REFUSED:
            return _verified(ledger, answer)
    return None


def _settle(channel: Channel, ledger: Ledger, answer: DeliveryAnswer) -> DeliveryResult:
    target = answer.target
    if answer.kind is AnswerKind.ACCEPTED:
        return _verified(ledger, answer)
    logger.warning("%s: %s", target.name, answer.text)
    entry = ledger.entry(target)
    begun = entry is not None and entry.state is LedgerState.SENDING
    if begun and answer.kind is AnswerKind.UNKNOWN:
        verified = channel.verify(target)
        if verified.kind is not AnswerKind.REFUSED:
            return _verified(ledger, verified)
    ledger.record(target, LedgerState.FAILED, answer.text)
    return _result(ledger, target, DeliveryStatus.FAILED, answer.text)


def _verified(ledger: Ledger, answer: DeliveryAnswer) -> DeliveryResult:
    """The result where the target has the report, or may have it."""
    if answer.kind is AnswerKind.ACCEPTED:
        ledger.record(answer.target, LedgerState.SENT, answer.text or "accepted")
        return _result(ledger, answer.target, DeliveryStatus.SENT)
    return _result(ledger, answer.target, DeliveryStatus.UNCERTAIN, answer.text)


def _result(
    ledger: Ledger,
    target: DeliveryTarget,
    status: DeliveryStatus,
    error: str | None = None,
    message_id: str = "",
) -> DeliveryResult:
    return DeliveryResult(
        recipient=target.name,
        channel=ledger.channel,
        status=status,
        message_id=message_id or target.message_id,
        error=error,
    )
