"""`python3 -m hack.dashboards` writes the chart's dashboards, `--check` compares them."""

from __future__ import annotations

import argparse
import sys

from hack.dashboards.grafana import render
from hack.dashboards.model import ROOT
from hack.dashboards.panels import DASHBOARDS


def main() -> int:
    parser = argparse.ArgumentParser(prog="python3 -m hack.dashboards", description=__doc__)
    parser.add_argument("--check", action="store_true", help="fail where a file differs")
    check = parser.parse_args().check
    stale = [d for d in DASHBOARDS if not d.path.exists() or d.path.read_text() != render(d)]
    for dashboard in stale:
        if check:
            print(f"{dashboard.path.relative_to(ROOT)} differs: python3 -m hack.dashboards")
        else:
            dashboard.path.write_text(render(dashboard))
    return int(check and bool(stale))


if __name__ == "__main__":
    sys.exit(main())
