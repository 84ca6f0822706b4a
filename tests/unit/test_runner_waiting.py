"""The runner asks whether its data are ready, and says what it found."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pypdf import PdfReader
from test_render_documents import given

from report_runner.contract import pod
from report_runner.contract.definition import Definition
from report_runner.contract.reasons import (
    EXIT_CODES,
    EXIT_NOT_READY_YET,
    EXIT_OK,
    PERMANENT_EXIT_CODES,
    Reason,
    reason_of_exit_code,
)
from report_runner.contract.report import BuiltinTemplate, Format
from report_runner.contract.result import (
    ANSWER_LIMIT,
    Outcome,
    RunResult,
    dump_result,
    parse_result,
)
from report_runner.contract.sources import InlineSource
from report_runner.contract.waiting import OnDeadline
from report_runner.delivery.message import email_bodies
from report_runner.environment import Paths, RunStamps
from report_runner.manifest import Manifest
from report_runner.models import RunError, RunSkipped, Table
from report_runner.mounted import Secrets
from report_runner.pod_run import EXIT_TERMINATED, TerminatedError, account
from report_runner.progress import RunProgress
from report_runner.redaction import SecretEntry
from report_runner.render.documents import builtin_template, render
from report_runner.run import make_report
from report_runner.sources import SOURCES, Fetched, SourceContext, inline_table
from report_runner.waiting import DataNotReadyYet, ask_for_data

SLOT = datetime(2026, 1, 5, 6, tzinfo=UTC)
DEADLINE = SLOT + timedelta(hours=2)
ANSWER = "source positions has 0 rows, and `positions | length > 0` is not true"
NOT_BY_THEN = f"the data were not ready by 2026-01-05T08:00:00Z: {ANSWER}"


class Failing:
    """A source that cannot be read."""

    def __init__(self, reason: Reason, message: str) -> None:
        self.error = RunError(reason, message)

    def fetch(self, _name: str, _spec: InlineSource, _context: SourceContext) -> Fetched:
        raise self.error


class Ready:
    """A source that has these rows by now."""

    def __init__(self, table: Table) -> None:
        self.table = table

    def fetch(self, _name: str, _spec: InlineSource, _context: SourceContext) -> Fetched:
        return Fetched(self.table)


class Counting:
    """Counts how often each source is read."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def fetch(self, name: str, spec: InlineSource, _context: SourceContext) -> Fetched:
        self.names.append(name)
        return Fetched(inline_table(spec))


def run_at(
    now: datetime,
    root: Path,
    rows: list[dict[str, Any]] | None = None,
    reported: Sequence[dict[str, Any]] = ({"a": 1},),
    **wait: Any,
) -> tuple[RunResult, int]:
    """The result and the exit code of a pod that starts at `now`."""
    definition = {
        "namespace": "reports",
        "name": "positions",
        "uid": "u1",
        "reportType": "positions",
        "timeZone": "Etc/UTC",
        "report": {
            "title": "Positions",
            "sources": [
                {"name": "other", "inline": {"rows": list(reported)}},
                {"name": "positions", "inline": {"rows": rows or []}},
            ],
            "template": {"configMapRef": {"name": "positions"}},
            "formats": ["html"],
            "waitFor": {"source": "positions", "until": "positions | length > 0", **wait},
        },
        "output": {"retention": "3650d"},
        "templateText": "<html><body class='x'><h1>{{ title }}</h1></body></html>",
    }
    paths = Paths(root / "definition.json", root / "secrets", root / "volume", root / "log")
    paths.definition.write_text(json.dumps(definition))
    stamps = {
        pod.ENV_SLOT: "2026-01-05T06:00:00Z",
        pod.ENV_REPORT_DATE: "2026-01-05",
        pod.ENV_RUN_ID: "positions.20260105T060000Z.1",
        pod.ENV_DEFINITION_SHA256: hashlib.sha256(paths.definition.read_bytes()).hexdigest(),
    }
    paths.output.mkdir(exist_ok=True)
    progress = RunProgress()
    return account(
        progress,
        lambda: make_report(paths, stamps, Secrets(paths.secrets), progress, lambda: now),
    )


def files(root: Path) -> list[str]:
    found = (path for path in (root / "volume").rglob("*") if path.is_file())
    return sorted(path.suffix for path in found if path.suffix != ".lock")


def test_report_is_made_when_the_data_are_ready(tmp_path: Path) -> None:
    result, code = run_at(SLOT, tmp_path, [{"a": 1}])
    assert (result.outcome, code) == (Outcome.SUCCEEDED, EXIT_OK)
    assert "not ready" not in result.message
    assert files(tmp_path) == [".html", ".json"]


