"""The leader is killed with 1,000 schedules and 1,000 queued runs: admission goes on."""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from pathlib import Path

import pytest

from hack.testbed.controlplane import ControlPlane
from hack.testbed.namespace import BATCH, CORE, Body, Namespace, manual_job
from hack.testbed.operator import OperatorProcess
from hack.testbed.waiting import wait_for
from report_operator.config import OperatorConfig
from tests.support.backfills import Kubelet
from tests.support.chart import run
from tests.support.restart import restarted

SCHEDULES = 1_000
PLACES = 20
ENDED_AFTERWARDS = 60
# From the kill until the pod of another run exists: 15 on a machine of its own, and more on a busy
# one.
SECONDS = 20.0


def create(plane: ControlPlane, namespace: str, bodies: list[Body]) -> None:
    """By kubectl: a Python client takes minutes for thousands of objects."""
    kubectl = ["kubectl", f"--kubeconfig={plane.kubeconfig}", "-n", namespace]
    listing = {"apiVersion": "v1", "kind": "List", "items": bodies}
    done = run(*kubectl, "create", "-f", "-", "-o", "name", text=json.dumps(listing))
    assert done.code == 0, done.err


def fill(namespace: Namespace) -> None:
    """Schedules, and a run of each as its CronJob makes them, all suspended."""
    namespace.apply("model")
    body = namespace.schedule("model")
    of = {key: body[key] for key in ("apiVersion", "kind", "spec")}
    names = [f"report-{number:04d}" for number in range(1, SCHEDULES)]
    create(namespace.plane, namespace.name, [{**of, "metadata": {"name": n}} for n in names])

    def cronjobs() -> list[Body]:
        return namespace.list(BATCH, "cronjobs")

    wait_for("each has its CronJob", lambda: len(cronjobs()) == SCHEDULES, 240)
    runs = [manual_job(body, f"run-{number:04d}") for number, body in enumerate(cronjobs())]
    create(namespace.plane, namespace.name, runs)

    def seen() -> int:
        return sum(has_condition(job) for job in namespace.jobs())

    # Its client makes 20 requests in a second (--kube-api-qps): pods would wait behind these writes
    # for most of a minute, and the figure would be that of the Job controller.
    wait_for("the Job controller has seen each run", lambda: seen() == SCHEDULES, 240)


def has_condition(job: Body) -> bool:
    """Suspended, as the Job controller writes it; also of one that was resumed since."""
    return bool(job["status"].get("conditions"))


def jobs_with_pods(namespace: Namespace) -> Counter[str]:
    label = "batch.kubernetes.io/job-name"
    return Counter(pod["metadata"]["labels"][label] for pod in namespace.pods())


@pytest.mark.timeout(600)
def test_admission_goes_on_after_the_leader_is_killed(
    plane: ControlPlane, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    defaults = OperatorConfig.model_fields
    settings = {
        "leaseSeconds": defaults["lease_seconds"].default,
        "resyncSeconds": defaults["resync_seconds"].default,
        "admission": {"maxActive": PLACES},
    }
    name = "reports"
    plane.api.call("POST", f"{CORE}/namespaces", {"metadata": {"name": name}})
    namespace = Namespace(plane, name)
    leader, standby = (
        OperatorProcess(tmp_path, plane.kubeconfig, name, settings) for _ in range(2)
    )
    try:
        for operator in (leader, standby):
            operator.start(same_lease=True)
        # As a Deployment does: a busy machine may cost a leader its Lease before its time.
        with restarted(leader, same_lease=True), restarted(standby, same_lease=True):
            measure(leader, standby, namespace, capsys)
    finally:
        leader.end()
        standby.end()


def leads(operator: OperatorProcess) -> bool:
    return bool(operator.health().get("leading"))


def measure(
    one: OperatorProcess,
    two: OperatorProcess,
    namespace: Namespace,
    capsys: pytest.CaptureFixture[str],
) -> None:
    wait_for("one leads, the other one stands by", lambda: leads(one) != leads(two), 60, one.log)
    fill(namespace)
    found = wait_for(
        "all places are taken",
        lambda: len(pods := jobs_with_pods(namespace)) == PLACES and pods,
        120,
        one.log,
    )
    before = set(found or ())
    leader, standby = (one, two) if leads(one) else (two, one)
    assert leads(leader)
    assert not leads(standby)

    leader.kill()
    killed = time.monotonic()
    kubelet = Kubelet(namespace)
    kubelet.work()  # the places are free, and nobody is there to give them away
    wait_for("another one leads", lambda: leads(standby) or leads(leader), 60, standby.log)
    led = time.monotonic() - killed
    wait_for("a run is let in", lambda: jobs_with_pods(namespace).keys() - before, 60, standby.log)
    admitted = time.monotonic() - killed
    with capsys.disabled():
        load = os.getloadavg()[0]
        print(
            f"\n1,000 schedules, 1,000 queued runs, leader killed: the other one leads after "
            f"{led:.1f} s, admits after {admitted:.1f} s (load {load:.0f})"
        )
    assert admitted < SECONDS, (led, admitted)

    kubelet.work_until("runs end", lambda: len(kubelet.ended) > ENDED_AFTERWARDS, 120, standby.log)
    assert len(set(kubelet.ended)) == len(kubelet.ended)  # none twice
    assert kubelet.most <= PLACES
    assert set(jobs_with_pods(namespace).values()) == {1}
    jobs = {job["metadata"]["name"] for job in namespace.jobs()}
    assert len(jobs) == SCHEDULES  # none lost: what has not run waits
