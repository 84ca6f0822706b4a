"""Stands between an operator and the API server, and causes network faults."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
from aiohttp import web

from hack.testbed.apiserver import connection

UNCOUNTED = ("leases", "events")  # writes that carry no state of a schedule


@dataclass(frozen=True)
class Write:
    """A request with another method than GET."""

    method: str
    path: str
    status: int

    @property
    def kind(self) -> str:
        return self.path.partition("/namespaces/")[2].split("/")[1]


@dataclass
class Proxy:
    """Plain HTTP on loopback. All methods may be called from any thread."""

    kubeconfig: Path  # the API server's
    writes: list[Write] = field(default_factory=list)
    # Called when the API server has done a write and nobody has been told yet. True: nobody is.
    after_write: Callable[[Write], bool] | None = None
    _cut: bool = False
    _silent: bool = False
    _port: int = 0

    def start(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._open: set[asyncio.Transport] = set()
        ready = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(ready,), daemon=True)
        self._thread.start()
        assert ready.wait(20)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(20)

    def write_kubeconfig(self, path: Path) -> Path:
        """A kubeconfig that leads through the proxy."""
        parts = {
            "clusters": [
                {"name": "p", "cluster": {"server": f"http://127.0.0.1:{self._port}"}},
            ],
            "users": [{"name": "p", "user": {"token": "unused"}}],
            "contexts": [{"name": "p", "context": {"cluster": "p", "user": "p"}}],
        }
        path.write_text(
            json.dumps({"apiVersion": "v1", "kind": "Config", "current-context": "p", **parts})
        )
        return path

    def cut(self) -> None:
        """Break every connection and refuse new ones."""
        self._cut = True
        self._loop.call_soon_threadsafe(self._abort)

    def mend(self) -> None:
        self._cut = False

    def silence_watches(self) -> None:
        """Keep watches open without passing on events, as a firewall that forgot the connection."""
        self._silent = True

    def _abort(self) -> None:
        for transport in self._open:
            transport.abort()

    def _run(self, ready: threading.Event) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve(ready))
        left = asyncio.all_tasks(self._loop)  # handlers of connections that were aborted
        for task in left:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        self._loop.close()

    async def _serve(self, ready: threading.Event) -> None:
        self._stopping = asyncio.Event()
        info = connection(self.kubeconfig)
        self._upstream = info.server
        connector = aiohttp.TCPConnector(ssl=info.as_ssl_context(), limit=0)
        async with aiohttp.ClientSession(
            connector=connector, auto_decompress=False, timeout=aiohttp.ClientTimeout(total=None)
        ) as self._session:
            app = web.Application(client_max_size=8 << 20)
            app.router.add_route("*", "/{path:.*}", self._handle)
            runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
            await runner.setup()
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            self._port = runner.addresses[0][1]
            ready.set()
            await self._stopping.wait()
            self._abort()
            await runner.cleanup()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        transport = request.transport
        if self._cut or transport is None:
            return self._drop(request)
        self._open.add(transport)
        try:
            return await self._forward(request)
        except (aiohttp.ClientError, OSError):
            return self._drop(request)
        finally:
            self._open.discard(transport)

    def _drop(self, request: web.Request) -> web.Response:
        if request.transport is not None:
            request.transport.abort()
        return web.Response(status=503)

    async def _forward(self, request: web.Request) -> web.StreamResponse:
        headers = {
            name: value
            for name, value in request.headers.items()
            if name.lower() not in ("host", "authorization", "content-length")
        }
        body = await request.read()
        async with self._session.request(
            request.method, self._upstream + request.path_qs, headers=headers, data=body or None
        ) as answer:
            if request.query.get("watch") in ("true", "1"):
                return await self._stream(request, answer)
            raw = await answer.read()
            if request.method != "GET" and self._told(request, answer.status):
                return self._drop(request)
            kept = {
                name: answer.headers[name]
                for name in ("Content-Type", "Content-Encoding")
                if name in answer.headers
            }
            return web.Response(status=answer.status, body=raw, headers=kept)

    async def _stream(
        self, request: web.Request, answer: aiohttp.ClientResponse
    ) -> web.StreamResponse:
        response = web.StreamResponse(
            status=answer.status, headers={"Content-Type": answer.headers["Content-Type"]}
        )
        await response.prepare(request)
        async for chunk in answer.content.iter_any():
            if not self._silent:
                await response.write(chunk)
        return response

    def _told(self, request: web.Request, status: int) -> bool:
        write = Write(request.method, request.path, status)
        if "/namespaces/" not in write.path or write.kind in UNCOUNTED:
            return False
        self.writes.append(write)
        return self.after_write is not None and self.after_write(write)
