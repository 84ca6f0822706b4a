"""What a run leaves is bounded: its files, the manifest, the termination message."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from test_render_documents import given
from test_runner_storage import paths_in

from report_runner import manifest
from report_runner.contract import files
from report_runner.contract.pod import TERMINATION_LOG_LIMIT
from report_runner.contract.reasons import Reason
from report_runner.contract.report import Format
from report_runner.contract.result import (
    DeliveryResult,
    DeliveryStatus,
    Outcome,
    OutputFile,
    RunResult,
    dump_result,
    parse_result,
)
from report_runner.models import RunError, Table
from report_runner.render.csvfile import write_csv
from report_runner.render.documents import render
from report_runner.render.pdf import Worker
from report_runner.render.pdf_worker import WholeRequest

CAP = 8 * 1024


@pytest.mark.parametrize("wanted", list(Format))
def test_one_file_has_a_cap(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wanted: Format
) -> None:
    monkeypatch.setattr(files, "OUTPUT_FILE_LIMIT", CAP)
    with pytest.raises(RunError) as caught:
        render(given(900), [wanted], tmp_path)
    assert caught.value.reason is Reason.RESOURCE_EXHAUSTED
    assert f"the {wanted.value.upper()} is larger than" in caught.value.message
    assert "narrow the query, lower maxRows" in caught.value.message
    assert sum(path.stat().st_size for path in tmp_path.glob(f"*.{wanted.value}.tmp")) <= CAP


def test_the_cap_applies_while_writing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "OUTPUT_FILE_LIMIT", CAP)
    read = 0

    class Endless:
        """Rows without end, as a result that is far too large."""

        def __iter__(self):
            nonlocal read
            while True:
                read += 1
                yield ("x" * 100,)

    with pytest.raises(RunError, match="larger than"):
        write_csv(
            Table(("a",), Endless()),  # type: ignore[arg-type]
            tmp_path / "report.csv",
            ZoneInfo("UTC"),
        )
    assert read < 1000
    assert (tmp_path / "report.csv").stat().st_size <= CAP


def test_the_kernel_holds_the_printer_to_the_cap(tmp_path: Path) -> None:
    with Worker() as worker:
        worker.ask(WholeRequest("<p>x", str(tmp_path / "a.pdf"), "D:20260105", b"1"))
        (limits,) = [
            line
            for line in Path(f"/proc/{worker._process.pid}/limits").read_text().splitlines()
            if line.startswith("Max file size")
        ]
    assert limits.split()[3] == str(files.OUTPUT_FILE_LIMIT)


def test_all_files_of_a_run_have_a_cap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "OUTPUT_RUN_LIMIT", 50_000)
    render(given(900), [Format.CSV], tmp_path)
    with pytest.raises(RunError, match="that one run may store: narrow the query") as caught:
        render(given(900), [Format.CSV, Format.HTML], tmp_path)
    assert caught.value.reason is Reason.RESOURCE_EXHAUSTED


def test_a_manifest_that_is_far_too_large_is_not_read(tmp_path: Path) -> None:
    paths = paths_in(tmp_path)
    with paths.file(".manifest.json").open("wb") as stream:
        stream.truncate(1 << 40)
    with pytest.raises(RunError, match="has more than 1 MiB"):
        manifest.load(paths)


@pytest.mark.parametrize("character", ["x", '"', "é", "\x00", "\u2028", "😀"])
def test_a_result_is_valid_json_within_the_kubelets_bytes(character: str) -> None:
    result = RunResult(
        outcome=Outcome.FAILED,
        reason=Reason.DELIVERY_FAILED,
        message=character * 100_000,
        slot=datetime(2026, 1, 5, 6, tzinfo=UTC),
        report_date=date(2026, 1, 5),
        rows={f"source_{n}": n for n in range(50)},
        outputs=[
            OutputFile(path=character * 300, format=form, bytes=1, sha256="0" * 64)
            for form in Format
        ],
        deliveries=[
            DeliveryResult(recipient=f"{n}@b", status=DeliveryStatus.FAILED, error=character * 300)
            for n in range(50)
        ],
        manifest=character * 5000,
    )
    text = dump_result(result)
    assert len(text.encode()) <= TERMINATION_LOG_LIMIT
    assert json.loads(text)["reason"] == "DeliveryFailed"
    assert parse_result(text) is not None
