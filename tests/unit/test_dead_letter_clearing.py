"""Clearing dead letters: just what a person has seen, and nothing that is still to come."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
from factories import SLOT, make_entry, schedule_body
from test_api_access import STRANGER, KnownTokens
from test_api_dead_letters import job
from test_pages_http import KnownCluster, Site, token_of

from admin_api.auth.tokens import ALL_NAMESPACES
from admin_api.services.cache import ClusterCache, Snapshot
from admin_api.services.dead_letter_clearing import Clearing, plan_clearing
from report_operator.adapters.kube.client import ApiError, KubeClient
from report_operator.adapters.kube.lease import (
    ANNOTATION_CLEARED,
    LastClearing,
    cleared_through,
    clearing_of,
    write_cleared,
)
from report_operator.api.v1alpha1.resource import Key
from report_operator.domain.runs.redis_elements import DeadLetter
from report_operator.domain.schedules.clearing import (
    SCHEDULE_LIMIT,
    events_of_lease,
    events_of_schedules,
)
from report_operator.domain.times import format_time
from report_runner.contract.reasons import Reason
from tests.support.asgi import ask

NOW = datetime(2026, 11, 25, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def failed(at: datetime | None, number: int = 0) -> Any:
    return job(number).model_copy(update={"failed_at": at, "finished_at": at})


def test_what_was_not_seen_stays() -> None:
    dead = [failed(NOW), failed(NOW - MINUTE, 1), failed(None, 2)]
    assert plan_clearing(dead, None) == Clearing(2, NOW)
    assert plan_clearing(dead, NOW - MINUTE) == Clearing(1, NOW - MINUTE)
    assert plan_clearing(dead, NOW - timedelta(seconds=1)) == Clearing(1, NOW - MINUTE)
    assert plan_clearing(dead, NOW + timedelta(days=365)) == Clearing(2, NOW)
    assert plan_clearing(dead, NOW - 2 * MINUTE) == Clearing(0, None)
    assert plan_clearing([], None) == Clearing(0, None)


def lease_of(text: str) -> dict[str, Any]:
    return {"metadata": {"resourceVersion": "1", "annotations": {ANNOTATION_CLEARED: text}}}


@pytest.mark.parametrize("text", ["soon", "", format_time(NOW + timedelta(hours=1))])
def test_an_instant_that_hides_what_is_to_come_is_not_believed(text: str) -> None:
    assert cleared_through(lease_of(text), NOW) is None
    assert cleared_through(None, NOW) is None
    assert cleared_through(lease_of(format_time(NOW)), NOW) == NOW


class Leases:
    """In place of the API server; the first writes meet a renewal."""

    def __init__(self, lease: dict[str, Any] | None, conflicts: int = 0) -> None:
        self.lease, self.conflicts = lease, conflicts

    async def get(self, *_: Any) -> dict[str, Any] | None:
        return self.lease

    async def patch(self, _kind: Any, _namespace: str, _name: str, change: Any) -> None:
        assert self.lease is not None
        assert change["metadata"]["resourceVersion"] == "1"
        if self.conflicts:
            self.conflicts -= 1
            raise ApiError(409, "Conflict", "it was renewed")
        self.lease = {**self.lease, **change}


@pytest.mark.parametrize(
    ("before", "conflicts", "written"),
    [
        ("", 0, NOW),
        (format_time(NOW - MINUTE), 3, NOW),
        (format_time(NOW + MINUTE), 0, NOW + MINUTE),  # somebody cleared more meanwhile
        ("", 99, None),
    ],
)
async def test_a_clearing_is_never_taken_back_by_an_earlier_one(
    before: str, conflicts: int, written: datetime | None
) -> None:
    leases = Leases(lease_of(before), conflicts)
    ours = LastClearing(NOW, "kim", NOW + MINUTE)
    found = await write_cleared(cast(KubeClient, leases), "n", "l", ours)
    assert (found and found.through) == written
    if written is not None:
        assert cleared_through(leases.lease, NOW + MINUTE) == written
    if written == NOW:
        assert clearing_of(leases.lease, NOW + MINUTE) == ours
    assert await write_cleared(cast(KubeClient, Leases(None)), "n", "l", ours) is None


def letter(number: int) -> DeadLetter:
    return DeadLetter(NOW - number * MINUTE, f"a.b{number}.1", "{}")


def test_a_deletion_in_redis_is_told_on_each_schedule() -> None:
    gone = {
        Key("a", "one"): [letter(number) for number in range(7)],
        Key("b", "two"): [letter(9)],
        Key("c", "three"): [],
    }
    told = events_of_schedules(gone, NOW, NOW + MINUTE)
    assert set(told) == {Key("a", "one"), Key("b", "two")}
    assert told[Key("a", "one")].message.startswith("7 failed runs were taken off the list of dead")
    assert told[Key("a", "one")].message.endswith("a.b4.1 and 2 more")
    assert "by somebody in Redis, which does not say who" in told[Key("b", "two")].message
    assert "1 failed run was taken" in told[Key("b", "two")].message
    both = events_of_lease(gone, NOW, NOW + MINUTE)
    assert (both.reason, both.at) == ("DeadLettersCleared", NOW + MINUTE)
    assert "8 failed runs were taken off" in both.message
    assert both.message.endswith("of 2 schedules: a/one, b/two")


def test_a_deletion_of_very_many_is_told_on_the_lease_alone() -> None:
    gone = {Key("a", f"s{n}"): [letter(n)] for n in range(SCHEDULE_LIMIT + 1)}
    assert events_of_schedules(gone, NOW, NOW) == {}
    assert f"{SCHEDULE_LIMIT + 1} failed runs" in events_of_lease(gone, NOW, NOW).message


def test_a_cleared_failure_is_no_dead_letter_and_stays_a_run() -> None:
    cache = ClusterCache()
    status = {
        "recentRuns": [
            make_entry(
                uid, Reason.TIMEOUT, slot=SLOT + n * MINUTE, finished_at=NOW + n * MINUTE
            ).model_dump(mode="json", by_alias=True, exclude_none=True)
            for n, uid in enumerate("ab")
        ]
    }
    cache.observe_schedule({**schedule_body(), "status": status})
    newer, older = cache.snapshot().dead_letters
    cache.observe_cleared(LastClearing(older.failed_at, "kim"))
    assert cache.snapshot().dead_letters == [newer]
    assert len(cache.snapshot().jobs) == 2
    cache.observe_cleared(None)
    assert cache.snapshot().dead_letters == [newer, older]


class ClearedCluster(KnownCluster):
    """Keeps what it was told."""

    namespace, lease_name = "system", "scheduler"
    through: datetime | None = None

    async def clear_dead_letters(self, clearing: LastClearing) -> None:
        self.through, self.by = clearing.through, clearing.by

    async def snapshot(self) -> Snapshot:
        found = await super().snapshot()
        return replace(found, dead_letters=[] if self.through else found.dead_letters)


class KnownAudit:
    def clock(self) -> datetime:
        return NOW

    async def record(self, action: Any, requested_by: str, target: str, _about: Any) -> None:
        self.told = f"{action} {requested_by} {target}"


def test_the_page_asks_and_clears_what_it_showed(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster, audit = ClearedCluster(), KnownAudit()
    site = Site(cluster, audit=audit)
    assert 'id="clear-all"' in site.get("/").text
    asked = site.get("/dead-letters/clear")
    assert "Take 1 given up run off the list?" in asked.text
    token, cookie = token_of(asked)
    shown = asked.text.partition('name="through" value="')[2].partition('"')[0]
    form = {"token": token, "through": shown}
    assert site.post("/dead-letters/clear", {**form, "token": "x"}, cookie=cookie).status == 403
    for wrong in ("", "soon"):
        reply = site.post("/dead-letters/clear", {**form, "through": wrong}, cookie=cookie)
        assert reply.status == 422
    assert cluster.through is None
    done = site.post("/dead-letters/clear", form, cookie=cookie)
    assert (done.status, done.headers["location"]) == (303, "/?cleared=1")
    assert cluster.through is not None
    assert format_time(cluster.through) == shown
    assert "1 given up run was taken off the list" in site.get("/?cleared=1").text
    assert audit.told.endswith(f"1 dead letters, failed until {shown}")
    assert "Nothing to clear" in site.get("/dead-letters/clear").text


@pytest.mark.parametrize(("namespaces", "status"), [((ALL_NAMESPACES,), 200), (("reports",), 403)])
def test_who_sees_one_team_only_cannot_clear_the_others(
    namespaces: tuple[str, ...], status: int
) -> None:
    cluster = ClearedCluster()
    site = Site(cluster, tokens=KnownTokens(*namespaces), audit=KnownAudit())
    path = "/api/admin/scheduler/dead-letters/clear"
    json = {"content-type": "application/json", "accept": "*/*"}
    reply = ask(site.app, "POST", path, body="{}", client=STRANGER, **json)
    assert reply.status == status
    assert (cluster.through is not None) == (status == 200)
