"""Answers that may be a few seconds old."""

import asyncio
from types import SimpleNamespace

import pytest

from report_operator.adapters import ttl_cache
from report_operator.adapters.ttl_cache import TTLCache

pytestmark = pytest.mark.timeout(60)


class Source:
    """Counts what it is asked."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.asked = asyncio.Event()
        self.error: Exception | None = None

    async def load(self, key: str) -> str:
        self.calls.append(key)
        self.asked.set()
        await self.gate.wait()
        if self.error:
            raise self.error
        return f"{key}{len(self.calls)}"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    state = SimpleNamespace(now=100.0)
    monkeypatch.setattr(ttl_cache, "time", SimpleNamespace(monotonic=lambda: state.now))
    return state


async def test_asks_again_only_when_the_answer_is_old(clock: SimpleNamespace) -> None:
    source = Source()
    short = TTLCache(source.load, seconds=20)
    assert [await short.get("a"), await short.get("a")] == ["a1", "a1"]
    clock.now += 19.9
    assert [await short.get("a"), await short.get("b")] == ["a1", "b2"]
    clock.now += 0.1
    assert [await short.get("a"), await short.get("b")] == ["a3", "b2"]


async def test_callers_at_the_same_time_share_one_call(clock: SimpleNamespace) -> None:
    source = Source()
    source.gate.clear()
    short = TTLCache(source.load, seconds=20)
    callers = [asyncio.create_task(short.get("a")) for _ in range(5)]
    await source.asked.wait()
    source.gate.set()
    assert await asyncio.gather(*callers) == ["a1"] * 5
    assert source.calls == ["a"]


async def test_error_reaches_every_caller_and_is_not_kept(clock: SimpleNamespace) -> None:
    source = Source()
    source.error = OSError("no route")
    short = TTLCache(source.load, seconds=20)
    answers = await asyncio.gather(short.get("a"), short.get("a"), return_exceptions=True)
    assert answers == [source.error, source.error]
    source.error = None
    assert await short.get("a") == "a2"


async def test_caller_that_gives_up_does_not_take_the_others_along(clock: SimpleNamespace) -> None:
    source = Source()
    source.gate.clear()
    short = TTLCache(source.load, seconds=20)
    first, second = (asyncio.create_task(short.get("a")) for _ in range(2))
    await source.asked.wait()
    first.cancel()
    await asyncio.wait({first})
    source.gate.set()
    assert await second == "a1"


async def test_number_of_keys_is_bounded(clock: SimpleNamespace) -> None:
    source = Source()
    short = TTLCache(source.load, seconds=20, limit=3)
    for key in "abcd":
        await short.get(key)
    assert len(short._known) <= 3
    assert await short.get("d") == "d4"
