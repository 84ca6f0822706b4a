"""Debian's Chromium without a screen, driven by keyboard."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys

from hack.image.recipe import cache_dir
from hack.testbed.waiting import wait_for

CHROMIUM, DRIVER = "/usr/bin/chromium", "/usr/bin/chromedriver"
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-dev-shm-usage",
)  # fmt: skip
NO_SCRIPTS = {"profile.managed_default_content_settings.javascript": 2}

AXE = "axe-core-4.14.1"
AXE_SHA256 = "e6b0ce02b84d892e2e33e403485e7f3d6c29e2be6df65daf44d89ba564139745"
# What WCAG 2.2 AA asks for, as far as a program can tell, and what axe holds to be good besides.
AXE_RUN = """
const done = arguments[arguments.length - 1];
const places = (rule) => rule.nodes.map((node) => node.html + node.failureSummary);
axe.run(document, {resultTypes: ["violations"]}).then(
  (found) => done(found.violations.map((rule) => [rule.id, places(rule)])),
  (error) => done([["axe", [String(error)]]]));
"""
WIDER = "return document.documentElement.scrollWidth > document.documentElement.clientWidth"


@dataclass
class Browser:
    driver: webdriver.Chrome
    site: str

    @classmethod
    def open(cls, site: str, profile: Path, *, scripts: bool = True) -> Browser:
        options = webdriver.ChromeOptions()
        options.binary_location = CHROMIUM
        for flag in (*FLAGS, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        if not scripts:
            options.add_experimental_option("prefs", NO_SCRIPTS)
        # With both paths given selenium looks for no driver on the network.
        driver = webdriver.Chrome(options=options, service=Service(DRIVER))
        return cls(driver, site)

    def go(self, path: str) -> None:
        self.driver.get(self.site + path)

    @property
    def path(self) -> str:
        return str(self.driver.current_url).removeprefix(self.site)

    def show(self, *, width: int, scheme: str) -> None:
        """Open a page in a window of this width, with the colour scheme `light` or `dark`."""
        metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        preferred = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", preferred)

    def text(self, selector: str = "main") -> str:
        """The visible text."""
        while True:
            found = self.driver.find_element("css selector", selector)
            with contextlib.suppress(StaleElementReferenceException):  # refreshed in between
                return str(found.text)

    def wait_for_text(self, text: str, selector: str = "main") -> None:
        wait_for(text, lambda: text in self.text(selector), 30, lambda: self.text(selector))

    @property
    def focused(self) -> str:
        """Id of the focused element."""
        return str(self.driver.switch_to.active_element.get_attribute("id"))

    def press(self, *keys: str) -> None:
        ActionChains(self.driver).send_keys(*keys).perform()

    def tab_to(self, identity: str) -> None:
        """Press Tab until the element has the focus."""
        for _ in range(100):
            if self.focused == identity:
                return
            self.press(Keys.TAB)
        raise AssertionError(f"the Tab key never comes to #{identity} on {self.path}")

    def complaints(self) -> list[str]:
        """The browser's console messages since the last call, such as violations of the CSP."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def is_too_wide(self) -> bool:
        """True where the page scrolls sideways."""
        return bool(self.driver.execute_script(WIDER))

    def audit(self, axe: str) -> list[Any]:
        """Violations that axe finds."""
        self.driver.execute_script(axe)
        return list(self.driver.execute_async_script(AXE_RUN))


def axe_script() -> str:
    """axe-core from npm, fetched once."""
    directory = cache_dir() / "npm"
    directory.mkdir(parents=True, exist_ok=True)
    package = directory / f"{AXE}.tgz"
    with (directory / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not package.exists():
            name, _, version = AXE.rpartition("-")
            subprocess.run(
                ["npm", "pack", "--silent", f"{name}@{version}"],
                cwd=directory, check=True, capture_output=True,
            )  # fmt: skip
    digest = hashlib.sha256(package.read_bytes()).hexdigest()
    assert digest == AXE_SHA256, f"{package} is not the one expected: {digest}"
    with tarfile.open(package) as archive:
        member = archive.extractfile("package/axe.min.js")
        assert member is not None
        return member.read().decode()
