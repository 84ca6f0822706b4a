"""Processes that outlive the command that started them, identified beyond their pid."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from hack.localcluster.progress import wait_until


@dataclass(frozen=True, slots=True)
class Process:
    """A process identified for good: pid, start in clock ticks since boot, and boot id."""

    pid: int
    start: int
    boot: str


def boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def parse_stat(stat: str) -> tuple[str, int]:
    """State letter and start time from /proc/PID/stat; the program's name may hold anything."""
    fields = stat[stat.rindex(")") + 2 :].split()
    return fields[0], int(fields[19])


def identify(pid: int) -> Process | None:
    """The process with this pid; None for a dead or dying one."""
    try:
        state, start = parse_stat(Path(f"/proc/{pid}/stat").read_text())
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if state in "ZX" else Process(pid, start, boot_id())


def recorded(pid_file: Path) -> Process | None:
    """The process in a pid file, if it is still alive."""
    try:
        process = Process(**json.loads(pid_file.read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        return None  # a crash may have cut the file short: the cgroup finds the process then
    return process if identify(process.pid) == process else None


def spawn(
    command: Sequence[str], log_file: Path, pid_file: Path, procs: Path, namespace: Path | None
) -> subprocess.Popen[bytes]:
    """Start a daemon in its own session and in the cgroup of the `procs` file.

    The shell enters the cgroup before it execs the program, so no child is born outside; `nsenter`
    execs the program as well, so the pid stays the same.

    """
    inside = ["nsenter", f"--net={namespace}", "--"] if namespace else []
    log_file.parent.mkdir(parents=True, exist_ok=True)
    pid_file.parent.mkdir(parents=True, exist_ok=True)
    with log_file.open("ab") as output:
        process = subprocess.Popen(
            ["sh", "-c", 'echo $$ > "$0" && exec "$@"', str(procs), *inside, *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            cwd="/",
            umask=0o022,
        )
    if identity := identify(process.pid):
        unfinished = pid_file.with_suffix(".tmp")
        unfinished.write_text(json.dumps(asdict(identity)))
        unfinished.replace(pid_file)
    return process


def send(process: Process, which: signal.Signals) -> None:
    """Signal a process unless it has ended."""
    if identify(process.pid) == process:
        try:
            os.kill(process.pid, which)
        except ProcessLookupError:
            return  # it ended between the two lines


def end(process: Process, timeout: float) -> None:
    """Send TERM, then KILL if it is alive after `timeout` seconds."""

    def gone() -> bool:
        return identify(process.pid) != process

    if timeout > 0:
        send(process, signal.SIGTERM)
        if wait_until(gone, timeout):
            return
    send(process, signal.SIGKILL)
    wait_until(gone, 10)
