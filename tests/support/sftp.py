"""An SFTP server on loopback: SSH by asyncssh, the files by OpenSSH's own sftp-server."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import asyncssh

SFTP_SERVER = "/usr/lib/openssh/sftp-server"
USER, PASSWORD = "reports", "sftp-password-1"


@dataclass
class SftpServer:
    """`root` is what a client sees as its folder; `port` is known once it serves."""

    root: Path
    port: int = 0
    host_key: asyncssh.SSHKey = field(
        default_factory=lambda: asyncssh.generate_private_key("ssh-ed25519")
    )
    user_key: asyncssh.SSHKey = field(
        default_factory=lambda: asyncssh.generate_private_key("ssh-ed25519")
    )
    sessions: int = 0

    def known_hosts(self, key: asyncssh.SSHKey | None = None) -> str:
        public = (key or self.host_key).export_public_key().decode()
        return f"[127.0.0.1]:{self.port} {public}"

    def secret(self, **changes: str) -> dict[str, str]:
        keys = {
            "host": "127.0.0.1",
            "port": str(self.port),
            "username": USER,
            "password": PASSWORD,
            "known_hosts": self.known_hosts(),
        }
        return {name: value for name, value in (keys | changes).items() if value}


class _Session(asyncssh.SSHServerSession[bytes]):
    """Passes the bytes of the subsystem on to OpenSSH's program."""

    def __init__(self, server: SftpServer) -> None:
        self._server = server
        self._input: asyncio.Queue[bytes] = asyncio.Queue()

    def connection_made(self, chan: asyncssh.SSHServerChannel[bytes]) -> None:
        self._channel = chan

    def subsystem_requested(self, subsystem: str) -> bool:
        return subsystem == "sftp"

    def session_started(self) -> None:
        self._server.sessions += 1
        self._task = asyncio.create_task(self._serve())

    def data_received(self, data: bytes, datatype: object) -> None:
        self._input.put_nowait(data)

    def eof_received(self) -> bool:
        self._input.put_nowait(b"")
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self._input.put_nowait(b"")

    async def _serve(self) -> None:
        child = await asyncio.create_subprocess_exec(
            SFTP_SERVER, "-d", str(self._server.root),
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert child.stdin is not None
        assert child.stdout is not None
        answers = asyncio.create_task(self._answer(child.stdout))
        while data := await self._input.get():
            child.stdin.write(data)
            await child.stdin.drain()
        child.stdin.close()
        await answers
        code = await child.wait()
        if not self._channel.is_closing():
            self._channel.exit(code)

    async def _answer(self, stream: asyncio.StreamReader) -> None:
        while data := await stream.read(1 << 16):
            if not self._channel.is_closing():
                self._channel.write(data)


class _Login(asyncssh.SSHServer):
    def __init__(self, server: SftpServer) -> None:
        self._server = server

    def session_requested(self) -> _Session:
        return _Session(self._server)

    def begin_auth(self, username: str) -> bool:
        return True

    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        return (username, password) == (USER, PASSWORD)

    def public_key_auth_supported(self) -> bool:
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        return username == USER and key.public_data == self._server.user_key.public_data


@contextmanager
def sftp_server(root: Path) -> Iterator[SftpServer]:
    """Serves until the block ends."""
    server = SftpServer(root)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def listen() -> asyncssh.SSHAcceptor:
        return await asyncssh.listen(
            "127.0.0.1",
            0,
            server_factory=lambda: _Login(server),
            server_host_keys=[server.host_key],
            encoding=None,
        )

    async def end() -> None:
        acceptor.close()
        await acceptor.wait_closed()

    acceptor = asyncio.run_coroutine_threadsafe(listen(), loop).result(30)
    server.port = acceptor.get_port()
    try:
        yield server
    finally:
        asyncio.run_coroutine_threadsafe(end(), loop).result(30)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(30)
        loop.close()
