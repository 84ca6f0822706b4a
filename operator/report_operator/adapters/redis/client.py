"""A connection to Redis by its mounted Secret, and error messages for when there is none."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from pathlib import Path

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

ANSWER_SECONDS = 2.0  # one answer
CALL_SECONDS = 5.0  # one call, whatever it sends
PING_SECONDS = 1.0

_WORDS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False, "": False}


class RedisSettingsError(ValueError):
    """The mounted Secret cannot be used; the message names the key and the remedy."""


# What a call may raise where Redis does not serve.
UNAVAILABLE = (RedisError, RedisSettingsError, OSError, TimeoutError)


@dataclass(frozen=True, slots=True)
class RedisSettings:
    host: str
    port: int
    username: str | None
    password: str | None
    tls: bool
    ca_file: Path | None


def read_settings(directory: Path) -> RedisSettings:
    """One file for each key; an absent one has its default. Raises RedisSettingsError."""

    def text(key: str) -> str:
        try:
            return (directory / key).read_text().strip()
        except FileNotFoundError:
            return ""
        except (OSError, UnicodeDecodeError) as error:
            raise RedisSettingsError(f"{directory / key}: {error}") from error

    port, tls = text("port") or "6379", text("tls").lower()
    if not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:
        raise RedisSettingsError(f"{directory / 'port'}: write a number from 1 to 65535")
    if tls not in _WORDS:
        raise RedisSettingsError(f"{directory / 'tls'}: write true or false")
    ca_file = directory / "ca.crt"
    return RedisSettings(
        host=text("host") or "redis",
        port=int(port),
        username=text("username") or None,
        password=text("password") or None,
        tls=_WORDS[tls],
        ca_file=ca_file if ca_file.exists() else None,
    )


def connect(directory: Path, answer_seconds: float = ANSWER_SECONDS) -> Redis:
    """A client that connects at its first call, and does not retry by itself.

    Raises RedisSettingsError.
    """
    settings = read_settings(directory)
    return Redis(
        host=settings.host,
        port=settings.port,
        username=settings.username,
        password=settings.password,
        ssl=settings.tls,
        ssl_ca_certs=str(settings.ca_file) if settings.ca_file else None,
        socket_timeout=answer_seconds,
        socket_connect_timeout=answer_seconds,
        retry=Retry(NoBackoff(), 0),
        single_connection_client=True,
        decode_responses=True,
        protocol=2,
    )


async def ping(directory: Path) -> None:
    """Connect, log in and send PING. Raises one of UNAVAILABLE."""
    async with asyncio.timeout(PING_SECONDS), connect(directory, PING_SECONDS) as client:
        await client.ping()


def describe(error: BaseException) -> str:
    """The error in one line."""
    message = " ".join(str(error).split()).rstrip(".")
    cause = error.__cause__ or error.__context__
    if isinstance(cause, ConnectionError) and cause.errno:  # redis-py tells its number only
        message = f"{message}: {os.strerror(cause.errno)}"
    return message or "no answer in time"


def end_if_cancelled() -> None:
    """Raises CancelledError after calls that were cancelled and ended as if they were not.

    What connects (redis-py over uvloop) may swallow a cancellation.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
