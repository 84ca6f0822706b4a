"""The periodic full list: it finds what an event missed, and detects a blind watch."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Unpack

from report_operator.adapters.kube.client import ApiError, KubeClient, ListOptions
from report_operator.adapters.kube.resources import (
    BACKFILLS,
    CONFIGMAPS,
    CRONJOBS,
    JOBS,
    SCHEDULES,
    Resource,
)
from report_operator.adapters.kube.store import Store
from report_operator.api.v1alpha1.resource import KIND, Key
from report_operator.controllers.definitions import Definitions, Reference, Version, version_of
from report_operator.domain import names
from report_operator.domain.runs.refusals import is_refusal
from report_operator.domain.runs.run import controller_of
from report_operator.domain.schedules.cronjob import definition_of
from report_operator.domain.times import parse_time

logger = logging.getLogger(__name__)

ORPHAN_AGE = timedelta(minutes=10)  # a definition that was just made may not be in use yet
BLIND_AFTER = 2  # resyncs in a row that found changes of a kind whose watch was silent


class WatchBlindError(Exception):
    """The watch streams deliver no events any more: the process has to restart."""


@dataclass(slots=True)
class Resync:
    """Lists all of our objects, corrects the store, and deletes unused definitions."""

    kube: KubeClient
    store: Store
    namespaces: tuple[str | None, ...]  # (None,): all
    clock: Callable[[], datetime]
    definitions: Definitions
    _suspects: set[str] = field(default_factory=set)
    _watching: bool = False  # the watches begin after the first resync
    _blind: int = 0

    async def run(self) -> set[Key]:
        """One resync; returns the schedules that it found changed. Raises WatchBlindError."""
        # In this order: a Job goes only once its outcome is in the schedule's status, and that
        # only once its backfill has counted it. So what is missing from one list is in the next.
        observers = {
            JOBS: (names.LABEL_UID, self.store.observe_job),
            CRONJOBS: (names.LABEL_UID, self.store.observe_cronjob),
            SCHEDULES: ("", self.store.observe_schedule),
            BACKFILLS: ("", self.store.observe_backfill),
        }
        silent: set[str] = set()
        changed: set[Key] = set()
        gone: set[str] = set()
        for kind, (labels, observe) in observers.items():
            news: set[Key] = set()
            listed: set[str] = set()
            async for body in self._iterate(kind, labels=labels):
                listed.add(body["metadata"]["uid"])
                found = observe(body)
                if found and found[1]:
                    news.add(found[0])
            self.store.skipped.keep(kind.plural, listed)
            if kind is not BACKFILLS:  # all of them are enqueued after each resync
                changed |= news
            if news and kind.plural not in self.store.watched:
                silent.add(kind.plural)
            gone |= self.store.uids(kind.plural) - listed
        self.store.watched.clear()
        if self._watching:
            self._check_watch(silent)
        self._watching = True
        self._forget(gone)
        self.store.forget_orphan_pods()
        self.store.note_strangers()
        await self._definitions()
        return changed

    async def _iterate(
        self, kind: Resource, **options: Unpack[ListOptions]
    ) -> AsyncIterator[dict[str, Any]]:
        for namespace in self.namespaces:
            async for body in self.kube.iterate(kind, namespace, **options):
                yield body

    def _forget(self, gone: set[str]) -> None:
        """Drop what was missing twice in a row: an object may be younger than the list."""
        twice = gone & self._suspects
        self._suspects = gone - twice
        self.store.forget(twice)

    def _check_watch(self, silent: set[str]) -> None:
        """A list may be ahead of a watch for a moment, but not twice while the watch is silent."""
        self._blind = self._blind + 1 if silent else 0
        if self._blind >= BLIND_AFTER:
            raise WatchBlindError(f"{sorted(silent)} changed, and no watch showed it")

    async def _definitions(self) -> None:
        """Delete unused definitions, and store the versions of the others."""
        used = self._used_definitions()
        found: dict[Reference, Version] = {}
        async for body in self._iterate(CONFIGMAPS, labels=names.LABEL_UID, metadata_only=True):
            meta = body["metadata"]
            if (reference := (meta["namespace"], meta["name"])) in used:
                found[reference] = version_of(body)
                continue
            # A label proves nothing: whoever may write ConfigMaps can set it on any.
            if not controller_of(meta, KIND):
                continue
            created = parse_time(meta["creationTimestamp"]) or datetime.max.replace(tzinfo=UTC)
            if self.clock() - created > ORPHAN_AGE:
                await self._remove(body)
        self.definitions.observe(found)

    async def _remove(self, config_map: dict[str, Any]) -> None:
        meta = config_map["metadata"]
        try:
            await self.kube.delete(CONFIGMAPS, meta["namespace"], meta["name"], meta["uid"])
        except ApiError as error:
            if not is_refusal(error.status, error.message):
                raise
            self.store.skipped.note(CONFIGMAPS.plural, config_map, f"not removed: {error}")

    def _used_definitions(self) -> set[Reference]:
        used = {
            (run.namespace, run.definition)
            for run in self.store.runs.values()
            if run.definition and not run.finished
        }
        for body in self.store.cronjobs.values():
            if definition := definition_of(body):
                used.add((body["metadata"]["namespace"], definition))
        return used