@pytest.mark.parametrize("now", [SLOT, DEADLINE - timedelta(seconds=1)])
def test_pod_ends_without_a_report_while_they_are_not(tmp_path: Path, now: datetime) -> None:
    result, code = run_at(now, tmp_path, every="10m")
    assert code == EXIT_NOT_READY_YET
    assert (result.outcome, result.reason) == (Outcome.FAILED, Reason.DATA_NOT_READY)
    assert result.not_ready is not None
    assert result.not_ready.answer == ANSWER
    assert result.not_ready.every_seconds == 600
    assert result.not_ready.deadline == DEADLINE
    assert result.not_ready.on_deadline is OnDeadline.FAIL
    assert files(tmp_path) == []
    assert parse_result(dump_result(result)) == result


def test_exit_code_of_a_check_is_no_failure() -> None:
    assert EXIT_NOT_READY_YET not in EXIT_CODES.values()
    assert EXIT_NOT_READY_YET not in PERMANENT_EXIT_CODES
    assert reason_of_exit_code(EXIT_NOT_READY_YET) is Reason.DATA_NOT_READY
    assert EXIT_CODES[Reason.DATA_NOT_READY] in PERMANENT_EXIT_CODES


@pytest.mark.parametrize("now", [DEADLINE, DEADLINE + timedelta(days=400)])
def test_run_fails_at_the_deadline(tmp_path: Path, now: datetime) -> None:
    """A run for an older date asks once."""
    result, code = run_at(now, tmp_path)
    assert code == EXIT_CODES[Reason.DATA_NOT_READY]
    assert result.reason is Reason.DATA_NOT_READY
    assert result.not_ready is None
    assert result.message == f"{NOT_BY_THEN}; retry it when they are there"


def test_run_is_skipped_at_the_deadline(tmp_path: Path) -> None:
    run_at(SLOT, tmp_path, onDeadline="Skip")  # writes the definition
    definition = Definition.model_validate_json((tmp_path / "definition.json").read_bytes())
    stamps = RunStamps(SLOT, SLOT.date(), "run.1", 1, "")
    context = SourceContext(definition, stamps, Secrets(tmp_path))
    with pytest.raises(RunSkipped) as skipped:
        ask_for_data(context, DEADLINE)
    assert skipped.value.reason is Reason.DATA_NOT_READY
    assert skipped.value.message == NOT_BY_THEN


def test_report_is_made_and_marked_at_the_deadline(tmp_path: Path) -> None:
    result, code = run_at(DEADLINE, tmp_path, onDeadline="SendMarked")
    assert code == EXIT_OK
    assert result.message.endswith(NOT_BY_THEN)
    assert result.outcome is Outcome.SUCCEEDED
    (page,) = (tmp_path / "volume").rglob("*.html")
    text = page.read_text()
    told = NOT_BY_THEN.replace(">", "&gt;")
    assert told in text
    assert text.index(told) < text.index("<h1>")
    (path,) = (tmp_path / "volume").rglob("*.manifest.json")
    assert Manifest.model_validate_json(path.read_bytes()).not_ready == NOT_BY_THEN


