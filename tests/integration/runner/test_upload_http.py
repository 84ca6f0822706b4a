"""Upload by PUT and to WebDAV: whole or not at all, read back, credentials to one host only."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from conftest import write_secret

from report_runner.contract import pod
from report_runner.contract.egress import EgressPolicy
from report_runner.contract.reasons import Reason
from report_runner.models import RunError
from tests.support.http_files import HttpFiles, http_files
from tests.support.runner import Pod
from tests.support.uploads import Uploads

PDF = "positions/positions-2026-01-05.pdf"
CSV = "positions/positions-2026-01-05-positions.csv"
SECRET = {"credentials": {"secretRef": {"name": "portal"}}}


@pytest.fixture
def server() -> Iterator[HttpFiles]:
    with http_files() as made:
        yield made


@pytest.fixture
def here(tmp_path: Path) -> Uploads:
    write_secret(tmp_path / "secrets", "portal", {"username": "desk", "password": "http-pass-1"})
    return Uploads(tmp_path)


def place(kind: str, server: HttpFiles, **more: Any) -> dict[str, Any]:
    return {"name": "portal", kind: {"url": server.url, **SECRET}, **more}


@pytest.mark.parametrize("kind", ["httpPut", "webdav"])
def test_files_are_there_whole_and_are_not_sent_again(
    here: Uploads, server: HttpFiles, kind: str
) -> None:
    assert {one.status.value for one in here.deliver(place(kind, server))} == {"sent"}
    assert server.files == {PDF: here.pdf.read_bytes(), CSV: here.csv.read_bytes()}
    expected = base64.b64encode(b"desk:http-pass-1").decode()
    assert {headers["Authorization"] for headers in server.headers} == {f"Basic {expected}"}
    (put,) = (
        headers
        for request, headers in zip(server.requests, server.headers, strict=True)
        if request.startswith("PUT") and headers["Content-Type"] == "application/pdf"
    )
    digest = base64.b64encode(hashlib.sha256(here.pdf.read_bytes()).digest()).decode()
    assert put["Content-Digest"] == f"sha-256=:{digest}:"
    before = len(server.requests)
    assert {one.status.value for one in here.deliver(place(kind, server))} == {"alreadySent"}
    assert len(server.requests) == before


@pytest.mark.parametrize("kind", ["httpPut", "webdav"])
def test_another_file_is_left_as_it_is_unless_it_may_be_replaced(
    here: Uploads, server: HttpFiles, kind: str
) -> None:
    server.files[PDF] = b"the report of somebody else"
    first, second = here.deliver(place(kind, server))
    assert (first.status.value, second.status.value) == ("failed", "sent")
    assert "is there already and is another file" in (first.error or "")
    assert server.files[PDF] == b"the report of somebody else"
    # The same where nothing may be read: the server itself refuses.
    here.entries.clear()
    first, _ = here.deliver(place(kind, server, readBack=False))
    assert first.status.value == "failed"
    assert server.files[PDF] == b"the report of somebody else"
    first, _ = here.deliver(place(kind, server, ifExists="Replace"))
    assert first.status.value == "sent"
    assert server.files[PDF] == here.pdf.read_bytes()
    assert not [name for name in server.files if name.endswith(".part")]


@pytest.mark.parametrize("kind", ["httpPut", "webdav"])
@pytest.mark.parametrize(
    ("status", "reason", "message"),
    [
        (401, Reason.CONFIGURATION_ERROR, "with Secret portal: check what it may do"),
        (403, Reason.CONFIGURATION_ERROR, "with Secret portal: check what it may do"),
        (307, Reason.CONFIGURATION_ERROR, "a redirect, which is not followed"),
        (400, Reason.CONFIGURATION_ERROR, "answers PUT with 400"),
        (503, None, "answers PUT with 503"),
        (507, None, "answers PUT with 507"),
        (429, None, "answers PUT with 429"),
    ],
)
def test_answers_of_a_server(
    here: Uploads, server: HttpFiles, kind: str, status: int, reason: Reason | None, message: str
) -> None:
    async def before(request: web.Request) -> web.Response | None:
        if request.method != "PUT":
            return None
        return web.Response(
            status=status, text="http-pass-1", headers={"Location": "http://127.0.0.1:1/"}
        )

    server.before = before
    if reason is None:
        results = here.deliver(place(kind, server))
        assert {one.status.value for one in results} == {"failed"}
        assert all(message in (one.error or "") for one in results)
        assert all("http-pass-1" not in (one.error or "") for one in results)
    else:
        with pytest.raises(RunError, match=message) as raised:
            here.deliver(place(kind, server))
        assert raised.value.reason is reason
        assert "http-pass-1" not in raised.value.message
    assert not server.files


@pytest.mark.parametrize(("kind", "step"), [("httpPut", "PUT"), ("webdav", "MOVE")])
def test_an_answer_that_is_lost_is_looked_up(
    here: Uploads, server: HttpFiles, kind: str, step: str
) -> None:
    async def after(request: web.Request) -> None:
        if request.method == step:
            assert request.transport is not None
            request.transport.abort()

    server.after = after
    results = here.deliver(place(kind, server, formats=["csv"]))
    assert [one.status.value for one in results] == ["sent"]
    assert server.files == {CSV: here.csv.read_bytes()}
    assert sum(request.startswith(step) for request in server.requests) == 1


@pytest.mark.parametrize("kind", ["httpPut", "webdav"])
def test_a_server_that_keeps_another_thing_is_told(
    here: Uploads, server: HttpFiles, kind: str
) -> None:
    async def after(request: web.Request) -> None:
        if request.method == "PUT":
            server.files[request.path.strip("/")] = b"isin\nA\n"  # other line ends

    server.after = after
    (result,) = here.deliver(place(kind, server, formats=["csv"]))
    assert result.status.value == "failed"
    expected = "is not what was written" if kind == "webdav" else "what is there has 7 bytes"
    assert expected in (result.error or "")
    assert kind == "httpPut" or not server.files


def test_a_server_without_end_is_left(here: Uploads, server: HttpFiles) -> None:
    async def before(request: web.Request) -> web.StreamResponse | None:
        if request.method != "GET":
            return None
        answer = web.StreamResponse()
        await answer.prepare(request)
        for _ in range(10_000):
            await answer.write(b"x" * 65536)
        return answer

    server.before = before
    (result,) = here.deliver(place("httpPut", server, formats=["csv"], ifExists="Replace"))
    assert result.status.value == "failed"
    assert "has more than the 9 bytes that were sent" in (result.error or "")


def test_the_address_is_judged(here: Uploads, server: HttpFiles) -> None:
    here.policy = EgressPolicy.parse([])
    with pytest.raises(RunError, match=r"127.0.0.1 is refused: it is a loopback address"):
        here.deliver(place("webdav", server))
    assert server.requests == []


def test_names_are_encoded(here: Uploads, server: HttpFiles) -> None:
    path = "Berichte März/{{ name }} (fertig) & so"
    (result,) = here.deliver(place("webdav", server, formats=["csv"], path=path))
    assert result.status.value == "sent"
    assert list(server.files) == ["Berichte März/positions (fertig) & so-positions.csv"]


def test_a_note_goes_before_data_that_can_hold_no_mark(here: Uploads, server: HttpFiles) -> None:
    here.note = here.root / "report.warnings.txt"
    here.note.write_text("- check rows: 3 are missing\n")
    data, page = place("httpPut", server, formats=["csv"]), {"formats": ["pdf", "csv"]}
    here.deliver(data)
    (note, csv) = [line[5:] for line in server.requests if line.startswith("PUT ")]
    assert csv == CSV
    assert note.startswith("positions/positions-2026-01-05.warnings-")
    assert server.files[note] == here.note.read_bytes()
    assert {verdict for verdict, _ in here.look(data).values()} == {"unchanged"}
    # That of another attempt neither passes for it, nor is it in its way.
    here.note.write_text("- nothing to warn of\n")
    assert [one.status.value for one in here.deliver(data)] == ["sent", "alreadySent"]
    # A document has the mark on its first page.
    server.files.clear()
    here.entries.clear()
    here.deliver(place("httpPut", server, **page))
    assert set(server.files) == {PDF, CSV}


def test_a_run_writes_the_note_of_its_checks(tmp_path: Path, server: HttpFiles) -> None:
    here = Pod(tmp_path)
    here.define(
        "",
        sources=[{"name": "facts", "inline": {"rows": [{"a": 1}]}}],
        formats=["csv"],
        checks=[{"name": "many", "source": "facts", "rows": {"min": 5}, "severity": "warn"}],
        upload={"to": [{"name": "portal", "httpPut": {"url": server.url}}]},
    )
    code, result, log = here.run(**{pod.ENV_EGRESS_ALLOW: "127.0.0.1/32"})
    assert (code, result.warnings) == (0, 1), log
    (told,) = [text.decode() for path, text in server.files.items() if ".warnings-" in path]
    assert "check many: expected at least 5 rows, found 1 row" in told
    assert here.output("warnings.txt").read_text() == told
    assert [path for path in server.files if path.endswith(".csv")]
