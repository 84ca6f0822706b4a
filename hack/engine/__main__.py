"""`python3 -m hack.engine run COMMAND...`: a command beside a Docker engine, with kind's image.

`test` is `make test-docker`. The engine is the one that answers, else one of our own for as long as
the command lasts; what it pulls is made here where no registry answers.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys

from hack.engine import journey
from hack.engine.base import ensure_base, ensure_go
from hack.engine.daemon import Engine, engine
from hack.engine.node_image import node_image
from hack.localcluster.cluster import ClusterError, this_cluster
from hack.localcluster.progress import Progress


def ready(used: Engine, log: Progress) -> dict[str, str]:
    """The environment of commands beside an engine that has all that would be pulled."""
    ensure_base(used, log)
    ensure_go(used, log)
    environment = used.environment
    if used.own and "KIND_NODE_IMAGE" not in environment:
        environment["KIND_NODE_IMAGE"] = node_image(used, this_cluster(os.environ), log)
    return environment


def main() -> int:
    """The command's exit code, and 1 where there is no engine."""
    parser = argparse.ArgumentParser(prog="python3 -m hack.engine", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="run a command beside it")
    run.add_argument("line", nargs=argparse.REMAINDER)
    commands.add_parser("test", help="`make up` over Docker and kind, and the end-to-end tests")
    arguments = parser.parse_args()
    log = Progress()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the engine ends as well
    try:
        with engine("up", log) as used:
            environment = ready(used, log)
            if arguments.command == "test":
                return journey.run(used, environment, log)
            return subprocess.run(
                used.command(*arguments.line), env=environment, check=False
            ).returncode
    except ClusterError as error:
        print(f"engine: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
