"""Tools that wait for a ReportSchedule, beside a real operator: helm, kubectl, Argo CD."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from hack.gitops import ask
from hack.testbed.namespace import BATCH, CORE, MERGE, SCHEDULES, Namespace, report
from hack.testbed.operator import OperatorProcess
from hack.testbed.waiting import wait_for
from tests.integration.gitops.conftest import Run
from tests.support.gitops import BACKFILL, SCHEDULE, lua, press

Body = dict[str, Any]
# What Argo CD, Flux and Helm write on what they apply, to find it again and to prune the rest.
TRACKING = {
    "labels": {
        "app.kubernetes.io/instance": "reports",
        "app.kubernetes.io/managed-by": "Helm",
        "argocd.argoproj.io/instance": "reports",
        "helm.toolkit.fluxcd.io/name": "reports",
        "kustomize.toolkit.fluxcd.io/name": "reports",
        "kustomize.toolkit.fluxcd.io/namespace": "flux-system",
    },
    "annotations": {
        "argocd.argoproj.io/tracking-id": "reports:reports.adaf.io/ReportSchedule:x/daily",
        "argocd.argoproj.io/sync-wave": "5",
        "argocd.argoproj.io/hook": "Sync",
        "helm.sh/hook": "post-install",
        "meta.helm.sh/release-name": "reports",
        "kustomize.toolkit.fluxcd.io/prune": "enabled",
        "kubectl.kubernetes.io/last-applied-configuration": "{}",
    },
}


def manifest(kind: str, name: str, **spec: Any) -> Body:
    wanted: Body = {
        "reportType": "executive_dashboard",
        "schedule": "0 0 1 1 *",
        "timeZone": "Europe/Madrid",
        "report": report(),
    }
    if kind == BACKFILL:
        wanted = {"startDate": "2026-11-02", "endDate": "2026-11-03", "everySchedule": True}
    meta = {"name": name}
    version = "reports.adaf.io/v1alpha1"
    return {"apiVersion": version, "kind": kind, "metadata": meta, "spec": {**wanted, **spec}}


# The language of conditions is the operator's: no schema can tell that this source is not there.
WRONG = {"report": report(sendIf="fact | length > 0")}


def make(namespace: Namespace, body: Body) -> None:
    plural = "reportschedules" if body["kind"] == SCHEDULE else "reportbackfills"
    namespace.call("POST", namespace.path(SCHEDULES, plural), body)


@pytest.mark.parametrize("kind", [SCHEDULE, BACKFILL])
def test_nobody_takes_an_object_that_no_operator_has_seen_for_finished(
    namespace: Namespace, run: Run, kind: str
) -> None:
    make(namespace, manifest(kind, "new"))
    got = json.loads(run("kubectl", "get", kind.lower(), "new", "-o", "json").stdout)
    kstatus, health = ask([{"do": "kstatus", "object": got}, lua(kind, "health.lua", got)])
    assert (kstatus["status"], health["value"]["status"]) == ("InProgress", "Progressing")
    waited = run("kubectl", "wait", "--for=condition=Ready", kind.lower(), "new", "--timeout=1s")
    assert "timed out" in waited.stderr
    assert (
        "no report scheduler has looked at it yet" in run("kubectl", "describe", kind, "new").stdout
    )


def test_helm_waits_for_what_is_right_and_not_for_what_is_wrong(
    namespace: Namespace, operator: OperatorProcess, run: Run, tmp_path: Path
) -> None:
    """Each in seconds, of a minute that it might wait."""
    for name, spec in (("right", {}), ("wrong", WRONG)):
        chart = tmp_path / name
        (chart / "templates").mkdir(parents=True)
        (chart / "Chart.yaml").write_text(f"{{apiVersion: v2, name: {name}, version: 1.0.0}}")
        (chart / "templates" / "it.json").write_text(json.dumps(manifest(SCHEDULE, name, **spec)))
        begun = monotonic()
        done = run("helm", "install", name, str(chart), "--wait", "--timeout", "60s")
        assert (done.returncode == 0) == (name == "right"), done.stderr + operator.log()
        assert monotonic() - begun < 10, done.stderr
    assert "Failed" in done.stderr
    assert "ReportSchedule/" in done.stderr

    def waited(name: str, condition: str) -> int:
        what = f"reportschedule/{name}"
        return run(
            "kubectl", "wait", what, f"--for=condition={condition}", "--timeout=5s"
        ).returncode

    assert waited("right", "Ready") == 0
    assert waited("wrong", "Ready") == 1
    assert waited("wrong", "Stalled") == 0  # a script need not wait for the time-out
    path = namespace.path(SCHEDULES, "reportschedules", "wrong")
    namespace.call("PATCH", path, {"spec": {"report": {"sendIf": "facts | length > 0"}}}, MERGE)
    assert waited("wrong", "Ready") == 0
    assert namespace.condition("wrong", "Stalled") == {}


def test_backfill_that_can_never_run_is_not_waited_for(
    namespace: Namespace, operator: OperatorProcess, run: Run
) -> None:
    namespace.apply("daily")  # whose slots are on New Year's Day
    namespace.wait_until_observed("daily")
    make(namespace, manifest(BACKFILL, "november"))
    what = "reportbackfill/november"
    waited = run("kubectl", "wait", what, "--for=condition=Stalled", "--timeout=20s")
    assert waited.returncode == 0, waited.stderr
    found = namespace.find(SCHEDULES, "reportbackfills", "november")
    (verdict,) = ask([{"do": "kstatus", "object": found}])
    assert verdict["status"] == "Failed"
    assert "no slot on these dates" in verdict["message"]


def test_no_child_has_the_marks_of_the_tool_that_applied_its_owner(
    namespace: Namespace, operator: OperatorProcess
) -> None:
    """Argo CD and Flux would prune it, as something that is not in git."""
    body = manifest(SCHEDULE, "daily")
    body["metadata"] |= TRACKING
    make(namespace, body)
    definition = namespace.wait_until_observed("daily")["definition"]
    namespace.start("daily", "run-1")
    pod = namespace.pod_of("run-1")
    cronjob = namespace.cronjob("daily")
    assert cronjob is not None
    children: list[Body] = [cronjob["metadata"], cronjob["spec"]["jobTemplate"]["metadata"]]
    children.append(cronjob["spec"]["jobTemplate"]["spec"]["template"]["metadata"])
    for prefix, plural in ((CORE, "configmaps"), (BATCH, "jobs"), (CORE, "pods"), (CORE, "events")):
        children += [found["metadata"] for found in namespace.list(prefix, plural)]
    assert {definition, "run-1", pod["metadata"]["name"]} <= {c.get("name") for c in children}
    for meta in children:
        for kind, marks in TRACKING.items():
            here = meta.get(kind) or {}
            assert not {key for key in marks if here.get(key) == marks[key]}, meta
            assert not any("argoproj" in key or "fluxcd" in key or "helm" in key for key in here)


def pressed(namespace: Namespace, action: str, name: str = "daily") -> Body:
    """An action of Argo CD on the live object: what its script changed, as a merge patch."""
    live = namespace.schedule(name)
    wanted = press(SCHEDULE, action, live, datetime.now(UTC))
    patch = {
        part: {key: value for key, value in wanted[part].items() if live[part].get(key) != value}
        for part in ("metadata", "spec")
    }
    namespace.call("PATCH", namespace.path(SCHEDULES, "reportschedules", name), patch, MERGE)
    return patch


def answer(namespace: Namespace, field: str, value: str) -> Body:
    def found() -> Body | None:
        told: Body = namespace.status("daily").get(field) or {}
        return told if told.get("value") == value else None

    got = wait_for(f"{field} {value}", found, 60, lambda: namespace.status("daily"))
    assert got is not None
    return got


ANNOTATION = {"run-now": "run-requested-at", "retry": "retry-requested"}


def asked(namespace: Namespace, action: str) -> str:
    """What the annotation says after the press."""
    pressed(namespace, action)
    annotations = namespace.schedule("daily")["metadata"]["annotations"]
    return str(annotations[f"reports.adaf.io/{ANNOTATION[action]}"])


def test_actions_make_one_run_for_each_request_however_often_they_are_pressed(
    namespace: Namespace, operator: OperatorProcess
) -> None:
    namespace.apply("daily")
    namespace.wait_until_observed("daily")
    first = answer(namespace, "runRequest", asked(namespace, "run-now"))
    assert [job["metadata"]["name"] for job in namespace.jobs()] == [first["job"]]
    again = asked(namespace, "run-now")
    while again == first["value"]:  # within one second it is the same request
        again = asked(namespace, "run-now")
    assert answer(namespace, "runRequest", again)["job"] == first["job"]
    assert len(namespace.jobs()) == 1

    namespace.end_pod(namespace.pod_of(first["job"]), exit_code=78, message="no such table")
    wait_for("it fails", lambda: namespace.status("daily").get("lastFailure"), 60, operator.log)
    retried = answer(namespace, "retryRequest", asked(namespace, "retry"))
    assert retried["value"] == first["job"]
    assert retried["job"] not in (None, first["job"])
    operator.kill()
    operator.start()  # another life answers nothing twice
    operator.wait_until_leading()
    pressed(namespace, "retry")
    operator.wait_for_resyncs()
    attempts = [
        (job["metadata"]["annotations"]["reports.adaf.io/attempt"], job["metadata"]["name"])
        for job in namespace.jobs()
        if "reports.adaf.io/attempt" in job["metadata"]["annotations"]
    ]
    assert sorted(attempts)[-1] == ("2", retried["job"])
    events = [e["reason"] for e in namespace.list(CORE, "events")]
    assert events.count("RunRequested") == 3

    pressed(namespace, "suspend")
    wait_for("it is suspended", lambda: (c := namespace.cronjob("daily")) and c["spec"]["suspend"])
    assert pressed(namespace, "suspend")["spec"] == {}
    pressed(namespace, "resume")
    wait_for(
        "it is not", lambda: (c := namespace.cronjob("daily")) and not c["spec"]["suspend"], 60
    )
