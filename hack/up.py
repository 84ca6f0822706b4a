"""`make up`: a cluster, the chart, the demo's data, and a real report at the end.

Every step may be repeated. `--no-demo` stops after the chart.
"""

from __future__ import annotations

import argparse
import base64
import csv
import hashlib
import io
import json
import os
import secrets
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hack.diagnostics import describe_pods

ROOT = Path(__file__).resolve().parents[1]
DEMO = ROOT / "hack" / "demo"
POSITIONS = ROOT / "docs" / "examples" / "weekly-positions" / "data" / "positions.csv"
RELEASE = "report-scheduler"
# What reports may read inside of the cluster by http and object: the servers of hack/examples.py.
SOURCES = ("api.demo.svc:8080", "s3.demo.svc:8080")
SCHEDULES = ("market-dashboard", "portfolio-performance", "broken-on-purpose")
START = time.monotonic()
RUN_SECONDS = 240.0


def log(text: str) -> None:
    print(f"[{time.monotonic() - START:6.1f} s] {text}", flush=True)


def run(*command: str, text: str | None = None, quiet: bool = True) -> str:
    """Standard output; exits with the program's output where it fails."""
    done = subprocess.run(
        command,
        input=text,
        text=True,
        check=False,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE if quiet else None,
    )
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr or ''}")
    return done.stdout


def kubectl(*arguments: str, text: str | None = None) -> str:
    return run("kubectl", *arguments, text=text)


def apply(*objects: dict[str, Any]) -> None:
    listing = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
    kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", text=json.dumps(listing))


def secret(namespace: str, name: str, values: dict[str, str]) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": namespace},
        "stringData": values,
    }


def wait_for(what: str, probe: Callable[[], Any], seconds: float) -> Any:
    """The first true result of `probe`, polled; exits after `seconds`."""
    deadline = time.monotonic() + seconds
    while not (found := probe()):
        if time.monotonic() > deadline:
            sys.exit(f"not within {seconds:.0f} s: {what}")
        time.sleep(0.5)
    return found


def images() -> dict[str, tuple[str, str]]:
    """Build all images; name and archive of each, by its short name."""
    found: dict[str, tuple[str, str]] = {}
    for short in ("runner", "services", "demo-postgres", "demo-mail"):
        name, archive = run(sys.executable, "-m", "hack.image", "build", short, quiet=False).split()
        found[short] = (name, archive)
    return found


def cluster_and_images() -> dict[str, tuple[str, str]]:
    """Start the cluster and build the images at the same time; what `images` returns."""
    built: dict[str, tuple[str, str]] = {}
    failed: list[str] = []

    def build() -> None:
        try:
            built.update(images())
        except SystemExit as error:
            failed.append(str(error))

    builder = threading.Thread(target=build)
    builder.start()
    try:
        subprocess.run(
            [sys.executable, str(ROOT / "hack" / "localcluster"), "up"], check=True, cwd=ROOT
        )
    except subprocess.CalledProcessError as error:
        sys.exit(f"the cluster did not come up (exit code {error.returncode})")
    finally:
        builder.join()
    if failed:
        sys.exit(failed[0])
    return built


def use_cluster() -> None:
    """Set KUBECONFIG and PATH as `hack/localcluster env` prints them."""
    for line in run(sys.executable, str(ROOT / "hack" / "localcluster"), "env").splitlines():
        name, _, value = line.removeprefix("export ").partition("=")
        os.environ[name] = os.path.expandvars(value.strip("\"'"))


def load(archives: list[str]) -> None:
    run(sys.executable, str(ROOT / "hack" / "localcluster"), "load", *archives)


def namespaces() -> None:
    """The demo's namespaces, under the strictest pod security."""
    apply(
        *(
            {
                "apiVersion": "v1",
                "kind": "Namespace",
                "metadata": {
                    "name": name,
                    "labels": {"pod-security.kubernetes.io/enforce": "restricted"},
                },
            }
            for name in ("demo", "reports", RELEASE)
        )
    )


