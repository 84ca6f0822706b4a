"""Pruning: by when files were made, never another's, never under a run, and again after a kill."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import threading
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from report_runner import manifest as manifests
from report_runner import retention, storage
from report_runner.contract import pod
from report_runner.environment import Paths
from report_runner.manifest import Manifest
from report_runner.mounted import Secrets
from report_runner.progress import RunProgress
from report_runner.retention import prune
from report_runner.run import make_report
from report_runner.storage import OutputPaths

NOW = datetime(2026, 11, 25, 6, tzinfo=UTC)
WEEK = timedelta(days=7)
OLD_SLOT = datetime(2026, 8, 1, 6, tzinfo=UTC)


def made(
    root: Path,
    made_at: datetime,
    name: str = "daily",
    slot: datetime = OLD_SLOT,
    namespace: str = "reports",
) -> OutputPaths:
    """A PDF, a CSV and the manifest of a slot; all are as old on disk as the manifest says."""
    paths = storage.output_paths(root, namespace, name, slot, slot.date())
    with manifests.slot_lock(paths):
        storage.write_whole(paths, ".pdf", b"pdf")
        storage.write_whole(paths, ".csv", b"csv")
        manifests.save(
            paths,
            Manifest(
                namespace=namespace,
                name=name,
                slot=slot,
                report_date=slot.date(),
                run_id="r",
                attempt=1,
                definition="d",
                generated_at=made_at,
            ),
        )
    date_files(paths, made_at)
    return paths


def date_files(paths: OutputPaths, at: datetime) -> None:
    for path in paths.day.iterdir():
        os.utime(path, (at.timestamp(), at.timestamp()))


def pruned(root: Path, name: str = "daily", keep: OutputPaths | None = None) -> int:
    return prune(root, "reports", name, NOW - WEEK, NOW, keep)


def run_for(root: Path, day: date, now: datetime, retention_of: str = "7d") -> None:
    """A whole run of a backfill, as its pod makes it."""
    definition = {
        "namespace": "reports",
        "name": "daily",
        "uid": "u1",
        "reportType": "daily",
        "timeZone": "Etc/UTC",
        "report": {
            "title": "Daily",
            "sources": [{"name": "rows", "inline": {"rows": [{"a": 1}]}}],
            "template": {"builtin": "executive_dashboard"},
            "formats": ["csv"],
        },
        "output": {"retention": retention_of},
    }
    paths = Paths(root / "definition.json", root / "secrets", root / "volume", root / "log")
    paths.definition.write_text(json.dumps(definition))
    paths.output.mkdir(exist_ok=True)
    stamps = {
        pod.ENV_SLOT: f"{day}T06:00:00Z",
        pod.ENV_REPORT_DATE: str(day),
        pod.ENV_RUN_ID: f"daily.{day}.1",
        pod.ENV_DEFINITION_SHA256: hashlib.sha256(paths.definition.read_bytes()).hexdigest(),
    }
    make_report(paths, stamps, Secrets(paths.secrets), RunProgress(), lambda: now)


def reports(root: Path) -> list[str]:
    return sorted(path.parent.name for path in root.rglob("*.csv"))


def test_a_backfill_of_dates_older_than_the_retention_keeps_the_files_of_each(
    tmp_path: Path,
) -> None:
    for day in (1, 2, 3, 4):
        run_for(tmp_path, date(2026, 8, day), NOW)
    assert reports(tmp_path) == ["01", "02", "03", "04"]
    run_for(tmp_path, date(2026, 8, 2), NOW + timedelta(days=6))  # kept from then on
    run_for(tmp_path, NOW.date(), NOW + timedelta(days=7, seconds=1))
    assert reports(tmp_path) == ["02", "25"]
    run_for(tmp_path, date(2026, 12, 9), NOW + timedelta(days=15))
    assert reports(tmp_path) == ["09"]


def test_files_go_by_when_they_were_made_and_not_by_the_time_on_disk(tmp_path: Path) -> None:
    restored = made(tmp_path, NOW - WEEK - timedelta(seconds=1))
    date_files(restored, NOW)
    copied = made(tmp_path, NOW - WEEK, slot=OLD_SLOT + timedelta(days=1))
    date_files(copied, NOW - 50 * WEEK)
    assert pruned(tmp_path) == 3
    assert not restored.day.exists()
    assert copied.file(".pdf").exists()


def test_without_a_manifest_that_says_it_the_newest_file_does(tmp_path: Path) -> None:
    missing, damaged, future, fresh = (
        made(tmp_path, NOW - 2 * WEEK, slot=OLD_SLOT + timedelta(days=day)) for day in range(4)
    )
    missing.file(storage.MANIFEST_SUFFIX).unlink()
    damaged.file(storage.MANIFEST_SUFFIX).write_bytes(b"{")
    date_files(damaged, NOW - 2 * WEEK)
    made(tmp_path, NOW + timedelta(days=1), slot=OLD_SLOT + timedelta(days=2))  # a wrong clock
    date_files(future, NOW - 2 * WEEK)
    fresh.file(storage.MANIFEST_SUFFIX).unlink()
    os.utime(fresh.file(".csv"), (NOW.timestamp(), NOW.timestamp()))
    assert pruned(tmp_path) == 2 + 3 + 3
    assert sorted(path.name for path in fresh.day.glob("*.*")) == [
        lock(fresh).name,
        fresh.file(".csv").name,
        fresh.file(".pdf").name,
    ]


def lock(paths: OutputPaths) -> Path:
    return manifests.lock_path(paths)


def test_only_files_of_this_schedules_slots_are_touched(tmp_path: Path) -> None:
    long_ago = NOW - 10 * WEEK
    mine = made(tmp_path, long_ago)
    others = [made(tmp_path, long_ago, name) for name in ("daily-2", "daily.2", "dail")]
    others.append(made(tmp_path, long_ago, namespace="reports-2"))
    strange = ["notes.txt", "reports_daily_notes.txt", "reports_daily_20260801T060000Z", "x.lock"]
    for name in strange:
        (mine.day / name).write_text("a person's")
        os.utime(mine.day / name, (0, 0))
    draft = storage.temporary(mine, ".xlsx")
    draft.write_bytes(b"half")
    os.utime(draft, (0, 0))
    before = set(tmp_path.rglob("*"))
    assert pruned(tmp_path) == 4
    gone = before - set(tmp_path.rglob("*"))
    assert gone == {
        mine.file(".pdf"), mine.file(".csv"), mine.file(storage.MANIFEST_SUFFIX), draft, lock(mine)
    }  # fmt: skip
    assert all(other.file(".pdf").exists() for other in others)


def test_no_link_leads_out_of_the_volume(tmp_path: Path) -> None:
    volume, outside = tmp_path / "volume", tmp_path / "outside"
    volume.mkdir()
    kept = made(outside, NOW - 10 * WEEK)
    (volume / "2026").symlink_to(outside / "2026")
    (volume / "2025").mkdir()
    (volume / "2025" / "08").symlink_to(outside / "2026" / "08")
    assert pruned(volume) == 0
    assert kept.file(".pdf").exists()


def test_a_long_names_pruning_leaves_its_neighbour_alone(tmp_path: Path) -> None:
    one, other = "s" * 252 + "a", "s" * 252 + "b"
    kept = [made(tmp_path, NOW - 10 * WEEK, name) for name in (one, other)][1]
    assert pruned(tmp_path, one) == 3
    assert kept.file(".pdf").exists()


def test_the_slot_of_the_run_itself_stays(tmp_path: Path) -> None:
    mine = made(tmp_path, NOW - 10 * WEEK)
    made(tmp_path, NOW - 10 * WEEK, slot=OLD_SLOT + timedelta(hours=1))
    assert pruned(tmp_path, keep=mine) == 3
    assert mine.file(".pdf").exists()


def test_a_slot_with_an_attempt_under_way_stays(tmp_path: Path) -> None:
    mine = made(tmp_path, NOW - 10 * WEEK)
    with manifests.slot_lock(mine):
        assert pruned(tmp_path) == 0
        assert mine.file(".pdf").exists()
    assert pruned(tmp_path) == 3


def test_an_attempt_that_waited_for_the_pruning_has_a_lock_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lock file that it waited for is gone, so another attempt would not meet it there."""
    mine = made(tmp_path, NOW - 10 * WEEK)
    opened, flock = threading.Event(), fcntl.flock

    def tell(stream: int, operation: int) -> None:
        if not operation & fcntl.LOCK_NB:
            opened.set()
        flock(stream, operation)

    monkeypatch.setattr(fcntl, "flock", tell)
    held: list[bool] = []

    def attempt() -> None:
        with manifests.slot_lock(mine), manifests.idle_slot_lock(mine) as idle:
            held.append(not idle and mine.day.is_dir())

    waiting = threading.Thread(target=attempt)
    remove = Path.unlink

    def remove_meanwhile(path: Path, missing_ok: bool = False) -> None:
        if path == mine.file(".csv"):
            waiting.start()
            opened.wait(60)
        remove(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", remove_meanwhile)
    assert pruned(tmp_path) == 3
    waiting.join(60)
    assert held == [True]


class KilledError(BaseException):
    pass


def killed_at(step: int) -> Callable[..., None]:
    """`Path.unlink` that is killed before it removes its nth file."""
    remove, count = Path.unlink, iter(range(step, -1, -1))

    def unlink(path: Path, missing_ok: bool = False) -> None:
        if next(count) == 0:
            raise KilledError
        remove(path, missing_ok)

    return unlink


@pytest.mark.parametrize("step", range(4))
def test_a_pruning_that_is_killed_is_finished_by_the_next_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    mine = made(tmp_path, NOW - 10 * WEEK)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", killed_at(step))
        with pytest.raises(KilledError):
            pruned(tmp_path)
    left = {path for path in mine.day.iterdir() if path != lock(mine)}
    assert len(left) == 3 - step
    assert not left or mine.file(storage.MANIFEST_SUFFIX) in left  # which says who has the mail
    assert pruned(tmp_path) == 3 - step
    assert not mine.day.exists()


def test_what_cannot_be_removed_keeps_no_other_slot(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    stuck = made(tmp_path, NOW - 10 * WEEK)
    stuck.file(".csv").unlink()
    stuck.file(".csv").mkdir()
    made(tmp_path, NOW - 10 * WEEK, slot=OLD_SLOT + timedelta(hours=1))
    assert pruned(tmp_path) == 3
    assert f"{stuck.stem} are left for the next run: " in caplog.text


def test_slots_that_are_due_since_are_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A schedule of every minute has ten thousand of them in a week."""
    made(tmp_path, NOW, slot=NOW - WEEK)
    monkeypatch.setattr(retention.manifests, "load", None)
    assert pruned(tmp_path) == 0


def test_an_empty_day_goes_and_what_is_no_day_stays(tmp_path: Path) -> None:
    made(tmp_path, NOW - 10 * WEEK, slot=datetime(2025, 12, 31, tzinfo=UTC))
    (tmp_path / "2025/13/45").mkdir(parents=True)
    (tmp_path / "lost+found").mkdir()
    assert pruned(tmp_path) == 3
    left = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*"))
    assert left == ["2025", "2025/12", "2025/13", "2025/13/45", "lost+found"]
    assert pruned(tmp_path / "not-there") == 0


def test_files_of_one_source_go_with_their_slot(tmp_path: Path) -> None:
    old = made(tmp_path, NOW - 5 * WEEK)
    for suffix in ("-positions.csv", "-positions.parquet"):
        storage.write_whole(old, suffix, b"data")
    date_files(old, NOW - 5 * WEEK)
    # `daily_…Z-x` is of no other schedule: the slot ends with Z.
    other = made(tmp_path, NOW - 5 * WEEK, name="daily-positions")
    prune(tmp_path, "reports", "daily", NOW - WEEK, NOW)
    left = {path.name for path in old.day.iterdir()}
    assert not [name for name in left if name.startswith(f"{old.stem}")]
    assert [name for name in left if name.startswith(other.stem)]
