"""A look at what was sent: asked for once, shown everywhere, and no run anywhere."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from hack.testbed.admin_api import Api, ApiProcess, fail_once
from hack.testbed.namespace import BATCH, Namespace
from hack.testbed.waiting import wait_for
from report_runner.contract.verification import (
    Verdict,
    VerifiedDelivery,
    dump_verification,
    verification_of,
)
from tests.support.cli import Cli

VERIFY = "/api/admin/deliveries/verify"
FOUND = dump_verification(
    verification_of(
        [
            VerifiedDelivery(channel="upload", recipient="p:a.pdf", verdict=Verdict.UNCHANGED),
            VerifiedDelivery(
                channel="upload", recipient="p:b.pdf", verdict=Verdict.MISSING, message="gone"
            ),
        ]
    )
)


def looks(namespace: Namespace) -> list[str]:
    jobs = namespace.list(BATCH, "jobs")
    label = "reports.adaf.io/verifies-uid"
    return sorted(j["metadata"]["name"] for j in jobs if label in j["metadata"].get("labels", {}))


def test_it_is_one_look_and_no_run(
    namespace: Namespace, api: Api, api_process: ApiProcess, cli: Cli
) -> None:
    fail_once(namespace)
    (job,) = api.jobs(status="failed")
    assert api.get(f"{VERIFY}/{job['id']}").status == 404
    assert api.call("POST", VERIFY, {"job_id": "reports.nobody.20260101T000000Z.1"}).status == 404
    before = namespace.status("daily"), api.jobs()

    def ask(_: int) -> dict[str, Any]:
        answer = api.call("POST", VERIFY, {"job_id": job["id"]}, X_On_Call="kim")
        assert answer.status == 202, answer.text
        return dict(answer.body)

    with ThreadPoolExecutor() as pool:
        asked = list(pool.map(ask, range(4)))
    assert {one["job"] for one in asked} == set(looks(namespace)), "one look, however often asked"
    assert {one["state"] for one in asked} == {"starting"}
    pod = namespace.pod_of(asked[0]["job"])
    (container,) = pod["spec"]["containers"]
    assert container["command"] == ["report-generator", "verify"]
    assert pod["metadata"]["annotations"]["reports.adaf.io/report-date"] == job["report_date"]
    namespace.end_pod(pod, message=FOUND)

    def done() -> dict[str, Any] | None:
        body = api.get(f"{VERIFY}/{job['id']}").body
        return body if body["state"] == "done" and body["finished_at"] else None

    told = wait_for("the answer", done)
    assert told is not None
    assert told["counts"] == {"missing": 1, "unchanged": 1}
    assert [(d["recipient"], d["verdict"]) for d in told["deliveries"]] == [
        ("p:b.pdf", "missing"), ("p:a.pdf", "unchanged"),
    ]  # fmt: skip
    page = api.get(f"/runs/{job['id']}/verify", Accept="text/html").text
    assert "p:b.pdf" in page
    assert "missing" in page
    assert "claimed: kim" in page

    # The command waits for the answer of a look of its own.
    with ThreadPoolExecutor() as pool:
        command = pool.submit(cli, "deliveries", "verify", job["id"])
        second = wait_for("a second look", lambda: looks(namespace)[1:])
        namespace.end_pod(namespace.pod_of(second[0]), exit_code=78, message='{"message":"no"}')
        answered = command.result(60)
    assert answered.code == 1
    assert "no answer: no" in answered.err

    # Nobody took it for a run: neither the operator, nor the CronJob controller, nor the API.
    assert (namespace.status("daily"), api.jobs()) == before
    assert not (namespace.cronjob("daily") or {})["status"].get("active")
    audited = {line for line in api_process.audit() if line.startswith("verify")}
    assert {line.partition(": test-")[2].partition(", ")[2] for line in audited} == {
        "look 1", "look 2",
    }  # fmt: skip
