"""One worker process, from its first request to its end."""

from __future__ import annotations

import json
import pickle
import subprocess
from types import TracebackType
from typing import Any, Self

from report_runner.contract.reasons import Reason
from report_runner.models import RunError
from report_runner.render import workers
from report_runner.render.sandbox import SandboxLimits, read_bounded


class WorkerProcess:
    """Takes pickled requests and answers each with a line of JSON; it ends with the `with` block.

    What comes back is JSON, since whoever has taken the process over must not run code here.
    """

    def __init__(self, process: subprocess.Popen[bytes], subject: str, remedy: str) -> None:
        """`subject` begins its messages; `remedy` is for a process that was killed."""
        self._process = process
        self._subject = subject
        self._remedy = remedy

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        workers.stop(self._process)

    def send(self, request: object) -> None:
        """`receive` gives its answer."""
        assert self._process.stdin is not None  # noqa: S101 - it is a pipe
        try:
            pickle.dump(request, self._process.stdin)
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # the process has ended: its answer is missing

    def receive(self, limits: SandboxLimits) -> tuple[dict[str, Any], int]:
        """The answer to the oldest request, and its bytes. Raises RunError."""
        assert self._process.stdout is not None  # noqa: S101 - it is a pipe
        line = read_bounded(
            self._process.pid,
            self._process.stdout.fileno(),
            limits,
            self._subject,
            until=lambda received: received.endswith(b"\n"),
        )
        if not line.endswith(b"\n"):
            raise RunError(
                Reason.RESOURCE_EXHAUSTED,
                f"{self._subject}: its process was killed, most likely for want of memory; "
                f"{self._remedy}",
            )
        answer: dict[str, Any] = json.loads(line)
        return answer, len(line)
