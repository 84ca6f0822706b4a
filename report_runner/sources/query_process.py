"""The process of DuckDB as the run sees it: bounded in memory, time and output."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any

from report_runner.contract.reasons import Reason
from report_runner.models import RunError
from report_runner.render.sandbox import MIB, SandboxLimits, share_of_memory
from report_runner.render.worker_process import WorkerProcess
from report_runner.sources.query_requests import OpenRequest, Request, RowsRequest

MEMORY_LIMIT = 512 * MIB  # of the process, and of a result
_OWN_MEMORY = 96 * MIB  # of Python and DuckDB's code in the process
_ANSWER_LIMIT = 64 * MIB  # of one batch of rows
_LEAST_MEMORY = 32 * MIB
_LOAD_SECONDS = 600.0
_OUT_OF_MEMORY = ("OutOfMemoryException", "MemoryError")
_MEMORY_REMEDY = "raise spec.resources.limits.memory, or narrow the query"
_REMEDY = "a query has no files, network, extensions or settings: read from the sources before it"
_MESSAGE_LIMIT = 600
_LINE = re.compile(r"\s*LINE (\d+):.*", re.DOTALL)


class QueryProcess(WorkerProcess):
    """The process; see sources.query_worker."""

    def __init__(self, field: str, later: Sequence[str] = (), excluded: str | None = None) -> None:
        self.field = field
        self.deadline = time.monotonic() + _LOAD_SECONDS
        self._later = later  # sources that come after this one
        self._excluded = excluded  # the source that is only waited for
        self._memory = share_of_memory(MEMORY_LIMIT, 0.5)
        self._left = self._memory  # bytes of the result
        # Nothing of this process's environment, where other software may keep what is secret.
        kept = {key: os.environ[key] for key in ("PATH", "PYTHONPATH") if key in os.environ}
        process = subprocess.Popen(
            [sys.executable, "-m", "report_runner.sources.query_worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**kept, "TZ": "UTC"},
        )
        super().__init__(process, field, _MEMORY_REMEDY)

    def open(self, zone: str) -> None:
        memory = max(self._memory - _OWN_MEMORY, _LEAST_MEMORY)
        answer = self._answer(OpenRequest(zone, memory))
        if "error" in answer:
            raise RunError(
                Reason.CONFIGURATION_ERROR,
                f"spec.timeZone: DuckDB cannot compute in the zone {zone}; write another name of "
                f"the zone ({_one_line(answer['error'])})",
            )

    def load(self, name: str, rows: RowsRequest) -> None:
        """Give rows of the source `name`. Raises RunError."""
        answer = self._answer(rows)
        if "error" not in answer:
            return
        if answer["kind"] in _OUT_OF_MEMORY:
            raise self._out_of_memory()
        raise RunError(
            Reason.CONFIGURATION_ERROR,
            f"spec.report.sources[{name}]: DuckDB cannot hold a value: "
            f"{_one_line(answer['error'])}; cast the column to text in the query of that source",
        )

    def ask(self, request: Request) -> dict[str, Any]:
        """Have a request done. Raises RunError."""
        answer = self._answer(request)
        if "error" in answer:
            raise self._error(answer["kind"], answer["error"])
        return answer

    def _answer(self, request: Request) -> dict[str, Any]:
        self.send(request)
        left = self.deadline - time.monotonic()
        answer, size = self.receive(
            SandboxLimits(left, self._memory, min(_ANSWER_LIMIT, self._left))
        )
        self._left -= size
        return answer

    def _out_of_memory(self) -> RunError:
        return RunError(
            Reason.RESOURCE_EXHAUSTED,
            f"{self.field}: needs more than the {self._memory // MIB} MiB of memory that a query "
            f"may have here; {_MEMORY_REMEDY}",
        )

    def _error(self, kind: str, text: str) -> RunError:
        if kind in _OUT_OF_MEMORY:
            return self._out_of_memory()
        line = _LINE.search(text)
        # Before the author's text stands a line of our own.
        where = f" line {max(int(line[1]) - 1, 1)}:" if line else ""
        said = _one_line(_LINE.sub("", text))
        remedy = ""
        if kind == "Statement":
            remedy = "; write one SELECT, and nothing else"
        elif kind == "PermissionException" or "configuration has been locked" in text:
            remedy = f"; {_REMEDY}"
        elif kind == "CatalogException":
            missing = next((name for name in self._later if f"name {name} " in text), None)
            remedy = f"; {_REMEDY}"
            if self._excluded and f"name {self._excluded} " in text:
                remedy = (
                    f"; the source {self._excluded} is only waited for: take out "
                    "waitFor.excludeSource to report its rows"
                )
            if missing:
                remedy = f"; the source {missing} comes later: put it before this one"
        return RunError(
            Reason.CONFIGURATION_ERROR, f"{self.field}.sql{where or ':'} {said}{remedy}"
        )


def _one_line(text: str) -> str:
    return " ".join(text.split())[:_MESSAGE_LIMIT]
