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
    answers: list[Any]  # JSON, one for each request; `answer` after them
    asked: tuple[str, str, dict[str, str], str]
    calls: list[tuple[str, str, str]]  # method, path and body of each

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Recorder

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0"))).decode()
        self.server.asked = (self.command, self.path, dict(self.headers), body)
        self.server.calls.append((self.command, self.path, body))
        answers = self.server.answers
        answer = json.dumps(answers.pop(0)) if answers else self.server.answer
        self.send_response(self.server.status)
        self.end_headers()
        self.wfile.write(answer.encode())

    def do_GET(self) -> None:
        self.do_POST()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Recorder]:
    made = Recorder(("127.0.0.1", 0), Handler)
    made.answers, made.calls = [], []
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


SCHEDULE = {
    "namespace": "reports", "name": "daily", "report_type": "dashboard", "tier": "critical",
    "health": "Failing", "suspended": True, "last_failure": {"reason": "Timeout"}, "ready": None,
    "delay": None, "last_success": None, "next_slot": "2026-11-25T05:00:00Z",
    "time_zone": "Europe/Madrid",
}  # fmt: skip


@pytest.mark.parametrize("before", [True, False])
def test_options_of_the_connection_may_stand_anywhere(server: Recorder, before: bool) -> None:
    server.answer = json.dumps({"status": "healthy"})
    options = ["--url", server.url, "--token", "t", "-o", "json"]
    assert main([*options, "status"] if before else ["status", *options]) == 0
    assert server.asked[2]["Authorization"] == "Bearer t"


def test_option_after_the_command_counts_more(server: Recorder) -> None:
    assert main(["--url", "http://127.0.0.1:1", "status", "--url", server.url]) == 0


