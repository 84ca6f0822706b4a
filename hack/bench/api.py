"""The admin API's response times with 1,000,000 runs in history, beside two lower bounds.

    python -m hack.bench.api [--runs 1000000] [--requests 300] [--schedules 200]

PostgreSQL, etcd, the API server and the admin API are started on loopback for this program alone.
The lower bounds are measured in the same run: `SELECT 1` on an open connection to the same
PostgreSQL, and the API's answer to an unknown path, which reads nothing.

"""

from __future__ import annotations

import argparse
import http.client
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from urllib.parse import quote

import psycopg

from hack.testbed.admin_api import SCHEDULER, ApiProcess
from hack.testbed.controlplane import ControlPlane
from hack.testbed.history import fill
from hack.testbed.namespace import Namespace
from hack.testbed.postgres import postgres_server
from report_operator.adapters.postgres.database import read_conninfo
from report_operator.adapters.postgres.schema import migrate

LIMIT_MS = 50.0
SPAN = timedelta(days=365)
LEASES = "/apis/coordination.k8s.io/v1"


def measure(count: int, call: Callable[[], object]) -> list[float]:
    """Milliseconds of each call, sorted; the first call counts too."""
    found = []
    for _ in range(count):
        start = time.perf_counter()
        call()
        found.append(1000 * (time.perf_counter() - start))
    return sorted(found)


def tell(name: str, times: list[float], baseline: float | None = None) -> bool:
    """Print a line; true where p99 is within the limit."""
    p50, p99 = statistics.median(times), times[min(int(len(times) * 0.99), len(times) - 1)]
    ratio = f"   p50 is {p50 / baseline:5.1f} of the baseline" if baseline else "   baseline"
    print(f"{name:44} p50 {p50:7.2f}  p99 {p99:7.2f}  max {times[-1]:7.2f} ms{ratio}", flush=True)
    return p99 <= LIMIT_MS


def main() -> int:
    """Print the comparison; exit code 1 where an endpoint's p99 is over the limit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1_000_000)
    parser.add_argument("--requests", type=int, default=300)
    parser.add_argument("--schedules", type=int, default=200)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch, postgres_server() as server:
        directory = Path(scratch)
        secret = server.make_database(directory)
        conninfo = read_conninfo(secret, "bench", 3600)
        migrate(conninfo)
        start = time.monotonic()
        with psycopg.connect(conninfo, autocommit=True) as connection:
            fill(connection, args.runs, SPAN, datetime.now(UTC))
        print(f"{args.runs} runs over {SPAN.days} days, made in {time.monotonic() - start:.0f} s")
        plane = ControlPlane(directory / "plane")
        plane.directory.mkdir()
        try:
            plane.start()
            namespace = Namespace(plane, "bench")
            plane.api.call("POST", "/api/v1/namespaces", {"metadata": {"name": "bench"}})
            for number in range(args.schedules):
                namespace.apply(f"schedule-{number}", reportType=f"type_{number % 40}")
            namespace.call("POST", namespace.path(LEASES, "leases"), lease())
            config = directory / "config.yaml"
            config.write_text(
                json.dumps({"runner": {"image": "none"}, "postgresSecret": str(secret)})
            )
            process = ApiProcess(plane.kubeconfig, "bench", config, directory / "api.log")
            process.start()
            try:
                return _compare(process.api.port, conninfo, args.requests)
            finally:
                process.end()
        finally:
            plane.stop()


def lease() -> dict[str, object]:
    """The Lease of a leading operator, so that the health checks take their usual path."""
    now = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"
    spec = {"holderIdentity": "bench", "leaseDurationSeconds": 3600, "renewTime": now}
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": "report-scheduler"},
        "spec": spec,
    }


def _compare(port: int, conninfo: str, requests: int) -> int:
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

    def get(path: str) -> bytes:
        client.request("GET", path)
        answer = client.getresponse()
        body = answer.read()
        if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            sys.exit(f"{path}: {answer.status} {body.decode()}")
        return body

    with psycopg.connect(conninfo, autocommit=True) as connection:
        tell("SELECT 1", measure(requests, lambda: connection.execute("SELECT 1").fetchone()), None)
    nothing = measure(requests, lambda: get("/api/admin/nothing"))
    tell("a path that there is not", nothing)
    page = json.loads(get(f"{SCHEDULER}/jobs?status=failed&limit=100"))
    job = page["jobs"][0]["id"]
    old = quote(f"{datetime.now(UTC) - SPAN * 0.8:%Y-%m-%dT%H:%M:%SZ}")
    deep = json.loads(get(f"{SCHEDULER}/jobs?until={old}&limit=100"))["next"]
    paths = [
        "/status", "/jobs", "/jobs?limit=500", "/jobs?status=failed&limit=10",
        "/jobs?report_type=type_7", "/jobs?report_type=type_7&status=failed",
        "/jobs?report_type=unheard_of", f"/jobs?status=failed&until={old}", f"/jobs?cursor={deep}",
        f"/jobs/{job}", "/metrics", "/health", "/health/database",
        *(f"/analytics/{what}?period={period}" for what in ("failures", "performance")
          for period in ("24h", "7d", "30d")),
    ]  # fmt: skip
    well = True
    for path in [*(SCHEDULER + path for path in paths), "/api/admin/deployments/recent"]:
        times = measure(requests, lambda path=path: get(path))  # type: ignore[misc]
        well &= tell(path.removeprefix(SCHEDULER)[:44], times, statistics.median(nothing))
    print(f"limit: {LIMIT_MS:.0f} ms at p99")
    return int(not well)


if __name__ == "__main__":
    sys.exit(main())
