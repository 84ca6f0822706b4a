"""Runs untrusted work (templates, charts, pages) in processes with limits.

A template can use all memory or loop without end, a chart can crash its JavaScript engine: such a
process is killed, and the run fails with a reason.
"""

from __future__ import annotations

import os
import resource
import selectors
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from report_runner.cgroup import memory_limit
from report_runner.contract.reasons import Reason
from report_runner.models import RunError

MIB = 1024 * 1024
_POLL_SECONDS = 0.05
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class SandboxLimits:
    """Limits of one process: wall seconds, bytes of memory, bytes of output."""

    seconds: float
    memory: int
    output: int


def share_of_memory(wanted: int, share: float) -> int:
    """`wanted` bytes, or that share of the cgroup's limit where it is less."""
    limit = memory_limit()
    return wanted if limit is None else min(wanted, int(limit * share))


def resident(pid: int) -> int:
    """Bytes of memory that a process uses; 0 once it has ended."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE
    except (OSError, IndexError):
        return 0


def exhausted(what: str, problem: str) -> RunError:
    """The error for work that exceeds a limit."""
    return RunError(Reason.RESOURCE_EXHAUSTED, f"{what}: {problem}")


def read_bounded(
    pid: int,
    descriptor: int,
    limits: SandboxLimits,
    what: str,
    *,
    until: Callable[[bytearray], bool] | None = None,
) -> bytes:
    """The output of the process `pid` on `descriptor`, up to its end or until `until` is true.

    Raises RunError(ResourceExhausted), naming `what`, when a limit is passed. The caller
    has to end the process.
    """
    deadline = time.monotonic() + limits.seconds
    received = bytearray()
    with selectors.DefaultSelector() as selector:
        selector.register(descriptor, selectors.EVENT_READ)
        while True:
            if selector.select(_POLL_SECONDS):
                piece = os.read(descriptor, 1 << 18)
                if not piece:
                    return bytes(received)
                received += piece
                if len(received) > limits.output:
                    raise exhausted(what, f"wrote more than {limits.output // MIB} MiB")
                if until is not None and until(received):
                    return bytes(received)
            if time.monotonic() > deadline:
                raise exhausted(what, f"took longer than {limits.seconds:g} s")
            if resident(pid) > limits.memory:
                raise exhausted(what, f"needed more than {limits.memory // MIB} MiB of memory")


def end(pid: int) -> int:
    """Kills a child process and waits for it; returns the status of waitpid."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return 0
    try:
        return os.waitpid(pid, 0)[1]
    except ChildProcessError:
        return 0


def _limit_address_space(extra: int) -> None:
    size = int(Path("/proc/self/statm").read_text().split()[0]) * _PAGE
    # Only the soft limit, so that the process can lift it to report the error.
    resource.setrlimit(resource.RLIMIT_AS, (size + extra, resource.RLIM_INFINITY))


def lift_memory_limit() -> None:
    """Called in a fork after its work failed, so that it has memory to report the error."""
    resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def in_fork(
    work: Callable[[Callable[[bytes], None]], None], limits: SandboxLimits, what: str
) -> bytes:
    """Runs `work(write)` in a fork and returns what it wrote.

    `limits.memory` is what the fork may use beyond the memory of this process; past it the fork
    gets a MemoryError. A fork needs no copy of the data, but it must not be made while libraries
    in other languages run threads in this process.
    """
    before = resident(os.getpid())
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            os.close(reader)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            _limit_address_space(limits.memory)
            with os.fdopen(writer, "wb") as stream:

                def write(data: bytes) -> None:
                    stream.write(data)

                work(write)
            status = 0
        finally:
            os._exit(status)
    os.close(writer)
    try:
        bounded = SandboxLimits(limits.seconds, before + limits.memory + 64 * MIB, limits.output)
        return read_bounded(pid, reader, bounded, what)
    finally:
        os.close(reader)
        end(pid)
