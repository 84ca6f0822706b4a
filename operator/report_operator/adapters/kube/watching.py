"""The HTTP session of kopf's watches: one object in a stream never ends the stream.

kopf decodes a page of a list with aiohttp and an event of a watch with Python's json, which both
give up on what is nested deeply; the operator would end with them, and meet the same object again
in its next life. So what they are given has been made shallow before (adapters.decoding). kopf
takes a session of its own for that (kopf.AiohttpSession).
"""

from __future__ import annotations

import logging
import re
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import kopf

from report_operator.adapters.kube.decoding import decode, is_shallow, shallow
from report_operator.adapters.kube.listing import PAGE_BYTES
from report_operator.adapters.kube.login import login

logger = logging.getLogger(__name__)

LIST_CHUNK = 100  # objects in a page of a list
READ_BYTES = 1024 * 1024
# The API server writes a list's kind and metadata before its items.
_ITEMS = re.compile(rb',\s*"items"\s*:\s*\[')


def watch_session() -> kopf.AiohttpSession:
    """Uses the login of KubeClient. Raises kopf.LoginError."""
    info = login()
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, ssl=info.as_ssl_context()),
        headers=info.as_http_headers(),
        proxy=info.proxy_url,
        trust_env=info.trust_env,
        response_class=_Response,
    )
    return kopf.AiohttpSession(
        server=info.server,
        default_namespace=info.default_namespace,
        priority=info.priority,
        expiration=info.expiration,
        aiohttp_session=session,
    )


class _Response(aiohttp.ClientResponse):
    """Answers that every decoder accepts."""

    async def start(self, connection: Any) -> aiohttp.ClientResponse:
        await super().start(connection)
        if self.status == 200 and "watch" in self.url.query:
            self.content = _Lines(self.content)  # type: ignore[assignment]
        return self

    async def json(self, **_: Any) -> Any:
        """Of a list with too many bytes only the head: the resync reads it in smaller pages."""
        read = bytearray()
        async for piece in self.content.iter_any():
            read += piece
            if len(read) > PAGE_BYTES and (head := _ITEMS.search(read)) is not None:
                self.close()
                logger.warning(
                    "%s: a page of the list has more than %d bytes, left to the resync",
                    self.url.path,
                    PAGE_BYTES,
                )
                return decode(bytes(read[: head.start()]) + b', "items": []}')
        return decode(bytes(read))


class _Lines:
    """The stream of a watch, line by line, pruned where it is nested too deeply."""

    def __init__(self, stream: aiohttp.StreamReader) -> None:
        self._stream = stream

    async def iter_chunked(self, _: int) -> AsyncIterator[bytes]:
        """The method that kopf reads from; a chunk is one line."""
        rest = b""
        async for piece in self._stream.iter_chunked(READ_BYTES):
            *lines, rest = (rest + piece).split(b"\n")
            for line in lines:
                if line:
                    yield (line if is_shallow(line) else shallow(line)) + b"\n"

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
