"""The page as a browser gets it: headers, forms, errors, and a cluster that does not answer."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any, cast
from urllib.parse import quote, urlencode

import pytest
from factories import MINUTE, SLOT, make_entry, make_run, schedule_body
from fastapi import FastAPI
from snapshots import snapshot_of

from admin_api.app import make_app
from admin_api.auth.tokens import Denied, Tokens
from admin_api.dependencies import get_attempts, get_backfills
from admin_api.schemas.attempts import GenerateRequest
from admin_api.schemas.backfills import (
    Backfill,
    BackfillRequest,
    Backfills,
    BackfillsQuery,
    CancelledBackfill,
)
from admin_api.schemas.jobs import Job, JobsQuery
from admin_api.schemas.status import Check
from admin_api.services.attempts import AttemptService
from admin_api.services.audit import Audit
from admin_api.services.backends import Backends
from admin_api.services.backfill_requests import describe
from admin_api.services.cache import Snapshot
from admin_api.services.cluster import Cluster, Leader
from admin_api.services.files import FileServers
from admin_api.services.history_client import HistoryClient
from admin_api.services.jobs import ScheduleSummary, read_schedule
from admin_api.web.html import HEADERS
from report_operator.adapters.kube.client import ApiError
from report_operator.api.v1alpha1.conditions import ConditionType
from report_operator.api.v1alpha1.status import (
    Condition,
    LastFailure,
    ReportScheduleStatus,
    ScheduleHealth,
)
from report_operator.domain import names
from report_operator.domain.admission.limits import AdmissionLimits
from report_operator.domain.runs.attempts import Attempt
from report_operator.domain.runs.run import Run
from report_operator.domain.schedules.calendar import Calendar
from report_runner.contract.reasons import Reason
from tests.support.asgi import Reply, ask

HOSTILE = '<script>alert(1)</script>"><img src=x>'
FAILED = make_entry("1", Reason.CONFIGURATION_ERROR, message=HOSTILE)
SCHEDULE = "/schedules/reports/daily"
RUN = "/runs/reports.daily.20261124T050000Z.1"
DOWN = ApiError(500, "", "etcd has no leader")


@dataclass
class KnownCluster:
    """In place of the API server; `error` is what it answers from now on."""

    error: Exception | None = None
    log_error: Exception | None = None
    entries: Sequence[Any] = (FAILED,)
    runs: list[Run] = field(default_factory=list)
    purged: list[str] = field(default_factory=list)
    spec: dict[str, Any] = field(default_factory=lambda: schedule_body()["spec"])

    def _serve(self) -> None:
        if self.error is not None:
            raise self.error

    async def leader(self) -> Leader:
        self._serve()
        return Leader("a", "u", SLOT, SLOT, 15, 1.0, stopping=False)

    async def refresh(self, *schedules: tuple[str, str]) -> Snapshot:
        return await self.snapshot()

    async def calendar(self, schedule: ScheduleSummary) -> Calendar | None:
        self._serve()
        return schedule.calendar

    async def purge(self, run: Run, hours: float, requested_by: str) -> None:
        self.purged.append(run.name)

    async def record(self, *_: Any) -> None:
        """As Audit does."""

    async def snapshot(self, *, fresh: Any = ()) -> Snapshot:
        self._serve()
        failing = Condition(
            type=ConditionType.FAILING, status="True", reason="x", message=HOSTILE,
            last_transition_time=SLOT,
        )  # fmt: skip
        failure = LastFailure(
            time=SLOT, reason=Reason.TIMEOUT, message=HOSTILE, job="daily-1", slot=SLOT
        )
        status = ReportScheduleStatus(
            recent_runs=list(self.entries), conditions=[failing], last_failure=failure
        ).model_dump(mode="json", by_alias=True, exclude_none=True)
        return snapshot_of([read_schedule({**schedule_body(), "status": status})], self.runs)

    async def spec_of(self, namespace: str, name: str) -> dict[str, Any]:
        self._serve()
        return self.spec

    async def log_tail(self, job: Job, runs: Sequence[Run]) -> list[str]:
        self._serve()
        if self.log_error is not None:
            raise self.log_error
        return ["one line", HOSTILE]


@dataclass
class Site:
    cluster: KnownCluster = field(default_factory=KnownCluster)
    tokens: Any = None
    servers: FileServers = field(  # none is installed
        default_factory=lambda: FileServers(cast(Any, None), None, (None,))
    )
    audit: Any = None
    backend_checks: list[Check] = field(default_factory=list)
    app: FastAPI = field(init=False)

    def __post_init__(self) -> None:
        attempts = AttemptService(
            cast(Cluster, self.cluster), cast(Any, None), self.audit, self.now
        )
        self.app = make_app(
            attempts, cast(Backends, self), self.servers, cast(Any, None),
            cast(Tokens, self.tokens), limits=AdmissionLimits(overall=1), start_grace=MINUTE,
        )  # fmt: skip

    async def checks(self) -> list[Check]:
        """As Backends does."""
        return self.backend_checks

    @staticmethod
    def now() -> Any:
        return SLOT + 10 * MINUTE

    def get(self, target: str, **more: str) -> Reply:
        return ask(self.app, "GET", target, **more)

    def post(self, target: str, fields: dict[str, Any], **more: str) -> Reply:
        kind = "application/x-www-form-urlencoded"
        body = urlencode(fields, doseq=True)
        return ask(self.app, "POST", target, body=body, **{"content-type": kind, **more})


@pytest.fixture
def site() -> Site:
    return Site()


def token_of(reply: Reply) -> tuple[str, str]:
    """The token of a form, and the cookie that goes with it."""
    found = re.search(r'name="token" value="([0-9a-f]+)"', reply.text)
    assert found
    return found[1], reply.headers["set-cookie"].partition(";")[0]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ApiError(500, "", "no preferred addresses found; known addresses: []"), "no preferred"),
        (TimeoutError(), "TimeoutError"),
    ],
)
def test_log_of_a_node_that_is_lost_hides_nothing_else(error: Exception, said: str) -> None:
    site = Site(KnownCluster(log_error=error))
    page = site.get(RUN)
    assert page.status == 200
    assert f"cannot be read: {said}" in page.text
    detail = site.get(RUN.replace("/runs/", "/api/admin/scheduler/jobs/"), accept="*/*")
    job = json.loads(detail.text)
    assert (detail.status, job["reason"], job["log"]) == (200, "ConfigurationError", [])
    assert any(said in note for note in job["degraded"])


@pytest.mark.parametrize("path", ["/", RUN, f"{RUN}/retry", "/schedules", SCHEDULE, "/nothing"])
def test_every_page_has_the_content_security_policy(site: Site, path: str) -> None:
    reply = site.get(path)
    assert reply.status == (404 if path == "/nothing" else 200)
    for name, value in HEADERS.items():
        assert reply.headers[name.lower()] == value
    assert "default-src 'none'" in reply.headers["content-security-policy"]
    assert not re.search(r"<style|<script(?! src)|\sstyle=|\son[a-z]+=|javascript:", reply.text)


@pytest.mark.parametrize("path", ["/", RUN, f"{RUN}/retry", SCHEDULE, f"/runs/{HOSTILE}"])
def test_texts_of_others_are_escaped(site: Site, path: str) -> None:
    text = site.get(path).text
    assert "<script>alert" not in text
    assert "<img src=x" not in text
    if path != f"/runs/{HOSTILE}":
        assert "&lt;script&gt;alert(1)" in text


def test_static_files_are_immutable_under_hashed_names(site: Site) -> None:
    urls = re.findall(r'(?:src|href)="(/static/[^"]+)"', site.get("/").text)
    assert {url.rpartition(".")[2] for url in urls} == {"svg", "css", "js"}
    for url in urls:
        reply = site.get(url)
        assert reply.status == 200
        assert "immutable" in reply.headers["cache-control"]
        assert reply.headers["x-content-type-options"] == "nosniff"
    assert site.get("/static/page.css").status == 404
    assert site.get("/static/..%2fbase.html").status == 404


def test_waiting_runs_are_given_up_as_listed() -> None:
    cluster = KnownCluster(runs=[make_run(slot=SLOT + MINUTE)])
    site = Site(cluster, audit=cluster)
    assert "No run waits that long" in site.get("/queue/cleanup").text
    assert 'href="/queue/cleanup"' in site.get("/").text
    page = site.get("/queue/cleanup?older_than_hours=0&tier=critical&namespace=")
    assert "Give up 1 waiting run?" in page.text
    fields = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', page.text))
    assert {"older_than_hours": "0.0", "tier": "critical"}.items() <= fields.items()
    cluster.runs.append(make_run(name="later", uid="later", slot=SLOT + 2 * MINUTE))
    _, cookie = token_of(page)
    done = site.post("/queue/cleanup", {**fields, "id": [fields["id"], "x.y.z.1"]}, cookie=cookie)
    assert (done.status, done.headers["location"]) == (303, "/?purged=1&left=1")
    assert cluster.purged == ["daily-29924940"]
    assert "1 did not wait any more and goes on" in site.get(done.headers["location"]).text
    del fields["id"]
    assert site.post("/queue/cleanup", fields, cookie=cookie).status == 422
    assert len(cluster.purged) == 1


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        (f"{RUN}/retry", {"key": "k"}),
        ("/dead-letters/retry", {"id": "x"}),
        ("/generate", {"type": "executive_dashboard", "date": "2026-11-24"}),
        ("/queue/cleanup", {"older_than_hours": "0", "id": "x"}),
    ],
)
def test_form_without_its_token_is_refused(site: Site, path: str, fields: Any) -> None:
    token, cookie = token_of(site.get(f"{RUN}/retry"))
    other, _ = token_of(Site().get(f"{RUN}/retry"))
    for sent, more in [
        (fields, {}),
        (fields, {"cookie": cookie}),
        ({**fields, "token": token}, {}),
        ({**fields, "token": token}, {"cookie": "report-scheduler-visitor=another"}),
        ({**fields, "token": other}, {"cookie": cookie}),
        ({**fields, "token": "é"}, {"cookie": cookie}),
    ]:
        reply = site.post(path, sent, **more)
        assert reply.status == 403
        assert "nothing was done" in reply.text


def test_cookie_is_httponly_and_samesite_strict(site: Site) -> None:
    reply = site.get(f"{RUN}/retry")
    assert re.search(r"; HttpOnly;.*SameSite=strict", reply.headers["set-cookie"])
    token, cookie = token_of(reply)
    again = site.get(f"{RUN}/retry", cookie=cookie)
    assert "set-cookie" not in again.headers  # a second tab leaves the forms of the first alone
    assert token in again.text


def test_errors_are_html_for_browsers_and_problem_documents_otherwise(site: Site) -> None:
    for path in ("/runs/none", "/api/admin/scheduler/jobs/none", "/?status=gone", "/?cursor=%21"):
        page = site.get(path)
        assert page.headers["content-type"].startswith("text/html")
        problem = site.get(path, accept="*/*")
        assert problem.headers["content-type"] == "application/problem+json"
        assert problem.status == page.status
    assert "status" in site.get("/?status=gone").text


def test_refused_browser_gets_the_port_forward_command() -> None:
    class NoTokens:
        async def authenticate(self, *_: str) -> Denied:
            return Denied(401, "a bearer token is needed")

    for tokens, status in ((None, 403), (NoTokens(), 401)):
        reply = Site(tokens=tokens).get("/", client="10.0.0.7")
        assert reply.status == status
        assert reply.headers["content-type"].startswith("text/html")
        assert "kubectl -n report-scheduler port-forward" in reply.text


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:3000", 200),
        ("127.0.0.1", 200),
        ("[::1]:3000", 200),
        ("LocalHost:80", 200),
        ("[::1]evil.example", 421),
        ("[::1]:3000.evil.example", 421),
        ("localhost:evil", 421),
        ("localhost:3000:80", 421),
        ("localhost.evil.example", 421),
        ("me@localhost", 421),
        ("localhost/x", 421),
        ("", 421),
    ],
)
def test_only_loopback_hosts_are_accepted(site: Site, host: str, status: int) -> None:
    assert ask(site.app, "GET", "/", host=host).status == status


@pytest.mark.parametrize(
    ("method", "mode", "dest", "status"),
    [
        ("GET", "navigate", "document", 200),
        ("GET", "navigate", "iframe", 403),
        ("GET", "no-cors", "image", 403),
        ("GET", "cors", "empty", 403),
        ("POST", "navigate", "document", 403),
    ],
)
def test_other_sites_may_only_link(
    site: Site, method: str, mode: str, dest: str, status: int
) -> None:
    more = {"sec-fetch-site": "cross-site", "sec-fetch-mode": mode, "sec-fetch-dest": dest}
    assert ask(site.app, method, "/", **more).status == status


def test_page_before_the_first_snapshot(site: Site) -> None:
    site.cluster.error = DOWN
    reply = site.get("/")
    assert reply.status == 200
    assert "etcd has no leader" in reply.text
    assert "Scheduler: unknown" in reply.text
    assert site.get("/schedules").status == 200
    assert site.get(RUN).status == 503
    assert "etcd has no leader" in site.get(RUN).text


def test_last_snapshot_is_shown_during_an_outage(site: Site) -> None:
    site.get("/")
    site.cluster.error = TimeoutError()
    for path in ("/", "/fragments/now", "/fragments/runs", RUN):
        reply = site.get(path)
        assert reply.status == 200
        assert "it does not answer in time" in reply.text
    assert "shows the state of" in site.get("/").text
    assert "ConfigurationError" in site.get(RUN).text
    site.cluster.error = None
    assert "does not answer" not in site.get("/").text


def test_unavailable_backend_is_named(site: Site) -> None:
    site.backend_checks = [Check(name="redis", ok=False, latency_ms=1, reason="connection refused")]
    text = site.get("/").text
    assert "Scheduler: degraded" in text
    assert "redis: connection refused" in text


def test_page_of_a_run(site: Site) -> None:
    text = site.get(RUN).text
    assert "The message names the field" in text  # the remedy
    assert "one line" in text
    assert "kubectl -n reports logs job/daily-1" in text
    assert f'href="{RUN}/retry"' in text


def test_retried_run_links_to_the_later_attempt(site: Site) -> None:
    site.cluster.entries = (FAILED, make_entry("2", attempt=2, outputs=["2026/a b.pdf"]))
    text = site.get(RUN).text
    assert f'href="{RUN[:-1]}2"' in text
    assert "/retry" not in text
    assert 'href="/api/admin/reports/files/reports/2026/a%20b.pdf"' in site.get(f"{RUN[:-1]}2").text
    refused = site.get(f"{RUN}/retry")
    assert refused.status == 409
    assert "succeeded" in refused.text


def test_recent_runs_are_filtered_and_paginated(site: Site) -> None:
    site.cluster.entries = [
        make_entry(str(n), Reason.TIMEOUT, slot=SLOT + n * MINUTE) for n in range(30)
    ]
    first = site.get("/fragments/runs?status=failed&report_type=").text
    assert first.count('<th role="rowheader"') == 25
    older = re.search(r'id="older" href="/\?([^"#]+)', first)
    assert older
    query = older[1].replace("&amp;", "&")
    assert "status=failed" in query
    assert site.get(f"/fragments/runs?{query}").text.count('<th role="rowheader"') == 5
    assert "No runs match" in site.get("/fragments/runs?status=succeeded").text


@dataclass
class RecordedBackfills:
    """In place of BackfillService: remembers what it was asked for."""

    requests: list[tuple[dict[str, Any], str]] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)
    listed: list[Backfill] = field(default_factory=list)
    cancelled: list[tuple[str, str, str]] = field(default_factory=list)

    async def list_newest(self, query: BackfillsQuery) -> Backfills:
        return Backfills(backfills=self.listed[: query.limit])

    async def plan_cancelling(
        self, namespace: str, name: str
    ) -> tuple[Backfill, CancelledBackfill]:
        planned = CancelledBackfill(
            namespace=namespace, name=name, progress="1/3", removed=["a"], going_on=["b", "c"],
            dry_run=True, message="m",
        )  # fmt: skip
        return self.listed[0], planned

    async def cancel(self, namespace: str, name: str, requested_by: str) -> CancelledBackfill:
        self.cancelled.append((namespace, name, requested_by))
        return (await self.plan_cancelling(namespace, name))[1]

    async def make(
        self, wanted: BackfillRequest, requested_by: str, key: str | None
    ) -> SimpleNamespace:
        self.requests.append((wanted.model_dump(mode="json"), requested_by))
        self.keys.append(key)
        made = SimpleNamespace(namespace="reports", name="backfill-1")
        return SimpleNamespace(backfills=[made], refused=[SimpleNamespace(namespace="leaving")])


def test_backfill_form_is_reviewed_before_it_is_sent(site: Site) -> None:
    recorded = RecordedBackfills()
    site.app.dependency_overrides[get_backfills] = lambda: recorded
    token, cookie = token_of(site.get("/backfill"))
    filled_in = {
        "token": token,
        "start_date": "2026-11-20",
        "end_date": "2026-11-22",
        "report_types": ["critical", "positions"],
        "reprocess": "failed",
    }
    review = site.post("/backfill", filled_in, cookie=cookie)
    assert (review.status, recorded.requests) == (200, [])
    assert "3 days" in review.text
    fields = re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', review.text)
    done = ask(
        site.app, "POST", "/backfill", body=urlencode(fields), cookie=cookie,
        **{"content-type": "application/x-www-form-urlencoded", "x-on-call": "ana"},
    )  # fmt: skip
    place = "/backfill?made=reports%2Fbackfill-1&refused=leaving"
    assert (done.status, done.headers["location"]) == (303, place)
    assert recorded.keys == [dict(fields)["key"]]
    assert recorded.requests == [
        (
            {
                "start_date": "2026-11-20",
                "end_date": "2026-11-22",
                "report_types": ["critical", "positions"],
                "reprocess": "failed",
                "dry_run": False,
                "max_concurrent": 2,
                "namespace": None,
                "schedule": None,
            },
            "claimed: ana (loopback)",
        )
    ]
    told = site.get(done.headers["location"]).text
    assert "backfill-1 is created" in told
    assert "No ReportBackfill in leaving" in told
    for wrong, said in [
        ({"end_date": "2026-11-19"}, "is before start_date"),
        ({"report_types": []}, "report_types"),
        ({"start_date": ""}, "start_date"),
    ]:
        refused = site.post("/backfill", {**filled_in, **wrong}, cookie=cookie)
        assert refused.status == 422
        assert said in refused.text
    assert len(recorded.requests) == 1


def test_backfills_are_listed_with_progress_and_how_to_cancel(site: Site) -> None:
    recorded = RecordedBackfills()
    site.app.dependency_overrides[get_backfills] = lambda: recorded
    assert "No backfills." in site.get("/backfill").text
    body = {
        "metadata": {
            "namespace": "reports", "name": "b-1", "creationTimestamp": "2026-11-24T05:00:00Z",
            "annotations": {names.ANNOTATION_REQUESTED_BY: HOSTILE},
        },
        "spec": {"startDate": "2026-11-01", "endDate": "2026-11-20", "tiers": ["critical"]},
        "status": {"state": "Running", "progress": "37/120", "total": 120, "done": 37, "failed": 2},
    }  # fmt: skip
    recorded.listed = [describe(body)]
    for path in ("/backfill", "/fragments/backfills"):
        text = site.get(path).text
        assert "37/120, 2 failed" in text
        assert '<progress max="120" value="37"' in text
        assert 'href="/backfills/reports/b-1/cancel"' in text
        assert "<script>alert" not in text
    path = "/backfills/reports/b-1/cancel"
    page = site.get(path)
    assert "1 run that waits is removed" in page.text
    assert "2 under way go on, and will be recorded" in page.text
    assert "<script>alert" not in page.text
    token, cookie = token_of(page)
    for wrong in ({}, {"token": "x"}):
        assert site.post(path, wrong, cookie=cookie).status == 403
    assert recorded.cancelled == []
    done = site.post(path, {"token": token}, cookie=cookie)
    assert (done.status, len(recorded.cancelled)) == (303, 1)
    told = site.get(done.headers["location"]).text
    assert "reports/b-1 is cancelled: 1 waiting run is removed" in told


def test_page_of_a_schedule_has_its_definition_folded(site: Site) -> None:
    query = "SELECT isin,\n  amount\nFROM positions\n"
    site.cluster.spec = {
        "reportType": "positions",
        "report": {"title": HOSTILE, "sources": [{"name": "rows", "postgres": {
            "query": query, "connection": {"secretRef": {"name": "report-db"}}}}]},
        "delivery": {"email": {"to": ["José <j@x.org>"]}},
    }  # fmt: skip
    text = site.get(SCHEDULE).text
    declared = text.partition('<details id="declaration">')[2].partition("</details>")[0]
    for part in ("query: |", "      SELECT isin,\n", "name: report-db", "José &lt;j@x.org&gt;"):
        assert part in declared
    assert "<script>alert" not in text
    assert "reportType" not in declared
    site.cluster.spec = {"report": {"rows": "x" * 200_000}}
    assert "more characters" in site.get(SCHEDULE).text
    site.cluster.error = DOWN
    reply = site.get(SCHEDULE)
    assert (reply.status, "The definition cannot be read" in reply.text) == (200, True)


def test_history_of_a_schedule_is_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[JobsQuery] = []

    async def page(_: HistoryClient, query: JobsQuery) -> tuple[list[Job], list[str]]:
        asked.append(query)
        return [], []

    monkeypatch.setattr(HistoryClient, "page", page)
    assert Site().get(SCHEDULE).status == 200
    assert [(q.namespace, q.schedule, q.report_type) for q in asked] == [("reports", "daily", None)]


def test_page_of_a_schedule(site: Site) -> None:
    text = site.get(SCHEDULE).text
    assert "06:00 Europe/Madrid" in text
    assert "reports.adaf.io daily" in text  # a command
    assert site.get(SCHEDULE.replace("schedules", "fragments/schedules")).status == 200
    missing = site.get(f"/schedules/{quote(HOSTILE, safe='')}/x")
    assert missing.status == 404
    assert "<script>alert" not in missing.text


def failing_body(name: str, entry: Any, **spec: Any) -> dict[str, Any]:
    """A schedule that fails by this outcome."""
    failing = Condition(
        type=ConditionType.FAILING, status="True", reason=entry.reason, message="",
        last_transition_time=SLOT,
    )  # fmt: skip
    failure = LastFailure(
        time=entry.finished_at, reason=entry.reason, message=entry.message, job=entry.job,
        slot=entry.slot,
    )  # fmt: skip
    status = ReportScheduleStatus(
        health=ScheduleHealth.FAILING, recent_runs=[entry], conditions=[failing],
        last_failure=failure,
    )  # fmt: skip
    sent = status.model_dump(mode="json", by_alias=True, exclude_none=True)
    return {**schedule_body(spec, name=name, uid=f"uid-{name}"), "status": sent}


@dataclass
class ManyFail(KnownCluster):
    """Three schedules that one database fails; it makes the Jobs of further attempts."""

    runs: list[Run] = field(default_factory=list)

    async def snapshot(self, *, fresh: Any = ()) -> Snapshot:
        bodies = [
            failing_body(
                name,
                make_entry(
                    f"{name}-1", Reason.DATABASE_UNAVAILABLE, job=f"{name}-1", message="refused"
                ),
            )
            for name in ("a", "b", "c")
        ]
        bodies.append(failing_body("d", make_entry("d-1", Reason.CONFIGURATION_ERROR, job="d-1")))
        return snapshot_of([read_schedule(body) for body in bodies], self.runs)

    async def create_attempt(
        self, schedule: ScheduleSummary, attempt: Attempt, requested_by: str
    ) -> None:
        name = f"{schedule.name}-{attempt.number}"
        self.runs.append(
            make_run(
                name=name, uid=name, schedule=schedule.name, schedule_uid=schedule.uid,
                slot=attempt.slot, attempt=attempt.number, manual=True,
            )
        )  # fmt: skip

    async def record(self, *_: Any) -> None:
        """As Audit does."""


def test_group_is_retried_as_a_whole_and_once() -> None:
    cluster = ManyFail()
    site = Site(cluster)
    attempts = site.app.state.services.attempts
    site.app.dependency_overrides[get_attempts] = lambda: replace(
        attempts, audit=cast(Audit, cluster)
    )
    page = site.get("/").text
    assert "3 reports: DatabaseUnavailable" in page
    assert "<b>4</b> failing" in page
    link = re.search(r'href="(/problems/[0-9a-f]+/retry)"', page)
    assert link
    question = site.get(link[1])
    assert "Try 3 runs again?" in question.text
    assert cluster.runs == []
    token, cookie = token_of(question)
    ids = re.findall(r'name="id" value="([^"]+)"', question.text)
    sent = {"token": token, "id": ids}
    done = site.post("/dead-letters/retry", sent, cookie=cookie)
    assert done.headers["location"] == "/?retried=3&refused=0&before=0"
    assert [run.name for run in cluster.runs] == ["a-2", "b-2", "c-2"]
    # Again from the same form: while they run, and when they have failed once more.
    for change in ({}, {"finished_at": SLOT + MINUTE, "failed_condition": "BackoffLimitExceeded"}):
        cluster.runs = [replace(run, **change) for run in cluster.runs]
        again = site.post("/dead-letters/retry", sent, cookie=cookie)
        assert again.headers["location"] == "/?retried=0&refused=0&before=3"
        assert len(cluster.runs) == 3
    assert "nothing more was done" in site.get("/?retried=0&refused=0&before=3").text
    assert site.get("/problems/0123456789abcdef/retry").status == 404


def test_list_of_schedules_is_filtered_without_scripts() -> None:
    site = Site(ManyFail())
    everything = site.get("/schedules").text
    assert everything.count('<th role="rowheader"') == 4
    listed = site.get("/schedules?text=&state=failing&reason=ConfigurationError&sort=name").text
    assert listed.count('<th role="rowheader"') == 1
    assert "1 of 4 in all" in listed
    assert 'href="/schedules/reports/d"' in listed
    assert "No schedules match" in site.get("/schedules?state=late").text
    assert site.get("/schedules?state=gone").status == 422
    assert site.get("/schedules?page=7").text.count('<th role="rowheader"') == 0
    assert "<script>alert" not in site.get(f"/schedules?text={quote(HOSTILE)}").text


@dataclass
class RecordedAttempts:
    """In place of AttemptService: remembers what it was asked for."""

    wanted: list[GenerateRequest] = field(default_factory=list)

    async def generate(self, wanted: GenerateRequest, who: str, key: str | None) -> Any:
        self.wanted.append(wanted)
        return SimpleNamespace(id="reports.daily.20261124T050000Z.2")


def test_form_of_a_report_offers_to_send_it_again_and_to_take_the_place_of_a_slot() -> None:
    site, recorded = Site(), RecordedAttempts()
    site.app.dependency_overrides[get_attempts] = lambda: recorded
    monday = site.get("/generate?namespace=reports&schedule=daily")
    token, cookie = token_of(monday)
    assert 'name="resend" value="all"' in monday.text
    assert "instead_of_slot" not in monday.text  # today's only slot, 06:00, has come
    fields = {"token": token, "key": "k", "type": "executive_dashboard", "namespace": "reports",
              "schedule": "daily", "date": "2026-11-24", "priority": "high"}  # fmt: skip
    assert site.post("/generate", fields, cookie=cookie).status == 303
    both = {**fields, "resend": "all", "instead_of_slot": "true"}
    assert site.post("/generate", both, cookie=cookie).status == 303
    assert [(w.resend, w.instead_of_slot) for w in recorded.wanted] == [
        (None, False), ("all", True)
    ]  # fmt: skip
