"""HTTP API over the demo's CSV files: JSON in pages, behind a bearer token.

`GET /v1/NAME?limit=50&cursor=...` answers `{"data": {"items": [...], "next": CURSOR, "total": N}}`
for the file NAME.csv. While `/tmp/maintenance/NAME` is there, it answers 503.
"""

from __future__ import annotations

import csv
import hmac
import json
import os
import re
import signal
import sys
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

DATA = Path(os.environ.get("DATA", "/etc/demo/data"))
MAINTENANCE = Path(os.environ.get("MAINTENANCE", "/tmp/maintenance"))
PORT = int(os.environ.get("PORT", "8080"))
PAGE_LIMIT = 50
_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?")


def _value(text: str) -> object:
    """A number as JSON has it, with the digits of the file (none has more than a double holds)."""
    if not _NUMBER.fullmatch(text):
        return text or None
    return float(text) if "." in text else int(text)


class ProblemError(Exception):
    """An answer other than 200, with RFC 9457 problem details."""

    def __init__(self, status: HTTPStatus, detail: str) -> None:
        super().__init__(detail)
        self.status = status


def page_of(name: str, query: dict[str, list[str]]) -> dict[str, Any]:
    """One page of a file. Raises ProblemError."""
    path = DATA / f"{name}.csv"
    if not re.fullmatch("[a-z-]+", name) or not path.is_file():
        raise ProblemError(HTTPStatus.NOT_FOUND, "no such data set")
    if (MAINTENANCE / name).exists():
        raise ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, "maintenance")
    try:
        limit = min(int(query.get("limit", [str(PAGE_LIMIT)])[0]), PAGE_LIMIT)
        start = int(query.get("cursor", ["0"])[0])
    except ValueError:
        raise ProblemError(HTTPStatus.BAD_REQUEST, "limit and cursor are numbers") from None
    with path.open(newline="") as file:
        rows = [{key: _value(text) for key, text in row.items()} for row in csv.DictReader(file)]
    end = start + limit
    return {
        "items": rows[start:end],
        "next": str(end) if end < len(rows) else None,
        "total": len(rows),
    }


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    token = os.environ.get("TOKEN", "")

    def do_GET(self) -> None:
        """The standard library's hook for GET."""
        url = urlsplit(self.path)
        if url.path == "/healthz":
            self._answer(HTTPStatus.OK, {"status": "ok"})
            return
        given = self.headers.get("Authorization", "")
        if not hmac.compare_digest(given, f"Bearer {self.token}"):
            self._refuse(HTTPStatus.UNAUTHORIZED, "no such token")
            return
        try:
            found = page_of(url.path.removeprefix("/v1/"), parse_qs(url.query))
        except ProblemError as problem:
            self._refuse(problem.status, str(problem))
        else:
            self._answer(HTTPStatus.OK, {"data": found})

    def _refuse(self, status: HTTPStatus, detail: str) -> None:
        self._answer(status, {"title": status.phrase, "detail": detail})

    def _answer(self, status: HTTPStatus, body: dict[str, Any]) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        kind = "application/json" if status is HTTPStatus.OK else "application/problem+json"
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        if status is HTTPStatus.SERVICE_UNAVAILABLE:
            self.send_header("Retry-After", "1")
        self.end_headers()
        self.wfile.write(data)


def main() -> None:
    """Serve until SIGTERM."""
    if not Handler.token:
        sys.exit("TOKEN is not set")
    server = ThreadingHTTPServer(("", PORT), Handler)
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    server.serve_forever()


if __name__ == "__main__":
    main()
