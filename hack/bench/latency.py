"""Delay until a run is admitted and until its end is recorded, beside a plain CronJob's delay.

    python -m hack.bench.latency [--runs 100]

A real etcd, API server, controllers and PostgreSQL on loopback, without a node: this program ends
the pods itself, so that only the operator is measured. Runs end at 100 a minute; meanwhile slots
come due, half of them of ReportSchedules, half of plain CronJobs.

"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hack.testbed.controlplane import ControlPlane
from hack.testbed.namespace import BATCH, CORE, SCHEDULES, Namespace
from hack.testbed.operator import OperatorProcess
from hack.testbed.postgres import postgres_server
from hack.testbed.waiting import wait_for

NAMESPACE = "bench"
DUE = 25  # schedules of each kind that come due every minute
VISIBLE_LIMIT = 1.0  # seconds
ADMITTED_LIMIT = 0.3  # seconds more than a plain CronJob
PLAIN = "plain-"


@dataclass
class Seen:
    """When something was first seen, by Job name: seconds since the epoch."""

    created: dict[str, float] = field(default_factory=dict)
    admitted: dict[str, float] = field(default_factory=dict)
    finished: dict[str, float] = field(default_factory=dict)
    in_status: dict[str, float] = field(default_factory=dict)
    in_history: dict[str, float] = field(default_factory=dict)
    over: threading.Event = field(default_factory=threading.Event)

    def job(self, body: dict[str, Any]) -> None:
        now, name = time.time(), body["metadata"]["name"]
        self.created.setdefault(name, now)
        if not body["spec"].get("suspend"):
            self.admitted.setdefault(name, now)
        for condition in body.get("status", {}).get("conditions", ()):
            if condition["type"] == "Complete" and condition["status"] == "True":
                self.finished.setdefault(name, now)

    def schedule(self, body: dict[str, Any]) -> None:
        now = time.time()
        for run in body.get("status", {}).get("recentRuns", ()):
            self.in_status.setdefault(run["job"], now)


def watch(plane: ControlPlane, path: str, tell: Callable[[dict[str, Any]], None]) -> None:
    """Pass each event's object to `tell`, in a thread, for as long as this program lives."""

    def follow() -> None:
        for line in _events(plane, path):
            tell(json.loads(line)["object"])

    threading.Thread(target=follow, daemon=True).start()


def _events(plane: ControlPlane, path: str) -> Iterator[bytes]:
    api = plane.api
    request = urllib.request.Request(f"{api.host}{path}?watch=1", headers=api.headers)  # noqa: S310
    with urllib.request.urlopen(request, context=api.tls) as stream:  # noqa: S310
        yield from stream


def follow_history(server: Any, database: str, seen: Seen) -> None:
    """Poll every 20 ms which Jobs are in history."""

    def follow() -> None:
        with server.admin(database) as connection:
            while not seen.over.wait(0.02):
                rows = connection.execute("SELECT job FROM report_scheduler.runs").fetchall()
                now = time.time()
                for (name,) in rows:
                    seen.in_history.setdefault(name, now)

    threading.Thread(target=follow, daemon=True).start()


def plain_cronjob(name: str) -> dict[str, Any]:
    """A CronJob that the operator does not own."""
    container = {"name": "none", "image": "localhost/none:bench"}
    template = {"spec": {"restartPolicy": "Never", "containers": [container]}}
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"schedule": "* * * * *", "jobTemplate": {"spec": {"template": template}}},
    }


def percentile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)]


def line(what: str, values: list[float], note: str = "") -> float:
    """Print p50 and p99; returns p99."""
    high = percentile(values, 0.99)
    middle = percentile(values, 0.5)
    print(f"{what:34} n={len(values):4}  p50 {middle:6.3f} s  p99 {high:6.3f} s  {note}")
    return high


