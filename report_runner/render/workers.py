"""Worker processes. Those for charts and PDF start ahead: their imports take most of a second.

Nothing heavy is imported here, so that starting them can be the first thing that a command does.
"""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress
from enum import Enum
from pathlib import Path


class WorkerKind(Enum):
    """The value is the worker's module."""

    CHARTS = "report_runner.render.chart_worker"
    PAGES = "report_runner.render.pdf_worker"
    PARQUET = "report_runner.render.parquet_worker"


_spare: dict[WorkerKind, subprocess.Popen[bytes]] = {}


def warm_up(*kinds: WorkerKind) -> None:
    """Start the workers of the first document. They end with this process, used or not."""
    for kind in kinds:
        _spare[kind] = _start(kind)


def take(kind: WorkerKind) -> subprocess.Popen[bytes]:
    """A worker that was started ahead, or a new one."""
    return _spare.pop(kind, None) or _start(kind)


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a worker, whatever it is doing."""
    process.kill()
    process.wait()
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            with suppress(BrokenPipeError):  # what is in the buffer is not wanted any more
                stream.close()


def likely_needed(definition: Path) -> list[WorkerKind]:
    """The workers that this definition probably needs, guessed without parsing it.

    A wrong guess costs time only: formats.FORMATS decides what a format really starts.
    """
    try:
        text = definition.read_text()
    except (OSError, UnicodeDecodeError):
        return []
    pages = '"formats"' not in text or '"pdf"' in text
    return [WorkerKind.PAGES] * pages + [WorkerKind.CHARTS] * ('"charts":[{' in text)


def _start(kind: WorkerKind) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", kind.value],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "TZ": "UTC"},  # times in charts are converted before
    )
