"""Processes that draw and print, started ahead of need: their imports take most of a second.

Nothing heavy is imported here, so that starting them can be the first thing that a command does.
"""

from __future__ import annotations

import os
import subprocess
import sys
from enum import Enum
from pathlib import Path


class WorkerKind(Enum):
    """What a worker does; the value is its module."""

    CHARTS = "report_runner.render.chart_worker"
    PAGES = "report_runner.render.pdf_worker"


_spare: dict[WorkerKind, subprocess.Popen[bytes]] = {}


def warm_up(*kinds: WorkerKind) -> None:
    """Start those that the first document will use. They end with this process, used or not."""
    for kind in kinds:
        _spare[kind] = _start(kind)


def take(kind: WorkerKind) -> subprocess.Popen[bytes]:
    """The one that was started ahead, or a new one."""
    return _spare.pop(kind, None) or _start(kind)


def likely_needed(definition: Path) -> list[WorkerKind]:
    """The workers that a run with this definition takes: a guess, made without reading it well."""
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
