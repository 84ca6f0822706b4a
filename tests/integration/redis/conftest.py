"""A real redis-server, and an operator that mirrors its lists there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hack.testbed.controlplane import free_port
from hack.testbed.operator import OperatorProcess
from tests.support.redis import RedisServer


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    made = RedisServer(tmp_path / "redis")
    try:
        made.start()
        yield made
    finally:
        made.end()


@pytest.fixture
def operator(
    make_operator: Callable[..., OperatorProcess], server: RedisServer, tmp_path: Path
) -> OperatorProcess:
    """A leading operator with one active run at most, and the same Lease over all its lives."""
    made = make_operator(
        admission={"maxActive": 1},
        metricsPort=free_port(),
        redisSecret=str(server.write_secret(tmp_path / "redis-secret")),
    )
    made.start(same_lease=True)
    made.wait_until_leading()
    return made
