"""The operator as a deputy: of authors, and of who may write ConfigMaps."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hack.testbed.namespace import BATCH, CORE, MERGE
from hack.testbed.postgres import write_secret
from hack.testbed.waiting import UnexpectedError, wait_for
from report_runner.contract import pod as podcontract
from tests.attacks import specs
from tests.attacks.arena import ATTACKERS, AUTHOR, RBAC, Arena
from tests.attacks.batch import MIB
from tests.attacks.deputies import ALLOWED_SECRET, BOMBS, DEPUTIES, LIMIT, PRIVATE
from tests.attacks.vectors import Attacks, Vector, Who
from tests.support.runner import Pod

MEMORY = 512 * MIB  # the limit of the operator's container, children included
OTHERS_WAIT = 60.0  # seconds until the other team is seen to, on a busy machine
WORD_SECONDS = 60.0


def _furnish(arena: Arena) -> None:
    team, api = arena.attackers, arena.plane.api
    maps = {
        PRIVATE: {"app.conf": "password: CANARY-of-a-map"},
        "readable": {"app.conf": "<p>{{ title }}</p>"},
        "other-0123456789": {"definition.json": "{}"},
    }
    for name, data in maps.items():
        api.call("POST", team.path(CORE, "configmaps"), {"metadata": {"name": name}, "data": data})
    for name in (ALLOWED_SECRET, "database-root"):
        api.call("POST", team.path(CORE, "secrets"), {"metadata": {"name": name}})
    rule = {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"]}
    names = ["readable", *(f"bomb-{n}" for n in range(len(BOMBS)))]
    role = {"metadata": {"name": "reads-one"}, "rules": [{**rule, "resourceNames": names}]}
    api.call("POST", f"{RBAC}/namespaces/{ATTACKERS}/roles", role)
    subject = {"kind": "User", "name": AUTHOR, "apiGroup": "rbac.authorization.k8s.io"}
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reads-one"}
    binding = {"metadata": {"name": "reads-one"}, "subjects": [subject], "roleRef": reference}
    api.call("POST", f"{RBAC}/namespaces/{ATTACKERS}/rolebindings", binding)


def test_an_author_gets_what_he_may_read(running: Arena, attacks: Attacks) -> None:
    """Refused at apply, or at least no CronJob is made; and nothing of the content is told."""
    _furnish(running)
    path = specs.path_of("ReportSchedule", ATTACKERS)
    allowed = {"template": {"configMapRef": {"name": "readable", "key": "app.conf"}}}
    answer = running.author.call(
        "POST", path, specs.schedule("dep-right", report={**specs.report(**allowed)})
    )
    assert answer.code == 201, answer.message
    running.attackers.wait_for_ready("dep-right", "Ready", 120)
    for number, vector in enumerate(DEPUTIES):
        name = f"dep-{number}"
        answer = running.author.call("POST", path, specs.schedule(name, **vector.data))
        how = None
        if answer.code == 201:
            running.attackers.wait_until_observed(name)
            ready = running.attackers.condition(name, "Ready")
            told = json.dumps(running.attackers.status(name))
            if ready["status"] == "True" or running.attackers.cronjob(name):
                how = "it has a CronJob"
            elif "CANARY" in told or ("app.conf" in told and "nothing" in json.dumps(vector.data)):
                how = f"its status tells of the content: {ready['message']}"
            elif "configMapRef" in json.dumps(vector.data):
                how = "the operator looked into a ConfigMap that the author may not read"
        elif "CANARY" in answer.message or "app.conf" in answer.message.replace("key app.conf", ""):
            how = f"the refusal tells of the content: {answer.message}"
        attacks.record(vector, how)
    attacks.judge(DEPUTIES)


def test_the_policy_lets_through_what_gives_nothing(running: Arena, attacks: Attacks) -> None:
    """Who may not read the Secret may suspend, label and annotate; nobody gains by an edit."""
    team = running.attackers
    (unreadable,) = (v.data for v in DEPUTIES if v.name == "secret-unreadable")
    team.apply("edged", **unreadable)
    path = specs.path_of("ReportSchedule", ATTACKERS, "edged")
    edits: dict[str, tuple[dict[str, Any], bool]] = {
        "suspend": ({"spec": {"suspend": True}}, True),
        "label": ({"metadata": {"labels": {"a": "b"}}}, True),
        "annotate": ({"metadata": {"annotations": {"a": "b"}}}, True),
        "mark": ({"metadata": {"annotations": {"reports.adaf.io/references-checked": "x"}}}, False),
        "query": ({"spec": {"report": specs.report(sources=_loot())}}, False),
        "recipient": (
            {
                "spec": {
                    "delivery": {
                        "email": {
                            "to": ["thief@example.com"],
                            "attach": ["csv"],
                            "smtp": {"secretRef": {"name": ALLOWED_SECRET}},
                        }
                    }
                }
            },
            False,
        ),
    }
    vectors = [Vector("policy-edge", name, Who.AUTHOR, edit) for name, edit in edits.items()]
    for vector in vectors:
        change, may = vector.data
        answer = running.author.call("PATCH", path, change, MERGE)
        wrong = (answer.code < 300) != may
        attacks.record(vector, f"{answer.code} {answer.message}" if wrong else None)
    attacks.judge(vectors)


def _loot() -> list[dict[str, Any]]:
    query = "SELECT * FROM payroll"
    connection = {"secretRef": {"name": ALLOWED_SECRET}}
    return [{"name": "facts", "postgres": {"connection": connection, "query": query}}]


@contextmanager
def _measured(pid: int) -> Iterator[list[int]]:
    """The most bytes that a process and its children had at once."""
    most, stop = [0], threading.Event()

    def look() -> None:
        while not stop.wait(0.1):
            most[0] = max(most[0], _resident(pid))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield most
    finally:
        stop.set()
        thread.join()


def _resident(pid: int) -> int:
    try:
        own = int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except (OSError, IndexError):
        return 0
    return own + sum(_resident(int(child)) for child in children)


def test_templates_that_are_slow_to_compile(running: Arena, attacks: Attacks) -> None:
    """Each costs the operator a bounded amount; the other team is seen to meanwhile."""
    _furnish(running)
    team, victims = running.attackers, running.victims
    victims.apply("beside")
    victims.wait_until_observed("beside", 120)
    for number, vector in enumerate(BOMBS):
        name = f"bomb-{number}"
        data = {"metadata": {"name": name}, "data": {"t": vector.data}}
        assert running.editor.call("POST", team.path(CORE, "configmaps"), data).code == 201
        template = {"configMapRef": {"name": name, "key": "t"}}
        with _measured(running.operator.pid) as most:
            team.apply(name, report=specs.report(template=template))
            before = time.monotonic()
            victims.apply("beside", lateAfter=f"{31 + number}m")
            how = None
            try:
                victims.wait_until_observed("beside", OTHERS_WAIT)
                waited = time.monotonic() - before
                team.wait_until_observed(name, WORD_SECONDS)
            except UnexpectedError as error:
                how = str(error).splitlines()[0]
            if how is None and most[0] > MEMORY:
                how = f"the operator came to {most[0] // MIB} MiB"
            if how is None and waited > OTHERS_WAIT:
                how = f"the other team waited {waited:.0f} s"
        if running.revive_operator():
            how = "the operator died"
        assert team.condition(name, "Ready").get("reason") != "TemplateNotFound"
        attacks.record(vector, how)
        running.plane.api.call("DELETE", specs.path_of("ReportSchedule", ATTACKERS, name))
    assert max(len(v.data.encode()) for v in BOMBS) > LIMIT
    attacks.judge(BOMBS)


# -- the definition that a run reads ----------------------------------------------------------

SWAPS = [
    Vector("definition-swap", name, Who.EDITOR)
    for name in ("run-refuses-other-content", "run-refuses-one-byte", "operator-says-so")
]


def _environment(container: dict[str, Any], annotations: dict[str, str]) -> dict[str, str]:
    """The environment of the pod, as the kubelet fills it."""
    found = {}
    for entry in container.get("env", ()):
        path = entry.get("valueFrom", {}).get("fieldRef", {}).get("fieldPath", "")
        if path.startswith("metadata.annotations['"):
            found[entry["name"]] = annotations.get(path.split("'")[1], "")
        elif "value" in entry:
            found[entry["name"]] = entry["value"]
    return found


def test_a_swapped_definition_is_not_run(running: Arena, attacks: Attacks, tmp_path: Path) -> None:
    """Who may write ConfigMaps changes what a run says, or to whom, only if it is noticed."""
    team = running.attackers
    team.apply("swapped")
    team.wait_for_ready("swapped", "Ready", 120)
    team.start("swapped", "swapped-1")
    pod = team.pod_of("swapped-1")
    (container,) = pod["spec"]["containers"]
    name = team.status("swapped")["definition"]
    config_map = team.find(CORE, "configmaps", name)
    assert config_map is not None
    original = config_map["data"][podcontract.DEFINITION_KEY]
    environment = _environment(container, pod["metadata"].get("annotations", {}))
    assert _run(tmp_path / "right", original, environment) == 0
    swapped = json.loads(original) | {"reportType": "stolen"}
    code = _run(tmp_path / "other", json.dumps(swapped), environment)
    attacks.record(SWAPS[0], "the run used it" if code == 0 else None)
    code = _run(tmp_path / "byte", original + " ", environment)
    attacks.record(SWAPS[1], "the run used it" if code == 0 else None)
    path = team.path(CORE, "configmaps", name)
    assert running.editor.call("DELETE", path).code == 200
    meta = {key: config_map["metadata"][key] for key in ("name", "labels", "ownerReferences")}
    body = {
        "metadata": meta,
        "immutable": True,
        "data": {podcontract.DEFINITION_KEY: json.dumps(swapped)},
    }
    assert running.editor.call("POST", team.path(CORE, "configmaps"), body).code == 201
    attacks.record(SWAPS[2], None if _is_said(running, name) else "nobody says so")
    running.plane.api.call("DELETE", team.path(BATCH, "jobs", "swapped-1"))
    attacks.judge(SWAPS)


def _is_said(arena: Arena, name: str) -> bool:
    """By a condition, or by an Event."""
    team = arena.attackers

    def said() -> bool:
        ready = team.condition("swapped", "Ready")
        events = team.list(CORE, "events")
        told = any(name in e.get("message", "") and e.get("type") == "Warning" for e in events)
        return ready.get("status") == "False" or told

    try:
        wait_for("somebody says so", said, 120)
    except UnexpectedError:
        return False
    return True


def _run(root: Path, definition: str, environment: dict[str, str]) -> int:
    here = Pod(root)
    root.mkdir()
    (root / podcontract.DEFINITION_KEY).write_text(definition)
    write_secret(here.secrets / "none", {})
    code, _, _ = here.run(**environment)
    return code
