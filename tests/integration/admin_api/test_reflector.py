"""List and watch of a real API server, over a network that fails."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path

import pytest

from hack.testbed.namespace import CORE, Namespace
from report_operator.adapters.kube import connection, listing
from report_operator.adapters.kube.client import Body, KubeClient
from report_operator.adapters.kube.errors import API_ERRORS
from report_operator.adapters.kube.reflector import Reflector
from report_operator.adapters.kube.resources import CONFIGMAPS
from tests.support.proxy import Proxy

LABEL = "tests/reflected"


class Told:
    """The objects that a reflector reports."""

    def __init__(self) -> None:
        self.there: dict[str, str] = {}  # name by uid
        self.news = asyncio.Event()

    def observe(self, body: Body, *, deleted: bool = False) -> None:
        meta = body["metadata"]
        if deleted:
            self.there.pop(meta["uid"], None)
        else:
            self.there[meta["uid"]] = meta["name"]
        self.news.set()

    def keep(self, uids: set[str]) -> None:
        self.there = {uid: name for uid, name in self.there.items() if uid in uids}
        self.news.set()

    @property
    def names(self) -> list[str]:
        return sorted(self.there.values())

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(30):
            while not holds():
                self.news.clear()
                await self.news.wait()


def make(namespace: Namespace, *names: str) -> None:
    for name in names:
        body = {"metadata": {"name": name, "labels": {LABEL: "yes"}}}
        namespace.call("POST", namespace.path(CORE, "configmaps"), body)


def delete(namespace: Namespace, name: str) -> None:
    namespace.call("DELETE", namespace.path(CORE, "configmaps", name))


@pytest.fixture
async def kube(
    proxy: Proxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[KubeClient]:
    monkeypatch.setenv("KUBECONFIG", str(proxy.write_kubeconfig(tmp_path / "kubeconfig")))
    async with await KubeClient.connect() as made:
        yield made


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
async def reflector(namespace: Namespace, kube: KubeClient, told: Told) -> AsyncIterator[Reflector]:
    made = Reflector(kube, CONFIGMAPS, namespace.name, LABEL, told.observe, told.keep)
    running = asyncio.create_task(made.run())
    yield made
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running


async def test_reflector_follows_the_api_server(
    namespace: Namespace, reflector: Reflector, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "PAGE", 2)
    make(namespace, "a", "b", "c", "d", "e")
    await reflector.fresh()
    assert told.names == ["a", "b", "c", "d", "e"]
    await reflector.current()
    make(namespace, "f")
    await told.until(lambda: "f" in told.names)
    delete(namespace, "a")
    await told.until(lambda: "a" not in told.names)
    for number in range(5):  # at once, not soon
        make(namespace, f"fresh-{number}")
        await reflector.fresh()
        assert f"fresh-{number}" in told.names
        delete(namespace, f"fresh-{number}")
        await reflector.fresh()
        assert f"fresh-{number}" not in told.names


async def test_outage_is_raised_to_the_caller(
    namespace: Namespace, proxy: Proxy, reflector: Reflector, told: Told
) -> None:
    make(namespace, "before", "gone")
    await reflector.fresh()
    proxy.cut()
    delete(namespace, "gone")
    make(namespace, "after")
    with pytest.raises(API_ERRORS):
        await reflector.fresh()
    with pytest.raises(API_ERRORS):
        await reflector.current()
    assert told.names == ["before", "gone"]
    proxy.mend()
    await told.until(lambda: told.names == ["after", "before"])  # by itself
    await reflector.current()


async def test_silent_watch_is_abandoned(
    namespace: Namespace, proxy: Proxy, kube: KubeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "WATCH_SILENCE_SECONDS", 0.5)
    told = Told()
    reflector = Reflector(kube, CONFIGMAPS, namespace.name, LABEL, told.observe, told.keep)
    running = asyncio.create_task(reflector.run())
    await reflector.fresh()
    proxy.silence_watches()
    make(namespace, "unheard")
    await told.until(lambda: told.names == ["unheard"])
    running.cancel()
