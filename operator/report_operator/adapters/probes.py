"""Small endpoints: /healthz and /readyz for the kubelet, /metrics for Prometheus."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

# What /healthz says: whether all is well, and the details.
HealthCheck = Callable[[], tuple[bool, dict[str, Any]]]


@asynccontextmanager
async def serve(
    health: HealthCheck,
    ready: Callable[[], bool],
    registry: CollectorRegistry,
    health_port: int,
    metrics_port: int,
) -> AsyncIterator[None]:
    """Serve while the block runs. A port of 0 serves nothing there.

    What is not healthy is restarted; what is not ready is left out by Services and waited for by
    rollouts.
    """

    async def healthz(_: web.Request) -> web.Response:
        well, details = health()
        return web.json_response(details, status=200 if well else 503)

    async def readyz(_: web.Request) -> web.Response:
        return web.json_response({"ready": ready()}, status=200 if ready() else 503)

    async def metrics(request: web.Request) -> web.Response:
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        return web.Response(body=encode(registry), headers={"Content-Type": content_type})

    runners: list[web.AppRunner] = []
    try:
        for port, handlers in (
            (health_port, {"/healthz": healthz, "/readyz": readyz}),
            (metrics_port, {"/metrics": metrics}),
        ):
            if port == 0:
                continue
            app = web.Application()
            app.add_routes([web.get(path, handler) for path, handler in handlers.items()])
            runner = web.AppRunner(app, access_log=None, handle_signals=False)
            await runner.setup()
            runners.append(runner)
            await web.TCPSite(runner, None, port).start()
        yield
    finally:
        for runner in runners:
            await runner.cleanup()
