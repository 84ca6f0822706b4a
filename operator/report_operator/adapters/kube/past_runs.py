"""Past runs that the cluster itself still has: outcomes in status, and Jobs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from report_operator.adapters.kube.store import Store
from report_operator.api.v1alpha1.resource import Key, parse_status
from report_operator.domain.runs.history import PastRun, SlotSpan
from report_operator.domain.runs.run import Run
from report_runner.contract.result import Outcome


@dataclass(frozen=True, slots=True)
class StoredPastRuns:
    """The last outcomes of each schedule, and the Jobs that exist."""

    store: Store

    async def of(self, span: SlotSpan) -> Sequence[PastRun]:
        """Every attempt that is known."""
        body = self.store.schedules.get(Key(span.namespace, span.schedule))
        found: list[PastRun] = []
        recorded: set[str] = set()
        if body is not None and body["metadata"]["uid"] == span.schedule_uid:
            entries = parse_status(body).recent_runs
            recorded = {entry.uid for entry in entries}
            found += [PastRun(entry.slot, entry.attempt, entry.outcome) for entry in entries]
        found += [
            PastRun(run.slot, run.attempt, _outcome(run))
            for run in self.store.runs_of(span.schedule_uid)
            if run.uid not in recorded  # status says more than its Job
        ]
        return [run for run in found if span.since <= run.slot <= span.until]


def _outcome(run: Run) -> Outcome | None:
    if not run.finished or (run.succeeded and run.may_skip):
        return None  # of the latter status says a moment later whether it was skipped
    return Outcome.SUCCEEDED if run.succeeded else Outcome.FAILED
