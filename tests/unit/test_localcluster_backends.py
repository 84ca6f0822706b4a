"""Which images are loaded into a kind cluster: those that some node lacks."""

from __future__ import annotations

from pathlib import Path

import pytest

from hack.localcluster.backends import kind_load
from hack.localcluster.cluster import Cluster
from hack.localcluster.progress import Progress

OURS = "localhost/adaf-services:dev-c117104e97d1"
NEW = "localhost/adaf-report-scheduler:dev-dd9d4ac78ad5"
OTHER = "localhost/mine:latest"  # what is in it may have changed


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    """kind and docker with two nodes; the second one lacks one image."""
    programs = tmp_path / "bin"
    programs.mkdir()
    (tmp_path / "one").write_text(f"{OURS}\n{NEW}\n{OTHER}\n")
    (tmp_path / "two").write_text(f"{OURS}\n{OTHER}\n")
    scripts = {
        "kind": f'[ "$1" = get ] && echo one two || echo "$@" >>{tmp_path}/said',
        "docker": f'[ "$1" = exec ] && cat {tmp_path}/"$2"',
    }
    for name, script in scripts.items():
        (programs / name).write_text(f"#!/bin/sh\n{script}\n")
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    return Cluster("test", tmp_path)


@pytest.mark.parametrize(
    ("wanted", "loaded"),
    [
        ([OURS, NEW, OTHER], [NEW, OTHER]),
        ([NEW], [NEW]),
        ([OURS], []),
        (["localhost/adaf-services:dev-000000000000"],) * 2,
    ],
)
def test_images_that_some_node_lacks_are_loaded(
    wanted: list[str], loaded: list[str], cluster: Cluster, tmp_path: Path
) -> None:
    kind_load(cluster, "a-cluster", wanted, Progress())
    said = tmp_path / "said"
    expected = [f"load docker-image {' '.join(loaded)} --name=a-cluster"] if loaded else []
    assert (said.read_text().splitlines() if said.exists() else []) == expected