def install(runner: str, services: str) -> None:
    """The chart, as a platform engineer installs it, with these images."""
    images = {"image": runner, "postgres.image": services, "redis.image": services}
    values = []
    for key, image in images.items():
        repository, _, tag = image.rpartition(":")
        values += ["--set", f"{key}.repository={repository}", "--set", f"{key}.tag={tag}"]
    run(
        "helm", "upgrade", "--install", RELEASE, "charts/adaf-report-scheduler",
        "--namespace", RELEASE, "--take-ownership", "--force-conflicts", *values,
        "--set", "teamNamespaces={reports}", "--set", "output.fileServer.enabled=true",
        "--set", f"config.runner.egress.allow={{{','.join(SOURCES)}}}",
        # Tests make namespaces as they go; a cluster that is shared does without.
        "--set", "config.watchAllNamespaces=true",
    )  # fmt: skip
    rolled_out(
        RELEASE,
        "statefulset/postgres",
        "statefulset/redis",
        f"deployment/{RELEASE}-adaf-report-scheduler",
        f"deployment/{RELEASE}-adaf-report-scheduler-api",
    )


def rolled_out(namespace: str, *workloads: str) -> None:
    """Wait until each workload is ready; exits with diagnostics where one is not."""
    for workload in workloads:
        done = subprocess.run(
            ["kubectl", "-n", namespace, "rollout", "status", workload, "--timeout=180s"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            sys.exit(
                f"{workload} is not ready: {done.stderr.strip()}\n\n{describe_pods(namespace)}"
            )


def market_data() -> dict[str, Any]:
    """The data and the SQL that loads it, as a ConfigMap."""
    from vega_datasets import local_data

    path = Path(local_data.stocks.filepath)
    rows = list(csv.reader(io.StringIO(path.read_text())))
    log(f"market data: {len(rows) - 1} real prices from vega-datasets")
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "market-data", "namespace": "demo"},
        "data": {
            "stocks.csv": path.read_text(),
            "positions.csv": POSITIONS.read_text(),
            "market.sql": (DEMO / "postgres" / "market.sql").read_text(),
        },
    }


