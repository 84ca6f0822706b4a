"""History's database is called by its Secret's host where it cannot be reached."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from report_operator.adapters.postgres.database import Database, HistoryUnavailableError

HOST = "localhost"  # it has an address that libpq would name instead


def test_host_of_the_secret(tmp_path: Path) -> None:
    for key, value in {"host": HOST, "port": "1", "dbname": "d", "user": "u"}.items():
        (tmp_path / key).write_text(value)

    async def ask() -> None:
        async with Database(tmp_path, "test", 1, 5.0) as database:
            with pytest.raises(
                HistoryUnavailableError, match=r"^no connection to localhost:1: Conn"
            ):
                await database.connect()
            with pytest.raises(
                HistoryUnavailableError, match=r"^no connection to localhost:1: Conn"
            ):
                async with database.transaction():
                    raise AssertionError

    asyncio.run(ask())
