"""`make examples`: the examples of docs/examples over real data, on the cluster of `make up`.

An HTTP API and an S3 store are deployed beside the demo's database, with data that a package of the
registry ships (vega-datasets): US employment by month, and the weather of Seattle by day.
"""

from __future__ import annotations

import base64
import csv
import io
import secrets
import subprocess
import sys
import time
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

from hack import up
from hack.finished import copy_out
from hack.steps import ROOT, apply, built_image, kubectl, log, rolled_out, use_cluster, wait_for

IMAGE = "demo-sources"
MADE = ("jobs-and-stocks", "weather-archive")  # their reports are made
CHECKED = "price-jumps"  # its check fails
WAITING = "waits-for-load"
CALENDAR = "trading-days"
EXAMPLES = (*MADE, CHECKED, WAITING, CALENDAR)
SERVED = ("us_employment", "iowa_electricity")  # by the HTTP API
BUCKET = "archive"
YEARS = ("2014", "2015")


def manifest(name: str) -> Path:
    return ROOT / "docs" / "examples" / name / "schedule.yaml"


def package_rows(name: str) -> list[dict[str, str]]:
    """The rows of a data set that vega-datasets ships as CSV, as texts."""
    from vega_datasets import local_data

    text = Path(getattr(local_data, name).filepath).read_text()
    return list(csv.DictReader(io.StringIO(text)))


def parquet_of(rows: list[dict[str, str]]) -> bytes:
    """Days of weather, with a date and exact decimals."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    figures = ("precipitation", "temp_max", "temp_min", "wind")
    days = [date.fromisoformat(row["date"].replace("/", "-")) for row in rows]
    columns: dict[str, Any] = {"day": pa.array(days, pa.date32())}
    for name in figures:
        columns[name] = pa.array([Decimal(row[name]) for row in rows], pa.decimal128(6, 1))
    columns["weather"] = pa.array([row["weather"] for row in rows])
    written = io.BytesIO()
    pq.write_table(pa.table(columns), written)
    return written.getvalue()


def objects() -> dict[str, bytes]:
    """The store's objects by key: a Parquet file for each month of weather."""
    months: dict[str, list[dict[str, str]]] = {}
    for row in package_rows("seattle_weather"):
        year, month, _ = row["date"].split("/")
        if year in YEARS:
            months.setdefault(f"weather/{year}/seattle-{year}-{month}.parquet", []).append(row)
    return {key: parquet_of(rows) for key, rows in months.items()}


def config_map(name: str, **data: dict[str, Any]) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "demo"}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, **data}


def deploy(image: str) -> None:
    """The servers and their data; keys are made once and kept."""
    from vega_datasets import local_data

    keys = up.known_secret("demo", "demo-source-keys") or {
        "token": secrets.token_urlsafe(18),
        "accessKeyId": "report-reader",
        "secretAccessKey": secrets.token_urlsafe(18),
    }
    store = {
        f"{BUCKET}/{key}".replace("/", "__"): base64.b64encode(content).decode()
        for key, content in objects().items()
    }
    data = {
        f"{name.replace('_', '-')}.csv": Path(getattr(local_data, name).filepath).read_text()
        for name in SERVED
    }
    s3 = {name: keys[name] for name in ("accessKeyId", "secretAccessKey")}
    apply(
        config_map("api-data", data=data),
        config_map("s3-objects", binaryData=store),
        up.secret("demo", "demo-source-keys", keys),
        up.secret("reports", "report-api", {"token": keys["token"]}),
        up.secret("reports", "report-s3", s3),
    )
    text = (up.DEMO / "sources.yaml").read_text()
    text = text.replace("IMAGE-SOURCES", image)
    text = text.replace("HASH-OF-DATA", up.content_hash([data, store, keys]))
    kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", text=text)
    rolled_out("demo", "deployment/api", "deployment/s3")


def start() -> dict[str, str]:
    """Apply the examples and start one run of all but the one with a calendar; Jobs by schedule."""
    jobs: dict[str, str] = {}
    for name in EXAMPLES:
        kubectl("apply", "--server-side", "--force-conflicts", "-f", str(manifest(name)))
    for name in EXAMPLES:
        wait_for(f"{name} has a CronJob", lambda n=name: up.status(n).get("cronJob"), 60)
        if name != CALENDAR and not up.status(name).get("waitingForData"):
            jobs[name] = f"{name}-demo-{int(time.time())}"
            kubectl("-n", "reports", "create", "job", jobs[name], f"--from=cronjob/{name}")
    return jobs


def outcomes(jobs: dict[str, str]) -> dict[str, dict[str, Any]]:
    """Wait until each run has ended; the one that waits for its data, until it waits."""
    found = {
        name: wait_for(f"the run of {name}", lambda n=name: up.outcome(n, jobs[n]), up.RUN_SECONDS)
        for name in (*MADE, CHECKED)
    }
    wait_for(
        f"{WAITING} waits for its data",
        lambda: up.status(WAITING).get("waitingForData"),
        up.RUN_SECONDS,
    )
    return found


def show(found: dict[str, dict[str, Any]]) -> None:
    print("\n$ kubectl -n reports get reportschedules")
    print(kubectl("-n", "reports", "get", "reportschedules", *EXAMPLES))
    for name in MADE:
        for path in copy_out("reports", found[name].get("outputs", [])):
            print(f"{name}: {path.relative_to(ROOT)}")
    failing = next(c for c in up.status(CHECKED)["conditions"] if c["type"] == "Failing")
    print(f"\n{CHECKED}, as it should: {failing['reason']}: {failing['message']}")
    wait = up.status(WAITING)["dataWait"]
    print(f"\n{WAITING} waits: {wait['answer']}")
    print("It is sent a minute after the loader's mark is there:")
    print(f"  {mark_command(up.status(WAITING)['activeRuns'][0]['reportDate'])}")
    program = Path(sys.executable).with_name("report-scheduler")
    print(f"\n$ report-scheduler next {CALENDAR} --count 5")
    done = subprocess.run(
        [program, "next", CALENDAR, "--count", "5"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    print(done.stdout or done.stderr)


def mark_command(day: str) -> str:
    """What the loader does when the data of a day are there."""
    return f"kubectl -n demo exec deploy/s3 -- /opt/demo/mark-loaded {day}"


def main() -> int:
    image, loadable = built_image(IMAGE)
    use_cluster()
    up.load([loadable])
    log("the image of the servers is on the node")
    deploy(image)
    log("the HTTP API and the S3 store run")
    found = outcomes(start())
    log("each example ran once")
    show(found)
    wrong = [name for name in MADE if found[name]["outcome"] != "Succeeded"]
    for name in wrong:
        print(f"{name} failed: {found[name]}", file=sys.stderr)
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
