"""A run together with what decisions about it need besides its Job."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from report_operator.domain.runs.cause import PendingReason
from report_operator.domain.runs.pod import Pod
from report_operator.domain.runs.run import Run


@dataclass(frozen=True, slots=True)
class ObservedRun:
    """`pods` are oldest first. `waits_for` is what held a suspended run back last, if known."""

    run: Run
    now: datetime
    pods: Sequence[Pod] = ()
    checks: int = 0  # pods that asked whether its data are ready; not in `pods` but the newest
    pending_reason: PendingReason | None = None
    waits_for: str = ""
    held: bool = False  # in the queue, as its schedule is suspended
    resumed_at: datetime | None = None  # when its schedule was last made, edited or resumed

    @property
    def newest_pod(self) -> Pod | None:
        """None where none was made, or none is known yet."""
        return self.pods[-1] if self.pods else None
