"""Places on SFTP servers."""

from __future__ import annotations

import asyncio
import posixpath
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, TypeVar

import asyncssh
from asyncssh.constants import (
    FX_NO_SUCH_FILE,
    FX_NO_SUCH_PATH,
    FX_PERMISSION_DENIED,
)

from report_runner import mounted
from report_runner.contract.egress import EgressPolicy
from report_runner.contract.reasons import Reason
from report_runner.contract.upload import SftpPlace
from report_runner.delivery.channel import DeliveryContext
from report_runner.delivery.upload.place import (
    CHUNK,
    CONNECT_SECONDS,
    STALL_SECONDS,
    Digest,
    OccupiedError,
    PlaceError,
    Stored,
    UploadFile,
    check_part,
    part_path,
)
from report_runner.egress import EgressRefusedError, Guard
from report_runner.models import RunError

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Sftp:
    """One server. Each call has a connection of its own: minutes may lie between two."""

    host: str
    port: int
    options: dict[str, Any]
    secret: str
    policy: EgressPolicy

    @property
    def origin(self) -> str:
        """See Place. The folder is that of the user."""
        return f"sftp {self.host}:{self.port} {self.options['username']}"

    def read(self, path: str, limit: int) -> Stored | None:
        """See Place."""

        async def work(client: asyncssh.SFTPClient) -> Stored | None:
            return await _read(client, path, limit)

        return self._run(work)

    def write(
        self, path: str, file: UploadFile, *, replace: bool, begin: Callable[[], None]
    ) -> None:
        """See Place: written under another name, read back, and then given its own."""

        async def work(client: asyncssh.SFTPClient) -> None:
            part = part_path(path, file.identity)
            folder = posixpath.dirname(path)
            if folder:
                await client.makedirs(folder, exist_ok=True)
            try:
                await _write(client, part, file)
                check_part(part, await _read(client, part, file.size), file)
                begin()
                await _rename(client, part, path, file, replace=replace)
            except BaseException:
                with suppress(asyncssh.Error, OSError):
                    await client.remove(part)
                raise

        self._run(work)

    def _run(self, work: Callable[[asyncssh.SFTPClient], Awaitable[Result]]) -> Result:
        async def connected() -> Result:
            async with self._client() as client:
                return await work(client)

        try:
            return asyncio.run(connected())
        except asyncssh.HostKeyNotVerifiable as error:
            raise PlaceError(
                f"the key of {self.host} is not one of known_hosts in Secret {self.secret}: "
                "compare it with its owner, and add it as "
                f"`ssh-keyscan -p {self.port} {self.host}` prints it",
                permanent=True,
            ) from error
        except asyncssh.PermissionDenied as error:
            raise PlaceError(
                f"{self.host} refuses the login with Secret {self.secret}: {error.reason}",
                permanent=True,
            ) from error
        except asyncssh.SFTPError as error:
            denied = error.code == FX_PERMISSION_DENIED
            raise PlaceError(f"{self.host}: {error.reason}", permanent=denied) from error
        except (asyncssh.Error, OSError, TimeoutError) as error:
            text = str(error) or type(error).__name__
            raise PlaceError(f"{self.host}:{self.port} cannot be used: {text}") from error

    @asynccontextmanager
    async def _client(self) -> AsyncIterator[asyncssh.SFTPClient]:
        connection = await self._socket()
        try:
            async with (
                asyncssh.connect(self.host, self.port, sock=connection, **self.options) as session,
                session.start_sftp_client() as client,
            ):
                yield client
        finally:
            connection.close()

    async def _socket(self) -> socket.socket:
        """Connected to an address that was judged."""
        guard = Guard(self.policy)
        try:
            addresses = await guard.addresses(self.host, self.port)
        except EgressRefusedError as error:
            raise PlaceError(str(error), permanent=True) from error
        failure = OSError("no address")
        for family, address in addresses:
            connection = socket.socket(family, socket.SOCK_STREAM)
            connection.setblocking(False)
            try:
                async with asyncio.timeout(CONNECT_SECONDS):
                    await asyncio.get_running_loop().sock_connect(connection, (address, self.port))
            except (OSError, TimeoutError) as error:
                connection.close()
                failure = OSError(str(error) or "no answer")
            else:
                return connection
        raise failure


