"""The source `sql` against a real MariaDB: values, parameters, bounds and failures."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from hack.testbed.mariadb import PASSWORD, MariaDbServer, mariadb_server
from report_runner.contract.definition import Definition
from report_runner.contract.reasons import Reason
from report_runner.contract.values import plain_text
from report_runner.environment import RunStamps
from report_runner.models import ColumnType, RunError
from report_runner.mounted import Secrets
from report_runner.sources import Fetched, SourceContext, fetch_all
from report_runner.sources.sql import DRIVERS_VARIABLE

D = Decimal
SLOT = datetime(2026, 1, 5, 6, tzinfo=UTC)
HOSTILE = "'; DROP TABLE t; -- \\' \" ü\n\\"


@pytest.fixture(scope="module")
def server() -> Iterator[MariaDbServer]:
    with mariadb_server() as made:
        made.load_zones()
        made.execute(
            "CREATE TABLE reports.positions (day date, isin varchar(12), amount decimal(18, 2))",
            "INSERT INTO reports.positions SELECT date '2026-01-01' + INTERVAL seq DAY, "
            "CONCAT('I', seq), seq * 1.5 FROM reports.seq_1_to_500",
            "CREATE TABLE reports.payroll (name varchar(20))",
        )  # fmt: skip
        yield made


def context(root: Path, url: str, query: str, zone: str, **options: Any) -> SourceContext:
    secret = root / "shop"
    secret.mkdir(parents=True, exist_ok=True)
    (secret / "url").write_text(url)
    for name, text in options.pop("files", {}).items():
        (secret / name).write_text(text)
    bounds = {key: options.pop(key) for key in ("timeout", "maxRows") if key in options}
    definition = Definition.model_validate(
        {
            "namespace": "n", "name": "r", "uid": "u", "reportType": "t", "timeZone": zone,
            "report": {
                "title": "T", "parameters": options.pop("parameters", {}),
                "sources": [
                    {"name": "a", "sql": {"connection": {"secretRef": {"name": "shop"}},
                                          "query": query, **bounds}},
                    *options.pop("more", []),
                ],
                "template": {"builtin": "executive_dashboard"},
            },
        }
    )  # fmt: skip
    assert not options
    run = RunStamps(SLOT, date(2026, 1, 5), "r.1", 1, "pod")
    return SourceContext(definition, run, Secrets(root))


@pytest.fixture
def run(server: MariaDbServer, tmp_path: Path) -> Any:
    def fetch(query: str, zone: str = "Europe/Madrid", url: str = "", **options: Any) -> Fetched:
        made = context(tmp_path, url or server.url(), query, zone, **options)
        return fetch_all(made)["a"]

    return fetch


@pytest.fixture
def failure(run: Any) -> Any:
    def fetch(query: str, **options: Any) -> RunError:
        with pytest.raises(RunError) as raised:
            run(query, **options)
        assert PASSWORD not in raised.value.message
        return raised.value

    return fetch


# Declaration → values as the server reads them.
TYPES: dict[str, tuple[str, ...]] = {
    "tinyint": ("-128", "127"),
    "tinyint unsigned": ("255",),
    "boolean": ("true", "false"),
    "smallint": ("-32768",),
    "smallint unsigned": ("65535",),
    "mediumint": ("-8388608",),
    "mediumint unsigned": ("16777215",),
    "int": ("-2147483648",),
    "int unsigned": ("4294967295",),
    "int(8) zerofill": ("42", "0"),
    "bigint": ("-9223372036854775808",),
    "bigint unsigned": ("18446744073709551615",),
    "decimal(5,0)": ("-99999",),
    "decimal(12,2)": ("-1.10", "0"),
    "decimal(12,2) unsigned": ("9999999999.99",),
    "decimal(65,30)": ("9" * 35 + "." + "1" * 30, "-0." + "0" * 29 + "1"),
    "decimal(30,30)": ("0." + "1" * 30,),
    "double": ("0.1", "1e300", "1.7976931348623157e308", "123456789.125", "5e-324"),
    "double(10,2)": ("1.5",),
    "float": ("0.1", "1.5", "16777217"),
    "year": ("2026", "1901"),
    "date": ("'2024-02-29'", "'9999-12-31'", "'1000-01-01'"),
    "datetime": ("'2026-03-29 02:30:00'", "'1000-01-01 00:00:00'"),
    "datetime(6)": ("'2026-01-05 06:00:00.123456'",),
    "datetime(2)": ("'2026-01-05 06:00:00.12'",),
    "timestamp null": ("'2026-07-05 06:00:00'",),
    "timestamp(3) null": ("'2026-01-05 06:00:00.123'",),
    "time": ("'12:30:00'", "'-100:00:01'", "'838:59:59'", "'24:00:00'"),
    "time(6)": ("'23:59:59.999999'",),
    "char(5)": ("'a '", "''"),
    "varchar(30)": ("'a '", "'ü€😀'", "'0'", "'x\\ny'"),
    "varchar(30) character set latin1": ("'ä'",),
    "text": ("'long'",),
    "longtext": ("''",),
    "enum('a','b c')": ("'b c'",),
    "set('x','y')": ("'x,y'", "''"),
    "json": ("'{\"a\": 1.10000000000000000001}'",),
    "uuid": ("'2fbf8a55-53c8-46e5-9ef7-a1743d417f3d'",),
    "inet6": ("'::1'",),
}
# Where the server's text is no text of the value: (declaration, literal, what the report has).
OWN_TEXT = [
    ("binary(4)", "'ab'", "\\x61620000"),
    ("varbinary(9)", "'cd'", "\\x6364"),
    ("blob", "x'00ff'", "\\x00ff"),
    ("bit(5)", "b'00101'", "00101"),
    ("bit(1)", "1", "1"),
]


def written(value: Any) -> str | None:
    return None if value is None else plain_text(value)


def same(declared: str, text: str | None, cast: str | None) -> bool:
    if text is None or cast is None:
        return text is cast
    if declared.startswith(("double", "float")):
        return float(text) == float(cast)
    if declared.startswith(("datetime", "timestamp", "time")):
        # Zeros at the end of a second's digits.
        return re.sub(r"(\.\d*?)0+$", r"\1", text).rstrip(".") == re.sub(
            r"(\.\d*?)0+$", r"\1", cast
        ).rstrip(".")
    return text == cast


def test_every_type_is_as_the_server_itself_writes_it(server: MariaDbServer, run: Any) -> None:
    compared = 0
    columns = ", ".join(f"c{n} {declared}" for n, declared in enumerate(TYPES))
    server.execute("DROP TABLE IF EXISTS reports.types", f"CREATE TABLE reports.types ({columns})")
    for number, values in enumerate(TYPES.values()):
        server.execute(
            *(f"INSERT INTO reports.types (c{number}) VALUES ({value})" for value in values)
        )
    for zone in ("Europe/Madrid", "Etc/UTC", "America/New_York"):
        for number, (declared, values) in enumerate(TYPES.items()):
            name = f"c{number}"
            found = run(
                f"SELECT {name}, CAST({name} AS CHAR) AS t FROM types WHERE {name} IS NOT NULL "
                f"UNION ALL SELECT NULL, NULL" if "zerofill" not in declared else
                f"SELECT {name}, CAST({name} AS CHAR) AS t FROM types WHERE {name} IS NOT NULL",
                zone,
            ).table  # fmt: skip
            assert len(found.rows) >= len(values)
            for value, cast in found.rows:
                assert same(declared, written(value), cast), (declared, value, cast)
                compared += 1
    print(f"values compared with MariaDB's own text: {compared}")
    assert compared > 3 * len(TYPES)


@pytest.mark.parametrize(("declared", "literal", "expected"), OWN_TEXT)
def test_bytes_and_bits_are_as_postgres_writes_them(
    server: MariaDbServer, run: Any, declared: str, literal: str, expected: str
) -> None:
    server.execute(
        "DROP TABLE IF EXISTS reports.own", f"CREATE TABLE reports.own (a {declared})",
        f"INSERT INTO reports.own VALUES ({literal})",
    )  # fmt: skip
    assert run("SELECT a FROM own").table.rows == [(expected,)]


def test_columns_have_types(run: Any) -> None:
    found = run(
        "SELECT amount, sum(amount) AS s, avg(amount) AS m, count(*) AS n, day, isin, 1e0 AS f, "
        "now() AS at, CAST('10:00' AS time) AS t, 1/3 AS q FROM positions WHERE isin = 'I1'"
    ).table
    assert [(t.name, t.precision, t.scale) for t in found.types] == [
        ("numeric", 18, 2), ("numeric", 40, 2), ("numeric", 22, 6), ("int8", None, None),
        ("date", None, None), ("text", None, None), ("float8", None, None),
        ("timestamp", None, None), ("time", None, None), ("numeric", 5, 4),
    ]  # fmt: skip
    (row,) = found.rows
    assert row[:7] == (D("1.50"), D("1.50"), D("1.500000"), 1, date(2026, 1, 2), "I1", D(1))
    assert row[8:] == (time(10), D("0.3333"))


def test_parameters_are_values(run: Any) -> None:
    query = (
        "SELECT %(report_date)s AS a, %(slot)s AS b, %(text)s AS c, 5 -%(minus)s AS d, "
        "2 IN %(list)s AS e, 2 NOT IN %(none)s AS f, %(nothing)s AS g, %(object)s AS h, "
        "%(amount)s * 3 AS i, '%%' AS j, %(yes)s AS k, 'it''s \\' %%' AS l"
    )
    parameters = {
        "text": HOSTILE, "minus": -3, "list": [1, 2], "none": [], "nothing": None,
        "object": {"a": 1.10, "b": "'"}, "amount": 0.1, "yes": True,
    }  # fmt: skip
    (row,) = run(query, parameters=parameters).table.rows
    assert row == (
        date(2026, 1, 5), datetime(2026, 1, 5, 7), HOSTILE, 8, 1, 1, None,  # noqa: DTZ001
        '{"a": 1.1, "b": "\'"}', D("0.3"), "%", 1, "it's ' %",
    )  # fmt: skip


def test_parameters_without_backslash_escapes(server: MariaDbServer, run: Any) -> None:
    server.execute("SET GLOBAL sql_mode = 'NO_BACKSLASH_ESCAPES,PIPES_AS_CONCAT,ANSI_QUOTES'")
    try:
        found = run("SELECT %(text)s || '\\' AS \"a\"", parameters={"text": HOSTILE})
    finally:
        server.execute("SET GLOBAL sql_mode = DEFAULT")
    assert found.table.rows == [(HOSTILE + "\\",)]


@pytest.mark.parametrize(
    ("query", "part"),
    [
        ("SELECT nosuch FROM positions", "Unknown column 'nosuch'"),
        ("SELECT * FROM nosuch", "Table 'reports.nosuch' doesn't exist"),
        ("SELEC 1", "line 1, column 1: is no SELECT"),
        ("SELECT FROM WHERE", "syntax"),
        ("SELECT name FROM payroll_of_others.x", "denied"),
        ("SELECT 1 AS a; SELECT 2 AS a", "several statements"),
        ("INSERT INTO positions VALUES (NULL, NULL, NULL)", "is no SELECT"),
        ("SELECT 1 AS a INTO OUTFILE '/tmp/pwned'", "INTO writes"),
        ("SELECT 1 AS a INTO @x", "INTO writes"),
        ("SELECT 1 /*!50000 INTO OUTFILE '/tmp/pwned' */", "a comment that is executed"),
        ("SET STATEMENT max_statement_time=0 FOR SELECT 1", "is no SELECT"),
        ("/* a */ -- b\n# c\nDROP TABLE positions", "line 3, column 1: is no SELECT"),
        ("SELECT 1 AS a, 2 AS a", "several columns a"),
        ("SELECT 10 % 3 AS a", "line 1, column 11: write a percent sign as %%"),
        ("SELECT '%(report_date)s' AS a", "%(report_date)s stands inside quotes"),
        ("SELECT `%(report_date)s` FROM t", "stands inside backticks"),
        ("SELECT 1 AS a -- %(report_date)s", "stands inside a comment"),
        ("SELECT 'it\\'s %(report_date)s' AS a", "stands inside quotes"),
        ("SELECT %(nosuch)s AS a", "there is no parameter nosuch"),
        ("SELECT %(list)s AS a", "may stand only as IN %(list)s"),
        ("SELECT 1 IN %(report_date)s AS a", "IN (%(report_date)s)"),
        ("SELECT date %(report_date)s AS a", "is no expression"),
        ("SELECT %(large)s AS a", "spec.report.parameters.large is no DECIMAL"),
        ("SELECT POINT(1, 2) AS g", "column g is GEOMETRY, write ST_AsText(...)"),
        ("SELECT CAST('abc' AS SIGNED) AS a", "would cut or change a value"),
        ("SELECT CAST(300 AS DECIMAL(2,0)) AS a", "Out of range value"),
        ("SELECT isin = 0 AS a FROM positions LIMIT 1", "would cut or change a value"),
        ("SELECT DATE('0000-00-00') AS a, 1 AS b", "column a, row 1: 0000-00-00 is no date"),
        ("SELECT DATE('2026-02-31') AS a", "Incorrect datetime value"),
        ("SELECT GROUP_CONCAT(REPEAT('x', 900000)) AS a FROM seq_1_to_9", "was cut by"),
        ("SELECT d FROM zeros", "column d, row 1: 0000-00-00 is no date; write NULLIF"),
        ("SELECT t FROM zeros", "column t, row 1: 2026-00-00 00:00:00 is no date"),
        ("SELECT y FROM zeros", "column y, row 1: 0000 is no year"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_query_is_said(
    server: MariaDbServer, failure: Any, query: str, part: str
) -> None:
    server.execute(
        "SET SESSION sql_mode = ''",
        "CREATE OR REPLACE TABLE reports.zeros (d date, t datetime, y year)",
        "INSERT INTO reports.zeros VALUES ('0000-00-00', '2026-00-00', '0000')",
    )
    found = failure(query, parameters={"list": [1], "large": 10**70})
    assert part in found.message
    assert found.reason is Reason.CONFIGURATION_ERROR
    assert "sources[a].sql.query" in found.message or "parameters.large" in found.message
    assert not Path("/tmp/pwned").exists()


def test_a_division_by_zero_and_a_short_float_are_told(server: MariaDbServer, run: Any) -> None:
    found = run("SELECT 1 / 0 AS a")
    assert found.table.rows == [(None,)]
    assert found.warnings == ("spec.report.sources[a].sql.query: Division by 0",)
    server.execute(
        "CREATE OR REPLACE TABLE reports.f (a float)", "INSERT INTO reports.f VALUES (16777217)"
    )
    found = run("SELECT a, CAST(a AS DOUBLE) AS d FROM f")
    assert found.table.rows == [(D(16777200), D(16777216))]
    assert "column a is FLOAT, of which the server sends 6 digits" in found.warnings[0]


def test_times_are_on_the_clock_of_the_schedule(server: MariaDbServer, run: Any) -> None:
    server.execute(
        "CREATE OR REPLACE TABLE reports.moments (at timestamp null)",
        "SET SESSION time_zone = '+00:00'",
        "INSERT INTO reports.moments VALUES ('2026-07-05 22:30:00'), ('2026-01-05 23:30:00')",
    )
    found = run("SELECT at, DATE(at) AS day FROM moments ORDER BY at")
    assert found.table.rows == [
        (datetime(2026, 1, 6, 0, 30), date(2026, 1, 6)),  # noqa: DTZ001
        (datetime(2026, 7, 6, 0, 30), date(2026, 7, 6)),  # noqa: DTZ001
    ]
    assert found.warnings == ()
    server.execute(
        "SET SESSION time_zone = '+00:00'",
        "INSERT INTO reports.moments VALUES ('2026-10-25 00:30:00'), ('2026-10-25 01:30:00')",
    )
    found = run(
        "SELECT at, UNIX_TIMESTAMP(at) AS n FROM moments WHERE at > '2026-10-01' ORDER BY n"
    )
    assert [row[0] for row in found.table.rows] == [datetime(2026, 10, 25, 2, 30)] * 2  # noqa: DTZ001
    assert [row[1] for row in found.table.rows] == [1792888200, 1792891800]
    assert "in an hour that the clock repeats; write UNIX_TIMESTAMP(at)" in found.warnings[0]


def test_bounds(run: Any, failure: Any) -> None:
    assert (
        "more than maxRows (3) rows"
        in failure("SELECT seq FROM seq_1_to_1000000", maxRows=3).message
    )
    assert len(run("SELECT seq FROM seq_1_to_3", maxRows=3).table.rows) == 3
    found = failure(
        "SELECT count(*) AS a FROM seq_1_to_100000 a, seq_1_to_100000 b, seq_1_to_100000 c "
        "WHERE a.seq + b.seq + c.seq = 0",
        timeout="1s",
    )
    assert found.reason is Reason.TIMEOUT
    assert "sql.timeout (1s)" in found.message


def test_no_statement_writes(server: MariaDbServer, tmp_path: Path) -> None:
    """Not even where the role could."""
    server.execute(
        f"CREATE OR REPLACE USER writer@'%' IDENTIFIED BY '{PASSWORD}'",
        "GRANT ALL ON *.* TO writer@'%'",
        "CREATE OR REPLACE TABLE reports.target (a int)",
        "CREATE OR REPLACE FUNCTION reports.writes() RETURNS int MODIFIES SQL DATA "
        "BEGIN INSERT INTO reports.target VALUES (1); RETURN 1; END",
    )
    for query in ("SELECT reports.writes() AS a", "SELECT 1 AS a FROM (SELECT reports.writes()) x"):
        made = context(tmp_path, server.url("writer"), query, "Etc/UTC")
        with pytest.raises(RunError) as raised:
            fetch_all(made)
        assert "READ ONLY transaction" in raised.value.message
    with server.admin() as admin, admin.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM target")
        assert cursor.fetchall() == ((0,),)


@pytest.mark.parametrize(
    ("changes", "reason", "part"),
    [
        ({"password": "wrong"}, Reason.CONFIGURATION_ERROR, "login at 127.0.0.1:"),
        ({"user": "nobody"}, Reason.CONFIGURATION_ERROR, "Access denied"),
        ({"database": "nosuch"}, Reason.CONFIGURATION_ERROR, "Access denied"),
    ],
)
def test_a_wrong_login(
    server: MariaDbServer, failure: Any, changes: dict[str, str], reason: Reason, part: str
) -> None:
    found = failure("SELECT 1 AS a", url=server.url(**changes))
    assert found.reason is reason
    assert part in found.message
    assert "Secret shop" in found.message


def test_a_server_that_is_down(tmp_path: Path) -> None:
    with mariadb_server() as server:
        made = context(tmp_path, server.url(), "SELECT 1 AS a", "Etc/UTC")
        assert fetch_all(made)["a"].table.rows == [(1,)]
        server.stop()
        with pytest.raises(RunError) as raised:
            fetch_all(made)
        assert raised.value.reason is Reason.DATABASE_UNAVAILABLE
        assert f"no connection to 127.0.0.1:{server.port} with Secret shop" in raised.value.message
        server.start()
        assert fetch_all(made)["a"].table.rows == [(1,)]


def test_a_server_without_zone_tables(tmp_path: Path) -> None:
    with mariadb_server() as server:
        made = context(tmp_path, server.url(), "SELECT 1 AS a", "Europe/Madrid")
        with pytest.raises(RunError) as raised:
            fetch_all(made)
    assert raised.value.reason is Reason.CONFIGURATION_ERROR
    assert raised.value.message.startswith("spec.timeZone: the database of Secret shop does not")
    assert "mariadb-tzinfo-to-sql" in raised.value.message


def test_a_ca_needs_tls(failure: Any) -> None:
    found = failure(
        "SELECT 1 AS a",
        files={"ca.crt": Path("/etc/ssl/certs/ca-certificates.crt").read_text()[:200_000]
               .rpartition("-----BEGIN CERTIFICATE-----")[0]},
    )  # fmt: skip
    assert found.reason is Reason.CONFIGURATION_ERROR
    assert "doesn't support it" in found.message or "has no TLS" in found.message


def test_rows_are_joined_with_those_of_other_sources(
    run: Any, server: MariaDbServer, tmp_path: Path
) -> None:
    more = [
        {"name": "b", "inline": {"rows": [{"isin": "I1", "name": "One"}]}},
        {
            "name": "c",
            "query": {"sql": "SELECT b.name, a.amount, a.day FROM a JOIN b USING (isin)"},
        },
    ]
    made = context(
        tmp_path, server.url(), "SELECT day, isin, amount FROM positions", "Etc/UTC", more=more
    )
    found = fetch_all(made)["c"].table
    assert found.rows == [("One", D("1.50"), date(2026, 1, 2))]
    assert found.types[1] == ColumnType("numeric", 18, 2)


def test_a_driver_of_a_derived_image(
    server: MariaDbServer, run: Any, failure: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By SQLAlchemy alone; the driver that stands for it is PyMySQL under another name."""
    from sqlalchemy.dialects import registry

    registry.register("shop.pymysql", "sqlalchemy.dialects.mysql.pymysql", "MySQLDialect_pymysql")
    url = server.url().replace("mysql+pymysql", "shop+pymysql")
    assert (
        "names a driver that is not there; there are mysql+pymysql"
        in failure("SELECT 1 AS a", url=url).message
    )
    monkeypatch.setenv(DRIVERS_VARIABLE, "shop+pymysql, sqlite+pysqlite")
    found = run(
        "SELECT amount, day, isin, NULL AS n, 1.5 AS x, '10:30' AS t FROM positions "
        "WHERE day = %(day)s AND isin IN %(names)s",
        url=url, parameters={"day": "2026-01-02", "names": ["I1", "I2"]},
    )  # fmt: skip
    assert found.table.rows == [(D("1.50"), date(2026, 1, 2), "I1", None, D("1.5"), "10:30")]
    assert "has no certain text" in failure("SELECT CAST('10:00' AS TIME) AS a", url=url).message
    assert "is no SELECT" in failure("DROP TABLE positions", url=url).message
    assert "more than maxRows" in failure("SELECT seq FROM seq_1_to_9", url=url, maxRows=3).message
    assert failure("SELECT SLEEP(60) AS a", url=url, timeout="1s").reason is Reason.TIMEOUT
    assert "login" in failure("SELECT 1 AS a", url=url.replace("reader", "nobody")).message
