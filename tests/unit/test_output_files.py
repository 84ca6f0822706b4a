"""The files of a run as the API tells them: there, gone, or not known."""

from __future__ import annotations

import asyncio
import json
from datetime import date
from typing import Any

import pytest
from factories import make_entry
from test_pages_http import DOWN, RUN, KnownCluster, Site

from admin_api.errors import RefusedError
from admin_api.schemas.jobs import OutputFile, OutputState
from admin_api.services import output_files
from admin_api.services.files import FileServers
from admin_api.services.job_queries import detail_of
from admin_api.services.output_files import with_states

HERE = "2026/11/24/reports_daily_20261124T050000Z.pdf"
GONE = "2026/11/24/reports_daily_20261124T050000Z.csv"
BAD = "2026/11/24/reports_daily_20261124T050000Z.html"
DAY = date(2026, 11, 24)
OUTPUTS = [HERE, GONE, BAD]
FILES = "/api/admin/reports/files/reports"


async def exists(namespace: str, path: str) -> bool | None:
    assert namespace == "reports"
    return {HERE: True, GONE: False}.get(path)


def site_with_files(monkeypatch: pytest.MonkeyPatch, error: Exception | None = None) -> Site:
    """A run that says it made three files; its file server has one of them, and fails for one."""
    servers: Any = FileServers(None, "http://files.{namespace}.svc", (None,))  # type: ignore[arg-type]
    monkeypatch.setattr(FileServers, "exists", lambda _, *asked: exists(*asked))

    async def refuse(_: FileServers, namespace: str, path: str, after: str) -> Any:
        raise RefusedError(404 if path != BAD else 503, f"no {namespace}/{path}{after}")

    monkeypatch.setattr(FileServers, "open", refuse)
    return Site(
        KnownCluster(error, entries=[make_entry("1", outputs=OUTPUTS, report_date=DAY)]),
        servers=servers,
    )


def test_each_file_has_its_state(monkeypatch: pytest.MonkeyPatch) -> None:
    site = site_with_files(monkeypatch)
    body = json.loads(site.get("/api/admin/scheduler/jobs/reports.daily.20261124T050000Z.1").text)
    assert [(file["path"], file["state"]) for file in body["files"]] == [
        (HERE, "available"),
        (GONE, "gone"),
        (BAD, "unknown"),
    ]
    page = site.get(RUN).text
    assert f'href="{FILES}/{HERE}"' in page
    assert f'href="{FILES}/{GONE}"' not in page
    assert "removed since: spec.output.retention has passed" in page
    assert f'href="{FILES}/{BAD}"' in page


def test_a_file_that_was_made_and_removed_is_410(monkeypatch: pytest.MonkeyPatch) -> None:
    site = site_with_files(monkeypatch)
    reply = site.get(f"{FILES}/{GONE}")
    assert reply.status == 410
    assert f"reports.daily.20261124T050000Z.1 made {GONE}" in reply.text
    assert "generate executive_dashboard --date 2026-11-24" in reply.text
    assert site.get(f"{FILES}/{GONE}x").status == 404  # nobody made that
    assert site.get(f"/api/admin/reports/files/other/{GONE}").status == 404
    assert site.get(f"{FILES}/{BAD}").status == 503
    assert site_with_files(monkeypatch, DOWN).get(f"{FILES}/{GONE}").status == 404


async def test_a_volume_that_hangs_keeps_nobody_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output_files, "SECONDS", 0.05)
    site = Site(KnownCluster(entries=[make_entry("1", outputs=OUTPUTS, report_date=DAY)]))
    (job,) = (await site.cluster.snapshot()).jobs

    async def hangs(namespace: str, path: str) -> bool | None:
        if path == GONE:
            await asyncio.Event().wait()
        return await exists(namespace, path)

    found = await with_states(detail_of(job, []), hangs)
    assert [file.state for file in found.files] == [
        OutputState.AVAILABLE,
        OutputState.UNKNOWN,
        OutputState.UNKNOWN,
    ]
    known = detail_of(job, []).model_copy(update={"files": [OutputFile(path=HERE, bytes=7)]})
    assert (await with_states(known, exists)).files == [
        OutputFile(path=HERE, bytes=7, state=OutputState.AVAILABLE)
    ]


async def test_many_files_are_not_all_asked_for() -> None:
    many = [f"2026/11/24/{number}.csv" for number in range(output_files.CHECKED + 1)]
    site = Site(KnownCluster(entries=[make_entry("1", outputs=many)]))
    (job,) = (await site.cluster.snapshot()).jobs
    found = await with_states(detail_of(job, []), lambda *_: exists("reports", HERE))
    assert [file.state for file in found.files] == [OutputState.AVAILABLE] * (
        output_files.CHECKED
    ) + [OutputState.UNKNOWN]
