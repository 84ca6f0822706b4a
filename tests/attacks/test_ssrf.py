"""URLs of authors that lead inside, against a listener that has to stay silent."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import stamina
from pydantic import ValidationError

from report_runner.contract.reasons import Reason
from report_runner.models import RunError
from tests.attacks.addresses import ANSWERS, PORT, SSRF, WAYS
from tests.attacks.vectors import Attacks, Vector, Who
from tests.support.http_api import Api, Reply, http_api
from tests.support.sources import fetch_rows, write_secret

ALLOWED = "127.0.0.77"


class SilentListener:
    """On every address of this machine, at one port; it hangs up on whoever calls."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True)
        self.port: int = self._socket.getsockname()[1]
        self._heard: list[str] = []
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()

    def _listen(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            called = str(connection.getsockname()[0]).removeprefix("::ffff:")
            if called != ALLOWED:  # where it may be called
                self._heard.append(called)
            connection.close()

    def take(self) -> list[str]:
        """The addresses that were called since the last time."""
        heard, self._heard = self._heard, []
        return heard

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join()


@contextmanager
def silent_listener() -> Iterator[SilentListener]:
    made = SilentListener()
    try:
        yield made
    finally:
        made.close()


class Names:
    """Answers of a resolver: each call to a name gets the next one, and from then on the last."""

    def __init__(self) -> None:
        self.real = socket.getaddrinfo
        self.asked: dict[str, int] = {}

    def __call__(self, host: Any, port: Any, family: int = 0, *rest: Any, **more: Any) -> Any:
        if isinstance(host, str):
            host = host.rstrip(".")  # a resolver may wait long for `localhost.`
        answers = ANSWERS.get(host.lower() if isinstance(host, str) else "")
        if answers is None:
            return self.real(host, port, family, *rest, **more)
        count = self.asked[host] = self.asked.get(host, -1) + 1
        found = []
        for address in answers[min(count, len(answers) - 1)]:
            address = address.replace("$ALLOWED", ALLOWED)
            found += self.real(address, port, 0, *rest, **more)
        return found


@pytest.fixture
def connects(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """Every address that this process tries to connect to with asyncio."""
    tried: list[tuple[Any, ...]] = []
    loop_type = asyncio.SelectorEventLoop
    real = loop_type.sock_connect

    async def connect(self: Any, sock: socket.socket, address: tuple[Any, ...]) -> None:
        tried.append(address)
        await real(self, sock, address)

    monkeypatch.setattr(loop_type, "sock_connect", connect)
    return tried


@pytest.fixture
def front(tmp_path: Path) -> Iterator[Api]:
    """A server that the operator's configuration allows, and that an author controls."""
    with http_api(host=ALLOWED) as made:
        yield made


def test_an_author_reaches_nothing_inside(
    attacks: Attacks,
    connects: list[tuple[Any, ...]],
    front: Api,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whatever the notation, and whoever names it: the spec, a redirect, or the next page."""
    write_secret(tmp_path, "store", clientId="me", clientSecret="secret-1",
                 accessKeyId="me", secretAccessKey="secret-2")  # fmt: skip
    names = Names()
    monkeypatch.setattr(socket, "getaddrinfo", names)
    with silent_listener() as listener, stamina.set_testing(True, attempts=2):
        for vector in SSRF:
            way, url = vector.data
            names.asked.clear()
            connects.clear()
            attacks.record(
                vector,
                _try(way, url.replace(PORT, str(listener.port)), front, tmp_path)
                or _heard(listener, connects),
            )
    attacks.judge(SSRF)


def _try(way: str, url: str, front: Api, root: Path) -> str | None:
    """How it got through; None where it was refused in words."""
    kind = WAYS[way]
    front.routes.clear()
    place = url.encode("utf-8").decode("latin-1").replace("\r", "").replace("\n", "")
    reply = Reply([{"a": 1}])
    if kind.redirects:
        reply = Reply("", 307, {"Location": place})
    elif kind.links:
        reply = Reply([{"a": 1}], headers={"Link": f'<{place}>; rel="next"'})
    front.default = lambda _: reply
    try:
        found = fetch_rows(kind.source(url, front.url), root, allow=[ALLOWED])
    except (ValidationError, RunError) as error:
        reason = getattr(error, "reason", Reason.CONFIGURATION_ERROR)
        # An address that is allowed, and answers as nobody there would.
        known = (Reason.CONFIGURATION_ERROR, Reason.EXTERNAL_SOURCE_UNAVAILABLE)
        return None if reason in known else f"{reason}: {error}"
    return f"rows came: {len(found.rows)}"


def _heard(listener: SilentListener, connects: list[tuple[Any, ...]]) -> str | None:
    if heard := listener.take():
        return f"the listener was called by {heard}"
    others = [address for address in connects if not _is_ours(address)]
    return f"it tried to connect to {others}" if others else None


def _is_ours(address: tuple[Any, ...]) -> bool:
    return str(address[0]) == ALLOWED


ENVIRONMENT = [
    Vector("ssrf", f"{way}-environment-{name}", Who.AUTHOR, (way, name))
    for way in ("http", "object")
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "HTTPS_PROXY", "NO_PROXY",
                 "no_proxy")
]  # fmt: skip


def test_the_environment_names_no_proxy(
    attacks: Attacks, front: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy would connect in the run's place; NO_PROXY would lead past the guard's own."""
    write_secret(tmp_path, "store", accessKeyId="me", secretAccessKey="secret-2")
    with silent_listener() as listener, stamina.set_testing(True, attempts=2):
        for vector in ENVIRONMENT:
            way, name = vector.data
            here = f"http://127.0.0.1:{listener.port}"
            url = here if "no" in name.lower() else front.url
            front.default = lambda _: Reply("a\n1\n", headers={"ETag": '"x"', "Last-Modified":
                                            "Mon, 05 Jan 2026 06:00:00 GMT"})  # fmt: skip
            with monkeypatch.context() as patch:
                patch.setenv(name, "*" if "no" in name.lower() else here)
                how = None
                try:
                    spec = WAYS[way].source(url, front.url)
                    if way == "http":
                        spec["http"]["format"] = "csv"
                    fetch_rows(spec, tmp_path, allow=[ALLOWED])
                    if url == here:
                        how = "rows came"
                except RunError as error:
                    if url != here:
                        how = f"the allowed server was not asked: {error.message}"
            if heard := listener.take():
                how = f"the listener was called by {heard}"
            attacks.record(vector, how)
    attacks.judge(ENVIRONMENT)


def test_the_listener_hears() -> None:
    """What is silent above is a listener that can be called."""
    with silent_listener() as listener:
        for host in ("127.0.0.1", "::1", "127.8.9.10"):
            with socket.create_connection((host, listener.port), 5) as connection:
                assert connection.recv(1) == b""  # it has hung up, so it has heard
            assert listener.take() == [host]


@pytest.mark.parametrize("way", ["http", "object"])
def test_what_would_get_through_is_seen(
    way: str, connects: list[tuple[Any, ...]], tmp_path: Path
) -> None:
    """With the address allowed, the same source does call the listener."""
    write_secret(tmp_path, "store", accessKeyId="me", secretAccessKey="secret-2")
    with silent_listener() as listener, stamina.set_testing(True, attempts=1):
        url = f"http://127.0.0.1:{listener.port}"
        with pytest.raises(RunError) as caught:
            fetch_rows(WAYS[way].source(url, ""), tmp_path, allow=["127.0.0.1"])
        assert caught.value.reason is Reason.EXTERNAL_SOURCE_UNAVAILABLE
        assert listener.take()
    assert ("127.0.0.1", listener.port) in connects
