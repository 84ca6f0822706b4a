"""A namespace of a control plane, with the actions of a team and of the kubelet."""

from __future__ import annotations

import builtins
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from hack.testbed.controlplane import ControlPlane
from hack.testbed.waiting import UnexpectedError, wait_for
from report_operator.domain import names

SCHEDULES = "/apis/reports.adaf.io/v1alpha1"
BATCH = "/apis/batch/v1"
CORE = "/api/v1"
MERGE = "application/merge-patch+json"
Body = dict[str, Any]


@dataclass(frozen=True)
class Namespace:
    plane: ControlPlane
    name: str

    def call(self, method: str, path: str, body: Any = None, kind: str = "application/json") -> Any:
        answer = self.plane.api.call(method, path, body, kind)
        if answer.code >= 400:
            raise UnexpectedError(f"{method} {path}: {answer.message}")
        return answer.body

    def path(self, prefix: str, plural: str, *rest: str) -> str:
        return "/".join([prefix, "namespaces", self.name, plural, *rest])

    def find(self, prefix: str, plural: str, name: str) -> Body | None:
        answer = self.plane.api.call("GET", self.path(prefix, plural, name))
        return answer.body if answer.code == 200 else None

    def list(self, prefix: str, plural: str) -> list[Body]:
        return list(self.call("GET", self.path(prefix, plural))["items"])

    # -- what a team does -------------------------------------------------------------------

    def apply(self, name: str, **spec: Any) -> None:
        """Apply a ReportSchedule that never comes due by itself, with these changes of its spec."""
        body = {
            "apiVersion": "reports.adaf.io/v1alpha1",
            "kind": "ReportSchedule",
            "metadata": {"name": name, "namespace": self.name},
            "spec": {
                "reportType": "executive_dashboard",
                "schedule": "0 0 1 1 *",
                "timeZone": "Europe/Madrid",
                "retry": {"limit": 0},
                "report": report(),
                **spec,
            },
        }
        path = self.path(SCHEDULES, "reportschedules", name)
        self.call(
            "PATCH", f"{path}?fieldManager=team&force=true", body, "application/apply-patch+yaml"
        )

    def schedule(self, name: str) -> Body:
        found: Body = self.call("GET", self.path(SCHEDULES, "reportschedules", name))
        return found

    def status(self, name: str) -> Body:
        found: Body = self.schedule(name).get("status", {})
        return found

    def condition(self, name: str, kind: str) -> Body:
        return next((c for c in self.status(name).get("conditions", ()) if c["type"] == kind), {})

    def wait_until_observed(self, name: str, seconds: float = 60) -> Body:
        """The status once the operator has reconciled the newest spec."""
        wait_for(
            f"{name} is reconciled",
            lambda: (
                (body := self.schedule(name)).get("status", {}).get("observedGeneration")
                == body["metadata"]["generation"]
            ),
            seconds,
            lambda: self.status(name),
        )
        return self.status(name)

    def wait_for_ready(self, name: str, reason: str, seconds: float = 60) -> Body:
        """The condition Ready once it has this reason."""
        return wait_for(
            f"{name}: {reason}",
            lambda: (c := self.condition(name, "Ready")).get("reason") == reason and c,
            seconds,
            lambda: self.status(name),
        )  # type: ignore[return-value]

    def cronjob(self, name: str) -> Body | None:
        return self.find(BATCH, "cronjobs", names.cronjob_name(name))

    def start(self, schedule: str, job: str) -> None:
        """`kubectl create job JOB --from=cronjob/SCHEDULE`."""
        cronjob = self.cronjob(schedule)
        assert cronjob is not None
        self.call("POST", self.path(BATCH, "jobs"), manual_job(cronjob, job))

    def jobs(self) -> builtins.list[Body]:
        return self.list(BATCH, "jobs")

    # -- what a kubelet does ----------------------------------------------------------------

    def pods(self) -> builtins.list[Body]:
        return self.list(CORE, "pods")

    def end_pod(self, pod: Body, exit_code: int = 0, message: str = "") -> None:
        """Write the status of a pod whose container has ended."""
        now = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
        ended = {
            "exitCode": exit_code,
            "reason": "Error" if exit_code else "Completed",
            "startedAt": now,
            "finishedAt": now,
            "message": message,
        }
        status = {
            "phase": "Failed" if exit_code else "Succeeded",
            "containerStatuses": [
                {
                    "name": "report",
                    "image": "none",
                    "imageID": "",
                    "ready": False,
                    "restartCount": 0,
                    "state": {"terminated": ended},
                }
            ],
        }
        path = self.path(CORE, "pods", pod["metadata"]["name"], "status")
        self.call("PATCH", path, {"status": status}, MERGE)

    def pod_of(self, job: str) -> Body:
        """The pod of a run, once the Job controller has created it."""

        def made() -> Body | None:
            label = "batch.kubernetes.io/job-name"
            return next((p for p in self.pods() if p["metadata"]["labels"][label] == job), None)

        found = wait_for(f"a pod of {job}", made, 60, self.jobs)
        assert found is not None
        return found


def manual_job(cronjob: Body, name: str) -> Body:
    """The Job that `kubectl create job NAME --from=cronjob/...` makes."""
    template, meta = cronjob["spec"]["jobTemplate"], cronjob["metadata"]
    made = template["metadata"]
    owner = {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "name": meta["name"],
        "uid": meta["uid"],
        "controller": True,
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": name,
            "labels": made["labels"],
            "annotations": {**made["annotations"], "cronjob.kubernetes.io/instantiate": "manual"},
            "ownerReferences": [owner],
        },
        "spec": template["spec"],
    }


def report(**changes: Any) -> Body:
    """`spec.report` with inline data."""
    return {
        "title": "A test",
        "sources": [{"name": "facts", "inline": {"rows": [{"a": 1, "b": "x"}]}}],
        "template": {"builtin": "executive_dashboard"},
        "formats": ["csv"],
        **changes,
    }
