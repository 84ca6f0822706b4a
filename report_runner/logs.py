"""Log lines of one format in operator, admin API, file server and runner.

As `json` a line is an object: time, level, logger, then what the line is about (`run`, `namespace`,
`job`, and `trace_id` where traces are exported), message, and the traceback where there is one. As
`text` it is for a person. `contract.logs` reads the former.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from report_runner.contract.logs import INDENT
from report_runner.contract.traces import trace_id

# The key in `extra=` of a log call that has the fields of `about`.
ABOUT = "about"
OURS = ("report_operator", "admin_api", "report_runner")
_FIELDS = ("run", "namespace", "job")


class LogFormat(StrEnum):
    JSON = "json"
    TEXT = "text"


class LogLevel(StrEnum):
    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


def about(run: str, namespace: str, job: str = "") -> dict[str, Any]:
    """`extra` of a line about a run; `run` is its id as the pod of the run has it."""
    return {ABOUT: {"run": run, "namespace": namespace, "job": job}}


class _Formatter(logging.Formatter):
    def __init__(
        self, redact: Callable[[str], str], fields: Mapping[str, str], *, traced: bool
    ) -> None:
        super().__init__()
        self._redact, self._fields, self._traced = redact, fields, traced

    def _about(self, record: logging.LogRecord) -> dict[str, str]:
        given = {**self._fields, **getattr(record, ABOUT, {})}
        found = {name: given[name] for name in _FIELDS if given.get(name)}
        if self._traced and "run" in found and "namespace" in found:
            found["trace_id"] = trace_id(f"{found['namespace']}.{found['run']}")
        return found


class JsonFormatter(_Formatter):
    """One line of JSON for each record."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, str] = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            **self._about(record),
            "message": self._redact(record.getMessage()),
        }
        if record.exc_info:
            line["traceback"] = self._redact(self.formatException(record.exc_info))
        return json.dumps(line, ensure_ascii=False)


class TextFormatter(_Formatter):
    """One line for each record, and further ones of it indented behind it."""

    def format(self, record: logging.LogRecord) -> str:
        fields = " ".join(f"{name}={value}" for name, value in self._about(record).items())
        before = f"{_time(record)} {record.levelname.lower()} {record.name}"
        first, *more = self._redact(record.getMessage()).splitlines() or [""]
        if record.exc_info:
            more += self._redact(self.formatException(record.exc_info)).splitlines()
        head = f"{before} [{fields}]: {first}" if fields else f"{before}: {first}"
        return "\n".join([head, *(f"{INDENT}{line}" for line in more)])


def set_up_logging(
    style: LogFormat,
    level: LogLevel,
    redact: Callable[[str], str],
    fields: Mapping[str, str] | None = None,
    *,
    traced: bool = False,
) -> None:
    """All logging of this process, to standard error.

    `fields` are on every line, `redact` takes values of Secrets out, `traced` adds the id of the
    run's trace.
    """
    kind = JsonFormatter if style is LogFormat.JSON else TextFormatter
    handler = logging.StreamHandler()
    handler.setFormatter(kind(redact, fields or {}, traced=traced))
    # Libraries at most say what they say at INFO: at DEBUG some write whole objects and requests.
    logging.basicConfig(level=max(_number(level), logging.INFO), handlers=[handler], force=True)
    for name in OURS:
        logging.getLogger(name).setLevel(_number(level))
    # What a library warns of through `warnings` is a line as well.
    logging.captureWarnings(capture=True)


def _number(level: LogLevel) -> int:
    return logging.getLevelNamesMapping()[level.upper()]


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
