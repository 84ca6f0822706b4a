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
import secrets
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

if sys.version_info < (3, 10):  # noqa: UP036  (some Macs have another as their python3)
    sys.exit(f"Python 3.10 or newer is needed; python3 is {sys.version.split()[0]}")
if not __package__:  # started as a file: modules are found from the checkout's root
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from hack import mail
from hack.finished import copy_out
from hack.steps import (
    RELEASE,
    ROOT,
    apply,
    built_image,
    doing,
    kubectl,
    log,
    rolled_out,
    run,
    use_cluster,
    wait_for,
)

DEMO = ROOT / "hack" / "demo"
STOCKS = DEMO / "postgres" / "stocks.csv"
POSITIONS = ROOT / "docs" / "examples" / "weekly-positions" / "data" / "positions.csv"
# What reports may read inside of the cluster by http and object: the servers of hack/examples.py.
SOURCES = ("api.demo.svc:8080", "s3.demo.svc:8080")
SCHEDULES = ("market-dashboard", "portfolio-performance", "broken-on-purpose")
RUN_SECONDS = 480.0


def secret(namespace: str, name: str, values: dict[str, str]) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": namespace},
        "stringData": values,
    }


def images() -> dict[str, tuple[str, str]]:
    """Build all images; of each, by its short name, the name and what `load` takes for it."""
    wanted = ("runner", "services", "demo-postgres", "demo-mail")
    return {short: built_image(short) for short in wanted}


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


def load(wanted: list[str]) -> None:
    run(sys.executable, str(ROOT / "hack" / "localcluster"), "load", *wanted, quiet=False)


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


def market_data() -> dict[str, Any]:
    """The data and the SQL that loads it, as a ConfigMap."""
    stocks = STOCKS.read_text()
    log(f"market data: {len(list(csv.reader(io.StringIO(stocks)))) - 1} real prices")
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "market-data", "namespace": "demo"},
        "data": {
            "stocks.csv": stocks,
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


def certificate(host: str = "mail.demo.svc", image: str = "") -> dict[str, str]:
    """A self-signed certificate for the mail server, by openssl of this machine or of the image."""
    with tempfile.TemporaryDirectory() as directory:
        key, cert = Path(directory, "tls.key"), Path(directory, "tls.crt")
        request = [
            "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "3650",
            "-subj", f"/CN={host}", "-addext", f"subjectAltName=DNS:{host}",
        ]  # fmt: skip
        if shutil.which("openssl"):
            run(*request, "-keyout", str(key), "-out", str(cert))
            return {"tls.key": key.read_text(), "tls.crt": cert.read_text()}
    made = run("docker", "run", "--rm", image, *request, "-keyout", "-", "-out", "-")
    begin = made.index("-----BEGIN CERTIFICATE-----")
    return {"tls.key": made[made.index("-----BEGIN") : begin], "tls.crt": made[begin:]}


def demo_services(built: dict[str, tuple[str, str]]) -> None:
    """Deploy database and mail server; passwords and keys are made once and kept."""
    reader = known_secret("demo", "demo-passwords").get("reader") or secrets.token_urlsafe(18)
    tls = known_secret("demo", "demo-mail-tls") or certificate(image=built["services"][0])
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


def show(outcomes: dict[str, dict[str, Any]]) -> None:
    print("\n$ kubectl get reportschedules -A")
    print(kubectl("get", "reportschedules", "-A"))
    for name in SCHEDULES[:2]:
        for path in copy_out("reports", outcomes[name].get("outputs", [])):
            print(f"{name}: {path.relative_to(ROOT)}")
    print("\nthe newest mail's headers (make mail: all of it):")
    if newest := mail.names():
        print(mail.headers(mail.fetch(newest[0])[1]))
    failing = next(c for c in status(SCHEDULES[2])["conditions"] if c["type"] == "Failing")
    print(f"\nand {SCHEDULES[2]}, as it should: {failing['reason']}: {failing['message']}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--no-demo", action="store_true")
    args = parser.parse_args()
    built = cluster_and_images()
    use_cluster()
    log("the cluster is up, the images are built")
    load([wanted for _, wanted in built.values()])
    namespaces()
    with doing("installing the chart: operator, admin API, Postgres, Redis"):
        install(built["runner"][0], built["services"][0])
    with doing("starting the demo's database and mail server"):
        demo_services(built)
    if args.no_demo:
        return 0
    with doing("running each of the demo's schedules once"):
        outcomes = demo_runs()
    show(outcomes)
    wrong = [name for name in SCHEDULES[:2] if outcomes[name]["outcome"] != "Succeeded"]
    for name in wrong:
        print(f"{name} failed: {outcomes[name]}", file=sys.stderr)
    log('done. Next: eval "$(make -s env)", then kubectl -n reports describe reportschedule ...')
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
