"""Restarts an operator whenever it is dead."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from hack.testbed.operator import OperatorProcess


@contextmanager
def restarted(operator: OperatorProcess, *, same_lease: bool = False) -> Iterator[list[int]]:
    """Restart the operator whenever it is dead, as a Deployment does; [number of starts]."""
    over = threading.Event()
    lives = [1]

    def watch() -> None:
        while not over.wait(0.05):
            if operator.exit_code is not None:
                lives[0] += 1
                operator.start(same_lease=same_lease)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield lives
    finally:
        over.set()
        thread.join()
