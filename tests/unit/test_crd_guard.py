"""An operator leads only where the cluster's CRDs have every field of its version."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest

from report_operator.adapters.kube.errors import ApiError
from report_operator.api.v1alpha1.resource import GROUP, VERSION
from report_operator.controllers import crd_guard
from report_operator.controllers.crd_guard import CrdGuard, OlderCrdsError
from report_operator.crd.definitions import RESOURCES
from report_operator.crd.generator import schema_of

WHOLE = {
    "components": {
        "schemas": {
            of.kind: {
                **schema_of(of),
                "x-kubernetes-group-version-kind": [
                    {"group": GROUP, "version": VERSION, "kind": of.kind}
                ],
            }
            for of in RESOURCES
        }
    }
}
NOTHING = ApiError(404, "NotFound", "the server could not find the requested resource")


class NoMoreAnswers(Exception):  # noqa: N818
    """Ends a test."""


class Answers:
    """An API server that gives these answers, the last one for ever."""

    def __init__(self, *answers: Any) -> None:
        self.left = list(answers)

    async def request(self, method: str, path: str) -> Any:
        assert (method, path) == ("GET", f"/openapi/v3/apis/{GROUP}/{VERSION}")
        answer = self.left.pop(0) if len(self.left) > 1 else self.left[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crd_guard, "RETRY_SECONDS", 0)


def guard(*answers: Any) -> CrdGuard:
    return CrdGuard(Answers(*answers))  # type: ignore[arg-type]


async def test_it_waits_until_the_crds_are_there() -> None:
    made = guard(NOTHING, NOTHING, WHOLE)
    await made.wait_until_complete()
    assert made.problem == ""


async def test_an_older_crd_ends_a_leader() -> None:
    made = guard(WHOLE, NOTHING)
    with pytest.raises(OlderCrdsError, match="they lack ReportSchedule, ReportBackfill"):
        await made.watch(0)


async def test_an_api_server_that_has_just_started_does_not() -> None:
    made = guard(NOTHING, NOTHING, WHOLE, WHOLE, NoMoreAnswers())
    with pytest.raises(NoMoreAnswers):
        await made.watch(0)
    assert made.problem == ""


@pytest.mark.parametrize(
    "error", [ApiError(403, "Forbidden", "no"), aiohttp.ClientConnectionError("refused")]
)
async def test_a_cluster_that_does_not_say_holds_nothing_up(error: Exception) -> None:
    await guard(error).wait_until_complete()
