"""Each way to fail, caused for real: all surfaces name the cause and the runbook's remedy.

The causes are a table (`causes.py`). All are caused at once, each is looked for on every surface,
and what can be mended is mended and run again, which shows that it was the cause.
"""

from __future__ import annotations

import html
import json
import re
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest

from admin_cli.forward import Installation, port_forward
from hack.testbed.waiting import wait_for
from tests.e2e.causes import CAUSES, ROOT, Cause, Scene, ghost_name, lose_node
from tests.e2e.conftest import CLAIM, SECONDS, Team, kubectl

RELEASE = "report-scheduler"
OPERATOR = "deploy/report-scheduler-adaf-report-scheduler"
LONG = 3 * SECONDS
_LINK = re.compile(r"\[([^]]*)\]\(#[^)]*\)")
_PLACE = re.compile(r'docs/runbook\.md, "([^"]*)"')  # a link of the runbook in the API's answer


@dataclass(frozen=True)
class Api:
    url: str

    def ask(self, method: str, path: str, body: Any = None) -> tuple[int, str]:
        request = urllib.request.Request(
            self.url + path, method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )  # fmt: skip
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def get(self, path: str) -> Any:
        code, text = self.ask("GET", path)
        assert code == 200, (path, code, text)
        return json.loads(text)

    def page(self, path: str) -> str:
        """What a reader sees: the text, with the links' targets."""
        code, text = self.ask("GET", path)
        assert code == 200, (path, code)
        links = " ".join(re.findall(r'href="([^"]+)"', text))
        return _flat(html.unescape(re.sub(r"<[^>]+>", "", text)) + " " + links)


def _flat(text: str) -> str:
    return " ".join(text.replace("`", "").split())


@dataclass(frozen=True)
class Row:
    """A reason's row in the runbook, as plain text."""

    meaning: str
    action: str

    def of(self, team: Team, cause: Cause) -> str:
        """The action with the names in its commands."""
        text = self.action.replace("-n reports ", f"-n {team.namespace} ")
        return re.sub(r"\bJOB\b", cause.job, re.sub(r"\bNAME\b", cause.name, text))


def runbook_rows() -> dict[str, Row]:
    """The table below "Failure reasons" in docs/runbook.md."""
    text = (ROOT / "docs" / "runbook.md").read_text().partition("### Failure reasons")[2]
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \| (.*) \|$", text.partition("\n## ")[0], re.MULTILINE)
    plain = [(name, *(_flat(_LINK.sub(r"\1", part)) for part in rest)) for name, *rest in rows]
    return {name: Row(meaning, action) for name, meaning, action in plain}


@pytest.fixture
def scene(make_team: Callable[..., Team]) -> Iterator[Scene]:
    made = Scene(make_team(), make_team("bounded", "1Mi"), make_team("none", "100Mi"))
    volume = f"roving-{made.roving.namespace}"
    spec = {
        "accessModes": ["ReadWriteOnce"],
        "capacity": {"storage": "100Mi"},
        "storageClassName": "none",
        "hostPath": {"path": f"/nonexistent/{volume}"},  # nothing is ever started on it
        "claimRef": {"namespace": made.roving.namespace, "name": CLAIM},
    }
    body = {"apiVersion": "v1", "kind": "PersistentVolume", "spec": spec}
    kubectl("create", "-f", "-", text=json.dumps({**body, "metadata": {"name": volume}}))
    try:
        yield made
    finally:
        policies = f"images-{made.team.namespace}"
        for kind, name in (
            ("mutatingadmissionpolicybinding", policies),
            ("mutatingadmissionpolicy", policies),
            ("node", ghost_name(made)),
            ("persistentvolume", volume),
        ):
            kubectl("delete", kind, name, "--ignore-not-found", "--wait=false")
        script = "rmdir /tmp/maintenance/* 2>/dev/null; true"
        kubectl("-n", "demo", "exec", "deploy/api", "--", "sh", "-c", script)


@pytest.fixture
def api() -> Iterator[Api]:
    with port_forward(Installation(RELEASE, RELEASE, None)) as url:
        yield Api(url)


