"""Progress lines, and long commands that print them."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from hack.localcluster.cluster import ClusterError

_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_QUIET = 20.0  # seconds after which a long step says that it still lives


class Progress:
    """Lines on standard error, with the seconds since the start."""

    def __init__(self) -> None:
        self._start = time.monotonic()

    def __call__(self, line: str) -> None:
        print(f"[{time.monotonic() - self._start:6.1f}s] {line}", file=sys.stderr, flush=True)


@contextmanager
def repeating(say: Callable[[], None], seconds: float = _QUIET) -> Iterator[None]:
    """Call `say` again and again while the block lasts, from a thread of its own."""
    ended = threading.Event()

    def repeat() -> None:
        while not ended.wait(seconds):
            say()

    speaker = threading.Thread(target=repeat, daemon=True)
    speaker.start()
    try:
        yield
    finally:
        ended.set()
        speaker.join()


def tail(log_file: Path, lines: int = 15) -> str:
    """The last lines of a log, indented; empty without a file."""
    if not log_file.is_file():
        return ""
    last = log_file.read_text(errors="replace").splitlines()[-lines:]
    return "\n".join(f"    {line[:300]}" for line in last)


def last_line(log_file: Path) -> str:
    """What a command printed last, cut to fit into a line of ours."""
    with log_file.open("rb") as log:
        log.seek(max(0, log_file.stat().st_size - 4096))
        lines = log.read().decode(errors="replace").replace("\r", "\n").splitlines()
    printed = (_ESCAPES.sub("", line).strip() for line in reversed(lines))
    return next((line[:100] for line in printed if line), "")


def run_logged(
    command: Sequence[str],
    log_file: Path,
    log: Callable[[str], None],
    what: str,
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> None:
    """Run a long command with its output in `log_file`.

    Raises ClusterError with the log's last lines where the command fails.
    """
    log_file.parent.mkdir(parents=True, exist_ok=True)
    with log_file.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
        while True:
            try:
                code = process.wait(timeout=_QUIET)
                break
            except subprocess.TimeoutExpired:
                log(f"{what}: {last_line(log_file) or 'still at it'}")
            except BaseException:
                process.terminate()
                process.wait()
                raise
    if code:
        raise ClusterError(
            f"{what} failed: {shlex.join(command)} ended with {code}\n{tail(log_file)}\n"
            f"  log: {log_file}"
        )


def wait_until(
    condition: Callable[[], bool],
    seconds: float,
    failed: Callable[[], str | None] = lambda: None,
) -> bool:
    """Poll every 0.1 s until the condition holds (True) or the time is over (False).

    Raises ClusterError with the text of `failed`, as soon as it returns any.

    """
    deadline = time.monotonic() + seconds
    while True:
        if condition():
            return True
        if problem := failed():
            raise ClusterError(problem)
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.1)
