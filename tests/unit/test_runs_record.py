"""A finished run as history keeps it."""

from datetime import timedelta

from factories import SLOT, active_run, finished_run, make_entry, make_pod, make_run, result_text

from report_operator.domain.deployment import COMPONENTS, describe_deployment
from report_operator.domain.runs.outcomes import record_finished
from report_operator.domain.runs.record import (
    LOG_BYTES,
    LOG_LINES,
    Owner,
    StoredOutput,
    deliveries_of,
    log_tail,
    record_of,
)
from report_runner.contract.reasons import Reason
from report_runner.contract.result import DeliveryResult, DeliveryStatus, Outcome, OutputFile

OWNER = Owner("reports", "daily", "schedule-uid", "dashboard", "critical")
FILE = OutputFile(path="2026/a.pdf", format="pdf", bytes=7, sha256="ab")
SENT = DeliveryResult(recipient="a@x.test", status=DeliveryStatus.SENT)


def test_record_from_outcome_job_and_pods() -> None:
    run = finished_run(requested_by="jane", backfill="month", backfill_uid="b1", definition="d1")
    text = result_text(rows={"a": 3}, pages=2, outputs=[FILE], deliveries=[SENT])
    pods = [make_pod(name="first"), make_pod(
        name="second", created_at=SLOT + timedelta(minutes=2), phase="Succeeded", exit_code=0,
        result_text=text,
    )]  # fmt: skip
    record = record_of(OWNER, record_finished(run, pods), run, pods)
    assert record.job_id == "reports.daily.20261124T050000Z.1"
    assert (record.report_type, record.tier, record.priority) == ("dashboard", "critical", "normal")
    assert (record.requested_by, record.backfill, record.definition) == ("jane", "month", "d1")
    assert (record.outcome, record.error_pattern) == (Outcome.SUCCEEDED, None)
    assert (record.rows, record.pages, record.pods) == (3, 2, 2)
    assert record.outputs == (StoredOutput("2026/a.pdf", "pdf", 7, "ab"),)
    assert (record.created_at, record.admitted_at) == (run.created_at, run.admitted_at)
    assert deliveries_of(pods) == (SENT,)


def test_record_from_the_outcome_alone() -> None:
    entry = make_entry(reason=Reason.QUEUE_TIMEOUT, message="waited 25 h", outputs=["a.pdf"])
    record = record_of(OWNER, entry, None, ())
    assert (record.job_uid, record.job, record.tier) == (entry.uid, entry.job, "critical")
    assert (record.reason, record.message) == (Reason.QUEUE_TIMEOUT, "waited 25 h")
    assert record.error_pattern == "waited <n> h"
    assert record.outputs == (StoredOutput("a.pdf"),)
    assert (record.created_at, record.priority, record.pods) == (None, None, None)
    assert deliveries_of(()) == ()


def test_record_of_a_given_up_run_has_the_fields_of_its_job() -> None:
    run = make_run(uid="job-1", priority="low")
    record = record_of(OWNER, make_entry(reason=Reason.QUEUE_TIMEOUT), run, ())
    assert (record.priority, record.created_at, record.started_at) == ("low", SLOT, None)
    assert record_of(OWNER, make_entry(), active_run(tier="bulk"), ()).tier == "bulk"


def test_logs_are_bounded_in_lines_and_bytes() -> None:
    assert log_tail(["one", "two"]) == "one\ntwo"
    assert log_tail([str(n) for n in range(200)]).splitlines() == [
        str(n) for n in range(200 - LOG_LINES, 200)
    ]
    long = log_tail(["é" * 3000] * LOG_LINES)
    assert len(long.encode()) <= LOG_BYTES
    assert long.startswith("é")


def test_deployment_changes_with_version_image_or_configuration() -> None:
    one = describe_deployment("1", "reports:1", {"workers": 1, "watch": []})
    assert one == describe_deployment("1", "reports:1", {"watch": [], "workers": 1})
    assert one.components == COMPONENTS
    others = [
        describe_deployment("2", "reports:1", {"workers": 1, "watch": []}),
        describe_deployment("1", "reports:2", {"workers": 1, "watch": []}),
        describe_deployment("1", "reports:1", {"workers": 2, "watch": []}),
    ]
    assert len({one.checksum, *(other.checksum for other in others)}) == 4