def content_hash(value: object) -> str:
    """Changes with the value, which is JSON."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


def known_secret(namespace: str, name: str) -> dict[str, str]:
    """The values of a Secret that an earlier `make up` made; empty without one."""
    text = kubectl("-n", namespace, "get", "secret", name, "--ignore-not-found", "-o", "json")
    data = json.loads(text)["data"] if text else {}
    return {key: base64.b64decode(value).decode() for key, value in data.items()}


def certificate(host: str = "mail.demo.svc") -> dict[str, str]:
    """A self-signed certificate for the mail server."""
    with tempfile.TemporaryDirectory() as directory:
        key, cert = Path(directory, "tls.key"), Path(directory, "tls.crt")
        run(
            "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "3650",
            "-subj", f"/CN={host}", "-addext", f"subjectAltName=DNS:{host}",
            "-keyout", str(key), "-out", str(cert),
        )  # fmt: skip
        return {"tls.key": key.read_text(), "tls.crt": cert.read_text()}


def demo_services(built: dict[str, tuple[str, str]]) -> None:
    """Deploy database and mail server; passwords and keys are made once and kept."""
    reader = known_secret("demo", "demo-passwords").get("reader") or secrets.token_urlsafe(18)
    tls = known_secret("demo", "demo-mail-tls") or certificate()
    data = market_data()
    apply(
        data,
        secret("demo", "demo-passwords", {"reader": reader}),
        secret("demo", "demo-mail-tls", tls),
        secret(
            "reports",
            "report-db",
            {
                "host": "postgres.demo.svc",
                "port": "5432",
                "dbname": "market",
                "user": "report_reader",
                "password": reader,
            },
        ),
        secret(
            "reports",
            "report-smtp",
            {
                "host": "mail.demo.svc",
                "port": "2525",
                "from": "reports@example.com",
                "security": "starttls",
                "ca.crt": tls["tls.crt"],
            },
        ),
    )
    manifest = (DEMO / "services.yaml").read_text()
    manifest = manifest.replace("IMAGE-POSTGRES", built["demo-postgres"][0])
    manifest = manifest.replace("IMAGE-MAIL", built["demo-mail"][0])
    manifest = manifest.replace("HASH-OF-DATA", content_hash(data["data"]))
    kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", text=manifest)
    rolled_out("demo", "deployment/postgres", "deployment/mail")


def demo_runs() -> dict[str, dict[str, Any]]:
    """Start one run of each schedule; its recorded outcome, by schedule."""
    kubectl("apply", "--server-side", "--force-conflicts", "-f", str(DEMO / "schedules.yaml"))
    jobs: dict[str, str] = {}
    for name in SCHEDULES:
        wait_for(f"{name} has a CronJob", lambda name=name: status(name).get("cronJob"), 60)
        jobs[name] = f"{name}-demo-{int(time.time())}"
        kubectl("-n", "reports", "create", "job", jobs[name], f"--from=cronjob/{name}")
    return {
        name: wait_for(f"the run of {name}", lambda n=name, j=job: outcome(n, j), RUN_SECONDS)
        for name, job in jobs.items()
    }


def status(name: str) -> dict[str, Any]:
    text = kubectl("-n", "reports", "get", "reportschedule", name, "-o", "json")
    found: dict[str, Any] = json.loads(text).get("status", {})
    return found


def outcome(name: str, job: str) -> dict[str, Any] | None:
    runs = status(name).get("recentRuns", [])
    return next((run for run in runs if run["job"] == job), None)


def copy_out(outputs: list[str]) -> list[Path]:
    """Copy finished files from the report volume to out/, where the volume is on this machine."""
    claim = json.loads(kubectl("-n", "reports", "get", "pvc", "adaf-reports", "-o", "json"))
    spec = json.loads(kubectl("get", "pv", claim["spec"]["volumeName"], "-o", "json"))["spec"]
    source = Path((spec.get("hostPath") or spec.get("local") or {"path": "/nonexistent"})["path"])
    target = ROOT / "out"
    target.mkdir(exist_ok=True)
    copied = []
    for output in outputs:
        if (source / output).is_file():
            copied.append(target / Path(output).name)
            copied[-1].write_bytes((source / output).read_bytes())
    return copied


def show(outcomes: dict[str, dict[str, Any]]) -> None:
    print("\n$ kubectl get reportschedules -A")
    print(kubectl("get", "reportschedules", "-A"))
    for name in SCHEDULES[:2]:
        for path in copy_out(outcomes[name].get("outputs", [])):
            print(f"{name}: {path.relative_to(ROOT)}")
    print("\nthe newest mail's headers:")
    script = "sed '/^\\r*$/q' $(ls -t /var/lib/demo/mail/*.eml | head -1)"
    print(kubectl("-n", "demo", "exec", "deploy/mail", "--", "sh", "-c", script).strip())
    failing = next(c for c in status(SCHEDULES[2])["conditions"] if c["type"] == "Failing")
    print(f"\nand {SCHEDULES[2]}, as it should: {failing['reason']}: {failing['message']}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--no-demo", action="store_true")
    args = parser.parse_args()
    built = cluster_and_images()
    use_cluster()
    log("the cluster is up, the images are built")
    load([archive for _, archive in built.values()])
    log("the images are on the node")
    namespaces()
    install(built["runner"][0], built["services"][0])
    log("the chart is installed; the operator, Postgres and Redis run")
    demo_services(built)
    log("the demo's database and mail server run")
    if args.no_demo:
        return 0
    outcomes = demo_runs()
    log("each schedule ran once")
    show(outcomes)
    wrong = [name for name in SCHEDULES[:2] if outcomes[name]["outcome"] != "Succeeded"]
    for name in wrong:
        print(f"{name} failed: {outcomes[name]}", file=sys.stderr)
    log('done. Next: eval "$(make -s env)", then kubectl -n reports describe reportschedule ...')
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
