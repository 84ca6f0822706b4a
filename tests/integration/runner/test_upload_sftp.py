"""Upload to a real SFTP server: whole or not at all, read back, and to a server that is known."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import asyncssh
import pytest
from conftest import write_secret

from report_runner.contract.egress import EgressPolicy
from report_runner.contract.reasons import Reason
from report_runner.models import RunError
from tests.support.sftp import SftpServer, sftp_server
from tests.support.uploads import Uploads

PLACE = {"name": "portal", "sftp": {"secretRef": {"name": "portal"}}}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[SftpServer]:
    root = tmp_path / "portal"
    root.mkdir()
    with sftp_server(root) as made:
        yield made


@pytest.fixture
def here(tmp_path: Path, server: SftpServer) -> Uploads:
    write_secret(tmp_path / "secrets", "portal", server.secret())
    return Uploads(tmp_path)


def files(server: SftpServer) -> dict[str, bytes]:
    return {
        str(path.relative_to(server.root)): path.read_bytes()
        for path in server.root.rglob("*")
        if path.is_file()
    }


def test_files_are_there_whole_and_are_not_sent_again(here: Uploads, server: SftpServer) -> None:
    results = here.deliver(PLACE)
    assert [(one.recipient, one.status.value) for one in results] == [
        ("portal:positions/positions-2026-01-05.pdf", "sent"),
        ("portal:positions/positions-2026-01-05-positions.csv", "sent"),
    ]
    assert files(server) == {
        "positions/positions-2026-01-05.pdf": here.pdf.read_bytes(),
        "positions/positions-2026-01-05-positions.csv": here.csv.read_bytes(),
    }
    before = server.sessions
    assert {one.status.value for one in here.deliver(PLACE)} == {"alreadySent"}
    assert server.sessions == before


def test_login_with_a_key_in_place_of_a_password(here: Uploads, server: SftpServer) -> None:
    key = server.user_key.export_private_key("openssh", "a passphrase").decode()
    keys = server.secret(password="", private_key=key, passphrase="a passphrase")
    write_secret(here.root / "secrets", "key", keys)
    place = {"name": "portal", "sftp": {"secretRef": {"name": "key"}}}
    assert {one.status.value for one in here.deliver(place)} == {"sent"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"password": "wrong-password"}, r"127.0.0.1 refuses the login with Secret portal"),
        ({"known_hosts": "other"}, r"is not one of known_hosts in Secret portal: compare it"),
        ({"known_hosts": ""}, r"the Secret portal has no key known_hosts; add it"),
        ({"password": ""}, r"has neither password nor private_key; add one of them"),
        ({"private_key": "-----BEGIN NOTHING"}, r"key private_key: cannot be read"),
    ],
)
def test_a_wrong_secret_is_told(
    here: Uploads, server: SftpServer, changes: dict[str, str], message: str
) -> None:
    if changes.get("known_hosts") == "other":
        changes = {"known_hosts": server.known_hosts(asyncssh.generate_private_key("ssh-ed25519"))}
    keys = server.secret(**changes)
    for old in (here.root / "secrets" / "portal").iterdir():
        old.unlink()
    write_secret(here.root / "secrets", "portal", keys)
    with pytest.raises(RunError, match=message) as raised:
        here.deliver(PLACE)
    assert raised.value.reason is Reason.CONFIGURATION_ERROR
    assert raised.value.message.startswith("spec.delivery.upload.to[portal].sftp")
    assert "wrong-password" not in raised.value.message
    assert files(server) == {}


def test_another_file_is_left_as_it_is_unless_it_may_be_replaced(
    here: Uploads, server: SftpServer
) -> None:
    taken = server.root / "positions" / "positions-2026-01-05.pdf"
    taken.parent.mkdir()
    taken.write_bytes(b"the report of somebody else")
    first, second = here.deliver(PLACE)
    assert (first.status.value, second.status.value) == ("failed", "sent")
    assert "is there already and is another file" in (first.error or "")
    assert taken.read_bytes() == b"the report of somebody else"
    first, _ = here.deliver(PLACE | {"ifExists": "Replace"})
    assert first.status.value == "sent"
    assert taken.read_bytes() == here.pdf.read_bytes()
    assert not [name for name in files(server) if name.endswith(".part")]


def test_a_server_that_is_away_is_an_outage(here: Uploads, server: SftpServer) -> None:
    write_secret(here.root / "secrets", "portal", server.secret(port="1"))
    results = here.deliver(PLACE)
    assert {one.status.value for one in results} == {"failed"}
    assert all("127.0.0.1:1 cannot be used" in (one.error or "") for one in results)


def test_the_address_is_judged(here: Uploads, server: SftpServer) -> None:
    here.policy = EgressPolicy.parse([])
    with pytest.raises(RunError, match=r"127.0.0.1 is refused: it is a loopback address"):
        here.deliver(PLACE)
    assert server.sessions == 0
