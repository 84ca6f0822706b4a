"""Which kubectl and helm on PATH are good enough, and what long commands tell meanwhile."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from hack.localcluster import progress
from hack.localcluster.clients import suitable
from hack.localcluster.cluster import ClusterError
from hack.localcluster.versions import KUBERNETES

MINOR = KUBERNETES.minor


@pytest.mark.parametrize(
    ("kubectl", "helm", "good"),
    [
        (f"v1.{MINOR}.0", "v4.2.3", True),
        (f"v1.{MINOR - 1}.9", "v4.0.0", True),
        (f"v1.{MINOR + 1}.1-gke.5", "v4.9.0+g43e8b7f", True),
        (f"v1.{MINOR - 2}.9", "v4.2.3", False),  # beyond the skew that Kubernetes supports
        (f"v1.{MINOR + 2}.0", "v4.2.3", False),
        (f"v1.{MINOR}.0", "v3.19.0", False),  # without the flags of `make up`
        (f"v1.{MINOR}.0", "v40.1.0", False),
        (f"v2.{MINOR}.0", "v4.2.3", False),
        ("", "v4.2.3", False),
        (f"v1.{MINOR}.0", "", False),
    ],
)
def test_clients_on_path_are_used_only_where_they_suit(kubectl: str, helm: str, good: bool) -> None:
    assert suitable(kubectl, helm) is good


def test_long_command_tells_what_it_printed_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "_QUIET", 0.05)
    go_on = tmp_path / "go-on"
    told: list[str] = []

    def log(line: str) -> None:
        told.append(line)
        if "Step 2/9" in line:
            go_on.touch()

    script = (
        "import pathlib, time\n"
        "print('\\x1b[1mStep 1/9 : FROM debian', flush=True)\n"
        "print('Step 2/9 : RUN apt-get\\r\\n\\n', flush=True)\n"
        f"while not pathlib.Path({str(go_on)!r}).exists(): time.sleep(0.02)\n"
    )
    progress.run_logged([sys.executable, "-c", script], tmp_path / "log", log, "docker build")
    assert "docker build: Step 2/9 : RUN apt-get" in told


def test_failed_command_shows_the_end_of_its_log(tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match="no space left on device"):
        progress.run_logged(
            ["sh", "-c", "echo no space left on device >&2; exit 3"],
            tmp_path / "log",
            lambda _line: None,
            "docker build",
        )
