"""Rows that are used again are the very rows, of the very question, and young enough."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from report_runner.contract.definition import Definition
from report_runner.contract.moments import FarMoment, MomentKind, SessionOffset
from report_runner.contract.sources import SourceSpec
from report_runner.environment import RunStamps
from report_runner.models import ColumnType, Table
from report_runner.mounted import Secrets
from report_runner.packed import PackedRows
from report_runner.sources import cache
from report_runner.sources.cache import FOLDER, Cache
from report_runner.sources.exact_rows import lines_of, table_of
from report_runner.sources.protocol import Fetched, SourceContext

NOW = datetime(2026, 1, 5, 6, tzinfo=UTC)
SQL = "SELECT isin, amount FROM positions WHERE day = %(report_date)s AND desk = %(desk)s"
MADRID = ZoneInfo("Europe/Madrid")
TABLE = Table(
    ("a", "b"),
    [
        (None, True),
        (2**70, Decimal("1.10")),
        (Decimal("NaN"), float("inf")),
        (0.1, "ein\nText\u2028 \ud83d\ude00".encode("utf-16", "surrogatepass").decode("utf-16")),
        (date(2026, 1, 5), time(1, 2, 3, 4)),
        (datetime(2026, 10, 25, 2, 30, tzinfo=MADRID, fold=1), datetime(1, 1, 1)),  # noqa: DTZ001
        (datetime(2026, 1, 5, tzinfo=SessionOffset(timedelta(hours=1), MADRID)), NOW),
        (datetime(2026, 1, 5, tzinfo=timezone(timedelta(seconds=-884))), time(1, tzinfo=UTC)),
        (FarMoment("infinity", MomentKind.DATE), FarMoment("0044-03-15 BC", MomentKind.DATE)),
        ([1, [Decimal("2.0")], None], {"i": {"n": Decimal("1E+3")}, "o": []}),
    ],
    (ColumnType("numeric", 12, 2), ColumnType("text")),
)


@pytest.fixture(autouse=True)
def _room(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the disk of the tests holds besides."""
    monkeypatch.setattr(cache, "FULL_PERCENT", 100)


def shape(value: Any) -> Any:
    """Everything that tells two values apart, equal values of several types too."""
    if isinstance(value, list | tuple):
        return type(value), [shape(item) for item in value]
    if isinstance(value, dict):
        return dict, [(shape(key), shape(item)) for key, item in value.items()]
    zone = getattr(value, "tzinfo", None)
    detail = (type(zone), getattr(zone, "key", ""), getattr(zone, "offset", ""), str(zone))
    if type(zone) is SessionOffset:
        detail = (type(zone), zone.zone.key, zone.offset, "")
    return type(value), repr(value) if zone is None else (str(value), value.fold, detail)


def test_every_value_comes_back_as_it_was() -> None:
    found = table_of(lines_of(TABLE))
    assert (found.columns, found.types) == (TABLE.columns, TABLE.types)
    assert shape(list(found.rows)) == shape(list(TABLE.rows))


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.decimals()
    | st.dates() | st.datetimes() | st.datetimes(timezones=st.timezones()) | st.times(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)  # fmt: skip


@given(st.lists(values, min_size=1, max_size=4))
def test_any_value_comes_back_as_it_was(row: list[Any]) -> None:
    columns = tuple(f"c{number}" for number in range(len(row)))
    found = table_of(lines_of(Table(columns, [tuple(row)])))
    assert shape(list(found.rows)) == shape([tuple(row)])


def test_a_value_without_an_exact_form_is_refused() -> None:
    with pytest.raises(TypeError, match="a bytes has no exact form"):
        list(lines_of(Table(("a",), [(b"x",)])))


class Database:
    """Counts how often it is asked."""

    def __init__(self, table: Table = TABLE) -> None:
        self.table = table
        self.asked = 0

    def fetch(self) -> Fetched:
        self.asked += 1
        return Fetched(self.table, ("a warning",))


def spec(query: str = SQL, ttl: str = "1h", name: str = "report-db") -> SourceSpec:
    return SourceSpec.model_validate(
        {
            "name": "positions",
            "postgres": {"connection": {"secretRef": {"name": name}}, "query": query},
            "cache": {"ttl": ttl},
        }
    )


