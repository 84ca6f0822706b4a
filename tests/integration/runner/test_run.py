"""`report-generator run` as a process, against a real PostgreSQL server."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.message import Message
from pathlib import Path
from typing import Any

import pytest
from conftest import PASSWORD, free_port, write_secret
from test_mail import Inbox, serving

from hack.testbed.waiting import wait_for
from report_runner.contract import pod
from report_runner.contract.reasons import EXIT_CODES, Reason
from report_runner.contract.result import DeliveryStatus, Outcome
from report_runner.storage import sha256
from tests.support.runner import RUN_ID, Pod

QUERY = "SELECT day, isin, amount FROM positions WHERE amount < 20 ORDER BY day"
STEM = "reports_positions_20260105T060000Z"
BOARD = ["a@example.com", "b@example.com"]


@pytest.fixture
def here(tmp_path: Path, database: Any) -> Pod:
    database.secret(tmp_path / "secrets")
    return Pod(tmp_path)


@contextmanager
def mailing(here: Pod) -> Iterator[list[tuple[str, Message]]]:
    inbox, port = Inbox(), free_port()
    keys = {"host": "127.0.0.1", "port": str(port), "from": "r@example.com", "security": "none"}
    write_secret(here.secrets, "report-smtp", keys)
    with serving(inbox, port):
        yield inbox.mails


def board() -> dict[str, Any]:
    return {"to": BOARD, "smtp": {"secretRef": {"name": "report-smtp"}}}


def test_report_is_written_and_reported(here: Pod) -> None:
    here.define(QUERY)
    code, result, log = here.run()
    assert (code, result.outcome, result.reason) == (0, Outcome.SUCCEEDED, None)
    assert result.rows == {"positions": 13}
    assert result.pages == 1
    assert result.message == "13 rows, 1 pages"
    assert here.files() == [f"{STEM}.csv", f"{STEM}.manifest.json", f"{STEM}.pdf"]
    for output in result.outputs:
        file = here.volume / output.path
        assert (sha256(file), file.stat().st_size) == (output.sha256, output.bytes)
    manifest = here.manifest()
    assert result.manifest == f"2026/01/05/{STEM}.manifest.json"
    assert result.storage_used_percent is not None
    assert (manifest.run_id, manifest.inputs["positions"].rows) == (RUN_ID, 13)
    assert manifest.outputs == result.outputs
    assert {json.loads(line)["run"] for line in log.splitlines()} == {RUN_ID}


@pytest.mark.parametrize(
    ("query", "reason", "said"),
    [
        (
            "SELECT isin,\n  amont FROM positions",
            Reason.CONFIGURATION_ERROR,
            "query line 2, column 3",
        ),
        ("SELECT * FROM positions WHERE false", Reason.EMPTY_REPORT, "allowEmpty"),
    ],
)
def test_failures_name_their_field(here: Pod, query: str, reason: Reason, said: str) -> None:
    here.define(query)
    code, result, log = here.run()
    assert (code, result.outcome, result.reason) == (EXIT_CODES[reason], Outcome.FAILED, reason)
    assert said in result.message
    assert result.storage_used_percent is not None
    if reason is Reason.CONFIGURATION_ERROR:
        assert "spec.report.sources[positions].postgres.query" in result.message
    assert PASSWORD not in log + here.termination_log.read_text()
    assert here.files() == []


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"password": "wr0ng-" + PASSWORD}, Reason.CONFIGURATION_ERROR),
        ({"port": "1"}, Reason.DATABASE_UNAVAILABLE),
    ],
)
def test_failed_login_reveals_no_password(
    here: Pod, database: Any, changes: dict[str, str], reason: Reason
) -> None:
    database.secret(here.secrets, **changes)
    here.define(QUERY)
    code, result, log = here.run()
    assert (code, result.reason) == (EXIT_CODES[reason], reason)
    assert "Secret report-db" in result.message
    assert PASSWORD not in log + here.termination_log.read_text()


def test_missing_environment_is_a_configuration_error(here: Pod) -> None:
    here.define(QUERY)
    code, result, _ = here.run(**{pod.ENV_SLOT: ""})
    assert code == EXIT_CODES[Reason.CONFIGURATION_ERROR]
    assert "REPORT_SLOT not set" in result.message
    code, result, _ = here.run(REPORT_DEFINITION=str(here.root / "nothing.json"))
    assert code == EXIT_CODES[Reason.CONFIGURATION_ERROR]
    assert "nothing.json cannot be read" in result.message


def test_second_attempt_neither_renders_nor_mails_again(here: Pod) -> None:
    with mailing(here) as mails:
        here.define(QUERY, board())
        code, first, _ = here.run()
        assert (code, first.message) == (0, "13 rows, 1 pages, sent to 2 recipients")
        made = here.manifest().generated_at
        code, second, _ = here.run(**{pod.ENV_ATTEMPT: "2"})
        assert code == 0
        assert second.outputs == first.outputs
        assert (second.rows, second.pages) == (first.rows, first.pages)
        assert here.manifest().generated_at == made
        assert {d.status for d in second.deliveries} == {DeliveryStatus.ALREADY_SENT}
        assert [recipient for recipient, _ in mails] == BOARD


@pytest.fixture
def twice_the_rows(database: Any) -> Iterator[Callable[[], None]]:
    """Adds the rows of QUERY once more when it is called; they are gone after the test."""

    def add() -> None:
        with database.admin() as admin:
            admin.execute(
                "INSERT INTO positions SELECT day, 'MORE', amount FROM positions WHERE amount < 20"
            )

    yield add
    with database.admin() as admin:
        admin.execute("DELETE FROM positions WHERE isin = 'MORE'")


def test_resend_makes_the_report_anew_and_sends_it_to_those_who_are_named(
    here: Pod, twice_the_rows: Callable[[], None]
) -> None:
    with mailing(here) as mails:
        here.define(QUERY, board())
        _, first, _ = here.run()
        twice_the_rows()
        second = RUN_ID.removesuffix("1") + "2"
        asked = {pod.ENV_RUN_ID: second, pod.ENV_ATTEMPT: "2"}
        code, known, _ = here.run(**asked, **{pod.ENV_RESEND: '["nobody@example.com"]'})
        assert (code, known.reason) == (
            EXIT_CODES[Reason.CONFIGURATION_ERROR], Reason.CONFIGURATION_ERROR
        )  # fmt: skip
        assert "nobody@example.com, who is no recipient" in known.message
        assert len(mails) == 2
        code, known, _ = here.run(**asked, **{pod.ENV_RESEND: '["B@Example.com"]'})
        assert code == 0
        assert sum(known.rows.values()) == 2 * sum(first.rows.values())
        assert [recipient for recipient, _ in mails[2:]] == [BOARD[1]]
        assert mails[2][1]["Message-ID"] not in {mail["Message-ID"] for _, mail in mails[:2]}
        assert "replaces what was sent" in str(mails[2][1])
        assert [resent.to for resent in here.manifest().resends] == ['["B@Example.com"]']
        # Another pod of the run, and a further attempt without the request, send nothing.
        for stamps in (asked, {pod.ENV_RUN_ID: f"{second}0", pod.ENV_ATTEMPT: "20"}):
            code, known, _ = here.run(**stamps)
            assert {d.status for d in known.deliveries} == {DeliveryStatus.ALREADY_SENT}
        assert len(mails) == 3


def test_resend_that_fails_is_gone_on_with_by_the_next_attempt(here: Pod, database: Any) -> None:
    with mailing(here) as mails:
        here.define(QUERY, board())
        here.run()
        database.secret(here.secrets, port="1")
        asked = {pod.ENV_RUN_ID: "positions.2", pod.ENV_ATTEMPT: "2", pod.ENV_RESEND: "all"}
        assert here.run(**asked)[0] == EXIT_CODES[Reason.DATABASE_UNAVAILABLE]
        database.secret(here.secrets)
        made = here.manifest().generated_at
        code, known, _ = here.run(**{pod.ENV_RUN_ID: "positions.3", pod.ENV_ATTEMPT: "3"})
        assert (code, here.manifest().run_id) == (0, "positions.3")
        assert here.manifest().generated_at >= made
        assert [recipient for recipient, _ in mails[2:]] == BOARD
        assert {d.status for d in known.deliveries} == {DeliveryStatus.SENT}


def test_changed_file_is_rendered_again_but_not_mailed_again(here: Pod) -> None:
    with mailing(here) as mails:
        here.define(QUERY, board())
        _, first, _ = here.run()
        damaged = here.volume / first.outputs[0].path
        damaged.write_bytes(b"%PDF- half")
        code, second, _ = here.run()
        assert code == 0
        assert second.outputs[0].sha256 == sha256(damaged)
        assert damaged.stat().st_size > 100
        assert len(mails) == 2


def active(database: Any, text: str) -> list[str]:
    """Application names of running queries that contain `text`."""
    with database.admin() as admin:
        rows = admin.execute(
            "SELECT application_name FROM pg_stat_activity WHERE state = 'active' "
            "AND pid <> pg_backend_pid() AND position(%s in query) > 0",
            (text,),
        ).fetchall()
    return [row[0] for row in rows]


def test_sigterm_in_a_long_query_ends_it_on_both_sides(here: Pod, database: Any) -> None:
    here.define("SELECT pg_sleep(60), 'of the stopped run' AS isin")
    with here.start() as process:
        (name,) = wait_for("the query runs", lambda: active(database, "of the stopped run"))
        assert "scheduler" in name
        assert RUN_ID in name
        process.send_signal(signal.SIGTERM)
        before = time.monotonic()
        _, log = process.communicate(timeout=30)
    assert time.monotonic() - before < 10
    assert process.returncode == 128 + signal.SIGTERM
    wait_for("the query is gone", lambda: not active(database, "of the stopped run"), seconds=5)
    result = here.result()
    assert (result.outcome, result.reason) == (Outcome.FAILED, Reason.INTERNAL_ERROR)
    assert result.message == "stopped by SIGTERM in stage sources"
    assert here.files() == []
    assert PASSWORD not in log


SUBJECT = "Data of {{ data_date }}: {{ sources.positions.rows | length }} rows, {{ report_date }}"


def test_the_subject_sees_what_the_page_sees(here: Pod) -> None:
    here.define(
        "SELECT date '2026-01-02' AS as_of, isin FROM positions LIMIT 2",
        email={**board(), "subject": SUBJECT},
    )
    inbox, port = Inbox(refused=BOARD[1]), free_port()
    keys = {"host": "127.0.0.1", "port": str(port), "from": "r@example.com", "security": "none"}
    write_secret(here.secrets, "report-smtp", keys)
    with serving(inbox, port):
        assert here.run()[0] == EXIT_CODES[Reason.DELIVERY_FAILED]
        inbox.refused = ""
        # The next attempt reuses the files and reads no rows: its subject is the same.
        code, _, log = here.run()
    assert code == 0
    assert "the files of an earlier attempt are used" in log
    assert [mail["Subject"] for _, mail in inbox.mails] == [
        "Data of 2026-01-02: 2 rows, 2026-01-05"
    ] * 2


@pytest.mark.parametrize(
    "subject",
    [
        "{{ report_dat }}", "{{ sources.pos.rows }}", "{{ 1 / 0 }}", "{{ '' }}", "{{ 'x' * 501 }}",
        "{{ '=?utf-8?q?a=0D=0ABcc:_b@example.com?=' }}",
    ],
)  # fmt: skip
def test_a_subject_that_does_not_render_fails_before_the_report(here: Pod, subject: str) -> None:
    here.define(QUERY, email={**board(), "subject": subject})
    with mailing(here) as mails:
        code, result, _ = here.run()
    assert code == EXIT_CODES[Reason.CONFIGURATION_ERROR]
    assert "spec.delivery.email.subject" in result.message
    assert here.files() == []
    assert mails == []


def test_every_part_of_a_mail_has_seven_bits(here: Pod) -> None:
    here.define(QUERY, email={**board(), "subject": "Überblick – {{ report_date }}"}, title="Größe")
    with mailing(here) as mails:
        assert here.run()[0] == 0
    for _, mail in mails:
        assert mail.as_bytes().isascii()
        parts = [part for part in mail.walk() if not part.is_multipart()]
        assert {part["Content-Transfer-Encoding"] for part in parts} <= {
            "quoted-printable", "base64", "7bit",
        }  # fmt: skip
        text = next(part for part in parts if part.get_content_type() == "text/plain")
        assert "Größe" in text.get_payload(decode=True).decode()  # type: ignore[union-attr]


def test_each_source_has_a_time_of_its_own(here: Pod) -> None:
    here.define("SELECT isin, pg_sleep(1.2)::text FROM positions LIMIT 1")
    assert here.run()[0] == 0
    (own,) = here.manifest().inputs.values()
    assert own.seconds >= 1.2
