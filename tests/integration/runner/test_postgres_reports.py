"""Reports that came out wrong once, run as in their pod against a real PostgreSQL and PgBouncer."""

from __future__ import annotations

import csv
import html
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from conftest import PASSWORD, Database

from hack.testbed.pgbouncer import pgbouncer
from report_runner.contract.pod import ENV_REPORT_DATE, ENV_SLOT
from report_runner.contract.reasons import Reason
from report_runner.contract.result import Outcome
from tests.support.runner import Pod

REPORTS = Path(__file__).resolve().parents[2] / "data" / "reports"


@pytest.fixture(scope="module")
def sales(database: Database) -> Iterator[Database]:
    """The database of these reports; its role `reader` may read it."""
    with database.admin() as admin:
        for statement in (REPORTS / "setup.sql").read_text().split(";"):
            if statement.strip():
                admin.execute(statement.encode())
        admin.execute("GRANT SELECT ON sales, orders TO reader")
        admin.execute(f"ALTER ROLE analyst PASSWORD '{PASSWORD}'")
    yield database
    with database.admin() as admin:
        admin.execute("DROP TABLE sales, orders; DROP SCHEMA reporting CASCADE; DROP ROLE analyst")


def run(
    sales: Database, pod: Pod, report: str, parameters: dict[str, Any] | None = None, **keys: str
) -> Any:
    sales.secret(pod.secrets, **keys)
    pod.define_as(REPORTS / report / "m.yaml", **(parameters or {}))
    _, result, log = pod.run(**{ENV_SLOT: "2026-11-24T05:00:00Z", ENV_REPORT_DATE: "2026-11-24"})
    assert result.outcome is Outcome.SUCCEEDED or result.message, log
    return result


