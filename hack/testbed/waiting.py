"""Waits for conditions, never for a fixed time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


class UnexpectedError(AssertionError):
    """A condition did not hold in time; the message has the actual state."""


def wait_for(
    what: str,
    probe: Callable[[], T],
    seconds: float = 60.0,
    describe: Callable[[], object] | None = None,
) -> T:
    """The first true result of `probe`, polled; `describe` gives the state for the error."""
    deadline = time.monotonic() + seconds
    while True:
        found = probe()
        if found:
            return found
        if time.monotonic() > deadline:
            told = f"\n{describe()}" if describe else ""
            raise UnexpectedError(f"not within {seconds:.0f} s: {what}{told}")
        time.sleep(0.1)


async def until(what: str, holds: Callable[[], Awaitable[object]], seconds: float = 60.0) -> None:
    """`wait_for` in a coroutine: others go on meanwhile."""
    deadline = time.monotonic() + seconds
    while not await holds():
        if time.monotonic() > deadline:
            raise UnexpectedError(f"not within {seconds:.0f} s: {what}")
        await asyncio.sleep(0.02)
