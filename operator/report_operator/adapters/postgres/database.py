"""Connections to PostgreSQL: parameters from a mounted Secret, bounded waiting, one error."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psycopg
from psycopg import conninfo
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from report_runner.contract.libpq import without_address

SCHEMA = "report_scheduler"

CONNECT_SECONDS = 5
CONNECTION_WAIT_SECONDS = 3.0  # for one of the pool
PAUSE_SECONDS = 2.0  # after a failure, during which nobody is made to wait again
DEFAULTS = {"port": "5432", "sslmode": "prefer"}
REQUIRED = ("host", "dbname", "user")

# The pool logs each attempt to connect; that there is no connection is logged once, by its user.
logging.getLogger("psycopg.pool").setLevel(logging.ERROR)


Connection = psycopg.AsyncConnection[tuple[Any, ...]]


class HistoryUnavailableError(Exception):
    """PostgreSQL cannot be used now; the message never holds a password."""


class HistoryCorruptedError(HistoryUnavailableError):
    """PostgreSQL says that its data are corrupted."""


def read_conninfo(secret: Path, application_name: str, statement_seconds: float) -> str:
    """libpq's connection string from the current files of the Secret.

    Raises HistoryUnavailableError that names the key.
    """
    keys = dict(DEFAULTS)
    for key in (*REQUIRED, "port", "password", "sslmode"):
        path = secret / key
        try:
            keys[key] = path.read_text().strip()
        except FileNotFoundError:
            if key in REQUIRED:
                raise HistoryUnavailableError(
                    f"postgresSecret: {secret} has no key {key}; add it to the Secret"
                ) from None
        except (OSError, UnicodeDecodeError) as error:
            raise HistoryUnavailableError(f"postgresSecret: {path}: {error}") from None
    if (secret / "ca.crt").exists():
        keys["sslrootcert"] = str(secret / "ca.crt")
    milliseconds = int(statement_seconds * 1000)
    try:
        return conninfo.make_conninfo(
            **keys,
            application_name=application_name,
            connect_timeout=str(CONNECT_SECONDS),
            # A server that vanished is noticed, not waited for.
            keepalives_idle="15",
            keepalives_interval="5",
            keepalives_count="3",
            tcp_user_timeout="15000",
            options=f"-c statement_timeout={milliseconds} -c lock_timeout={milliseconds} "
            "-c idle_in_transaction_session_timeout=60s -c timezone=UTC -c work_mem=16MB",
        )
    except psycopg.ProgrammingError as error:
        raise HistoryUnavailableError(f"postgresSecret: {one_line(error)}") from None


@dataclass(slots=True)
class Database:
    """A pool that `async with` opens, and that connects at the first use."""

    secret: Path
    application_name: str
    size: int
    statement_seconds: float
    _pool: AsyncConnectionPool[Connection] | None = None
    _down_since: float | None = None
    _probing: bool = False  # somebody waits for the server to be back; nobody else has to
    _reason: str = ""

    async def __aenter__(self) -> Self:
        self._pool = pool = AsyncConnectionPool(
            self.conninfo,
            connection_class=_reporting(self._note),
            min_size=0,
            max_size=self.size,
            open=False,
            timeout=CONNECTION_WAIT_SECONDS,
            reconnect_timeout=1.0,  # then the next who asks makes it try again
            check=AsyncConnectionPool.check_connection,
            max_lifetime=600.0,  # so that a changed password is used, and known to be wrong or not
            name=self.application_name,
        )
        await pool.open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        pool, self._pool = self._pool, None
        if pool is not None:
            await pool.close()

    async def conninfo(self) -> str:
        """From the current Secret. Raises psycopg.OperationalError, which the pool handles."""
        try:
            return await asyncio.to_thread(
                read_conninfo, self.secret, self.application_name, self.statement_seconds
            )
        except HistoryUnavailableError as error:
            self._note(str(error))
            raise psycopg.OperationalError(str(error)) from error

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """A connection whose work is committed at the end of the block.

        Raises HistoryUnavailableError; psycopg.DataError and IntegrityError where the data is
        refused.
        """
        pool = self._pool
        if pool is None:
            raise HistoryUnavailableError("history is not open yet, or not any more")
        down = self._down_since
        if down is not None and (self._probing or time.monotonic() - down < PAUSE_SECONDS):
            raise HistoryUnavailableError(self._reason)
        self._probing = down is not None
        try:
            async with (
                asyncio.timeout(CONNECTION_WAIT_SECONDS + self.statement_seconds),
                pool.connection() as connection,
            ):
                yield connection
                self._down_since = None
        except (psycopg.DataError, psycopg.IntegrityError):
            raise
        except psycopg.errors.QueryCanceled as error:
            # That one statement took too long does not mean that others would.
            raise HistoryUnavailableError(one_line(error)) from error
        except (psycopg.errors.DataCorrupted, psycopg.errors.IndexCorrupted) as error:
            raise HistoryCorruptedError(f"{one_line(error)} [{error.sqlstate}]") from error
        except (psycopg.OperationalError, psycopg.InterfaceError, TimeoutError) as error:
            self._down_since = time.monotonic()
            if not isinstance(error, PoolTimeout):  # else the reason was noted when it occurred
                self._note(one_line(error))
            raise HistoryUnavailableError(self._reason) from error
        except psycopg.Error as error:
            raise HistoryUnavailableError(_missing(error) or one_line(error)) from error
        finally:
            self._probing = False

    async def connect(self) -> Connection:
        """A new connection outside the pool. Raises HistoryUnavailableError with the reason."""
        try:
            async with asyncio.timeout(CONNECT_SECONDS + 1):
                target = await self.conninfo()
                return await _reporting(self._note).connect(target, autocommit=True)
        except psycopg.Error as error:
            raise HistoryUnavailableError(self._reason) from error
        except (OSError, TimeoutError) as error:
            raise HistoryUnavailableError(one_line(error)) from error

    @property
    def pool_stats(self) -> dict[str, int]:
        """As psycopg_pool has them: pool_size, pool_available, requests_waiting and so on."""
        return self._pool.get_stats() if self._pool else {}

    def _note(self, reason: str) -> None:
        self._reason = reason


def _reporting(report: Callable[[str], None]) -> type[Connection]:
    """Connections that report why they failed: the pool itself only says that it waited."""

    class Telling(psycopg.AsyncConnection[tuple[Any, ...]]):
        @classmethod
        async def connect(cls, *args: Any, **kwargs: Any) -> Self:
            try:
                return await super().connect(*args, **kwargs)
            except psycopg.Error as error:
                keys = conninfo.conninfo_to_dict(args[0] if args else "")
                report(f"no connection to {keys.get('host')}:{keys.get('port')}: {one_line(error)}")
                raise

    return Telling


def one_line(error: BaseException) -> str:
    """The message of a psycopg error; libpq's name role and database only."""
    return " ".join(without_address(str(error)).split())[:300] or "no answer in time"


def _missing(error: psycopg.Error) -> str:
    if isinstance(error, psycopg.errors.UndefinedTable | psycopg.errors.InvalidSchemaName):
        return f"the schema {SCHEMA} is not there yet: the operator makes it when it starts"
    return ""
