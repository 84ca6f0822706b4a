"""Places of uploads that lead inside, against a listener that has to stay silent."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import asyncssh
import pytest
from aiohttp import web
from pydantic import ValidationError

from report_runner.contract.egress import EgressPolicy
from report_runner.contract.reasons import Reason
from report_runner.models import RunError
from tests.attacks.addresses import ADDRESSES, PORT

# The fixture, and the means of the vectors of sources.
from tests.attacks.test_ssrf import (
    ALLOWED,
    Names,
    _heard,
    connects,
    silent_listener,
)
from tests.attacks.vectors import Attacks, Vector, Who
from tests.support.http_files import HttpFiles, http_files
from tests.support.sources import write_secret
from tests.support.uploads import Uploads

__all__ = ["connects"]

KEY = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode()
KNOWN_HOSTS = f"* {KEY}"
SECRET = {"secretRef": {"name": "store"}}


def _sftp(url: str, root: Path) -> dict[str, Any]:
    """The host stands in the Secret, which whoever writes the report may have written."""
    rest = url.partition("//")[2]
    host, _, port = rest.partition("/")[0].rpartition(":")
    write_secret(
        root, "store", accessKeyId="me", secretAccessKey="secret-2", username="me",
        password="secret-1", host=(host or rest.partition("/")[0]).strip("[]"),
        port=port if port.isdigit() else "22",
    )  # fmt: skip
    (root / "store" / "known_hosts").write_text(KNOWN_HOSTS)
    return {"sftp": SECRET}


WAYS: dict[str, Callable[[str, Path], dict[str, Any]]] = {
    "upload-s3": lambda url, _: {
        "s3": {"bucket": "reports", "endpoint": url.rstrip("/"), **SECRET}
    },
    "upload-webdav": lambda url, _: {"webdav": {"url": url, "credentials": SECRET}},
    "upload-put": lambda url, _: {"httpPut": {"url": url}},
    "upload-sftp": _sftp,
}
REDIRECTS = ("upload-s3", "upload-webdav", "upload-put")
VECTORS = [
    *(
        Vector("ssrf", f"{way}-{name}", Who.AUTHOR, (way, url, False))
        for way in WAYS
        for name, url in ADDRESSES.items()
    ),
    *(
        Vector("ssrf", f"{way}-redirect-{name}", Who.AUTHOR, (way, ADDRESSES[name], True))
        for way in REDIRECTS
        for name in ("loopback", "public-name", "metadata", "service", "private-192")
    ),
]


@pytest.fixture
def front() -> Iterator[HttpFiles]:
    """A server that the operator's configuration allows, and that an author controls."""
    with http_files(ALLOWED) as made:
        yield made


def test_no_upload_reaches_anything_inside(
    attacks: Attacks,
    connects: list[tuple[Any, ...]],
    front: HttpFiles,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names = Names()
    monkeypatch.setattr(socket, "getaddrinfo", names)
    here = Uploads(tmp_path, EgressPolicy.parse([ALLOWED]))
    write_secret(tmp_path / "secrets", "store", accessKeyId="me", secretAccessKey="secret-2",
                 username="me", password="secret-1")  # fmt: skip
    with silent_listener() as listener:
        for vector in VECTORS:
            way, url, redirected = vector.data
            names.asked.clear()
            connects.clear()
            here.entries.clear()
            url = url.replace(PORT, str(listener.port))
            _redirect(front, url if redirected else "")
            place = WAYS[way](front.url if redirected else url, tmp_path / "secrets")
            attacks.record(vector, _deliver(here, place) or _heard(listener, connects))
    attacks.judge(VECTORS)


def _redirect(front: HttpFiles, url: str) -> None:
    async def before(_: web.Request) -> web.Response | None:
        return web.Response(status=307, headers={"Location": url}) if url else None

    front.before = before


def _deliver(here: Uploads, place: dict[str, Any]) -> str | None:
    """How it got through; None where it was refused in words."""
    try:
        results = here.deliver({"name": "portal", "formats": ["csv"], **place})
    except (ValidationError, RunError) as error:
        reason = getattr(error, "reason", Reason.CONFIGURATION_ERROR)
        return None if reason is Reason.CONFIGURATION_ERROR else f"{reason}: {error}"
    sent = [result for result in results if result.status.value != "failed"]
    return f"it is said to be there: {sent}" if sent else None


@pytest.mark.parametrize("way", WAYS)
def test_an_address_that_is_allowed_is_called(
    way: str, connects: list[tuple[Any, ...]], tmp_path: Path
) -> None:
    """Else the vectors above would be stopped by something else than the guard."""
    here = Uploads(tmp_path, EgressPolicy.parse(["127.0.0.1/32"]))
    write_secret(tmp_path / "secrets", "store", accessKeyId="me", secretAccessKey="secret-2",
                 username="me", password="secret-1")  # fmt: skip
    with silent_listener() as listener:
        url = ADDRESSES["loopback"].replace(PORT, str(listener.port))
        _deliver(here, WAYS[way](url, tmp_path / "secrets"))
        assert _heard(listener, connects)
