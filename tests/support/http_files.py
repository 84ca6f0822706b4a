"""A server of files over HTTP on loopback: PUT, GET, and as much of WebDAV as is needed.

Its steps can be made to fail, which no server of a package can. The happy way is also tried against
one of those.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from aiohttp import web

Step = Callable[[web.Request], Awaitable[web.StreamResponse | None]]


async def _nothing(_request: web.Request) -> web.StreamResponse | None:
    return None


@dataclass
class HttpFiles:
    """`files` by path. `before` and `after` see each request; an answer of theirs is sent."""

    files: dict[str, bytes] = field(default_factory=dict)
    folders: set[str] = field(default_factory=lambda: {""})
    requests: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    before: Step = _nothing
    after: Step = _nothing
    port: int = 0
    host: str = "127.0.0.1"

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(f"{request.method} {request.path}")
        self.headers.append(dict(request.headers))
        answer = await self.before(request)
        if answer is None:
            answer = await self._answer(request)
            answer = await self.after(request) or answer
        return answer

    async def _answer(self, request: web.Request) -> web.Response:
        path = request.path.strip("/")
        match request.method:
            case "GET":
                found = self.files.get(path)
                return web.Response(status=404) if found is None else web.Response(body=found)
            case "PUT":
                content = await request.read()
                if request.headers.get("If-None-Match") == "*" and path in self.files:
                    return web.Response(status=412)
                self.files[path] = content
                return web.Response(status=201)
            case "MKCOL":
                status = 405 if path in self.folders else 201
                self.folders.add(path)
                return web.Response(status=status)
            case "MOVE":
                target = unquote(urlsplit(request.headers["Destination"]).path).strip("/")
                if target in self.files and request.headers["Overwrite"] == "F":
                    return web.Response(status=412)
                self.files[target] = self.files.pop(path)
                return web.Response(status=201)
            case "DELETE":
                self.files.pop(path, None)
                return web.Response(status=204)
        return web.Response(status=405)


@contextmanager
def http_files(host: str = "127.0.0.1") -> Iterator[HttpFiles]:
    """Serves until the block ends."""
    server = HttpFiles(host=host)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    application = web.Application(client_max_size=1 << 30)
    application.router.add_route("*", "/{path:.*}", server.handle)
    runner = web.AppRunner(application, shutdown_timeout=0.1)

    async def listen() -> None:
        await runner.setup()
        site = web.TCPSite(runner, host, 0)
        await site.start()
        server.port = runner.addresses[0][1]

    asyncio.run_coroutine_threadsafe(listen(), loop).result(30)
    try:
        yield server
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(30)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(30)
        loop.close()
