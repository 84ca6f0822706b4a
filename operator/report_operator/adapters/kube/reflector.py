"""One kind of object as the API server has it: listed, then followed by a watch.

The operator's own watches are kopf's; this is for who wants to know at each moment whether what
it has is current, and to be told why not. The rules are client-go's (tools/cache/reflector.go): a
watch begins at the version of the list before it, and is expected to end.
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
    """Who takes note of an object."""

    def __call__(self, body: Body, *, deleted: bool = False) -> None:
        """It is like this now; or it was, before it was deleted."""


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
        """Until cancelled."""
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
                await asyncio.wait_for(self._asked.wait(), delay)
                delay = FIRST_RETRY_SECONDS
            except TimeoutError:
                delay = min(2 * delay, LAST_RETRY_SECONDS)

    async def current(self) -> None:
        """What was told is what there is, to a few milliseconds. Raises one of API_ERRORS."""
        if not self._following:
            await self.fresh()

    async def fresh(self) -> None:
        """What there is at this moment has been told. Raises one of API_ERRORS."""
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
                self._take(body)
        self.skipped.keep(self.kind.plural, uids)
        self.keep(uids)
        return version

    async def _follow(self, version: str) -> None:
        """Until the watch ends, or somebody asks for more than it tells."""
        try:
            async with self.kube.watch(
                self.kind, self.namespace, version, labels=self.labels
            ) as events:
                self._following = True
                both = (
                    asyncio.create_task(self._tell(events)),
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
            logger.info("watch of %s: %s", self.kind.plural, error or type(error).__name__)

    async def _tell(self, events: AsyncGenerator[tuple[str, Body]]) -> None:
        async for told, body in events:
            self._take(body, deleted=told == "DELETED")

    def _take(self, body: Body, *, deleted: bool = False) -> None:
        """One object that cannot be read ends nothing: it is left out, with a word."""
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
