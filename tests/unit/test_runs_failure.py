"""Why a run failed, or cannot start: facts → reason and words."""

from datetime import timedelta

import pytest
from factories import MINUTE, PATIENT, SLOT, finished_run, make_pod, result_text
from hypothesis import given
from hypothesis import strategies as st

from report_operator.domain.runs.failure import (
    MESSAGE_LIMIT,
    PendingReason,
    explain_failure,
    explain_pending,
    explain_pod,
    newest_result,
)
from report_operator.domain.runs.pod import Pod
from report_runner.contract.reasons import EXIT_CODES, EXIT_USAGE, Reason

FAILED = finished_run(succeeded=False)
SAID = result_text(Reason.DATABASE_UNAVAILABLE, "connection refused by db:5432")


@pytest.mark.parametrize(
    ("pod", "reason", "words"),
    [
        (
            make_pod(exit_code=137, exit_reason="OOMKilled", memory_limit="768Mi"),
            Reason.RESOURCE_EXHAUSTED,
            "limit of 768Mi; raise spec.resources.limits.memory",
        ),
        (
            make_pod(exit_code=137, exit_reason="OOMKilled"),
            Reason.RESOURCE_EXHAUSTED,
            "than its limit;",
        ),
        (
            make_pod(
                reason="Evicted",
                message="The node was low on resource: memory.",
                disruption="TerminationByKubelet",
            ),
            Reason.RESOURCE_EXHAUSTED,
            "low on resource: memory",
        ),
        (
            make_pod(reason="DeadlineExceeded", exit_code=143, result_text=SAID),
            Reason.TIMEOUT,
            "spec.timeout",
        ),
        (
            make_pod(disruption="EvictionByEvictionAPI", exit_code=143, result_text=SAID),
            Reason.NODE_LOST,
            "EvictionByEvictionAPI",
        ),
        (make_pod(reason="NodeLost", exit_code=None), Reason.NODE_LOST, "NodeLost"),
        (make_pod(reason="NodeShutdown", exit_code=None), Reason.NODE_LOST, "NodeShutdown"),
        # The runner's own word goes before its exit code.
        (make_pod(exit_code=70, result_text=SAID), Reason.DATABASE_UNAVAILABLE, "db:5432"),
        (make_pod(exit_code=137, result_text=SAID), Reason.DATABASE_UNAVAILABLE, "db:5432"),
        (make_pod(exit_code=137), Reason.INTERNAL_ERROR, "SIGKILL"),
        (make_pod(exit_code=143, result_text="last words"), Reason.INTERNAL_ERROR, "last words"),
        (make_pod(exit_code=143), Reason.INTERNAL_ERROR, "SIGTERM"),
        (make_pod(exit_code=None, message="gone"), Reason.INTERNAL_ERROR, "without an exit code"),
        (
            make_pod(exit_code=1, result_text="Traceback\n  File x\nMemoryError: y"),
            Reason.INTERNAL_ERROR,
            "exit code 1: Traceback File x MemoryError: y",
        ),
        (make_pod(exit_code=70, result_text='{"outcome": "Fai'), Reason.INTERNAL_ERROR, '"Fai'),
        (make_pod(exit_code=EXIT_USAGE), Reason.CONFIGURATION_ERROR, "exit code 64"),
        *(
            (make_pod(exit_code=code), reason, f"exit code {code}")
            for reason, code in EXIT_CODES.items()
        ),
    ],
)
def test_failed_attempt(pod: Pod, reason: Reason, words: str) -> None:
    cause = explain_pod(pod)
    assert cause.reason is reason
    assert words in cause.message


def test_last_attempt_tells_and_attempts_are_counted() -> None:
    pods = [
        make_pod(name="c", created_at=SLOT + 2 * MINUTE, phase="Running", exit_code=None),
        make_pod(name="b", created_at=SLOT + MINUTE, result_text=SAID),
        make_pod(name="a", exit_reason="OOMKilled"),
    ]
    cause = explain_failure(FAILED, pods)
    assert cause.reason is Reason.DATABASE_UNAVAILABLE
    assert cause.message == "connection refused by db:5432 (after 2 attempts)"
    assert "attempts" not in explain_failure(FAILED, pods[2:]).message


def test_note_of_attempts_survives_a_long_message() -> None:
    long = result_text(Reason.DATABASE_UNAVAILABLE, "x" * 3000)
    pods = [make_pod(name=name, result_text=long) for name in "abc"]
    message = explain_failure(FAILED, pods).message
    assert message.endswith("x (after 3 attempts)")
    assert len(message) == MESSAGE_LIMIT


def test_verdict_of_the_operator_goes_first() -> None:
    run = finished_run(
        succeeded=False, termination_reason="ImageUnavailable", termination_detail="no image"
    )
    cause = explain_failure(run, [make_pod(exit_reason="OOMKilled")])
    assert (cause.reason, cause.message) == (Reason.IMAGE_UNAVAILABLE, "no image")


def test_verdict_of_a_word_that_is_none_of_ours() -> None:
    """Annotations can be edited by hand; the run's outcome is recorded all the same."""
    run = finished_run(
        succeeded=False, termination_reason="Gremlins", termination_detail="who knows"
    )
    assert explain_failure(run, []).reason is Reason.INTERNAL_ERROR