def test_operator_commands_stand_first(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--url", "http://127.0.0.1:1", "run"])
    assert "run: nothing comes before it" in capsys.readouterr().err


def test_schedules(server: Recorder, capsys: pytest.CaptureFixture[str]) -> None:
    server.answers = [{"schedules": [SCHEDULE], "total": 2, "next": "abc"}]
    assert main(["schedules", "--health", "Failing", "--of-namespace", "reports", "--type", "d",
                 "--url", server.url]) == 0  # fmt: skip
    assert server.asked[1] == (
        "/api/admin/schedules?namespace=reports&report_type=d&health=Failing&sort=health&limit=20"
    )
    out = capsys.readouterr().out
    for part in ("Failing, suspended", "Timeout", "never", "2026-11-25T05:00:00Z", "Europe/Madrid",
                 "more: --cursor abc"):  # fmt: skip
        assert part in out


def test_backfills(server: Recorder, capsys: pytest.CaptureFixture[str]) -> None:
    found = {
        "namespace": "reports", "name": "b-1", "state": "Running", "progress": "3/120", "failed": 1,
        "start_date": "2026-11-02", "end_date": "2026-11-06", "created_at": "x", "message": "m",
        "requested_by": None,
    }  # fmt: skip
    server.answers = [{"backfills": [found], "next": None}]
    assert main(["backfills", "--state", "Running", "--url", server.url]) == 0
    assert server.asked[1] == "/api/admin/backfills?state=Running&limit=20"
    assert "3/120" in capsys.readouterr().out


def test_backfills_cancel_says_what_happens_and_asks(
    server: Recorder, capsys: pytest.CaptureFixture[str]
) -> None:
    listed = {"backfills": [{"namespace": "reports"}], "next": None}
    planned = {"namespace": "reports", "name": "b-1", "message": "2 waiting\x1b runs removed",
               "removed": ["a.1"], "going_on": ["a.2"], "dry_run": True}  # fmt: skip
    server.answers = [listed, planned]
    assert main(["backfills", "cancel", "b-1", "--url", server.url]) == 1
    assert [(path, body) for _, path, body in server.calls] == [
        ("/api/admin/backfills?name=b-1&limit=500", ""),
        ("/api/admin/backfills/reports/b-1/cancel", '{"dry_run": true}'),
    ]
    told = capsys.readouterr().err
    assert "reports/b-1: 2 waiting\ufffd runs removed" in told
    assert "no terminal to confirm on: use --yes" in told

    server.calls.clear()
    server.answers = [{**planned, "dry_run": False}]
    command = ["backfills", "cancel", "b-1", "--of-namespace", "reports", "--yes"]
    assert main([*command, "--url", server.url]) == 0
    assert [body for _, _, body in server.calls] == ["{}"]
    assert capsys.readouterr().out.splitlines()[1:] == ["  removed: a.1", "  goes on: a.2"]

    for answers, words in (
        ([], ["backfills", "cancel"]), ([], ["backfills", "list", "b-1"]),
        ([{"backfills": [], "next": None}], ["backfills", "cancel", "b-1", "--yes"]),
        ([{"backfills": [{"namespace": "a"}, {"namespace": "b"}], "next": None}],
         ["backfills", "cancel", "b-1", "--yes"]),
    ):  # fmt: skip
        server.calls.clear()
        server.answers = list(answers)
        assert main([*words, "--url", server.url]) == 1
        assert all(method == "GET" for method, _, _ in server.calls)


def test_why_finds_the_namespace(server: Recorder, capsys: pytest.CaptureFixture[str]) -> None:
    server.answers = [{"schedules": [SCHEDULE]}, {"explanation": "it is\x1b[2J failing"}]
    assert main(["why", "daily", "--url", server.url]) == 0
    assert [path for _, path, _ in server.calls] == [
        "/api/admin/schedules?name=daily&limit=500", "/api/admin/schedules/reports/daily"
    ]  # fmt: skip
    assert capsys.readouterr().out == "it is\ufffd[2J failing\n"


def test_why_of_several_asks_which(server: Recorder, capsys: pytest.CaptureFixture[str]) -> None:
    server.answers = [{"schedules": [SCHEDULE, {**SCHEDULE, "namespace": "other"}]}]
    assert main(["why", "daily", "--url", server.url]) == 1
    assert "several namespaces (reports, other): add --of-namespace" in capsys.readouterr().err


CLEANUP = {"removed": 0, "jobs": ["a.b.1", "a.c.1"], "dry_run": True}


def test_cleanup_asks_before_it_gives_up(
    server: Recorder, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["cleanup", "--older-than-hours", "24", "--tier", "bulk", "--type", "t",
               "--backfill", "b", "--of-namespace", "n", "--url", server.url]  # fmt: skip
    server.answers = [CLEANUP]
    assert main(command) == 1
    told = capsys.readouterr().err
    assert "a.b.1" in told
    assert "give up these 2 runs? There is no terminal to confirm on: use --yes" in told
    filters = {"older_than_hours": 24.0, "report_type": "t", "tier": "bulk", "namespace": "n",
               "backfill": "b"}  # fmt: skip
    assert [json.loads(body) for _, _, body in server.calls] == [{**filters, "dry_run": True}]

    server.calls.clear()
    server.answers = [{**CLEANUP, "removed": 2, "dry_run": False}]
    assert main([*command, "--yes"]) == 0
    assert [json.loads(body) for _, _, body in server.calls] == [filters]
    assert capsys.readouterr().out.startswith("2 runs given up\n")

    server.calls.clear()
    server.answers = [CLEANUP]
    assert main([*command, "--yes", "--dry-run"]) == 0
    assert [json.loads(body)["dry_run"] for _, _, body in server.calls] == [True]
    assert capsys.readouterr().out.startswith("2 runs would be given up\n")


def test_cleanup_gives_up_what_it_has_shown(
    server: Recorder, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = [f"a.b{number}.1" for number in range(130)]
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("builtins.input", lambda _: "y")
    first = {"removed": 99, "jobs": shown[:99], "dry_run": False,
             "not_waiting": [{"id": "a.b99.1", "status": "running\x1b"}]}  # fmt: skip
    server.answers = [
        {"removed": 0, "jobs": shown, "dry_run": True, "not_waiting": []}, first,
        {"removed": 30, "jobs": shown[100:], "dry_run": False, "not_waiting": []},
    ]  # fmt: skip
    assert main(["cleanup", "--older-than-hours", "1", "--url", server.url]) == 0
    assert [json.loads(body).get("ids") for _, _, body in server.calls] == [
        None, shown[:100], shown[100:]
    ]  # fmt: skip
    told = capsys.readouterr()
    assert "and 110 more" in told.err
    assert told.out.startswith("129 runs given up\n")
    assert "left alone: a.b99.1 is running\ufffd by now" in told.out


def test_generate_prints_warnings_and_leaves_the_priority_to_the_schedule(
    server: Recorder, capsys: pytest.CaptureFixture[str]
) -> None:
    server.answers = [{"id": "a", "status": "queued", "job": "j", "namespace": "n",
                       "warnings": ["a slot\x1b comes"]}]  # fmt: skip
    assert main(["generate", "t", "--date", "2026-11-24", "--url", server.url]) == 0
    assert json.loads(server.asked[3]) == {"type": "t", "date": "2026-11-24"}
    assert capsys.readouterr().err == "warning: a slot\ufffd comes\n"


@pytest.mark.parametrize(
    ("words", "sent"),
    [
        (["--resend", "all"], {"resend": "all"}),
        (["--resend", "a@x.org", "b@x.org"], {"resend": ["a@x.org", "b@x.org"]}),
        (["--instead-of-slot"], {"instead_of_slot": True}),
    ],
)
def test_generate_sends_again_and_takes_the_place_of_a_slot(
    server: Recorder, capsys: pytest.CaptureFixture[str], words: list[str], sent: dict[str, Any]
) -> None:
    warning = "ask with `instead_of_slot`; `resend` makes it anew"
    server.answers = [{"id": "a", "status": "queued", "job": "j", "namespace": "n",
                       "warnings": [warning]}]  # fmt: skip
    command = ["generate", "t", "--date", "2026-11-24", *words]
    assert main([*command, "--url", server.url]) == 0
    assert json.loads(server.asked[3]) == {"type": "t", "date": "2026-11-24", **sent}
    told = capsys.readouterr().err
    assert told == "warning: ask with --instead-of-slot; --resend makes it anew\n"


@pytest.mark.parametrize(
    ("detail", "said"),
    [
        ("date: no such day; limit: too large", "--date: no such day; --limit: too large"),
        ("end_date: lies before start_date; exchange the two", "TO: lies before"),
        ("cursor: take it from `next` of the page before",
         "--cursor: take it from the line `more:`"),
        ("no job x is known: GET /api/admin/scheduler/jobs lists those that are",
         "`report-scheduler jobs` lists those"),
        ("x succeeded; POST /api/admin/reports/generate makes the report anew",
         "`report-scheduler generate TYPE --date DATE` makes the report anew"),
        ("Idempotency-Key: it was sent with another request already; send a new key with each new "
         "request", "--key: it was sent"),
        ("Job daily: limit: of memory", "Job daily: limit: of memory"),
    ],
)  # fmt: skip
def test_messages_name_options_and_commands(
    server: Recorder, capsys: pytest.CaptureFixture[str], detail: str, said: str
) -> None:
    server.status, server.answer = 422, json.dumps({"detail": detail})
    assert main(["status", "--url", server.url]) == 1
    told = capsys.readouterr().err
    assert said in told
    assert "/api/" not in told


def test_acknowledge_shows_what_it_is_about_and_asks(
    server: Recorder, capsys: pytest.CaptureFixture[str]
) -> None:
    detail = {"explanation": "it fails", "failing_slot": "2026-11-24T05:00:00Z"}
    command = ["acknowledge", "daily", "--of-namespace", "reports", "--url", server.url]
    server.answers = [detail]
    assert main(command) == 1
    told = capsys.readouterr().err
    assert "it fails" in told
    assert "no report is needed for slots up to 2026-11-24T05:00:00Z?" in told
    server.answers = [detail, {"acknowledged_through": "2026-11-24T05:00:00Z"}]
    assert main([*command, "--yes"]) == 0
    assert server.calls[-1] == (
        "POST", "/api/admin/schedules/reports/daily/acknowledge",
        json.dumps({"through": "2026-11-24T05:00:00Z"}),
    )  # fmt: skip
    server.answers = [{**detail, "failing_slot": None}]
    assert main([*command, "--yes"]) == 1
