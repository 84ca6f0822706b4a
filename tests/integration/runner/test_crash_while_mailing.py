"""A run dies while mailing: a recipient who may have the report is not silently sent it twice."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from conftest import free_port, write_secret
from test_mail import Inbox, serving

from hack.testbed.waiting import wait_for
from report_runner.contract import pod
from report_runner.contract.reasons import EXIT_CODES, Reason
from report_runner.contract.result import Outcome
from report_runner.delivery.ledger import LedgerState
from tests.support.runner import Pod

BOARD = ["a@example.com", "b@example.com", "c@example.com"]
UNLUCKY = "b@example.com"


class Silent(Inbox):
    """Accepts mail; for one recipient it stops answering at a chosen step."""

    def __init__(self, silent_at: str, then: Callable[[Any], None] | None = None) -> None:
        super().__init__()
        self.silent_at = silent_at
        self.then = then
        self.reached = False

    async def _say_nothing(self, server: Any) -> None:
        self.reached = True
        if self.then is not None:
            self.then(server)
        await asyncio.Event().wait()

    async def handle_RCPT(  # noqa: N802
        self, server: Any, session: Any, envelope: Any, address: str, options: Any
    ) -> str:
        if self.silent_at == "RCPT" and address == UNLUCKY:
            await self._say_nothing(server)
        return await super().handle_RCPT(server, session, envelope, address, options)

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        answer = await super().handle_DATA(server, session, envelope)
        if self.silent_at == "DATA" and envelope.rcpt_tos[0] == UNLUCKY:
            await self._say_nothing(server)
        return answer


@pytest.fixture
def here(tmp_path: Path, database: Any) -> Pod:
    here = Pod(tmp_path)
    database.secret(here.secrets)
    here.define(
        "SELECT isin, amount FROM positions WHERE amount < 20",
        {"to": BOARD, "smtp": {"secretRef": {"name": "report-smtp"}}},
    )
    return here


@contextmanager
def mailing(here: Pod, inbox: Inbox) -> Iterator[None]:
    """The mail server that the Secret names."""
    port = free_port()
    keys = {"host": "127.0.0.1", "port": str(port), "from": "r@example.com", "security": "none"}
    write_secret(here.secrets, "report-smtp", keys)
    with serving(inbox, port):
        yield


def got(inbox: Inbox) -> list[str]:
    return [recipient for recipient, _ in inbox.mails]


def states(here: Pod) -> dict[str, str]:
    return {name: entry.state.value for name, entry in here.manifest().deliveries.items()}


def die_at(here: Pod, inbox: Silent, number: int) -> None:
    """Start a run, and kill it where the server has stopped answering."""
    with mailing(here, inbox), here.start() as process:
        wait_for("the mail server is reached", lambda: inbox.reached)
        before = time.monotonic()
        process.send_signal(number)
        process.communicate(timeout=30)
        assert time.monotonic() - before < 10  # not the mail server's time limit
        assert process.returncode == (-number if number == signal.SIGKILL else 128 + number)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_recipient_who_may_have_the_mail_is_not_sent_it_again(here: Pod, number: int) -> None:
    first, second, third = Silent("DATA"), Inbox(), Inbox()
    die_at(here, first, number)
    assert got(first) == BOARD[:2]  # the server had it when the run died
    assert states(here) == {BOARD[0]: "sent", UNLUCKY: "sending"}
    made = here.manifest().outputs
    if number == signal.SIGTERM:
        assert here.result().message == "stopped by SIGTERM in stage deliver"

    with mailing(here, second):
        code, result, _ = here.run()
    assert got(second) == BOARD[2:]
    assert (code, result.outcome) == (EXIT_CODES[Reason.DELIVERY_FAILED], Outcome.FAILED)
    assert [item.status.value for item in result.deliveries] == [
        "alreadySent",
        "uncertain",
        "sent",
    ]
    message_id = first.mails[1][1]["Message-ID"]
    assert f"1 of 3 recipients may or may not have it: {UNLUCKY}: " in result.message
    assert message_id in result.message
    assert result.outputs == made

    # It remains so however often this run is tried; a new attempt of the slot sends it.
    with mailing(here, third):
        code, result, _ = here.run()
        assert (code, got(third)) == (EXIT_CODES[Reason.DELIVERY_FAILED], [])
        code, result, _ = here.run(
            **{pod.ENV_RUN_ID: "positions.20260105T060000Z.2", pod.ENV_ATTEMPT: "2"}
        )
        assert (code, got(third)) == (0, [UNLUCKY])
    assert third.mails[0][1]["Message-ID"] == message_id
    assert set(states(here).values()) == {LedgerState.SENT.value}


def test_recipient_who_cannot_have_the_mail_is_sent_it(here: Pod) -> None:
    first, second = Silent("RCPT"), Inbox()
    die_at(here, first, signal.SIGKILL)
    assert got(first) == BOARD[:1]
    with mailing(here, second):
        code, result, _ = here.run()
    assert (code, result.outcome) == (0, Outcome.SUCCEEDED)
    assert got(second) == BOARD[1:]
    assert result.message.endswith("sent to 2 recipients, 1 had it")


def test_connection_broken_before_the_answer(here: Pod) -> None:
    first = Silent("DATA", then=lambda server: server.transport.abort())
    second = Inbox()
    with mailing(here, first):
        code, result, _ = here.run()
    assert code == EXIT_CODES[Reason.DELIVERY_FAILED]
    assert [item.status.value for item in result.deliveries] == ["sent", "uncertain", "sent"]
    assert f"1 of 3 recipients may or may not have it: {UNLUCKY}" in result.message
    with mailing(here, second):
        code, result, _ = here.run()
    statuses = [item.status.value for item in result.deliveries]
    assert statuses == ["alreadySent", "uncertain", "alreadySent"]
    assert got(second) == []
