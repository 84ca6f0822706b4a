"""What the API server refuses comes back as it is: 409 or 403 with its message, not 503."""

from __future__ import annotations

from hack.testbed.admin_api import Api
from hack.testbed.namespace import Namespace
from hack.testbed.waiting import wait_for
from tests.support.refusals import dead_webhook, restrict

GENERATE = "/api/admin/reports/generate"
WISH = {"type": "dashboard", "date": "2026-01-05"}


def test_quota_of_jobs_and_webhook(namespace: Namespace, api: Api) -> None:
    namespace.apply("daily", reportType="dashboard", schedule="0 6 * * *")
    namespace.wait_until_observed("daily")
    with dead_webhook(namespace, "batch", "jobs") as name:
        answer = api.call("POST", GENERATE, WISH)
    assert (answer.status, answer.kind) == (409, "application/problem+json"), answer.text
    assert f'failed calling webhook "{name}"' in answer.body["detail"]
    assert "the webhook's server does not answer" in answer.body["detail"]
    restrict(namespace, "quota-jobs")
    answer = api.call("POST", GENERATE, WISH)
    assert (answer.status, answer.kind) == (409, "application/problem+json"), answer.text
    assert "QuotaExceeded: exceeded quota: sre-quota-jobs" in answer.body["detail"]
    assert "raise spec.hard of ResourceQuota sre-quota-jobs" in answer.body["detail"]
    assert namespace.jobs() == []


def test_a_run_that_does_not_start_tells_why(namespace: Namespace, api: Api) -> None:
    restrict(namespace, "quota-must-specify")
    namespace.apply("daily", reportType="dashboard", schedule="0 6 * * *")
    namespace.wait_until_observed("daily")
    made = api.call("POST", GENERATE, WISH)
    assert made.status == 202, made.text
    job = wait_for_reason(api, made.body["id"])
    assert (job["status"], job["reason"]) == ("pending", "QuotaExceeded")
    assert "set spec.resources.limits.cpu in the ReportSchedule" in job["error_message"]


def wait_for_reason(api: Api, identity: str) -> dict[str, object]:
    found = wait_for(
        "the reason",
        lambda: next((j for j in api.jobs() if j["id"] == identity and j["reason"]), None),
        90,
        api.jobs,
    )
    assert found is not None
    return found
