"""The source `sql` without a database: its URL, what is redacted of it, and MySQL's SQL."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from pymysql.constants import FIELD_TYPE, FLAG

from report_runner.contract.definition import Definition
from report_runner.contract.reasons import Reason
from report_runner.contract.sql_mysql import MysqlQuery, QueryProblemError, unknown_placeholder
from report_runner.environment import RunStamps
from report_runner.models import ColumnType, RunError
from report_runner.mounted import Secrets
from report_runner.sources import SourceContext, fetch_all
from report_runner.sources.mysql_types import literal, mysql_column
from report_runner.sources.sql import DRIVERS_VARIABLE, known_drivers

D = Decimal
MADRID = ZoneInfo("Europe/Madrid")


def failure(root: Path, url: str | None, **files: str) -> RunError:
    (root / "shop").mkdir()
    for name, text in {**({"url": url} if url is not None else {}), **files}.items():
        (root / "shop" / name).write_text(text)
    definition = Definition.model_validate(
        {
            "namespace": "n", "name": "r", "uid": "u", "reportType": "t", "timeZone": "Etc/UTC",
            "report": {
                "title": "T", "template": {"builtin": "executive_dashboard"},
                "sources": [{"name": "a", "sql": {
                    "connection": {"secretRef": {"name": "shop"}}, "query": "SELECT 1 AS a"}}],
            },
        }
    )  # fmt: skip
    run = RunStamps(datetime(2026, 1, 5, 6, tzinfo=UTC), date(2026, 1, 5), "r.1", 1, "pod")
    with pytest.raises(RunError) as raised:
        fetch_all(SourceContext(definition, run, Secrets(root)))
    return raised.value


@pytest.mark.parametrize(
    ("url", "part"),
    [
        (None, "the Secret shop has no key url; add it"),
        ("", "has to be a SQLAlchemy URL"),
        ("just-a-host", "has to be a SQLAlchemy URL"),
        ("mysql+pymysql://u:canary-pw@h:port/d", "has to be a SQLAlchemy URL"),
        ("mysql://u:canary-pw@h/d", "names a driver that is not there; there are mysql+pymysql"),
        ("oracle+oracledb://u:canary-pw@h/d", "installs the driver and names it in"),
        ("mysql+mysqldb://u:canary-pw@h/d", "names a driver that is not there"),
        ("mysql+asyncmy://u:canary-pw@h/d", "names a driver that is not there"),
        ("postgresql+psycopg://u:canary-pw@h/d", "write the source as postgres"),
        ("postgresql://u:canary-pw@h/d", "write the source as postgres"),
        ("sqlite:////etc/passwd", "would read files of the run's own pod"),
        ("sqlite+pysqlite:///:memory:", "would read files of the run's own pod"),
        ("sqlite://", "would read files of the run's own pod"),
        ("duckdb:////tmp/x.db", "would read files of the run's own pod"),
        ("mysql+pymysql://u:canary-pw@h/d?read_default_file=/etc/passwd", "take them out"),
        ("mysql+pymysql://u:canary-pw@h/d?local_infile=1", "take them out"),
        ("mysql+pymysql://u:canary-pw@h/d?unix_socket=/run/x", "take them out"),
        ("mysql+pymysql://u:canary-pw@h/d?init_command=SELECT+1", "take them out"),
        ("mysql+pymysql://u:canary-pw@/d", "has no host"),
        ("mysql+pymysql:///d", "has no host"),
        ("mysql+pymysql://h/d", "has no user"),
        ("mysql+pymysql://u:canary-pw@h", "has no database"),
        ("mysql+pymysql://u:canary-pw@h/", "has no database"),
        ("mysql+pymysql://u:canary-pw@h/d/e", "has no database"),
        ("mysql+pymysql://u:canary-pw@h h/d", "its host has to be a host name"),
        ("mysql+pymysql://u:canary%0Apw@h/d", "its password has to be one line"),
    ],
)
def test_a_url_that_is_refused(tmp_path: Path, url: str | None, part: str) -> None:
    found = failure(tmp_path, url)
    assert found.reason is Reason.CONFIGURATION_ERROR
    assert found.message.startswith("spec.report.sources[a].sql.connection.secretRef: ")
    assert part in found.message
    assert "canary" not in found.message


@pytest.mark.parametrize("password", ["canary-pw/of the@test", "canary", "ü canary %41"])
def test_no_part_of_a_url_is_shown_but_a_host_that_is_one(tmp_path: Path, password: str) -> None:
    from sqlalchemy.engine.url import URL

    url = URL.create("mysql+pymysql", "canary-user", password, "canary.invalid", 3306, "shop")
    text = url.render_as_string(hide_password=False)
    found = failure(tmp_path, text)
    assert found.reason is Reason.DATABASE_UNAVAILABLE
    assert "canary" not in found.message
    assert "[Secret shop key url host]" in found.message


def test_drivers_of_a_derived_image(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(DRIVERS_VARIABLE, "oracle+oracledb, sqlite+pysqlite,,duckdb,mssql+pymssql")
    assert known_drivers() == (
        "mysql+pymysql", "mariadb+pymysql", "oracle+oracledb", "mssql+pymssql",
    )  # fmt: skip


def test_a_driver_that_is_named_and_lacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(DRIVERS_VARIABLE, "oracle+oracledb")
    found = failure(tmp_path, "oracle+oracledb://u:canary-pw@127.0.0.1/d")
    assert "the image names the driver oracle+oracledb, but lacks it" in found.message


def sent(text: str, backslash: bool = True, **parameters: Any) -> str:
    def write(_name: str, value: Any) -> str:
        return literal(value, MADRID, lambda text: f"<{text}>")

    return MysqlQuery(text, backslash).with_values(parameters, write)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SELECT %(a)s", "SELECT 1"),
        ("  select %(a)s ; ", "  select 1"),
        ("(SELECT 1)", "(SELECT 1)"),
        ("WITH x AS (SELECT 1) SELECT * FROM x", "WITH x AS (SELECT 1) SELECT * FROM x"),
        ("-- c\n/* d */ # e\nSELECT 1", "-- c\n/* d */ # e\nSELECT 1"),
        ("SELECT 'a%%', `b%%`", "SELECT 'a%', `b%`"),
        (r"SELECT 'it\'s', %(a)s", r"SELECT 'it\'s', 1"),
        (r'SELECT "a\"b", %(a)s', r'SELECT "a\"b", 1'),
        ("SELECT 'a''b' + %(a)s", "SELECT 'a''b' + 1"),
        ("SELECT 1--%(a)s", "SELECT 1--1"),
        ("SELECT x IN %(l)s", "SELECT x IN (1, <b>)"),
        ("SELECT t.into FROM t", "SELECT t.into FROM t"),
        ("SELECT 1; -- end", "SELECT 1 -- end"),
    ],
)
def test_values_are_written_into_the_text(text: str, expected: str) -> None:
    assert sent(text, a=1, l=[1, "b"]) == expected


def test_a_backslash_is_one_where_the_server_says_so() -> None:
    text = r"SELECT '\', %(a)s, '"
    with pytest.raises(QueryProblemError, match="stands inside quotes"):
        sent(text, a=1)
    assert sent(r"SELECT '\', %(a)s, ''", backslash=False, a=1) == r"SELECT '\', 1, ''"


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("SELECT 1; SELECT 2", "line 1, column 11: there are several statements"),
        ("-- nothing", "there is no statement"),
        ("CALL x()", "is no SELECT"),
        ("SELECT 1 INTO @a", "INTO writes"),
        ("SELECT /*!99999 1 */ 1", "executed"),
        ("SELECT /*M! 1 */ 1", "executed"),
        ("SELECT '%(a)s'", "stands inside quotes"),
        ("SELECT \"%(a)s\"", "stands inside quotes"),
        ("SELECT 1 # %(a)s", "stands inside a comment"),
        ("SELECT '\n%(a)s", "line 2, column 1: %(a)s stands inside quotes"),
        ("SELECT %(a)", "write %(a)s"),
        ("SELECT %(l)s", "may stand only as IN %(l)s"),
        ("SELECT 1 IN (%(l)s)", "may stand only as IN %(l)s"),
        ("SELECT 1 IN %(a)s", "IN takes its values in parentheses"),
        ("SELECT 5 % 3", "write a percent sign as %%"),
    ],
)  # fmt: skip
def test_what_is_no_select_with_values(text: str, part: str) -> None:
    with pytest.raises(QueryProblemError) as raised:
        sent(text, a=1, l=[1])
    assert part in str(raised.value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, "NULL"), (True, "TRUE"), (-3, "(-3)"), (D("0.10"), "0.10"), (D("1E+3"), "1000"),
        ("x", "<x>"), (date(2026, 1, 5), "DATE'2026-01-05'"), (time(6, 30), "TIME'06:30:00'"),
        (datetime(2026, 7, 5, 6, tzinfo=UTC), "TIMESTAMP'2026-07-05 08:00:00'"),
        (datetime(2026, 7, 5, 6), "TIMESTAMP'2026-07-05 06:00:00'"),  # noqa: DTZ001
        ([], "(SELECT NULL FROM DUAL WHERE FALSE)"), ([1, None], "(1, NULL)"),
        ({"a": D("1.10")}, '<{"a": 1.10}>'), ([{"a": 1}], '<[{"a": 1}]>'),
    ],
)  # fmt: skip
def test_literals(value: Any, expected: str) -> None:
    assert literal(value, MADRID, lambda text: f"<{text}>") == expected


@pytest.mark.parametrize("value", [10**65, D("1e-31"), D("NaN"), D("Infinity")])
def test_a_number_that_would_be_rounded_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="write it in quotes"):
        literal(value, MADRID, str)


def field(code: int, flags: int = 0, length: int = 11, scale: int = 0, charset: int = 45) -> Any:
    return SimpleNamespace(
        name="a", type_code=code, flags=flags, length=length, scale=scale, charsetnr=charset
    )


@pytest.mark.parametrize(
    ("given", "type_", "text", "value"),
    [
        (field(FIELD_TYPE.LONGLONG, FLAG.UNSIGNED), ColumnType("numeric", 20, 0), "1", D(1)),
        (field(FIELD_TYPE.LONG, FLAG.UNSIGNED), ColumnType("int8"), "4294967295", 4294967295),
        (field(FIELD_TYPE.LONG, FLAG.ZEROFILL | FLAG.UNSIGNED), ColumnType("text"), "007", "007"),
        (field(13, FLAG.ZEROFILL | FLAG.UNSIGNED), ColumnType("int2"), "2026", 2026),
        (field(FIELD_TYPE.NEWDECIMAL, 0, 67, 30), ColumnType("numeric", 65, 30), "1.5", D("1.5")),
        (field(FIELD_TYPE.NEWDECIMAL, FLAG.UNSIGNED, 5, 0), ColumnType("numeric", 5, 0), "1", D(1)),
        (field(FIELD_TYPE.TIME), ColumnType("time"), "-01:00:00", "-01:00:00"),
        (field(FIELD_TYPE.TIME), ColumnType("time"), "23:59:59.5", time(23, 59, 59, 500000)),
        (field(FIELD_TYPE.BLOB, charset=63), ColumnType("bytea"), b"\0\xff", "\\x00ff"),
        (field(FIELD_TYPE.JSON), ColumnType("json"), "{}", "{}"),
    ],
)  # fmt: skip
def test_columns(given: Any, type_: ColumnType, text: Any, value: Any) -> None:
    found = mysql_column(given)
    assert (found.type, found.convert(text)) == (type_, value)


@pytest.mark.parametrize("code", [FIELD_TYPE.GEOMETRY, 242, 99])
def test_a_type_without_a_certain_text_is_refused(code: int) -> None:
    with pytest.raises(ValueError, match="write "):
        mysql_column(field(code))


def test_placeholders_are_known_before_a_run() -> None:
    assert unknown_placeholder("SELECT %(slot)s, '%%(no)s', %(a)s", {"a": 1}) is None
    assert "line 1, column 8: there is no parameter b" in str(
        unknown_placeholder("SELECT %(b)s", {"a": 1})
    )