def sftp_place(spec: SftpPlace, field: str, context: DeliveryContext) -> Sftp:
    """Raises RunError(ConfigurationError) for a wrong Secret."""
    secret, secrets = spec.secret_ref.name, context.secrets
    field = f"{field}.secretRef"

    def key(name: str, check: mounted.Check, default: str | None = None) -> str:
        return secrets.read(secret, name, field, check, default)

    host = key("host", mounted.host)
    port = int(key("port", mounted.port, "22"))
    password = key("password", mounted.password, "")
    private = key("private_key", _private_key_or_nothing, "")
    options: dict[str, Any] = {
        "username": key("username", mounted.name),
        "known_hosts": asyncssh.import_known_hosts(key("known_hosts", _known_hosts)),
        "password": password or None,
        "client_keys": None,
        # Nothing of the machine that runs this: no configuration, agent or key of its user.
        "config": None,
        "agent_path": None,
        "gss_host": None,
        "connect_timeout": CONNECT_SECONDS,
        "login_timeout": CONNECT_SECONDS * 2,
        "keepalive_interval": STALL_SECONDS / 4,
        "keepalive_count_max": 4,
    }
    if private:
        passphrase = key("passphrase", mounted.password, "") or None
        try:
            options["client_keys"] = [asyncssh.import_private_key(private, passphrase)]
        except (asyncssh.KeyImportError, asyncssh.KeyEncryptionError) as error:
            raise RunError(
                Reason.CONFIGURATION_ERROR,
                f"{field}: Secret {secret}, key private_key: cannot be read with the key "
                f"passphrase ({error})",
            ) from error
    elif not password:
        raise RunError(
            Reason.CONFIGURATION_ERROR,
            f"{field}: the Secret {secret} has neither password nor private_key; add one of them",
        )
    secrets.show_known_host(secret)
    return Sftp(host, port, options, secret, context.egress)


def _known_hosts(text: str) -> str | None:
    try:
        asyncssh.import_known_hosts(text)
    except ValueError:
        return "has to be lines of known_hosts, as ssh-keyscan prints them"
    return None if text.strip() else "is empty: write the server's keys, as ssh-keyscan prints them"


def _private_key_or_nothing(text: str) -> str | None:
    if not text or text.startswith("-----BEGIN "):
        return None
    return "has to be a private key as ssh-keygen writes it (-----BEGIN OPENSSH PRIVATE KEY-----)"


async def _read(client: asyncssh.SFTPClient, path: str, limit: int) -> Stored | None:
    try:
        async with client.open(path, "rb") as stream:
            found = Digest(limit)
            while piece := await _in_time(stream.read(CHUNK)):
                if not found.add(piece):
                    break
            return found.stored()
    except asyncssh.SFTPError as error:
        if error.code in (FX_NO_SUCH_FILE, FX_NO_SUCH_PATH):
            return None
        raise


async def _write(client: asyncssh.SFTPClient, path: str, file: UploadFile) -> None:
    with file.path.open("rb") as source:
        async with client.open(path, "wb") as stream:
            while piece := source.read(CHUNK):
                await _in_time(stream.write(piece))


async def _rename(
    client: asyncssh.SFTPClient, part: str, path: str, file: UploadFile, *, replace: bool
) -> None:
    if replace:
        await client.posix_rename(part, path)
        return
    try:
        await client.rename(part, path)  # of version 3 of the protocol: fails where it is taken
    except asyncssh.SFTPError as error:
        # That version has one code for whatever fails.
        if await _read(client, path, file.size) not in (None, file.stored()):
            raise OccupiedError(path) from error
        raise


async def _in_time(step: Awaitable[Any]) -> Any:
    async with asyncio.timeout(STALL_SECONDS):
        return await step
