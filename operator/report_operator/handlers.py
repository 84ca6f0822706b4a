"""kopf's part: every event puts a key into a queue, nothing is decided here.

The handlers are `on.event` handlers: they see every change, write no annotation and add no
finalizer. Retries, order and pace are the queue's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from typing import Any, Protocol, cast

import kopf

from report_operator.adapters.kube.store import Store
from report_operator.adapters.kube.watching import LIST_CHUNK, watch_session
from report_operator.api.v1alpha1 import backfill
from report_operator.api.v1alpha1.resource import GROUP, PLURAL, VERSION, Key
from report_operator.domain.names import LABEL_UID

UNWATCH_SECONDS = 5.0  # for kopf's tasks to end


class EventQueues(Protocol):
    """Where keys go."""

    def enqueue_schedule(self, key: Key) -> None:
        """The schedule, or an object that it owns, has changed."""

    def enqueue_backfill(self, key: Key) -> None:
        """The backfill has changed."""

    def enqueue_admission(self) -> None:
        """Runs came, went or ended: the next may be admitted."""


async def watch(
    store: Store,
    queues: EventQueues,
    namespaces: Collection[str],
    *,
    clusterwide: bool,
    started: Callable[[], None],
) -> None:
    """Raises the error of a watch stream that ends. `started` is called when all have begun."""
    registry = kopf.OperatorRegistry()
    settings = kopf.OperatorSettings()
    register(registry, store, queues)
    configure(settings)
    # kopf's own `run_tasks` would, at the end, cancel all tasks that are younger than itself,
    # whoever made them.
    watching = await kopf.spawn_tasks(
        registry=registry,
        settings=settings,
        namespaces=namespaces,
        clusterwide=clusterwide,
        standalone=True,
    )
    started()
    try:
        done, _ = await asyncio.wait(watching, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in watching:
            task.cancel()
        await asyncio.wait(watching, timeout=UNWATCH_SECONDS)


def register(registry: kopf.OperatorRegistry, store: Store, queues: EventQueues) -> None:
    @kopf.on.login(registry=registry)
    async def login(**_: Any) -> kopf.AiohttpSession:
        return watch_session()

    @kopf.on.event(GROUP, VERSION, PLURAL, registry=registry)
    async def schedule_event(event: kopf.RawEvent, **_: Any) -> None:
        store.watched.add(PLURAL)
        found = store.observe_schedule(event["object"], deleted=_deleted(event))
        if found and found[1]:
            queues.enqueue_schedule(found[0])

    @kopf.on.event(GROUP, VERSION, backfill.PLURAL, registry=registry)
    async def backfill_event(event: kopf.RawEvent, **_: Any) -> None:
        store.watched.add(backfill.PLURAL)
        found = store.observe_backfill(event["object"], deleted=_deleted(event))
        if found and found[1]:
            queues.enqueue_backfill(found[0])

    @kopf.on.event("batch", "v1", "cronjobs", registry=registry)
    async def cronjob_event(event: kopf.RawEvent, **_: Any) -> None:
        store.watched.add("cronjobs")
        found = store.observe_cronjob(event["object"], deleted=_deleted(event))
        if found and found[1]:
            queues.enqueue_schedule(found[0])

    @kopf.on.event("batch", "v1", "jobs", registry=registry)
    async def job_event(event: kopf.RawEvent, **_: Any) -> None:
        store.watched.add("jobs")
        found = store.observe_job(event["object"], deleted=_deleted(event))
        if found and found[1]:
            queues.enqueue_schedule(found[0])
            queues.enqueue_admission()

    @kopf.on.event("", "v1", "pods", registry=registry)
    async def pod_event(event: kopf.RawEvent, **_: Any) -> None:
        key = store.observe_pod(event["object"], deleted=_deleted(event))
        if key is not None:
            queues.enqueue_schedule(key)


def configure(settings: kopf.OperatorSettings) -> None:
    """Watch only objects with our label; the API server does the selecting."""
    for kind in ("cronjobs", "jobs"):
        settings.watching.label_selectors["batch", "v1", kind] = LABEL_UID
    settings.watching.label_selectors["", "v1", "pods"] = LABEL_UID
    # The resource kinds are fixed; discovery would need rights on CRDs.
    settings.scanning.disabled = True
    settings.watching.chunk_size = LIST_CHUNK
    settings.watching.server_timeout = 10 * 60
    settings.watching.client_timeout = 11 * 60
    settings.watching.connect_timeout = 10
    settings.persistence.diffbase_storage = _NoDiffBase()
    settings.posting.enabled = False
    settings.queueing.idle_timeout = 0.1  # until then an object's last event is held in full
    settings.networking.request_timeout = 60
    settings.process.ultimate_exiting_timeout = None  # the kubelet sees to that


class _NoDiffBase(kopf.DiffBaseStorage):
    """Stores nothing: `on.event` handlers compare nothing, and kopf would copy each object."""

    def build(self, **_: Any) -> kopf.BodyEssence:
        return cast(kopf.BodyEssence, {})

    def fetch(self, **_: Any) -> kopf.BodyEssence | None:
        return None

    def store(self, **_: Any) -> None:
        pass


def _deleted(event: kopf.RawEvent) -> bool:
    return event["type"] == "DELETED"
