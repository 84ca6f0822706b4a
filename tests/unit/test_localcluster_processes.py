"""A process is ended only if it is the one that was started."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from hack.localcluster import processes
from hack.localcluster.progress import wait_until


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
    yield process
    process.kill()
    process.wait()


def test_stat_of_a_program_name_with_brackets_and_spaces() -> None:
    numbers = " ".join(str(n) for n in range(4, 53))
    assert processes.parse_stat(f"7 (a) b ( c) S {numbers}") == ("S", 22)


def test_recycled_pid_is_another_process(child: subprocess.Popen[bytes], tmp_path: Path) -> None:
    identity = processes.identify(child.pid)
    assert identity is not None
    file = tmp_path / "pid.json"
    file.write_text(json.dumps(asdict(identity)))
    assert processes.recorded(file) == identity
    for stranger in (replace(identity, start=identity.start - 1), replace(identity, boot="x")):
        file.write_text(json.dumps(asdict(stranger)))
        assert processes.recorded(file) is None
        processes.end(stranger, 0)
    assert child.poll() is None
    processes.send(identity, signal.SIGTERM)
    assert child.wait(timeout=10) == -signal.SIGTERM


def test_zombie_counts_as_dead(
    child: subprocess.Popen[bytes],
) -> None:
    child.kill()
    assert wait_until(lambda: processes.identify(child.pid) is None, 10)
    assert Path(f"/proc/{child.pid}").exists()


def test_truncated_pid_file_identifies_no_process(tmp_path: Path) -> None:
    file = tmp_path / "pid.json"
    for text in ("", '{"pid": 1', "[]", '{"pid": 1}'):
        file.write_text(text)
        assert processes.recorded(file) is None
    assert processes.recorded(tmp_path / "none") is None


def test_daemon_outlives_its_starter_in_its_cgroup(tmp_path: Path) -> None:
    procs, pid_file, log = tmp_path / "procs", tmp_path / "pids" / "a.json", tmp_path / "log"
    process = processes.spawn(["sh", "-c", "echo started; sleep 60"], log, pid_file, procs, None)
    try:
        assert wait_until(lambda: log.exists() and "started" in log.read_text(), 10)
        assert procs.read_text().strip() == str(process.pid)
        assert os.getsid(process.pid) == process.pid != os.getsid(0)
        found = processes.recorded(pid_file)
        assert found is not None
        assert found.pid == process.pid
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
