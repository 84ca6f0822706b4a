"""Forged Jobs, pods and CronJobs: each harms at most the schedule that it is written against."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest

from hack.testbed.namespace import BATCH, CORE, MERGE, SCHEDULES, Body, Namespace
from hack.testbed.waiting import UnexpectedError, wait_for
from report_operator.domain import names
from tests.attacks.arena import Arena, wide_gate
from tests.attacks.forged import FORGED, OWN, OWN_UID, VICTIM, VICTIM_UID, Forged
from tests.attacks.vectors import Attacks

SECONDS = 180.0  # for all of them to be seen to again
STEADY = "steady-forged"
TOLD = (
    "runCounts",
    "recentRuns",
    "consecutiveFailures",
    "health",
    "active",
    "queued",
    "lastFailure",
)
PREFIX = {"jobs": BATCH, "cronjobs": BATCH, "pods": CORE}


def _filled(value: Any, places: Mapping[str, str]) -> Any:
    text = json.dumps(value)
    for place, name in places.items():
        text = text.replace(place, name)
    return json.loads(text)


def _merged(base: Body, changes: Mapping[str, Any]) -> Body:
    found = {**base, **changes}
    return {name: value for name, value in found.items() if value is not None}


def _body(forged: Forged, cronjob: Body, name: str) -> Body:
    """Of the operator's making but for what is forged."""
    template = cronjob["spec"]["jobTemplate"]
    annotations = template["metadata"].get("annotations", {})
    owners = []
    if forged.owner:
        owners = [
            {
                "apiVersion": "batch/v1",
                "kind": "CronJob",
                "name": cronjob["metadata"]["name"],
                "uid": cronjob["metadata"]["uid"],
                "controller": True,
            }
        ]
    specs: dict[str, Body] = {
        "jobs": template["spec"],
        "pods": template["spec"]["template"]["spec"],
        "cronjobs": cronjob["spec"],
    }
    labels = {**template["metadata"]["labels"]}
    if forged.kind == "pods":
        labels |= {names.LABEL_JOB_NAME: name, "job-name": name}
    return {
        "metadata": {
            "name": name,
            "annotations": _merged(annotations, forged.annotations),
            "labels": _merged(labels, forged.labels),
            "ownerReferences": owners if forged.kind == "jobs" else [],
        },
        "spec": _merged(specs[forged.kind], forged.spec),
    }


def _write(arena: Arena, forged: Forged, schedule: str, places: Mapping[str, str]) -> bool:
    """Whether the API server took it from the editor."""
    team, editor = arena.attackers, arena.editor
    cronjob = team.cronjob(schedule)
    assert cronjob is not None
    path = team.path(PREFIX[forged.kind], forged.kind)
    name = f"{schedule}-{29000000 + len(schedule)}"
    if forged.patch:
        name = cronjob["metadata"]["name"]
        change = {
            "metadata": {"annotations": forged.annotations, "labels": forged.labels},
            "spec": forged.spec,
        }
        answer = editor.call("PATCH", f"{path}/{name}", _filled(change, places), MERGE)
    else:
        body = _filled(_body(forged, cronjob, name), places)
        answer = editor.call("POST", path, body)
    if answer.code < 300 and forged.status:
        change = {"status": dict(forged.status)}
        answer = editor.call("PATCH", f"{path}/{name}/status", change, MERGE)
    return answer.code < 300


@pytest.fixture
def schedules(arena: Arena) -> Iterator[dict[str, str]]:
    """One for each vector, ready; by its key. The gate lets all of their runs in."""
    arena.start_operator(admission=wide_gate())
    names_of = {vector.key: f"forged-{n}" for n, vector in enumerate(FORGED)}
    team = arena.attackers
    arena.victims.apply(STEADY)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(team.apply, names_of.values()))
    wait_for("all are ready", lambda: not _behind(team), 180, lambda: _behind(team))
    arena.victims.wait_until_observed(STEADY)
    yield names_of
    for prefix, plural in ((SCHEDULES, "reportschedules"), (BATCH, "jobs"), (CORE, "pods")):
        # Without grace: no kubelet confirms that a pod has ended.
        options = "propagationPolicy=Background&gracePeriodSeconds=0"
        arena.plane.api.call("DELETE", f"{team.path(prefix, plural)}?{options}")
    arena.stop_operator()


def _behind(team: Namespace) -> set[str]:
    """Schedules whose newest spec the operator has not judged."""
    return {
        body["metadata"]["name"]
        for body in team.list(SCHEDULES, "reportschedules")
        if (body.get("status") or {}).get("observedGeneration") != body["metadata"]["generation"]
    }


def test_forged_objects(arena: Arena, schedules: dict[str, str], attacks: Attacks) -> None:
    """The operator lives, judges each schedule anew, and the other team's record is the same."""
    team, victims = arena.attackers, arena.victims
    before = victims.status(STEADY)
    victim_uid = victims.schedule(STEADY)["metadata"]["uid"]
    taken: set[str] = set()
    for vector in FORGED:
        name = schedules[vector.key]
        places = {
            OWN_UID: team.schedule(name)["metadata"]["uid"],
            VICTIM_UID: victim_uid,
            OWN: name,
            VICTIM: STEADY,
        }
        if _write(arena, vector.data, name, places):
            taken.add(vector.key)
    _end_runs(arena)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda name: team.apply(name, lateAfter="31m"), schedules.values()))
    with suppress(UnexpectedError):  # those that are behind still are named below
        wait_for(
            "each is judged anew, or the operator has died",
            lambda: arena.operator.exit_code is not None or not _behind(team),
            SECONDS,
        )
    behind, died = _behind(team), arena.operator.exit_code is not None
    arena.revive_operator()
    victims.apply(STEADY, lateAfter="31m")
    after = victims.wait_until_observed(STEADY)
    changed = [told for told in TOLD if after.get(told) != before.get(told)]
    for vector in FORGED:
        how = None
        if schedules[vector.key] in behind:
            how = "its schedule is blind: no word about a new spec"
            how = "the operator died" if died else how
        elif changed and VICTIM_UID in vector.data.labels.values():
            how = f"the other team's {', '.join(changed)} changed"
        attacks.record(vector, how)
    assert len(taken) > len(FORGED) // 2, "most were refused: nothing was tried"
    attacks.judge(FORGED)


def _end_runs(arena: Arena) -> None:
    """Forged runs that were let in fail, until two resyncs bring no further pod."""
    team = arena.attackers
    ended: set[str] = set()

    def none_is_left() -> bool:
        pods = [
            pod
            for pod in team.pods()
            if pod["metadata"].get("ownerReferences") and pod["metadata"]["name"] not in ended
        ]
        if (ended and not pods) or arena.operator.exit_code is not None:
            return True
        for pod in pods:
            team.end_pod(pod, exit_code=78, message="forged")
            ended.add(pod["metadata"]["name"])
        arena.operator.wait_for_resyncs()
        return False

    wait_for("no further run is let in", none_is_left, SECONDS, lambda: f"{len(ended)} so far")