def test_every_cause_is_seen_everywhere(
    scene: Scene, api: Api, record_property: Callable[[str, object], None]
) -> None:
    cause_all(scene, api)
    wait_for_all(scene)
    rows = runbook_rows()
    metrics = operator_metrics()
    lost: dict[str, dict[str, list[str]]] = {}
    with ThreadPoolExecutor(4) as pool:
        for cause, found in zip(
            CAUSES, pool.map(lambda c: look(scene, api, c, rows, metrics), CAUSES), strict=True
        ):
            if found:
                lost[cause.name] = found
    assert not lost, json.dumps(lost, indent=1, ensure_ascii=False)
    half = [
        name for team in scene.teams for name in team.files() if name.endswith((".tmp", ".html"))
    ]
    assert half == []  # of the report that found no room either
    mend_all(scene, api)
    for cause in CAUSES:
        record_property("failure cause", f"{cause.name} ({cause.reason.value})")


def cause_all(scene: Scene, api: Api) -> None:
    """Start a run of each, and do what has to be done while it is under way."""
    for secret in ("report-db", "report-smtp", "report-api", "report-s3"):
        scene.team.copy_secret(secret)
    for cause in CAUSES:
        if cause.prepare is not None:
            cause.prepare(scene)
    for cause in CAUSES:
        cause.where(scene).apply_unobserved(cause.name, **cause.spec(scene))
    by_name = {cause.name: cause for cause in CAUSES}
    scene.team.start("queue", "queue-0")  # no node takes it, and the next run waits for it
    for cause in CAUSES:
        cause.where(scene).start(cause.name, cause.job)
    purge(scene.team, api, by_name["queue"])
    lose_node(scene, by_name["node"])


def purge(team: Team, api: Api, cause: Cause) -> None:
    """Give up the run that waits, as on-call does."""

    def waiting() -> dict[str, Any] | None:
        listed = api.get("/api/admin/scheduler/queue?limit=100")["queue"]
        mine = (run for run in listed if run["id"].startswith(f"{team.namespace}.{cause.name}."))
        return next(mine, None)

    run = wait_for("the run waits", waiting, SECONDS)
    assert run is not None
    body = {"older_than_hours": 0, "ids": [run["id"]]}
    code, text = api.ask("POST", "/api/admin/scheduler/queue/cleanup", body)
    assert (code, json.loads(text)["jobs"]) == (200, [run["id"]])


def statuses(scene: Scene) -> dict[str, dict[str, Any]]:
    """By schedule; their names differ between the namespaces."""
    found: dict[str, dict[str, Any]] = {}
    for team in scene.teams:
        for body in json.loads(team.kubectl("get", "reportschedules", "-o", "json"))["items"]:
            found[body["metadata"]["name"]] = body.get("status", {})
    return found


def wait_for_all(scene: Scene) -> None:
    def open_ones() -> list[str]:
        known = statuses(scene)
        return [c.name for c in CAUSES if not (_told(known.get(c.name, {}), c)).get("reason")]

    def describe() -> object:
        pods = [team.kubectl("get", "pods,jobs", check=False) for team in scene.teams]
        return open_ones(), *pods

    wait_for("each run has its reason", lambda: not open_ones(), LONG, describe)


def _told(status: dict[str, Any], cause: Cause) -> dict[str, Any]:
    found: dict[str, Any] = status.get("lastFailure" if cause.starts else "pending") or {}
    return found


def operator_metrics() -> list[str]:
    script = "import urllib.request as u; print(u.urlopen('http://localhost:9090/metrics').read().decode())"
    command = ("exec", OPERATOR, "-c", "operator", "--", "python3", "-c", script)
    return kubectl("-n", RELEASE, *command).splitlines()


