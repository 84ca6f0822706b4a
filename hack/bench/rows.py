"""A million rows of PostgreSQL into a file, beside COPY of the same rows in the same run.

    python -m hack.bench.rows [--rows 1000000] [csv parquet]

Peak is the memory of the run's process and of its workers together, sampled.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from datetime import UTC, date, datetime
from pathlib import Path

from hack.testbed.postgres import postgres_server, write_secret
from report_runner.contract.definition import Definition
from report_runner.environment import RunStamps
from report_runner.inputs import render_input
from report_runner.mounted import Secrets
from report_runner.render.documents import render
from report_runner.sources import SourceContext, fetch_all

MIB = 1024 * 1024
PEAK_LIMIT = 256  # MiB
TABLE = """
    CREATE TABLE facts AS SELECT n AS id, 'ISIN' || lpad((n % 5000)::text, 8, '0') AS isin,
    date '2026-01-01' + (n % 365) AS day, (n * 1.17)::numeric(18, 2) AS amount,
    timestamptz '2026-01-01' + n * interval '1 second' AS at, n % 2 = 0 AS flag,
    (n / 7.0)::float8 AS rate FROM generate_series(1, {rows}) AS n
"""


def make(root: Path, rows: int, format_: str) -> None:
    """The run's own part, in a process of its own; prints seconds and rows."""
    definition = Definition.model_validate(
        {
            "namespace": "bench",
            "name": "rows",
            "uid": "u",
            "reportType": "rows",
            "timeZone": "Europe/Madrid",
            "report": {
                "title": "Rows",
                "sources": [
                    {
                        "name": "facts",
                        "postgres": {
                            "connection": {"secretRef": {"name": "db"}},
                            "query": "SELECT * FROM facts",
                            "maxRows": rows,
                        },
                    }
                ],
                "template": {"builtin": "executive_dashboard"},
                "formats": [format_],
            },
        }
    )
    run = RunStamps(datetime(2026, 1, 5, 6, tzinfo=UTC), date(2026, 1, 5), "rows.1", 1, "pod")
    begin = time.monotonic()
    fetched = fetch_all(SourceContext(definition, run, Secrets(root)))
    read = time.monotonic() - begin
    data = render_input(definition, run, fetched, datetime.now(UTC))
    with tempfile.TemporaryDirectory() as scratch:
        (made,) = render(data, definition.report.formats, Path(scratch))
        size = made.path.stat().st_size
    print(
        json.dumps(
            {
                "rows": len(fetched["facts"].table.rows),
                "read": read,
                "seconds": time.monotonic() - begin,
                "size": size,
            }
        )
    )


def memory(pid: int) -> int:
    """Bytes of a process and of those that it started."""
    total = 0
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1]) * 1024
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return total
    return total + sum(memory(int(child)) for child in children)


def measure(root: Path, rows: int, format_: str) -> tuple[dict[str, float], int]:
    command = [sys.executable, "-m", "hack.bench.rows", "--rows", str(rows), "--in", str(root)]
    process = subprocess.Popen([*command, format_], stdout=subprocess.PIPE)
    peak = 0
    over = threading.Event()

    def sample() -> None:
        nonlocal peak
        while not over.wait(0.1):
            peak = max(peak, memory(process.pid))

    thread = threading.Thread(target=sample)
    thread.start()
    out, _ = process.communicate()
    over.set()
    thread.join()
    if process.returncode:
        sys.exit(f"{format_}: the run failed")
    found: dict[str, float] = json.loads(out)
    return found, peak


def main() -> None:
    """Print seconds, the ratio to COPY, and the peak of memory."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--in", dest="root", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("formats", nargs="*", default=["csv", "parquet"])
    arguments = parser.parse_args()
    if arguments.root:
        make(arguments.root, arguments.rows, arguments.formats[0])
        return
    with postgres_server() as server, tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        write_secret(root / "db", {**server.keys(), "dbname": "postgres", "user": "postgres"})
        with server.admin() as admin:
            admin.execute(TABLE.format(rows=arguments.rows).encode())
            begin = time.monotonic()
            with (
                admin.cursor().copy("COPY facts TO STDOUT (FORMAT csv)") as copy,
                (root / "copy.csv").open("wb") as file,
            ):
                for piece in copy:
                    file.write(piece)
            copied = time.monotonic() - begin
        print(f"COPY     {copied:6.1f} s")
        for format_ in arguments.formats:
            found, peak = measure(root, arguments.rows, format_)
            within = "within" if peak <= PEAK_LIMIT * MIB else "BEYOND"
            print(
                f"{format_:8} {found['seconds']:6.1f} s, {found['seconds'] / copied:5.1f} times "
                f"COPY (reading {found['read']:.1f} s), {found['rows']:,} rows, "
                f"{found['size'] / MIB:.0f} MiB; peak {peak / MIB:.0f} MiB, {within} {PEAK_LIMIT}"
            )


if __name__ == "__main__":
    main()
