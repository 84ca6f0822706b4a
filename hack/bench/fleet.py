"""Operator and admin API with thousands of ReportSchedules that have run for weeks.

    python -m hack.bench.fleet [--schedules 4000] [--outcomes 20] [--requests 30]

etcd, the API server, the operator and the admin API are started on loopback for this program
alone. The baseline is one list of all ReportSchedules from the API server in the same run: the
cost of an answer that caches nothing.

"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import os
import statistics
import sys
import tempfile
import time
import uuid
import zlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import yaml

from hack.bench.schedules import MANIFEST, is_ready, memory_mb
from hack.testbed.admin_api import SCHEDULER, ApiProcess
from hack.testbed.controlplane import ControlPlane, control_plane
from hack.testbed.operator import OperatorProcess
from report_operator.adapters.kube.client import KubeClient
from report_operator.adapters.kube.resources import SCHEDULES
from report_operator.api.v1alpha1.status import RecentRun, ReportScheduleStatus
from report_runner.contract.reasons import Reason
from report_runner.contract.result import Outcome

AT_ONCE = 8
NAMESPACE = "fleet"
PAUSE_SECONDS = 3.0
MEMORY_LIMIT_MB = 512  # of either container, as the chart has it
FAILS = 20  # every so many-th run has failed
PATHS = ("/status", "/jobs?limit=100", "/jobs?status=failed&limit=100", "/dead-letters")


def outcomes(name: str, count: int, now: datetime) -> list[RecentRun]:
    """Outcomes of a daily schedule, up to yesterday."""
    found = []
    for number in range(count):
        slot = now.replace(hour=6, minute=0, second=0) - timedelta(days=count - number)
        failed = (zlib.crc32(name.encode()) + number) % FAILS == 0
        found.append(
            RecentRun(
                uid=str(uuid.uuid4()),
                job=f"{name}-{int(slot.timestamp()) // 60}",
                slot=slot,
                report_date=slot.date(),
                attempt=1,
                outcome=Outcome.FAILED if failed else Outcome.SUCCEEDED,
                reason=Reason.DATABASE_UNAVAILABLE if failed else None,
                message="spec.report.sources[positions].postgres: refused" if failed else "",
                started_at=slot + timedelta(seconds=3),
                finished_at=slot + timedelta(seconds=33),
                queued_seconds=1,
                pending_seconds=2,
                run_seconds=30,
                rows=1000,
                outputs=[f"{slot:%Y/%m/%d}/{NAMESPACE}_{name}_{slot:%Y%m%dT%H%M%SZ}.pdf"],
            )
        )
    return found


async def fill(schedules: int, count: int) -> None:
    """Create the ReportSchedules, each with `count` outcomes in its status."""
    limit, now = asyncio.Semaphore(AT_ONCE), datetime.now(UTC).replace(microsecond=0)

    async def one(number: int) -> None:
        text = MANIFEST.format(number=number, namespace=NAMESPACE, minute=number % 60)
        async with limit:
            made = await kube.create(SCHEDULES, NAMESPACE, yaml.safe_load(text))
            assert made is not None
            status = ReportScheduleStatus(
                recent_runs=outcomes(made["metadata"]["name"], count, now)
            )
            await kube.replace_status(SCHEDULES, {**made, "status": status.to_wire()})

    async with await KubeClient.connect() as kube:
        await asyncio.gather(*(one(number) for number in range(schedules)))


async def list_all(requests: int) -> list[float]:
    """Milliseconds of each list of all ReportSchedules."""
    found = []
    async with await KubeClient.connect() as kube:
        for _ in range(requests):
            start = time.perf_counter()
            async for _ in kube.iterate(SCHEDULES):
                pass
            found.append(1000 * (time.perf_counter() - start))
    return found


async def until_ready(schedules: int) -> None:
    """Wait until every ReportSchedule is Ready."""
    async with await KubeClient.connect() as kube, asyncio.timeout(1800):
        while True:
            if sum([is_ready(body) async for body in kube.iterate(SCHEDULES)]) == schedules:
                return
            await asyncio.sleep(PAUSE_SECONDS)


def tell(name: str, times: list[float], baseline: float | None = None) -> float:
    """Print a line; the median in milliseconds."""
    p50 = statistics.median(times)
    ratio = f"   {p50 / baseline:.3f} of the baseline" if baseline else "   baseline"
    print(f"{name:34} p50 {p50:8.1f}  max {max(times):8.1f} ms{ratio}", flush=True)
    return p50


def call(port: int, path: str) -> float:
    """Milliseconds of one request; exits where the answer is not 200."""
    start = time.perf_counter()
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    client.request("GET", path)
    answer = client.getresponse()
    answer.read()
    client.close()
    if answer.status != http.HTTPStatus.OK:
        sys.exit(f"{path}: {answer.status}")
    return 1000 * (time.perf_counter() - start)


def main() -> int:
    """Print the comparison; exit code 1 where a container would exceed its memory limit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--schedules", type=int, default=4000)
    parser.add_argument("--outcomes", type=int, default=20)
    parser.add_argument("--requests", type=int, default=30)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        directory = Path(scratch)
        (directory / "plane").mkdir()
        with control_plane(directory / "plane") as plane:
            os.environ["KUBECONFIG"] = str(plane.kubeconfig)
            plane.api.call("POST", "/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
            start = time.monotonic()
            asyncio.run(fill(args.schedules, args.outcomes))
            took = time.monotonic() - start
            print(f"{args.schedules} schedules of {args.outcomes} outcomes, made in {took:.0f} s")
            return _compare(plane, directory, args.schedules, args.requests)


def _compare(plane: ControlPlane, directory: Path, schedules: int, requests: int) -> int:
    operator = OperatorProcess(directory, plane.kubeconfig, NAMESPACE, {"resyncSeconds": 120})
    operator.start(same_lease=True)
    api = ApiProcess(plane.kubeconfig, NAMESPACE, operator.config_file, directory / "api.log")
    try:
        start = time.monotonic()
        asyncio.run(until_ready(schedules))
        print(f"all Ready after {time.monotonic() - start:.0f} s")
        api.start()
        baseline = tell("a list of all schedules", asyncio.run(list_all(max(requests // 5, 3))))
        for path in (*(SCHEDULER + path for path in PATHS), "/"):
            call(api.api.port, path)
            times = [call(api.api.port, path) for _ in range(requests)]
            tell(path.removeprefix(SCHEDULER), times, baseline)
        used = {"operator": memory_mb(operator.pid)[1], "admin API": memory_mb(api.pid)[1]}
    finally:
        api.end()
        operator.end()
    for name, most in used.items():
        print(f"memory of the {name:10} at most {most:4.0f} MB (limit {MEMORY_LIMIT_MB})")
    return int(max(used.values()) > MEMORY_LIMIT_MB)


if __name__ == "__main__":
    sys.exit(main())