def look(
    scene: Scene, api: Api, cause: Cause, rows: dict[str, Row], metrics: list[str]
) -> dict[str, list[str]]:
    """What each surface lacks; surfaces that lack nothing are left out."""
    team = cause.where(scene)
    status = team.status(cause.name)
    told = _told(status, cause)
    message = told["message"]
    row = rows[cause.reason.value]
    action = row.of(team, cause)
    base = f"{team.namespace}/{cause.name}"
    condition = next(c for c in status["conditions"] if c["type"] == "Failing")
    event = "RunFailed" if cause.starts else "RunNotStarting"
    events = [text for reason, text in team.events(cause.name) if reason == event]
    detail = api.get(f"/api/admin/schedules/{base}")
    problem = detail["problems"][0]
    page = api.page(f"/schedules/{base}")
    slot = re.sub(r"[-:]", "", told["slot"])
    surfaces: dict[str, tuple[str, tuple[str, ...]]] = {
        "status": (
            f"{told['reason']} {message} / {status['explanation']}",
            (cause.reason.value, *cause.says, f"{cause.reason.value}: slot"),
        ),
        "event": ("\n".join(events), (cause.job, *event_parts(cause, message))),
        "API": (
            _PLACE.sub(r"\1", f"{problem['cause']} {problem['remedy']} {detail['explanation']}"),
            (problem["command"], message, action),
        ),
        "page": (
            page,
            (cause.reason.value, _flat(message), row.meaning, action, "#failure-reasons"),
        ),
        "page Now": (api.page("/"), (f"/schedules/{base}", cause.reason.value)),
        "runbook": (row.meaning + row.action, ()),
    }  # fmt: skip
    lost = {
        name: [f"{part!r} is not in {text[:3000]!r}" for part in parts if part not in text]
        for name, (text, parts) in surfaces.items()
    }
    if problem["reason"] != cause.reason.value:
        lost["API"].append(f"the reason is {problem['reason']}")
    if cause.starts:
        health = (
            condition["status"], condition["reason"], status["health"], status["lastOutcome"],
            status["consecutiveFailures"],
        )  # fmt: skip
        if health != ("True", cause.reason.value, "Failing", "Failed", 1):
            lost["status"].append(f"conditions and columns say {health}")
        lost["job"], lost["dead letters"] = ended_run(
            api, f"{base.replace('/', '.')}.{slot}.1", cause, message
        )
        lost["metrics"] = counted(metrics, team, cause)
    return {name: parts for name, parts in lost.items() if parts}


def event_parts(cause: Cause, message: str) -> tuple[str, ...]:
    """What keeps a run from starting is said once, in the words of the first moment."""
    return (
        (f"{cause.reason.value}: {message}",) if cause.starts else (cause.reason.value, *cause.says)
    )


def ended_run(api: Api, identity: str, cause: Cause, message: str) -> tuple[list[str], list[str]]:
    """What the job of the API lacks, and what the list of dead letters does."""
    job = api.get(f"/api/admin/scheduler/jobs/{identity}")
    found = (job["status"], job["reason"], job["error_message"])
    right = ("failed", cause.reason.value, message)
    letters = api.get("/api/admin/scheduler/dead-letters?limit=500")["dead_letters"]
    mine = [(x["reason"], x["error_message"]) for x in letters if x["id"] == identity]
    return (
        [] if found == right else [f"{found}"],
        [] if mine == [right[1:]] else [f"{identity}: {mine}"],
    )


def counted(metrics: list[str], team: Team, cause: Cause) -> list[str]:
    """What the metrics lack of one failed run."""
    labels = (f'namespace="{team.namespace}"', f'reportschedule="{cause.name}"')
    mine = [line for line in metrics if all(label in line for label in labels)]
    outcome = (f'reason="{cause.reason.value}"', 'result="Failed"')
    runs = [
        line
        for line in mine
        if line.startswith("report_scheduler_runs_total") and all(part in line for part in outcome)
    ]
    failed = [line for line in mine if line.startswith("report_scheduler_last_run_failed")]
    wrong = [line for line in (*runs, *failed) if float(line.rpartition(" ")[2]) != 1]
    return wrong if runs and failed else [f"no series: {mine}"]


def mend_all(scene: Scene, api: Api) -> None:
    """Mend what can be, press retry, and find no trace of the failure."""
    mended = [cause for cause in CAUSES if cause.mend is not None]
    for cause in mended:
        assert cause.mend is not None
        cause.mend(scene)
    for name in ("postgres", "mariadb"):
        scene.team.kubectl("rollout", "status", f"deployment/{name}", "--timeout=180s")
    for cause in mended:
        slot = re.sub(r"[-:]", "", scene.team.status(cause.name)["lastFailure"]["slot"])
        path = f"/api/admin/scheduler/jobs/{scene.team.namespace}.{cause.name}.{slot}.1/retry"
        code, text = api.ask("POST", path)
        assert code == 202, (cause.name, code, text)

    def unwell() -> dict[str, Any]:
        known = statuses(scene)
        return {c.name: known[c.name] for c in mended if known[c.name].get("health") != "Healthy"}

    wait_for("what was mended is well", lambda: not unwell(), LONG, unwell)
    for cause in mended:
        detail = api.get(f"/api/admin/schedules/{scene.team.namespace}/{cause.name}")
        assert detail["problems"] == [], cause.name
        assert scene.team.status(cause.name)["lastOutcome"] == "Succeeded"
        assert scene.team.status(cause.name).get("explanation") is None
