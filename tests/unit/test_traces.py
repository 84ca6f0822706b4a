"""Spans of a run: what the operator makes of an outcome, and what the runner records."""

from __future__ import annotations

from datetime import timedelta
from itertools import count

import pytest
from factories import MINUTE, SLOT, make_entry

from report_operator.domain.names import job_id
from report_operator.domain.runs.spans import spans_of
from report_runner import tracing
from report_runner.contract import traces
from report_runner.contract.reasons import Reason
from report_runner.contract.result import Outcome
from report_runner.contract.traces import Span
from report_runner.models import RunError
from report_runner.tracing import Recorder, recording

SPEC = {"reportType": "dashboard", "tier": "critical"}
WHOLE = {
    "created_at": SLOT + timedelta(seconds=1),
    "admitted_at": SLOT + 1 * MINUTE,
    "started_at": SLOT + 2 * MINUTE,
    "queued_seconds": 59,
    "rows": 7,
}


def seconds(span: Span) -> tuple[int, int]:
    start = int(SLOT.timestamp()) * 10**9
    return (span.start - start) // 10**9, (span.end - start) // 10**9


def by_name(spans: list[Span]) -> dict[str, Span]:
    found = {span.name: span for span in spans}
    assert len(found) == len(spans)
    return found


def test_phases_of_a_run() -> None:
    found = by_name(spans_of("reports", "daily", SPEC, make_entry(**WHOLE)))
    assert {name: seconds(span) for name, span in found.items()} == {
        "report run": (0, 300),
        "slot": (0, 1),
        "admission": (1, 60),
        "pod": (60, 300),
        "start": (60, 120),
    }
    identity = job_id("reports", "daily", SLOT, 1)
    assert {span.trace for span in found.values()} == {traces.trace_id(identity)}
    whole = found["report run"]
    assert (whole.parent, whole.failed, whole.links) == ("", "", ())
    assert found["start"].parent == found["pod"].id
    assert {found[name].parent for name in ("slot", "admission", "pod")} == {whole.id}
    assert whole.attributes["report.run_id"] == identity.removeprefix("reports.")
    assert whole.attributes["report.rows"] == 7


def test_a_run_that_never_started_has_no_pod() -> None:
    entry = make_entry(reason=Reason.QUEUE_TIMEOUT, created_at=SLOT)
    found = by_name(spans_of("reports", "daily", SPEC, entry))
    assert set(found) == {"report run", "slot", "admission"}
    assert found["report run"].failed == "QueueTimeout"
    assert seconds(found["admission"]) == (0, 300)


def test_waiting_for_data_is_a_phase_of_its_own() -> None:
    entry = make_entry(**{**WHOLE, "queued_seconds": 9, "data_wait_seconds": 50})
    found = by_name(spans_of("reports", "daily", SPEC, entry))
    assert seconds(found["admission"]) == (1, 10)
    assert seconds(found["wait for data"]) == (10, 60)


@pytest.mark.parametrize("change", [{"attempt": 2}, {"manual": True}, {"backfill": "january"}])
def test_a_run_that_was_asked_for_begins_with_its_job(change: dict[str, object]) -> None:
    created = SLOT + timedelta(days=90)  # the slot may be months ago
    entry = make_entry(created_at=created, finished_at=created + MINUTE, **change)
    found = by_name(spans_of("reports", "daily", SPEC, entry))
    assert "slot" not in found
    assert found["report run"].start == int(created.timestamp()) * 10**9


def test_a_retry_links_to_the_attempt_before() -> None:
    (whole, *_) = spans_of("reports", "daily", SPEC, make_entry(attempt=3))
    before = job_id("reports", "daily", SLOT, 2)
    assert whole.links == (traces.link_to(before),)
    (other, *_) = spans_of("reports", "daily", SPEC, make_entry(attempt=2))
    assert (whole.links[0].trace, whole.links[0].span) == (other.trace, other.id)


def test_a_skipped_run_has_not_failed() -> None:
    entry = make_entry(reason=Reason.HOLIDAY, outcome=Outcome.SKIPPED)
    (whole, *_) = spans_of("reports", "daily", SPEC, entry)
    assert (whole.failed, whole.attributes["report.reason"]) == ("", "Holiday")


def test_stages_follow_each_other_and_parts_are_in_them() -> None:
    done: list[Span] = []
    moment = count()
    with recording(Recorder("reports.a", done.append, lambda: next(moment))) as whole:
        tracing.stage("sources")
        with tracing.span(traces.SOURCE, {traces.NAME: "rates"}) as attributes:
            attributes[traces.ROWS] = 3
        tracing.stage("deliver")
        with pytest.raises(RunError), tracing.span(traces.CHANNEL, {traces.NAME: "email"}):
            raise RunError(Reason.DELIVERY_FAILED, "someone@example.com did not get it")
    assert [(span.name, span.start, span.end) for span in done] == [
        ("source", 2, 3),
        ("sources", 1, 4),
        ("channel", 6, 7),
        ("deliver", 5, 8),
        ("runner", 0, 9),
    ]
    spans = by_name(done)
    assert spans["source"].parent == spans["sources"].id
    assert spans["sources"].parent == spans["deliver"].parent == whole.id
    assert whole.parent == traces.span_id("reports.a", traces.POD)
    assert spans["channel"].failed == "DeliveryFailed"
    assert "example.com" not in repr(done)


def test_without_a_recorder_nothing_is_recorded() -> None:
    tracing.stage("sources")
    with tracing.span(traces.SOURCE, {}) as attributes:
        assert attributes == {}