@pytest.mark.parametrize(
    ("condition", "reason", "words"),
    [
        ("DeadlineExceeded", Reason.TIMEOUT, "deadline"),
        ("BackoffLimitExceeded", Reason.INTERNAL_ERROR, "BackoffLimitExceeded: so it is"),
    ],
)
def test_no_pod_is_left(condition: str, reason: Reason, words: str) -> None:
    run = finished_run(succeeded=False, failed_condition=condition, failed_message="so it is")
    cause = explain_failure(run, [make_pod(phase="Pending", exit_code=None)])
    assert cause.reason is reason
    assert words in cause.message


def test_newest_result_is_of_the_newest_pod_that_left_one() -> None:
    pods = [
        make_pod(created_at=SLOT, result_text=result_text(Reason.TIMEOUT, "old")),
        make_pod(created_at=SLOT + MINUTE, result_text=result_text(Reason.TIMEOUT, "new")),
        make_pod(created_at=SLOT + 2 * MINUTE, result_text="no JSON"),
    ]
    result = newest_result(pods)
    assert result is not None
    assert result.message == "new"
    assert newest_result(pods[2:]) is None


PENDING = make_pod(phase="Pending", exit_code=None, exit_reason="")
QUOTA = (
    'Error creating: pods "daily-1-x" is forbidden: exceeded quota: compute, requested: pods=1, '
    "used: pods=4, limited: pods=4"
)
NO_SECRET = 'MountVolume.SetUp failed for volume "secret-0" : secret "report-db" not found'
NO_MAP = 'MountVolume.SetUp failed for volume "definition" : configmap "daily-012" not found'


def waiting(reason: str, message: str = "because") -> Pod:
    return make_pod(phase="Pending", exit_code=None, waiting_reason=reason, waiting_message=message)


@pytest.mark.parametrize(
    ("pod", "events", "reason", "words", "secret"),
    [
        (PENDING, [NO_SECRET], Reason.CONFIGURATION_ERROR, "Secret report-db", "report-db"),
        (PENDING, [NO_SECRET, "other"], Reason.CONFIGURATION_ERROR, "report-db", "report-db"),
        (PENDING, [NO_MAP], Reason.CONFIGURATION_ERROR, "ConfigMap daily-012 does not exist", ""),
        (waiting("ErrImagePull"), [], Reason.IMAGE_UNAVAILABLE, "runner:1: ErrImagePull", ""),
        (waiting("ImagePullBackOff"), ["x"], Reason.IMAGE_UNAVAILABLE, "because", ""),
        (waiting("InvalidImageName"), [], Reason.IMAGE_UNAVAILABLE, "because", ""),
        (waiting("CreateContainerConfigError"), [], Reason.CONFIGURATION_ERROR, "because", ""),
        (waiting("RunContainerError", "no such file"), [], Reason.CONFIGURATION_ERROR, "file", ""),
        (
            make_pod(phase="Pending", unschedulable="0/3 nodes are available"),
            [],
            Reason.RESOURCE_EXHAUSTED,
            "no node takes the pod: 0/3",
            "",
        ),
        (
            PENDING,
            ['FailedAttachVolume: volume "adaf-reports" is in use'],
            Reason.STORAGE_UNAVAILABLE,
            "in use",
            "",
        ),
        (None, [QUOTA], Reason.RESOURCE_EXHAUSTED, "exceeded quota: compute", ""),
        (None, ["webhook said no"], Reason.INTERNAL_ERROR, "webhook said no", ""),
    ],
)
def test_blockage(
    pod: Pod | None, events: list[str], reason: Reason, words: str, secret: str
) -> None:
    found = explain_pending(pod, events)
    assert found is not None
    assert found.cause.reason is reason
    assert words in found.cause.message
    assert found.missing_secret == secret


@pytest.mark.parametrize("pod", [None, PENDING, waiting("ContainerCreating")])
def test_nothing_is_known_to_block(pod: Pod | None) -> None:
    assert explain_pending(pod, []) is None


def test_sandbox_that_cannot_be_made_is_no_matter_of_storage() -> None:
    event = "Failed to create pod sandbox: plugin type=bridge failed (add): no IP addresses left"
    found = explain_pending(waiting("ContainerCreating"), [event])
    assert isinstance(found, PendingReason)
    assert found.cause.reason is not Reason.STORAGE_UNAVAILABLE
    assert "no IP addresses left" in found.cause.message


texts = st.text(max_size=1500) | st.integers(900, 5000).map(lambda n: "x y" * n)


@PATIENT
@given(texts, texts, texts, st.none() | st.integers(0, 255), st.integers(1, 4))
def test_messages_are_short_and_of_one_line(
    said: str, reason: str, message: str, code: int | None, attempts: int
) -> None:
    pods = [
        make_pod(
            created_at=SLOT + timedelta(seconds=n),
            result_text=said,
            reason=reason,
            message=message,
            exit_code=code,
        )
        for n in range(attempts)
    ]
    run = finished_run(succeeded=False, failed_condition=reason, failed_message=message)
    causes = [explain_failure(run, pods), explain_failure(run, []), explain_pod(pods[0])]
    for pod in (None, waiting(reason or "x", message), *pods):
        blockage = explain_pending(pod, [said])
        causes += [blockage.cause] if blockage else []
    for cause in causes:
        assert len(cause.message) <= MESSAGE_LIMIT
        assert "\n" not in cause.message
