"""Each state of our objects, as kstatus, Flux and Argo CD judge it: with their own code."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from hack.gitops import ask
from report_operator.api.v1alpha1.conditions import BackfillReason, ReadyReason
from report_operator.domain.convergence import BACKFILL_PATIENCE, SCHEDULE_PATIENCE
from tests.support.gitops import ARGOCD, BACKFILL, ROOT, SCHEDULE, State, lua, states

Body = dict[str, Any]
STATES = states()
FLUX = {
    found["kind"]: {key: found[key] for key in ("inProgress", "failed", "current")}
    for found in yaml.safe_load((ROOT / "gitops/flux-health-checks.yaml").read_text())[
        "healthCheckExprs"
    ]
}


@pytest.fixture(scope="module")
def verdicts() -> dict[str, Body]:
    """All answers at once: the program starts once."""
    questions = []
    for state in STATES:
        about = {"object": state.body}
        questions += [
            {"do": "kstatus", **about},
            {"do": "cel", "expressions": FLUX[state.kind], **about},
            lua(state.kind, "health.lua", state.body),
        ]
    answers = ask(questions)
    return {
        state.id: dict(zip(("kstatus", "flux", "argocd"), answers[3 * n : 3 * n + 3], strict=True))
        for n, state in enumerate(STATES)
    }


@pytest.mark.parametrize("state", STATES, ids=lambda state: state.id)
def test_every_tool_says_what_is_meant(state: State, verdicts: dict[str, Body]) -> None:
    found = verdicts[state.id]
    assert found["kstatus"].get("status") == state.kstatus, found
    assert found["flux"].get("status") == state.kstatus, found
    assert found["argocd"].get("value", {}).get("status") == state.argocd, found
    assert found["argocd"]["value"]["message"]


def test_every_reason_has_its_states() -> None:
    assert set(SCHEDULE_PATIENCE) == set(ReadyReason) - {ReadyReason.READY}
    held_up = {r for r in BackfillReason if any(s.name == f"{r.value} at once" for s in STATES)}
    assert held_up == set(BACKFILL_PATIENCE)


def test_one_of_the_two_conditions_is_there_exactly_while_ready_is_false() -> None:
    """kpt, Helm and Flux read absent as False; a False one would only be noise."""
    for state in STATES:
        kinds = {c["type"]: c["status"] for c in state.body["status"]["conditions"]}
        extra = [kinds[kind] for kind in ("Stalled", "Reconciling") if kind in kinds]
        without = kinds["Ready"] != "False" and state.name != "NoSlot"
        assert extra == ([] if without else ["True"]), state.id
        assert isinstance(state.body["status"]["observedGeneration"], int)


@pytest.mark.parametrize("kind", [SCHEDULE, BACKFILL])
def test_health_as_argo_cds_own_suite_has_it(kind: str) -> None:
    """The file in the form of its repository, over the states that are written beside it."""
    listed = yaml.safe_load((ARGOCD / kind / "health_test.yaml").read_text())["tests"]
    bodies = [yaml.safe_load((ARGOCD / kind / test["inputPath"]).read_text()) for test in listed]
    written = {state.file: state.body for state in STATES if state.kind == kind and state.shipped}
    assert {t["inputPath"]: b for t, b in zip(listed, bodies, strict=True)} == written, (
        "PYTHONPATH=tests/unit python -m tests.support.gitops"
    )
    answers = ask([lua(kind, "health.lua", body) for body in bodies])
    assert [answer["value"] for answer in answers] == [test["healthStatus"] for test in listed]
