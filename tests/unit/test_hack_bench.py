"""Benchmarks are programs of their own: without the tests, and without the environment's PATH."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HACK = ROOT / "hack"
BENCHES = sorted(path.stem for path in (HACK / "bench").glob("*.py"))


def imported(path: Path) -> set[str]:
    """Top-level packages that a module imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
    return found


def test_hack_imports_nothing_of_the_tests() -> None:
    assert [str(path) for path in HACK.rglob("*.py") if "tests" in imported(path)] == []


@pytest.mark.parametrize("name", BENCHES)
def test_bench_starts_without_the_path_of_the_environment(name: str) -> None:
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-m", f"hack.bench.{name}", "--help"],
        env=environment | {"PATH": "/usr/bin:/bin"},
        cwd=ROOT, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_programs_of_the_project_are_found_beside_python(monkeypatch: pytest.MonkeyPatch) -> None:
    from hack.testbed.programs import project_program

    monkeypatch.setenv("PATH", "")
    for name in ("report-scheduler", "report-scheduler-api", "report-generator"):
        assert Path(project_program(name)).parent == Path(sys.executable).parent
    with pytest.raises(FileNotFoundError, match="make venv"):
        project_program("no-such-program")
