"""The chart rendered without a cluster, as Argo CD does at each sync."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
import yaml

from hack.localcluster.clients import clients
from hack.localcluster.cluster import this_cluster
from hack.localcluster.progress import Progress
from tests.support.chart import CHART, RELEASE

OWN = ("--set", "postgres.existingSecret=history", "--set", "redis.existingSecret=lists")


def template(*flags: str) -> subprocess.CompletedProcess[str]:
    helm: Path = clients(this_cluster(os.environ), Progress()) / "helm"
    command = [helm, "template", RELEASE, CHART, "--set", "teamNamespaces={reports}", *flags]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_password_that_cannot_be_known_is_refused_and_not_made_up() -> None:
    done = template()
    assert done.returncode != 0
    assert "storePasswords=existing" in done.stderr
    assert "docs/gitops.md" in done.stderr


@pytest.mark.parametrize("flags", [("--set", "storePasswords=existing"), OWN])
def test_second_rendering_is_the_first(flags: tuple[str, ...]) -> None:
    first, second = template(*flags), template(*flags)
    assert first.returncode == 0, first.stderr
    assert first.stdout == second.stdout
    kinds = {found["kind"] for found in yaml.safe_load_all(first.stdout) if found}
    assert "Secret" not in kinds
    assert "StatefulSet" in kinds or flags is OWN


def test_rendering_to_look_at_has_passwords_of_its_own() -> None:
    """The control: without the rule each rendering had another one."""
    flags = ("--set", "storePasswords=anew")
    assert template(*flags).stdout != template(*flags).stdout
