"""A control plane whose time-zone data are older than the operator's."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from hack.testbed.controlplane import CONTROLLERS, ControlPlane
from hack.testbed.namespace import CORE, Namespace, report
from hack.testbed.operator import OperatorProcess
from hack.testbed.waiting import wait_for
from report_operator.domain.cron.schedule import load_zone
from report_operator.domain.cron.zone_releases import (
    current_release,
    earlier_content,
    earlier_zones,
)

pytestmark = pytest.mark.minutes

# +01:00 until 2026b and +00:00 since; -08:00 until 2026a and -07:00 since.
EARLIER, LATER = "Africa/Casablanca", "America/Vancouver"


@pytest.fixture
def older(plane: ControlPlane, tmp_path: Path) -> Iterator[None]:
    """The controllers of the plane with the zones of an earlier release."""
    for name in (EARLIER, LATER):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(earlier_content(name)[0])
    own = plane.zone_data
    plane.kill(CONTROLLERS)
    plane.zone_data = str(tmp_path)
    plane.launch(CONTROLLERS)
    try:
        yield
    finally:
        plane.kill(CONTROLLERS)
        plane.zone_data = own
        plane.launch(CONTROLLERS)


def at(instant: datetime) -> str:
    return f"{instant.minute} {instant.hour} * * *"


def test_slots_are_when_the_control_plane_has_them(
    namespace: Namespace, older: None, operator: OperatorProcess
) -> None:
    due = (datetime.now(UTC) + timedelta(minutes=1, seconds=20)).replace(second=0, microsecond=0)
    (theirs, *_) = earlier_zones(EARLIER)
    # The controller's slot is now, the operator's an hour later.
    namespace.apply(
        "earlier", schedule=at(due.astimezone(theirs.zone)), timeZone=EARLIER, lateAfter="1m"
    )
    # The operator's slot is now, the controller's an hour later.
    namespace.apply(
        "later", schedule=at(due.astimezone(load_zone(LATER))), timeZone=LATER, lateAfter="1m"
    )
    template = {"configMapRef": {"name": "absent"}}  # so it never has a Job, and its slot is late
    namespace.apply(
        "yardstick", schedule=at(due), timeZone="Etc/UTC", lateAfter="1m",
        report=report(template=template),
    )  # fmt: skip
    wait_for(
        "the same slot of another schedule is late",
        lambda: namespace.condition("yardstick", "Delayed").get("status") == "True",
        240,
        lambda: namespace.status("yardstick"),
    )
    assert namespace.status("later")["health"] == "Healthy"
    assert namespace.condition("later", "ZoneDataDiffers") == {}  # nobody can know yet

    found = wait_for(
        "the operator has learned it",
        lambda: namespace.condition("earlier", "ZoneDataDiffers"),
        60,
        lambda: namespace.status("earlier"),
    )
    assert found["status"] == "True"
    assert "2026b or older" in found["message"]
    assert current_release() in found["message"]
    status = namespace.status("earlier")
    assert status["lastScheduleTime"] == f"{due:%Y-%m-%dT%H:%M:%SZ}"
    assert status["nextScheduleTime"] == f"{due + timedelta(days=1):%Y-%m-%dT%H:%M:%SZ}"
    assert "ZoneDataDiffers" in {event["reason"] for event in namespace.list(CORE, "events")}
