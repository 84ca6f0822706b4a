"""From a run's page to its PDF, in the browser."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pikepdf
import pytest
from selenium.webdriver.common.keys import Keys

from hack.testbed.admin_api import SCHEDULER, Api
from hack.testbed.namespace import Namespace
from hack.testbed.operator import OperatorProcess
from hack.testbed.waiting import wait_for
from report_runner.contract.report import Format
from report_runner.contract.result import Outcome, OutputFile, RunResult, dump_result
from tests.support.browser import Browser
from tests.support.files import FileServer, file_server

PATH = "2026/11/24/reports_daily_20261124T050000Z.pdf"


@pytest.fixture
def files(tmp_path: Path) -> Iterator[FileServer]:
    report = tmp_path / "volume" / PATH
    report.parent.mkdir(parents=True)
    with pikepdf.new() as document:
        document.add_blank_page()
        document.save(report)
    with file_server(tmp_path / "volume") as made:
        yield made


@pytest.fixture
def operator(make_operator: Callable[..., OperatorProcess], files: FileServer) -> OperatorProcess:
    made = make_operator(fileServerUrl=f"http://127.0.0.1:{files.port}")
    made.start(same_lease=True)
    made.wait_until_leading()
    return made


def test_pdf_opens_in_the_browser(namespace: Namespace, api: Api, tmp_path: Path) -> None:
    namespace.apply("daily")
    namespace.wait_until_observed("daily")
    namespace.start("daily", "run-1")
    output = OutputFile(path=PATH, format=Format.PDF, bytes=1, sha256="0" * 64)
    result = RunResult(outcome=Outcome.SUCCEEDED, outputs=[output])
    namespace.end_pod(namespace.pod_of("run-1"), message=dump_result(result))
    wait_for("its outcome", lambda: namespace.status("daily").get("runCounts"))
    job_id = api.jobs()[0]["id"]
    browser = Browser.open(f"http://localhost:{api.port}", tmp_path / "profile")
    try:
        browser.go(f"/runs/{job_id}")
        browser.tab_to("file-1")
        browser.press(Keys.ENTER)
        wait_for("the file", lambda: browser.path.endswith(PATH), 30, lambda: browser.path)
        assert browser.driver.execute_script("return document.contentType") == "application/pdf"
        assert browser.complaints() == []  # the policy does not hinder its viewer
        (tmp_path / "volume" / PATH).unlink()  # as retention does
        browser.go(f"/runs/{job_id}")
        assert "removed since" in browser.driver.find_element("id", "gone-1").text
        assert browser.driver.find_elements("id", "file-1") == []
    finally:
        browser.driver.quit()
    (file,) = api.get(f"{SCHEDULER}/jobs/{job_id}").body["files"]
    assert file["state"] == "gone"
    answer = api.get(f"/api/admin/reports/files/{namespace.name}/{PATH}")
    assert answer.status == 410
    assert f"{job_id} made {PATH}" in answer.body["detail"]
