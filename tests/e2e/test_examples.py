"""The examples of docs/examples on the demo, each figure computed again from the package's data."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import yaml

from hack.examples import EXAMPLES, MADE, WAITING, manifest, package_rows
from hack.testbed.waiting import wait_for
from tests.e2e.conftest import SECONDS, Team, kubectl

LONG = 4 * SECONDS
HUNDREDTH = Decimal("0.01")


@pytest.fixture
def examples_team(team: Team) -> Team:
    """With the Secrets of `make examples`."""
    for secret in ("report-db", "report-api", "report-s3"):
        try:
            team.copy_secret(secret)
        except AssertionError as error:
            raise AssertionError("the servers are not there: make examples") from error
    return team


def apply(team: Team, name: str, **changes: Any) -> dict[str, Any]:
    body: dict[str, Any] = yaml.safe_load(manifest(name).read_text())
    body["metadata"]["namespace"] = team.namespace
    team.apply_manifest({**body, "spec": {**body["spec"], **changes}})
    team.wait_until_observed(name)
    return body


def read(team: Team, run: dict[str, Any], source: str = "") -> list[dict[str, str]]:
    """The CSV file of a source, or the only one."""
    ending = f"-{source}.csv" if source else ".csv"
    (path,) = (path for path in run["outputs"] if path.endswith(ending))
    text = (team.volume() / path).read_text(encoding="utf-8-sig")
    return list(csv.DictReader(io.StringIO(text)))


def stock_prices() -> list[tuple[str, date, Decimal]]:
    return [
        (row["symbol"], datetime.strptime(row["date"], "%b %d %Y").date(), Decimal(row["price"]))  # noqa: DTZ007
        for row in package_rows("stocks")
    ]


def rounded(value: Decimal) -> Decimal:
    return value.quantize(HUNDREDTH)


def basket_by_month() -> dict[date, Decimal]:
    """100 is the first month, of the four stocks that are there from the start."""
    openings: dict[str, Decimal] = {}
    months: dict[date, list[Decimal]] = {}
    for symbol, day, price in stock_prices():
        openings.setdefault(symbol, price)
        if symbol != "GOOG":
            months.setdefault(day, []).append(100 * price / openings[symbol])
    return {day: rounded(sum(each, Decimal(0)) / len(each)) for day, each in months.items()}


def check_jobs_and_stocks(team: Team, run: dict[str, Any]) -> None:
    basket = basket_by_month()
    employed = {
        date.fromisoformat(row["month"]): int(row["financial_activities"])
        for row in package_rows("us_employment")
    }
    assert run["rows"] == len(employed) + len(basket) + 51 + 4
    both = sorted(set(employed) & set(basket))
    assert (len(employed), len(both)) == (
        120,
        51,
    )  # three pages of the API, January 2006 to March 2010
    before = [None, *(employed[month] for month in both)]
    expected = [
        (month, employed[month], "" if was is None else employed[month] - was, basket[month])
        for month, was in zip(both, before, strict=False)
    ]
    found = [
        (date.fromisoformat(row["month"]), int(row["employed"]),
         row["change"] and int(row["change"]), Decimal(row["basket"]))
        for row in read(team, run, "months")
    ]  # fmt: skip
    assert found == expected
    last = both[-1]
    assert {row["label"]: Decimal(row["value"]) for row in read(team, run, "kpis")} == {
        "Jobs in finance": employed[last],
        "Fewer than at the peak": max(employed[m] for m in both) - employed[last],
        "Worst month": min(change for *_, change, _ in expected if change != ""),
        "Basket": basket[last],
    }


def check_weather(team: Team, run: dict[str, Any]) -> None:
    days = [row for row in package_rows("seattle_weather") if row["date"].startswith("2015")]
    assert run["rows"] == len(days) + 12 + 4 == 381
    by_month: dict[str, list[dict[str, str]]] = {}
    for row in days:
        by_month.setdefault(row["date"][:7].replace("/", "-"), []).append(row)

    def figures(rows: list[dict[str, str]]) -> tuple[int, Decimal, Decimal, Decimal]:
        rain = [Decimal(row["precipitation"]) for row in rows]
        return (
            sum(each > 0 for each in rain), sum(rain, Decimal(0)),
            max(Decimal(row["temp_max"]) for row in rows),
            min(Decimal(row["temp_min"]) for row in rows),
        )  # fmt: skip

    found = {
        row["month"]: (int(row["days"]), int(row["rainy_days"]), Decimal(row["rain_mm"]),
                       Decimal(row["warmest"]), Decimal(row["coldest"]))
        for row in read(team, run, "by_month")
    }  # fmt: skip
    assert found == {month: (len(rows), *figures(rows)) for month, rows in by_month.items()}
    rainy, rain, warmest, coldest = figures(days)
    assert {row["label"]: Decimal(row["value"]) for row in read(team, run, "kpis")} == {
        "Rain": rain, "Rainy days": rainy, "Warmest": warmest, "Coldest": coldest,
    }  # fmt: skip


FIGURES: dict[str, Callable[[Team, dict[str, Any]], None]] = {
    "jobs-and-stocks": check_jobs_and_stocks,
    "weather-archive": check_weather,
}


def test_every_example_that_is_made_is_computed_again() -> None:
    assert set(FIGURES) == set(MADE)
    assert {path.name for path in manifest("x").parents[1].iterdir()} >= set(EXAMPLES)


def test_reports_have_the_figures_of_the_package(examples_team: Team) -> None:
    team = examples_team
    for name in MADE:
        apply(team, name)
    for name in MADE:
        team.start(name, f"{name}-1")
    for name in MADE:
        run = team.outcome(name, f"{name}-1", LONG)
        assert run["outcome"] == "Succeeded", run
        FIGURES[name](team, run)


def test_the_eight_jumps_that_the_check_finds_are_those_of_the_data() -> None:
    """What the failing example's message has to say (`causes.py`)."""
    before: dict[str, Decimal] = {}
    changes = []
    for symbol, _, price in stock_prices():
        if symbol in before:
            changes.append((100 * (price / before[symbol] - 1)).quantize(HUNDREDTH))
        before[symbol] = price
    beyond = [change for change in changes if not -40 <= change <= 40]
    assert (len(beyond), min(beyond), max(beyond)) == (8, Decimal("-57.73"), Decimal("62.18"))


