"""`make audit`: known flaws of what ships (Python) and of what tests are made of (Go).

pip-audit asks OSV about the image's lock file. govulncheck reads the Go vulnerability database from
vuln.go.dev, or from its module golang.org/x/vulndb where only a module proxy answers. Data that
cannot be reached are no finding and no pass: exit code 2.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import urllib.request
from collections import defaultdict
from pathlib import Path
from typing import Any

from hack.localcluster.golang import go_command

ROOT = Path(__file__).resolve().parents[2]
TOOL = ROOT / "hack" / "release" / "vuln"
GO_DATABASE = "https://vuln.go.dev"
OSV = "https://api.osv.dev"
DATABASE_MODULE = "golang.org/x/vulndb@latest"
SECONDS = 10
FOUND, NO_DATA = 1, 2


def main() -> int:
    """0, FOUND or NO_DATA; the worst of the two audits counts."""
    codes = {"Python": audit_python(), "Go": audit_go()}
    for what, code in codes.items():
        words = {0: "nothing known", FOUND: "has findings", NO_DATA: "its data cannot be reached"}
        print(f"audit of {what}: {words[code]}")
    return NO_DATA if NO_DATA in codes.values() else max(codes.values())


def audit_python() -> int:
    if not _answers(f"{OSV}/v1/vulns/GHSA-gmj6-6f8f-6699"):
        return NO_DATA
    done = subprocess.run(
        [
            *(ROOT / ".venv-audit" / "bin" / "pip-audit", "--vulnerability-service", "osv"),
            *("--requirement", ROOT / "requirements" / "image.txt"),
            *("--disable-pip", "--require-hashes", "--progress-spinner", "off"),
        ],
        check=False,
    )
    return FOUND if done.returncode else 0


def audit_go() -> int:
    """Each module of hack/, by its requirements: nothing is built."""
    with tempfile.TemporaryDirectory() as directory:
        database = GO_DATABASE
        if not _answers(f"{GO_DATABASE}/index/db.json"):
            given = _downloaded()
            if given is None:
                return NO_DATA
            make_database(given, Path(directory))
            database = Path(directory).as_uri()
        codes = []
        for module in sorted(set(ROOT.glob("hack/**/go.mod")) - {TOOL / "go.mod"}):
            name = module.parent.relative_to(ROOT).as_posix()
            print(f"-- {name}", flush=True)
            command = [go_command(), "tool", "govulncheck", "-db", database, "-scan", "module"]
            done = subprocess.run([*command, "-C", module.parent], check=False, cwd=TOOL)
            codes.append(done.returncode)
        return FOUND if any(codes) else 0


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=SECONDS) as answer:  # noqa: S310  (ours)
            return bool(answer.status == 200)
    except OSError:
        return False


def _downloaded() -> Path | None:
    """The reports of the newest version of the database's module."""
    done = subprocess.run(
        [go_command(), "mod", "download", "-json", DATABASE_MODULE],
        check=False, capture_output=True, text=True, cwd=tempfile.gettempdir(),
        env=os.environ | {"GOFLAGS": "-mod=mod"},
    )  # fmt: skip
    if done.returncode:
        return None
    found = json.loads(done.stdout)
    print(f"Go vulnerability database: {found['Version']}", flush=True)
    return Path(found["Dir"]) / "data" / "osv"


def make_database(reports: Path, target: Path) -> None:
    """The files that govulncheck reads (https://go.dev/doc/security/vuln/database#api)."""
    modules: dict[str, list[dict[str, Any]]] = defaultdict(list)
    entries = []
    for name in ("ID", "index"):
        (target / name).mkdir()
    for path in sorted(reports.glob("*.json")):
        report = json.loads(path.read_bytes())
        (target / "ID" / path.name).write_bytes(path.read_bytes())
        entries.append({key: report[key] for key in ("id", "modified")})
        for affected in report.get("affected", ()):
            fixed = [
                event["fixed"]
                for ranges in affected.get("ranges", ())
                for event in ranges.get("events", ())
                if "fixed" in event
            ]
            entry = {"id": report["id"], "modified": report["modified"]}
            modules[affected["package"]["name"]].append(
                {**entry, "fixed": fixed[-1]} if fixed else entry
            )
    index = {
        "modules": [{"path": path, "vulns": known} for path, known in sorted(modules.items())],
        "vulns": entries,
        "db": {"modified": max(entry["modified"] for entry in entries)},
    }
    for name, content in index.items():
        (target / "index" / f"{name}.json").write_text(json.dumps(content))


if __name__ == "__main__":
    sys.exit(main())
