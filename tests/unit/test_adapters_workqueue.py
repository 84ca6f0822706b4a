"""The queue of keys: each waits once, runs once at a time, and is never given up."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
import uvloop

from report_operator.adapters.kube import workqueue
from report_operator.adapters.kube.workqueue import WorkQueue

pytestmark = pytest.mark.timeout(60)


class Work:
    """Work that a test holds at its gate; notes what ran, and how much of it at once."""

    def __init__(self, *, held: bool = False) -> None:
        self.started: asyncio.Queue[str] = asyncio.Queue()
        self.gate = asyncio.Event()
        if not held:
            self.gate.set()
        self.running: list[str] = []
        self.most = 0
        self.done: list[str] = []
        self.failures = 0

    async def __call__(self, key: str) -> None:
        assert key not in self.running
        self.running.append(key)
        self.most = max(self.most, len(self.running))
        self.started.put_nowait(key)
        try:
            await self.gate.wait()
            if self.failures:
                self.failures -= 1
                raise RuntimeError("not yet")
            self.done.append(key)
        finally:
            self.running.remove(key)


@asynccontextmanager
async def working(
    work: Callable[[str], Awaitable[None]], workers: int = 2
) -> AsyncIterator[WorkQueue[str]]:
    queue = WorkQueue(work, workers)
    task = asyncio.create_task(queue.run())
    try:
        yield queue
        assert not task.done()
    finally:
        task.cancel()
        await asyncio.wait({task})


async def test_key_waits_once() -> None:
    work = Work(held=True)
    async with working(work, workers=1) as queue:
        queue.add("busy")
        assert await work.started.get() == "busy"
        for key in ("a", "b", "a", "a"):
            queue.add(key)
        assert queue.depth == 2
        work.gate.set()
        assert [await work.started.get() for _ in range(2)] == ["a", "b"]
        queue.add("last")
        assert await work.started.get() == "last"
        assert work.done[:3] == ["busy", "a", "b"]
        assert queue.depth == 0


async def test_key_added_while_it_runs_runs_once_more_afterwards() -> None:
    work = Work(held=True)
    async with working(work, workers=3) as queue:
        queue.add("a")
        await work.started.get()
        queue.add("a")
        queue.add("a")
        queue.add("b")
        assert await work.started.get() == "b"  # another worker is free, and "a" is not for it
        assert work.started.empty()
        work.gate.set()
        assert await work.started.get() == "a"
        queue.add("c")
        assert await work.started.get() == "c"
        assert sorted(work.done[:3]) == ["a", "a", "b"]


async def test_workers_are_the_limit() -> None:
    work = Work(held=True)
    async with working(work, workers=3) as queue:
        for key in "abcdefgh":
            queue.add(key)
        for _ in range(3):
            await work.started.get()
        assert queue.depth == 5
        work.gate.set()
        for _ in range(5):
            await work.started.get()
        assert work.most == 3


async def test_failed_work_is_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workqueue, "FIRST_RETRY_SECONDS", 0.0)
    work = Work()
    work.failures = 3
    async with working(work) as queue:
        queue.add("a")
        for _ in range(4):
            assert await work.started.get() == "a"
        queue.add("b")
        assert await work.started.get() == "b"
        assert "a" in work.done


async def test_pauses_grow_up_to_a_bound_and_begin_anew_after_success(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pauses: list[float] = []

    def at_once(self: WorkQueue[str], key: str, seconds: float) -> None:
        pauses.append(seconds)
        self.add(key)

    monkeypatch.setattr(WorkQueue, "add_after", at_once)
    work = Work()
    work.failures = 11
    async with working(work) as queue:
        queue.add("a")
        for _ in range(12):
            await work.started.get()
        queue.add("marker")
        while await work.started.get() != "marker":
            pass
        work.failures = 1
        queue.add("a")
        for _ in range(2):
            assert await work.started.get() == "a"
    assert pauses == [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 51.2, 60.0, 60.0, 0.2]


async def test_key_that_fails_for_days_is_not_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(WorkQueue, "add_after", lambda self, key, seconds: self.add(key))
    monkeypatch.setattr(workqueue.logger, "disabled", True)
    work = Work()
    work.failures = 1500
    finished = asyncio.Event()

    async def watched(key: str) -> None:
        await work(key)
        finished.set()

    queue = WorkQueue(watched, 1)
    task = asyncio.create_task(queue.run())
    queue.add("a")
    waiting = asyncio.create_task(finished.wait())
    await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
    over = task.done()
    for one in (task, waiting):
        one.cancel()
    await asyncio.gather(task, waiting, return_exceptions=True)
    assert not over, "the queue itself has ended"
    assert work.done == ["a"]


async def test_earliest_of_several_times_counts() -> None:
    work = Work()
    async with working(work) as queue:
        queue.add_after("later first", 3600)
        queue.add_after("later first", 0)
        assert await work.started.get() == "later first"
        queue.add_after("sooner first", 0)
        queue.add_after("sooner first", 3600)
        assert await work.started.get() == "sooner first"
        queue.add_after("past", -5)
        assert await work.started.get() == "past"
        assert queue.depth == 0


async def test_timers_end_with_the_queue() -> None:
    work = Work()
    async with working(work) as queue:
        queue.add("b")
        await work.started.get()
        queue.add_after("a", 3600)
        (timer,) = queue._timers.values()
    assert timer.cancelled()


async def test_finish_ends_running_work_and_starts_nothing_more() -> None:
    work = Work(held=True)
    queue = WorkQueue(work, 2)
    task = asyncio.create_task(queue.run())
    for key in ("a", "b", "c"):
        queue.add(key)
    assert {await work.started.get() for _ in range(2)} == {"a", "b"}
    finishing = asyncio.create_task(queue.finish(3600))
    await asyncio.sleep(0)
    assert not finishing.done()
    work.gate.set()
    await finishing
    await task
    assert sorted(work.done) == ["a", "b"]


async def test_finish_waits_for_a_bounded_time() -> None:
    work = Work(held=True)
    async with working(work) as queue:
        queue.add("hangs")
        await work.started.get()
        await queue.finish(0.01)
        assert work.running == ["hangs"]


async def test_idle_queue_is_finished_at_once() -> None:
    async with working(Work()) as queue:
        await queue.finish(3600)


def test_earliest_of_several_times_counts_in_the_operators_own_loop() -> None:
    """Handles of uvloop that are due almost now do not say when."""

    async def add_twice() -> list[str]:
        work = Work()
        async with working(work) as queue:
            queue.add_after("almost now", 0.0001)
            queue.add_after("almost now", 3600)
            assert await work.started.get() == "almost now"
        return work.done

    assert uvloop.run(add_twice()) == ["almost now"]
