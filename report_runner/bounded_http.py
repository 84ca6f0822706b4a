"""uvicorn with bounds on what a peer may hold: connections, time for a request, time for an answer.

Used by the file server and the admin API. uvicorn itself bounds the size of a request's head and
the pause between two requests, and nothing else. Where too many connections are open, the one that
has waited longest for its peer gives way, so that a new request is answered while thousands of
half-open connections come in.
"""

from __future__ import annotations

import asyncio
import json
import resource
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import IntEnum
from http import HTTPStatus
from typing import Any, cast

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from report_runner.contract.files import STRICT_HEADERS

PROBLEM = "application/problem+json"  # RFC 9457

TICK = 0.5  # seconds between two looks at all connections
BACKLOG = 1024  # connections that asyncio accepts before anything else happens
BURST = 2  # times as many connections may be open while they are being answered
WRITE_BUFFER = 16 * 1024  # bytes that may wait for a peer before an answer is held back
OPEN_FILES = 4096  # wanted; the process's hard limit counts
GRACE_SECONDS = 20  # for answers under way on TERM


class Wait(IntEnum):
    """What a connection expects of its peer; the first of them give way first."""

    REQUEST = 1  # a complete head, or the rest of a body
    CLOSE = 2  # to take the rest of a last answer
    READING = 3  # to take what was written


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one server."""

    connections: int
    head_seconds: float = 10.0  # from the connection, or the answer before, to a complete head
    body_seconds: float = 15.0
    close_seconds: float = 10.0
    stall_seconds: float = 30.0  # for which a written answer may stay where it is, and
    stall_rate: int = 16 * 1024  # bytes a second of it, if that is longer
    head_bytes: int = 16 * 1024
    discard_bytes: int = 8 * 1024 * 1024  # of a body that nobody wants


@dataclass(slots=True, eq=False)
class Connections:
    """The open connections of a server."""

    limits: Limits
    _open: set[BoundedProtocol] = field(default_factory=set)
    _of_peer: Counter[str] = field(default_factory=Counter)
    _timer: asyncio.TimerHandle | None = None

    def protocol(self, **settings: Any) -> BoundedProtocol:
        """One more, as uvicorn makes them."""
        return BoundedProtocol(self, **settings)

    def add(self, one: BoundedProtocol) -> None:
        """Note a connection; another one ends where there are too many."""
        self._trim(one.loop.time(), self.limits.connections - 1)
        if len(self._open) >= self.limits.connections * BURST:
            one.transport.abort()
            return
        self._open.add(one)
        self._of_peer[one.peer] += 1
        if self._timer is None:
            self._timer = one.loop.call_later(TICK, self._look, one.loop)

    def _trim(self, now: float, most: int, waiting_for: float = 0) -> None:
        """End connections that have waited for their peer for so many seconds.

        Those that are being answered stay, and are counted again once they wait.
        """
        while len(self._open) > most:
            victim = self._victim(now, waiting_for)
            if victim is None:
                return
            self.remove(victim)
            victim.give_up()

    def remove(self, one: BoundedProtocol) -> None:
        """Forget a connection."""
        if one in self._open:
            self._open.discard(one)
            self._of_peer[one.peer] -= 1
            if not self._of_peer[one.peer]:
                del self._of_peer[one.peer]

    def _victim(self, now: float, waiting_for: float) -> BoundedProtocol | None:
        """Of the address that holds most, if one of its connections waits for it."""
        most = self._of_peer.most_common(1)[0][0]
        waiting = [one for one in self._open if one.look(now) and now - one.since >= waiting_for]
        return _longest(one for one in waiting if one.peer == most) or _longest(waiting)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        for one in tuple(self._open):
            if one.look(now) and now > one.deadline:
                one.give_up()
        # Whoever was accepted a moment ago may have asked already, and is only not read yet: to
        # close then would reset the connection of a peer that has waited for nothing.
        self._trim(now, self.limits.connections, TICK)
        self._timer = loop.call_later(TICK, self._look, loop) if self._open else None


def _longest(found: Iterable[BoundedProtocol]) -> BoundedProtocol | None:
    return min(found, key=lambda one: (one.waits or Wait.REQUEST, one.since), default=None)


class BoundedProtocol(H11Protocol):
    """One connection."""

    def __init__(self, known: Connections, **settings: Any) -> None:
        """`settings` are uvicorn's."""
        super().__init__(**settings)
        self._known = known
        self.peer = ""
        self.waits: Wait | None = None  # as `look` saw last, and since when
        self.since = self.loop.time()
        self.deadline = self.since + known.limits.head_seconds
        self._phase: tuple[Any, ...] = ()
        self._resumed = 0  # how often the peer has taken what was written
        self._discarded = 0  # bytes
        self._refused = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Count it."""
        super().connection_made(transport)
        transport.set_write_buffer_limits(high=WRITE_BUFFER)
        self.peer = self.client[0] if self.client else ""
        self._known.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Count it no more."""
        self._known.remove(self)
        super().connection_lost(exc)

    def look(self, now: float) -> Wait | None:
        """What it waits for; None while it is this process's turn."""
        waits = self._expects()
        phase = (waits, self.cycle, self._resumed)
        if phase != self._phase:
            self._phase, self.waits, self.since = phase, waits, now
            self.deadline = now + self._patience(waits)
        return waits

    def _expects(self) -> Wait | None:
        if self._refused or self.transport.is_closing():
            return Wait.CLOSE
        if self.flow.write_paused:
            return Wait.READING
        if self.conn.their_state in (h11.IDLE, h11.SEND_BODY):
            return Wait.REQUEST
        return None

    def _patience(self, waits: Wait | None) -> float:
        limits = self._known.limits
        if waits is Wait.READING:
            written = self.transport.get_write_buffer_size()
            return limits.stall_seconds + written / limits.stall_rate
        if waits is Wait.CLOSE:
            return limits.close_seconds
        return limits.head_seconds if self.conn.their_state is h11.IDLE else limits.body_seconds

    def give_up(self) -> None:
        """End it, whatever is under way."""
        if self.transport.get_write_buffer_size():
            self.transport.abort()
        else:
            self.transport.close()

    def data_received(self, data: bytes) -> None:
        """Of what nobody wants only a bounded part is read: closing without reading resets."""
        if self._refused or self.conn.our_state in (h11.DONE, h11.MUST_CLOSE):
            self._discarded += len(data)
            if self._discarded > self._known.limits.discard_bytes:
                self.give_up()
                return
        if not self._refused:
            super().data_received(data)

    def eof_received(self) -> bool:  # type: ignore[override]
        """Answer a peer that has said all it wanted to say."""
        asked = self.cycle is not None and not self.cycle.response_complete
        if not asked or self.conn.their_state in (h11.IDLE, h11.SEND_BODY) or self._refused:
            return False
        self.cycle.keep_alive = False
        return True

    def resume_writing(self) -> None:
        """Note that the peer reads."""
        self._resumed += 1
        super().resume_writing()

    def on_response_complete(self) -> None:
        """Count anew what comes after an answer."""
        self._discarded = 0
        super().on_response_complete()

    def send_400_response(self, msg: str) -> None:
        """A problem, as every error is one; the rest of what the peer sends is read and dropped."""
        if self.conn.our_state not in (h11.IDLE, h11.SEND_RESPONSE) or self.transport.is_closing():
            self.give_up()
            return
        status, most = HTTPStatus.BAD_REQUEST, self._known.limits.head_bytes
        msg = f"the request is not HTTP/1.1, or its head has more than {most} bytes"
        problem = {
            "type": "about:blank", "title": status.phrase, "status": status.value, "detail": msg
        }  # fmt: skip
        body = json.dumps(problem).encode()
        headers = STRICT_HEADERS | {
            "Content-Type": PROBLEM,
            "Content-Length": str(len(body)),
            "Connection": "close",
        }
        response = h11.Response(
            status_code=status, headers=list(headers.items()), reason=status.phrase.encode()
        )
        for event in (response, h11.Data(data=body), h11.EndOfMessage()):
            self.transport.write(self.conn.send(event) or b"")
        self._refused = True
        if self.transport.can_write_eof():
            self.transport.write_eof()


def make_server(app: Any, host: str, port: int, limits: Limits) -> uvicorn.Server:
    """A server of an ASGI application, within bounds."""
    allow_open_files(OPEN_FILES)
    settings = uvicorn.Config(
        app,
        host=host,
        port=port,
        http=cast(Any, Connections(limits).protocol),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        backlog=BACKLOG,
        h11_max_incomplete_event_size=limits.head_bytes,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    return uvicorn.Server(settings)


def allow_open_files(wanted: int) -> None:
    """Raise the soft limit of this process as far as the hard one goes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
