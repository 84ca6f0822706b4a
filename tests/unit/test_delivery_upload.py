"""The upload channel decides: what is sent, what is left alone, and what a person is told."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from report_runner.contract.delivery import UploadDelivery
from report_runner.contract.reasons import Reason
from report_runner.contract.upload import UploadPlace
from report_runner.delivery.ledger import LedgerEntry, LedgerState
from report_runner.delivery.upload import kinds
from report_runner.delivery.upload.channel import upload_path
from report_runner.delivery.upload.place import OccupiedError, PlaceError, Stored, UploadFile
from report_runner.models import RunError
from tests.support.uploads import RUN, SLOT, Uploads

PLACE = {"name": "portal", "formats": ["csv"], "sftp": {"secretRef": {"name": "portal"}}}
PATH = "positions/positions-2026-01-05-positions.csv"


@dataclass
class Memory:
    """A place whose steps a test makes fail."""

    files: dict[str, bytes] = field(default_factory=dict)
    fails: Callable[[str], None] = lambda step: None
    keeps: Callable[[bytes], bytes] = lambda content: content
    steps: list[str] = field(default_factory=list)
    origin: str = "memory"

    def _step(self, name: str) -> None:
        self.steps.append(name)
        self.fails(name)

    def read(self, path: str, limit: int) -> Stored | None:
        self._step("read")
        content = self.files.get(path)
        if content is None:
            return None
        return Stored(len(content), hashlib.sha256(content).hexdigest())

    def write(
        self, path: str, file: UploadFile, *, replace: bool, begin: Callable[[], None]
    ) -> None:
        self._step("write")
        begin()
        if path in self.files and not replace:
            raise OccupiedError(path)
        self.files[path] = self.keeps(file.path.read_bytes())
        self._step("answer")


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch) -> Memory:
    made = Memory()
    monkeypatch.setitem(kinds.KINDS, "sftp", lambda *_: made)
    return made


@pytest.fixture
def here(tmp_path: Path) -> Uploads:
    return Uploads(tmp_path)


def fail_at(step: str, error: Exception) -> Callable[[str], None]:
    def fails(name: str) -> None:
        if name == step:
            raise error

    return fails


def test_what_is_there_already_is_not_written_again(here: Uploads, memory: Memory) -> None:
    memory.files[PATH] = here.csv.read_bytes()
    (result,) = here.deliver(PLACE)
    assert (result.status.value, memory.steps) == ("sent", ["read"])


def test_what_is_read_back_differs(here: Uploads, memory: Memory) -> None:
    memory.keeps = lambda content: content[:-1]
    (result,) = here.deliver(PLACE)
    assert result.status.value == "failed"
    assert "what is there has 8 bytes and the SHA-256" in (result.error or "")
    assert "what was sent 9 bytes" in (result.error or "")


def test_a_place_that_forgets(here: Uploads, memory: Memory) -> None:
    memory.fails = lambda step: memory.files.clear() if step == "answer" else None
    (result,) = here.deliver(PLACE)
    assert (result.status.value, result.error) == (
        "failed",
        "the place took the file, and does not have it afterwards",
    )


@pytest.mark.parametrize(
    ("step", "read_back", "status", "state"),
    [
        ("read", True, "failed", LedgerState.FAILED),
        ("write", True, "failed", LedgerState.FAILED),
        # It is there: the answer alone was lost, and a look tells.
        ("answer", True, "sent", LedgerState.SENT),
        ("answer", False, "uncertain", LedgerState.SENDING),
    ],
)
def test_an_outage_at_each_step(
    here: Uploads, memory: Memory, step: str, read_back: bool, status: str, state: LedgerState
) -> None:
    memory.fails = fail_at(step, PlaceError("no answer"))
    (result,) = here.deliver(PLACE | {"readBack": read_back})
    assert result.status.value == status
    assert [entry.state for entry in here.entries.values()] == [state]


@pytest.mark.parametrize("there", [True, False])
def test_a_run_that_was_killed_looks_before_it_sends_again(
    here: Uploads, memory: Memory, there: bool
) -> None:
    if there:
        memory.files[PATH] = here.csv.read_bytes()
    here.entries[f"upload:portal:{PATH}"] = LedgerEntry(
        message_id="id", state=LedgerState.SENDING, at=SLOT, run_id=RUN.run_id
    )
    (result,) = here.deliver(PLACE)
    assert result.status.value == "sent"
    assert ("write" in memory.steps) is not there


def test_a_place_that_cannot_be_used_keeps_no_other_back(
    here: Uploads, memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Memory(fails=fail_at("write", PlaceError("refuses the login", permanent=True)))
    monkeypatch.setitem(kinds.KINDS, "webdav", lambda *_: other)
    broken = {"name": "first", "formats": ["csv"], "webdav": {"url": "https://files.example.com"}}
    with pytest.raises(RunError, match=r"to\[first\].webdav: refuses the login") as raised:
        here.deliver(broken, PLACE)
    assert raised.value.reason is Reason.CONFIGURATION_ERROR
    assert list(memory.files) == [PATH]


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("reports/2026/a", "reports/2026/a"),
        (" /reports/a ", "reports/a"),
        ("Übersicht/März 2026", "Übersicht/März 2026"),
    ],
)
def test_path(text: str, path: str) -> None:
    assert upload_path(text, UploadPlace.model_validate(PLACE)) == path


@pytest.mark.parametrize(
    "text",
    [
        "../a", "a/../b", "a/./b", "a//b", "", "/", "..", "a\\b", "a?b", "a#b", "a%2e%2e/b",
        "a\nb", "a\0b", ".ssh/authorized_keys", "a/ b", "a /b", "x" * 1000, "\u00e9" * 500,
    ],
)  # fmt: skip
def test_no_path(text: str) -> None:
    with pytest.raises(RunError, match=r"^spec.delivery.upload.to\[portal\].path") as raised:
        upload_path(text, UploadPlace.model_validate(PLACE))
    assert raised.value.reason is Reason.CONFIGURATION_ERROR


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"path": "{{ titel"}, "no Jinja2 template"),
        ({"webdav": {"url": "https://a.example.com"}}, "set exactly one of"),
        ({"sftp": None, "webdav": {"url": "https://user:pw@a.example.com"}}, r"write http\(s\)"),
        ({"sftp": None, "webdav": {"url": "file:///etc"}}, r"write http\(s\)"),
        ({"sftp": None, "s3": {"bucket": "A_b", "secretRef": {"name": "s"}}}, "a bucket's name"),
    ],
)
def test_a_mistake_is_told_at_apply(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        UploadDelivery.model_validate({"to": [PLACE | change]})


def test_two_files_of_one_path_are_no_two_targets(here: Uploads, memory: Memory) -> None:
    results = here.deliver(PLACE | {"formats": [], "path": "same"})
    assert sorted(memory.files) == ["same-positions.csv", "same.pdf"]
    assert len({result.recipient for result in results}) == 2