def cells(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8-sig", newline="") as stream:
        return list(csv.reader(stream))


def printed(pod: Pod) -> str:
    done = subprocess.run(
        ["pdftotext", "-layout", pod.output("pdf"), "-"], capture_output=True, check=True
    )
    return done.stdout.decode()


def test_months_are_those_of_the_schedules_zone(sales: Database, tmp_path: Path) -> None:
    pod = Pod(tmp_path)
    result = run(sales, pod, "month-shifted")
    assert result.outcome is Outcome.SUCCEEDED, result.message
    assert cells(pod.output("csv"))[1:] == [
        ["2026-09-01 00:00:00-04:00", "150.00"],
        ["2026-10-01 00:00:00-04:00", "275.00"],
        ["2026-11-01 00:00:00-04:00", "325.00"],
    ]
    text = printed(pod)
    for month in ("2026-09-01 00:00", "2026-10-01 00:00", "2026-11-01 00:00"):
        assert month in text
    assert "America/New_York" in text
    assert "2026-08-31" not in text
    # The chart's own axis.
    assert "Aug 2026" not in text
    assert re.search(r"Sep 2026\s+Oct 2026\s+Nov 2026", text)


@pytest.mark.parametrize(
    ("report", "shown"),
    [
        ("infinity-date/inf", "infinity"),
        ("infinity-date/inf2", "infinity"),
        ("infinity-date/bc", "0044-03-15 BC"),
        ("infinity-date/y10k", "20260-01-02"),
    ],
)
def test_dates_that_python_cannot_hold(
    sales: Database, tmp_path: Path, report: str, shown: str
) -> None:
    pod = Pod(tmp_path)
    result = run(sales, pod, report)
    assert result.outcome is Outcome.SUCCEEDED, result.message
    assert cells(pod.output("csv"))[1][-1] == shown
    assert shown in printed(pod)


@pytest.mark.parametrize(
    ("report", "said"),
    [
        ("q1", "line 1, column 98: %(days)s stands inside quotes, where it is no parameter; "
               "write %(days)s * interval '1 day'"),
        ("q2", "column 50: %(report_date)s stands inside quotes"),
        ("quoted2", "%(name)s stands inside quotes"),
        ("interv", "write %(minimum)s * interval '1 day'"),
        ("inlist", "line 1, column 28: IN takes no list parameter; write = ANY(%(desks)s)"),
    ],
)  # fmt: skip
def test_placeholders_that_would_be_no_parameters(
    sales: Database, tmp_path: Path, report: str, said: str
) -> None:
    pod = Pod(tmp_path)
    result = run(sales, pod, f"quoted-placeholder/{report}")
    assert result.reason is Reason.CONFIGURATION_ERROR
    assert ".postgres.query line 1" in result.message
    assert said in result.message
    assert pod.files() == []


ORDERS_OF_THE_DAY = [
    ["placed", "amount"],
    ["2026-11-24 00:30:00+01:00", "20.00"],
    ["2026-11-24 01:30:00+01:00", "40.00"],
    ["2026-11-24 22:00:00+01:00", "80.00"],
]


def test_the_day_is_the_zones_own_behind_a_pooler(sales: Database, tmp_path: Path) -> None:
    pod = Pod(tmp_path)
    with pgbouncer(sales.server, "reader") as port:
        # Another client leaves behind what would change every figure.
        client = psycopg.connect(
            host=sales.host, port=port, user="reader", password=PASSWORD, dbname="postgres",
            autocommit=True, prepare_threshold=None,
        )  # fmt: skip
        client.execute("SET TimeZone = 'Asia/Tokyo'")
        client.execute("SET DateStyle = 'German'")
        client.execute("SET search_path = pg_temp")
        client.execute("CREATE TEMP TABLE orders (placed timestamptz, amount numeric)")
        client.close()
        result = run(sales, pod, "pgbouncer", port=str(port))
        assert result.outcome is Outcome.SUCCEEDED, result.message
    assert cells(pod.output("csv")) == ORDERS_OF_THE_DAY
    assert re.search(r"2026-11-24\s+3\s+140\.00", printed(pod))


def test_a_pooler_of_statements_is_told(sales: Database, tmp_path: Path) -> None:
    with pgbouncer(sales.server, "reader", "statement") as port:
        result = run(sales, Pod(tmp_path), "pgbouncer", port=str(port))
    assert result.reason is Reason.CONFIGURATION_ERROR
    assert "pool_mode of PgBouncer to transaction" in result.message


SHOWN_A = {
    "lag": "-01:30:00",
    "age": "1 day 02:03:04",
    "term": "1 mon",
    "detail": '{"a": 1, "b": null, "ok": true}',
    "tags": "{x,y}",
    "prices": "{1.50,2}",
    "days": "{2026-01-02}",
}
SHOWN_B = {
    "raw": "\\x48692e",
    "paid": "$1,234.50",
    "ratio": "NaN",
    "cover": "Infinity",
    "cover2": "-Infinity",
    "fee": "0.00000000",
    "rate": "0.00000012",
    "ok": "true",
    "at": "10:11:12",
    "seen": "2026-03-29 01:30:00+01:00",
    "span": "[2026-01-01,2026-02-01)",
    "mean": "2.0000000000000000",
    "ip": "192.168.0.1/24",
}


@pytest.mark.parametrize(("source", "shown"), [("a", SHOWN_A), ("b", SHOWN_B)])
def test_every_type_is_written_as_postgres_writes_it(
    sales: Database, tmp_path: Path, source: str, shown: dict[str, str]
) -> None:
    with sales.admin() as admin:
        admin.execute("ALTER DATABASE postgres SET lc_monetary = 'C'")
    pod = Pod(tmp_path)
    result = run(sales, pod, "python-repr-of-types", {"csv_source": source})
    assert result.outcome is Outcome.SUCCEEDED, result.message
    names, values = cells(pod.output("csv"))
    assert dict(zip(names, values, strict=True)) == shown
    page = pod.output("html").read_text()
    in_page = {html.unescape(cell) for cell in re.findall(r"<td[^>]*>(.*?)</td>", page)}
    in_tables = {
        {"true": "Yes", "-Infinity": "−Infinity", "2026-03-29 01:30:00+01:00": "2026-03-29 01:30"}
        .get(value, value) for value in shown.values()
    }  # fmt: skip
    assert in_tables <= in_page
    text = re.sub(r"\s+", "", printed(pod))
    assert all(re.sub(r"\s+", "", value) in text for value in in_tables)


def test_the_roles_own_search_path_counts(sales: Database, tmp_path: Path) -> None:
    pod = Pod(tmp_path)
    sales.secret(pod.secrets, user="analyst")
    pod.define("SELECT fee FROM fees", formats=["csv"])
    _, result, _ = pod.run()
    assert result.outcome is Outcome.SUCCEEDED, result.message
    assert cells(pod.output("csv")) == [["fee"], ["1.5"]]
    pod.define("SELECT fee FROM feez", formats=["csv"])
    _, result, _ = pod.run()
    assert result.reason is Reason.CONFIGURATION_ERROR
    assert "search_path of this role is reporting" in result.message
