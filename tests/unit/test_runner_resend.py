"""Sending a report again: who is meant, and what the ledger makes of it."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from report_runner.baseline import reached_everybody
from report_runner.contract.definition import Definition
from report_runner.contract.resend import Resend, parse_resend, resend_to
from report_runner.delivery.channel import DeliveryTarget
from report_runner.delivery.ledger import Ledger, LedgerEntry, LedgerState
from report_runner.manifest import Manifest
from report_runner.models import RunError
from report_runner.resend import begin, check_recipients

NOW = datetime(2026, 1, 5, 6, tzinfo=UTC)
DEFINITION = Definition.model_validate(
    {
        "namespace": "reports", "name": "positions", "uid": "u1", "reportType": "positions",
        "timeZone": "Europe/Madrid", "output": {"retention": "30d"}, "templateText": "x",
        "report": {"title": "P", "sources": [{"name": "a", "inline": {"rows": [{"x": 1}]}}],
                   "template": {"configMapRef": {"name": "positions"}}, "formats": ["csv"]},
        "delivery": {"email": {"to": ["a@x.org", "B <b@x.org>"],
                               "smtp": {"secretRef": {"name": "smtp"}}}},
    }
)  # fmt: skip


def entry(state: LedgerState = LedgerState.SENT, run_id: str = "run.1") -> LedgerEntry:
    return LedgerEntry(message_id="id", state=state, at=NOW, run_id=run_id)


def manifest(**deliveries: LedgerEntry) -> Manifest:
    return Manifest(
        namespace="reports", name="positions", slot=NOW, report_date=date(2026, 1, 5),
        run_id="run.1", attempt=1, definition="abc", generated_at=NOW,
        deliveries={key.replace("_", "@") + ".org": value for key, value in deliveries.items()},
    )  # fmt: skip


@pytest.mark.parametrize("text", ["all", '["a@x.org"]', '["Doe, J <j@x.org>", "b@x.org"]'])
def test_request_survives_its_text(text: str) -> None:
    found = parse_resend(text)
    assert found is not None
    assert found.text == text
    assert parse_resend("") is None


@pytest.mark.parametrize(
    "text", ["ALL", "[]", "{}", "[1]", '[""]', '["a\\nb"]', "a@x.org", "[", "[" * 9000]
)
def test_what_is_no_request_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  (JSON's own among them)
        parse_resend(text)
    with pytest.raises(ValueError, match="1 to 50"):
        resend_to(str(n) for n in range(51))


def test_named_recipients_get_it_again_in_whatever_spelling() -> None:
    known = manifest(a_x=entry(), b_x=entry())
    begun = begin(known, DEFINITION, resend_to(["A@X.org"]), "run.2", NOW)
    assert {key: e.settled for key, e in begun.deliveries.items()} == {
        "a@x.org": False, "b@x.org": True,
    }  # fmt: skip
    assert (begun.definition, begun.edition) == ("", "run.2")  # its files are made anew
    ledger = Ledger("email", "run.2", dict(begun.deliveries), lambda: None, lambda: NOW)
    target = DeliveryTarget("a@x.org", "new")
    ledger.record(target, LedgerState.SENT)
    found = ledger.entry(target)
    assert found is not None
    assert found.settled


def test_request_is_noted_once_and_of_its_own_files_never() -> None:
    known = manifest(a_x=entry())
    begun = begin(known, DEFINITION, Resend(), "run.2", NOW)
    sent = begun.model_copy(update={"deliveries": {"a@x.org": entry(run_id="run.2")}})
    assert begin(sent, DEFINITION, Resend(), "run.2", NOW) is sent
    # Where no attempt of the slot is known, they are counted from one again.
    again = begin(known, DEFINITION, Resend(), "run.1", NOW)
    assert not again.deliveries["a@x.org"].settled
    made = known.model_copy(update={"resend": "all"})  # by this very run
    assert begin(made, DEFINITION, Resend(), "run.1", NOW) is made


def test_each_file_of_a_place_is_sent_again_and_stays_marked_until_it_is() -> None:
    upload = {"to": [{"name": "portal", "sftp": {"secretRef": {"name": "s"}}}]}
    body = {**DEFINITION.to_wire(), "delivery": {"upload": upload}}
    definition = Definition.model_validate(body)
    key = "upload:portal:a/b.pdf"
    known = manifest().model_copy(update={"deliveries": {key: entry(), "upload:other:a": entry()}})
    begun = begin(known, definition, Resend(), "run.2", NOW)
    assert [e.settled for e in begun.deliveries.values()] == [False, True]
    entries = dict(begun.deliveries)
    ledger = Ledger("upload", "run.2", entries, lambda: None, lambda: NOW)
    target = DeliveryTarget("portal:a/b.pdf", "new")
    for state in (LedgerState.SENDING, LedgerState.FAILED):
        ledger.record(target, state)
        assert entries[key].again_by == "run.2"
    ledger.record(target, LedgerState.SENT)
    assert entries[key].settled
    assert reached_everybody(definition, entries)


def test_interrupted_delivery_of_a_resend_is_seen_beside_the_one_before() -> None:
    marked = entry().model_copy(update={"again_by": "run.2"})
    entries = {"A@X.org": marked, "a@x.org": entry(LedgerState.SENDING, "run.2")}
    ledger = Ledger("email", "run.2", entries, lambda: None, lambda: NOW)
    found = ledger.entry(DeliveryTarget("a@x.org", "new"))
    assert found is not None
    assert (found.state, found.run_id) == (LedgerState.SENDING, "run.2")


def test_nobody_is_sent_anything_where_a_name_is_unknown() -> None:
    check_recipients(DEFINITION, None)
    check_recipients(DEFINITION, Resend())
    check_recipients(DEFINITION, resend_to(["b@X.org"]))
    with pytest.raises(RunError, match=r"c@x\.org, who is no recipient"):
        check_recipients(DEFINITION, resend_to(["a@x.org", "c@x.org"]))
