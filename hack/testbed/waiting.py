"""Waits for conditions, never for a fixed time."""

from __future__ import annotations

import time
from collections.abc import Callable
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
