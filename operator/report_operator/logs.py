"""Logging of the operator and of the admin API."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from report_operator.config import OperatorConfig
from report_runner import logs
from report_runner.logs import LogFormat, LogLevel
from report_runner.redaction import Redactor, SecretEntry

PASSWORD = "password"  # noqa: S105  (the key of a Secret)


class StorePasswords:
    """Takes the passwords of PostgreSQL and Redis out of a text: drivers quote what they are given.

    A Secret may change while the process runs, so its file is looked at again for each text.
    """

    def __init__(self, directories: Sequence[Path]) -> None:
        self._files = {directory / PASSWORD: 0 for directory in directories}
        self._redact = Redactor()

    def __call__(self, text: str) -> str:
        """The text without them."""
        for path, seen in self._files.items():
            try:
                changed = path.stat().st_mtime_ns
                if changed != seen:
                    value = path.read_text(errors="replace").strip()
                    self._redact.add(SecretEntry(path.parent.name, PASSWORD, value))
                    self._files[path] = changed
            except OSError:
                continue  # there is none; who connects says so
        return self._redact(text)


def set_up_logging(
    config: OperatorConfig, style: str | None = None, level: str | None = None
) -> None:
    """As configured, unless the command line says otherwise."""
    stores = [path for path in (config.postgres_secret, config.redis_secret) if path is not None]
    logs.set_up_logging(
        LogFormat(style or config.logging.format),
        LogLevel((level or config.logging.level).lower()),
        StorePasswords(stores),
        traced=bool(config.tracing.endpoint),
    )
    logging.getLogger("kopf").setLevel(logging.WARNING)
    # Of a watch that a stop interrupts: kopf cannot close its generators half-way.
    logging.getLogger("asyncio").addFilter(
        lambda record: "closing of asynchronous generator" not in record.getMessage()
    )
    logging.getLogger("aiohttp").setLevel(logging.WARNING)
