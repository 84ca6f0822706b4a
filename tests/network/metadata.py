"""Something that answers at the address where a cloud has its machines' metadata."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from hack.localcluster.cluster import Cluster
from hack.localcluster.network import METADATA_IP
from hack.testbed.waiting import wait_for


@contextmanager
def metadata_service(cluster: Cluster) -> Iterator[None]:
    """In the node's network, beside a real machine's: pods have a route to it."""
    inside = ["nsenter", f"--net={cluster.netns}", "--"]
    address = [f"{METADATA_IP}/32", "dev", "node0"]
    subprocess.run([*inside, "ip", "address", "replace", *address], check=True)
    serve = [sys.executable, "-m", "http.server", "80", "--bind", METADATA_IP, "-d", "/var/empty"]
    log = cluster.logs("metadata")
    with log.open("w") as out, subprocess.Popen([*inside, *serve], stdout=out, stderr=out) as it:
        try:
            trial = f": </dev/tcp/{METADATA_IP}/80"

            def answers() -> bool:
                command = [*inside, "bash", "-c", trial]
                return subprocess.run(command, capture_output=True, check=False).returncode == 0

            wait_for("the metadata service answers", answers, 60, log.read_text)
            yield
        finally:
            it.terminate()
            subprocess.run([*inside, "ip", "address", "del", *address], check=False)
