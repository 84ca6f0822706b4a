"""Argo CD's actions: what each makes of the object, and of a press too many."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import yaml
from factories import merged

from hack.gitops import ask
from tests.support.gitops import (
    ACTIONS,
    ARGOCD,
    BACKFILL,
    DISABLED,
    PRESSED_AT,
    SCHEDULE,
    lua,
    press,
    states,
)

Body = dict[str, Any]
KNOWN = {(state.kind, state.name): state for state in states()}
PRESSES = [(kind, action) for kind, found in ACTIONS.items() for action in found]
presses = pytest.mark.parametrize(("kind", "action"), PRESSES)


@presses
def test_action_changes_what_it_says_and_nothing_else(kind: str, action: str) -> None:
    name, change = ACTIONS[kind][action]
    body = KNOWN[kind, name].body
    assert press(kind, action, body) == merged(body, change)


@presses
def test_second_press_in_the_same_moment_changes_nothing(kind: str, action: str) -> None:
    name, _ = ACTIONS[kind][action]
    once = press(kind, action, KNOWN[kind, name].body)
    assert press(kind, action, once) == once
    later = press(kind, action, once, PRESSED_AT + timedelta(seconds=30))
    if action != "run-now":  # the operator answers a later instant with the run under way
        assert later == once


def test_retry_where_nothing_failed_is_an_error() -> None:
    with pytest.raises(ValueError, match="no run has failed"):
        press(SCHEDULE, "retry", KNOWN[SCHEDULE, "unseen"].body)


@pytest.mark.parametrize(("kind", "name"), DISABLED)
def test_buttons_that_would_do_nothing_cannot_be_pressed(kind: str, name: str) -> None:
    (answer,) = ask([lua(kind, "actions/discovery.lua", KNOWN[kind, name].body)])
    found = answer["value"]
    assert set(found) == set(ACTIONS[kind])
    assert {action for action, how in found.items() if how["disabled"]} == DISABLED[kind, name]


@pytest.mark.parametrize("kind", [SCHEDULE, BACKFILL])
def test_actions_as_argo_cds_own_suite_has_them(kind: str) -> None:
    place = ARGOCD / kind / "actions"
    tests = yaml.safe_load((place / "action_test.yaml").read_text())
    assert {test["action"] for test in tests["actionTests"]} == set(ACTIONS[kind])
    for test in tests["actionTests"]:
        body = yaml.safe_load((place / test["inputPath"]).read_text())
        expected = yaml.safe_load((place / test["expectedOutputPath"]).read_text())
        assert press(kind, test["action"], body) == expected
    for test in tests["discoveryTests"]:
        body = yaml.safe_load((place / test["inputPath"]).read_text())
        (answer,) = ask([lua(kind, "actions/discovery.lua", body)])
        listed = [{"name": name, **how} for name, how in sorted(answer["value"].items())]
        assert listed == test["result"]
