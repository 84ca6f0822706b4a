"""The gate: lets waiting runs start, and stamps on them what their pods need to know."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from report_operator.adapters.kinds import JOBS
from report_operator.adapters.kube import ApiError, KubeClient
from report_operator.adapters.store import Store
from report_operator.domain import names
from report_operator.domain.admission import Limits, admissible
from report_operator.domain.cron import load_zone
from report_operator.domain.run import Run
from report_operator.domain.times import format_time

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Gate:
    """Admits as many as the limits allow; one pass at a time."""

    kube: KubeClient
    store: Store
    limits: Limits
    clock: Callable[[], datetime]

    async def admit(self) -> None:
        """One pass. Raises what the API server raises, save that a run changed meanwhile."""
        for run in admissible(self.store.runs.values(), self.limits):
            try:
                answer = await self.kube.patch(
                    JOBS, run.namespace, run.name, admission_patch(run, self.clock())
                )
            except ApiError as error:
                if error.status == 404 or error.is_conflict:
                    logger.debug("%s/%s changed before admission", run.namespace, run.name)
                    continue
                raise
            self.store.observe_job(answer)


def admission_patch(run: Run, now: datetime) -> dict[str, Any]:
    """Start the run, and tell its pod slot, report date and run id.

    Annotations of the pod template may be changed while a Job is suspended and has not started
    (validation of k8s.io/api/batch/v1 Job). The report date is the slot's date in the schedule's
    zone.
    """
    report_date = run.slot.astimezone(load_zone(run.time_zone)).date().isoformat()
    stamps = {
        names.ANNOTATION_SLOT: format_time(run.slot),
        names.ANNOTATION_REPORT_DATE: run.report_date or report_date,
        names.ANNOTATION_RUN_ID: names.run_id(run.schedule, run.slot, run.attempt),
        names.ANNOTATION_ATTEMPT: str(run.attempt),
    }
    return {
        "metadata": {
            "resourceVersion": run.resource_version,
            "annotations": {**stamps, names.ANNOTATION_ADMITTED_AT: format_time(now)},
        },
        "spec": {"suspend": False, "template": {"metadata": {"annotations": stamps}}},
    }
