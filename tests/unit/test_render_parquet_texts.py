"""The Parquet of a large result is that of the same rows value by value."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from pyarrow import parquet as arrow

from report_runner.models import ColumnType, RenderInput, RunError, Table
from report_runner.packed import CHUNK_ROWS, PLAIN_ROWS, PackedRows, RowCollector
from report_runner.render import parquet
from report_runner.render.parquet import TextRefusedError, Worker, write_parquet
from report_runner.sources.postgres_types import decoder

SLOT = datetime(2026, 1, 5, 6, tzinfo=UTC)
ZONE = ZoneInfo("Europe/Madrid")
# As PostgreSQL writes them.
READ = {
    ColumnType("int2"): ["0", "-32768", "32767", None],
    ColumnType("int4"): ["0", "-2147483648", None],
    ColumnType("int8"): ["9223372036854775807", "-9223372036854775808", None],
    ColumnType("numeric", 18, 2): ["0.00", "-1.10", "1234567890123456.78", None],
    ColumnType("numeric", 60, 30): [f"{'9' * 30}.{'1' * 30}", f"-0.{'0' * 29}1", None],
    ColumnType("numeric", 2, -3): ["12000", "-99000", "0", None],
    ColumnType("numeric"): ["1", "0.1", "-123456789012345678901.123456789", None],
    ColumnType("float4"): ["0.1", "1e+30", "-0", "1.17549e-38", "NaN", "-Infinity", None],
    ColumnType("float8"): [
        "0.1", "1e+300", "-0", "5e-324", "0.30000000000000004", "NaN", "Infinity", "-Infinity",
        "2.2250738585072011e-308", "9007199254740993", "123456.78901234567", None,
    ],
    ColumnType("bool"): ["t", "f", None],
    ColumnType("date"): ["2026-01-05", "0001-01-01", "9999-12-31", None],
    ColumnType("time"): ["12:00:00", "12:00:00.12", None],
    ColumnType("timestamp"): [
        "2026-01-05 06:00:00", "2026-01-05 06:00:00.1", "0001-01-01 00:00:00.000001",
        "9999-12-31 23:59:59.999999", None,
    ],
    ColumnType("timestamptz"): [
        "2026-10-25 02:30:00+02", "2026-10-25 02:30:00+01", "2026-01-05 06:00:00.5+05:30",
        "2026-01-05 06:00:00-09:30", None,
    ],
    ColumnType("text"): ["a", "", " ", "ü€😀", "NULL", "a\nb", "1.0", None],
    ColumnType("uuid"): ["2fbf8a55-53c8-46e5-9ef7-a1743d417f3d", None],
    ColumnType("jsonb"): ['{"a": 1}', None],
}  # fmt: skip


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    with Worker() as made:
        yield made


def data_of(columns: dict[ColumnType, list[str | None]], count: int) -> RenderInput:
    types = tuple(columns)
    collector = RowCollector()
    for number in range(count):
        collector.add(tuple(values[number % len(values)] for values in columns.values()))
    rows = collector.rows([decoder(type_, ZONE) for type_ in types])
    assert isinstance(rows, PackedRows)
    names = tuple(f"{type_.name}{number}" for number, type_ in enumerate(types))
    table = Table(names, rows, types)
    plain = Table(names, list(rows), types)
    return RenderInput(
        title="", report_type="", namespace="", name="", slot=SLOT, report_date=date(2026, 1, 5),
        time_zone=ZONE.key, generated_at=SLOT, run_id="", parameters={},
        tables={"packed": table, "plain": plain},
    )  # fmt: skip


def test_the_file_is_the_same(
    tmp_path: Path, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = data_of(READ, PLAIN_ROWS + CHUNK_ROWS + 99)
    write_parquet(data, "plain", tmp_path / "plain.parquet", worker)
    monkeypatch.delattr(parquet, "_write_values")  # Arrow has read every text
    write_parquet(data, "packed", tmp_path / "packed.parquet", worker)
    packed = arrow.read_table(tmp_path / "packed.parquet")
    plain = arrow.read_table(tmp_path / "plain.parquet")
    assert packed.schema == plain.schema
    for name in plain.column_names:  # NaN is not equal to NaN
        assert str(packed[name].to_pylist()) == str(plain[name].to_pylist()), name
    assert packed.num_rows == PLAIN_ROWS + CHUNK_ROWS + 99


@pytest.mark.parametrize(
    ("type_", "text"),
    [
        # Before there were zones: Arrow does not read the seconds, and Python does.
        (ColumnType("timestamptz"), "1850-01-01 00:00:00-00:14:44"),
    ],
)
def test_what_arrow_does_not_read_is_written_value_by_value(
    tmp_path: Path, worker: Worker, type_: ColumnType, text: str
) -> None:
    data = data_of({type_: [text, None]}, PLAIN_ROWS + 1)
    zone = ZoneInfo(data.time_zone)
    with pytest.raises(TextRefusedError):
        parquet._write_texts("packed", data.tables["packed"], zone, tmp_path / "a", worker)
    for name in ("packed", "plain"):
        write_parquet(data, name, tmp_path / f"{name}.parquet", worker)
    packed = arrow.read_table(tmp_path / "packed.parquet")
    assert packed.equals(arrow.read_table(tmp_path / "plain.parquet"))
    assert packed.num_rows == PLAIN_ROWS + 1


@pytest.mark.parametrize(
    ("type_", "text", "told"),
    [
        (ColumnType("numeric", 18, 2), "NaN", "NaN or an infinity is no decimal"),
        (ColumnType("numeric", 18, 2), "-Infinity", "NaN or an infinity is no decimal"),
        (ColumnType("numeric"), "NaN", "NaN or an infinity is no decimal"),
        (ColumnType("numeric"), "1" * 77, "the column needs 77 digits"),
        (ColumnType("date"), "infinity", "has no place in Parquet"),
        (ColumnType("date"), "0044-03-15 BC", "has no place in Parquet"),
        (ColumnType("date"), "20260-01-02", "has no place in Parquet"),
        (ColumnType("timestamp"), "-infinity", "has no place in Parquet"),
        (ColumnType("timestamptz"), "20260-01-02 01:00:00+01", "has no place in Parquet"),
    ],
)
def test_what_has_no_place_is_told_as_ever(
    tmp_path: Path, worker: Worker, type_: ColumnType, text: str, told: str
) -> None:
    data = data_of({type_: [text]}, PLAIN_ROWS + 1)
    messages = []
    for name in ("packed", "plain"):
        with pytest.raises(RunError, match=told) as caught:
            write_parquet(data, name, tmp_path / "a.parquet", worker)
        messages.append(caught.value.message.replace(f"[{name}]", ""))
    assert messages[0] == messages[1]
