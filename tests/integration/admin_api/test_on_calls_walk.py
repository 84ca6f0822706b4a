"""On call's minute on a real control plane: what kubectl, the page and the command line show.

tests/unit/test_on_calls_walk.py has each reason; here some are caused, and the real `kubectl
describe` prints what the operator wrote.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from typing import Any

import pytest

from hack.testbed.admin_api import SCHEDULER, Api
from hack.testbed.controlplane import ControlPlane
from hack.testbed.namespace import BATCH, Namespace
from hack.testbed.waiting import wait_for
from report_operator.domain.names import ANNOTATION_OWNER
from report_runner.contract.reasons import EXIT_CODES, Reason
from report_runner.contract.result import Outcome, RunResult, dump_result
from tests.support.chart import run
from tests.support.cli import Cli
from tests.support.refusals import restrict

MERGE = "application/merge-patch+json"
SCHEDULES = "/apis/reports.adaf.io/v1alpha1"


def by_the_runner(reason: Reason, message: str) -> Callable[[Namespace, Api, str], None]:
    """The runner ends and leaves this result."""

    def cause(namespace: Namespace, _: Api, name: str) -> None:
        namespace.start(name, f"{name}-run")
        text = dump_result(RunResult(outcome=Outcome.FAILED, reason=reason, message=message))
        pod = namespace.pod_of(f"{name}-run")
        namespace.end_pod(pod, exit_code=EXIT_CODES[reason], message=text)

    return cause


def deleted(namespace: Namespace, _: Api, name: str) -> None:
    namespace.start(name, f"{name}-run")
    namespace.pod_of(f"{name}-run")
    wait_for("it is known", lambda: namespace.status(name).get("activeRuns"))
    namespace.call("DELETE", namespace.path(BATCH, "jobs", f"{name}-run"))


def purged(namespace: Namespace, api: Api, name: str) -> None:
    namespace.start("busy", "busy-run")
    wait_for("it takes the only place", lambda: namespace.status("busy").get("active") == 1)
    namespace.start(name, f"{name}-run")
    wait_for("it waits", lambda: namespace.status(name).get("queued") == 1)
    done = api.call("POST", f"{SCHEDULER}/queue/cleanup", {"older_than_hours": 0})
    assert done.body["removed"] == 1


def refused(namespace: Namespace, _: Api, name: str) -> None:
    restrict(namespace, "quota-pods")
    namespace.start(name, f"{name}-run")


CAUSES: list[tuple[Reason, Callable[[Namespace, Api, str], None], str]] = [
    (
        Reason.DATABASE_UNAVAILABLE,
        by_the_runner(Reason.DATABASE_UNAVAILABLE, "sources[rows]: db.internal refuses"),
        "sources[rows]: db.internal refuses",
    ),
    (
        Reason.CONFIGURATION_ERROR,
        by_the_runner(Reason.CONFIGURATION_ERROR, "spec.report.title has no value"),
        "spec.report.title has no value",
    ),
    (Reason.JOB_DELETED, deleted, "was deleted"),
    (Reason.QUEUE_TIMEOUT, purged, "purged from the queue on request of"),
    (Reason.QUOTA_EXCEEDED, refused, "exceeded quota"),
]


@pytest.mark.parametrize(("reason", "cause", "words"), CAUSES, ids=[c[0].value for c in CAUSES])
def test_three_screens_say_the_same(
    namespace: Namespace,
    plane: ControlPlane,
    api: Api,
    cli: Cli,
    reason: Reason,
    cause: Callable[[Namespace, Api, str], None],
    words: str,
) -> None:
    for name in ("daily", "busy"):
        namespace.apply(name, retry={"limit": 0}, concurrencyPolicy="Allow")
        namespace.wait_until_observed(name)
    owner = {"metadata": {"annotations": {ANNOTATION_OWNER: "the risk desk"}}}
    namespace.call("PATCH", namespace.path(SCHEDULES, "reportschedules", "daily"), owner, MERGE)
    cause(namespace, api, "daily")

    def told() -> Any:
        found = namespace.status("daily").get("explanation")
        return found if found and reason.value in found and "the risk desk" in found else None

    explanation = wait_for("it is explained", told, 90, lambda: namespace.status("daily"))
    why = wait_for(
        "the API has seen it",
        lambda: (done := cli("why", "daily")).code == 0 and reason.value in done.out and done.out,
    )
    shown = run(
        "kubectl", f"--kubeconfig={plane.kubeconfig}", "--namespace", namespace.name,
        "describe", "reportschedules.reports.adaf.io", "daily",
    )  # fmt: skip
    assert shown.code == 0, shown.err
    described = " ".join(shown.out.split())
    card = api.get("/").text.partition('id="attention"')[2].partition("</article>")[0]
    page = " ".join(html.unescape(re.sub(r"<[^>]+>", "", card)).split())
    head, _, tail = explanation.partition(". Affected: ")
    affected, _, command = tail.partition(". Next: ")
    assert explanation in described
    assert head in " ".join(why.split())
    assert affected in why
    assert why.rstrip().endswith(f"Next: {command}")
    for text in (described, page, why):
        for part in (words, reason.value, affected, command, "the risk desk"):
            assert part in text, (part, text)
