"""Report volumes as directories of this machine, on its own node and on a node in a container."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from hack.testbed.waiting import UnexpectedError


def _output(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise UnexpectedError(f"{' '.join(command)}: {done.stderr}")
    return done.stdout


def claim_directory(namespace: str, claim: str) -> Path:
    """Directory with what is on the volume of a claim that is bound.

    Raises UnexpectedError where it is not on this machine.
    """
    bound = json.loads(_output("kubectl", "-n", namespace, "get", "pvc", claim, "-o", "json"))
    volume = bound["spec"]["volumeName"]
    spec = json.loads(_output("kubectl", "get", "pv", volume, "-o", "json"))["spec"]
    directory = Path((spec.get("hostPath") or spec.get("local"))["path"])
    if directory.is_dir() or "nodeAffinity" not in spec:  # a test's own volume, of no node
        return directory
    # kind's nodes are containers of the engine, which have the names of the nodes.
    (node,) = _required(spec, "kubernetes.io/hostname")
    pid = _output("docker", "inspect", "--format={{.State.Pid}}", node).strip()
    return Path(f"/proc/{pid}/root{directory}")


def _required(spec: dict[str, object], label: str) -> list[str]:
    terms = spec["nodeAffinity"]["required"]["nodeSelectorTerms"]  # type: ignore[index]
    return [
        value
        for term in terms
        for match in term["matchExpressions"]
        if match["key"] == label
        for value in match["values"]
    ]
