"""Looks at what was sent: their Jobs, their bounds, and what they say."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from factories import cronjob_body

from report_operator.domain import names
from report_operator.domain.runs.pod import Pod
from report_operator.domain.runs.run import observe_job
from report_operator.domain.runs.verification import (
    ACTIVE_IN_NAMESPACE,
    ACTIVE_LIMIT,
    KEPT_IN_NAMESPACE,
    VerificationJob,
    VerificationState,
    VerificationTarget,
    job_of_verification,
    judge_verification,
    observe_verification,
    of_slot,
    too_many,
    verification_job_name,
)

NOW = datetime(2026, 11, 24, 7, tzinfo=UTC)
SLOT = datetime(2026, 11, 24, 5, tzinfo=UTC)
JOB = VerificationJob("reports", "daily-1-v1", "j1", "u1", SLOT, 1, "kim", NOW, None)
POD = Pod("daily-1-v1-x", NOW, "Running", started_at=NOW)


def test_a_look_is_read_back_as_it_was_asked_for() -> None:
    target = VerificationTarget("reports", "daily", "u1", SLOT, SLOT.date(), "daily.x.1")
    container = {"name": "report", "command": ["report-generator", "run"]}
    template = {"spec": {"template": {"spec": {"containers": [container]}}}}
    cronjob = cronjob_body({"spec": {"jobTemplate": template}})
    body = job_of_verification(cronjob, target, 3, "kim")
    assert container["command"] == ["report-generator", "run"]  # that of runs stays as it is
    body["metadata"] |= {"uid": "j1", "creationTimestamp": "2026-11-24T07:00:00Z"}
    found = observe_verification(body)
    name = verification_job_name(cronjob["metadata"]["name"], SLOT, 3)
    assert found == replace(JOB, name=name, number=3)
    assert names.LABEL_UID not in body["metadata"]["labels"]
    with pytest.raises(KeyError):
        observe_job(body)  # it is no run
    body["metadata"]["annotations"][names.ANNOTATION_ATTEMPT] = "x"
    assert observe_verification(body) is None


def test_no_run_has_the_name_of_a_look() -> None:
    long = "a" * names.CRONJOB_NAME_LIMIT
    for name in ("daily", long):
        look = verification_job_name(name, SLOT, 1)
        assert len(look) <= names.JOB_NAME_LIMIT
        assert look != verification_job_name(name, SLOT, 2)
        assert look not in {names.attempt_job_name(name, SLOT, n) for n in range(1, 50)}


def test_looks_are_bounded() -> None:
    here = [replace(JOB, name=str(n), number=n) for n in range(ACTIVE_IN_NAMESPACE)]
    assert "in reports" in too_many(here, "reports")
    assert not too_many(here[1:], "reports")
    assert not too_many(here, "another")
    all_over = [replace(JOB, namespace=str(n)) for n in range(ACTIVE_LIMIT)]
    assert "in all namespaces" in too_many(all_over, "reports")
    ended = [replace(JOB, finished_at=NOW) for _ in range(KEPT_IN_NAMESPACE)]
    assert "of the last hour" in too_many(ended, "reports")
    assert not too_many(ended, "another")
    assert [job.number for job in of_slot([*here[::-1], replace(JOB, slot=NOW)], "u1", SLOT)] == [
        0, 1, 2,
    ]  # fmt: skip


ANSWER = '{"counts":{"changed":1},"deliveries":[]}'


@pytest.mark.parametrize(
    ("job", "pod", "state", "message"),
    [
        (JOB, None, VerificationState.STARTING, ""),
        (JOB, replace(POD, phase="Pending", started_at=None, waiting_reason="ImagePullBackOff",
                      waiting_message="not found"), VerificationState.STARTING, "ImagePullBackOff"),
        (JOB, POD, VerificationState.RUNNING, ""),
        (JOB, replace(POD, phase="Succeeded", exit_code=0, result_text=ANSWER),
         VerificationState.DONE, ""),
        # It cannot say anything of the files, and does not.
        (JOB, replace(POD, phase="Failed", exit_code=78, result_text='{"message":"no Secret"}'),
         VerificationState.FAILED, "no Secret"),
        (JOB, replace(POD, phase="Failed", exit_code=137, exit_reason="OOMKilled"),
         VerificationState.FAILED, "OOMKilled"),
        (JOB, replace(POD, phase="Succeeded", exit_code=0, result_text="cut sho"),
         VerificationState.FAILED, "left no answer"),
        (replace(JOB, finished_at=NOW + timedelta(hours=1), failure="DeadlineExceeded: late"), None,
         VerificationState.FAILED, "DeadlineExceeded"),
        # The pod of a Job that has ended is removed where somebody does.
        (replace(JOB, finished_at=NOW), None, VerificationState.FAILED, "left no answer"),
    ],
)  # fmt: skip
def test_what_is_known_of_a_look(
    job: VerificationJob, pod: Pod | None, state: VerificationState, message: str
) -> None:
    found = judge_verification(job, pod)
    assert found.state is state
    assert message in found.message
    assert found.result.counts == ({"changed": 1} if state is VerificationState.DONE else {})
