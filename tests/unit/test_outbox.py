"""Spans and events go out beside the work: no endpoint holds it up, and what is lost is counted."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from hack.testbed.waiting import wait_for
from report_runner import outbox
from report_runner.outbox import QUEUE_LIMIT, Outbox

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
BUSY = b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"
NO = b"HTTP/1.1 400 No\r\nContent-Length: 0\r\n\r\n"

Answer = Callable[[socket.socket], None]


@contextmanager
def endpoint(answer: Answer) -> Iterator[str]:
    """Each connection is handed to `answer`, in a thread of its own, and closed after it."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        stop = threading.Event()

        def serve() -> None:
            while not stop.is_set():
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                threading.Thread(target=handle, args=(connection,), daemon=True).start()

        def handle(connection: socket.socket) -> None:
            with connection:
                try:
                    answer(connection)
                except OSError:
                    return

        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/v1/traces"
        stop.set()
        server.shutdown(socket.SHUT_RDWR)


def box(url: str, seconds: float = 5.0) -> Outbox[str]:
    return Outbox(
        url, "words", "text/plain", lambda words: [" ".join(words).encode()],
        request_seconds=seconds,
    )  # fmt: skip


def test_what_is_queued_at_the_end_is_sent() -> None:
    received: list[bytes] = []

    def answer(connection: socket.socket) -> None:
        received.append(connection.recv(65_536))
        connection.sendall(OK)

    with endpoint(answer) as url:
        made = box(url)
        for number in range(600):
            made.add(f"word-{number}")
        made.close(5)
    assert (made.counts.sent, made.counts.dropped) == (600, 0)
    assert b"POST /v1/traces HTTP/1.1" in received[0]


def test_an_endpoint_that_is_away_for_a_moment_loses_nothing() -> None:
    answers = [BUSY, BUSY, OK]

    def answer(connection: socket.socket) -> None:
        connection.recv(65_536)
        connection.sendall(answers.pop(0))

    with endpoint(answer) as url:
        made = box(url)
        made.add("word")
        wait_for("it is taken", lambda: made.counts.sent, 20)
    assert (answers, made.counts.dropped) == ([], 0)


def test_what_is_refused_for_good_is_not_sent_again() -> None:
    requests = []

    def answer(connection: socket.socket) -> None:
        requests.append(connection.recv(65_536))
        connection.sendall(NO)

    with endpoint(answer) as url:
        made = box(url)
        made.add("word")
        wait_for("it is dropped", lambda: made.counts.dropped, 20)
        made.close(5)
    assert len(requests) == 1


def silent(connection: socket.socket) -> None:
    while connection.recv(65_536):
        pass


def drip(connection: socket.socket) -> None:
    """A byte now and then keeps each single read within its time-out."""
    connection.recv(65_536)
    for byte in OK[:-2] * 1000:
        connection.sendall(bytes([byte]))
        time.sleep(0.05)


@pytest.mark.parametrize("answer", [silent, drip])
def test_no_endpoint_holds_a_request_for_longer_than_its_time(answer: Answer) -> None:
    with endpoint(answer) as url:
        made = box(url, seconds=0.5)
        begin = time.monotonic()
        made.add("word")
        wait_for("the request is given up", lambda: made._answers is False, 10)
        assert time.monotonic() - begin < 5
        begin = time.monotonic()
        made.close(60)  # not waited for: it does not answer
        assert time.monotonic() - begin < 5
    assert (made.counts.sent, made.counts.dropped) == (0, 1)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1/", "http://no-such-collector.invalid:4318/", "http://[::1]:1/"]
)
def test_an_endpoint_that_is_not_there_is_not_waited_for(url: str) -> None:
    made = box(url)
    made.add("word")
    wait_for("a request failed", lambda: made._answers is False, 30)
    begin = time.monotonic()
    made.close(60)
    assert time.monotonic() - begin < 5
    assert made.counts.dropped == 1


def test_close_waits_no_longer_than_it_may_for_a_first_answer() -> None:
    with endpoint(silent) as url:
        made = box(url, seconds=60)
        made.add("word")
        begin = time.monotonic()
        made.close(0.3)
        assert time.monotonic() - begin < 5
    assert made.counts.dropped == 1


def test_the_queue_has_a_bound_and_adding_never_waits() -> None:
    with endpoint(silent) as url:
        made = box(url, seconds=60)
        begin = time.monotonic()
        for _ in range(QUEUE_LIMIT * 3):
            made.add("word")
        assert time.monotonic() - begin < 5
        assert len(made._items) <= QUEUE_LIMIT
        made.close(0)
    assert made.counts.dropped == QUEUE_LIMIT * 3
    made.add("after the end")
    assert made.counts.dropped == QUEUE_LIMIT * 3 + 1


def test_no_thread_left_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    made = box("http://127.0.0.1:9/")
    monkeypatch.setattr(outbox.threading.Thread, "start", fail)
    made.add("word")
    made.close(60)
    assert made.counts.dropped == 1
