"""On a real node: while one team does its worst, the other team's slots are delivered in time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import yaml

from hack.testbed.waiting import wait_for
from tests.attacks import specs
from tests.attacks.deputies import BOMBS
from tests.e2e.conftest import SECONDS, Team

LATE_AFTER = timedelta(minutes=5)
IMPOSSIBLE = {"requests": {"cpu": "900"}}  # a pod that no node takes


def _apply(team: Team, *objects: dict[str, Any]) -> None:
    """A refusal is no error."""
    team.kubectl("apply", "--server-side", "-f", "-", text=yaml.safe_dump_all(objects), check=False)


def _schedules(team: Team, count: int, **spec: Any) -> None:
    _apply(team, *(specs.schedule(f"flood-{number}", **spec) for number in range(count)))


def _wait_for_pods(team: Team) -> None:
    """Until then the attack has not begun."""
    phases = "jsonpath={.items[*].status.phase}"
    wait_for(
        "pods that no node takes",
        lambda: "Pending" in team.kubectl("get", "pods", "-o", phases),
        SECONDS,
        lambda: team.kubectl("get", "reportschedules,jobs", check=False),
    )


def _blocked_pods(team: Team) -> None:
    _schedules(team, 40, schedule="* * * * *", resources=IMPOSSIBLE, priority="high")
    _wait_for_pods(team)


def _queue_flood(team: Team) -> None:
    _schedules(
        team, 200, schedule="* * * * *", tier="critical", priority="high", resources=IMPOSSIBLE
    )
    _wait_for_pods(team)


def _deep_specs(team: Team) -> None:
    for vector in specs.DEEP:
        team.kubectl("create", "-f", "-", text=vector.data[1], check=False)


def _compile_bombs(team: Team) -> None:
    for number, vector in enumerate(BOMBS):
        name = f"bomb-{number}"
        config_map = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": name},
            "data": {"t": vector.data},
        }
        team.kubectl("create", "-f", "-", text=yaml.safe_dump(config_map), check=False)
        template = {"configMapRef": {"name": name, "key": "t"}}
        _apply(team, specs.schedule(name, report=specs.report(template=template)))


def _hostile_jobs(team: Team) -> None:
    _schedules(team, 1)
    cronjob = wait_for("a CronJob", lambda: team.status("flood-0").get("cronJob"), SECONDS)
    for number in range(50):
        team.kubectl("create", "job", f"hostile-{number}", f"--from=cronjob/{cronjob}")
    team.kubectl(
        "annotate", "jobs", "--all", "--overwrite",
        "reports.adaf.io/attempt=" + "9" * 30, "reports.adaf.io/slot=9999-12-31T23:59:59Z",
        check=False,
    )  # fmt: skip


@pytest.mark.parametrize(
    "attack", [_blocked_pods, _queue_flood, _deep_specs, _compile_bombs, _hostile_jobs]
)
def test_the_other_teams_slots_are_in_time(
    make_team: Callable[..., Team], attack: Callable[[Team], None]
) -> None:
    attackers, victims = make_team(), make_team()
    victims.apply("daily", schedule="* * * * *", lateAfter="5m", timeZone="Etc/UTC")
    attack(attackers)
    begun = datetime.now(UTC)

    def delivered() -> list[dict[str, Any]]:
        runs = victims.status("daily").get("recentRuns", ())
        return [run for run in runs if datetime.fromisoformat(run["slot"]) >= begun]

    for run in wait_for("a slot under attack", delivered, SECONDS + LATE_AFTER.seconds):
        assert run["outcome"] == "Succeeded"
        ended = datetime.fromisoformat(run["finishedAt"])
        assert ended - datetime.fromisoformat(run["slot"]) < LATE_AFTER
    assert victims.condition("daily", "Delayed")["status"] == "False"
