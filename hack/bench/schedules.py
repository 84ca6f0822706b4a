"""Time until 1,000 ReportSchedules are Ready, beside the time `kubectl create` takes to post them.

    python -m hack.bench.schedules [--count 1000] [--quiet-seconds 60]

Everything is measured in this run, on the cluster that KUBECONFIG names, or on the local one: first
kubectl alone, without an operator, then with one. Then the cluster is left alone and the
operator's writes are counted; there should be none. Last comes the lower bound of any operator:
kubectl, and for each name that it prints, our three writes (definition, CronJob, status) from a
client that watches and decides nothing. An operator in the cluster is scaled to 0 meanwhile.

"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from hack.steps import use_cluster
from hack.testbed.programs import project_program
from report_operator.adapters.kube.client import Body, KubeClient
from report_operator.adapters.kube.resources import CONFIGMAPS, CRONJOBS, SCHEDULES
from report_operator.domain import names

RATIO_LIMIT = 1.25
MEMORY_LIMIT_MB = 200
METRICS_PORT = 19190

MANIFEST = """\
apiVersion: reports.adaf.io/v1alpha1
kind: ReportSchedule
metadata: {{name: bench-{number:05d}, namespace: {namespace}}}
spec:
  reportType: executive_dashboard
  schedule: "{minute} 6 1 1 *"
  timeZone: Europe/Madrid
  report:
    title: Report {number}
    sources:
    - name: positions
      postgres:
        connection: {{secretRef: {{name: report-db}}}}
        query: SELECT * FROM positions WHERE day = %(report_date)s
    template: {{builtin: executive_dashboard}}
    formats: [pdf]
"""


def kubectl(*arguments: str, text: str | None = None) -> str:
    done = subprocess.run(
        ["kubectl", *arguments], input=text, text=True, capture_output=True, check=False
    )
    if done.returncode:
        sys.exit(f"kubectl {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout


@contextmanager
def manifests(namespace: str, count: int) -> Iterator[str]:
    """Write a file with all manifests; its name."""
    text = "---\n".join(
        MANIFEST.format(number=number, namespace=namespace, minute=number % 60)
        for number in range(count)
    )
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write(text)
        file.flush()
        yield file.name


def create(namespace: str, count: int) -> float:
    """Seconds that `kubectl create` takes for all manifests."""
    with manifests(namespace, count) as file:
        start = time.monotonic()
        kubectl("create", "-f", file, "-o", "name")
        return time.monotonic() - start


@dataclass(frozen=True)
class Written:
    """The operator's three objects for one schedule, without the fields that the server sets."""

    config_map: Body
    cronjob: Body
    status: Body


def written_for(name: str, namespace: str) -> Written:
    """The objects that `write_barely` repeats for each name."""

    def read(kind: str, named: str) -> Any:
        return json.loads(kubectl("get", kind, named, "-n", namespace, "-o", "json"))

    def bare(body: Body) -> Body:
        # No owner: there is none with that uid in the other namespace.
        kept = {key: body["metadata"].get(key, {}) for key in ("labels", "annotations")}
        return {**body, "metadata": kept}

    status = read("reportschedule", name)["status"]
    cronjob = bare(read("cronjob", status["cronJob"]))
    template = cronjob["spec"]["jobTemplate"]
    template["metadata"].pop("creationTimestamp", None)
    definition = template["metadata"]["annotations"][names.ANNOTATION_DEFINITION]
    return Written(bare(read("configmap", definition)), cronjob | {"status": {}}, status)


