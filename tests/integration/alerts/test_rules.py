"""The rendered rules in promtool: which alert fires, at which minute."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml

from tests.support.chart import NAME, RELEASE, Values, run
from tests.support.monitoring import rules

DUE = 10  # minute of the slot
LATE = DUE + 30
END = 400  # minutes of data
LATE_AFTER = 30 * 60
Labels = dict[str, str]


def keep(value: float, minutes: int = END) -> str:
    """The same value at every minute; the next value follows a minute later."""
    return f"{value}+0x{minutes}"


@dataclass
class World:
    """Series of one operator, one sample a minute from 0 on, with the expected alerts."""

    directory: Path
    settings: Values = field(default_factory=dict)
    series: dict[str, str] = field(default_factory=dict)
    expected: list[tuple[str, set[tuple[str, ...]]]] = field(default_factory=list)

    def operator(
        self,
        pod: str = "a",
        resync: str = f"1+60x{END}",
        start: str = keep(-3600),
        depth: str = keep(0),
    ) -> None:
        target = f'job="metrics",pod="{pod}"'
        self.series |= {
            f"report_scheduler_last_resync_timestamp_seconds{{{target}}}": resync,
            f"process_start_time_seconds{{{target}}}": start,
            f"report_scheduler_queue_depth{{{target}}}": depth,
        }

    def schedule(
        self,
        failed: str = keep(0),
        due: str = keep(DUE * 60),
        late_after: str = keep(LATE_AFTER),
        *,
        tier: str = "standard",
        pod: str = "a",
        name: str = "daily",
        namespace: str = "reports",
        team: str = "finance",
        cause: str = "",
    ) -> None:
        labels = (
            f'job="metrics",pod="{pod}",namespace="{namespace}",reportschedule="{name}",'
            f'tier="{tier}",team="{team}"'
        )
        self.series |= {
            f'report_scheduler_last_run_failed{{{labels},cause="{cause}"}}': failed,
            f"report_scheduler_next_due_timestamp_seconds{{{labels}}}": due,
            f"report_scheduler_late_after_seconds{{{labels}}}": late_after,
        }

    def say(self, name: str, values: str, *, pod: str = "a", **labels: str) -> None:
        """Add a series of an operator."""
        told = "".join(f',{label}="{value}"' for label, value in labels.items())
        self.series[f'{name}{{job="metrics",pod="{pod}"{told}}}'] = values

    def expect(self, minute: float, *firing: tuple[str, ...]) -> None:
        """All firing alerts: names, with the reason where they have one."""
        self.expected.append((f"{round(minute * 60)}s", set(firing)))

    def check_without_failed(self, *by: str) -> None:
        """Of all alerts but ReportSchedulerFailed, which each of the reports has."""
        self.check_without("", *by)

    def check_without(self, name: str, *by: str) -> None:
        """As `check_without_failed`, and without this alert."""
        others = f'alertname!~"ReportSchedulerFailed|{name}"'
        self.check(*by, alerts=f'ALERTS{{alertstate="firing",{others}}}')

    def check(self, *by: str, alerts: str = 'ALERTS{alertstate="firing"}') -> None:
        """Alerts are told apart by name, by reason, and by these labels."""
        (self.directory / "rules.yaml").write_text(yaml.safe_dump(rules(self.settings)))
        tests = [
            {
                "expr": f"count by ({', '.join(('alertname', 'reason', *by))}) ({alerts})",
                "eval_time": time,
                "exp_samples": [
                    {"labels": _labels(("alertname", "reason", *by), alert), "value": 1}
                    for alert in sorted(firing)
                ],
            }
            for time, firing in self.expected
        ]
        series = [{"series": name, "values": values} for name, values in self.series.items()]
        promtool(
            self.directory,
            {"interval": "1m", "input_series": series, "promql_expr_test": tests},
        )


def _labels(names: tuple[str, ...], values: tuple[str, ...]) -> str:
    pairs = zip(names, values, strict=False)
    return "{" + ", ".join(f'{name}="{value}"' for name, value in pairs if value) + "}"


def promtool(directory: Path, test: object) -> None:
    path = directory / "test.yaml"
    body = {"rule_files": ["rules.yaml"], "evaluation_interval": "30s", "tests": [test]}
    path.write_text(yaml.safe_dump(body))
    done = run("promtool", "test", "rules", str(path))
    assert done.code == 0, done.out + done.err


FAILED = ("ReportSchedulerFailed", "failed")
DELAYED = ("ReportSchedulerFailed", "delayed")
CRITICAL = ("ReportSchedulerCriticalFailing",)
DOWN = ("ReportSchedulerDown",)
BACKLOG = ("ReportSchedulerQueueBacklog",)
NOT_READY = ("ReportSchedulerNotReady",)
STUCK = ("ReportSchedulerRunsNotStarting",)
LETTERS = ("ReportSchedulerDeadLetters",)
FULL = ("ReportSchedulerStorageFull",)
DATABASE = ("ReportSchedulerDatabaseDown",)
REDIS = ("ReportSchedulerRedisDown",)
MANY = ("ReportSchedulerManyCriticalFailing",)
SOURCE = "ReportSchedulerSourceDown"
NETWORK = ("ReportSchedulerSourceNetwork",)
CORRUPTED = "ReportSchedulerDataCorrupted"
HISTORY_CORRUPTED = ("ReportSchedulerHistoryCorrupted",)
HISTORY_REFUSED = ("ReportSchedulerHistoryRefused",)
MEMORY, CPU = "ReportSchedulerMemoryHigh", "ReportSchedulerCpuHigh"
RUN_MEMORY = ("ReportSchedulerRunMemoryHigh",)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.mark.parametrize(
    "settings",
    [{}, {"severityOfTier": {"critical": "sev1", "bulk": "sev4"}}],
    ids=["default", "tiers"],
)
def test_promtool_accepts_the_rules(tmp_path: Path, settings: Values) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text(yaml.safe_dump(rules(settings)))
    done = run("promtool", "check", "rules", "--lint-fatal", str(path))
    assert done.code == 0, done.out + done.err


def test_unmet_expectation_fails_promtool(world: World) -> None:
    world.operator()
    world.expect(60, DOWN)
    with pytest.raises(AssertionError, match="exp:"):
        world.check()


# -- late ---------------------------------------------------------------------------------------


def test_late_after_thirty_minutes(world: World) -> None:
    world.operator()
    world.schedule()
    for minutes in (0, 29, 30, 30.5):
        world.expect(DUE + minutes)
    for minutes in (31, 32, 120, 300):
        world.expect(DUE + minutes, DELAYED)
    world.check()


def test_late_after_is_that_of_the_schedule(world: World) -> None:
    world.operator()
    world.schedule(late_after=keep(3600))
    world.expect(DUE + 60)
    world.expect(DUE + 61, DELAYED)
    world.check()


def test_delivered_when_almost_late(world: World) -> None:
    """An outcome scraped a moment after the limit fires nothing."""
    world.operator()
    world.schedule(due=f"{keep(DUE * 60, LATE)} {keep(86400, END)}")
    world.expect(LATE)
    world.expect(LATE + 1)
    world.expect(LATE + 60)
    world.check()


def test_delivered_at_last(world: World) -> None:
    world.operator()
    world.schedule(due=f"{keep(DUE * 60, 59)} {keep(86400, END)}")
    world.expect(59, DELAYED)
    world.expect(60)
    world.check()


def test_never_run(world: World) -> None:
    """A new schedule is quiet until its first slot is late."""
    world.operator()
    world.schedule(due=keep(200 * 60))
    for minute in (1, 199, 229):
        world.expect(minute)
    world.expect(231, DELAYED)
    world.check()


# -- failed -------------------------------------------------------------------------------------


def test_failed_then_success(world: World) -> None:
    world.operator()
    world.schedule(failed=f"{keep(0, 9)} {keep(1, 19)} {keep(0)}", due=keep(86400))
    world.expect(9)
    world.expect(10, FAILED)
    world.expect(29, FAILED)
    world.expect(30)
    world.check()


def test_failed_and_late(world: World) -> None:
    world.operator()
    world.schedule(failed=keep(1))
    world.expect(LATE, FAILED)
    world.expect(LATE + 1, FAILED, DELAYED)
    world.check()


# -- suspended and deleted ----------------------------------------------------------------------


def test_suspended(world: World) -> None:
    """A suspended schedule is not due, and its earlier failure does not count."""
    world.operator()
    world.schedule(failed=keep(1), due=f"{keep(DUE * 60, 59)} stale")
    world.expect(59, FAILED, DELAYED)
    for minute in (60, 61, 200):
        world.expect(minute)
    world.check()


def test_suspended_before_it_was_late(world: World) -> None:
    world.operator()
    world.schedule(due=f"{keep(DUE * 60, LATE - 5)} stale")
    for minute in (LATE - 4, LATE, LATE + 1, LATE + 120):
        world.expect(minute)
    world.check()


def test_deleted(world: World) -> None:
    world.operator()
    gone = "stale"
    world.schedule(f"{keep(1, 59)} {gone}", f"{keep(600, 59)} {gone}", f"{keep(1800, 59)} {gone}")
    world.expect(59, FAILED, DELAYED)
    for minute in (60, 61, 200):
        world.expect(minute)
    world.check()


def test_deleted_and_the_operator_down_later(world: World) -> None:
    """A deletion that the operator has reported is final."""
    world.operator(
        resync="1+60x30 stale", start=f"{keep(-3600, 30)} stale", depth=f"{keep(0, 30)} stale"
    )
    gone = "stale"
    world.schedule(f"{keep(1, 20)} {gone}", f"{keep(600, 20)} {gone}", f"{keep(1800, 20)} {gone}")
    world.expect(20, FAILED)
    world.expect(21)
    world.expect(100, DOWN)
    world.check()


# -- the operator hangs, is down, starts again --------------------------------------------------


def test_hung_operator(world: World) -> None:
    """Scrapes succeed, and no value changes."""
    world.operator(resync=f"1+60x5 {keep(300)}")
    world.schedule()
    world.expect(19)
    world.expect(21, DOWN)
    world.expect(LATE, DOWN)
    world.expect(LATE + 1, DOWN, DELAYED)
    world.expect(LATE + 300, DOWN, DELAYED)
    world.check()


def down(values: str, since: int) -> str:
    """Scrapes fail from this minute on."""
    return f"{values}x{since - 1} stale"


@pytest.mark.parametrize("since", [20, LATE + 10])
def test_operator_down(world: World, since: int) -> None:
    """Late stays late, known before the outage or not, and for more than an hour."""
    world.operator(
        resync=down("1+60", since), start=down("-3600+0", since), depth=down("0+0", since)
    )
    world.schedule(
        failed=down("0+0", since), due=down("600+0", since), late_after=down("1800+0", since)
    )
    world.expect(since + 4, *([DELAYED] if since > LATE else []))
    world.expect(LATE + 16, *({DOWN, DELAYED} if since + 5 < LATE + 16 else {DELAYED}))
    for minute in (LATE + 30, LATE + 70, LATE + 300):
        world.expect(minute, DOWN, DELAYED)
    world.check()


def test_what_failed_stays_failed_while_the_operator_is_down(world: World) -> None:
    world.operator(resync=down("1+60", 20), start=down("-3600+0", 20), depth=down("0+0", 20))
    world.schedule(failed=down("1+0", 20), due=down("86400+0", 20), late_after=down("1800+0", 20))
    world.expect(19, FAILED)
    world.expect(24, FAILED)
    world.expect(200, FAILED, DOWN)
    world.check()


@pytest.mark.parametrize("told_after", [0, 1, 2])
def test_another_pod_takes_over(world: World, told_after: int) -> None:
    """Alerts, and the two hours of a critical one, last until the new leader reports."""
    world.operator(resync=down("1+60", 60), start=down("-3600+0", 60), depth=down("0+0", 60))
    world.schedule(
        failed=down("1+0", 60), due=down("86400+0", 60), late_after=down("1800+0", 60),
        tier="critical",
    )  # fmt: skip
    later = f"_x{63 + told_after}"
    world.operator("b", f"_x62 0 {63 * 60}+60x{END}", f"_x62 {keep(62 * 60)}", f"_x62 {keep(0)}")
    world.schedule(
        f"{later} 1+0x99 0+0x200", f"{later} {keep(86400)}", f"{later} {keep(1800)}",
        tier="critical", pod="b",
    )  # fmt: skip
    for minute in (59, 60, 61, 62, 63, 63.5, 64, 65, 66, 67, 119):
        world.expect(minute, FAILED)
    world.expect(121, FAILED, CRITICAL)
    world.expect(63 + told_after + 99, FAILED, CRITICAL)
    world.expect(63 + told_after + 101)
    world.check()


def test_the_container_starts_again(world: World) -> None:
    """It restarts between two scrapes; the new process does not report the schedule at once."""
    world.operator(resync=f"1+60x59 0 {61 * 60}+60x{END}", start=f"{keep(-3600, 59)} {keep(3600)}")
    there, gone = "x59 stale", f"_x1 {keep(1)}"
    world.schedule(
        f"1+0{there} {gone}",
        f"86400+0{there} _x1 {keep(86400)}",
        f"1800+0{there} _x1 {keep(1800)}",
    )
    for minute in (59, 60, 61, 62, 63, 70):
        world.expect(minute, FAILED)
    world.check()


def test_suspended_while_nobody_watched(world: World) -> None:
    """The first report of a returning operator counts at once."""
    world.operator(resync=down("1+60", 60), start=down("-3600+0", 60), depth=down("0+0", 60))
    world.schedule(failed=down("1+0", 60), due=down("600+0", 60), late_after=down("1800+0", 60))
    world.operator("b", f"_x62 {63 * 60}+60x{END}", f"_x62 {keep(62 * 60)}", f"_x62 {keep(0)}")
    world.schedule(f"_x62 {keep(1)}", "_x62", f"_x62 {keep(1800)}", pod="b")
    world.expect(61, FAILED, DELAYED)
    for minute in (62, 63, 70):
        world.expect(minute)
    world.check()


def test_deleted_while_nobody_watched(world: World) -> None:
    """A returning operator does not report the schedule; that counts once it had time to."""
    world.operator(resync=down("1+60", 60), start=down("-3600+0", 60), depth=down("0+0", 60))
    world.schedule(failed=down("1+0", 60), due=down("86400+0", 60), late_after=down("1800+0", 60))
    world.operator("b", f"_x62 0 {63 * 60}+60x{END}", f"_x62 {keep(62 * 60)}", f"_x62 {keep(0)}")
    world.expect(64, FAILED)
    world.expect(66)
    world.check()


# -- critical -----------------------------------------------------------------------------------


@pytest.mark.parametrize("tier", ["critical", "standard", "bulk"])
def test_failing_for_two_hours(world: World, tier: str) -> None:
    world.operator()
    world.schedule(failed=f"{keep(0, 9)} {keep(1)}", due=keep(86400), tier=tier)
    world.expect(10 + 119, FAILED)
    world.expect(10 + 121, FAILED, *([CRITICAL] if tier == "critical" else []))
    world.check()


def test_a_success_begins_the_two_hours_anew(world: World) -> None:
    world.operator()
    world.schedule(failed=f"{keep(1, 99)} {keep(0, 0)} {keep(1)}", due=keep(86400), tier="critical")
    world.expect(99, FAILED)
    world.expect(100)
    world.expect(101 + 119, FAILED)
    world.expect(101 + 121, FAILED, CRITICAL)
    world.check()


def test_late_and_then_failed_is_missing_all_the_while(world: World) -> None:
    world.operator()
    world.schedule(
        failed=f"{keep(0, 99)} {keep(1)}", due=f"{keep(600, 99)} {keep(86400)}", tier="critical"
    )
    world.expect(99, DELAYED)
    world.expect(101, FAILED)
    world.expect(LATE + 119, FAILED)
    world.expect(LATE + 121, FAILED, CRITICAL)
    world.check()


# -- the operator, and the queue ----------------------------------------------------------------


def test_only_a_standby(world: World) -> None:
    world.operator(resync=keep(0))
    world.expect(4)
    world.expect(6, DOWN)
    world.check()


def test_nobody_is_scraped(world: World) -> None:
    world.expect(4)
    world.expect(6, DOWN)
    world.check()


def test_a_standby_beside_the_leader(world: World) -> None:
    world.operator()
    world.operator("b", resync=keep(0))
    world.schedule()
    world.expect(6)
    world.expect(LATE + 1, DELAYED)
    world.check()


@pytest.mark.parametrize(("most", "depth"), [(50, 50), (50, 51), (3, 3), (3, 4)])
def test_backlog(world: World, most: int, depth: int) -> None:
    world.settings = {} if most == 50 else {"queueBacklog": most}
    world.operator(depth=f"0+0x9 {keep(depth)}")
    world.operator("b", resync=keep(0))  # a standby has no queue
    world.expect(19)
    world.expect(21, *([BACKLOG] if depth > most else []))
    world.check()


@pytest.mark.parametrize(("depth", "fires"), [(0, False), (1, True)])
def test_runs_that_do_not_start_while_others_wait(world: World, depth: int, fires: bool) -> None:
    world.operator(depth=keep(depth))
    world.operator("b", resync=keep(0))
    stuck = f"{keep(4, 5)} _x20 {keep(19, 60)} _x300"  # a hiccup, and an hour
    world.say("report_scheduler_runs_not_starting", stuck, namespace="reports")
    for minute, holds in ((9, False), (35, False), (45, True), (80, True), (100, False)):
        world.expect(minute, *([STUCK] if fires and holds else []))
    world.check()


def test_a_backlog_that_goes_by(world: World) -> None:
    world.operator(depth="0+0x9 200+0x8 0+0x300")
    for minute in (9, 18, 20, 30):
        world.expect(minute)
    world.check()


# -- dead letters, volumes, dependencies -------------------------------------------------------


@pytest.mark.parametrize(("most", "count"), [(100, 100), (100, 101), (3, 3), (3, 4)])
def test_dead_letters(world: World, most: int, count: int) -> None:
    world.settings = {} if most == 100 else {"deadLetters": most}
    world.operator()
    world.operator("b", resync=keep(0))
    world.say("report_scheduler_dead_letters", f"0+0x9 {keep(count, 99)} {keep(0)}")
    world.say("report_scheduler_dead_letters", keep(0), pod="b")  # a standby
    world.expect(19)
    world.expect(21, *([LETTERS] if count > most else []))
    world.expect(111)  # cleared
    world.check()


@pytest.mark.parametrize(("most", "percent"), [(95, 95), (95, 96), (29, 29), (29, 30)])
def test_a_full_volume(world: World, most: int, percent: int) -> None:
    world.settings = {} if most == 95 else {"storageUsedPercent": most}
    world.operator()
    ratio = "report_scheduler_storage_used_ratio"
    world.say(ratio, f"0.1+0x9 {keep(percent / 100, 99)} {keep(0.1)}", namespace="reports")
    world.say(ratio, keep(0.1), namespace="other")
    world.expect(9)
    world.expect(11, *([FULL] if percent > most else []))
    world.expect(111)
    world.check()


@pytest.mark.parametrize(("name", "alert"), [("postgres", DATABASE), ("redis", REDIS)])
def test_a_dependency_that_is_down(world: World, name: str, alert: tuple[str, ...]) -> None:
    """Neither a short outage nor an unused dependency fires."""
    world.operator()
    world.operator("b", resync=keep(0))
    up = f"{keep(1, 9)} {keep(0, 2)} {keep(1, 9)} {keep(0, 59)} {keep(1)}"
    world.say("report_scheduler_dependency_up", up, dependency=name)
    world.say("report_scheduler_dependency_up", keep(1), dependency="kubernetes")
    world.expect(12.5)
    world.expect(27)
    world.expect(29, alert)
    world.expect(90)
    world.check()


def schedule_labels(tier: str) -> Labels:
    return {"namespace": "reports", "reportschedule": "daily", "tier": tier, "team": "finance"}


def test_schedule_that_is_not_ready(world: World) -> None:
    world.operator()
    world.operator("b")
    ready = f"1+0x9 {keep(0, 29)} {keep(1)}"
    world.say("report_scheduler_schedule_ready", ready, **schedule_labels("bulk"))
    for minute, firing in ((9, ()), (24, ()), (26, (NOT_READY,)), (39, (NOT_READY,)), (41, ())):
        world.expect(minute, *firing)
    world.check()


# -- several at once -----------------------------------------------------------------------------


@pytest.mark.parametrize("most", [2, 3])
def test_several_critical_reports_each_for_two_hours(world: World, most: int) -> None:
    """Two that fail one after the other, each for less, are not several at once."""
    world.settings = {} if most == 2 else {"criticalFailing": most}
    world.operator()
    later = keep(86400)
    world.schedule(f"{keep(0, 9)} {keep(1)}", later, tier="critical")
    world.schedule(f"{keep(0, 29)} {keep(1)}", later, tier="critical", name="weekly")
    world.schedule(f"{keep(1, 99)} {keep(0)}", later, tier="critical", name="mended")
    world.schedule(f"{keep(0, 49)} {keep(1)}", later, name="standard")

    def firing(*alerts: tuple[str, ...]) -> list[tuple[str, ...]]:
        return [("ReportSchedulerFailed", "failed", name) for name in ("daily", "weekly")] + [
            ("ReportSchedulerFailed", "failed", "standard"), *alerts
        ]  # fmt: skip

    daily, weekly = ((CRITICAL[0], "", name) for name in ("daily", "weekly"))
    world.expect(10 + 119, *firing())
    world.expect(10 + 121, *firing(daily))
    world.expect(30 + 119, *firing(daily))
    world.expect(30 + 121, *firing(daily, weekly, *([MANY] if most == 2 else [])))
    world.check("reportschedule")


def fail_for(world: World, cause: str, reports: dict[str, int], team: str = "") -> None:
    """So many reports of each namespace fail from minute 10 to 59."""
    for namespace, count in reports.items():
        for number in range(count):
            world.schedule(
                f"{keep(0, 9)} {keep(1, 49)} {keep(0)}", keep(86400), name=f"r{number}",
                namespace=namespace, team=team or namespace, cause=cause,
            )  # fmt: skip


@pytest.mark.parametrize("least", [3, 5])
def test_many_reports_without_their_source(world: World, least: int) -> None:
    """Each namespace, team and cause is counted apart."""
    world.settings = {} if least == 3 else {"sourceDown": least}
    world.operator()
    database, http = "DatabaseUnavailable", "ExternalSourceUnavailable"
    fail_for(world, database, {"almost": least - 1, "reports": least})
    fail_for(world, http, {"web": least})
    fail_for(world, "Timeout", {"slow": least})
    fail_for(world, database, {"shared": least - 1}, team="a")
    world.schedule(keep(1), keep(86400), name="b", namespace="shared", team="b", cause=database)
    world.expect(9)
    world.expect(11, (SOURCE, "", "reports", database), (SOURCE, "", "web", http))
    world.expect(61)
    world.check_without(NETWORK[0], "namespace", "cause")


@pytest.mark.parametrize(
    ("reports", "fires"),
    [
        ({"a": 3}, False),  # one namespace: its own affair
        ({"a": 1, "b": 1}, False),
        ({"a": 2, "b": 1}, True),
        ({"a": 40, "b": 1}, True),
    ],
)
def test_sources_of_several_namespaces(world: World, reports: dict[str, int], fires: bool) -> None:
    world.operator()
    fail_for(world, "ExternalSourceUnavailable", reports)
    own = [(SOURCE,)] if reports["a"] >= 3 else []
    world.expect(9)
    world.expect(11, *own, *([NETWORK] if fires else []))
    world.expect(61)
    world.check_without_failed()


def test_no_team_speaks_for_another(world: World) -> None:
    """Reports that one team breaks on purpose make no alert with the labels of another."""
    world.operator()
    fail_for(world, "DatabaseUnavailable", {"a": 5})
    fail_for(world, "DatabaseUnavailable", {"b": 1})
    world.expect(
        20,
        (SOURCE, "", "a", "a", "DatabaseUnavailable"),
        (NETWORK[0], "", RELEASE, "data-engineering", "DatabaseUnavailable"),
    )
    world.check_without_failed("namespace", "team", "cause")


def test_sources_stay_down_while_the_operator_is(world: World) -> None:
    world.operator(resync=down("1+60", 20), start=down("-3600+0", 20), depth=down("0+0", 20))
    for number in range(3):
        world.schedule(
            down("1+0", 20), down("86400+0", 20), down("1800+0", 20),
            name=f"r{number}", cause="DatabaseUnavailable",
        )  # fmt: skip
    world.expect(19, (SOURCE,))
    world.expect(200, (SOURCE,), DOWN)
    world.check_without_failed()


# -- corruption ----------------------------------------------------------------------------------


def test_damaged_tables_of_reports(world: World) -> None:
    world.operator()
    fail_for(world, "DataCorrupted", {"reports": 2}, team="finance")
    world.expect(9)
    world.expect(11, (CORRUPTED, "", "reports", "finance"))
    world.expect(61)
    world.check_without_failed("namespace", "team")


def test_damaged_history(world: World) -> None:
    world.operator()
    world.say("report_scheduler_history_corruption_errors_total", f"0+0x9 {keep(1, 200)}")
    world.expect(9)
    world.expect(11, HISTORY_CORRUPTED)
    world.expect(38, HISTORY_CORRUPTED)
    world.expect(41)
    world.check()


def test_refused_rows_of_history(world: World) -> None:
    world.operator()
    world.operator("b", resync=keep(0))
    refused = f"0+0x9 {keep(1, 49)} {keep(0)}"
    world.say("report_scheduler_history_refused_records", refused)
    world.say("report_scheduler_history_refused_records", keep(0), pod="b")
    world.expect(19)
    world.expect(21, HISTORY_REFUSED)
    world.expect(61)
    world.check()


# -- memory and CPU ------------------------------------------------------------------------------

OPERATOR = f"{NAME}-5d9c7-abcde"
GIB = 1 << 30


PODS = {  # namespace, pod, container: the team that is told
    (RELEASE, OPERATOR, "operator"): "data-engineering",
    (RELEASE, f"{NAME}-api-7f9-xyz", "admin-api"): "data-engineering",
    ("reports", "daily-1", "report"): "finance",
}


def limit(world: World, labels: str, by: str, *, memory: int = 0, cpus: int = 0) -> None:
    """A limit as cAdvisor tells it, where it is 0 without one, or kube-state-metrics."""
    if by == "cadvisor":
        world.series |= {
            f"container_spec_memory_limit_bytes{{{labels}}}": keep(memory),
            f"container_spec_cpu_quota{{{labels}}}": keep(cpus * 100_000),
            f"container_spec_cpu_period{{{labels}}}": keep(100_000),
        }
    else:
        name = "kube_pod_container_resource_limits"
        for resource, amount in (("memory", memory), ("cpu", cpus)):
            if amount:
                world.series[f'{name}{{{labels},resource="{resource}"}}'] = keep(amount)


@pytest.mark.parametrize("by", ["cadvisor", "kube-state-metrics"])
def test_memory_and_cpu_of_the_limit(world: World, by: str) -> None:
    """At the threshold nothing fires, above it one alert for each container that is ours."""
    world.operator()
    # Containers of that name where there are no schedules, and one without a limit.
    others = [("elsewhere", "daily-1", "report"), ("elsewhere", OPERATOR, "operator")]
    used = {
        place: f"{GIB * 95 // 100}+0x9 {keep(GIB * 96 // 100 + 1, 20)} 0+0x300" for place in PODS
    }
    used |= dict.fromkeys([*others, ("reports", "unlimited", "report")], keep(GIB))
    for (namespace, pod, name), values in used.items():
        labels = f'namespace="{namespace}",pod="{pod}",container="{name}"'
        world.series[f"container_memory_working_set_bytes{{{labels}}}"] = values
        cpu = 2 * 60 * 0.9, 2 * 60 * 0.92
        usage = f"0+{cpu[0]}x40 {cpu[0] * 40 + cpu[1]}+{cpu[1]}x60"
        world.series[f'container_cpu_usage_seconds_total{{{labels},cpu="total"}}'] = usage
        if pod != "unlimited":
            limit(world, labels, by, memory=GIB, cpus=2)
        elif by == "cadvisor":
            limit(world, labels, by)
    world.say("report_scheduler_namespace_info", keep(1), namespace="reports", team="finance")
    memory, cpu_alerts = (
        [(name, "", namespace, pod, team) for (namespace, pod, _), team in PODS.items()]
        for name in (MEMORY, CPU)
    )
    world.expect(14)
    world.expect(16, *memory)
    world.expect(32)
    world.expect(54)
    world.expect(64, *cpu_alerts)
    world.check("namespace", "pod", "team")


@pytest.mark.parametrize("cadvisor", [False, True])
def test_what_the_operator_tells_of_itself_counts_without_cadvisor(
    world: World, cadvisor: bool
) -> None:
    """Where the cluster tells of the container, that counts, and there is one alert."""
    world.operator(OPERATOR)
    own = {"pod": OPERATOR, "namespace": RELEASE}
    world.say("process_resident_memory_bytes", keep(GIB), **own)
    world.say("report_scheduler_memory_limit_bytes", keep(GIB), **own)
    world.say("process_cpu_seconds_total", f"0+60x{END}", **own)
    world.say("report_scheduler_cpu_limit_cores", keep(1), **own)
    if cadvisor:
        labels = f'namespace="{RELEASE}",pod="{OPERATOR}",container="operator"'
        world.series |= {
            f"container_memory_working_set_bytes{{{labels}}}": keep(GIB // 2),
            f"container_spec_memory_limit_bytes{{{labels}}}": keep(GIB),
            f"container_cpu_usage_seconds_total{{{labels}}}": keep(7),
            f"container_spec_cpu_quota{{{labels}}}": keep(100_000),
            f"container_spec_cpu_period{{{labels}}}": keep(100_000),
        }
    world.expect(4)
    world.expect(22, *([] if cadvisor else [(MEMORY,), (CPU,)]))
    world.check()


@pytest.mark.parametrize(("percent", "fires"), [(95, False), (96, True)])
def test_memory_of_the_newest_run(world: World, percent: int, fires: bool) -> None:
    world.operator()
    ratio = f"{keep(0.5, 9)} {keep(percent / 100, 9)} {keep(0.5)}"
    world.say("report_scheduler_last_run_memory_used_ratio", ratio, **schedule_labels("bulk"))
    world.expect(9)
    world.expect(11, *([RUN_MEMORY] if fires else []))
    world.expect(21)
    world.check()


# -- labels and texts ---------------------------------------------------------------------------


def test_labels_and_texts(world: World) -> None:
    """Every text that on-call reads."""
    world.settings = {"severityOfTier": {"critical": "sev1"}, "runbookUrl": "https://on.call/book"}
    world.operator(depth=keep(60))
    world.schedule(due=keep(86400), failed=keep(1), tier="critical", cause="DataCorrupted")
    world.say("report_scheduler_schedule_ready", keep(0), **schedule_labels("critical"))
    world.say("report_scheduler_dead_letters", keep(120))
    team = {"namespace": "reports", "team": "finance"}
    world.say("report_scheduler_runs_not_starting", keep(19), **team)
    world.say("report_scheduler_storage_used_ratio", keep(0.97), **team)
    world.say("report_scheduler_last_run_memory_used_ratio", keep(0.97), **schedule_labels("bulk"))
    world.say("report_scheduler_history_refused_records", keep(2))
    world.say("report_scheduler_dependency_up", keep(0), dependency="redis")
    (world.directory / "rules.yaml").write_text(yaml.safe_dump(rules(world.settings)))
    command = "Next: kubectl -n reports describe reportschedules.reports.adaf.io daily"
    schedule = schedule_labels("critical")
    ours = {"namespace": RELEASE, "team": "data-engineering", "severity": "sev3"}
    theirs = {"namespace": "reports", "team": "finance", "severity": "sev3"}
    cases = {
        "ReportSchedulerFailed": (
            {**schedule, "reason": "failed", "severity": "sev1", "cause": "DataCorrupted"},
            {
                "summary": "Report reports/daily failed: DataCorrupted",
                "description": "The newest slot of the critical report failed for good: its readers"
                " got nothing. The reason and the message are in its status; a report of that slot"
                f" or of a newer one ends this alert. {command}",
                "runbook_url": "https://on.call/book#reportschedulerfailed-reason-failed",
            },
        ),
        "ReportSchedulerNotReady": (
            {**schedule, "severity": "sev1"},
            {
                "summary": "Report reports/daily cannot run",
                "description": "For a quarter of an hour the definition of the critical report has"
                " not been in effect: it has no run, or runs as it was before the last edit. The"
                f" condition Ready says why; its author mends it. {command}",
                "runbook_url": "https://on.call/book#reportschedulernotready",
            },
        ),
        "ReportSchedulerCriticalFailing": (
            {**schedule, "severity": "sev2"},
            {
                "summary": "Critical report reports/daily is missing for over 2h",
                "description": "It has failed or been late for 2h without a break, which is longer"
                " than its recovery may take: escalate to the Data Engineering Lead."
                f" {command}",
                "runbook_url": "https://on.call/book#reportschedulercriticalfailing",
            },
        ),
        "ReportSchedulerDataCorrupted": (
            {"namespace": "reports", "team": "finance", "severity": "sev2"},
            {
                "summary": "A database that reports of reports read is damaged",
                "description": "1 reports failed since PostgreSQL (SQLSTATE XX001, XX002) or MySQL"
                " says that a table or an index is corrupted. Escalate to the Data Engineering"
                " Lead before anybody writes there. Next: kubectl -n reports get events"
                " --field-selector reason=RunFailed --sort-by=.lastTimestamp",
                "runbook_url": "https://on.call/book#reportschedulerdatacorrupted",
            },
        ),
        "ReportSchedulerRunMemoryHigh": (
            {**schedule_labels("bulk"), "severity": "sev3"},
            {
                "summary": "Report reports/daily used 97 % of its memory",
                "description": "The newest run that told used more than 95 % of its limit: with"
                " more data the next is killed (ResourceExhausted). Raise"
                " spec.resources.limits.memory or ask for fewer rows; a run that uses less ends"
                " this alert. Next: kubectl -n reports get reportschedules.reports.adaf.io daily"
                " -o yaml",
                "runbook_url": "https://on.call/book#reportschedulerrunmemoryhigh",
            },
        ),
        "ReportSchedulerHistoryRefused": (
            ours,
            {
                "summary": "History does not take 2 outcomes",
                "description": "For ten minutes PostgreSQL has refused them, or they cannot be"
                " read; they stay in status, and their Jobs in the cluster. The operator's log"
                f" names each. Next: kubectl -n {RELEASE} logs deploy/{NAME} -c operator"
                " --tail=1000",
                "runbook_url": "https://on.call/book#reportschedulerhistoryrefused",
            },
        ),
        "ReportSchedulerQueueBacklog": (
            ours,
            {
                "summary": "60 report runs wait in the queue",
                "description": "More than 50 runs have waited for admission for ten minutes: more"
                " comes in than config.admission.maxActive lets through, or runs in flight do not"
                " end. Next: kubectl get reportschedules -A -o wide",
                "runbook_url": "https://on.call/book#reportschedulerqueuebacklog",
            },
        ),
        "ReportSchedulerRunsNotStarting": (
            theirs,
            {
                "summary": "19 admitted runs of reports do not start",
                "description": "For ten minutes runs have been admitted whose pods do not run,"
                " while others wait. They take the places of their own namespace; each fails after"
                " config.startupDeadlineSeconds, with the reason."
                " Next: kubectl -n reports get pods --field-selector status.phase=Pending",
                "runbook_url": "https://on.call/book#reportschedulerrunsnotstarting",
            },
        ),
        "ReportSchedulerDeadLetters": (
            ours,
            {
                "summary": "120 report runs were given up on",
                "description": "More than 100 slots have failed for good, and nobody has run them"
                " again or cleared the list: a cause that many reports share is likely. Next:"
                " kubectl get events -A --field-selector reason=RunFailed"
                " --sort-by=.lastTimestamp",
                "runbook_url": "https://on.call/book#reportschedulerdeadletters",
            },
        ),
        "ReportSchedulerStorageFull": (
            theirs,
            {
                "summary": "The report volume of reports is 97 % full",
                "description": "More than 95 % were in use when a run last ended there. Once it is"
                " full, runs fail with StorageUnavailable. Next: kubectl -n reports get pvc",
                "runbook_url": "https://on.call/book#reportschedulerstoragefull",
            },
        ),
        "ReportSchedulerRedisDown": (
            ours,
            {
                "summary": "The report scheduler cannot reach Redis",
                "description": "Runs go on. The lists report_scheduler_queue and"
                " report_scheduler_dead_letter are not kept; they are made anew once it is back."
                f" Next: kubectl -n {RELEASE} logs deploy/{NAME} -c operator --tail=100",
                "runbook_url": "https://on.call/book#reportschedulerredisdown",
            },
        ),
    }
    promtool(
        world.directory,
        {
            "interval": "1m",
            "input_series": [{"series": s, "values": v} for s, v in world.series.items()],
            "alert_rule_test": [
                {
                    "eval_time": "3h",
                    "alertname": name,
                    "exp_alerts": [{"exp_labels": labels, "exp_annotations": annotations}],
                }
                for name, (labels, annotations) in cases.items()
            ],
        },
    )
