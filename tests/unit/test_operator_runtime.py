"""The end of the operator's tasks."""

from __future__ import annotations

import asyncio

import pytest

from report_operator import runtime


def test_a_task_that_swallows_a_cancellation_is_cancelled_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(runtime, "CANCEL_AGAIN_SECONDS", 0.01)
    swallowed = []

    async def stubborn() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            swallowed.append(1)
        await asyncio.Event().wait()

    async def scenario() -> asyncio.Task[None]:
        task = asyncio.create_task(stubborn())
        await asyncio.sleep(0)
        await asyncio.wait_for(runtime.end_tasks({task}), 30)
        return task

    task = asyncio.run(scenario())
    assert swallowed == [1]
    assert task.cancelled()