@pytest.fixture
def ask(tmp_path: Path) -> Callable[..., Fetched]:
    secrets = tmp_path / "secrets"
    for name in ("report-db", "report-other"):
        (secrets / name).mkdir(parents=True)
        (secrets / name / "password").write_text("one")
    volume = tmp_path / "volume"
    volume.mkdir()

    def made(
        database: Database,
        source: SourceSpec | None = None,
        *,
        at: datetime = NOW,
        day: date = date(2026, 1, 5),
        slot: datetime = NOW,
        attempt: int = 1,
        name: str = "positions",
        namespace: str = "reports",
        zone: str = "Europe/Madrid",
        forget: bool = False,
        **parameters: Any,
    ) -> Fetched:
        source = source or spec()
        definition = Definition.model_validate(
            {
                "namespace": namespace,
                "name": name,
                "uid": name,
                "reportType": "positions",
                "timeZone": zone,
                "report": {
                    "title": name,
                    "parameters": {"desk": "a", **parameters},
                    "sources": [source.to_wire()],
                    "template": {"builtin": "executive_dashboard"},
                },
            }
        )
        run = RunStamps(slot, day, "run.1", attempt, "")
        context = SourceContext(definition, run, Secrets(secrets))
        cache = Cache(volume, at)
        fetched = cache.fetch(source, context, database.fetch)
        if forget:
            cache.forget(context)
        return fetched

    return made


def entries(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "volume" / FOLDER).glob("*.rows.gz"))


def test_rows_that_no_report_may_be_made_of_are_forgotten(
    ask: Callable[..., Fetched], tmp_path: Path
) -> None:
    database = Database()
    ask(database)
    ask(database, desk="b")
    mine, other = entries(tmp_path)
    ask(database, forget=True)
    assert len(entries(tmp_path)) == 1
    assert ask(database).cached_at is None
    assert ask(database, desk="b").cached_at == NOW
    assert sorted(entries(tmp_path)) == sorted([mine, other])
    assert database.asked == 3


def test_another_schedule_that_asks_for_the_same_uses_the_rows(ask: Callable[..., Fetched]) -> None:
    database = Database()
    first = ask(database)
    second = ask(database, name="other", at=NOW + timedelta(minutes=59), unused="b")
    assert database.asked == 1
    assert (first.cached_at, second.cached_at) == (None, NOW)
    assert shape(list(second.table.rows)) == shape(list(TABLE.rows))
    assert second.warnings == ("a warning",)


@pytest.mark.parametrize(
    "changes",
    [
        {"at": NOW + timedelta(minutes=61)},
        {"at": NOW - timedelta(minutes=1)},  # of a clock that was wrong
        {"day": date(2026, 1, 6)},
        {"attempt": 2},  # somebody asked for it again: the data were mended
        {"namespace": "others"},
        {"zone": "Asia/Tokyo"},
        {"desk": "b"},
        {"source": spec(query=SQL + " -- other")},
        {"source": spec(name="report-other")},
    ],
    ids=str,
)
def test_what_asks_for_anything_else_fetches(
    ask: Callable[..., Fetched], changes: dict[str, Any]
) -> None:
    database = Database()
    ask(database)
    ask(database, **changes)
    assert database.asked == 2


def test_a_secret_of_another_content_fetches(ask: Callable[..., Fetched], tmp_path: Path) -> None:
    database = Database()
    ask(database)
    (tmp_path / "secrets" / "report-db" / "password").write_text("two")
    ask(database)
    assert database.asked == 2


