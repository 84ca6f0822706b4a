"""The command `report-scheduler`."""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import os
import socket
import sys
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path

import uvloop

from report_operator.adapters.kube.client import KubeClient
from report_operator.adapters.kube.lease import Lease, LeaseLostError
from report_operator.adapters.probes import serve
from report_operator.app import build
from report_operator.config import (
    DEFAULT_CONFIG,
    EXIT_CONFIG,
    ConfigError,
    OperatorConfig,
    load_config,
)
from report_operator.controllers.crd_guard import CrdGuard, OlderCrdsError
from report_operator.controllers.resync import WatchBlindError
from report_operator.logs import set_up_logging
from report_operator.runtime import Runtime, take_signals
from report_runner.logs import LogFormat, LogLevel

logger = logging.getLogger("report_operator")

EXIT_RESTART = 1  # the Deployment starts it again
GC_ALLOCATIONS = 50_000  # before a collection of the youngest generation


def main(argv: list[str] | None = None) -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="report-scheduler", description="The operator behind ReportSchedules."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="reconcile until stopped")
    run.add_argument("--config", type=Path, default=DEFAULT_CONFIG, help="YAML file")
    run.add_argument("--log-format", choices=[*LogFormat], help="instead of logging.format")
    run.add_argument(
        "--log-level", type=str.lower, choices=[*LogLevel], help="instead of logging.level"
    )
    check = commands.add_parser("check-config", help="validate a configuration file")
    check.add_argument("--config", type=Path, default=DEFAULT_CONFIG, help="YAML file")
    args = parser.parse_args(argv)
    try:
        config = load_config(args.config)
    except ConfigError as error:
        print(f"report-scheduler: {error}", file=sys.stderr)
        return EXIT_CONFIG
    if args.command == "check-config":
        print(f"{args.config}: valid")
        return 0
    set_up_logging(config, args.log_format, args.log_level)
    # A fifth of the CPU time would go into collecting what is no garbage: modules and events.
    gc.freeze()
    gc.set_threshold(GC_ALLOCATIONS, 20, 20)
    return uvloop.run(_run(config))


async def _run(config: OperatorConfig) -> int:
    stop = asyncio.Event()
    take_signals(stop)
    identity = f"{socket.gethostname()}_{uuid.uuid4().hex[:8]}"
    namespace = os.environ.get("POD_NAMESPACE", "default")
    async with await KubeClient.connect() as kube:
        app = build(kube, config, identity, namespace)
        runtime = Runtime(app)
        lease = Lease(kube, namespace, config.lease_name, identity, config.lease_seconds, stop.set)
        async with serve(
            runtime.health,
            runtime.ready,
            app.metrics.registry,
            config.health_port,
            config.metrics_port,
        ):
            leading = asyncio.create_task(_lead(app.crds, lease, lambda: runtime.run(stop)))
            waiting = asyncio.create_task(stop.wait())
            await asyncio.wait({leading, waiting}, return_when=asyncio.FIRST_COMPLETED)
            if runtime.started is None:
                leading.cancel()
            try:
                await leading
            except asyncio.CancelledError:
                logger.info("stopped while waiting to lead")
            except (LeaseLostError, WatchBlindError, OlderCrdsError) as error:
                logger.critical("%s: starting again", error)
                return EXIT_RESTART
            finally:
                waiting.cancel()
        for export in app.exports:
            export.close()
    logger.info("stopped")
    return 0


async def _lead(crds: CrdGuard, lease: Lease, work: Callable[[], Awaitable[None]]) -> None:
    await crds.wait_until_complete()
    await lease.lead(work)


if __name__ == "__main__":
    sys.exit(main())
