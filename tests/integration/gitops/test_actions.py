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
    ROOT,
    SCHEDULE,
    customizations,
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


def test_patch_of_argocd_cm_holds_the_scripts() -> None:
    """As Argo CD reads it: health as a text, actions as YAML within a text."""
    text = (ROOT / "gitops/argocd/argocd-cm.yaml").read_text()
    assert text == customizations(), "PYTHONPATH=tests/unit python -m tests.support.gitops"
    data = yaml.safe_load(text)["data"]
    for kind, actions in ACTIONS.items():
        script = (ARGOCD / kind / "health.lua").read_text()
        assert data[f"resource.customizations.health.reports.adaf.io_{kind}"] == script
        held = yaml.safe_load(data[f"resource.customizations.actions.reports.adaf.io_{kind}"])
        assert [found["name"] for found in held["definitions"]] == list(actions)
        for found in held["definitions"]:
            path = ARGOCD / kind / "actions" / found["name"] / "action.lua"
            assert found["action.lua"] == path.read_text()