async def write_barely(namespace: str, count: int, example: Written) -> float:
    """Seconds until kubectl has created all schedules and each has its three writes."""
    loop = asyncio.get_running_loop()

    def named(body: Body, name: str) -> Body:
        return {**body, "metadata": {**body["metadata"], "name": name, "namespace": namespace}}

    async with await KubeClient.connect() as kube, asyncio.TaskGroup() as group:

        async def write(name: str) -> None:
            await kube.create(CONFIGMAPS, namespace, named(example.config_map, name))
            await kube.create(CRONJOBS, namespace, named(example.cronjob, name))
            await kube.patch(
                SCHEDULES, namespace, name, {"status": example.status}, subresource="status"
            )

        with manifests(namespace, count) as file:
            start = loop.time()
            process = await asyncio.create_subprocess_exec(
                "kubectl", "create", "-f", file, "-o", "name", stdout=asyncio.subprocess.PIPE
            )
            assert process.stdout is not None
            writing = [
                group.create_task(write(line.decode().strip().partition("/")[2]))
                async for line in process.stdout
            ]
            if await process.wait() or len(writing) != count:
                sys.exit("kubectl create failed")
            await asyncio.gather(*writing)
            return loop.time() - start


def ready(namespace: str) -> int:
    """Number of schedules that are Ready for their current generation."""
    path = f"/apis/reports.adaf.io/v1alpha1/namespaces/{namespace}/reportschedules"
    return sum(map(is_ready, json.loads(kubectl("get", "--raw", path))["items"]))


def is_ready(schedule: Body) -> bool:
    conditions = schedule.get("status", {}).get("conditions", ())
    return any((c["type"], c["status"]) == ("Ready", "True") for c in conditions)


def api_server_cpu() -> float:
    """CPU seconds that the API server has used so far."""
    for line in kubectl("get", "--raw", "/metrics").splitlines():
        if line.startswith("process_cpu_seconds_total"):
            return float(line.split()[-1])
    sys.exit("the API server does not tell its CPU time")


@contextmanager
def namespace(name: str) -> Iterator[str]:
    """A namespace that exists during the block; its deletion is waited for."""
    kubectl("create", "namespace", name)
    try:
        yield name
    finally:
        kubectl("delete", "namespace", name, "--timeout=300s")


@contextmanager
def nobody_else() -> Iterator[None]:
    """Scale the cluster's own operator to 0 during the block."""
    selector = "-lapp.kubernetes.io/name=adaf-report-scheduler"
    found = json.loads(kubectl("get", "deployments", "-A", selector, "-o", "json"))["items"]
    for item in found:
        _scale(item["metadata"], 0)
    try:
        yield
    finally:
        for item in found:
            _scale(item["metadata"], item["spec"]["replicas"])


def _scale(meta: dict[str, str], replicas: int) -> None:
    kubectl(
        "scale", f"deployment/{meta['name']}", "-n", meta["namespace"], f"--replicas={replicas}"
    )
    if not replicas:
        kubectl(
            "wait", "--for=delete", "pod", "-n", meta["namespace"],
            "-lapp.kubernetes.io/name=adaf-report-scheduler", "--timeout=120s",
        )  # fmt: skip


@contextmanager
def operator(watched: str) -> Iterator[subprocess.Popen[bytes]]:
    """An operator of this checkout for one namespace; its log is printed where it fails."""
    config = {
        "runner": {"image": "localhost/none:bench"},
        "watchNamespaces": [watched],
        "healthPort": 0,
        "metricsPort": METRICS_PORT,
    }
    with tempfile.TemporaryDirectory() as directory:
        file, log = Path(directory) / "config.yaml", Path(directory) / "log"
        file.write_text(json.dumps(config))
        program = project_program("report-scheduler")
        with log.open("wb") as stream:
            process = subprocess.Popen(
                [program, "run", "--config", str(file)],
                env=os.environ | {"POD_NAMESPACE": watched},
                stdout=stream,
                stderr=stream,
            )
        try:
            wait_until(lambda: '"leading"' in log.read_text() or process.poll() is not None)
            if process.poll() is not None:
                sys.exit(log.read_text())
            yield process
        finally:
            process.terminate()
            process.wait(30)


