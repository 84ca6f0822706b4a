"""The newest rows of history tell whether an older state was restored."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from report_operator.controllers.witnesses import KEPT, Witnesses

NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)


def test_the_newest_are_kept_in_whatever_order_they_come() -> None:
    witnesses = Witnesses()
    ended = {f"run-{n}": NOON + timedelta(minutes=n) for n in range(3 * KEPT)}
    for uid in reversed(ended):
        witnesses.note({uid: ended[uid]})
    newest = set(list(ended)[-KEPT:])
    assert set(witnesses.uids) == newest
    assert witnesses.missing(ended) == set()
    dumped_before_the_last = ended.keys() - {f"run-{3 * KEPT - 1}"}
    assert witnesses.missing(dumped_before_the_last) == {f"run-{3 * KEPT - 1}"}
    assert witnesses.missing([]) == newest
    witnesses.clear()
    assert witnesses.missing([]) == set()
