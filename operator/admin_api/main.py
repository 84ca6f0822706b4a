"""The command `report-scheduler-api`."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import uvicorn
from prometheus_client import CollectorRegistry

from admin_api.app import make_app
from admin_api.cluster import Cluster
from admin_api.dependencies import Dependencies
from admin_api.tokens import Tokens
from report_operator.adapters.http import serve
from report_operator.adapters.kube import KubeClient
from report_operator.config import ConfigError, OperatorConfig, load_config
from report_operator.main import DEFAULT_CONFIG, EXIT_CONFIG, set_up_logging

LOOPBACK = "127.0.0.1"
PORT = 3000
HEALTH_PORT = 8081
EVERYWHERE = "0.0.0.0"  # noqa: S104
METRICS_SECONDS = 5.0


def main(argv: list[str] | None = None) -> int:
    """Parse the command line and serve until TERM."""
    parser = argparse.ArgumentParser(
        prog="report-scheduler-api", description="The admin API, for kubectl port-forward."
    )
    parser.add_argument("--config", type=Path, default=DEFAULT_CONFIG, help="the operator's")
    parser.add_argument("--port", type=int, default=PORT)
    parser.add_argument("--health-port", type=int, default=HEALTH_PORT, help="0: none")
    parser.add_argument(
        "--network", action="store_true", help="listen beyond loopback, for callers with a token"
    )
    parser.add_argument("--log-format", choices=("json", "text"), default="json")
    args = parser.parse_args(argv)
    try:
        config = load_config(args.config)
    except ConfigError as error:
        print(f"report-scheduler-api: {error}", file=sys.stderr)
        return EXIT_CONFIG
    set_up_logging(args.log_format, "INFO")
    # uvicorn raises the signal that ended it once more when it is done; it has been obeyed then.
    signal.signal(signal.SIGTERM, lambda *_: None)
    asyncio.run(_serve(config, args.port, args.health_port, network=args.network))
    return 0


async def _serve(config: OperatorConfig, port: int, health_port: int, *, network: bool) -> None:
    async with (
        await KubeClient.connect() as kube,
        aiohttp.ClientSession() as session,
        serve(lambda: (True, {}), CollectorRegistry(), health_port, metrics_port=0),
    ):

        async def exposition() -> str:
            url = f"http://{LOOPBACK}:{config.metrics_port}/metrics"
            timeout = aiohttp.ClientTimeout(total=METRICS_SECONDS)
            async with session.get(url, timeout=timeout) as answer:
                return await answer.text()

        cluster = Cluster(
            kube,
            os.environ.get("POD_NAMESPACE", "default"),
            config.lease_name,
            tuple(config.watch_namespaces) or (None,),
            _now,
        )
        dependencies = Dependencies(config.redis_secret)
        app = make_app(cluster, _now, exposition, Tokens(kube) if network else None, dependencies)
        # kubectl port-forward ends on loopback.
        host = EVERYWHERE if network else LOOPBACK
        settings = uvicorn.Config(
            app, host=host, port=port, log_config=None, access_log=False, proxy_headers=False
        )
        await uvicorn.Server(settings).serve()


def _now() -> datetime:
    return datetime.now(UTC)


if __name__ == "__main__":
    sys.exit(main())
