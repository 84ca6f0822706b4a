"""The delivery ledger decides who is sent the report, whatever the channel."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime

import pytest

from report_runner.contract.reasons import Reason
from report_runner.contract.result import DeliveryResult
from report_runner.delivery.channel import AnswerKind, DeliveryAnswer, DeliveryTarget
from report_runner.delivery.ledger import Ledger, LedgerEntry, LedgerState, deliver_once
from report_runner.models import RunError

NOW = datetime(2026, 1, 5, 6, tzinfo=UTC)
TARGET = DeliveryTarget("board", "id")


class Channel:
    def __init__(self, answer: AnswerKind, verified: AnswerKind, begins: bool = True) -> None:
        self.answer, self.verified, self.begins = answer, verified, begins
        self.delivered = 0

    def plan(self) -> list[DeliveryTarget]:
        return [TARGET]

    def deliver(
        self, targets: Sequence[DeliveryTarget], begin: Callable[[DeliveryTarget], None]
    ) -> Iterator[DeliveryAnswer]:
        for target in targets:
            self.delivered += 1
            if self.begins:
                begin(target)
            yield DeliveryAnswer(target, self.answer, "an answer")

    def verify(self, target: DeliveryTarget) -> DeliveryAnswer:
        return DeliveryAnswer(target, self.verified, "look there")


def ledger(state: LedgerState | None = None, run_id: str = "run.1", name: str = "s3") -> Ledger:
    entry = state and LedgerEntry(message_id="id", state=state, at=NOW, run_id=run_id)
    return Ledger(name, "run.1", {"s3:board": entry} if entry else {}, lambda: None, lambda: NOW)


def deliver(channel: Channel, known: Ledger) -> list[DeliveryResult]:
    found: list[DeliveryResult] = []
    deliver_once(channel, known, found)
    return found


@pytest.mark.parametrize(
    ("verified", "status", "delivered"),
    [
        (AnswerKind.ACCEPTED, "sent", 0),
        (AnswerKind.UNKNOWN, "uncertain", 0),
        (AnswerKind.REFUSED, "sent", 1),  # it has not arrived: it is sent
    ],
)
def test_interrupted_delivery_is_verified(
    verified: AnswerKind, status: str, delivered: int
) -> None:
    channel, known = Channel(AnswerKind.ACCEPTED, verified), ledger(LedgerState.SENDING)
    (result,) = deliver(channel, known)
    assert (result.status.value, channel.delivered) == (status, delivered)
    expected = LedgerState.SENDING if status == "uncertain" else LedgerState.SENT
    assert known.entries["s3:board"].state is expected


def test_new_attempt_of_the_slot_delivers_what_was_interrupted() -> None:
    channel = Channel(AnswerKind.ACCEPTED, AnswerKind.UNKNOWN)
    (result,) = deliver(channel, ledger(LedgerState.SENDING, run_id="run.0"))
    assert (result.status.value, channel.delivered) == ("sent", 1)


@pytest.mark.parametrize(
    ("answer", "verified", "begins", "status"),
    [
        (AnswerKind.REFUSED, AnswerKind.UNKNOWN, True, "failed"),
        (AnswerKind.UNKNOWN, AnswerKind.UNKNOWN, True, "uncertain"),
        (AnswerKind.UNKNOWN, AnswerKind.ACCEPTED, True, "sent"),
        (AnswerKind.UNKNOWN, AnswerKind.REFUSED, True, "failed"),
        (AnswerKind.UNKNOWN, AnswerKind.UNKNOWN, False, "failed"),  # it was never under way
    ],
)
def test_missing_answer_is_no_failure_once_begun(
    answer: AnswerKind, verified: AnswerKind, begins: bool, status: str
) -> None:
    (result,) = deliver(Channel(answer, verified, begins), ledger())
    assert result.status.value == status


def test_channels_do_not_share_the_entry_of_a_target() -> None:
    channel = Channel(AnswerKind.ACCEPTED, AnswerKind.UNKNOWN)
    known = ledger(LedgerState.SENT, name="email")
    (result,) = deliver(channel, known)
    assert (result.status.value, set(known.entries)) == ("sent", {"s3:board", "board"})


class Broken(Channel):
    """Two targets; it fails after the first answer, or before it."""

    def plan(self) -> list[DeliveryTarget]:
        return [TARGET, DeliveryTarget("desk", "id2"), DeliveryTarget("risk", "id3")]

    def deliver(
        self, targets: Sequence[DeliveryTarget], begin: Callable[[DeliveryTarget], None]
    ) -> Iterator[DeliveryAnswer]:
        yield DeliveryAnswer(targets[0], AnswerKind.ACCEPTED, "")
        raise RunError(Reason.CONFIGURATION_ERROR, "the login is refused")


def test_channel_that_fails_hides_nobody_who_has_the_report_or_may_have_it() -> None:
    channel = Broken(AnswerKind.ACCEPTED, AnswerKind.UNKNOWN)
    found: list[DeliveryResult] = []
    with pytest.raises(RunError, match="the login is refused"):
        deliver_once(channel, ledger(LedgerState.SENDING), found)
    assert [(item.recipient, item.status.value) for item in found] == [
        ("board", "uncertain"), ("desk", "sent"),
    ]  # fmt: skip
