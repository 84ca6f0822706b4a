"""The chart's NetworkPolicies where they are enforced: who gets through, and who does not."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from hack.testbed.waiting import wait_for
from tests.network.conftest import Found, all_tries
from tests.network.vantage import VANTAGES, addresses, expected
from tests.support.docs import commands


def test_without_enforcement_every_connection_opens(unenforced: Found) -> None:
    """So what stays silent below does so by a policy alone."""
    for name, found in unenforced.items():
        assert set(found.values()) == {"open"}, f"{name}: {found}"


@pytest.mark.parametrize("name", VANTAGES)
def test_only_what_is_meant_to_connect_does(name: str, enforced: Path) -> None:
    wanted = addresses()
    meant = expected(name, wanted)
    wait_for(
        f"connections of {name} as they are meant",
        lambda: VANTAGES[name].tries(wanted) == meant,
        60,
        lambda: _differences(meant, VANTAGES[name].tries(wanted)),
    )


def _differences(meant: dict[str, str], found: dict[str, str]) -> str:
    return "\n".join(
        f"{name}: {found[name]}, not {result}"
        for name, result in meant.items()
        if found[name] != result
    )


def test_what_the_documentation_tries_gets_no_answer(enforced: Path) -> None:
    assert "no response" in _knock()


def _knock() -> str:
    """What the command of docs/installing.md prints."""
    (command,) = (found.text for found in commands() if " run knock " in found.text)
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def test_it_is_the_policies_that_close(no_policies: None) -> None:
    assert "accepting connections" in _knock()
    for name, found in all_tries().items():
        assert set(found.values()) == {"open"}, f"{name}: {found}"
