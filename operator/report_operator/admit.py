"""The gate: lets waiting runs start, and stamps on them what their pods need to know."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from report_operator.adapters.kinds import JOBS
from report_operator.adapters.kube import ApiError, KubeClient
from report_operator.adapters.store import Store, job_reference
from report_operator.domain import names
from report_operator.domain.admission import Limits, admissible
from report_operator.domain.cron import load_zone
from report_operator.domain.run import Run
from report_operator.domain.times import format_time

logger = logging.getLogger(__name__)


REFUSED_SECONDS = 60.0  # until a run is tried again that the API server refused to start


@dataclass(slots=True)
class Gate:
    """Admits as many as the limits allow; one pass at a time."""

    kube: KubeClient
    store: Store
    limits: Limits
    clock: Callable[[], datetime]
    _refused: dict[str, tuple[str, datetime]] = field(default_factory=dict)  # version, since when

    async def admit(self) -> None:
        """One pass. Raises what the API server raises, save about one run alone.

        A run that cannot be started takes no place: those behind it are looked at again.
        """
        while await self._admit():
            pass

    async def _admit(self) -> bool:
        """Whether a place is left over that was given in vain."""
        again = False
        for run in admissible(self._candidates(), self.limits):
            try:
                answer = await self.kube.patch(
                    JOBS, run.namespace, run.name, admission_patch(run, self.clock())
                )
            except ApiError as error:
                if error.status == 404 or error.is_conflict:
                    logger.debug("%s/%s changed before admission", run.namespace, run.name)
                    continue
                if error.status not in (400, 403, 413, 422):
                    raise
                self._refuse(run, f"it cannot be started: {error}")
                again = True
            except (ValueError, OverflowError, TypeError) as error:
                self._refuse(run, f"it cannot be started: {error}")
                again = True
            else:
                self.store.observe_job(answer)
        return again

    def _candidates(self) -> list[Run]:
        runs = list(self.store.owned_runs())
        self._refused = {
            run.uid: self._refused[run.uid] for run in runs if run.uid in self._refused
        }
        return [run for run in runs if not self._is_refused(run)]

    def _is_refused(self, run: Run) -> bool:
        version, since = self._refused.get(run.uid, ("", self.clock()))
        waited = (self.clock() - since).total_seconds()
        return run.suspended and version == run.resource_version and waited < REFUSED_SECONDS

    def _refuse(self, run: Run, why: str) -> None:
        self._refused[run.uid] = run.resource_version, self.clock()
        self.store.skipped.note(JOBS.plural, job_reference(run), why)


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
