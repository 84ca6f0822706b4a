"""Filters of the templates, and remedies equal to the runbook's."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import pytest
from factories import at

from admin_api import runbook
from admin_api.web import template_filters
from report_operator.api.v1alpha1.status import DelayStage
from report_runner.contract.reasons import Reason

NOW = at("2026-11-24 06:00")
RUNBOOK = (Path(__file__).parents[2] / "docs/runbook.md").read_text()


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"), (-3, "0 s"), (59, "59 s"), (60, "1 min"), (61, "1 min 1 s"), (3600, "1 h"),
        (3661, "1 h 1 min"), (86_400, "1 d"), (90_000, "1 d 1 h"), (86_460, "1 d"),
    ],
)  # fmt: skip
def test_duration(seconds: float, text: str) -> None:
    assert template_filters.duration(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "just now"), (59, "just now"), (-5, "in a moment"), (60, "1 min ago"),
        (7199, "1 h ago"), (-7200, "in 2 h"), (172_800, "2 d ago"),
    ],
)  # fmt: skip
def test_ago(seconds: int, text: str) -> None:
    assert template_filters.ago(NOW - timedelta(seconds=seconds), NOW) == text


@pytest.mark.parametrize(
    ("instant", "text"),
    [
        ("2026-11-24 05:00", "05:00:00 UTC"),
        ("2026-11-03 05:00", "3 Nov 05:00 UTC"),
        ("2025-11-23 05:00", "23 Nov 2025 05:00 UTC"),
    ],
)
def test_clock_time(instant: str, text: str) -> None:
    assert template_filters.clock_time(at(instant), NOW) == text


@pytest.mark.parametrize(
    ("instant", "zone", "text"),
    [
        ("2026-11-24 05:00", "Europe/Madrid", "06:00"),
        ("2026-11-24 23:30", "Asia/Tokyo", "25 Nov 08:30"),
        ("2026-07-01 05:00", "Europe/London", "06:00"),
        ("2026-11-24 05:00", "Europe/London", ""),
        ("2026-11-24 05:00", "Etc/UTC", ""),
        ("2026-11-24 05:00", None, ""),
        ("2026-11-24 05:00", "Nowhere/<script>", ""),
    ],
)
def test_local_time_stands_beside_utc(instant: str, zone: str | None, text: str) -> None:
    assert template_filters.local_time(at(instant), zone) == text
    shown = template_filters.slot_tag(at(instant), zone, NOW)
    assert "UTC" in shown
    assert (f"({text} {zone})" in shown) == bool(text)
    assert "<script>" not in shown


def test_markdown_renders_code_and_section_links_only() -> None:
    text = "`a<b` <script> [Queue](#for-queue) [x](https://evil.example)"
    assert template_filters.markdown(text, 'https://r/"b"') == (
        "<code>a&lt;b</code> &lt;script&gt; "
        '<a href="https://r/&#34;b&#34;#for-queue">Queue</a> [x](https://evil.example)'
    )
    assert template_filters.markdown("[Queue](#for-queue)", "") == "Queue"


def test_remedies_equal_the_tables_of_the_runbook() -> None:
    rows = {
        name: runbook.Remedy(meaning, action)
        for name, meaning, action in re.findall(
            r"^\| `(\w+)` \| (.*?) \| (.*?) \|$", RUNBOOK, re.MULTILINE
        )
    }
    told = {key.value: remedy for key, remedy in runbook.FAILURES.items()}
    told |= {key.value: remedy for key, remedy in runbook.DELAYS.items()}
    assert set(runbook.FAILURES) == set(Reason)
    assert set(runbook.DELAYS) == set(DelayStage)
    assert {name: rows.get(name) for name in told} == told


def test_remedies_link_to_existing_sections() -> None:
    def anchor(heading: str) -> str:
        return re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-")

    known = {anchor(heading) for heading in re.findall(r"^#+ (.+)$", RUNBOOK, re.MULTILINE)}
    remedies = (*runbook.FAILURES.values(), *runbook.DELAYS.values(), runbook.NOT_READY)
    texts = [remedy.action for remedy in remedies]
    named = {name for text in texts for name in re.findall(r"\]\(#([^)]+)\)", text)}
    assert named
    assert named | {"failure-reasons", "reportschedulerdown"} <= known


def test_remedy_commands_name_the_run() -> None:
    found = runbook.FAILURES[Reason.INTERNAL_ERROR].of("team-a", "daily", "daily-1")
    assert "kubectl -n team-a logs job/daily-1" in found.action
    found = runbook.DELAYS[DelayStage.NOT_CREATED].of("team-a", "daily", None)
    assert "kubectl -n team-a describe cronjob daily" in found.action
