"""Packed rows are a list of tuples to whoever reads them."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from report_runner.contract.moments import FarMoment, MomentKind, SessionOffset
from report_runner.models import Table
from report_runner.packed import CHUNK_ROWS, PLAIN_ROWS, PackedRows, RowCollector, _pack, _unpack

VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.text(), st.decimals(),
    st.dates(), st.times(), st.datetimes(),
    st.sampled_from((
        FarMoment("infinity", MomentKind.DATE), "a\0b", "", Decimal("1E+3"), Decimal("-0.00"),
        Decimal("NaN"), {"a": [Decimal("1.10")]}, 2**200,
    )),
)  # fmt: skip


def same(left: Any, right: Any) -> bool:
    return type(left) is type(right) and repr(left) == repr(right)


@settings(deadline=None, max_examples=200)
@given(
    st.one_of(
        st.lists(VALUES, min_size=1),
        *(st.lists(st.none() | kind, min_size=1)
          for kind in (st.text(), st.integers(), st.decimals(), st.booleans())),
    )
)  # fmt: skip
def test_every_value_comes_back_as_it_was(values: list[Any]) -> None:
    found = _unpack(_pack(values))
    assert len(found) == len(values)
    assert all(same(*pair) for pair in zip(found, values, strict=True))


def test_an_offset_of_the_database_comes_back() -> None:
    zone = ZoneInfo("Europe/Madrid")
    value = datetime(2026, 10, 25, 2, 30, tzinfo=SessionOffset(timedelta(hours=1), zone))
    (found,) = _unpack(_pack([value]))
    assert isinstance(found.tzinfo, SessionOffset)
    assert (found.utcoffset(), found.tzinfo.zone) == (timedelta(hours=1), zone)
    moment = FarMoment("0044-03-15 BC", MomentKind.DATE)
    (kept,) = _unpack(_pack([moment]))
    assert (kept, type(kept), kept.kind) == (moment, FarMoment, MomentKind.DATE)


def row(number: int) -> tuple[Any, ...]:
    return (
        number, Decimal(number).scaleb(-2), f"text {number % 7}" if number % 5 else None,
        date(2026, 1, 1) + timedelta(days=number % 400), number % 3 == 0, time(number % 24),
        datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=number),
    )  # fmt: skip


def collect(count: int) -> Any:
    collector = RowCollector()
    for number in range(count):
        collector.add(row(number))
        assert len(collector) == number + 1
    return collector.rows()


@pytest.mark.parametrize("count", [0, 1, PLAIN_ROWS])
def test_few_rows_stay_a_list(count: int) -> None:
    assert collect(count) == [row(number) for number in range(count)]


@pytest.mark.parametrize(
    "count", [PLAIN_ROWS + 1, 6 * CHUNK_ROWS - 1, 6 * CHUNK_ROWS, 6 * CHUNK_ROWS + 1]
)
def test_many_rows_are_packed_and_read_alike(count: int) -> None:
    found = collect(count)
    plain = [row(number) for number in range(count)]
    assert isinstance(found, PackedRows)
    assert len(found) == count
    assert list(found) == plain
    assert list(found) == plain  # again
    for index in (0, 1, CHUNK_ROWS - 1, CHUNK_ROWS, count - 1, -1, -count):
        assert found[index] == plain[index]
    assert found[:3] == plain[:3]
    assert found[CHUNK_ROWS - 1 : CHUNK_ROWS + 1] == plain[CHUNK_ROWS - 1 : CHUNK_ROWS + 1]
    assert found[-2:] == plain[-2:]
    with pytest.raises(IndexError):
        found[count]
    table = Table(("a", "b", "c", "d", "e", "f", "g"), found)
    for number in range(7):
        assert list(table.values(number)) == [values[number] for values in plain]
    assert table.records()[count - 1]["c"] == plain[count - 1][2]
