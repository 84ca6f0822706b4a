"""The page for on-call in a real browser, before a real API, operator and API server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from selenium.webdriver.common.keys import Keys

from hack.testbed.admin_api import SCHEDULER, Api, ApiProcess, fail_once
from hack.testbed.controlplane import API_SERVER, ControlPlane
from hack.testbed.namespace import Namespace
from hack.testbed.waiting import wait_for
from tests.support.browser import Browser, axe_script


@pytest.fixture
def open_browser(api: Api, tmp_path: Path) -> Iterator[Callable[..., Browser]]:
    made: list[Browser] = []

    def opened(*, scripts: bool = True) -> Browser:
        profile = tmp_path / f"profile-{len(made)}"
        made.append(Browser.open(f"http://localhost:{api.port}", profile, scripts=scripts))
        return made[-1]

    yield opened
    for browser in made:
        browser.driver.quit()


@pytest.fixture
def browser(open_browser: Callable[..., Browser]) -> Browser:
    return open_browser()


def attempts(namespace: Namespace) -> list[str]:
    """All Jobs but the one that failed first."""
    return [j["metadata"]["name"] for j in namespace.jobs() if j["metadata"]["name"] != "run-1"]


def failed_run(api: Api) -> str:
    """Its page, once the API has the reason."""
    wait_for("its reason is known", lambda: any(j["reason"] for j in api.jobs(status="failed")))
    return f"/runs/{api.jobs(status='failed')[0]['id']}"


def test_retry_by_keyboard_creates_one_attempt(
    namespace: Namespace, api: Api, browser: Browser
) -> None:
    fail_once(namespace)
    run = failed_run(api)
    key = f"{namespace.name}-daily"
    browser.show(width=1200, scheme="light")
    browser.go("/")
    browser.wait_for_text("no such table")
    card = browser.driver.find_element("css selector", "article.card")
    assert "ConfigurationError" in card.text
    assert "The message names the field" in card.text  # what to do
    assert card.location["y"] + card.size["height"] < 900, "it is not seen without scrolling"
    browser.tab_to(f"open-{key}")
    browser.press(Keys.ENTER)
    wait_for("the run", lambda: browser.path == run)
    assert "no such table" in browser.text()
    assert "kubectl -n" in browser.text("#commands")
    browser.tab_to("retry")
    browser.press(Keys.ENTER)
    wait_for("a question", lambda: browser.path == f"{run}/retry")
    assert attempts(namespace) == []
    browser.tab_to("confirm")
    browser.press(Keys.ENTER, Keys.ENTER)
    wait_for("the attempt", lambda: browser.path == f"{run[:-1]}2", 60, lambda: browser.path)
    (attempt,) = attempts(namespace)
    # Once more from the same form, when that attempt has failed as well: it is still the one.
    namespace.end_pod(namespace.pod_of(attempt), exit_code=78, message="still no such table")
    wait_for("it failed", lambda: len(api.jobs(status="failed")) == 2)
    browser.driver.back()
    wait_for("the question again", lambda: browser.path == f"{run}/retry")
    browser.tab_to("confirm")
    browser.press(Keys.ENTER)
    wait_for("the attempt", lambda: browser.path == f"{run[:-1]}2", 60, browser.text)
    assert attempts(namespace) == [attempt]
    browser.wait_for_text("still no such table")
    assert browser.complaints() == []


def test_page_is_accessible(namespace: Namespace, api: Api, browser: Browser) -> None:
    """WCAG AA by axe (contrast among others), no horizontal scrolling, no violation of the CSP."""
    axe = axe_script()
    fail_once(namespace)
    namespace.apply("weekly", reportType="weekly_positions_of_all_desks_in_all_places")
    namespace.wait_until_observed("weekly")
    namespace.start("weekly", "weekly-1")
    namespace.pod_of("weekly-1")
    namespace.start("weekly", "weekly-2")
    run = failed_run(api)
    wait_for("one waits", lambda: api.get(f"{SCHEDULER}/status").body["queue_depth"] == 1)
    of = f"namespace={namespace.name}&schedule=weekly"
    schedule = f"/schedules/{namespace.name}/daily"
    pages = (
        "/", run, f"{run}/retry", "/dead-letters/retry", "/schedules", schedule, "/backfill",
        f"/generate?{of}",
    )  # fmt: skip
    for scheme in ("light", "dark"):
        for width in (320, 1200):
            browser.show(width=width, scheme=scheme)
            for page in pages:
                browser.go(page)
                assert browser.complaints() == []
                assert not browser.is_too_wide(), (page, width)
                assert browser.audit(axe) == [], (page, scheme, width)
    browser.go("/runs/none")
    assert "no job none is known" in browser.text()
    assert browser.audit(axe) == []


def test_refresh_keeps_focus_and_input(namespace: Namespace, api: Api, browser: Browser) -> None:
    fail_once(namespace)
    failed_run(api)
    browser.go("/")
    browser.tab_to(f"open-{namespace.name}-daily")
    kept = browser.focused
    namespace.start("daily", "run-2")
    browser.wait_for_text("pending", "#now")
    assert browser.focused == kept
    assert "1 running" in browser.driver.find_element("id", "live").get_attribute("textContent")
    browser.tab_to("report_type")
    browser.press("week")
    namespace.end_pod(namespace.pod_of("run-2"))
    browser.wait_for_text("succeeded", "#recent")
    field = browser.driver.find_element("id", "report_type")
    assert (browser.focused, field.get_attribute("value")) == ("report_type", "week")
    browser.press(Keys.ENTER)
    wait_for("the filter", lambda: "report_type=week" in browser.path, 30, lambda: browser.path)
    assert "No runs match" in browser.text("#recent")
    assert browser.complaints() == []


def test_page_works_without_scripts(
    namespace: Namespace, api: Api, open_browser: Callable[..., Browser]
) -> None:
    browser = open_browser(scripts=False)
    fail_once(namespace)
    run = failed_run(api)
    browser.go("/")
    assert "no such table" in browser.text()
    browser.driver.find_element("id", f"retry-{namespace.name}-daily").click()
    browser.driver.find_element("id", "confirm").click()
    wait_for("the attempt", lambda: browser.path == f"{run[:-1]}2", 30, browser.text)
    assert len(attempts(namespace)) == 1
    browser.go("/schedules")
    browser.driver.find_element("partial link text", "Make a report").click()
    browser.driver.find_element("id", "confirm").click()
    wait_for("another", lambda: browser.path.startswith("/runs/"), 30, browser.text)
    assert len(attempts(namespace)) == 2


def test_all_dead_letters_are_retried(namespace: Namespace, api: Api, browser: Browser) -> None:
    fail_once(namespace)
    fail_once(namespace, "weekly", "run-w")
    browser.go("/")
    browser.wait_for_text("Given up 2")
    browser.tab_to("retry-all")
    browser.press(Keys.ENTER)
    wait_for("the question", lambda: browser.path == "/dead-letters/retry")
    browser.tab_to("confirm")
    browser.press(Keys.ENTER, Keys.ENTER)
    browser.wait_for_text("2 runs are tried again")
    assert len(namespace.jobs()) == 4
    browser.wait_for_text("No dead letters")


def test_group_of_one_cause_is_retried_at_once(
    namespace: Namespace, api: Api, browser: Browser
) -> None:
    for name, run in (("daily", "run-d"), ("weekly", "run-w"), ("monthly", "run-m")):
        fail_once(namespace, name, run)
    browser.go("/")
    browser.wait_for_text("3 reports: ConfigurationError")
    assert "3 schedules = ✕ 3 failing" in " ".join(browser.text(".states").split())
    button = browser.driver.find_element("css selector", "[id^=retry-group-]")
    browser.tab_to(str(button.get_attribute("id")))
    browser.press(Keys.ENTER)
    wait_for("the question", lambda: browser.path.endswith("/retry"))
    assert "Try 3 runs again?" in browser.text("h1")
    browser.tab_to("confirm")
    browser.press(Keys.ENTER, Keys.ENTER)
    browser.wait_for_text("3 runs are tried again")
    assert len(namespace.jobs()) == 6
    browser.driver.back()
    browser.tab_to("confirm")
    browser.press(Keys.ENTER)
    browser.wait_for_text("nothing more was done")
    assert len(namespace.jobs()) == 6
    assert browser.complaints() == []


def test_schedules_are_found_while_typing_and_without_scripts(
    namespace: Namespace, api: Api, open_browser: Callable[..., Browser]
) -> None:
    fail_once(namespace)
    failed_run(api)
    namespace.apply("weekly", timeZone="Asia/Tokyo")
    namespace.wait_until_observed("weekly")
    browser = open_browser()
    browser.go("/schedules")
    browser.wait_for_text("weekly", "#list")
    browser.tab_to("text")
    browser.press("week")
    wait_for("the others go", lambda: "daily" not in browser.text("#list"), 30, browser.text)
    assert browser.focused == "text"
    assert "Asia/Tokyo" in browser.text("#list")
    assert browser.complaints() == []
    plain = open_browser(scripts=False)
    plain.go("/schedules")
    plain.driver.find_element("partial link text", "failing").click()
    assert "weekly" not in plain.text("#list")
    plain.driver.find_element("id", f"row-{namespace.name}-daily").click()
    assert plain.path == f"/schedules/{namespace.name}/daily"
    assert "no such table" in plain.text()
    assert "failed" in plain.text("#its-runs + table")


def test_stale_data_is_marked(
    namespace: Namespace, api_process: ApiProcess, plane: ControlPlane, browser: Browser
) -> None:
    fail_once(namespace)
    failed_run(api_process.api)
    browser.go("/")
    plane.pause(API_SERVER)
    try:
        browser.wait_for_text("The Kubernetes API is unavailable")
        assert "no such table" in browser.text()
        browser.go("/")
        assert "Scheduler: unknown" in browser.text("h1")
        assert "no such table" in browser.text()
    finally:
        plane.resume(API_SERVER)
    wait_for("it is back", lambda: "unknown" not in browser.text("h1"), 60, browser.text)
    assert browser.text("body").count("Not refreshed since") == 0
    api_process.kill()
    browser.wait_for_text("Not refreshed since", "body")
    api_process.start()
    wait_for("it goes on", lambda: "Not refreshed" not in browser.text("body"), 60)


LOADED = "return performance.getEntriesByType('resource').map((entry) => entry.name)"


@pytest.mark.parametrize("path", ["/", "/docs", "/openapi.json"])
def test_nothing_is_loaded_from_elsewhere(
    namespace: Namespace, api: Api, browser: Browser, path: str
) -> None:
    browser.go(path)
    if path != "/openapi.json":
        browser.wait_for_text("API" if path == "/docs" else "Queue")
    loaded = browser.driver.execute_script(LOADED)
    assert all(url.startswith(f"{browser.site}/") for url in loaded), loaded
    assert browser.complaints() == []