def test_the_slot_counts_where_it_is_bound(ask: Callable[..., Fetched]) -> None:
    database = Database()
    ask(database)
    ask(database, slot=NOW + timedelta(hours=1))
    assert database.asked == 1
    bound = spec(query="SELECT %(slot)s")
    ask(database, bound)
    ask(database, bound, slot=NOW + timedelta(hours=1))
    assert database.asked == 3


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("SELECT %(größe)s", "größe"),
        ("SELECT %(my-region)s", "my-region"),
        ("SELECT '{{ parameters }}'", "anything"),
        ("SELECT '{{ parameters[parameters.which] }}'", "region"),
    ],
)
def test_a_parameter_counts_however_it_is_named(
    ask: Callable[..., Fetched], query: str, name: str
) -> None:
    database = Database()
    for value in ("EU", "US", 1, "1"):
        ask(database, spec(query=query), **{name: value})
    assert database.asked == 4


def test_many_rows_come_back_packed(ask: Callable[..., Fetched]) -> None:
    table = Table(("n", "text"), [(n, f"row {n}") for n in range(30_000)])
    ask(Database(table))
    found = ask(Database())
    assert isinstance(found.table.rows, PackedRows)
    assert list(found.table.rows) == list(table.rows)


def test_a_retry_brings_the_rows_that_others_use_up_to_date(ask: Callable[..., Fetched]) -> None:
    ask(Database())
    mended = Database(Table(("a",), [(1,)]))
    ask(mended, attempt=2)
    found = ask(mended)
    assert (list(found.table.rows), mended.asked) == ([(1,)], 1)


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(path.read_bytes()[:-20]),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"no gzip"),
        lambda path: path.write_bytes(gzip.compress(b"{}\nabc\n")),
        lambda path: path.write_bytes(
            gzip.compress(gzip.decompress(path.read_bytes()).replace(b"1.10", b"1.11"))
        ),
        lambda path: (path.unlink(), path.symlink_to("/etc/passwd")),
    ],
)
def test_a_damaged_entry_is_fetched_anew(
    ask: Callable[..., Fetched], tmp_path: Path, damage: Callable[[Path], object]
) -> None:
    database = Database()
    ask(database)
    (entry,) = entries(tmp_path)
    damage(entry)
    found = ask(database)
    assert (database.asked, found.cached_at) == (2, None)
    assert ask(database).cached_at == NOW


def test_two_at_once_fetch_once(ask: Callable[..., Fetched]) -> None:
    database, begun, go_on = Database(), threading.Event(), threading.Event()
    plain = database.fetch

    def slow() -> Fetched:
        begun.set()
        assert go_on.wait(30)
        return plain()

    database.fetch = slow  # type: ignore[method-assign]
    found: list[Fetched] = []
    threads = [threading.Thread(target=lambda: found.append(ask(database))) for _ in range(2)]
    threads[0].start()
    assert begun.wait(30)
    threads[1].start()
    go_on.set()
    for thread in threads:
        thread.join(30)
    assert database.asked == 1
    assert sorted(one.cached_at is not None for one in found) == [False, True]


def test_a_volume_that_cannot_be_written_is_no_failure(
    ask: Callable[..., Fetched], tmp_path: Path
) -> None:
    (tmp_path / "volume" / FOLDER).write_text("a file in the way")
    database = Database()
    for _ in range(2):
        assert ask(database).cached_at is None
    assert database.asked == 2


def test_the_oldest_entries_go(
    ask: Callable[..., Fetched], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = Database()
    ask(database)
    size = entries(tmp_path)[0].stat().st_size
    monkeypatch.setattr(cache, "ENTRY_LIMIT", size * 2)
    monkeypatch.setattr(cache, "TOTAL_LIMIT", size * 4)
    for number in range(8):
        ask(database, desk=str(number))
    assert 1 <= len(entries(tmp_path)) <= 4
    assert ask(database, desk="7").cached_at is not None


def test_rows_that_are_too_many_are_not_kept(
    ask: Callable[..., Fetched], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "ENTRY_LIMIT", 10)
    database = Database()
    assert ask(database).table is TABLE
    assert entries(tmp_path) == []
    assert list((tmp_path / "volume" / FOLDER).glob("*.tmp")) == []


def test_inline_rows_have_no_cache() -> None:
    with pytest.raises(ValidationError, match="only rows that come from elsewhere need a cache"):
        SourceSpec.model_validate(
            {"name": "a", "inline": {"rows": [{"a": 1}]}, "cache": {"ttl": "1h"}}
        )
