"""The state of a run, for the result of one that ends in any stage."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from report_runner import storage, tracing
from report_runner.cgroup import memory_used_percent
from report_runner.contract.reasons import Reason
from report_runner.contract.result import (
    DeliveryResult,
    Outcome,
    OutputFile,
    RunResult,
    WaitAnswer,
)
from report_runner.environment import RunStamps

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class RunProgress:
    """The state of the run, for the result of a run that fails in any stage."""

    started: float = field(default_factory=time.monotonic)
    stage: str = "definition"
    volume: Path | None = None
    run: RunStamps | None = None
    asking: WaitAnswer | None = None  # while it asks whether its data are ready, and may ask again
    rows: dict[str, int] = field(default_factory=dict)
    cached: int = 0  # sources whose rows an earlier run fetched
    cacheable: int = 0  # sources with a cache that were asked for
    pages: int | None = None
    outputs: list[OutputFile] = field(default_factory=list)
    deliveries: list[DeliveryResult] = field(default_factory=list)
    manifest: str | None = None
    warnings: list[str] = field(default_factory=list)  # what a reader is told of the data
    overrides: dict[str, Any] = field(default_factory=dict)  # parameters that it was asked for with

    def enter(self, stage: str) -> None:
        self.stage = stage
        tracing.stage(stage)
        logger.info("stage %s", stage)

    def result(self, outcome: Outcome, reason: Reason | None, message: str) -> RunResult:
        """The result with the progress so far."""
        return RunResult(
            outcome=outcome,
            reason=reason,
            message=message,
            slot=self.run.slot if self.run else None,
            report_date=self.run.report_date if self.run else None,
            rows=self.rows,
            pages=self.pages,
            duration_seconds=round(time.monotonic() - self.started, 3),
            outputs=self.outputs,
            deliveries=self.deliveries,
            manifest=self.manifest,
            warnings=len(self.warnings) or None,
            cache_hits=self.cached if self.cacheable else None,
            cache_misses=self.cacheable - self.cached if self.cacheable else None,
            storage_used_percent=storage.used_percent(self.volume) if self.volume else None,
            memory_used_percent=memory_used_percent(),
        )
