"""rclone, built from its Go module, as a real server of S3 (and of WebDAV and SFTP)."""

from __future__ import annotations

import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hack.testbed.controlplane import free_port
from hack.testbed.programs import go_program
from hack.testbed.waiting import wait_for

SOURCE = Path(__file__).resolve().parents[1] / "services" / "rclone"
HOST = "127.0.0.1"
ACCESS_KEY, SECRET_KEY = "reports-access-key", "reports-secret-key-1"
USER, PASSWORD = "reports", "file-server-password-1"


def rclone_program() -> Path:
    """The program, from the cache or built (3 minutes on two idle cores)."""
    return go_program(SOURCE, "rclone")


@dataclass(frozen=True)
class FileServer:
    """`root` has a directory for each bucket, or the files of WebDAV."""

    url: str
    root: Path

    def bucket(self, name: str) -> Path:
        path = self.root / name
        path.mkdir(exist_ok=True)
        return path


@contextmanager
def _serve(kind: str, port: int, *options: str) -> Iterator[FileServer]:
    with tempfile.TemporaryDirectory(prefix=f"{kind}-") as directory:
        root, log = Path(directory) / "data", Path(directory) / "log"
        root.mkdir()
        command = [
            rclone_program(), "serve", kind, "--addr", f"{HOST}:{port}", "--config", "/dev/null",
            "--dir-cache-time", "0", "--poll-interval", "0", *options, str(root),
        ]  # fmt: skip
        with log.open("w") as out, subprocess.Popen(command, stdout=out, stderr=out) as process:
            try:
                wait_for(f"{kind} is served", lambda: _listens(port), 60, log.read_text)
                yield FileServer(f"http://{HOST}:{port}", root)
            finally:
                process.terminate()


@contextmanager
def s3_server(port: int | None = None) -> Iterator[FileServer]:
    """An S3 server on loopback over a directory of its own."""
    with _serve("s3", port or free_port(), "--auth-key", f"{ACCESS_KEY},{SECRET_KEY}") as made:
        yield made


@contextmanager
def webdav_server() -> Iterator[FileServer]:
    """A WebDAV server with a user and a password."""
    with _serve("webdav", free_port(), "--user", USER, "--pass", PASSWORD) as made:
        yield made


def _listens(port: int) -> bool:
    try:
        socket.create_connection((HOST, port), 1).close()
    except OSError:
        return False
    return True
