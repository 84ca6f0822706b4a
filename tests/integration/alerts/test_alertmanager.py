"""The Alertmanager configurations of the docs: who is told, and how often, when many reports fail.

The series are of the operator's own metrics, the rules are the chart's, Prometheus and Alertmanager
are real.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prometheus_client import start_http_server

from hack.testbed.controlplane import free_port
from hack.testbed.waiting import wait_for
from report_operator.domain.schedules.view import ScheduleView
from report_operator.domain.teams import NamespaceTeams, Teams
from report_operator.metrics import Metrics
from tests.support.alertmanager import EXAMPLES, AlertmanagerProcess, Pager
from tests.support.chart import Object, run
from tests.support.monitoring import PrometheusProcess

FAILED, SOURCE = "ReportSchedulerFailed", "ReportSchedulerSourceDown"
NETWORK = "ReportSchedulerSourceNetwork"
# config.teams: a namespace may have another team's name as its own.
TEAMS = Teams({"reports": NamespaceTeams("finance", frozenset({"treasury"}))})


def view(namespace: str, number: int, team: str) -> ScheduleView:
    return ScheduleView(
        namespace=namespace,
        name=f"report-{number}",
        tier="standard",
        team=team,
        cause="",
        last_run_failed=False,
        ready=True,
        late_after=timedelta(minutes=30),
        next_due=datetime.now(UTC) + timedelta(days=1),
        last_success=None,
        queued=0,
        active=0,
        missed_slots=0,
        counts={},
    )


@dataclass
class Chain:
    """From the operator's metrics to the pager."""

    directory: Path
    example: str
    views: dict[str, ScheduleView] = field(default_factory=dict)
    pager: Pager = field(default_factory=Pager)
    alertmanager: AlertmanagerProcess = field(init=False)
    prometheus: PrometheusProcess = field(init=False)
    _stack: ExitStack = field(default_factory=ExitStack)

    def start(self) -> None:
        metrics = Metrics(lambda: list(self.views.values()), list, {}, teams=TEAMS)
        metrics.resynced(datetime.now(UTC), up=True)
        port = free_port()
        server, thread = start_http_server(port, "127.0.0.1", metrics.registry)
        self._stack.callback(thread.join)
        self._stack.callback(server.server_close)
        self._stack.callback(server.shutdown)
        self._stack.enter_context(self.pager)
        self.alertmanager = AlertmanagerProcess(self.directory, self.example, self.pager)
        self._stack.callback(self.alertmanager.stop)
        self.alertmanager.start()
        self.prometheus = PrometheusProcess(
            directory=self.directory, target=port, alertmanager=self.alertmanager.port
        )
        self._stack.callback(self.prometheus.stop)
        self.prometheus.start()

    def stop(self) -> None:
        self._stack.close()

    def add(self, namespace: str, count: int, team: str = "") -> None:
        for number in range(count):
            key = f"{namespace}/{team}/{number}"
            self.views[key] = view(namespace, number, team or TEAMS.of_namespace(namespace))

    def fail(self, cause: str, namespace: str = "") -> None:
        """All reports, or those of a namespace, at once; an empty cause ends the failures."""
        self.views |= {
            key: replace(item, cause=cause, last_run_failed=bool(cause))
            for key, item in self.views.items()
            if namespace in ("", item.namespace)
        }

    def told(self, receiver: str, name: str, status: str = "firing") -> list[Object]:
        """Notifications of an alert that a receiver got."""
        found = self.pager.pages(receiver, status)
        return [page for page in found if page["commonLabels"].get("alertname") == name]

    def wait_until_suppressed(self, count: int, **labels: str) -> None:
        def suppressed() -> bool:
            return len(self.alertmanager.alerts("suppressed", **labels)) == count

        wait_for(f"{count} are held back", suppressed, 90, self.alertmanager.log)

    def wait_until_told(self, receiver: str, name: str, status: str = "firing") -> list[Object]:
        found: list[Object] = wait_for(
            f"{receiver} is told of {name}",
            lambda: self.told(receiver, name, status),
            90,
            lambda: [page["commonLabels"] for page in self.pager.received],
        )
        return found


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[Callable[[str], Chain]]:
    made: list[Chain] = []

    def make(example: str) -> Chain:
        made.append(Chain(tmp_path, example))
        made[-1].start()
        return made[-1]

    yield make
    for item in made:
        item.stop()


