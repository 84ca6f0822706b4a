"""A file server of this checkout as a process, called byte by byte."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hack.testbed.controlplane import free_port
from hack.testbed.waiting import wait_for


@dataclass(frozen=True)
class FileAnswer:
    status: int
    headers: dict[str, str]  # lower case names
    body: bytes


@dataclass(frozen=True)
class FileServer:
    """`report-generator serve` on loopback."""

    port: int
    process: subprocess.Popen[bytes]

    def get(self, path: str) -> FileAnswer:
        return self.call("GET", path)

    def call(self, method: str, path: str) -> FileAnswer:
        """Send the path unchanged: a client library would normalise it."""
        raw = self.raw(f"{method} {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        head, _, body = raw.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value for name, _, value in (ln.partition(": ") for ln in lines)}
        return FileAnswer(int(first.split()[1]), headers, body)

    def raw(self, request: bytes) -> bytes:
        with socket.create_connection(("127.0.0.1", self.port), 20) as connection:
            connection.sendall(request)
            connection.shutdown(socket.SHUT_WR)
            received = b""
            while chunk := connection.recv(65536):
                received += chunk
            return received


@contextmanager
def file_server(root: Path) -> Iterator[FileServer]:
    program = shutil.which("report-generator")
    assert program, "report-generator is not on PATH: run the tests through `make test`"
    port = free_port()
    process = subprocess.Popen(
        [program, "serve", f"--root={root}", "--host=127.0.0.1", f"--port={port}"]
    )
    made = FileServer(port, process)

    def ready() -> bool:
        assert process.poll() is None
        try:
            return made.get("/healthz").status == 200
        except OSError:
            return False

    try:
        wait_for("the file server", ready)
        yield made
    finally:
        process.kill()
        process.wait()
