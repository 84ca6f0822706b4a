"""Finished files through the API, from a real file server on loopback."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hack.testbed.admin_api import SCHEDULER, Api
from hack.testbed.namespace import Namespace
from hack.testbed.operator import OperatorProcess
from tests.support.files import FileServer, file_server

FILES = "/api/admin/reports/files"
DAY = "2026/11/24"
STEM = "reports_market-dashboard_20261124T050000Z"


@pytest.fixture(scope="module")
def volume(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("volume")
    day = root / DAY
    day.mkdir(parents=True)
    (day / f"{STEM}.pdf").write_bytes(b"%PDF-1.7 " + b"x" * 5_000_000)
    (day / f"{STEM}.html").write_text("<script>fetch('/api/admin/scheduler/shutdown')</script>")
    (day / f".{STEM}.pdf.tmp").write_bytes(b"half")
    return root


@pytest.fixture
def files(volume: Path) -> Iterator[FileServer]:
    with file_server(volume) as made:
        yield made


@pytest.fixture
def operator(make_operator: Callable[..., OperatorProcess], files: FileServer) -> OperatorProcess:
    made = make_operator(fileServerUrl=f"http://127.0.0.1:{files.port}")
    made.start(same_lease=True)
    made.wait_until_leading()
    return made


def test_files_and_directories(namespace: Namespace, api: Api, files: FileServer) -> None:
    top = f"{FILES}/{namespace.name}"
    assert [entry["name"] for entry in api.get(f"{top}/").body["entries"]] == ["2026"]
    listed = api.get(f"{top}/{DAY}/").body
    assert [entry["name"] for entry in listed["entries"]] == [f"{STEM}.html", f"{STEM}.pdf"]
    pdf = api.get(f"{top}/{DAY}/{STEM}.pdf")
    assert (pdf.status, pdf.kind, len(pdf.text)) == (200, "application/pdf", 5_000_009)
    page = api.get(f"{top}/{DAY}/{STEM}.html")
    assert page.kind == "text/html"
    # Shown under the API's own address, it must not act as on-call.
    assert page.headers["content-security-policy"].startswith("sandbox; default-src 'none'")
    assert page.headers["x-content-type-options"] == "nosniff"
    assert page.headers["content-disposition"] == f'inline; filename="{STEM}.html"'
    after = api.get(f"{top}/{DAY}/?after={STEM}.html").body
    assert [entry["name"] for entry in after["entries"]] == [f"{STEM}.pdf"]


@pytest.mark.parametrize(
    "path",
    [
        f"{DAY}/nothing.pdf",
        DAY,
        f"{DAY}/{STEM}.pdf/",
        f"{DAY}/.{STEM}.pdf.tmp",
        "../status",
        "..%2f..%2fscheduler/status",
        "%2e%2e/%2e%2e/healthz",
        "2026//",
        "%00",
        "x" * 2000,
        "2026/11?x=/24",
    ],
)
def test_missing_file_is_404(namespace: Namespace, api: Api, path: str) -> None:
    answer = api.get(f"{FILES}/{namespace.name}/{path}")
    assert answer.status in (404, 422), answer
    assert answer.kind == "application/problem+json"


@pytest.mark.parametrize("other", ["kube-system", "169.254.169.254%2f", "a.b", "..", "%00", "A"])
def test_file_of_an_unwatched_namespace_is_not_found(
    namespace: Namespace, api: Api, other: str
) -> None:
    answer = api.get(f"{FILES}/{other}/x.pdf")
    assert (answer.status, answer.kind) == (404, "application/problem+json")


def test_unreachable_file_server_is_reported(
    namespace: Namespace, api: Api, files: FileServer
) -> None:
    files.process.kill()
    files.process.wait()
    answer = api.get(f"{FILES}/{namespace.name}/")
    assert (answer.status, answer.kind) == (503, "application/problem+json")
    assert f"kubectl -n {namespace.name} get pods" in answer.body["detail"]
    assert api.get(f"{SCHEDULER}/health").status == 200
