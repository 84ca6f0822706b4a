"""On call's minute: whatever failed, the first screen says what to know, and all three agree.

The screens are `kubectl describe` (status and Events), the card of the page, and `report-scheduler
why`; each has the cause, since when, who is affected, and the next command.
"""

from __future__ import annotations

import html
import json
import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
import yaml
from factories import MINUTE, SLOT, fresh_status, make_entry, make_run, schedule_body, update_at
from snapshots import snapshot_of
from test_pages_http import KnownCluster, Site

from admin_api.services.cache import Snapshot
from admin_api.services.jobs import read_schedule
from report_operator.api.v1alpha1.status import ReportScheduleStatus
from report_operator.domain.names import ANNOTATION_OWNER
from report_operator.domain.runs.cause import Cause
from report_operator.domain.runs.outcomes import RunHistory
from report_operator.domain.runs.run import Run
from report_operator.domain.schedules.observation import ReadyProblem, RefusedSlot
from report_operator.domain.schedules.problems import brief_of
from report_operator.domain.schedules.transitions import transitions
from report_operator.domain.times import format_time
from report_runner.contract.reasons import Reason

OWNER = "the risk desk <risk@example.com>"
BODY = schedule_body(
    {"delivery": {"email": {"to": ["a@x.org", "b@x.org"],
                            "smtp": {"secretRef": {"name": "report-smtp"}}}}}
)  # fmt: skip
BODY["metadata"].setdefault("annotations", {})[ANNOTATION_OWNER] = OWNER
NOT_FAILURES = {Reason.HOLIDAY, Reason.CONDITION_FALSE, Reason.UNCHANGED}
ENDED = SLOT + 5 * MINUTE
NOW = SLOT + 10 * MINUTE

# Texts as the runner, Kubernetes and the operator write them.
CAUSES = {
    Reason.DATABASE_UNAVAILABLE: "sources[rows]: the database db.internal:5432 (Secret report-db) "
    "cannot be reached: connection refused",
    Reason.RESOURCE_EXHAUSTED: "killed for memory (OOMKilled) at its limit of 512Mi: raise "
    "spec.resources.limits.memory, or ask for fewer rows",
    Reason.STORAGE_UNAVAILABLE: "2026/11/24/reports_daily.pdf cannot be written: No space left on "
    "device",
    Reason.EXTERNAL_SOURCE_UNAVAILABLE: "sources[rates]: rates.example.com does not answer within "
    "30 s",
    Reason.CONFIGURATION_ERROR: "spec.report.sources[rows].postgres.query line 2, column 3: column "
    '"amont" does not exist',
    Reason.QUEUE_TIMEOUT: "purged from the queue on request of kim, after more than 24 h; retry it "
    "if the report is still needed",
    Reason.TIMEOUT: "a try took longer than 20m (spec.timeout), in stage sources",
    Reason.DATA_CHECK_FAILED: "checks[total]: 3 rows have no amount <b>",
    Reason.DATA_NOT_READY: "waitFor[loaded]: no row until 07:30, the deadline",
    Reason.DATA_CORRUPTED: "sources.a.query: invalid page in block 0 of relation base/16390/16391 "
    "[SQLSTATE XX001]",
    Reason.EMPTY_REPORT: "no source has a row; set spec.report.allowEmpty to true where that is no "
    "fault",
    Reason.DELIVERY_FAILED: "1 of 2 recipients did not get it: b@x.org: 550 mailbox unavailable",
    Reason.IMAGE_UNAVAILABLE: "the image localhost/none:tests cannot be pulled: not found; could "
    "not start within 10 s",
    Reason.NODE_LOST: "node worker-2 went away under the run",
    Reason.QUOTA_EXCEEDED: "ResourceQuota none: exceeded quota: none, requested: pods=1, used: "
    "pods=0, limited: pods=0: raise spec.hard of it",
    Reason.LIMIT_RANGE_VIOLATED: "maximum memory usage per Container is 512Mi, but limit is 1Gi: "
    "set spec.resources.limits.memory to at most 512Mi",
    Reason.POD_SECURITY_VIOLATED: 'violates PodSecurity "restricted:latest": '
    "allowPrivilegeEscalation != false",
    Reason.ADMISSION_DENIED: 'admission webhook "guard.example.com" denied the request: no',
    Reason.OBJECT_NOT_FOUND: "create PriorityClass absent, or correct "
    "config.runner.priorityClassName",
    Reason.UNSCHEDULABLE: "0/3 nodes are available: 3 Insufficient memory: lower "
    "spec.resources.requests.memory",
    Reason.CONTAINER_NOT_STARTED: "container has runAsNonRoot and image will run as root",
    Reason.PREEMPTED: "preempted by a pod of higher priority",
    Reason.JOB_DELETED: "its Job was deleted before it had ended: generate the report of its date",
    Reason.INTERNAL_ERROR: "KeyError in tables.py:12, stage render; the pod's log has more",
}  # fmt: skip


def test_no_reason_is_left_out() -> None:
    assert set(CAUSES) == set(Reason) - NOT_FAILURES - {Reason.REPLACED}  # a slot is late by it


@dataclass(frozen=True)
class Screens:
    """What three ways of looking show, as text; `problem` is the API's gravest one."""

    describe: str
    page: str
    why: str
    problem: dict[str, Any]
    explanation: str  # of status

    def each(self) -> dict[str, str]:
        return {"describe": self.describe, "page": self.page, "why": self.why}


