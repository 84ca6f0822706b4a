"""One team does its worst, all at once; the other team's slots are delivered in time."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

from hack.testbed.namespace import BATCH, CORE, SCHEDULES
from hack.testbed.waiting import UnexpectedError, wait_for
from tests.attacks import specs
from tests.attacks.arena import ATTACKERS, Arena, send
from tests.attacks.deputies import BOMBS
from tests.attacks.vectors import Attacks, Vector, Who

SCHEDULES_AT_ONCE = 200
JOBS = 100
SLOTS = 2  # of the other team that have to be delivered while the attack goes on
LATE_AFTER = timedelta(minutes=2)
ENDED = ("Succeeded", "Failed")
NEIGHBOUR = Vector("neighbour", "slots-in-time", Who.AUTHOR)
NO_DELAY = Vector("neighbour", "no-delay-in-status", Who.AUTHOR)
ALIVE = Vector("neighbour", "operator-lives", Who.AUTHOR)


def _attack(arena: Arena) -> None:
    """All at once; a refusal is no error."""
    path = specs.path_of("ReportSchedule", ATTACKERS)
    every_minute: dict[str, Any] = {
        "schedule": "* * * * *",
        "priority": "high",
        "tier": "critical",
        "concurrencyPolicy": "Allow",
    }

    def make(number: int) -> None:
        body = specs.schedule(f"flood-{number}", **every_minute)
        arena.author.call("POST", path, body)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(make, range(SCHEDULES_AT_ONCE)))
    for vector in specs.DEEP:
        send(arena.author, "POST", path, vector.data[1])
    for number, vector in enumerate(BOMBS):
        body = {"metadata": {"name": f"bomb-{number}"}, "data": {"t": vector.data}}
        arena.editor.call("POST", arena.attackers.path(CORE, "configmaps"), body)
        template = {"configMapRef": {"name": f"bomb-{number}", "key": "t"}}
        report = specs.report(template=template)
        arena.plane.api.call("POST", path, specs.schedule(f"bomb-{number}", report=report))
    cronjob = wait_for("a CronJob to copy", lambda: arena.attackers.cronjob("flood-0"), 120)
    template = cronjob["spec"]["jobTemplate"]
    owner = {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "name": cronjob["metadata"]["name"],
        "uid": cronjob["metadata"]["uid"],
        "controller": True,
    }
    for number in range(JOBS):
        meta = {"name": f"hostile-{number}", **template["metadata"], "ownerReferences": [owner]}
        body = {"metadata": meta, "spec": template["spec"]}
        path = arena.attackers.path(BATCH, "jobs")
        assert arena.editor.call("POST", path, body).code == 201


def test_the_other_teams_slots_are_in_time(arena: Arena, attacks: Attacks) -> None:
    """With the chart's own limits, and pods of the first team that never start."""
    arena.start_operator()
    try:
        victims = arena.victims
        victims.apply("daily", schedule="* * * * *", lateAfter="2m", timeZone="Etc/UTC")
        victims.wait_until_observed("daily", 120)
        _attack(arena)
        begun = datetime.now(UTC)
        late: list[str] = []

        def delivered() -> list[dict[str, Any]]:
            if arena.operator.exit_code is not None:
                raise UnexpectedError("the operator died")
            for pod in victims.pods():
                if pod["status"]["phase"] not in ENDED:
                    victims.end_pod(pod)
            status = victims.status("daily")
            if (status.get("delay") or {}).get("since"):
                late.append(json.dumps(status["delay"]))
            runs = status.get("recentRuns", ())
            found = [run for run in runs if datetime.fromisoformat(run["slot"]) >= begun]
            return found if len(found) >= SLOTS else []

        how = None
        try:
            runs = wait_for(f"{SLOTS} slots", delivered, 60 * (SLOTS + 1) + LATE_AFTER.seconds)
            for run in runs:
                slot = datetime.fromisoformat(run["slot"])
                ended = datetime.fromisoformat(run["finishedAt"])
                if ended - slot > LATE_AFTER:
                    how = f"the slot {slot} was ready after {ended - slot}"
        except UnexpectedError as error:
            how = str(error).splitlines()[0]
        attacks.record(NEIGHBOUR, how)
        attacks.record(NO_DELAY, late[0] if late else None)
        died = arena.operator.exit_code is not None
        attacks.record(ALIVE, "the operator died" if died else None)
    finally:
        arena.stop_operator()
        for prefix, plural in ((SCHEDULES, "reportschedules"), (BATCH, "jobs"), (CORE, "pods")):
            for team in (arena.attackers, arena.victims):
                options = "propagationPolicy=Background&gracePeriodSeconds=0"
                send(arena.plane.api, "DELETE", f"{team.path(prefix, plural)}?{options}")
    attacks.judge([NEIGHBOUR, NO_DELAY, ALIVE])
