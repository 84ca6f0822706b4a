"""What the API server refuses is told in one way, whichever write it was."""

from __future__ import annotations

from typing import Any, cast

import pytest

from report_operator.adapters.kube.client import ApiError, KubeClient
from report_operator.adapters.kube.store import Store
from report_operator.controllers.cronjobs import _refusal
from report_operator.controllers.resync import Resync

WEBHOOK = 'Internal error occurred: failed calling webhook "guard.example.com": refused'
REFUSALS = [
    ApiError(status, "", "no") for status in (400, 403, 405, 413, 422)
] + [ApiError(500, "InternalError", WEBHOOK)]  # fmt: skip
OUTAGES = [ApiError(500, "InternalError", "etcd has no leader"), ApiError(503, "", "shutting down")]


@pytest.mark.parametrize("error", REFUSALS, ids=lambda error: str(error.status))
def test_refused_cronjob_is_a_problem_of_the_schedule(error: ApiError) -> None:
    assert error.message in _refusal(error).message


@pytest.mark.parametrize("error", OUTAGES, ids=lambda error: str(error.status))
def test_outage_is_tried_again(error: ApiError) -> None:
    with pytest.raises(ApiError):
        _refusal(error)


class Server:
    def __init__(self, error: ApiError) -> None:
        self.error = error

    async def delete(self, *_: Any) -> bool:
        raise self.error


ORPHAN = {"metadata": {"namespace": "reports", "name": "daily-0", "uid": "u"}}


@pytest.mark.parametrize("error", REFUSALS, ids=lambda error: str(error.status))
async def test_one_orphan_that_may_not_go_keeps_no_other(error: ApiError) -> None:
    store = Store()
    resync = Resync(
        cast(KubeClient, Server(error)), store, (None,), cast(Any, None), cast(Any, None)
    )
    await resync._remove(ORPHAN)
    assert "not removed" in " ".join(store.skipped.summary())


@pytest.mark.parametrize("error", OUTAGES, ids=lambda error: str(error.status))
async def test_outage_ends_the_resync(error: ApiError) -> None:
    resync = Resync(
        cast(KubeClient, Server(error)), Store(), (None,), cast(Any, None), cast(Any, None)
    )
    with pytest.raises(ApiError):
        await resync._remove(ORPHAN)
