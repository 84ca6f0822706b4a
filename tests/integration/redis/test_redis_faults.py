"""Redis hangs, dies or refuses: runs continue, and the problem is reported."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from hack.testbed.controlplane import free_port
from hack.testbed.namespace import Namespace
from hack.testbed.operator import OperatorProcess
from hack.testbed.waiting import wait_for
from report_operator.runtime import CANCEL_AGAIN_SECONDS
from tests.support.redis import DEAD_LETTERS, PASSWORD, RedisServer
from tests.support.redis_scenario import fail, redis_up, wait_for_list


def wait_until(operator: OperatorProcess, up: int) -> None:
    wait_for(f"redis {up}", lambda: redis_up(operator) == up, 60, operator.log)


def lines_about_redis(operator: OperatorProcess) -> list[str]:
    return [line for line in operator.log_file.read_text().splitlines() if "redis " in line]


def test_runs_continue_while_redis_hangs(
    namespace: Namespace, server: RedisServer, operator: OperatorProcess
) -> None:
    fail(namespace, "before", "before-1")
    wait_for_list(server, DEAD_LETTERS, "before")
    server.pause()
    try:
        wait_until(operator, 0)
        fail(namespace, "meanwhile", "meanwhile-1")
        assert operator.health()["leading"]
    finally:
        server.resume()
    wait_until(operator, 1)
    wait_for_list(server, DEAD_LETTERS, "meanwhile", "before")
    down, again = lines_about_redis(operator)  # one for each transition
    assert "redis does not serve" in down
    assert "redis serves again" in again


def test_lists_are_restored_after_redis_lost_its_data(
    namespace: Namespace, server: RedisServer, operator: OperatorProcess
) -> None:
    fail(namespace, "before", "before-1")
    wait_for_list(server, DEAD_LETTERS, "before")
    server.kill()
    wait_until(operator, 0)
    fail(namespace, "meanwhile", "meanwhile-1")
    server.start(keep_data=False)
    wait_for_list(server, DEAD_LETTERS, "meanwhile", "before")
    wait_until(operator, 1)
    assert operator.exit_code is None


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_password_and_tls(
    namespace: Namespace, make_operator: Callable[..., OperatorProcess], tmp_path: Path, tls: bool
) -> None:
    """A wrong password is reported without the password; a new one is used without a restart."""
    server = RedisServer(tmp_path / "redis", PASSWORD, tls)
    secret = tmp_path / "redis-secret"
    try:
        server.start()
        server.write_secret(secret, password="outdated-one")
        made = make_operator(metricsPort=free_port(), redisSecret=str(secret))
        made.start()
        made.wait_until_leading()
        wait_until(made, 0)
        server.write_secret(secret)
        wait_until(made, 1)
        fail(namespace, "one", "one-1")
        wait_for_list(server, DEAD_LETTERS, "one")
        told = made.log_file.read_text()
        assert "invalid username-password pair" in told
        assert "outdated-one" not in told
        assert PASSWORD not in told
    finally:
        server.end()


def test_certificate_of_another_authority_is_refused(
    namespace: Namespace, make_operator: Callable[..., OperatorProcess], tmp_path: Path
) -> None:
    server, other = (RedisServer(tmp_path / name, PASSWORD, tls=True) for name in ("one", "other"))
    try:
        server.start()
        other.start()
        authority = other.certificate.read_text()
        secret = server.write_secret(tmp_path / "redis-secret", **{"ca.crt": authority})
        made = make_operator(metricsPort=free_port(), redisSecret=str(secret))
        made.start()
        made.wait_until_leading()
        wait_until(made, 0)
        (down,) = lines_about_redis(made)
        assert "CERTIFICATE_VERIFY_FAILED" in down
        server.write_secret(secret)
        wait_until(made, 1)
    finally:
        server.end()
        other.end()


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [("port", "sixteen", "port: write a number"), ("tls", "maybe", "tls: write true or false")],
)
def test_invalid_secret_is_reported(
    make_operator: Callable[..., OperatorProcess],
    server: RedisServer,
    tmp_path: Path,
    key: str,
    value: str,
    said: str,
) -> None:
    secret = server.write_secret(tmp_path / "redis-secret", **{key: value})
    made = make_operator(metricsPort=free_port(), redisSecret=str(secret))
    made.start()
    made.wait_until_leading()
    wait_until(made, 0)
    (down,) = lines_about_redis(made)
    assert said in down
    server.write_secret(secret)
    wait_until(made, 1)


def test_a_stop_while_the_operator_connects(operator: OperatorProcess) -> None:
    """What connects may swallow the cancellation: four in ten of these never ended."""

    def lives() -> int:
        return operator.log_file.read_text().count('"message": "leading"')

    operator.terminate()
    for _ in range(6):
        before = lives()
        operator.start()
        wait_for("it leads", lambda before=before: lives() > before, 60, operator.log)
        time.sleep(0.02)  # into its first connection, of which nothing tells
        begun = time.monotonic()
        assert operator.terminate() == 0
        assert time.monotonic() - begun < CANCEL_AGAIN_SECONDS
