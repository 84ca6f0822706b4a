"""Servers of files on loopback: rclone's S3, WebDAV and SFTP over a local folder."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hack.testbed.controlplane import free_port
from hack.testbed.rclone import rclone_program
from hack.testbed.waiting import wait_for

ACCESS_KEY, SECRET_KEY = "report-access-key", "report-secret-key-1"
USER, PASSWORD = "reports", "file-server-password-1"
HOST = "127.0.0.1"


@dataclass(frozen=True)
class FileServer:
    """`root` has the buckets of S3 as folders, or the files of the others."""

    root: Path
    port: int
    log: Path

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"


@contextmanager
def _serve(root: Path, kind: str, *options: str) -> Iterator[FileServer]:
    root.mkdir(parents=True, exist_ok=True)
    port = free_port()
    found = FileServer(root, port, root.parent / f"{kind}-{port}.log")
    command = [
        str(rclone_program()), "serve", kind, str(root), f"--addr={HOST}:{port}", "--config=",
        "--dir-cache-time=0s", "--poll-interval=0", *options,
    ]  # fmt: skip
    with found.log.open("w") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            wait_for(
                f"{kind} is served", lambda: _answers(port) or process.poll() is not None,
                describe=found.log.read_text,
            )  # fmt: skip
            assert process.poll() is None, found.log.read_text()
            yield found
        finally:
            process.terminate()
            process.wait(30)


def _answers(port: int) -> bool:
    with socket.socket() as connection:
        return connection.connect_ex((HOST, port)) == 0


@contextmanager
def s3_server(root: Path) -> Iterator[FileServer]:
    """Of path style, without TLS; a folder below `root` is a bucket."""
    with _serve(root, "s3", f"--auth-key={ACCESS_KEY},{SECRET_KEY}") as made:
        yield made


@contextmanager
def webdav_server(root: Path) -> Iterator[FileServer]:
    """With a user and a password."""
    with _serve(root, "webdav", f"--user={USER}", f"--pass={PASSWORD}") as made:
        yield made
