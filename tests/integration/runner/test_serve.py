"""`report-generator serve` serves finished files and nothing else."""

from __future__ import annotations

import json
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.files import FileServer, file_server

DAY = "2026/11/24"
STEM = "reports_market-dashboard_20261124T050000Z"
SECRET = b"what nobody is to see"


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    root = tmp_path / "volume"
    day = root / DAY
    day.mkdir(parents=True)
    (day / f"{STEM}.pdf").write_bytes(b"%PDF-1.7 a report")
    (day / f"{STEM}.html").write_text("<script>alert(1)</script>")
    (day / f"{STEM}.manifest.json").write_text("{}")
    (day / f".{STEM}.pdf.tmp").write_bytes(SECRET)
    (day / f"{STEM}.xlsx.tmp").write_bytes(SECRET)
    (day / f".{STEM}.lock").write_bytes(SECRET)
    (day / "nothing.csv").write_bytes(b"")
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.pdf").write_bytes(SECRET)
    (day / "out.pdf").symlink_to(outside / "secret.pdf")
    (day / "within.pdf").symlink_to(day / f"{STEM}.pdf")
    (day / "away").symlink_to(outside)
    os.mkfifo(day / "pipe.pdf")
    return root


@pytest.fixture
def server(volume: Path) -> Iterator[FileServer]:
    with file_server(volume) as made:
        yield made


def test_file_has_type_and_security_headers(server: FileServer) -> None:
    answer = server.get(f"/files/{DAY}/{STEM}.pdf")
    assert (answer.status, answer.body) == (200, b"%PDF-1.7 a report")
    assert answer.headers["content-type"] == "application/pdf"
    assert answer.headers["content-disposition"] == f'inline; filename="{STEM}.pdf"'
    assert answer.headers["x-content-type-options"] == "nosniff"
    page = server.get(f"/files/{DAY}/{STEM}.html")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers["content-security-policy"].startswith("sandbox; default-src 'none'")
    assert server.get(f"/files/{DAY}/nothing.csv").body == b""
    assert server.get("/healthz").status == 200


def test_head_is_get_without_content(server: FileServer) -> None:
    for path in (f"/files/{DAY}/{STEM}.pdf", f"/files/{DAY}/", "/files/nothing"):
        get, head = server.get(path), server.call("HEAD", path)
        assert (head.status, head.body) == (get.status, b"")
        assert head.headers["content-length"] == get.headers["content-length"] != "0"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
def test_other_methods_are_refused(server: FileServer, volume: Path, method: str) -> None:
    answer = server.call(method, f"/files/{DAY}/{STEM}.pdf")
    assert answer.status == 501
    assert (volume / DAY / f"{STEM}.pdf").exists()


def test_directories_are_listed(server: FileServer) -> None:
    top = json.loads(server.get("/files/").body)
    assert [(e["name"], e["directory"]) for e in top["entries"]] == [("2026", True)]
    day = json.loads(server.get(f"/files/{DAY}/").body)
    assert day["next"] is None
    assert [entry["name"] for entry in day["entries"]] == [
        "nothing.csv", f"{STEM}.html", f"{STEM}.manifest.json", f"{STEM}.pdf"
    ]  # fmt: skip
    assert day["entries"][-1]["bytes"] == len(b"%PDF-1.7 a report")
    assert server.get(f"/files/{DAY}").status == 404  # a directory ends with a slash
    assert server.get(f"/files/{DAY}/{STEM}.pdf/").status == 404


def test_listing_is_paginated(server: FileServer, volume: Path) -> None:
    many = volume / "2026/11/25"
    many.mkdir()
    names = [f"r{number:04}.csv" for number in range(1201)]
    for name in names:
        (many / name).touch()
    seen: list[str] = []
    after = ""
    while True:
        page: dict[str, Any] = json.loads(server.get(f"/files/2026/11/25/{after}").body)
        assert len(page["entries"]) <= 500
        seen += [entry["name"] for entry in page["entries"]]
        if page["next"] is None:
            break
        after = f"?after={page['next']}"
    assert seen == names


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/files",
        "/etc/passwd",
        f"/files/{DAY}/out.pdf",
        f"/files/{DAY}/within.pdf",
        f"/files/{DAY}/away/secret.pdf",
        f"/files/{DAY}/away/",
        f"/files/{DAY}/pipe.pdf",
        f"/files/{DAY}/.{STEM}.pdf.tmp",
        f"/files/{DAY}/{STEM}.xlsx.tmp",
        f"/files/{DAY}/.{STEM}.lock",
        "/files/../outside/secret.pdf",
        "/files/2026/../../outside/secret.pdf",
        "/files/%2e%2e/outside/secret.pdf",
        "/files/..%2foutside%2fsecret.pdf",
        "/files/%2e%2e%2foutside/secret.pdf",
        "/files/%252e%252e/outside/secret.pdf",
        "/files/..%5coutside%5csecret.pdf",
        "/files/..%00/outside/secret.pdf",
        "/files/2026/%00",
        "/files/%2fetc%2fpasswd",
        "/files//etc/passwd",
        "//files/../../etc/passwd",
        "/files/2026//11/",
        "/files/./2026/",
        "/files/%c0%ae%c0%ae/outside/secret.pdf",
        "/files/%ff",
        "/files/%u002e%u002e/outside/secret.pdf",
        "/files/" + "x" * 300,
        "/files/" + "../" * 40 + "etc/passwd",
        "/files/" + "x/" * 3000,
        "http://elsewhere/files/../outside/secret.pdf",
        "files/2026/",
        "*",
    ],
)
def test_only_finished_files_are_served(server: FileServer, path: str) -> None:
    answer = server.call("GET", path)
    assert answer.status == 404, answer
    assert SECRET not in answer.body
    assert server.get("/healthz").status == 200


def test_malformed_requests_are_refused(server: FileServer) -> None:
    for raw in (b"\r\n\r\n", b"GET\r\n\r\n", b"GET /files/ HTTP/9.9\r\n\r\n", b"\x16\x03\x01\0\0"):
        server.raw(raw)
    with socket.create_connection(("127.0.0.1", server.port)) as silent:
        assert server.get("/healthz").status == 200  # one that says nothing holds nobody up
        silent.close()


def test_sigterm_ends_the_server(volume: Path) -> None:
    with file_server(volume) as made:
        assert made.get("/healthz").status == 200
        made.process.send_signal(signal.SIGTERM)
        assert made.process.wait(20) == 0
