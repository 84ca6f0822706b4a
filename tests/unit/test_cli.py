"""What the command line sends, and what it makes of answers that no admin API would give."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from admin_cli.commands import instant
from admin_cli.forward import Installation
from admin_cli.main import main

BACKFILL = {
    "name": "backfill-1",
    "progress": None,
    "would_run": [{"schedule": "daily", "slot": "2026-11-02T05:00:00Z", "attempt": 1}],
}


class Recorder(HTTPServer):
    """Answers everything alike, and keeps what was asked."""

    status = 202
    answer = json.dumps({"backfills": [BACKFILL]})
    asked: tuple[str, str, dict[str, str], str]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Recorder

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0"))).decode()
        self.server.asked = (self.command, self.path, dict(self.headers), body)
        self.send_response(self.server.status)
        self.end_headers()
        self.wfile.write(self.server.answer.encode())

    def do_GET(self) -> None:
        self.do_POST()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Recorder]:
    made = Recorder(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=made.serve_forever, args=(0.05,))
    thread.start()
    yield made
    made.shutdown()
    thread.join()
    made.server_close()


def test_a_backfill(server: Recorder, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["backfill", "2026-11-02", "2026-11-06", "critical", "--dry-run", "--key", "k",
                 "--url", server.url, "--token", "t"]) == 0  # fmt: skip
    method, path, headers, body = server.asked
    assert (method, path) == ("POST", "/api/admin/reports/backfill")
    assert json.loads(body) == {
        "start_date": "2026-11-02", "end_date": "2026-11-06", "report_types": ["critical"],
        "dry_run": True,
    }  # fmt: skip
    assert (headers["Authorization"], headers["Idempotency-Key"]) == ("Bearer t", "k")
    shown = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert shown == [
        ["name", "backfill-1"], [], ["SCHEDULE", "SLOT", "ATTEMPT"],
        ["daily", "2026-11-02T05:00:00Z", "1"],
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("status", "answer", "code", "said"),
    [
        (200, "<html>", 69, "not as the admin API does"),
        (200, "[]", 69, "not as the admin API does"),
        (404, "nothing", 69, "not as the admin API does"),
        (502, "bad gateway", 69, "502"),
        (503, '{"detail": "the lease"}', 69, "the lease"),
        (401, '{"detail": "a token\\u001b[2J is needed"}', 1, "a token\ufffd[2J is needed"),
    ],
)
def test_other_answers(
    server: Recorder, capsys: pytest.CaptureFixture[str],
    status: int, answer: str, code: int, said: str,
) -> None:  # fmt: skip
    server.status, server.answer = status, answer
    assert main(["status", "--url", server.url]) == code
    assert said in capsys.readouterr().err


def test_instants_may_be_said_as_ages() -> None:
    day_ago = datetime.fromisoformat(instant("24h"))
    assert abs(datetime.now(UTC) - day_ago - timedelta(hours=24)) < timedelta(minutes=1)
    assert instant("2026-11-24T06:00:00+01:00") == "2026-11-24T05:00:00Z"
    for wrong in ("", "h", "24", "-1h", "2026-11-24T06:00:00", "999999d"):
        with pytest.raises(ValueError, match=r"zone|Invalid"):
            instant(wrong)


def test_the_deployment_is_named_as_the_chart_names_it() -> None:
    assert Installation("n", "r", None).deployment == "r-adaf-report-scheduler"
    assert (
        Installation("n", "my-adaf-report-scheduler", None).deployment == "my-adaf-report-scheduler"
    )
    assert len(Installation("n", "r" * 53, None).deployment) == 55


def test_the_operators_own_verbs_are_handed_on(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check-config", "--config", "/nowhere"]) == 78
    assert "/nowhere" in capsys.readouterr().err


def test_the_next_slots_of_a_schedule(server: Recorder, capsys: pytest.CaptureFixture[str]) -> None:
    slot = {"local": "Sun 2027-03-28 03:30:00 CEST", "slot": "2027-03-28T01:30:00Z", "note": "gap"}
    server.status, server.answer = 200, json.dumps({"schedule": "daily", "slots": [slot]})
    assert main(["next", "daily", "--of-namespace", "reports", "--url", server.url]) == 0
    path = "/api/admin/scheduler/next-slots?schedule=daily&namespace=reports&count=10"
    assert server.asked[:2] == ("GET", path)
    shown = capsys.readouterr().out
    assert "Sun 2027-03-28 03:30:00 CEST  2027-03-28T01:30:00Z  gap" in shown


def test_dead_letters_are_cleared_as_they_were_seen(
    server: Recorder, capsys: pytest.CaptureFixture[str]
) -> None:
    seen = {"failed_at": "2026-11-24T05:00:00Z"}
    answer = {"total": 1, "dead_letters": [seen], "cleared": 1, "through": seen["failed_at"]}
    server.status, server.answer = 200, json.dumps(answer)
    clear = ["dead-letters", "clear", "--url", server.url]
    assert main(clear) == 1
    assert (
        "take 1 dead letters off the list, for all teams? There is no terminal"
        in capsys.readouterr().err
    )
    assert server.asked[0] == "GET"
    assert main([*clear, "--all", "--yes"]) == 1
    assert main([*clear, "--yes"]) == 0
    method, path, _, body = server.asked
    assert (method, path) == ("POST", "/api/admin/scheduler/dead-letters/clear")
    assert json.loads(body) == {"through": seen["failed_at"]}
