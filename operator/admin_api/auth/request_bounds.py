"""Bounds of a request, and refusal of requests that two parsers could read differently."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Iterable
from typing import Any, NoReturn
from urllib.parse import parse_qsl

from starlette.types import Message, Receive

BODY_LIMIT = 64 * 1024  # bytes
DISCARD_LIMIT = 8 * 1024 * 1024  # bytes of a larger body that are read and dropped
BODY_SECONDS = 10.0
PARAMETERS = 100
NESTING = 32
SINGLE_HEADERS = frozenset(
    {"authorization", "content-type", "host", "idempotency-key", "origin", "x-on-call"}
)

Refusal = tuple[int, str]  # HTTP status and reason


async def read_body(receive: Receive, headers: dict[str, str]) -> bytes | Refusal:
    """The whole body, or the reason to refuse it.

    A body that is too large is still read, up to DISCARD_LIMIT: closing earlier would reset the
    connection, which ends `kubectl port-forward`.
    """
    is_larger = not _is_within(headers.get("content-length", "0"))
    too_large = 413, f"the body has more than {BODY_LIMIT} bytes"
    if is_larger and headers.get("expect", "").lower() == "100-continue":
        return too_large  # the peer asks before it sends
    body, size = bytearray(), 0
    try:
        async with asyncio.timeout(BODY_SECONDS):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    return 400, "the connection ended before the body did"
                chunk = message.get("body", b"")
                size += len(chunk)
                if size <= BODY_LIMIT:
                    body += chunk
                if not message.get("more_body") or size > DISCARD_LIMIT:
                    break
    except TimeoutError:
        return 408, f"the body did not come within {BODY_SECONDS:g} s"
    return too_large if is_larger or size > BODY_LIMIT else bytes(body)


def _is_within(length: str) -> bool:
    return length.isascii() and length.isdigit() and len(length) < 10 and int(length) <= BODY_LIMIT


def replay(body: bytes, receive: Receive) -> Receive:
    """A `receive` for the application: the body that was read, then later messages."""
    replayed = False

    async def received() -> Message:
        nonlocal replayed
        if replayed:
            return await receive()
        replayed = True
        return {"type": "http.request", "body": body, "more_body": False}

    return received


def header_refusal(raw: Iterable[tuple[bytes, bytes]]) -> Refusal | None:
    """Refuses a repeated header, of which two parsers could take one each."""
    counted = Counter(name.decode("latin-1").lower() for name, _ in raw)
    twice = sorted(name for name in SINGLE_HEADERS if counted[name] > 1)
    return (400, f"{', '.join(twice)}: send the header once") if twice else None


def query_refusal(query: bytes) -> Refusal | None:
    """Refuses repeated parameters, and too many."""
    try:
        names = Counter(
            name
            for name, _ in parse_qsl(
                query.decode("latin-1"), keep_blank_values=True, max_num_fields=PARAMETERS
            )
        )
    except ValueError:
        return 422, f"more than {PARAMETERS} query parameters"
    twice = [name for name, count in names.items() if count > 1]
    return (422, f"{_short(twice[0])}: give the parameter once") if twice else None


def json_refusal(body: bytes) -> Refusal | None:
    """Refuses JSON that parsers read differently: repeated keys, NaN, deep nesting."""
    if not body:
        return None
    try:
        value = json.loads(
            body, object_pairs_hook=_unique, parse_constant=_no_number, parse_float=_finite
        )
    except json.JSONDecodeError:
        return None  # the route reports it, with the position
    except RecursionError:
        return 422, f"JSON is nested deeper than {NESTING} levels"
    except ValueError as error:
        return 422, str(error)
    if _depth(value) > NESTING:
        return 422, f"JSON is nested deeper than {NESTING} levels"
    try:
        text = json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return 422, "half of a surrogate pair is not a character"
    return (422, "NUL is not allowed in a name") if rb"\u0000" in text else None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = next(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
        raise ValueError(f"{_short(twice)}: give the key once")
    return found


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no JSON number")


def _finite(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise ValueError(f"{_short(text)} is larger than a number may be")
    return number


def _depth(value: Any) -> int:
    depth, level = 0, [value]
    while level:
        depth += 1
        level = [
            inner
            for each in level
            if isinstance(each, dict | list)
            for inner in (each.values() if isinstance(each, dict) else each)
        ]
    return depth


def _short(text: str) -> str:
    return ascii(text[:60])[1:-1]
