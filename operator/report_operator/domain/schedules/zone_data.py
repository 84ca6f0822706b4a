"""Whose time-zone data decide when a slot is: the control plane's, which may be older than ours.

The CronJob controller makes the Jobs, so its data are the truth. They are learned from the newest
slot that it made: where that instant is no slot under some data, those are not the controller's.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from report_operator.domain.cron.rules import Every
from report_operator.domain.cron.schedule import CronSchedule
from report_operator.domain.cron.zone_releases import EarlierZone, current_release, earlier_zones
from report_operator.domain.schedules.plan import Plan

_SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class ControllerZone:
    """A zone as the control plane may have it, the likeliest first. `older` is None for ours."""

    possible: tuple[ZoneInfo, ...]
    older: EarlierZone | None = None

    @property
    def zone(self) -> ZoneInfo:
        """The one to compute slots with."""
        return self.possible[0]

    @property
    def difference(self) -> str:
        """Both versions, where the control plane is known to have other data; '' otherwise."""
        if self.older is None:
            return ""
        return (
            f"the control plane has time-zone data {self.older.newest} or older, the operator "
            f"{current_release()}, and they differ in {self.zone.key}: slots are when the control "
            "plane has them; update its time-zone data (of the kube-controller-manager)"
        )


def learn_zone(plan: Plan, slots: Iterable[datetime]) -> Plan:
    """The plan with the control plane's zone; `slots` are those that the controller made."""
    newest = max((slot for slot in slots if slot >= plan.since), default=None)
    found = controller_zone(plan.schedule, plan.zone, newest)
    return replace(
        plan, zone=found.zone, other_zones=found.possible[1:], zone_difference=found.difference
    )


def controller_zone(
    schedule: CronSchedule, zone: ZoneInfo, newest_slot: datetime | None
) -> ControllerZone:
    """`zone` is ours; `newest_slot` is one that the controller made for this very schedule."""
    # A slot of @every counts from the one before, whatever the zone.
    earlier = () if isinstance(schedule.rule, Every) else earlier_zones(zone.key)
    everything = [ControllerZone((zone,)), *(ControllerZone((e.zone,), e) for e in earlier)]
    fitting = [found for found in everything if _has(schedule, found.zone, newest_slot)]
    # None fits: it was edited, or the data are of a release that nobody here knows.
    candidates = fitting or everything
    return ControllerZone(tuple(found.zone for found in candidates), candidates[0].older)


def common_slots(
    schedule: CronSchedule, zones: Sequence[ZoneInfo], slots: Sequence[datetime]
) -> list[datetime]:
    """Those that are slots whichever of the zones the controller has."""
    if len(zones) == 1:
        return list(slots)
    return [slot for slot in slots if all(_has(schedule, zone, slot) for zone in zones)]


def _has(schedule: CronSchedule, zone: ZoneInfo, slot: datetime | None) -> bool:
    return slot is None or schedule.next_after(slot - _SECOND, zone) == slot


def slot_date(slot: datetime, zone: ZoneInfo, offset: timedelta | None) -> date:
    """The day of a slot on the wall clock of the control plane; `offset` is what its Job says.

    An offset that no release knows is not believed: anybody may write an annotation.
    """
    local = slot.astimezone(zone)
    others = [slot.astimezone(earlier.zone) for earlier in earlier_zones(zone.key)]
    found = next((other for other in others if other.utcoffset() == offset), local)
    return (local if local.utcoffset() == offset else found).date()
