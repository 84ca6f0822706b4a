"""Waiting for a condition, never for a time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class UnexpectedError(AssertionError):
    """A condition that did not come to hold; says what was there instead."""


def wait_for(
    what: str,
    probe: Callable[[], T],
    seconds: float = 60.0,
    story: Callable[[], object] | None = None,
) -> T:
    """Poll until `probe` gives something true; `story` tells what was there where it never did."""
    deadline = time.monotonic() + seconds
    while True:
        found = probe()
        if found:
            return found
        if time.monotonic() > deadline:
            told = f"\n{story()}" if story else ""
            raise UnexpectedError(f"not within {seconds:.0f} s: {what}{told}")
        time.sleep(0.1)
