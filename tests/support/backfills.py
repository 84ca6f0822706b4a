"""ReportBackfills in a namespace of a control plane, and a kubelet that ends their runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from hack.testbed.namespace import SCHEDULES, Body, Namespace
from hack.testbed.waiting import wait_for

FINISHED = ("Succeeded", "Failed")
OVER = ("Succeeded", "Failed", "DryRun")


@dataclass(frozen=True)
class Backfills:
    namespace: Namespace

    def path(self, *rest: str) -> str:
        return self.namespace.path(SCHEDULES, "reportbackfills", *rest)

    def ask(self, name: str, first: str, last: str, **spec: Any) -> Body:
        """Create a backfill; of every schedule where `spec` names none."""
        body = {
            "apiVersion": "reports.adaf.io/v1alpha1",
            "kind": "ReportBackfill",
            "metadata": {"name": name},
            "spec": {"startDate": first, "endDate": last, **(spec or {"everySchedule": True})},
        }
        made: Body = self.namespace.call("POST", self.path(), body)
        return made

    def patch(self, name: str, **spec: Any) -> None:
        merge = "application/merge-patch+json"
        self.namespace.call("PATCH", self.path(name), {"spec": spec}, merge)

    def delete(self, name: str) -> None:
        self.namespace.call("DELETE", self.path(name))

    def status(self, name: str) -> Body:
        found: Body = self.namespace.call("GET", self.path(name)).get("status", {})
        return found

    def condition(self, name: str, kind: str) -> Body:
        return next((c for c in self.status(name).get("conditions", ()) if c["type"] == kind), {})

    def wait_for(self, name: str, seconds: float = 60, **expected: Any) -> Body:
        """The status once it has all `expected` fields."""

        def found() -> Body | None:
            status = self.status(name)
            return status if expected.items() <= status.items() else None

        status = wait_for(f"{name}: {expected}", found, seconds, lambda: self.status(name))
        assert status is not None
        return status

    def jobs(self) -> list[Body]:
        """The Jobs of backfills, oldest slot first."""
        found = [
            job
            for job in self.namespace.jobs()
            if "reports.adaf.io/backfill-uid" in job["metadata"]["labels"]
        ]
        return sorted(found, key=lambda job: str(annotation(job, "slot")))


@dataclass
class Kubelet:
    """Ends each pod as soon as it exists, and remembers its Job."""

    namespace: Namespace
    exit_code: Callable[[Body], int] = lambda pod: 0
    ended: list[str] = field(default_factory=list)  # Jobs, in order
    most: int = 0  # pods at once

    def work(self) -> None:
        """End all pods that exist now."""
        live = [p for p in self.namespace.pods() if p["status"]["phase"] not in FINISHED]
        self.most = max(self.most, len(live))
        for pod in live:
            self.namespace.end_pod(pod, self.exit_code(pod))
            self.ended.append(pod["metadata"]["labels"]["job-name"])

    def work_until(
        self, what: str, holds: Callable[[], Any], seconds: float = 120, describe: Any = None
    ) -> None:
        """Work until a condition holds."""

        def probe() -> Any:
            self.work()
            return holds()

        wait_for(what, probe, seconds, describe)


def annotation(body: Body, name: str) -> str | None:
    """An annotation of this project, by the part of its name after the slash."""
    found: str | None = body["metadata"]["annotations"].get(f"reports.adaf.io/{name}")
    return found
