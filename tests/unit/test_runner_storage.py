"""The report volume: names, whole files, and what a bad disk is called."""

from __future__ import annotations

import errno
import os
import subprocess
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from report_runner import manifest, storage
from report_runner.contract.reasons import Reason
from report_runner.models import RunError
from report_runner.storage import OutputPaths

SLOT = datetime(2026, 1, 5, 6, tzinfo=UTC)
DAY = date(2026, 1, 5)
LONGEST_SUFFIX = storage.MANIFEST_SUFFIX


def paths_in(
    root: Path, name: str = "daily", day: date = DAY, namespace: str = "reports"
) -> OutputPaths:
    paths = storage.output_paths(root, namespace, name, SLOT, day)
    storage.prepare(paths)
    return paths


def files(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


def test_a_file_is_found_by_date_schedule_and_slot(tmp_path: Path) -> None:
    written = storage.write_whole(paths_in(tmp_path), ".pdf", b"x")
    assert files(tmp_path) == ["2026/01/05/reports_daily_20260105T060000Z.pdf"]
    assert written.read_bytes() == b"x"


def test_how_full_the_volume_is(tmp_path: Path) -> None:
    shown = subprocess.run(
        ["df", "--output=pcent", tmp_path], capture_output=True, text=True, check=True
    )
    used = storage.used_percent(tmp_path)
    assert used is not None
    assert abs(used - int(shown.stdout.split()[-1].rstrip("%"))) <= 1  # others write meanwhile
    assert storage.used_percent(tmp_path / "none") is None


def test_the_longest_names_fit_and_remain_distinct(tmp_path: Path) -> None:
    namespace, long = "n" * 63, "s" * 252
    names = [long + "a", long + "b", "s" * 100 + "." + "s" * 152]
    found_paths = [paths_in(tmp_path, name, namespace=namespace) for name in names]
    for paths, name in zip(found_paths, names, strict=True):
        storage.write_whole(paths, LONGEST_SUFFIX, name.encode())
        draft = storage.temporary(paths, LONGEST_SUFFIX)
        assert len(os.fsencode(draft.name)) <= 255
    assert len(files(tmp_path)) == 3
    found = [paths.file(LONGEST_SUFFIX).read_text() for paths in found_paths]
    assert found == names


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("a", "b-c"), ("a-b", "c")),
        (("a", "b.c"), ("a", "b-c")),
        (("n" * 63, "s" * 112), ("n" * 63, "s" * 112 + "-a")),  # around the limit
        (("n" * 63, "s" * 119), ("n" * 63, "s" * 120)),
    ],
)
def test_no_two_schedules_share_a_prefix(one: tuple[str, str], other: tuple[str, str]) -> None:
    first, second = (storage.schedule_prefix(*pair) + "_" for pair in (one, other))
    assert not first.startswith(second)
    assert not second.startswith(first)


def test_a_file_replaces_the_earlier_one_whole(tmp_path: Path) -> None:
    paths = paths_in(tmp_path)
    storage.write_whole(paths, ".pdf", b"earlier, and longer")
    with paths.file(".pdf").open("rb") as reader:
        storage.write_whole(paths, ".pdf", b"later")
        assert reader.read() == b"earlier, and longer"  # who reads it keeps what was there
    assert paths.file(".pdf").read_bytes() == b"later"
    assert not list(paths.day.glob(".*"))


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_after_an_error_the_earlier_file_is_there_and_no_draft(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    paths = paths_in(tmp_path)
    storage.write_whole(paths, ".pdf", b"earlier")
    seen: list[list[str]] = []

    def full(*_arguments: Any) -> None:
        seen.append([path.name for path in paths.day.glob(".*")])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(*((os, "fsync") if step == "fsync" else (Path, "replace")), full)
    with pytest.raises(RunError) as caught:
        storage.write_whole(paths, ".pdf", b"later")
    assert seen == [[".reports_daily_20260105T060000Z.pdf.tmp"]]  # written beside, not over
    assert caught.value.reason is Reason.STORAGE_UNAVAILABLE
    assert "2026/01/05/reports_daily_20260105T060000Z.pdf" in caught.value.message
    assert "the volume is full" in caught.value.message
    assert [path.name for path in paths.day.iterdir()] == [paths.file(".pdf").name]
    assert paths.file(".pdf").read_bytes() == b"earlier"


def test_sweeping_removes_the_drafts_of_this_slot_only(tmp_path: Path) -> None:
    paths, other = paths_in(tmp_path), paths_in(tmp_path, "daily-2")
    for each in (paths, other):
        storage.temporary(each, ".pdf").write_bytes(b"half")
        storage.write_whole(each, ".csv", b"whole")
    storage.remove_stale(paths)
    assert not storage.temporary(paths, ".pdf").exists()
    assert storage.temporary(other, ".pdf").exists()
    assert paths.file(".csv").exists()


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (errno.ENOSPC, "free space or enlarge it (ENOSPC)"),
        (errno.EDQUOT, "quota is used up"),
        (errno.EROFS, "read-only"),
        (errno.EACCES, "fsGroup"),
        (errno.ESTALE, "stale handle"),
        (errno.ENODEV, "No such device (ENODEV)"),
    ],
)
def test_a_disk_error_is_storage_unavailable_with_a_remedy(code: int, said: str) -> None:
    with pytest.raises(RunError) as caught, storage.storage_errors("report file x.pdf"):
        raise OSError(code, os.strerror(code))
    assert caught.value.reason is Reason.STORAGE_UNAVAILABLE
    assert caught.value.message.startswith("report file x.pdf: ")
    assert said in caught.value.message


def test_a_volume_that_is_no_directory(tmp_path: Path) -> None:
    (tmp_path / "volume").write_text("")
    with pytest.raises(RunError) as caught:
        paths_in(tmp_path / "volume")
    assert caught.value.reason is Reason.STORAGE_UNAVAILABLE


def test_a_manifest_that_cannot_be_read_is_not_one_that_is_missing(tmp_path: Path) -> None:
    """Else the ledger would be taken as empty, and everybody would get the mail again."""
    paths = paths_in(tmp_path)
    assert manifest.load(paths) is None
    paths.file(storage.MANIFEST_SUFFIX).mkdir()
    with pytest.raises(RunError) as caught:
        manifest.load(paths)
    assert caught.value.reason is Reason.STORAGE_UNAVAILABLE


def test_a_damaged_manifest_says_what_to_do(tmp_path: Path) -> None:
    paths = paths_in(tmp_path)
    storage.write_whole(paths, storage.MANIFEST_SUFFIX, b'{"namespace": "rep')
    with pytest.raises(RunError, match="remove it to have the report made") as caught:
        manifest.load(paths)
    assert caught.value.reason is Reason.STORAGE_UNAVAILABLE
