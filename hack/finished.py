"""Finished files of the demo's namespace, read through the cluster."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

from hack.steps import RELEASE, ROOT, kubectl, rolled_out

_VOLUME = "/var/adaf/reports"  # where the file server has the report volume
_READ = 'sha256sum "$1" >&2 && cat "$1"'


def file_server(namespace: str) -> str:
    """Name of the Deployment that has the namespace's report volume; exits where there is none."""
    listed = kubectl("-n", namespace, "get", "deployments", "-o", "json")
    for deployment in json.loads(listed)["items"]:
        containers = deployment["spec"]["template"]["spec"]["containers"]
        if any(c.get("command") == ["report-generator", "serve"] for c in containers):
            return str(deployment["metadata"]["name"])
    return sys.exit(f"no file server in {namespace}: install {RELEASE} with it")


def copy_out(namespace: str, outputs: list[str]) -> list[Path]:
    """Copy finished files into out/; exits where one is not there or does not arrive whole."""
    server = f"deployment/{file_server(namespace)}"
    rolled_out(namespace, server)
    target = ROOT / "out"
    target.mkdir(exist_ok=True)
    copied = []
    for output in outputs:
        command = ["kubectl", "-n", namespace, "exec", server, "--"]
        command += ["sh", "-c", _READ, "sh", f"{_VOLUME}/{output}"]
        done = subprocess.run(command, capture_output=True, check=False)
        told = done.stderr.decode(errors="replace")
        if done.returncode:
            sys.exit(f"{output} cannot be read: {told}")
        if hashlib.sha256(done.stdout).hexdigest() not in told:
            sys.exit(f"{output} did not arrive whole: {len(done.stdout)} bytes")
        copied.append(target / Path(output).name)
        copied[-1].write_bytes(done.stdout)
    return copied