@pytest.mark.parametrize("example", sorted(EXAMPLES.glob("*.yaml")), ids=lambda path: path.stem)
def test_amtool_accepts_the_examples(example: Path) -> None:
    done = run("amtool", "check-config", str(example))
    assert done.code == 0, done.out + done.err
    assert "3 inhibit rules" in done.out or "5 inhibit rules" in done.out


@pytest.mark.parametrize(
    ("labels", "receivers"),
    [
        ({"team": "finance", "severity": "sev3"}, "finance"),
        ({"team": "finance", "severity": "sev2"}, "data-engineering-lead,finance"),
        ({"team": "data-engineering", "severity": "sev3"}, "data-engineering"),
        ({"team": "unknown", "severity": "sev3"}, "data-engineering"),  # somebody is told
        ({"severity": "sev3"}, "data-engineering"),
    ],
    ids=str,
)
def test_who_is_told(labels: dict[str, str], receivers: str) -> None:
    pairs = [f"{name}={value}" for name, value in {"alertname": FAILED, **labels}.items()]
    config = f"--config.file={EXAMPLES / 'teams.yaml'}"
    done = run("amtool", "config", "routes", "test", config, *pairs)
    assert (done.code, done.out.strip()) == (0, receivers)


def test_one_dead_database_is_one_page(chain: Callable[[str], Chain]) -> None:
    """Forty reports of a team fail for it; what else fails is told all the same."""
    made = chain("teams")
    made.add("reports", 40)
    made.add("reports", 1, team="treasury")  # the same namespace, of another owner
    made.add("sales", 1)
    made.fail("DatabaseUnavailable", "reports")
    (page,) = made.wait_until_told("finance", SOURCE)
    (alert,) = page["alerts"]
    assert alert["annotations"]["summary"] == "40 reports of reports failed: DatabaseUnavailable"
    made.wait_until_suppressed(40, alertname=FAILED)
    # The one report of treasury is held back by nobody: another team was told of the forty.
    (other,) = made.wait_until_told("data-engineering", FAILED)
    assert [item["labels"]["team"] for item in other["alerts"]] == ["treasury"]
    assert len(made.pager.received) == 2

    # And the neighbour of another namespace, who fails later for the same cause.
    made.fail("DatabaseUnavailable", "sales")
    (theirs,) = made.wait_until_told("sales", FAILED)
    assert [item["labels"]["namespace"] for item in theirs["alerts"]] == ["sales"]
    (network,) = made.wait_until_told("data-engineering", NETWORK)
    assert network["commonLabels"]["cause"] == "DatabaseUnavailable"
    assert len(made.told("finance", SOURCE)) == 1
    assert made.told("finance", FAILED) == []

    made.fail("")
    made.wait_until_told("finance", SOURCE, "resolved")
    made.wait_until_told("sales", FAILED, "resolved")
    assert made.told("finance", FAILED) == []


def test_one_rota_has_one_page_for_a_database_that_teams_share(
    chain: Callable[[str], Chain],
) -> None:
    made = chain("one-rota")
    for namespace in ("reports", "sales", "risk", "people"):
        made.add(namespace, 10)
    made.fail("DatabaseUnavailable")
    (page,) = made.wait_until_told("data-engineering", NETWORK)
    (alert,) = page["alerts"]
    assert alert["annotations"]["summary"] == (
        "40 reports of several namespaces failed: DatabaseUnavailable"
    )
    made.wait_until_suppressed(40, alertname=FAILED)
    made.wait_until_suppressed(4, alertname=SOURCE)
    assert len(made.pager.received) == 1
    made.fail("")
    made.wait_until_told("data-engineering", NETWORK, "resolved")
    assert [page["status"] for page in made.pager.received] == ["firing", "resolved"]
