"""Problems grouped by cause, the list of schedules, and the page of one."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from factories import MINUTE, SLOT, at, finished_run, make_entry, schedule_body
from snapshots import snapshot_of

from admin_api.services.jobs import ScheduleSummary, read_schedule
from admin_api.web.problems import ProblemGroup, find_problems, group_problems
from admin_api.web.schedule_list import (
    Filter,
    ScheduleState,
    SortOrder,
    choose_rows,
    count_states,
    row_of,
)
from admin_api.web.schedule_page import SlotState, count_slots, strip_of, times_chart
from report_operator.api.v1alpha1.spec import Tier
from report_operator.api.v1alpha1.status import ReportScheduleStatus
from report_operator.domain.times import format_time
from report_runner.contract.reasons import Reason

DAY = timedelta(days=1)


def condition(kind: str, status: str, reason: str, message: str = "") -> dict[str, Any]:
    return {
        "type": kind, "status": status, "reason": reason, "message": message,
        "lastTransitionTime": format_time(SLOT),
    }  # fmt: skip


def failing(
    reason: str = "DatabaseUnavailable", message: str = "refused", time: datetime = SLOT
) -> dict[str, Any]:
    return {
        "health": "Failing",
        "conditions": [condition("Failing", "True", reason)],
        "lastFailure": {
            "time": format_time(time), "reason": reason, "message": message, "job": "daily-1",
            "slot": format_time(SLOT),
        },
        "consecutiveFailures": 1,
    }  # fmt: skip


def late(stage: str = "Queued") -> dict[str, Any]:
    time = format_time(SLOT)
    return {
        "health": "Delayed",
        "conditions": [condition("Delayed", "True", stage)],
        "delay": {"since": time, "seconds": 1800, "stage": stage, "slot": time},
    }


NOT_READY = {
    "health": "NotReady",
    "conditions": [condition("Ready", "False", "TemplateNotFound", "no such ConfigMap")],
}
WELL = {"health": "Healthy"}


def schedule(name: str, status: dict[str, Any], tier: str = "bulk", **spec: Any) -> ScheduleSummary:
    spec = {"reportType": "positions", "tier": tier, **spec}
    body = schedule_body(spec, name=name, uid=f"uid-{name}")
    return read_schedule({**body, "status": status})


def groups_of(*schedules: ScheduleSummary) -> list[ProblemGroup]:
    return group_problems(find_problems(schedules, {}))


def names_of(groups: list[ProblemGroup]) -> list[list[str]]:
    return [[member.schedule.name for member in group.members] for group in groups]


def test_newest_failure_comes_first() -> None:
    found = groups_of(
        schedule("old", failing("Timeout", "too long", SLOT), "critical"),
        schedule("new", failing("EmptyReport", "no row", SLOT + 2 * MINUTE)),
        schedule("middle", failing("NodeLost", "gone", SLOT + MINUTE)),
    )
    assert names_of(found) == [["new"], ["middle"], ["old"]]


def test_failures_of_one_outage_are_one_group() -> None:
    """Fourteen reports that one database fails are one thing to look at."""
    schedules = [
        schedule(f"r-{n:02}", failing(message=f"sources[s{n}]: refused", time=SLOT + n * MINUTE))
        for n in range(14)
    ]
    (group,) = groups_of(*schedules, schedule("well", WELL))
    assert len(group.members) == 14
    assert group.first.schedule.name == "r-13"
    assert (group.since, group.newest) == (SLOT, SLOT + 13 * MINUTE)
    assert group.messages == [("sources[…]: refused", 14)]
    assert groups_of(*schedules[:5])[0].id == group.id


def test_different_messages_of_a_group_are_counted() -> None:
    texts = ["a", "b", "b", "c", "c", "c", "d", ""]
    (group,) = groups_of(
        *(schedule(f"r-{n}", failing(message=text)) for n, text in enumerate(texts))
    )
    assert group.messages == [("c", 3), ("b", 2), ("a", 1)]
    assert group.other_messages == 1


def test_failures_come_before_what_is_late_or_not_ready() -> None:
    found = groups_of(
        schedule("late", late()),
        schedule("unready", NOT_READY),
        schedule("failing", failing(time=SLOT - DAY)),
    )
    assert names_of(found) == [["failing"], ["late"], ["unready"]]


def test_causes_of_their_own_are_not_thrown_together() -> None:
    found = groups_of(
        schedule("a", failing("ConfigurationError", "sources[x]: a: no such table t")),
        schedule("b", failing("ConfigurationError", "sources[y]: b: no such table t")),
        schedule("c", failing("ConfigurationError", "sources[x]: no such column u")),
        schedule("d", failing("Timeout", "after 30 s in the stage query")),
        schedule("e", failing("Timeout", "after 45 s in the stage query")),
    )
    assert sorted(names_of(found)) == [["a", "b"], ["c"], ["d", "e"]]


def test_group_lasts_since_the_first_failure_in_a_row_for_its_reason() -> None:
    entries = [
        make_entry("1", Reason.TIMEOUT, finished_at=SLOT - 3 * DAY),
        make_entry("2", Reason.DATABASE_UNAVAILABLE, finished_at=SLOT - 2 * DAY),
        make_entry("b", finished_at=SLOT - 1.5 * DAY, backfill="old", manual=True),
        make_entry("3", Reason.DATABASE_UNAVAILABLE, finished_at=SLOT),
    ]
    status = failing() | ReportScheduleStatus(recent_runs=entries).model_dump(
        mode="json", by_alias=True, exclude_none=True, include={"recent_runs"}
    )
    (group,) = groups_of(schedule("daily", status))
    assert (group.since, group.newest) == (SLOT - 2 * DAY, SLOT)


def test_not_ready_has_a_remedy_with_a_link() -> None:
    (group,) = groups_of(schedule("daily", NOT_READY))
    remedy = group.first.gravest.remedy
    assert remedy is not None
    assert "(#reportschedulernotready)" in remedy.action
    assert "-n reports describe reportschedules.reports.adaf.io daily" in remedy.action


def many() -> list[ScheduleSummary]:
    """Some of each state, and one with all problems at once."""
    everything = failing() | {"delay": late()["delay"], "health": "Failing"}
    everything["conditions"] = [*failing()["conditions"], *NOT_READY["conditions"]]
    return [
        schedule("daily", failing(), "critical", reportType="dashboard"),
        schedule("worst", everything),
        schedule("late", late(), "standard"),
        schedule("unready", {**NOT_READY, "delay": late()["delay"]}),
        schedule("weekly", WELL | {"lastSuccessTime": format_time(SLOT)}),
        schedule("monthly", WELL | {"nextScheduleTime": format_time(SLOT)}),
        schedule("paused", WELL, suspend=True),
        schedule("paused-late", late(), suspend=True),
        schedule("new", {}),
    ]


def test_each_schedule_is_in_one_state_and_the_counts_add_up() -> None:
    rows = [row_of(schedule) for schedule in many()]
    counts = count_states(rows)
    assert sum(counts.values()) == len(rows)
    assert counts == {
        ScheduleState.FAILING: 2, ScheduleState.NOT_READY: 1, ScheduleState.LATE: 2,
        ScheduleState.SUSPENDED: 1, ScheduleState.NOT_SEEN: 1, ScheduleState.HEALTHY: 2,
        ScheduleState.NOT_STARTING: 0,
    }  # fmt: skip
    attention = sum(len(group.members) for group in groups_of(*many()))
    assert attention == counts[ScheduleState.FAILING] + counts[ScheduleState.NOT_READY] + counts[
        ScheduleState.LATE
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        (Filter(text=" DASH "), ["daily"]),
        (Filter(text="reports late"), ["late", "paused-late"]),
        (Filter(state=ScheduleState.NOT_READY), ["unready"]),
        (Filter(reason="DatabaseUnavailable", tier=Tier.BULK), ["worst"]),
        (Filter(tier=Tier.STANDARD), ["late"]),
        (Filter(text="nothing"), []),
    ],
)
def test_schedules_are_filtered(wanted: Filter, names: list[str]) -> None:
    rows = choose_rows(map(row_of, many()), wanted, SortOrder.NAME)
    assert [row.schedule.name for row in rows] == names


@pytest.mark.parametrize(
    ("order", "names"),
    [
        (SortOrder.NAME, ["daily", "late", "monthly", "new", "paused"]),
        (SortOrder.STATE, ["daily", "worst", "unready", "late", "paused-late"]),
        (SortOrder.FAILURE, ["daily", "late", "paused-late", "unready", "worst"]),
        (SortOrder.SUCCESS, ["daily", "late", "monthly", "new", "paused"]),
        (SortOrder.NEXT, ["monthly", "daily", "late", "new", "paused"]),
        (SortOrder.TIER, ["daily", "late", "monthly", "new", "paused"]),
    ],
)
def test_schedules_are_sorted(order: SortOrder, names: list[str]) -> None:
    rows = choose_rows(map(row_of, reversed(many())), Filter(), order)
    assert [row.schedule.name for row in rows][:5] == names
    assert len(rows) == len(many())


def test_oldest_success_comes_first_and_none_at_all_before_it() -> None:
    rows = choose_rows(map(row_of, many()), Filter(), SortOrder.SUCCESS)
    assert rows[-1].schedule.name == "weekly"


def strip(status: dict[str, Any], now: datetime, *runs: Any, **spec: Any) -> list[tuple[str, str]]:
    """Day and state of each slot; the schedule is daily at six in Madrid."""
    spec = {"schedule": "0 6 * * *", **spec}
    found = schedule("daily", status, **spec)
    jobs = snapshot_of([found], runs).jobs
    return [(f"{s.slot:%d %H:%M}", s.state.value) for s in strip_of(found, jobs, now)]


def run_of(day: int, **changes: Any) -> Any:
    return finished_run(
        f"{day}{changes}", schedule_uid="uid-daily", slot=at(f"2026-11-{day} 05:00"), **changes
    )


def test_strip_has_one_state_for_each_slot() -> None:
    status = {
        "health": "Delayed",
        "scheduleSince": "2026-11-16T12:00:00Z",
        "lastScheduleTime": "2026-11-24T05:00:00Z",
        "acknowledgedThrough": "2026-11-18T05:00:00Z",
        "lastMissed": {
            "count": 1, "first": "2026-11-20T05:00:00Z", "last": "2026-11-20T05:00:00Z",
            "at": "2026-11-20T09:00:00Z",
        },
        "delay": {
            "since": "2026-11-24T05:30:00Z", "seconds": 1800, "stage": "Running",
            "slot": "2026-11-24T05:00:00Z",
        },
    }  # fmt: skip
    running = {"finished_at": None, "succeeded": False, "active_pods": 1}
    found = strip(
        status,
        at("2026-11-24 06:00"),
        run_of(18, succeeded=False),
        run_of(19),
        run_of(21, succeeded=False),
        run_of(21, succeeded=True, attempt=2, manual=True),
        run_of(22, succeeded=False),
        run_of(24, **running),
    )
    assert found == [
        ("17 05:00", "acknowledged"),
        ("18 05:00", "acknowledged"),
        ("19 05:00", "delivered"),
        ("20 05:00", "missed"),
        ("21 05:00", "delivered"),
        ("22 05:00", "failed"),
        ("23 05:00", "missed"),
        ("24 05:00", "late"),
        ("25 05:00", "to come"),
        ("26 05:00", "to come"),
        ("27 05:00", "to come"),
        ("28 05:00", "to come"),
        ("29 05:00", "to come"),
    ]


def test_strip_says_where_it_knows_nothing() -> None:
    status = {
        "scheduleSince": "2026-01-01T00:00:00Z", "lastScheduleTime": "2026-11-24T05:00:00Z"
    }  # fmt: skip
    found = strip(status, at("2026-11-24 06:00"), run_of(23), run_of(24), suspend=True)
    assert len(found) == 30
    assert [state for _, state in found[:23]] == ["not kept"] * 23
    assert [state for _, state in found[23:25]] == ["delivered"] * 2
    assert [state for _, state in found[25:]] == ["held"] * 5
    assert strip(status, SLOT, schedule="every now and then") == []


def test_strip_of_every_counts_from_the_last_slot() -> None:
    status = {
        "scheduleSince": "2026-11-24T03:07:00Z", "lastScheduleTime": "2026-11-24T05:07:00Z"
    }  # fmt: skip
    found = strip(status, at("2026-11-24 05:30"), schedule="@every 1h")
    assert [slot for slot, _ in found] == [
        f"24 {hour:02}:07" for hour in (4, 5, 6, 7, 8, 9, 10)
    ]  # fmt: skip


def test_new_slot_is_open_before_it_is_late() -> None:
    status = {
        "scheduleSince": "2026-11-22T12:00:00Z", "lastScheduleTime": "2026-11-23T05:00:00Z"
    }  # fmt: skip
    found = strip(status, SLOT + MINUTE, run_of(23))
    assert found[:2] == [("23 05:00", "delivered"), ("24 05:00", "open")]


def test_slots_are_counted_with_what_their_state_means() -> None:
    status = {
        "scheduleSince": "2026-11-22T12:00:00Z", "lastScheduleTime": "2026-11-23T05:00:00Z"
    }  # fmt: skip
    found = strip_of(schedule("daily", status, schedule="0 6 * * *"), (), SLOT + MINUTE)
    counts = {state: count for state, count, _ in count_slots(found)}
    assert counts == {SlotState.OPEN: 1, SlotState.UNKNOWN: 1, SlotState.TO_COME: 5}


def test_chart_has_the_newest_runs_oldest_first() -> None:
    entries = [
        make_entry(
            str(n),
            Reason.TIMEOUT if n == 39 else None,
            slot=SLOT + n * MINUTE,
            finished_at=SLOT + n * MINUTE,
            run_seconds=n,
        )
        for n in range(40)
    ]
    status = ReportScheduleStatus(recent_runs=entries).model_dump(
        mode="json", by_alias=True, exclude_none=True
    )
    found = schedule("daily", status)
    chart = times_chart(snapshot_of([found], ()).jobs)
    assert chart is not None
    assert [bar.seconds for bar in chart.bars] == list(range(10, 40))
    assert (chart.longest, chart.median) == (39, 24)
    assert chart.bars[-1].height == chart.height
    assert all(bar.y + bar.height <= chart.height for bar in chart.bars)
    assert times_chart(()) is None
