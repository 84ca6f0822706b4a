"""The command `report-scheduler-api`."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import os
import signal
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import uvicorn
from prometheus_client import CollectorRegistry

from admin_api.app import make_app
from admin_api.auth.proxy import Proxy, ProxySecretError
from admin_api.auth.tokens import Tokens
from admin_api.errors import UNREACHABLE, RefusedError, reason_of
from admin_api.services.attempts import AttemptService
from admin_api.services.audit import Audit
from admin_api.services.backends import Backends
from admin_api.services.cluster import Cluster
from admin_api.services.files import FileServers
from admin_api.services.history_client import HistoryClient
from admin_api.services.idempotency import IdempotencyStore
from report_operator.adapters.kube.client import KubeClient
from report_operator.adapters.postgres.database import Database
from report_operator.adapters.postgres.reader import HistoryReader
from report_operator.adapters.probes import serve
from report_operator.config import (
    DEFAULT_CONFIG,
    EXIT_CONFIG,
    ConfigError,
    OperatorConfig,
    load_config,
)
from report_operator.logs import set_up_logging
from report_runner.bounded_http import Limits, make_server
from report_runner.logs import LogFormat

LOOPBACK = "127.0.0.1"
PORT = 3000
HEALTH_PORT = 8081
EVERYWHERE = "0.0.0.0"  # noqa: S104
METRICS_SECONDS = 5.0
CONNECTIONS = 256  # of peers, and to file servers
PER_FILE_SERVER = 64  # so that one team's does not take them all
LIMITS = Limits(connections=CONNECTIONS)
APPLICATION = "report-scheduler-api"  # as pg_stat_activity shows it
HISTORY_CONNECTIONS = 5
HISTORY_STATEMENT_SECONDS = 5.0


def main(argv: list[str] | None = None) -> int:
    """Parse the command line and serve until TERM."""
    parser = argparse.ArgumentParser(
        prog="report-scheduler-api", description="The admin API, for kubectl port-forward."
    )
    parser.add_argument("--config", type=Path, default=DEFAULT_CONFIG, help="the operator's file")
    parser.add_argument("--port", type=int, default=PORT)
    parser.add_argument("--health-port", type=int, default=HEALTH_PORT, help="0: none")
    parser.add_argument(
        "--network", action="store_true", help="listen beyond loopback, for callers with a token"
    )
    parser.add_argument("--log-format", choices=[*LogFormat], help="instead of logging.format")
    args = parser.parse_args(argv)
    try:
        config = load_config(args.config)
        proxy = _proxy(config, network=args.network)
    except (ConfigError, ProxySecretError) as error:
        print(f"report-scheduler-api: {error}", file=sys.stderr)
        return EXIT_CONFIG
    set_up_logging(config, args.log_format)
    # uvicorn raises the signal that ended it again after its shutdown: ignore it then.
    signal.signal(signal.SIGTERM, lambda *_: None)
    asyncio.run(_serve(config, proxy, args.port, args.health_port, network=args.network))
    return 0


def _proxy(config: OperatorConfig, *, network: bool) -> Proxy | None:
    """Raises ConfigError, or ProxySecretError before anything is served."""
    if config.api_proxy is None:
        return None
    if not network:
        raise ConfigError("apiProxy: needs --network, with the rights to ask who may do what")
    proxy = Proxy.of(config.api_proxy)
    proxy.secrets()
    return proxy


async def _serve(
    config: OperatorConfig, proxy: Proxy | None, port: int, health_port: int, *, network: bool
) -> None:
    servers: list[uvicorn.Server] = []
    async with (
        await KubeClient.connect() as kube,
        aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=CONNECTIONS, limit_per_host=PER_FILE_SERVER)
        ) as session,
        serve(
            lambda: (True, {}),
            lambda: any(server.started for server in servers),
            CollectorRegistry(),
            health_port,
            metrics_port=0,
        ),
        contextlib.AsyncExitStack() as stack,
    ):
        history = None
        if config.postgres_secret is not None:
            database = Database(
                config.postgres_secret,
                APPLICATION,
                HISTORY_CONNECTIONS,
                HISTORY_STATEMENT_SECONDS,
            )
            history = HistoryReader(await stack.enter_async_context(database))

        async def exposition() -> str:
            url = config.metrics_url or f"http://{LOOPBACK}:{config.metrics_port}/metrics"
            timeout = aiohttp.ClientTimeout(total=METRICS_SECONDS)
            try:
                async with session.get(url, timeout=timeout) as answer:
                    answer.raise_for_status()
                    return await answer.text()
            except (aiohttp.ClientError, TimeoutError) as error:
                raise RefusedError(
                    503, f"the operator's metrics cannot be read: {reason_of(error)}"
                ) from error

        namespace = os.environ.get("POD_NAMESPACE", "default")
        cluster = Cluster(kube, namespace, config.lease_name, config.watched)
        idempotency = IdempotencyStore(kube, namespace, f"{config.lease_name}-requests", _now)
        attempts = AttemptService(
            cluster, idempotency, Audit(kube, _now), _now, HistoryClient(history)
        )
        files = FileServers(session, config.file_server_url, config.watched)
        app = make_app(
            attempts,
            Backends(config.redis_secret, history),
            files,
            exposition,
            Tokens(kube) if network else None,
            limits=config.admission_limits(),
            start_grace=timedelta(seconds=config.admission.start_grace_seconds),
            runbook_url=config.runbook_url,
            proxy=proxy,
        )
        # kubectl port-forward ends on loopback.
        host = EVERYWHERE if network else LOOPBACK
        server = make_server(app, host, port, LIMITS)
        servers.append(server)
        # A collection of what is loaded by now would hold up all requests for 100 ms.
        gc.freeze()
        watching = asyncio.create_task(_watch(cluster, config.lease_seconds / 3))
        watching.add_done_callback(lambda _: setattr(server, "should_exit", True))
        try:
            await server.serve()
        finally:
            watching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watching  # raises why the watches ended: without them answers would be stale


async def _watch(cluster: Cluster, pause: float) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(_watch_lease(cluster, pause))
        group.create_task(cluster.watch())


async def _watch_lease(cluster: Cluster, pause: float) -> None:
    """Read the Lease regularly: its age is measured from the last renewal seen."""
    while True:
        with contextlib.suppress(*UNREACHABLE):  # requests report it
            await cluster.leader()
        await asyncio.sleep(pause)


def _now() -> datetime:
    return datetime.now(UTC)


if __name__ == "__main__":
    sys.exit(main())
