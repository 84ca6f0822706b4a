"""The operator dies, hangs or loses its API server: no run is lost or doubled."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable

from hack.testbed.controlplane import API_SERVER, ControlPlane
from hack.testbed.namespace import BATCH, CORE, MERGE, Body, Namespace, report
from hack.testbed.operator import OperatorProcess
from hack.testbed.waiting import wait_for
from report_operator.domain import names
from tests.support.backfills import Kubelet
from tests.support.changes import Change, recorded_changes
from tests.support.proxy import Proxy, Write
from tests.support.restart import restarted

LEASES = "/apis/coordination.k8s.io/v1"
WAITING = 50
AT_ONCE = 3


def test_operator_killed_after_each_write(
    namespace: Namespace, proxy: Proxy, make_operator: Callable[..., OperatorProcess]
) -> None:
    """Each life of the operator does one write without seeing its answer."""
    operator = make_operator(history={"keepSucceededJobs": 0, "keepFailedJobs": 0})

    def die(write: Write) -> bool:
        if write.status >= 300:
            return False
        operator.kill()
        return True

    proxy.after_write = die
    operator.start()
    with restarted(operator) as lives:
        namespace.apply("daily")
        first = namespace.wait_until_observed("daily", 120)["definition"]
        namespace.start("daily", "good")
        namespace.end_pod(namespace.pod_of("good"))
        wait_for("its outcome", lambda: namespace.status("daily").get("runCounts"), 120)
        namespace.start("daily", "bad")
        namespace.apply("daily", report=report(title="Another"))  # while the run waits
        namespace.end_pod(namespace.pod_of("bad"), exit_code=70)
        wait_for(
            "both outcomes, and no Job",
            lambda: (
                sum(namespace.status("daily").get("runCounts", {}).values()) == 2
                and not namespace.jobs()
            ),
            120,
            lambda: (namespace.status("daily"), namespace.jobs()),
        )
        status = namespace.wait_until_observed("daily", 120)
    proxy.after_write = None
    assert lives[0] > 8  # it died after every write indeed
    assert [w for w in proxy.writes if w.status >= 500] == []
    assert sorted(status["runCounts"].values()) == [1, 1]
    assert [run["job"] for run in status["recentRuns"]] == ["good", "bad"]
    assert status["consecutiveFailures"] == 1
    assert len(namespace.list(BATCH, "cronjobs")) == 1
    definitions = {
        body["metadata"]["name"]
        for body in namespace.list(CORE, "configmaps")
        if names.LABEL_UID in (body["metadata"].get("labels") or {})
    }
    assert definitions == {first, status["definition"]}


def test_operator_killed_while_many_runs_wait(
    namespace: Namespace, proxy: Proxy, make_operator: Callable[..., OperatorProcess]
) -> None:
    """None is lost or doubled, the limit always holds, and urgent runs go first."""
    operator = make_operator(
        admission={"maxActive": AT_ONCE}, history={"keepSucceededJobs": 2, "keepFailedJobs": 2}
    )
    operator.start()
    operator.wait_until_leading()
    for name, priority in (("plain", "normal"), ("urgent", "high")):
        namespace.apply(name, concurrencyPolicy="Allow", priority=priority)
        namespace.wait_until_observed(name)
    operator.kill()
    for number in range(WAITING // 2):
        namespace.start("plain", f"plain-{number}")
    for number in range(WAITING // 2):
        namespace.start("urgent", f"urgent-{number}")

    seen = Counter[str]()

    def die_sometimes(write: Write) -> bool:
        seen[write.kind] += 1
        if sum(seen.values()) % 15 == 0:
            operator.kill()
            return True
        return False

    kubelet = Kubelet(namespace)

    def all_succeeded() -> bool:
        counts = [namespace.status(name).get("runCounts", {}) for name in ("plain", "urgent")]
        return counts == [{"Succeeded": WAITING // 2}] * 2

    proxy.after_write = die_sometimes
    with (
        recorded_changes(namespace, BATCH, "jobs") as jobs,
        recorded_changes(namespace, CORE, "pods") as pods,
    ):
        operator.start()
        with restarted(operator) as lives:
            kubelet.work_until("all runs have ended", all_succeeded, 300, operator.log)
            proxy.after_write = None
            wait_for("only the newest Jobs stay", lambda: len(namespace.jobs()) == 4, 60)
        job_changes, pod_changes = jobs.all(), pods.all()
    assert lives[0] > 3
    assert most_active(job_changes) == AT_ONCE
    assert Counter(c.body["metadata"]["labels"]["job-name"] for c in pod_changes if added(c)) == {
        f"{name}-{number}": 1 for name in ("plain", "urgent") for number in range(WAITING // 2)
    }
    admitted = list(dict.fromkeys(c.name for c in job_changes if not c.body["spec"]["suspend"]))
    urgent = [index for index, job in enumerate(admitted) if job.startswith("urgent")]
    assert max(urgent) < WAITING // 2 + AT_ONCE


def added(change: Change) -> bool:
    return change.kind == "ADDED"


def most_active(changes: list[Change]) -> int:
    """The largest number of Jobs that were neither suspended nor finished at the same time."""
    active: set[str] = set()
    most = 0
    for change in changes:
        if change.kind == "DELETED" or change.body["spec"]["suspend"] or finished(change.body):
            active.discard(change.name)
        else:
            active.add(change.name)
        most = max(most, len(active))
    return most


def finished(job: Body) -> bool:
    conditions = job.get("status", {}).get("conditions", ())
    return any(c["type"] in ("Complete", "Failed") and c["status"] == "True" for c in conditions)


def test_standby_takes_over_from_a_killed_leader(
    namespace: Namespace, make_operator: Callable[..., OperatorProcess]
) -> None:
    one, two = make_operator(), make_operator()
    one.start(same_lease=True)
    one.wait_until_leading()
    two.start(same_lease=True)
    wait_for("the other one stands by", lambda: two.health().get("leading") is False, 30, two.log)
    namespace.apply("daily")
    namespace.wait_until_observed("daily")
    assert two.health()["leading"] is False
    one.kill()
    two.wait_until_leading()
    namespace.apply("daily", priority="high")
    namespace.wait_until_observed("daily")


def test_rollout_hands_the_lease_over_at_once(
    namespace: Namespace, make_operator: Callable[..., OperatorProcess]
) -> None:
    one, two = make_operator(leaseSeconds=120), make_operator(leaseSeconds=120)
    one.start(same_lease=True)
    one.wait_until_leading()
    two.start(same_lease=True)
    wait_for("the other one stands by", lambda: two.health().get("leading") is False, 30, two.log)
    assert one.terminate() == 0
    two.wait_until_leading(60)  # half of what a lease that is not given back takes


def test_lease_is_released_on_shutdown_at_any_moment(
    namespace: Namespace, make_operator: Callable[..., OperatorProcess]
) -> None:
    """Also while the stores are down, whose clients take a moment to stop."""
    operator = make_operator(postgresSecret="/nowhere/postgres", redisSecret="/nowhere/redis")
    for life in range(4):
        operator.start(same_lease=True)
        operator.wait_until_leading()
        for number in range(10):
            namespace.apply(f"daily-{number}", report=report(title=f"Life {life}"))
        assert operator.terminate() == 0, operator.log()
        lease = namespace.find(LEASES, "leases", "shared")
        assert lease is not None
        assert lease["spec"]["holderIdentity"] == "", "it is given back"
        assert "ended by itself" not in operator.log()
    operator.start(same_lease=True)
    for number in range(10):
        namespace.wait_until_observed(f"daily-{number}")


def test_deleted_lease_is_made_anew(
    namespace: Namespace, make_operator: Callable[..., OperatorProcess]
) -> None:
    operator = make_operator()
    operator.start(same_lease=True)
    operator.wait_until_leading()
    before = namespace.find(LEASES, "leases", "shared")
    assert before is not None
    namespace.call("DELETE", namespace.path(LEASES, "leases", "shared"))
    after = wait_for(
        "another Lease", lambda: namespace.find(LEASES, "leases", "shared"), 60, operator.log
    )
    assert after["metadata"]["uid"] != before["metadata"]["uid"]
    assert after["spec"]["holderIdentity"] == before["spec"]["holderIdentity"]
    namespace.apply("daily")
    namespace.wait_until_observed("daily")
    assert operator.exit_code is None


def test_lost_lease_ends_the_process(
    namespace: Namespace, make_operator: Callable[..., OperatorProcess]
) -> None:
    operator = make_operator()
    operator.start(same_lease=True)
    operator.wait_until_leading()
    path = namespace.path(LEASES, "leases", "shared")
    taken = {"holderIdentity": "another", "leaseDurationSeconds": 3600}
    namespace.call("PATCH", path, {"spec": taken}, MERGE)
    wait_for("it ends", lambda: operator.exit_code is not None, 60, operator.log)
    assert operator.exit_code != 0
    assert "is held by another" in operator.log()
    operator.start(same_lease=True)  # as a Deployment does
    wait_for("it stands by", lambda: operator.health().get("leading") is False, 60, operator.log)
    namespace.apply("daily")
    namespace.call("PATCH", path, {"spec": {"holderIdentity": ""}}, MERGE)  # given back
    namespace.wait_until_observed("daily", 120)


def test_operator_survives_a_restart_of_the_api_server(
    plane: ControlPlane, namespace: Namespace, operator: OperatorProcess
) -> None:
    namespace.apply("before")
    namespace.wait_until_observed("before")
    plane.kill(API_SERVER)
    wait_for(
        "the operator notices", lambda: "resync:" in operator.log() or "lease" in operator.log(), 60
    )
    plane.launch(API_SERVER)
    plane.wait_until_ready()
    namespace.apply("after")
    # The Deployment starts it again where it gave up its Lease meanwhile.
    with restarted(operator):
        namespace.wait_until_observed("after", 120)
        namespace.apply("before", priority="high")
        namespace.wait_until_observed("before", 120)


def test_run_that_ends_during_an_outage_is_recorded(
    namespace: Namespace, proxy: Proxy, make_operator: Callable[..., OperatorProcess]
) -> None:
    """The outage is shorter than the Lease, so the same process continues."""
    operator = make_operator(leaseSeconds=120)
    operator.start()
    operator.wait_until_leading()
    namespace.apply("daily")
    namespace.wait_until_observed("daily")
    namespace.start("daily", "run-1")
    pod = namespace.pod_of("run-1")
    proxy.cut()
    namespace.end_pod(pod, exit_code=70)
    wait_for("it notices", lambda: "resync:" in operator.log(), 60, operator.log)
    proxy.mend()
    wait_for(
        "the outcome",
        lambda: sum(namespace.status("daily").get("runCounts", {}).values()) == 1,
        90,
        operator.log,
    )
    assert operator.exit_code is None


def test_silent_watches_end_the_process(
    namespace: Namespace, proxy: Proxy, operator: OperatorProcess
) -> None:
    namespace.apply("daily")
    namespace.wait_until_observed("daily")
    proxy.silence_watches()
    priorities = itertools.cycle(("high", "low"))

    def ended() -> bool:
        body = namespace.schedule("daily")
        if body["status"]["observedGeneration"] == body["metadata"]["generation"]:
            namespace.apply("daily", priority=next(priorities))  # only a resync sees it
        return operator.exit_code == 1

    wait_for("it ends, to be started again", ended, 60, operator.log)
    assert "no watch showed it" in operator.log()