def end_runs(space: Namespace, count: int, seen: Seen) -> None:
    """Start and end `count` runs, 100 a minute."""
    begun = time.monotonic()
    for number in range(count):
        name = f"by-hand-{number}"
        space.start("busy", name)
        space.end_pod(space.pod_of(name))
        time.sleep(max(begun + 0.6 * (number + 1) - time.monotonic(), 0))
    names = {f"by-hand-{number}" for number in range(count)}
    for known in (seen.finished, seen.in_status, seen.in_history):
        wait_for("all are known", lambda known=known: names <= known.keys(), 120)


def slot_of(job: str) -> float:
    """The slot of a CronJob's Job, whose name ends with the minute: seconds since the epoch."""
    return int(job.rpartition("-")[2]) * 60.0


def main() -> int:
    """Print the numbers; exit code 1 where a limit is exceeded."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=100)
    args = parser.parse_args()
    seen = Seen()
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        plane = ControlPlane(directory)
        stack.callback(plane.stop)
        plane.start()
        server = stack.enter_context(postgres_server())
        secret = server.make_database(directory)
        plane.api.call("POST", f"{CORE}/namespaces", {"metadata": {"name": NAMESPACE}})
        space = Namespace(plane, NAMESPACE)
        operator = OperatorProcess(
            directory,
            plane.kubeconfig,
            NAMESPACE,
            {"postgresSecret": str(secret), "admission": {"maxActive": 1000}, "resyncSeconds": 120},
        )
        stack.callback(operator.end)
        operator.start()
        operator.wait_until_leading()
        wait_for("history is there", lambda: _tables(server, secret.name))
        watch(plane, space.path(BATCH, "jobs"), seen.job)
        watch(plane, space.path(SCHEDULES, "reportschedules"), seen.schedule)
        follow_history(server, secret.name, seen)
        space.apply("busy", concurrencyPolicy="Allow")
        for number in range(DUE):
            space.apply(f"due-{number}", schedule="* * * * *")
            space.call("POST", space.path(BATCH, "cronjobs"), plain_cronjob(f"{PLAIN}{number}"))
        space.wait_until_observed("busy")
        began = datetime.now(UTC)
        end_runs(space, args.runs, seen)
        # A whole minute's slots, of both kinds, lie behind us.
        wait_for("slots came due", lambda: len(_slots(seen, "due-", began)) >= DUE, 150)
        ours = _slots(seen, "due-", began)
        plain = _slots(seen, PLAIN, began)
        print(
            f"{args.runs} runs that end, 100 a minute, while {DUE} + {DUE} slots come due a minute"
        )
        done = [name for name in seen.finished if name.startswith("by-hand-")]
        visible = [
            line("Job finished -> in status", [seen.in_status[n] - seen.finished[n] for n in done]),
            line(
                "Job finished -> in history",
                [seen.in_history[n] - seen.finished[n] for n in done],
                f"(limit {VISIBLE_LIMIT} s)",
            ),
        ]
        line("slot -> Job of a plain CronJob", [seen.created[n] - slot_of(n) for n in plain])
        line("slot -> ReportSchedule's admitted", [seen.admitted[n] - slot_of(n) for n in ours])
        # The CronJob controller makes some ten Jobs a second, one after another, whosever they
        # are: what a ReportSchedule takes longer than a plain CronJob is the gate.
        gate = line(
            "  of this, Job made -> admitted",
            [seen.admitted[n] - seen.created[n] for n in ours],
            f"(limit {ADMITTED_LIMIT} s more than a plain CronJob)",
        )
        seen.over.set()
    return int(max(visible) > VISIBLE_LIMIT or gate > ADMITTED_LIMIT)


def _tables(server: Any, database: str) -> bool:
    with server.admin(database) as connection:
        found = connection.execute("SELECT to_regclass('report_scheduler.runs')").fetchone()
    return bool(found and found[0])


def _slots(seen: Seen, prefix: str, began: datetime) -> list[str]:
    """Admitted Jobs of slots after `began`."""
    return [
        name
        for name in list(seen.admitted)
        if name.startswith(prefix) and slot_of(name) > began.timestamp()
    ]


if __name__ == "__main__":
    sys.exit(main())