def wait_until(holds: object, seconds: float = 600.0) -> None:
    """Poll a condition; exits where it does not hold in time."""
    deadline = time.monotonic() + seconds
    while not holds():  # type: ignore[operator]
        if time.monotonic() > deadline:
            sys.exit("the condition did not come to hold")
        time.sleep(0.2)


def writes() -> int:
    """Number of the operator's writing requests so far, without those for the Lease."""
    with urlopen(f"http://127.0.0.1:{METRICS_PORT}/metrics") as answer:
        lines = answer.read().decode().splitlines()
    prefix = "report_scheduler_api_writes_total"
    return sum(int(float(line.split()[-1])) for line in lines if line.startswith(prefix))


def memory_mb(pid: int) -> tuple[float, float]:
    """Resident memory of a process now, and its peak."""
    status = Path(f"/proc/{pid}/status").read_text()
    found = {line.split(":")[0]: line.split()[1] for line in status.splitlines() if "kB" in line}
    return int(found["VmRSS"]) / 1024, int(found["VmHWM"]) / 1024


def cpu_seconds(process: subprocess.Popen[bytes]) -> float:
    """CPU seconds of a process so far."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> int:
    """Print the comparison; exit code 1 where a limit is exceeded."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--quiet-seconds", type=float, default=60.0)
    args = parser.parse_args()
    named = os.environ.get("KUBECONFIG")
    use_cluster()  # PATH gets kubectl by it
    if named:
        os.environ["KUBECONFIG"] = named
    with nobody_else():
        with namespace("bench-baseline") as name:
            cpu = api_server_cpu()
            alone = create(name, args.count)
            cpu_alone = api_server_cpu() - cpu
        with namespace("bench-operator") as name, operator(name) as process:
            cpu = api_server_cpu()
            start = time.monotonic()
            posted = create(name, args.count)
            wait_until(lambda: ready(name) == args.count)
            took = time.monotonic() - start
            cpu_beside = api_server_cpu() - cpu
            cpu_operator = cpu_seconds(process)
            before = writes()
            time.sleep(args.quiet_seconds)
            quiet = writes() - before
            resident, highest = memory_mb(process.pid)
            example = written_for("bench-00000", name)
        with namespace("bench-bare") as name:
            cpu = api_server_cpu()
            barely = asyncio.run(write_barely(name, args.count, example))
            cpu_barely = api_server_cpu() - cpu
    ratio = took / alone
    print(f"kubectl create alone      {args.count} in {alone:6.2f} s   baseline")
    print(f"kubectl create beside it  {args.count} in {posted:6.2f} s")
    print(
        f"all Ready                 {args.count} in {took:6.2f} s   "
        f"ratio {ratio:.2f} (limit {RATIO_LIMIT})"
    )
    print(
        f"API server's CPU          {cpu_alone:.1f} s alone, {cpu_beside:.1f} s beside it; the "
        f"operator's {cpu_operator:.1f} s; {os.cpu_count()} cores: "
        f"{(cpu_beside + cpu_operator) / (os.cpu_count() or 1):.1f} s at the very least"
    )
    print(
        f"the three writes alone     {args.count} in {barely:6.2f} s   ratio {barely / alone:.2f}; "
        f"the API server's CPU {cpu_barely:.1f} s"
    )
    print(f"the operator takes {took / barely:.2f} times what the three writes alone take")
    print(f"writes in {args.quiet_seconds:.0f} s of rest  {quiet} (limit 0)")
    print(
        f"memory                    {resident:.0f} MB, at most {highest:.0f} MB "
        f"(limit {MEMORY_LIMIT_MB})"
    )
    # Where not even the writes alone keep within the limit, they are what is to be compared with.
    missed = ratio > RATIO_LIMIT and took / barely > RATIO_LIMIT
    return int(missed or quiet > 0 or resident > MEMORY_LIMIT_MB)


if __name__ == "__main__":
    sys.exit(main())
