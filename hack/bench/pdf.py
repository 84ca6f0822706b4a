"""Time and memory to make a report a PDF, beside WeasyPrint printing the same page as one document.

    python -m hack.bench.pdf [--rounds 3]

Each time is that of a whole process, `report-generator render`, from its start to the finished
file; the best of the rounds counts. The baseline prints the same HTML in the same run.

"""

from __future__ import annotations

import argparse
import csv
import json
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from hack.testbed.programs import project_program

MIB = 1 << 20
BASELINE = "import sys, weasyprint; weasyprint.HTML(sys.argv[1]).write_pdf(sys.argv[2])"
MONTHS = ("January", "April", "July", "October")


@dataclass(frozen=True)
class Case:
    """A report, and its limits of time and memory."""

    rows: int
    charts: int
    seconds: float
    mib: float | None = None


@dataclass(frozen=True)
class Measured:
    """A process with its children."""

    seconds: float
    mib: float


CASES = (Case(100, 3, 1.5), Case(1_000, 3, 25.0), Case(10_000, 3, 25.0, 512.0))


def write_report(directory: Path, case: Case) -> None:
    """A ReportSchedule with sample data."""
    (directory / "data").mkdir(parents=True)
    with (directory / "data/positions.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["number", "instrument", "sector", "quantity", "price", "value"])
        for number in range(case.rows):
            price = 20 + (number * 37 % 900) / 10
            row = [number, f"Instrument {number:05d}", f"Sector {number % 11}"]
            writer.writerow([*row, number % 500, price, round(number % 500 * price, 2)])
    with (directory / "data/history.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["quarter", "series", "value"])
        for step in range(24):
            for series in range(3):
                quarter = f"{MONTHS[step % 4]} {2000 + step // 4}"
                writer.writerow([quarter, f"Series {series}", 100 + step * (series + 1)])
    charts = [
        {
            "name": f"chart_{number}",
            "source": "history",
            "title": f"Chart {number}",
            "spec": {
                "mark": mark,
                "encoding": {
                    "x": {"field": "quarter", "type": "ordinal", "sort": None},
                    "y": {"field": "value", "type": "quantitative"},
                    "color": {"field": "series", "type": "nominal"},
                },
            },
        }
        for number, mark in zip(range(case.charts), ("line", "bar", "area"), strict=False)
    ]
    query = {"connection": {"secretRef": {"name": "report-db"}}, "query": "SELECT 1"}
    manifest = {
        "apiVersion": "reports.adaf.io/v1alpha1",
        "kind": "ReportSchedule",
        "metadata": {"name": "bench", "namespace": "bench"},
        "spec": {
            "reportType": "executive_dashboard",
            "schedule": "0 6 * * *",
            "timeZone": "Europe/Madrid",
            "report": {
                "title": f"{case.rows} rows",
                "sources": [{"name": n, "postgres": query} for n in ("positions", "history")],
                "charts": charts,
                "template": {"builtin": "executive_dashboard"},
                "formats": ["pdf"],
            },
        },
    }
    (directory / "report.yaml").write_text(json.dumps(manifest))  # JSON is YAML
    manifest["spec"]["report"]["formats"] = ["html"]  # type: ignore[index]
    (directory / "html").mkdir()
    (directory / "html/report.yaml").write_text(json.dumps(manifest))
    shutil.copytree(directory / "data", directory / "html/data")


def measure(*command: str) -> Measured:
    """Run a program; its time, and the largest memory of it and its children together (PSS)."""
    start = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    highest = 0
    over = threading.Event()

    def watch() -> None:
        nonlocal highest
        while not over.wait(0.5):  # asking costs the kernel milliseconds
            highest = max(highest, sum(map(_resident, _tree(process.pid))))

    thread = threading.Thread(target=watch)
    thread.start()
    _, errors = process.communicate()
    took = time.monotonic() - start
    over.set()
    thread.join()
    if process.returncode:
        sys.exit(f"{' '.join(command)}: {errors}")
    return Measured(took, highest / MIB)


def _tree(pid: int) -> list[int]:
    found = [pid]
    for parent in found:
        try:
            for task in Path(f"/proc/{parent}/task").iterdir():
                found += map(int, (task / "children").read_text().split())
        except OSError:  # it has ended
            continue
    return found


def _resident(pid: int) -> int:
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0
    line = next((line for line in text.splitlines() if line.startswith("Pss:")), "Pss: 0 kB")
    return int(line.split()[1]) * 1024


def page_numbers_are_right(pdf: Path) -> bool:
    """True where each page shows its own number and the total."""
    from pypdf import PdfReader

    pages = PdfReader(pdf).pages
    return all(
        f"{number} of {len(pages)}" in " ".join(page.extract_text().split())
        or f"{number} / {len(pages)}" in " ".join(page.extract_text().split())
        for number, page in enumerate(pages, 1)
    )


def main() -> int:
    """Print the comparison; exit code 1 where a limit is exceeded."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    program = project_program("report-generator")
    wrong = False
    for case in CASES:
        with tempfile.TemporaryDirectory() as scratch:
            directory = Path(scratch)
            write_report(directory, case)
            render = (program, "render", str(directory), "--out", str(directory / "out"))
            rounds = args.rounds if case.rows <= 1_000 else 1
            ours = min((measure(*render) for _ in range(rounds)), key=lambda m: m.seconds)
            (pdf,) = (directory / "out").glob("*.pdf")
            numbered = page_numbers_are_right(pdf)
            measure(program, "render", str(directory / "html"), "--out", str(directory / "page"))
            (page,) = (directory / "page").glob("*.html")
            plain = (sys.executable, "-c", BASELINE, str(page), str(directory / "plain.pdf"))
            baseline = min((measure(*plain) for _ in range(rounds)), key=lambda m: m.seconds)
        limit = f", {case.mib:.0f} MiB" if case.mib else ""
        print(
            f"{case.rows:6d} rows  ours {ours.seconds:6.2f} s {ours.mib:5.0f} MiB   one document "
            f"{baseline.seconds:6.2f} s {baseline.mib:5.0f} MiB   ratio "
            f"{ours.seconds / baseline.seconds:.2f}   limit {case.seconds} s{limit}   "
            f"page numbers {'right' if numbered else 'WRONG'}",
            flush=True,
        )
        wrong |= ours.seconds > case.seconds or not numbered
        wrong |= case.mib is not None and ours.mib > case.mib
    return int(wrong)


if __name__ == "__main__":
    sys.exit(main())
