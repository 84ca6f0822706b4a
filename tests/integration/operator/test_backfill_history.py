"""A backfill waits, and reports so, while history does not answer."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime

import pytest

from hack.testbed.namespace import Namespace
from hack.testbed.operator import OperatorProcess
from report_operator.adapters.kube.client import KubeClient
from report_operator.adapters.kube.past_runs import StoredPastRuns
from report_operator.adapters.kube.recorder import Recorder
from report_operator.adapters.kube.resources import BACKFILLS, CRONJOBS, JOBS, SCHEDULES
from report_operator.adapters.kube.store import Store
from report_operator.api.v1alpha1.resource import Key
from report_operator.controllers.backfill import BackfillController
from report_operator.controllers.backfill_observe import BackfillObserver
from report_operator.domain.runs.history import PastRun, PastRunsUnavailableError, SlotSpan
from report_runner.contract.result import Outcome
from tests.support.backfills import Backfills, annotation


class History:
    """A fake history with one success, which can be down."""

    up = False

    async def of(self, span: SlotSpan) -> Sequence[PastRun]:
        if not self.up:
            raise PastRunsUnavailableError("connection refused")
        assert span.until.date() == datetime(2024, 3, 3).date()  # noqa: DTZ001
        slot = datetime(2024, 3, 2, 5, tzinfo=UTC)
        return [PastRun(slot, 1, Outcome.SUCCEEDED)] if span.since <= slot <= span.until else []


@pytest.fixture
async def kube(namespace: Namespace, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[KubeClient]:
    monkeypatch.setenv("KUBECONFIG", str(namespace.plane.kubeconfig))
    async with await KubeClient.connect() as made:
        yield made


async def test_backfill_waits_until_history_answers(
    namespace: Namespace, operator: OperatorProcess, kube: KubeClient
) -> None:
    namespace.apply("daily", schedule="0 6 * * *", suspend=True)
    namespace.wait_until_observed("daily")
    operator.kill()
    backfills = Backfills(namespace)
    backfills.ask("march", "2024-03-01", "2024-03-03")
    store, history = Store(), History()
    key = Key(namespace.name, "march")
    observers = {
        SCHEDULES: store.observe_schedule,
        CRONJOBS: store.observe_cronjob,
        BACKFILLS: store.observe_backfill,
    }
    for kind, observe in observers.items():
        for body in await kube.list(kind, namespace.name):
            observe(body)
    recorder = Recorder(kube, "test")
    observer = BackfillObserver(store, [StoredPastRuns(store), history])
    controller = BackfillController(kube, store, recorder, observer, lambda: datetime.now(UTC))
    assert await controller.reconcile(key) is not None  # it looks again by itself
    status = backfills.status("march")
    condition = backfills.condition("march", "Ready")
    assert (status["state"], status["progress"]) == ("Waiting", "0/3")
    assert condition["reason"] == "HistoryUnavailable"
    assert "connection refused" in condition["message"]
    before = kube.writes.total()
    await controller.reconcile(key)
    assert kube.writes.total() == before
    assert await kube.list(JOBS, namespace.name) == []

    history.up = True
    assert await controller.reconcile(key) is None
    status = backfills.status("march")
    assert (status["state"], status["progress"], status["skipped"]) == ("Running", "1/3", 1)
    assert [annotation(job, "report-date") for job in backfills.jobs()] == [
        *("2024-03-01", "2024-03-03")
    ]