class OneSchedule(KnownCluster):
    """A cluster with just this schedule."""

    body: dict[str, Any]

    async def snapshot(self, *, fresh: Any = ()) -> Snapshot:
        return snapshot_of([read_schedule(self.body)], self.runs)


def look(status: ReportScheduleStatus, *runs: Run) -> Screens:
    cluster = OneSchedule(runs=list(runs))
    cluster.body = {**BODY, "status": status.to_wire()}
    told = [f"{e.kind} {e.reason} {e.message}" for e in transitions(fresh_status(), status)]
    wide = 10_000
    describe = yaml.safe_dump(cluster.body["status"], width=wide) + "\n".join(told)
    site = Site(cluster)
    detail = json.loads(site.get("/api/admin/schedules/reports/daily", accept="*/*").text)
    card = site.get("/").text.partition('id="attention"')[2].partition("</article>")[0]
    instants = " ".join(re.findall(r'<time datetime="([^"]+)"', card))
    text = html.unescape(re.sub(r"<[^>]+>", "", card))
    return Screens(
        describe,
        " ".join(f"{text} {instants}".split()),
        detail["explanation"],
        detail["problems"][0],
        status.explanation or "",
    )


def check(screens: Screens, *parts: str) -> None:
    """Each screen has all parts, and the three say the same."""
    command = screens.problem["command"]
    assert re.match(r"(report-scheduler|kubectl) ", command)
    everywhere = (
        *parts, screens.problem["reason"], screens.problem["since"], command, "reports/daily",
        OWNER, "2 recipients",
    )  # fmt: skip
    for name, text in screens.each().items():
        lost = [part for part in everywhere if part not in text]
        assert not lost, (name, lost, text)
    head, _, tail = screens.explanation.partition(". Affected: ")
    affected, _, following = tail.partition(". Next: ")
    assert f" is {head}. Affected: {affected}. " in screens.why
    assert screens.why.endswith(f" Next: {following}")
    assert f"Affected: {affected}" in screens.page
    assert f"Next: {command}" in screens.page
    assert following == command
    assert "NAME" not in screens.why + screens.page
    assert "JOB" not in screens.why + screens.page


@pytest.mark.parametrize("reason", CAUSES)
def test_failure(reason: Reason) -> None:
    entry = make_entry("1", reason, message=CAUSES[reason], finished_at=ENDED)
    status = update_at(NOW, history=RunHistory((entry,), {}), brief=brief_of(BODY)).status
    screens = look(status)
    assert screens.problem["kind"] == "failing"
    assert screens.problem["since"] == format_time(ENDED)
    check(screens, reason.value, CAUSES[reason], format_time(SLOT), entry.job)


def test_failures_in_a_row_are_since_the_first() -> None:
    day = timedelta(days=1)
    entries = tuple(
        make_entry(str(n), Reason.DATABASE_UNAVAILABLE, slot=SLOT - n * day,
                   finished_at=ENDED - n * day)
        for n in (2, 1, 0)
    )  # fmt: skip
    status = update_at(NOW, history=RunHistory(entries, {}), brief=brief_of(BODY)).status
    screens = look(status)
    assert screens.problem["since"] == format_time(ENDED - 2 * day)
    check(screens, "3 runs failed in a row", format_time(SLOT))


def test_replaced_runs_are_a_late_slot() -> None:
    entry = make_entry("1", Reason.REPLACED, message="the next slot's run replaced it",
                       finished_at=ENDED)  # fmt: skip
    late = SLOT + timedelta(hours=2)
    status = update_at(late, history=RunHistory((entry,), {}), brief=brief_of(BODY)).status
    screens = look(status)
    assert (screens.problem["kind"], screens.problem["reason"]) == ("late", "Replacing")
    check(screens, "was replaced by the next", format_time(SLOT))


def test_late_slot_without_a_job() -> None:
    status = update_at(SLOT + timedelta(hours=1), brief=brief_of(BODY)).status
    screens = look(status)
    assert (screens.problem["kind"], screens.problem["reason"]) == ("late", "NotCreated")
    check(screens, "no Job was created for it", format_time(SLOT), "describe cronjob daily")


def test_late_run_that_waits_in_the_queue() -> None:
    run = make_run()
    status = update_at(SLOT + timedelta(hours=1), runs=[run], brief=brief_of(BODY)).status
    check(look(status, run), "Queued", run.name, format_time(SLOT), "report-scheduler queue")


def test_refused_job_of_a_slot() -> None:
    refused = RefusedSlot(SLOT, Cause(Reason.QUOTA_EXCEEDED, "exceeded quota: jobs"))
    status = update_at(NOW, refused=refused, brief=brief_of(BODY)).status
    screens = look(status)
    assert screens.problem["kind"] == "not starting"
    check(screens, "QuotaExceeded", "exceeded quota: jobs", format_time(SLOT))


def test_definition_that_is_not_in_effect() -> None:
    problem = ReadyProblem("TemplateNotFound", "create ConfigMap pages")  # type: ignore[arg-type]
    status = update_at(SLOT - MINUTE, problem=problem, brief=brief_of(BODY)).status
    screens = look(status)
    assert screens.problem["kind"] == "not ready"
    check(screens, "TemplateNotFound", "create ConfigMap pages")


def test_nothing_is_explained_where_nothing_is_wrong() -> None:
    done = make_entry("1")
    status = update_at(NOW, history=RunHistory((done,), {}), brief=brief_of(BODY)).status
    assert status.explanation is None
