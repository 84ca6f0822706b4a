"""The source `query`: values through DuckDB and back, its SQL, and its bounds."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from report_runner.contract.definition import Definition
from report_runner.contract.moments import FarMoment, MomentKind, SessionOffset
from report_runner.contract.reasons import Reason
from report_runner.contract.values import plain_text
from report_runner.contract.waiting import WaitFor
from report_runner.environment import RunStamps
from report_runner.models import ColumnType, RunError, Table
from report_runner.mounted import Secrets
from report_runner.sources import Fetched, SourceContext, fetch_all
from report_runner.sources.query_types import interval_text

D = Decimal
MADRID = ZoneInfo("Europe/Madrid")


def context(
    sources: list[dict[str, Any]],
    tables: dict[str, Table] | None = None,
    zone: str = "Europe/Madrid",
    **parameters: Any,
) -> SourceContext:
    definition = Definition.model_validate(
        {
            "namespace": "n", "name": "r", "uid": "u", "reportType": "t", "timeZone": zone,
            "report": {
                "title": "T", "parameters": parameters, "sources": sources,
                "template": {"builtin": "executive_dashboard"},
            },
        }
    )  # fmt: skip
    run = RunStamps(datetime(2026, 1, 5, 6, tzinfo=UTC), date(2026, 1, 5), "r.1", 1, "pod")
    return SourceContext(definition, run, Secrets(Path("/nonexistent")), tables=tables or {})


def fetch(
    sql: str, tables: dict[str, Table] | None = None, zone: str = "Europe/Madrid", **options: Any
) -> Fetched:
    from report_runner.sources import query

    bounds = {key: options.pop(key) for key in ("timeout", "maxRows") if key in options}
    made = context([{"name": "q", "query": {"sql": sql, **bounds}}], tables, zone, **options)
    (source,) = made.definition.report.sources
    assert source.query is not None
    return query.fetch("q", source.query, made)


def rows(sql: str, tables: dict[str, Table] | None = None, **options: Any) -> list[Any]:
    return list(fetch(sql, tables, **options).table.rows)


def error(sql: str, tables: dict[str, Table] | None = None, **options: Any) -> RunError:
    with pytest.raises(RunError) as raised:
        fetch(sql, tables, **options)
    return raised.value


def column(type_: str, *values: Any, precision: int | None = None, scale: int = 0) -> Table:
    kind = ColumnType(type_, precision, None if precision is None else scale)
    return Table(("a",), [(value,) for value in values], (kind,))


def zoned(text: str, hours: float) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment.replace(tzinfo=SessionOffset(timedelta(hours=hours), MADRID))


SAME = {
    "bool": column("bool", True, False, None),
    "int2": column("int2", -(2**15), 2**15 - 1, None),
    "int4": column("int4", -(2**31), 2**31 - 1),
    "int8": column("int8", -(2**63), 2**63 - 1),
    "numeric": column("numeric", D("0.00"), D("-12345678.90"), D("99.99"), precision=12, scale=2),
    "numeric-38": column("numeric", D("1" * 20 + "." + "9" * 18), precision=38, scale=18),
    "float8": column("float8", D("0.1"), D("1e300"), D("NaN"), D("Infinity"), D("-Infinity")),
    "float4": column("float4", D("0.1"), D("3.4028235e38"), D("-1e-45")),
    "text": column("text", "a", "", "ü\n'\"%\0", None),
    "date": column(
        "date", date(1, 1, 1), date(9999, 12, 31), date(2024, 2, 29),
        *(FarMoment(text, MomentKind.DATE)
          for text in ("infinity", "-infinity", "0044-03-15 BC", "20260-01-02", "4713-01-01 BC")),
    ),
    "time": column("time", time(0), time(23, 59, 59, 999999), time(12, 30, 0, 120000), "24:00:00"),
    "timestamp": column(
        "timestamp", datetime(2026, 3, 29, 2, 30), datetime(1, 1, 1, 0, 0, 0, 1),  # noqa: DTZ001
        *(FarMoment(text, MomentKind.TIME)
          for text in ("infinity", "-infinity", "0044-03-15 12:00:00 BC",
                       "20260-01-02 03:04:05.6")),
    ),
    "timestamptz": column(
        "timestamptz", zoned("2026-10-25 02:30:00", 2), zoned("2026-10-25 02:30:00", 1),
        zoned("1850-01-01 00:00:00.000001", -884 / 3600),
        *(FarMoment(text, MomentKind.ZONED)
          for text in ("infinity", "-infinity", "0044-03-15 11:45:16-00:14:44 BC",
                       "20260-01-02 01:00:00+01")),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SAME)
def test_values_come_back_as_they_went_in(name: str) -> None:
    given = SAME[name]
    found = fetch("SELECT * FROM t", {"t": given}).table
    assert found.types == given.types
    for (value,), (expected,) in zip(found.rows, given.rows, strict=True):
        assert type(value) is type(expected)
        if expected is not None:
            assert plain_text(value) == plain_text(expected)


def test_types_without_one_in_duckdb_come_as_the_texts_that_they_are() -> None:
    texts = ["1 mon -2 days +03:04:05", "{1,NULL}", '{"a": 1.10000000000000000001}', "\\x00ff"]
    table = Table(
        ("i", "l", "j", "b"), [tuple(texts)],
        tuple(map(ColumnType, ("interval", "_int4", "jsonb", "bytea"))),
    )  # fmt: skip
    assert rows("SELECT i, l, j, b FROM t", {"t": table}) == [tuple(texts)]
    assert rows("SELECT CAST(j ->> 'a' AS VARCHAR) FROM t", {"t": table}) == [("1.1",)]


def test_a_numeric_without_scale_has_the_decimals_of_its_values() -> None:
    found = fetch("SELECT sum(a) AS s FROM t", {"t": column("numeric", D("1.10"), D("2.123"))})
    assert found.table.rows == [(D("3.223"),)]
    assert found.table.types == (ColumnType("numeric", 38, 3),)


def test_columns_without_types_are_judged_by_their_values() -> None:
    table = Table(
        ("whole", "huge", "exact", "mixed", "nested"),
        [(1, 2**100, D("1.5"), 1, {"a": [D("1.10")]}), (None, 1, 2, "x", None)],
    )
    found = fetch("SELECT * FROM t", {"t": table}).table
    assert found.rows == [
        (1, D(2**100), D("1.5"), "1", '{"a": [1.10]}'),
        (None, D(1), D("2.0"), "x", None),
    ]
    assert [type_.name for type_ in found.types] == ["int8", "numeric", "numeric", "text", "text"]


@pytest.mark.parametrize(
    ("table", "part"),
    [
        (column("numeric", D(1), D("NaN")), "column a, row 2: NaN is no DECIMAL"),
        (column("numeric", D("Infinity")), "write the column as a::float8"),
        (column("numeric", D("1e37"), D("0.01")), "column a: the column needs 40 digits"),
        (column("numeric", D(1), precision=50, scale=10), "round it"),
        (Table(("a",), [(2**127,)]), "row 1: has more digits than DuckDB's HUGEINT"),
        (Table(("a", "A"), [(1, 2)]), "the columns A, a are one to DuckDB"),
        (Table((), []), "name its columns"),
        (column("timestamp", FarMoment("294276-12-31 23:59:59 BC", MomentKind.TIME)), "cast"),
    ],
)  # fmt: skip
def test_what_duckdb_cannot_hold_is_refused_with_the_column(table: Table, part: str) -> None:
    found = error("SELECT * FROM t", {"t": table})
    assert found.reason is Reason.CONFIGURATION_ERROR
    assert found.message.startswith("spec.report.sources[t]")
    assert part in found.message


def test_a_table_that_the_query_does_not_name_is_not_judged() -> None:
    assert rows("SELECT 1 AS a", {"t": column("numeric", D("NaN"))}) == [(1,)]


MONEY = Table(
    ("day", "isin", "amount"),
    [
        (date(2026, 1, 1), "A", D("0.10")), (date(2026, 1, 2), "A", D("0.20")),
        (date(2026, 1, 2), "B", D("1234567890123456.78")), (date(2026, 1, 3), "B", None),
    ],
    (ColumnType("date"), ColumnType("text"), ColumnType("numeric", 18, 2)),
)  # fmt: skip
NAMES = Table(("isin", "name"), [("A", "Alpha"), ("B", "Beta"), ("C", "Gamma")])
PRICES = Table(
    ("isin", "at", "price"),
    [("A", date(2025, 12, 31), D("1.5")), ("A", date(2026, 1, 2), D("2.5"))],
    (ColumnType("text"), ColumnType("date"), ColumnType("numeric", 10, 1)),
)
TABLES = {"money": MONEY, "names": NAMES, "prices": PRICES}


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT n.name, sum(m.amount) FROM names n LEFT JOIN money m USING (isin) GROUP BY 1 "
         "ORDER BY 1", [("Alpha", D("0.30")), ("Beta", D("1234567890123456.78")), ("Gamma", None)]),
        ("PIVOT (SELECT isin, day, amount FROM money) ON isin USING sum(amount) ORDER BY day",
         [(date(2026, 1, 1), D("0.10"), None),
          (date(2026, 1, 2), D("0.20"), D("1234567890123456.78")), (date(2026, 1, 3), None, None)]),
        ("SELECT day, sum(amount) OVER (PARTITION BY isin ORDER BY day) FROM money WHERE isin='A' "
         "ORDER BY day", [(date(2026, 1, 1), D("0.10")), (date(2026, 1, 2), D("0.30"))]),
        ("SELECT m.day, p.price FROM money m ASOF JOIN prices p ON m.isin = p.isin AND "
         "m.day >= p.at ORDER BY m.day",
         [(date(2026, 1, 1), D("1.5")), (date(2026, 1, 2), D("2.5"))]),
        ("FROM money SELECT count(*) WHERE amount > 1", [(1,)]),
        ("WITH x AS (SELECT 1 AS a) SELECT a FROM x -- the end", [(1,)]),
        ("SELECT 1 AS a;", [(1,)]),
        ("SELECT ';' AS a; -- the end\n/* ; */ ;", [(";",)]),
        ("VALUES (1, 'a')", [(1, "a")]),
        ("SELECT 100 %% 7, 'a%%' AS b WHERE 'ab' LIKE 'a%%'", [(2, "a%")]),
        ("SELECT CAST(sum(amount) / 3 AS DECIMAL(18, 2)) FROM money WHERE isin = 'A'",
         [(D("0.10"),)]),
        ("SELECT amount * 1.19 FROM money WHERE isin = 'A' ORDER BY day",
         [(D("0.1190"),), (D("0.2380"),)]),
        ("SELECT date_trunc('day', TIMESTAMPTZ '2025-12-31 23:30:00+00')::DATE",
         [(date(2026, 1, 1),)]),
        ("SELECT CAST(TIMESTAMPTZ '2026-03-29 00:30:00+00' + INTERVAL 1 HOUR AS VARCHAR)",
         [("2026-03-29 03:30:00+02",)]),
        ("SELECT INTERVAL '-1 year' + INTERVAL '3 days -04:05:06.7'",
         [("-1 years +3 days -04:05:06.7",)]),
        ("SELECT '\\x00\\xFFa'::BLOB", [("\\x00ff61",)]),
        ("SELECT sum(x) FROM (VALUES (9223372036854775807), (1)) t(x)", [(D(2**63),)]),
        ("SELECT round(2.675, 2), CAST(1.005 AS DECIMAL(5, 2))", [(D("2.68"), D("1.01"))]),
        ("SELECT NULL AS a", [(None,)]),
        ("SELECT 1 AS a, 2 AS \"A\"", [(1, 2)]),
        ("SELECT i FROM range(25000) r(i) ORDER BY -i LIMIT 2", [(24999,), (24998,)]),
    ],
)  # fmt: skip
def test_sql(sql: str, expected: list[Any]) -> None:
    assert rows(sql, TABLES) == expected


def test_rows_come_in_the_order_of_the_query() -> None:
    found = rows("SELECT i, i %% 7 AS k FROM range(60000) r(i) ORDER BY k, i DESC")
    assert found == sorted(found, key=lambda row: (row[1], -row[0]))
    assert len(found) == 60000


def test_parameters_are_bound_by_name() -> None:
    found = rows(
        "SELECT %(report_date)s, %(slot)s, %(text)s, %(amount)s * 3, 2 = ANY(%(list)s), %(none)s, "
        "%(object)s, %(amounts)s[2], %(text)s || '$text'",
        text="'; DROP TABLE x; --", amount=0.1, list=[1, 2], none=None, object={"a": 1.10},
        amounts=[1, 2.25],
    )  # fmt: skip
    ((day, slot, text, amount, within, none, object_, second, both),) = found
    assert (day, text, amount, within, none) == (
        date(2026, 1, 5), "'; DROP TABLE x; --", D("0.3"), True, None,
    )  # fmt: skip
    assert slot == datetime(2026, 1, 5, 6, tzinfo=UTC)
    assert plain_text(slot) == "2026-01-05 07:00:00+01:00"
    assert (object_, second, both) == ('{"a": 1.1}', D("2.25"), "'; DROP TABLE x; --$text")


@pytest.mark.parametrize(
    ("value", "part"),
    [
        ([1, "a"], "list of several types"), (10**40, "38 digits"),
        (D("1." + "1" * 38), "38 digits"), (D("NaN"), "38 digits"),
    ],
)  # fmt: skip
def test_a_parameter_that_would_be_rounded_is_refused(value: Any, part: str) -> None:
    found = error("SELECT %(p)s AS a", p=value)
    assert found.message.startswith("spec.report.parameters.p ")
    assert part in found.message


@pytest.mark.parametrize(
    ("sql", "part"),
    [
        ("SELECT 1 AS a; SELECT 2 AS a", "there are 2 statements; write one SELECT"),
        ("CREATE TABLE x (a int)", "CREATE is no SELECT"),
        ("COPY (SELECT 1) TO '/tmp/x'", "COPY is no SELECT"),
        ("SET threads = 4", "SET is no SELECT"),
        ("PRAGMA version", "PRAGMA is no SELECT"),
        ("-- nothing", "there are 0 statements"),
        ("SELECT a\nFROM\n  nowhere", "sql line 3: Catalog Error: Table with name nowhere"),
        ("SELECT * FROM later", "the source later comes later: put it before this one"),
        ("SELEC 1", "sql line 1: Parser Error"),
        ("SELECT 1 AS a, 2 AS a", "several columns a; give each a name of its own with AS"),
        ("SELECT [1] AS a", "column a is of type INTEGER[], which no report holds; write to_json"),
        ("SELECT TIMESTAMP_NS '2026-01-01' AS a", "cast it with ::TIMESTAMP"),
        ("SELECT 1::UHUGEINT AS a", "cast it with ::HUGEINT"),
        ("SELECT 170141183460469231731687303715884105727::HUGEINT AS a", "column a: is a number"),
        ("SELECT 10 % 3 AS a", "line 1, column 11: write a percent sign as %%"),
        ("SELECT %(x)s AS a", "there is no parameter x"),
        ("SELECT '%(report_date)s' AS a", "stands inside quotes"),
        ("SELECT $slot AS a", "slot is no placeholder in this place"),
        ("SELECT ? AS a", "is no placeholder in this place"),
        ("SELECT 99999999999999999999999999999999999999::DECIMAL(38,0) + 1 AS a", "Overflow"),
        ("SELECT sum(x) FROM (VALUES (99999999999999999999999999999999999999::DECIMAL(38,0)), (1)) "
         "t(x)", "Overflow in SUM of DECIMAL"),
        ("SELECT 'x'::INTEGER AS a", "Conversion Error"),
        ("FROM read_text('/etc/passwd')", "a query has no files, network, extensions or settings"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_its_place_and_remedy(sql: str, part: str) -> None:
    made = context(
        [{"name": "q", "query": {"sql": sql}}, {"name": "later", "inline": {"rows": [{"a": 1}]}}]
    )
    with pytest.raises(RunError) as raised:
        fetch_all(made)
    assert raised.value.reason is Reason.CONFIGURATION_ERROR
    assert raised.value.message.startswith("spec.report.sources[q].query.sql")
    assert part in raised.value.message


def test_a_query_does_not_read_a_source_that_is_only_waited_for() -> None:
    made = context(
        [
            {"name": "loads", "inline": {"rows": [{"a": 1}]}},
            {"name": "q", "query": {"sql": "SELECT a FROM loads"}},
        ]
    )
    report = made.definition.report
    wait = WaitFor(source="loads", until="loads | length > 0", exclude_source=True)
    reported = report.model_copy(update={"wait_for": wait}).reported()
    definition = made.definition.model_copy(update={"report": reported})
    with pytest.raises(RunError, match="the source loads is only waited for") as raised:
        fetch_all(replace(made, definition=definition))
    assert raised.value.reason is Reason.CONFIGURATION_ERROR


def test_a_query_reads_every_kind_of_source_before_it() -> None:
    made = context(
        [
            {"name": "a", "inline": {"rows": [{"x": 1.10}, {"x": 2}]}},
            {"name": "b", "query": {"sql": "SELECT sum(x) AS s FROM a"}},
            {"name": "c", "query": {"sql": "SELECT s * 2 AS d FROM B"}},
        ]
    )
    assert fetch_all(made)["c"].table.rows == [(D("6.2"),)]


def test_floating_point_that_came_of_decimals_is_marked() -> None:
    found = fetch("SELECT avg(amount) AS mean, sum(amount) AS total FROM money", TABLES)
    assert [type_.name for type_ in found.table.types] == ["float8", "numeric"]
    (warning,) = found.warnings
    assert "column mean is floating point" in warning
    assert "CAST(... AS DECIMAL(18, 6))" in warning
    floats = {"t": column("float8", D("0.1"))}
    assert fetch("SELECT avg(a) AS mean FROM t", floats).warnings == ()


TWO = {"jobs": column("numeric", D(7708)), "prices": column("numeric", D("314.13"))}


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT a FROM jobs UNION ALL SELECT a FROM prices ORDER BY 1",
        "SELECT CASE WHEN p.a < 1 THEN j.a ELSE p.a END FROM jobs j, prices p",
        "SELECT coalesce(nullif(j.a, j.a), p.a) FROM jobs j, prices p",
        "SELECT least(j.a, p.a) FROM jobs j, prices p",
    ],
)
def test_decimals_are_kept_where_columns_without_a_scale_meet(sql: str) -> None:
    found = fetch(sql, TWO)
    assert found.table.rows[0][0] == D("314.13")
    assert found.warnings == ()


def test_sums_of_different_decimals_that_meet_are_warned_of() -> None:
    sql = "SELECT sum(a) AS total FROM prices UNION ALL SELECT sum(a) FROM jobs"
    found = fetch(sql, TWO)
    assert found.table.rows[0][0] == D(314)  # DuckDB's own doing
    (warning,) = found.warnings
    assert "q].query.sql: column total has 0 decimals and a source has 2" in warning
    cast = sql.replace("sum(a)", "CAST(sum(a) AS DECIMAL(18, 2))")
    assert fetch(cast, TWO).table.rows[0][0] == D("314.13")
    assert fetch(cast, TWO).warnings == ()
    assert fetch("SELECT sum(a) AS total FROM jobs", TWO).warnings == ()


def test_a_quotient_by_zero_is_seen() -> None:
    assert rows("SELECT 1 / 0 AS a, 0.0 / 0 AS b")[0][0] == D("Infinity")
    assert rows("SELECT (0.0 / 0)::DOUBLE AS b")[0][0].is_nan()


def test_bounds() -> None:
    assert "more than maxRows (3)" in error("FROM range(4)", maxRows=3).message
    assert len(rows("FROM range(3)", maxRows=3)) == 3
    slow = error("SELECT count(*) FROM range(10000000) a, range(10000000) b", timeout="1s")
    assert slow.reason is Reason.TIMEOUT
    assert "query.timeout (1s)" in slow.message
    large = error("SELECT list(i)::VARCHAR AS a FROM range(100000000) r(i)")
    assert large.reason is Reason.RESOURCE_EXHAUSTED
    assert "spec.resources.limits.memory" in large.message


def test_an_unknown_zone_is_refused() -> None:
    from report_runner.sources import query

    made = context([{"name": "q", "query": {"sql": "SELECT 1 AS a"}}], zone="Mars/Olympus")
    (source,) = made.definition.report.sources
    assert source.query is not None
    with pytest.raises(RunError) as raised:
        query.fetch("q", source.query, made)
    assert raised.value.message.startswith("spec.timeZone: DuckDB cannot compute in the zone Mars")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("00:00:00", "00:00:00"),
        ("1 year 1 month 1 day", "1 year 1 mon 1 day"),
        ("-1 year -2 months 3 days -04:05:06.7", "-1 years -2 mons +3 days -04:05:06.7"),
        ("2 years -3 days 00:00:01", "2 years -3 days +00:00:01"),
        ("-00:00:01", "-00:00:01"),
    ],
)
def test_intervals_as_postgres_writes_them(given: str, expected: str) -> None:
    assert interval_text(given) == expected
