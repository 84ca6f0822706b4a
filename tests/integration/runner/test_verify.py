"""A later look at what was sent: at real servers, and by the command of its pod."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Sink
from conftest import write_secret

from hack.testbed.controlplane import free_port
from hack.testbed.rclone import ACCESS_KEY, PASSWORD, SECRET_KEY, USER, s3_server, webdav_server
from report_runner.contract import pod
from report_runner.contract.egress import EgressPolicy
from report_runner.contract.reasons import EXIT_CODES, Reason
from report_runner.contract.verification import (
    Verdict,
    VerificationResult,
    VerifiedDelivery,
    dump_verification,
    parse_verification,
    verification_of,
)
from tests.support.http_files import http_files
from tests.support.runner import Pod
from tests.support.sftp import sftp_server
from tests.support.uploads import Uploads

PDF = "portal:positions/positions-2026-01-05.pdf"
CSV = "portal:positions/positions-2026-01-05-positions.csv"
KEYS = {
    "accessKeyId": ACCESS_KEY, "secretAccessKey": SECRET_KEY, "username": USER, "password": PASSWORD
}  # fmt: skip
SECRET = {"secretRef": {"name": "portal"}}
INLINE = [{"name": "positions", "inline": {"rows": [{"isin": "ISIN1"}]}}]
ALLOW = {pod.ENV_EGRESS_ALLOW: "127.0.0.1/32"}


class Served:
    """A place of one kind, the folder behind it, and how to take its server away."""

    def __init__(self, kind: str, root: Path, servers: ExitStack) -> None:
        self.close = servers.close
        folder = root / "portal"
        folder.mkdir()
        keys, where = KEYS, dict[str, Any](SECRET)
        if kind == "sftp":
            keys = servers.enter_context(sftp_server(folder)).secret()
        else:
            server = servers.enter_context(s3_server() if kind == "s3" else webdav_server())
            server.bucket("reports")
            folder = server.root / "reports"
            where = {"url": f"{server.url}/reports", "credentials": SECRET}
            if kind == "s3":
                where = {"bucket": "reports", "endpoint": server.url, **SECRET}
        write_secret(root / "secrets", "portal", keys)
        self.place: dict[str, Any] = {"name": "portal", kind: where}
        self.folder = folder


@pytest.fixture(params=["s3", "sftp", "webdav"])
def served(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Served]:
    with ExitStack() as servers:
        yield Served(request.param, tmp_path, servers)


def test_what_is_there_is_told_from_what_was_sent(served: Served, tmp_path: Path) -> None:
    here = Uploads(tmp_path)
    here.deliver(served.place)
    assert here.look(served.place) == {PDF: ("unchanged", ""), CSV: ("unchanged", "")}

    sent = served.folder / PDF.partition(":")[2]
    changed = bytearray(sent.read_bytes())
    changed[-1] ^= 1  # of the same size
    sent.write_bytes(changed)
    (served.folder / CSV.partition(":")[2]).unlink()
    found = here.look(served.place)
    assert {name: verdict for name, (verdict, _) in found.items()} == {
        PDF: "changed", CSV: "missing",
    }  # fmt: skip
    assert "SHA-256" in found[PDF][1]
    sent.write_bytes(here.pdf.read_bytes() + b"more")
    assert here.look(served.place)[PDF][0] == "changed"
    assert not (served.folder / CSV.partition(":")[2]).exists()  # nothing is sent again

    here.policy = EgressPolicy.parse([])  # the guard on addresses holds here as well
    assert "refused" in here.look(served.place)[PDF][1]
    here.policy = Uploads(tmp_path).policy
    served.close()
    found = here.look(served.place)
    assert {verdict for verdict, _ in found.values()} == {"unreachable"}
    for key in KEYS.values():
        assert all(key not in text for _, text in found.values())


def test_another_place_is_not_taken_for_the_one_it_was_sent_to(tmp_path: Path) -> None:
    here = Uploads(tmp_path)
    with http_files() as first, http_files() as second:
        here.deliver({"name": "portal", "httpPut": {"url": first.url}})
        found = here.look({"name": "portal", "httpPut": {"url": second.url}})
        assert {verdict for verdict, _ in found.values()} == {"notVerifiable"}
        assert second.requests == []
        found = here.look({"name": "other", "httpPut": {"url": first.url}})
        assert {verdict for verdict, _ in found.values()} == {"notVerifiable"}
        blind = {"name": "portal", "httpPut": {"url": first.url}, "readBack": False}
        assert {verdict for verdict, _ in here.look(blind).values()} == {"notVerifiable"}


def test_place_that_went_to_another_host_by_its_secret(tmp_path: Path) -> None:
    here = Uploads(tmp_path)
    place = {"name": "portal", "sftp": SECRET}
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    with sftp_server(tmp_path / "one") as one, sftp_server(tmp_path / "two") as two:
        write_secret(tmp_path / "secrets", "portal", one.secret())
        here.deliver(place)
        write_secret(tmp_path / "secrets", "portal", two.secret())
        found = here.look(place)
    assert {verdict for verdict, _ in found.values()} == {"notVerifiable"}
    assert two.sessions == 0


def test_command_of_the_pod_sends_and_changes_nothing(tmp_path: Path) -> None:
    here = Pod(tmp_path)
    with http_files() as server, _mail_server() as port:
        here.define(
            "",
            upload={"to": [{"name": "portal", "httpPut": {"url": server.url}}]},
            email={
                "to": ["board@example.com"],
                "subject": "s",
                "attach": [],
                "smtp": {"secretRef": {"name": "report-smtp"}},
            },
            sources=INLINE,
            formats=["csv"],
        )
        write_secret(
            here.secrets, "report-smtp",
            {"host": "127.0.0.1", "port": str(port), "from": "r@example.com", "security": "none"},
        )  # fmt: skip
        code, found, log = here.verify(**ALLOW)
        assert (code, found.counts) == (0, {}), log
        assert "no manifest" in found.message
        code, _, log = here.run(**ALLOW)
        assert code == 0, log
        before = here.files(), here.manifest(), dict(server.files)
        server.requests.clear()
        code, found, log = here.verify(**ALLOW)
        assert (code, found.counts) == (0, {"unchanged": 1, "notVerifiable": 1}), log
        mail = found.deliveries[0]
        assert (mail.channel, mail.recipient) == ("email", "board@example.com")
        assert "250" in mail.message  # what the server said when it took it
        assert mail.message_id == here.manifest().deliveries["board@example.com"].message_id
        assert {line.partition(" ")[0] for line in server.requests} == {"GET"}
        assert before == (here.files(), here.manifest(), dict(server.files))
    here.definition.write_text("{}")
    code, found, _ = here.verify(**ALLOW)
    assert code == EXIT_CODES[Reason.CONFIGURATION_ERROR]
    assert (found.counts, bool(found.message)) == ({}, True)


@contextmanager
def _mail_server() -> Iterator[int]:
    """Takes every message; its port."""
    controller = Controller(Sink(), hostname="127.0.0.1", port=free_port())
    controller.start()
    try:
        yield controller.port
    finally:
        controller.stop()


def _many(count: int, verdict: Callable[[int], Verdict]) -> VerificationResult:
    return verification_of(
        [
            VerifiedDelivery(channel="upload", recipient=f"p:{'é' * 200}{i}", verdict=verdict(i))
            for i in range(count)
        ]
    )


def test_the_gravest_are_told_first_and_all_are_counted() -> None:
    whole = _many(300, lambda i: Verdict.CHANGED if i == 299 else Verdict.UNCHANGED)
    text = dump_verification(whole)
    assert len(text.encode()) <= pod.TERMINATION_LOG_LIMIT
    found = parse_verification(text)
    assert found is not None
    assert found.counts == {"changed": 1, "unchanged": 299}
    assert found.deliveries[0].verdict is Verdict.CHANGED
    assert 1 < len(found.deliveries) < 300
    assert parse_verification(text[:-5]) is None
