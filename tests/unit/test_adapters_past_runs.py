"""What the cluster itself still knows of past runs."""

from datetime import datetime, timedelta

from factories import (
    SLOT,
    UID,
    cronjob_body,
    job_body,
    job_condition,
    make_entry,
    merged,
    schedule_body,
)

from report_operator.adapters.kube.past_runs import StoredPastRuns
from report_operator.adapters.kube.store import Store
from report_operator.domain.runs.history import SlotSpan, by_slot
from report_runner.contract.reasons import Reason
from report_runner.contract.result import Outcome

DAY = timedelta(days=1)


def span(uid: str, since: datetime = SLOT) -> SlotSpan:
    return SlotSpan("reports", "daily", uid, "executive_dashboard", since, SLOT)


async def test_outcomes_in_status_and_jobs_count_alike() -> None:
    store = Store()
    entries = [
        make_entry("done"),
        make_entry("bad", Reason.TIMEOUT, slot=SLOT - DAY),
        make_entry("old", slot=SLOT - 9 * DAY),
    ]
    status = {"recentRuns": [entry.to_wire() for entry in entries]}
    body = schedule_body()
    store.observe_schedule(merged(body, {"status": status}))
    store.observe_cronjob(cronjob_body())
    uid = body["metadata"]["uid"]
    waiting = job_body()
    store.observe_job(waiting)
    assert waiting["metadata"]["labels"]["reports.adaf.io/schedule-uid"] == UID == uid
    past = StoredPastRuns(store)
    found = by_slot(await past.of(span(uid, SLOT - DAY)))
    assert set(found) == {SLOT, SLOT - DAY}
    assert (found[SLOT].succeeded, found[SLOT].under_way) == (True, True)
    assert found[SLOT - DAY].newest.outcome is Outcome.FAILED

    ended = merged(waiting, {"metadata": {"resourceVersion": "999"}})
    ended["status"] = {"conditions": [job_condition("Failed")]}
    store.observe_job(ended)
    found = by_slot(await past.of(span(uid)))
    assert not found[SLOT].under_way
    assert found[SLOT].succeeded  # an earlier attempt did


async def test_a_namesake_that_was_deleted_is_another_schedule() -> None:
    store = Store()
    store.observe_schedule(
        merged(schedule_body(), {"status": {"recentRuns": [make_entry().to_wire()]}})
    )
    assert await StoredPastRuns(store).of(span("another")) == []
