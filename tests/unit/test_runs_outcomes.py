"""Each outcome is counted exactly once, and a Job goes only after its outcome is recorded."""

from collections import Counter
from datetime import date, timedelta

import pytest
from factories import (
    MINUTE,
    PATIENT,
    SLOT,
    active_run,
    finished_run,
    make_entry,
    make_pod,
    make_run,
    result_text,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from report_operator.domain.runs.outcomes import (
    RECENT_LIMIT,
    HistoryLimits,
    RunHistory,
    merge,
    prunable,
    record,
    record_finished,
    result_key,
)
from report_operator.domain.runs.run import Run
from report_runner.contract.reasons import Reason
from report_runner.contract.report import Format
from report_runner.contract.result import Outcome, OutputFile

EMPTY = RunHistory((), {})
NONE_KEPT = HistoryLimits(0, 0, 1)


def uids(history: RunHistory) -> list[str]:
    return [entry.uid for entry in history.recent]


def test_outcome_of_a_success() -> None:
    said = result_text(
        message="2 pages",
        rows={"a": 3, "b": 4},
        outputs=[OutputFile(path="2026/11/24/x.pdf", format=Format.PDF, bytes=1, sha256="0")],
        storage_used_percent=41,
        cache_hits=1,
        cache_misses=0,
    )
    pods = [
        make_pod(name="b", created_at=SLOT + 2 * MINUTE, started_at=SLOT + 3 * MINUTE),
        make_pod(name="a", started_at=SLOT + MINUTE, result_text=said),
    ]
    run = finished_run(
        admitted_at=SLOT + timedelta(seconds=20), attempt=2, report_date="2026-11-24", manual=True
    )
    entry = record_finished(run, pods)
    assert (entry.job, entry.uid, entry.slot, entry.manual) == (run.name, run.uid, SLOT, True)
    assert (entry.outcome, entry.reason, entry.message) == (Outcome.SUCCEEDED, None, "2 pages")
    assert (entry.started_at, entry.finished_at) == (SLOT + MINUTE, SLOT + 5 * MINUTE)
    assert (entry.queued_seconds, entry.pending_seconds, entry.run_seconds) == (20, 40, 240)
    assert (entry.rows, entry.outputs) == (7, ["2026/11/24/x.pdf"])
    assert (entry.report_date, entry.attempt) == (date(2026, 11, 24), 2)
    assert entry.storage_used_percent == 41
    assert (entry.cache_hits, entry.cache_misses) == (1, 0)
    assert result_key(entry) == "Succeeded"


def test_outcome_of_a_failure() -> None:
    said = result_text(Reason.TIMEOUT, "too slow")
    entry = record_finished(finished_run(succeeded=False), [make_pod(result_text=said)])
    assert (entry.outcome, entry.reason, entry.message) == (
        Outcome.FAILED,
        Reason.TIMEOUT,
        "too slow",
    )
    assert result_key(entry) == "Timeout"


def test_outcome_of_a_run_without_pods() -> None:
    entry = record_finished(
        finished_run(succeeded=False, termination_reason="ImageUnavailable"), []
    )
    assert entry.reason is Reason.IMAGE_UNAVAILABLE
    assert (entry.started_at, entry.pending_seconds, entry.run_seconds) == (None, 300, None)
    assert (entry.rows, entry.outputs) == (None, [])


def test_run_that_was_never_admitted_was_queued_all_the_time() -> None:
    entry = record(make_run(), (), SLOT + 30 * MINUTE, None)
    assert (entry.queued_seconds, entry.pending_seconds, entry.run_seconds) == (1800, None, None)


def test_clocks_that_disagree_give_no_negative_time() -> None:
    entry = record_finished(finished_run(), [make_pod(started_at=SLOT - MINUTE)])
    assert entry.pending_seconds == 0


def test_unfinished_run_has_no_outcome() -> None:
    with pytest.raises(ValueError, match="daily-29924940 is not finished"):
        record_finished(active_run(), [])


def test_new_outcomes_are_counted_and_listed_by_their_end() -> None:
    late = make_entry("late", Reason.TIMEOUT, finished_at=SLOT + 9 * MINUTE)
    history = merge(EMPTY, [late, make_entry("early")], {"late", "early"}, keep=20)
    assert uids(history) == ["early", "late"]
    assert history.counts == {"Succeeded": 1, "Timeout": 1}


def test_merging_again_changes_nothing() -> None:
    entries = [make_entry(str(n), finished_at=SLOT + n * MINUTE) for n in range(30)]
    existing = {str(n) for n in range(25, 30)}
    once = merge(EMPTY, entries, existing, keep=20)
    assert merge(once, [], existing, keep=20).counts == once.counts == {"Succeeded": 30}
    settled = merge(once, entries[25:], existing, keep=20)
    assert merge(settled, entries[25:], existing, keep=20) == settled
    assert len(settled.recent) == 20


def test_entry_stays_while_its_job_does() -> None:
    old, new = make_entry("old"), make_entry("new", finished_at=SLOT + 9 * MINUTE)
    history = merge(RunHistory((old,), {"Succeeded": 1}), [new], {"old", "new"}, keep=1)
    assert uids(history) == ["old", "new"]
    assert uids(merge(history, [], {"new"}, keep=1)) == ["new"]


def test_newest_entries_stay_when_all_jobs_are_gone() -> None:
    entries = tuple(make_entry(str(n), finished_at=SLOT + n * MINUTE) for n in range(9))
    history = RunHistory(entries, {"Succeeded": 9})
    assert uids(merge(history, [], (), keep=3)) == ["6", "7", "8"]
    assert uids(merge(history, [], (), keep=0)) == ["8"]  # never none at all: it tells the health
    assert merge(history, [], (), keep=3).counts == {"Succeeded": 9}


def test_newest_entry_stays_although_only_older_jobs_do() -> None:
    """It tells whether the schedule is failing: no failure may turn into health by pruning."""
    success = make_entry("success")
    failure = make_entry("failure", Reason.TIMEOUT, finished_at=SLOT + 9 * MINUTE)
    history = RunHistory((success, failure), {"Succeeded": 1, "Timeout": 1})
    assert uids(merge(history, [], {"success"}, keep=1))[-1] == "failure"


def test_a_retry_is_known_as_long_as_what_it_mended() -> None:
    """Else the failure would be the newest that is known of its slot."""
    failure = make_entry("failure", Reason.TIMEOUT)
    success = make_entry("success", attempt=2, finished_at=SLOT + 9 * MINUTE)
    others = [
        make_entry(str(n), slot=SLOT + n * MINUTE, finished_at=SLOT + n * MINUTE)
        for n in range(10, 15)
    ]
    history = RunHistory((failure, success), {"Succeeded": 1, "Timeout": 1})
    history = merge(history, others, {"failure"}, keep=3)
    history = merge(history, [], {"failure"}, keep=3)
    assert uids(history) == ["failure", "success", "14"]
    assert uids(merge(history, [], (), keep=1)) == ["14"]


def test_outcomes_beyond_the_limit_wait_their_turn() -> None:
    fresh = [make_entry(f"{n:03}", finished_at=SLOT + n * MINUTE) for n in range(RECENT_LIMIT + 10)]
    existing = {entry.uid for entry in fresh}
    full = merge(EMPTY, fresh[::-1], existing, keep=20)
    assert uids(full) == [entry.uid for entry in fresh[:RECENT_LIMIT]]
    assert full.counts == {"Succeeded": RECENT_LIMIT}
    assert merge(full, fresh, existing, keep=20) == full
    left = existing - set(uids(full)[:50])
    rest = merge(full, [entry for entry in fresh if entry.uid in left], left, keep=20)
    assert rest.counts == {"Succeeded": RECENT_LIMIT + 10}
    assert set(uids(rest)) == left


def test_prunable_are_the_oldest_of_each_kind_beyond_what_is_kept() -> None:
    good = [finished_run(f"g{n}", finished_at=SLOT + n * MINUTE) for n in range(4)]
    bad = [finished_run(f"b{n}", succeeded=False, finished_at=SLOT - n * MINUTE) for n in range(4)]
    history = merge(EMPTY, [make_entry(run.uid) for run in good + bad], (), keep=50)
    chosen = prunable([*good, *bad], history, HistoryLimits(3, 2, 20))
    assert [run.uid for run in chosen] == ["g0", "b3", "b2"]
    assert prunable([*good, *bad], history, HistoryLimits(4, 4, 20)) == []


@pytest.mark.parametrize(
    "run",
    [
        finished_run("unrecorded"),
        finished_run("recorded", deleting=True),
        active_run(uid="recorded"),
        make_run(uid="recorded"),
    ],
)
def test_never_prunable(run: Run) -> None:
    assert prunable([run], RunHistory((make_entry("recorded"),), {}), NONE_KEPT) == []


def test_unrecorded_jobs_do_not_push_out_recorded_ones() -> None:
    runs = [finished_run(str(n), finished_at=SLOT + n * MINUTE) for n in range(5)]
    history = RunHistory(tuple(make_entry(str(n)) for n in range(2)), {})
    assert prunable(runs, history, HistoryLimits(2, 2, 20)) == []


def cycle(
    saved: RunHistory, runs: dict[str, Run], reasons: dict[str, Reason | None], keep: HistoryLimits
) -> tuple[RunHistory, list[Run]]:
    """What one reconciliation decides, from the saved history and the Jobs there are."""
    known = set(uids(saved))
    fresh = [
        make_entry(uid, reasons[uid], finished_at=run.finished_at)
        for uid, run in runs.items()
        if run.finished_at and uid not in known
    ]
    history = merge(saved, fresh, set(runs), keep.outcomes)
    return history, prunable(list(runs.values()), history, keep)


@settings(PATIENT, max_examples=60)
@given(
    steps=st.lists(
        st.tuples(
            st.integers(0, 60),  # runs that end now
            st.sampled_from(("crash", "saved", "some", "all")),
            st.integers(0, 99),
        ),
        max_size=12,
    ),
    keep=st.builds(HistoryLimits, st.integers(0, 20), st.integers(0, 20), st.integers(1, 50)),
    outcomes=st.lists(
        st.sampled_from((None, Reason.TIMEOUT, Reason.NODE_LOST)), min_size=1, max_size=7
    ),
)
def test_every_outcome_is_counted_once_whatever_happens_in_between(steps, keep, outcomes) -> None:
    """The operator may die before it saves, after it, or halfway through the pruning."""
    saved, runs, reasons, ended = EMPTY, {}, {}, 0

    def settle() -> None:
        nonlocal saved
        saved, doomed = cycle(saved, runs, reasons, keep)
        for run in doomed:
            del runs[run.uid]

    for born, fate, part in steps:
        for _ in range(born):
            uid = str(ended)
            reasons[uid] = outcomes[ended % len(outcomes)]
            runs[uid] = finished_run(
                uid, succeeded=reasons[uid] is None, finished_at=SLOT + ended * MINUTE
            )
            ended += 1
        history, doomed = cycle(saved, runs, reasons, keep)
        if fate != "crash":
            saved = history
            for run in doomed[: {"saved": 0, "some": part}.get(fate, len(doomed))]:
                assert run.uid in uids(saved)
                del runs[run.uid]
        assert len(saved.recent) <= RECENT_LIMIT
        assert len(set(uids(saved))) == len(saved.recent)

    for _ in range(ended // 40 + 3):  # each round makes room for at least RECENT_LIMIT - 2 * 20
        settle()
    expected = Counter(reason.value if reason else "Succeeded" for reason in reasons.values())
    assert saved.counts == expected
    kinds = Counter(run.succeeded for run in runs.values())
    assert kinds[True] <= keep.succeeded_jobs
    assert kinds[False] <= keep.failed_jobs
    assert sum(saved.counts.values()) == ended


# -- runs of backfills --------------------------------------------------------------------------


def test_outcome_of_a_backfills_run_bears_its_name() -> None:
    assert record_finished(finished_run(backfill="march"), []).backfill == "march"
    assert record_finished(finished_run(), []).backfill is None


def test_a_backfill_does_not_push_out_the_schedules_own_outcomes() -> None:
    own = tuple(make_entry(f"own-{n}", finished_at=SLOT - n * MINUTE) for n in range(3, 0, -1))
    fresh = [make_entry(f"b{n}", backfill="march", finished_at=SLOT + n * MINUTE) for n in range(9)]
    first = merge(RunHistory(own, {"Succeeded": 3}), fresh, (), keep=3)
    settled = merge(first, [], (), keep=3)
    assert uids(settled) == ["own-3", "own-2", "own-1", "b6", "b7", "b8"]
    assert settled.counts == {"Succeeded": 12}
    assert merge(settled, [], (), keep=3) == settled


def test_the_newest_of_its_own_stays_whatever_a_backfill_brings() -> None:
    own = make_entry("own", Reason.TIMEOUT)
    fresh = [
        make_entry(f"{n:03}", backfill="march", finished_at=SLOT + n * MINUTE)
        for n in range(RECENT_LIMIT + 5)
    ]
    existing = {entry.uid for entry in fresh}
    full = merge(RunHistory((own,), {"Timeout": 1}), fresh, existing, keep=1)
    assert len(full.recent) == RECENT_LIMIT
    assert uids(full)[0] == "own"
    assert merge(full, fresh, existing, keep=1) == full


def test_jobs_of_backfills_are_kept_beside_the_schedules_own() -> None:
    own = [finished_run(f"o{n}", finished_at=SLOT + n * MINUTE) for n in range(3)]
    old = [
        finished_run(f"b{n}", backfill="march", finished_at=SLOT + (9 + n) * MINUTE)
        for n in range(3)
    ]
    history = merge(EMPTY, [make_entry(run.uid) for run in own + old], (), keep=50)
    assert {run.uid for run in prunable([*own, *old], history, HistoryLimits(2, 2, 20))} == {
        "o0",
        "b0",
    }
