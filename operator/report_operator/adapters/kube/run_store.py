"""The runs that exist: the Jobs of schedules, by uid and by schedule."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from report_operator.domain.runs.run import Run, observe_job


class RunStore(Mapping[str, Run]):
    """By Job uid; an older version of a Job never replaces a newer one."""

    def __init__(self) -> None:
        self._runs: dict[str, Run] = {}
        self._by_schedule: dict[str, dict[str, Run]] = {}  # by the schedule's uid

    def observe(self, body: Mapping[str, Any], *, deleted: bool) -> tuple[Run, bool] | None:
        """Store a Job; returns the run, and whether it changed. None: deleted, and never known.

        Raises what `observe_job` raises, after dropping what an older version of the Job had.
        """
        meta = body["metadata"]
        known = self._runs.get(meta["uid"])
        if known is not None:
            if deleted:
                self.forget(known.uid)
                return known, True
            if int(known.resource_version) >= int(meta["resourceVersion"]):
                return known, False
        if deleted:
            return None
        self.forget(meta["uid"])
        run = observe_job(body)
        self._runs[run.uid] = run
        self._by_schedule.setdefault(run.schedule_uid, {})[run.uid] = run
        return run, True

    def forget(self, uid: str) -> Run | None:
        """Drop a deleted run; returns it where it was known."""
        run = self._runs.pop(uid, None)
        if run is not None:
            siblings = self._by_schedule[run.schedule_uid]
            del siblings[uid]
            if not siblings:
                del self._by_schedule[run.schedule_uid]
        return run

    def of(self, schedule_uid: str) -> Mapping[str, Run]:
        """The runs of a schedule, by its uid."""
        return self._by_schedule.get(schedule_uid, {})

    def __getitem__(self, uid: str) -> Run:
        return self._runs[uid]

    def __iter__(self) -> Iterator[str]:
        return iter(self._runs)

    def __len__(self) -> int:
        return len(self._runs)
