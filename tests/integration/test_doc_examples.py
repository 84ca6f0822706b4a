"""Every manifest of the documentation is accepted, and its report can be made."""

from __future__ import annotations

import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from hack.testbed.namespace import SCHEDULES, Namespace
from report_operator.api.v1alpha1.backfill import parse_backfill_spec
from report_operator.api.v1alpha1.resource import parse_schedule
from report_operator.crd.verdict import spec_problems
from tests.support.examples import BACKFILL, SCHEDULE, Example, examples, sample_data

PLURALS = {SCHEDULE: "reportschedules", BACKFILL: "reportbackfills"}
OF_DOCS = [example for example in examples(SCHEDULE) if not example.file.startswith("hack/")]


def test_readme_and_pages_have_examples() -> None:
    files = {example.file for example in examples(SCHEDULE, BACKFILL)}
    assert {"README.md", "docs/backfill.md", "hack/demo/schedules.yaml"} <= files


@pytest.mark.parametrize("example", examples(SCHEDULE, BACKFILL), ids=str)
def test_api_server_accepts_the_example(example: Example, namespace: Namespace) -> None:
    path = namespace.path(SCHEDULES, PLURALS[example.kind], example.name)
    query = "fieldManager=reader&dryRun=All&fieldValidation=Strict"
    body = example.in_namespace(namespace.name)
    answer = namespace.plane.api.call(
        "PATCH", f"{path}?{query}", body, "application/apply-patch+yaml"
    )
    assert answer.code == 201, answer.message


@pytest.mark.parametrize("example", examples(SCHEDULE, BACKFILL), ids=str)
def test_models_accept_the_example(example: Example) -> None:
    metadata = {**example.body["metadata"], "uid": "a-uid", "generation": 1}
    body = {**example.body, "metadata": metadata}
    if example.kind == BACKFILL:
        parse_backfill_spec(body)
        return
    parse_schedule(body)
    assert spec_problems(example.body["spec"], datetime(2026, 11, 24, tzinfo=UTC)) == []


@pytest.mark.parametrize("example", OF_DOCS, ids=str)
def test_example_is_rendered_with_sample_data(example: Example, tmp_path: Path) -> None:
    """As an author tries it: `report-generator render DIR`."""
    (tmp_path / "data").mkdir()
    (tmp_path / "schedule.yaml").write_text(example.text)
    report = example.body["spec"]["report"]
    wait = report.get("waitFor", {})
    only_waited_for = wait.get("source") if wait.get("excludeSource") else None
    for source in report["sources"]:
        if not {"inline", "query"} & set(source) and source["name"] != only_waited_for:
            shutil.copy(sample_data(source["name"]), tmp_path / "data")
    out = tmp_path / "out"
    done = subprocess.run(
        [sys.executable, "-m", "report_runner.cli", "render", tmp_path, "--out", out],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    formats = report.get("formats", ["pdf"])
    reports = [path for path in out.iterdir() if not path.name.endswith(".mail.html")]
    assert {path.suffix for path in reports} == {f".{name}" for name in formats}
