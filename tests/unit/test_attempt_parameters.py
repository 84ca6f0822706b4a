"""Parameters of one run on their way: request, Job, pod, runner; and into a retry."""

from __future__ import annotations

from typing import Any

import pytest
from factories import SLOT, job_body, make_schedule, schedule_body

from admin_api.errors import RefusedError
from admin_api.schemas.attempts import GenerateRequest
from admin_api.services.attempt_rules import decide_retry
from admin_api.services.cluster import Cluster
from admin_api.services.idempotency import IdempotencyEntry
from admin_api.services.jobs import read_schedule
from admin_api.services.override_rules import check_parameters, check_same_parameters
from report_operator.adapters.kube.resources import SCHEDULES
from report_operator.api.v1alpha1.spec import Priority
from report_operator.domain import names
from report_operator.domain.runs.attempts import (
    Attempt,
    job_of_attempt,
    parameters_text,
    read_parameters,
)
from report_operator.domain.runs.run import observe_job
from report_operator.domain.schedules.desired import desired_cronjob, freeze_definition
from report_operator.domain.schedules.pods import PodSettings
from report_operator.domain.times import format_time
from report_runner.contract import pod as podcontract
from report_runner.contract.parameters import OVERRIDES_LIMIT
from report_runner.environment import read_overrides

SETTINGS = PodSettings("runner:1", "IfNotPresent", "adaf-reports", {}, "256Mi")
GIVEN = {"region": 'EMEA $(REPORT_SLOT) \u00e9 "x" {{ y }}', "top": "5"}


def cronjob() -> dict[str, Any]:
    schedule = make_schedule()
    made = desired_cronjob(schedule, freeze_definition(schedule, None), SETTINGS, SLOT)
    made["metadata"]["uid"] = "cronjob-1"
    return made


def attempt(parameters: dict[str, str], number: int = 2) -> Attempt:
    return Attempt(SLOT, SLOT.date(), number, Priority.NORMAL, parameters)


def variables(job: dict[str, Any]) -> dict[str, str]:
    (container,) = job["spec"]["template"]["spec"]["containers"]
    return {entry["name"]: entry.get("value", "") for entry in container["env"]}


def test_a_job_carries_its_parameters_to_the_runner() -> None:
    made_from = cronjob()
    job = job_of_attempt(made_from, attempt(GIVEN), "kim")
    text = variables(job)[podcontract.ENV_PARAMETERS]
    assert "$" not in text  # the kubelet would replace $(NAME)
    assert read_overrides({podcontract.ENV_PARAMETERS: text}) == GIVEN
    assert read_parameters(job["metadata"]["annotations"][names.ANNOTATION_PARAMETERS]) == GIVEN
    # The CronJob, of which the Job's spec is a part, is left as it is.
    assert podcontract.ENV_PARAMETERS not in variables(
        {"spec": made_from["spec"]["jobTemplate"]["spec"]}
    )


def test_a_job_without_parameters_is_as_it_was() -> None:
    job = job_of_attempt(cronjob(), attempt({}), "kim")
    assert podcontract.ENV_PARAMETERS not in variables(job)
    assert names.ANNOTATION_PARAMETERS not in job["metadata"]["annotations"]


def test_what_somebody_wrote_into_a_job_is_read_within_bounds() -> None:
    annotations = {names.ANNOTATION_PARAMETERS: "x" * 100_000}
    run = observe_job(job_body({"metadata": {"annotations": annotations}}))
    assert len(run.parameters) == OVERRIDES_LIMIT + 1
    assert [read_parameters(text) for text in (run.parameters, "[1]", "{", "")] == [{}] * 4


def test_parameters_are_bounded() -> None:
    with pytest.raises(ValueError, match="more than"):
        parameters_text({"a": "x" * OVERRIDES_LIMIT})
    for given in (
        {"a": "x" * 1001},
        {"A b": "x"},
        {"a": 5},
        {f"a{n}": "x" * 90 for n in range(49)},
    ):
        with pytest.raises(ValueError, match="parameters"):
            GenerateRequest.model_validate({"type": "t", "date": "2026-11-24", "parameters": given})


def test_a_request_without_parameters_is_as_it_was_for_its_key() -> None:
    request = GenerateRequest.model_validate({"type": "t", "date": "2026-11-24"})
    assert "parameters" not in request.model_dump_json()


SCHEDULE = {
    "spec": {
        "report": {
            "declaredParameters": [
                {"name": "region", "default": "EMEA"},
                {"name": "top", "type": "integer", "default": 10},
            ]
        }
    }
}


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"regoin": "x"}, "declares no parameter 'regoin'; did you mean 'region'?"),
        ({"top": "many"}, "parameters.top: is a text, not of type integer: write a whole number"),
    ],
)
def test_what_the_schedule_does_not_declare_is_refused(given: dict[str, str], told: str) -> None:
    check_parameters({"region": "x", "top": "5"}, SCHEDULE)
    with pytest.raises(RefusedError) as caught:
        check_parameters(given, SCHEDULE)
    assert caught.value.status == 422
    assert told in str(caught.value)
    with pytest.raises(RefusedError, match="there is none"):
        check_parameters(given, {"spec": {}})


