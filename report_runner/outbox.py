"""Sends items to an HTTP endpoint in the background; whoever hands them over never waits.

The endpoint may be down, slow, or take connections and never answer: the queue is bounded and what
does not fit is dropped and counted, a request has a time-out over all of it, and `close` waits only
for an endpoint that is known to answer.
"""

from __future__ import annotations

import http.client
import logging
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar
from urllib.parse import urlsplit

T = TypeVar("T")

QUEUE_LIMIT = 2048
BATCH = 256
LINGER_SECONDS = 0.2  # for more items to go with the first
REQUEST_SECONDS = 5.0
FIRST_PAUSE, LAST_PAUSE = 0.5, 30.0  # after a failure; doubled each time
TRIES = 5  # of one batch
RETRYABLE = (408, 429, 502, 503, 504)  # as OTLP/HTTP has it

logger = logging.getLogger(__name__)


class SendError(Exception):
    """The endpoint did not take it; `final`, and would not take it again either."""

    def __init__(self, text: str, *, final: bool = False) -> None:
        super().__init__(text)
        self.final = final


@dataclass(slots=True)
class Counts:
    """Items so far."""

    sent: int = 0
    dropped: int = 0


@dataclass(slots=True)
class Outbox(Generic[T]):
    """`encode` makes request bodies of a batch, in the thread that sends; `what` is for the log."""

    url: str
    what: str
    content_type: str
    encode: Callable[[Sequence[T]], Sequence[bytes]]
    headers: Mapping[str, str] = field(default_factory=dict)
    request_seconds: float = REQUEST_SECONDS
    counts: Counts = field(default_factory=Counts)
    _items: deque[T] = field(default_factory=deque)
    _changed: threading.Condition = field(default_factory=threading.Condition)
    _closing: bool = False
    _idle: bool = True  # nothing is queued, and nothing on its way
    _answers: bool | None = None  # whether the last request was answered; None before the first
    _since: float | None = None  # when the request began that is on its way (time.monotonic)
    _on_its_way: int = 0
    _given_up: bool = False  # `close` has counted what is on its way
    _thread: threading.Thread | None = None

    def add(self, item: T) -> None:
        """Queue it. Never blocks on the endpoint, never raises."""
        with self._changed:
            if self._closing or len(self._items) >= QUEUE_LIMIT:
                self.counts.dropped += 1
                return
            self._items.append(item)
            self._idle = False
            if self._thread is None:
                thread = threading.Thread(target=self._run, name=self.what, daemon=True)
                try:
                    thread.start()
                except RuntimeError:  # no more threads: the next item tries again
                    self._items.pop()
                    self._idle = True
                    self.counts.dropped += 1
                    return
                self._thread = thread
            self._changed.notify_all()

    def close(self, seconds: float) -> None:
        """Send what is queued within `seconds`, and drop the rest.

        Returns at once where the last request failed, or one has had no answer for that long.
        """
        with self._changed:
            self._closing = True
            self._changed.notify_all()
            waited = self._since if self._since is not None else time.monotonic()
            left = max(waited + seconds - time.monotonic(), 0)
            self._changed.wait_for(lambda: self._idle or self._answers is False, left)
            self._given_up = True
            self.counts.dropped += len(self._items) + self._on_its_way
            self._items.clear()

    # -- the thread ---------------------------------------------------------------------------

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._items or self._closing)
                if not self._items:
                    return
                if not self._closing:
                    self._changed.wait_for(
                        lambda: self._closing or len(self._items) >= BATCH, LINGER_SECONDS
                    )
                batch = [self._items.popleft() for _ in range(min(BATCH, len(self._items)))]
                self._on_its_way = len(batch)
            taken = bool(batch) and self._deliver(batch)
            with self._changed:
                if taken:
                    self.counts.sent += len(batch)
                elif not self._given_up:
                    self.counts.dropped += len(batch)
                self._on_its_way = 0
                self._idle = not self._items
                self._changed.notify_all()

    def _deliver(self, batch: Sequence[T]) -> bool:
        """Whether all of the batch was taken."""
        try:
            bodies = list(self.encode(batch))
        except Exception:
            logger.exception("%s: %d could not be encoded", self.what, len(batch))
            return False
        pause = FIRST_PAUSE
        for left in reversed(range(TRIES)):
            try:
                while bodies:
                    self._post(bodies[0])
                    del bodies[0]
            except SendError as error:
                self._heard(error)
                if error.final or not left or self._waited_in_vain(pause):
                    return False
                pause = min(pause * 2, LAST_PAUSE)
            else:
                self._heard(None)
                return True
        return False

    def _waited_in_vain(self, pause: float) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: self._closing, pause)

    def _heard(self, error: SendError | None) -> None:
        before = self._answers
        with self._changed:
            self._answers = error is None
            self._changed.notify_all()
        if error is not None and before is not False:
            logger.warning("%s are not taken, and are dropped meanwhile: %s", self.what, error)
        elif error is None and before is False:
            logger.info("%s are taken again; %d were dropped", self.what, self.counts.dropped)

    def _post(self, body: bytes) -> None:
        """One request on a connection of its own. Raises SendError."""
        parts = urlsplit(self.url)
        kind = (
            http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        )
        connection = kind(parts.hostname or "", parts.port, timeout=self.request_seconds)
        # A time-out of a socket is for each read alone: who answers byte by byte has for ever.
        guard = threading.Timer(self.request_seconds, _cut, [connection])
        guard.daemon = True
        begin = self._since = time.monotonic()
        try:
            guard.start()
            headers = {"Content-Type": self.content_type, "Connection": "close", **self.headers}
            connection.request("POST", parts.path or "/", body, headers)
            status = connection.getresponse().status
        except (OSError, http.client.HTTPException, ValueError, RuntimeError) as error:
            late = time.monotonic() - begin >= self.request_seconds
            text = f"no answer within {self.request_seconds:g} s" if late else type(error).__name__
            raise SendError(f"{parts.netloc}: {text}") from None
        finally:
            self._since = None
            guard.cancel()
            connection.close()
        if status not in range(200, 300):
            raise SendError(f"{parts.netloc} answers {status}", final=status not in RETRYABLE)


def _cut(connection: http.client.HTTPConnection) -> None:
    if connection.sock is not None:
        try:
            connection.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            return  # it is closed already
