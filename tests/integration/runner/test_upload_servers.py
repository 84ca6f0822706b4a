"""Upload to the S3 and WebDAV servers of a package."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import write_secret

from hack.testbed.rclone import (
    ACCESS_KEY,
    PASSWORD,
    SECRET_KEY,
    USER,
    FileServer,
    s3_server,
    webdav_server,
)
from report_runner.contract.egress import EgressPolicy
from report_runner.contract.reasons import Reason
from report_runner.models import RunError
from tests.support.uploads import Uploads

PDF = "positions/positions-2026-01-05.pdf"
CSV = "positions/positions-2026-01-05-positions.csv"


@pytest.fixture(params=["s3", "webdav"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def server(kind: str) -> Iterator[FileServer]:
    with s3_server() if kind == "s3" else webdav_server() as made:
        made.bucket("reports")
        yield made


@pytest.fixture
def here(tmp_path: Path) -> Uploads:
    keys = {
        "accessKeyId": ACCESS_KEY, "secretAccessKey": SECRET_KEY,
        "username": USER, "password": PASSWORD,
    }  # fmt: skip
    write_secret(tmp_path / "secrets", "portal", keys)
    return Uploads(tmp_path)


def place(kind: str, server: FileServer, **more: Any) -> dict[str, Any]:
    secret = {"secretRef": {"name": "portal"}}
    where: dict[str, Any] = {"url": f"{server.url}/reports", "credentials": secret}
    if kind == "s3":
        where = {"bucket": "reports", "endpoint": server.url, **secret}
    return {"name": "portal", kind: where, **more}


def files(server: FileServer) -> dict[str, bytes]:
    root = server.root / "reports"
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def test_files_are_there_whole_and_are_not_sent_again(
    here: Uploads, kind: str, server: FileServer
) -> None:
    assert {one.status.value for one in here.deliver(place(kind, server))} == {"sent"}
    assert files(server) == {PDF: here.pdf.read_bytes(), CSV: here.csv.read_bytes()}
    assert {one.status.value for one in here.deliver(place(kind, server))} == {"alreadySent"}
    # Nor by a run that does not know of it any more: what is there is the file.
    here.entries.clear()
    assert {one.status.value for one in here.deliver(place(kind, server))} == {"sent"}


def test_another_file_is_left_as_it_is_unless_it_may_be_replaced(
    here: Uploads, kind: str, server: FileServer
) -> None:
    taken = server.root / "reports" / PDF
    taken.parent.mkdir()
    taken.write_bytes(b"the report of somebody else")
    first, second = here.deliver(place(kind, server))
    assert (first.status.value, second.status.value) == ("failed", "sent"), first
    assert "is there already and is another file" in (first.error or "")
    assert taken.read_bytes() == b"the report of somebody else"
    first, _ = here.deliver(place(kind, server, ifExists="Replace"))
    assert first.status.value == "sent", first
    assert taken.read_bytes() == here.pdf.read_bytes()


def test_wrong_credentials_are_told_without_them(
    here: Uploads, kind: str, server: FileServer
) -> None:
    keys = {"secretAccessKey": "wrong-secret-key", "password": "wrong-password"}
    write_secret(here.root / "secrets", "portal", keys)
    with pytest.raises(RunError, match="Secret portal") as raised:
        here.deliver(place(kind, server))
    assert raised.value.reason is Reason.CONFIGURATION_ERROR
    assert "wrong-" not in raised.value.message
    assert files(server) == {}


def test_a_bucket_that_is_not_there(here: Uploads) -> None:
    with s3_server() as server:
        where = {"bucket": "reports", "endpoint": server.url, "secretRef": {"name": "portal"}}
        with pytest.raises(RunError, match="NoSuchBucket"):
            here.deliver({"name": "portal", "s3": where})


def test_a_server_that_is_away_is_an_outage(here: Uploads, kind: str, tmp_path: Path) -> None:
    away = FileServer("http://127.0.0.1:1", tmp_path)
    results = here.deliver(place(kind, away))
    assert {one.status.value for one in results} == {"failed"}


def test_the_address_is_judged(here: Uploads, kind: str, server: FileServer) -> None:
    here.policy = EgressPolicy.parse([])
    with pytest.raises(RunError, match=r"127.0.0.1 is refused: it is a loopback address"):
        here.deliver(place(kind, server))
    assert files(server) == {}
