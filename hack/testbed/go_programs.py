"""`python -m hack.testbed.go_programs`: builds the programs of the integration tests in advance.

A test that built one beside others would run into its time-out.
"""

from __future__ import annotations

from hack import gitops
from hack.image.programs import RCLONE, GoProgram, build
from hack.localcluster.progress import Progress
from hack.testbed import collector

ROOT = gitops.SOURCE.parents[1]
OAUTH2_PROXY = GoProgram(ROOT / "hack" / "oauth2proxy", "github.com/oauth2-proxy/oauth2-proxy/v7")
PROGRAMS = (GoProgram(RCLONE), GoProgram(gitops.SOURCE), GoProgram(collector.SOURCE), OAUTH2_PROXY)


def main() -> None:
    log = Progress()
    for program in PROGRAMS:
        log(f"{program.module.name}: from the cache, or built (some minutes, once)")
        build(program)


if __name__ == "__main__":
    main()
