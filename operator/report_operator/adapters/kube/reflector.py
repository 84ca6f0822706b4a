"""One kind of object as the API server has it: listed, then followed by a watch.

The operator's own watches are kopf's; this is for readers that have to know whether their cache is
current, and why not. The rules are client-go's (tools/cache/reflector.go): a watch begins at the
version of the list before it, and is expected to end.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field
from typing import Protocol

from report_operator.adapters.kube.client import Body, KubeClient
from report_operator.adapters.kube.errors import API_ERRORS
from report_operator.adapters.kube.resources import Resource
from report_operator.adapters.kube.skipped import Skipped

logger = logging.getLogger(__name__)

FIRST_RETRY_SECONDS, LAST_RETRY_SECONDS = 0.5, 15.0


class Observe(Protocol):
    """Receives each object."""

    def __call__(self, body: Body, *, deleted: bool = False) -> None:
        """`deleted`: the object is the last one before its deletion."""


@dataclass(slots=True)
class Reflector:
    """Calls `observe` for every object and every change, and `keep(uids)` after a list."""

    kube: KubeClient
    kind: Resource
    namespace: str | None  # None: all
    labels: str
    observe: Observe
    keep: Callable[[set[str]], None]
    skipped: Skipped = field(default_factory=Skipped)
    _following: bool = False
    _asked: asyncio.Event = field(default_factory=asyncio.Event)
    _waiting: list[asyncio.Future[None]] = field(default_factory=list)

    async def run(self) -> None:
        loop, delay = asyncio.get_running_loop(), FIRST_RETRY_SECONDS
        while True:
            waiting, self._waiting = self._waiting, []  # who asks from now on wants the next list
            self._asked.clear()
            begun = loop.time()
            try:
                version = await self._list()
            except API_ERRORS as error:
                _answer(waiting, error)
            else:
                _answer(waiting)
                await self._follow(version)
            if loop.time() - begun > LAST_RETRY_SECONDS:
                delay = FIRST_RETRY_SECONDS
            try:
                async with asyncio.timeout(delay):
                    await self._asked.wait()
                delay = FIRST_RETRY_SECONDS
            except TimeoutError:
                delay = min(2 * delay, LAST_RETRY_SECONDS)

    async def current(self) -> None:
        """Whether the cache is up to date within milliseconds. Raises one of API_ERRORS if not."""
        if not self._following:
            await self.fresh()

    async def fresh(self) -> None:
        """Waits until everything that exists now was observed. Raises one of API_ERRORS."""
        answer = asyncio.get_running_loop().create_future()
        self._waiting.append(answer)
        self._asked.set()
        await answer

    async def _list(self) -> str:
        version = ""
        uids: set[str] = set()
        pages = self.kube.pages(self.kind, self.namespace, labels=self.labels)
        async for version, bodies in pages:  # noqa: B007  (a list is of one version)
            for body in bodies:
                uids.add(body["metadata"]["uid"])
                self._observe(body)
        self.skipped.keep(self.kind.plural, uids)
        self.keep(uids)
        return version

    async def _follow(self, version: str) -> None:
        """Returns when the watch ends, or when a caller needs a new list."""
        try:
            async with self.kube.watch(
                self.kind, self.namespace, version, labels=self.labels
            ) as events:
                self._following = True
                both = (
                    asyncio.create_task(self._apply(events)),
                    asyncio.create_task(self._asked.wait()),
                )
                try:
                    await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    self._following = False
                    for task in both:
                        task.cancel()
                    await asyncio.wait(both)
                if not both[0].cancelled():
                    both[0].result()
        except API_ERRORS as error:
            logger.info("watch of %s: %s", self.kind.plural, str(error) or type(error).__name__)

    async def _apply(self, events: AsyncGenerator[tuple[str, Body]]) -> None:
        async for kind, body in events:
            self._observe(body, deleted=kind == "DELETED")

    def _observe(self, body: Body, *, deleted: bool = False) -> None:
        """An object that cannot be read is skipped and recorded; it does not end the watch."""
        try:
            self.observe(body, deleted=deleted)
        except Exception as error:  # noqa: BLE001  (whatever an object says stops no other)
            self.skipped.note(self.kind.plural, body, error)
        else:
            self.skipped.clear(self.kind.plural, str(body["metadata"].get("uid")))


def _answer(waiting: list[asyncio.Future[None]], error: Exception | None = None) -> None:
    for answer in waiting:
        if answer.done():  # nobody waits any more
            continue
        if error is None:
            answer.set_result(None)
        else:
            answer.set_exception(error)