def test_marked_report_is_not_taken_for_one_when_the_data_are_there(tmp_path: Path) -> None:
    """A further attempt asks again, and its report is made anew."""
    late = DEADLINE + timedelta(hours=1)
    run_at(DEADLINE, tmp_path, onDeadline="SendMarked")
    again, _ = run_at(late, tmp_path, onDeadline="SendMarked")
    assert again.message.endswith(NOT_BY_THEN)
    (path,) = (tmp_path / "volume").rglob("*.manifest.json")
    marked = Manifest.model_validate_json(path.read_bytes())
    # What was stored is of the same definition, and of other data.
    definition = tmp_path / "definition.json"
    digest = hashlib.sha256(
        Definition.model_validate_json(definition.read_bytes()).model_dump_json().encode()
    ).hexdigest()
    assert marked.definition == digest
    rows = inline_table(InlineSource(rows=[{"a": 1}]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(SOURCES, "inline", lambda: Ready(rows))
        ready, _ = run_at(late, tmp_path, onDeadline="SendMarked")
    assert "not ready" not in ready.message
    (page,) = (tmp_path / "volume").rglob("*.html")
    assert "not ready" not in page.read_text()
    assert Manifest.model_validate_json(path.read_bytes()).not_ready is None


def test_source_out_of_reach_is_an_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The database may be back by the deadline; then its absence is the run's own failure."""
    failing = Failing(Reason.DATABASE_UNAVAILABLE, "no route " + "x" * 1000)
    monkeypatch.setitem(SOURCES, "inline", lambda: failing)
    result, code = run_at(SLOT, tmp_path)
    assert code == EXIT_NOT_READY_YET
    assert result.not_ready is not None
    assert result.not_ready.answer.startswith("DatabaseUnavailable: no route")
    assert len(result.not_ready.answer) == ANSWER_LIMIT
    for how in OnDeadline:
        result, code = run_at(DEADLINE, tmp_path, onDeadline=how.value)
        assert result.reason is Reason.DATABASE_UNAVAILABLE


class Stopped:
    """A source during which the pod is stopped."""

    def fetch(self, _name: str, _spec: InlineSource, _context: SourceContext) -> Fetched:
        raise TerminatedError


def test_stopped_check_is_no_try(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The Job controller deletes the pods of a Job that is suspended; spec.timeout ends one."""
    monkeypatch.setitem(SOURCES, "inline", Stopped)
    result, code = run_at(SLOT, tmp_path)
    assert code == EXIT_NOT_READY_YET
    assert result.not_ready is not None
    assert "stopped before it had an answer" in result.not_ready.answer
    # At the deadline it may not ask again: a try like any other.
    result, code = run_at(DEADLINE, tmp_path)
    assert (code, result.not_ready) == (EXIT_TERMINATED, None)


def test_run_that_is_stopped_after_its_check_is_a_try(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class ThenStopped(Counting):
        def fetch(self, name: str, spec: InlineSource, context: SourceContext) -> Fetched:
            if self.names:
                raise TerminatedError
            return super().fetch(name, spec, context)

    source = ThenStopped()
    monkeypatch.setitem(SOURCES, "inline", lambda: source)
    result, code = run_at(SLOT, tmp_path, [{"a": 1}])
    assert (code, result.not_ready) == (EXIT_TERMINATED, None)


def test_wrong_query_is_no_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Waiting does not mend it."""
    failing = Failing(Reason.CONFIGURATION_ERROR, "no such table")
    monkeypatch.setitem(SOURCES, "inline", lambda: failing)
    result, code = run_at(SLOT, tmp_path)
    assert (result.reason, code) == (Reason.CONFIGURATION_ERROR, 78)


def test_expression_that_fails_is_a_wrong_configuration(tmp_path: Path) -> None:
    result, code = run_at(SLOT, tmp_path, until="positions.rows[0].loaded")
    assert (result.reason, code) == (Reason.CONFIGURATION_ERROR, 78)
    assert result.message.startswith("spec.report.waitFor.until")


def test_check_reads_its_source_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counting = Counting()
    monkeypatch.setitem(SOURCES, "inline", lambda: counting)
    run_at(SLOT, tmp_path)
    assert counting.names == ["positions"]


def test_a_source_that_is_only_waited_for_is_no_part_of_the_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counting = Counting()
    monkeypatch.setitem(SOURCES, "inline", lambda: counting)
    result, code = run_at(SLOT, tmp_path, excludeSource=True)
    assert code == EXIT_NOT_READY_YET
    assert result.not_ready is not None
    assert result.not_ready.answer == ANSWER
    result, code = run_at(SLOT, tmp_path, [{"canary": 4711}, {"canary": 4712}], excludeSource=True)
    assert code == EXIT_OK
    assert counting.names == ["positions", "positions", "other"]
    assert result.rows == {"other": 1}
    (path,) = (tmp_path / "volume").rglob("*.manifest.json")
    assert set(Manifest.model_validate_json(path.read_bytes()).inputs) == {"other"}
    written = [file for file in (tmp_path / "volume").rglob("*") if file.is_file()]
    assert len(written) > 1
    assert not any(b"4711" in file.read_bytes() for file in written)


def test_a_report_is_empty_whatever_its_wait_found(tmp_path: Path) -> None:
    """The load's mark is no row that a reader gets."""
    result, _ = run_at(SLOT, tmp_path, [{"a": 1}], reported=[], excludeSource=True)
    assert result.reason is Reason.EMPTY_REPORT
    result, _ = run_at(SLOT, tmp_path, [{"a": 1}], reported=[])
    assert result.outcome is Outcome.SUCCEEDED


@pytest.mark.parametrize("before", [0, ANSWER_LIMIT - len("DatabaseUnavailable: ") - 7])
def test_answer_holds_no_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: int
) -> None:
    """Nor a part of one, where the answer is cut in the middle of it."""
    failing = Failing(Reason.DATABASE_UNAVAILABLE, "x" * before + "hunter2-of-the-reports")
    monkeypatch.setitem(SOURCES, "inline", lambda: failing)
    secrets = Secrets(tmp_path)
    secrets.redact.add(SecretEntry("report-db", "password", "hunter2-of-the-reports"))
    run_at(SLOT, tmp_path)  # writes the definition
    definition = Definition.model_validate_json((tmp_path / "definition.json").read_bytes())
    context = SourceContext(definition, RunStamps(SLOT, SLOT.date(), "run.1", 1, ""), secrets)
    with pytest.raises(DataNotReadyYet) as found:
        ask_for_data(context, SLOT)
    assert "hunter2" not in found.value.check.answer
    assert found.value.check.answer.startswith("DatabaseUnavailable: ")


@pytest.mark.parametrize("builtin", list(BuiltinTemplate))
def test_first_page_and_mail_have_the_warning(tmp_path: Path, builtin: BuiltinTemplate) -> None:
    data = given(template=builtin_template(builtin), warnings=("not ready: 3 < 4",))
    (made,) = render(data, [Format.PDF], tmp_path)
    assert "not ready: 3 < 4" in PdfReader(made.path).pages[0].extract_text()
    text, html = email_bodies(data)
    assert text.index("not ready: 3 < 4") < text.index("Report: ")
    assert html.index("not ready: 3 &lt; 4") < html.index("<table>")
