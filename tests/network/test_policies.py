"""The chart's NetworkPolicies where they are enforced: who gets through, and who does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from hack.testbed.waiting import wait_for
from tests.network.conftest import Found, all_tries
from tests.network.vantage import VANTAGES, addresses, expected


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
        f"{name}: {found[name]}, meant {meant[name]}" for name in meant if found[name] != meant[name]
    )


def test_it_is_the_policies_that_close(no_policies: None) -> None:
    for name, found in all_tries().items():
        assert set(found.values()) == {"open"}, f"{name}: {found}"