def phases(team: Team) -> list[str]:
    """Of all pods of the team."""
    listed = json.loads(team.kubectl("get", "pods", "-o", "json"))
    return [pod["status"]["phase"] for pod in listed["items"]]


def test_report_is_sent_once_the_loader_has_put_its_mark(examples_team: Team) -> None:
    """The run's date is one of its own, so that no other's mark answers it."""
    team = examples_team
    zone = apply(team, WAITING, timeZone="Pacific/Kiritimati")["spec"]["timeZone"]
    assert zone == "America/New_York"
    day = datetime.now(ZoneInfo("Pacific/Kiritimati")).date().isoformat()
    marked = f"/var/lib/demo/s3/archive/loads/{day}.ndjson"
    kubectl("-n", "demo", "exec", "deploy/s3", "--", "rm", "-f", marked)
    team.start(WAITING, "run-1")
    waiting = wait_for(
        "it waits",
        lambda: (status := team.status(WAITING)).get("waitingForData") and status,
        SECONDS,
        describe=lambda: (team.status(WAITING), phases(team)),
    )
    answer = waiting["dataWait"]["answer"]
    assert f"bucket archive has no object 'loads/{day}.ndjson' (yet)" in answer
    assert (waiting["queued"], waiting["active"]) == (0, 0)
    assert set(phases(team)) == {"Failed"}  # the check; nothing of it runs
    ready_at = datetime.now(UTC).replace(microsecond=0)
    kubectl("-n", "demo", "exec", "deploy/s3", "--", "/opt/demo/mark-loaded", day)
    run = team.outcome(WAITING, "run-1", LONG)
    assert run["outcome"] == "Succeeded", run
    assert datetime.fromisoformat(run["finishedAt"]) >= ready_at
    assert run["dataWaitSeconds"] > 0
    assert team.status(WAITING)["runCounts"] == {"Succeeded": 1}
    assert len(phases(team)) >= 2
    newest = {symbol: (day, price) for symbol, day, price in stock_prices()}
    assert {
        row["symbol"]: (date.fromisoformat(row["as_of"]), Decimal(row["price"]))
        for row in read(team, run)
    } == newest


def test_slot_on_a_day_off_is_skipped_on_a_node(examples_team: Team) -> None:
    """The calendar example, each minute, with today and tomorrow as days off."""
    team = examples_team
    today = datetime.now(UTC).date()
    dates = "\n".join(f"{today + timedelta(days=n)} Stocktaking" for n in range(2))
    team.apply_manifest(
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "days-off"},
            "data": {"dates": dates},
        }
    )
    calendar = {"configMapRef": {"name": "days-off"}, "onHoliday": "Skip"}
    apply(team, "trading-days", schedule="* * * * *", timeZone="Etc/UTC", calendar=calendar)
    status = wait_for(
        "a slot is skipped",
        lambda: (found := team.status("trading-days")).get("recentRuns") and found,
        SECONDS,
        describe=lambda: team.get("trading-days"),
    )
    run = status["recentRuns"][0]
    assert (run["outcome"], run["reason"]) == ("Skipped", "Holiday")
    assert "Stocktaking" in run["message"]
    assert (status["health"], status["lastOutcome"]) == ("Healthy", "Skipped")
    assert team.kubectl("get", "pods", "-o", "name") == ""
    assert [text for reason, text in team.events("trading-days") if reason == "RunSkipped"]