def test_a_run_under_way_with_other_parameters_is_no_answer() -> None:
    job = job_of_attempt(cronjob(), attempt({"top": "5"}), "kim")
    annotations = job["metadata"]["annotations"]
    run = observe_job(job_body({"metadata": {"annotations": annotations}}))
    check_same_parameters({"top": "5"}, run)
    for given in ({}, {"top": "6"}):
        with pytest.raises(RefusedError, match=r"other parameters \(top=5\)") as caught:
            check_same_parameters(given, run)
        assert caught.value.status == 409


class Kube:
    """An API server with the CronJob, the Job of one attempt, and the schedule of this spec."""

    def __init__(self, job: dict[str, Any] | None, spec: dict[str, Any]) -> None:
        self.job, self.spec = job, spec
        self.created: list[dict[str, Any]] = []

    async def get(self, kind: object, namespace: str, name: str) -> dict[str, Any] | None:
        if kind is SCHEDULES:
            return {"spec": self.spec}
        if self.job is not None and name == self.job["metadata"]["name"]:
            return self.job
        return cronjob() if name == cronjob()["metadata"]["name"] else None

    async def create(self, _: object, namespace: str, body: dict[str, Any]) -> None:
        self.created.append(body)


class Status:
    cron_job = cronjob()["metadata"]["name"]


class Schedule:
    namespace, name, status = "reports", "daily", Status


async def made(
    before: dict[str, Any] | None, wanted: Attempt, spec: dict[str, Any] | None = None
) -> dict[str, str]:
    cluster, kube = object.__new__(Cluster), Kube(before, spec or {})
    object.__setattr__(cluster, "kube", kube)
    await cluster.create_attempt(Schedule, wanted, "kim")  # type: ignore[arg-type]
    (job,) = kube.created
    return read_parameters(job["metadata"]["annotations"].get(names.ANNOTATION_PARAMETERS, ""))


async def test_a_retry_has_the_parameters_of_the_attempt_before() -> None:
    before = job_of_attempt(cronjob(), attempt({"top": "5"}), "kim")
    retry = Attempt(SLOT, SLOT.date(), 3, Priority.HIGH, inherits=True)
    assert await made(before, retry) == {"top": "5"}
    assert await made(None, retry) == {}
    assert await made(before, attempt({}, 3)) == {}  # a new report, not a retry


async def test_a_retry_never_guesses_the_parameters_of_a_job_that_is_gone() -> None:
    """Status and history remember that there were some; the Job alone says which."""
    before = job_of_attempt(cronjob(), attempt({"top": "5"}), "kim")
    before["metadata"] |= {
        "uid": "j1", "resourceVersion": "1", "creationTimestamp": "2026-11-24T06:00:00Z"
    }  # fmt: skip
    retry = Attempt(SLOT, SLOT.date(), 3, Priority.HIGH, inherits=True, overridden=True)
    assert observe_job(before).identity.overridden
    assert await made(before, retry) == {"top": "5"}
    with pytest.raises(RefusedError, match="is gone: ask for the report with them anew"):
        await made(None, retry)
    plain = job_of_attempt(cronjob(), attempt({}), "kim")
    plain["metadata"] |= {
        "uid": "j1", "resourceVersion": "1", "creationTimestamp": "2026-11-24T06:00:00Z"
    }  # fmt: skip
    assert observe_job(plain).identity.overridden is False


@pytest.mark.parametrize(
    ("spec", "harmless"),
    [
        (SCHEDULE["spec"], False),
        ({"delivery": {"email": {"to": ["a@example.com"]}}}, False),  # it may have been sent again
        ({"report": {"parameters": {"top": 5}}}, True),
    ],
)
async def test_what_an_older_version_did_not_record_is_not_guessed(
    spec: dict[str, Any], harmless: bool
) -> None:
    """Only where there is nothing that could have been asked for, the answer does not matter."""
    before = job_of_attempt(cronjob(), attempt({"top": "5"}), "kim")
    retry = Attempt(SLOT, SLOT.date(), 3, Priority.HIGH, inherits=True, overridden=None)
    assert await made(before, retry, spec) == {"top": "5"}
    if harmless:
        assert await made(None, retry, spec) == {}
    else:
        with pytest.raises(RefusedError, match="is not known: an older version recorded it"):
            await made(None, retry, spec)


@pytest.mark.parametrize(
    ("asked", "overridden"),
    [({}, False), ({"requestedBy": "kim"}, None), ({"backfill": "june"}, None)],
)
def test_only_a_request_gives_a_run_parameters_of_its_own(
    asked: dict[str, str], overridden: bool | None
) -> None:
    """Status as an older version wrote it: the slot's own run had none, whoever recorded it."""
    entry = {
        "job": "daily-1", "uid": "j1", "slot": format_time(SLOT), "outcome": "Failed",
        "finishedAt": format_time(SLOT), **asked,
    }  # fmt: skip
    (failed,) = read_schedule({**schedule_body(), "status": {"recentRuns": [entry]}}).ended.values()
    assert failed.overridden is None
    decision = decide_retry(failed, [failed])
    assert isinstance(decision, Attempt)
    assert decision.overridden is overridden


def test_a_key_keeps_that_nobody_knows() -> None:
    entry = IdempotencyEntry(
        at=SLOT, request="r", namespace="reports", schedule="daily", slot=SLOT, number=3,
        priority=Priority.HIGH, inherits=True, overridden=None,
    )  # fmt: skip
    for known in (None, True, False):
        text = entry.model_copy(update={"overridden": known}).model_dump_json(exclude_none=True)
        assert IdempotencyEntry.model_validate_json(text).attempt.overridden is known
