"""XLSX, JSON and Parquet: every value as it is, or an error that names its place."""

from __future__ import annotations

import json
import struct
import zipfile
from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import xlsxwriter
from pyarrow import parquet
from test_render_documents import given

from report_runner.contract import files
from report_runner.contract.format_options import FormatOptions
from report_runner.contract.moments import FarMoment, MomentKind, SessionOffset
from report_runner.contract.reasons import Reason
from report_runner.contract.report import Format
from report_runner.models import ColumnType, RenderInput, RunError, Table
from report_runner.render.documents import render
from report_runner.render.parquet import parquet_column
from report_runner.render.xlsx import sheet_names
from report_runner.render.xlsx_columns import check_text, serial
from report_runner.render.xlsx_shim import ExactSheet

MADRID = ZoneInfo("Europe/Madrid")
NUMERIC = ColumnType("numeric")


def at(text: str, hours: int) -> datetime:
    return datetime.fromisoformat(text).replace(
        tzinfo=SessionOffset(timedelta(hours=hours), MADRID)
    )


def column(*values: Any, type_: ColumnType | None = None, name: str = "c") -> Table:
    return Table((name,), [(value,) for value in values], (type_,) if type_ else ())


def data(options: dict[str, Any] | None = None, **tables: Table) -> RenderInput:
    found = FormatOptions.model_validate(options) if options else None
    return given(tables=tables, options=found)


def made(wanted: Format, given_: RenderInput, directory: Path) -> Path:
    (document,) = render(given_, [wanted], directory)
    return document.path


def refusal(wanted: Format, table: Table, directory: Path, **options: Any) -> str:
    given_ = data({wanted.value: options} if options else None, a=table)
    with pytest.raises(RunError) as caught:
        render(given_, [wanted], directory)
    assert caught.value.reason is Reason.CONFIGURATION_ERROR
    return caught.value.message


# --- xlsx --------------------------------------------------------------------------------------


def parts(path: Path) -> dict[str, str]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name).decode() for name in archive.namelist()}


def test_header_filter_and_no_formula_in_a_workbook(tmp_path: Path) -> None:
    rows = [("=1+1", "http://x/", Decimal("1.5")), ("+x", "mailto:a@b", None)]
    path = made(Format.XLSX, data(a=Table(("a", "b", "c"), rows)), tmp_path)
    sheet = parts(path)["xl/worksheets/sheet1.xml"]
    assert '<pane ySplit="1" topLeftCell="A2" activePane="bottomLeft" state="frozen"/>' in sheet
    assert '<autoFilter ref="A1:C3"/>' in sheet
    assert "<f>" not in sheet
    assert "hyperlink" not in sheet
    assert "<v>1.5</v>" in sheet


def test_an_empty_text_is_a_cell_and_null_is_none(tmp_path: Path) -> None:
    path = made(Format.XLSX, data(a=Table(("a", "b"), [("", None)])), tmp_path)
    sheet = parts(path)["xl/worksheets/sheet1.xml"]
    assert '<c r="A2" t="inlineStr"><is><t></t></is></c>' in sheet
    assert 'r="B2"' not in sheet


def test_equal_input_gives_equal_bytes(tmp_path: Path) -> None:
    big = column(4929123456789012345, None)
    given_ = data(a=big, zoned=column(at("2026-01-05 06:00:00", 1)), text=column("a", 1))
    first, second = tmp_path / "1", tmp_path / "2"
    for directory in (first, second):
        directory.mkdir()
    wanted = [Format.XLSX, Format.JSON]
    for one, other in zip(
        render(given_, wanted, first), render(given_, wanted, second), strict=True
    ):
        assert one.path.read_bytes() == other.path.read_bytes()
        assert sorted(path.name for path in first.iterdir()) == [
            "report.json.tmp",
            "report.xlsx.tmp",
        ]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (["a", "x" * 32_768], "column c, row 2: the text is longer than the 32,767 characters"),
        (["😀" * 16_384], "column c, row 1: the text is longer than the 32,767 characters"),
        (["a", None, "b\uffff"], "column c, row 3: the text has a character that a workbook"),
    ],
)
def test_a_text_that_no_cell_holds(tmp_path: Path, values: list[Any], said: str) -> None:
    message = refusal(Format.XLSX, column(*values), tmp_path)
    assert message.startswith(f"spec.report.sources[a]: {said}")
    assert "take xlsx out of spec.report.formats" in message
    assert list(tmp_path.glob("report.*")) == []


def test_the_longest_text_that_a_cell_holds(tmp_path: Path) -> None:
    path = made(Format.XLSX, data(a=column("x" * 32_767, "😀" * 16_383)), tmp_path)
    assert "x" * 32_767 in parts(path)["xl/worksheets/sheet1.xml"]
    check_text("a", "c", 1, "😀" * 16_383)


class Rows(Sequence[tuple[int, ...]]):
    """Many rows that take no memory."""

    def __init__(self, length: int) -> None:
        self.length = length

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: Any) -> Any:
        raise NotImplementedError


@pytest.mark.parametrize(
    "table",
    [
        Table(("a",), Rows(1_048_576)),
        Table(tuple(f"c{n}" for n in range(16_385)), [tuple(range(16_385))]),
    ],
    ids=["rows", "columns"],
)
def test_what_no_sheet_holds(tmp_path: Path, table: Table) -> None:
    message = refusal(Format.XLSX, table, tmp_path)
    assert "do not fit into a sheet, which has 1,048,575 rows below its header" in message


def test_a_column_format_has_to_fit(tmp_path: Path) -> None:
    formats = {"columnFormats": {"c": "decimals:2"}}
    assert refusal(Format.XLSX, column("x"), tmp_path, **formats) == (
        "spec.report.formatOptions.xlsx.columnFormats[c]: decimals:2 cannot show the values of "
        "this column"
    )
    unknown = refusal(Format.XLSX, column(1), tmp_path, columnFormats={"d": "integer"})
    assert unknown.endswith("columnFormats[d]: there is no such column; there are: c")
    # A day without a value is no fault, and one source of two suffices.
    made(Format.XLSX, data({"xlsx": formats}, a=column(None), b=column("x")), tmp_path)


def test_the_rows_of_a_workbook_have_a_cap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "OUTPUT_FILE_LIMIT", 500_000)
    repeated = column(*["a" * 1000] * 1000)  # packed it is small
    with pytest.raises(RunError, match="before it is packed") as caught:
        render(data(a=repeated), [Format.XLSX], tmp_path)
    assert caught.value.reason is Reason.RESOURCE_EXHAUSTED
    assert list(tmp_path.iterdir()) == []


def test_a_time_is_never_a_second_early() -> None:
    """LibreOffice cuts what it does not show: the number may not be below the exact one."""
    day = datetime(1970, 8, 8)  # noqa: DTZ001
    for second in range(0, 86_400, 7):
        moment = day + timedelta(seconds=second)
        found = serial(moment, MADRID)
        assert int((found - int(found)) * 86_400) == second
        assert abs(found - (25_788 + Decimal(second) / 86_400).__float__()) < 1e-11
        assert int(serial(moment.time(), MADRID) * 86_400) == second


def test_sheet_names_are_unique_whatever_the_case() -> None:
    names = sheet_names(["notes", "history", "a" * 40, "a" * 41, "a" * 63])
    assert list(names.values()) == [
        "notes", "history~2", "a" * 31, "a" * 29 + "~2", "a" * 29 + "~3", "Notes~2",
    ]  # fmt: skip


def test_the_private_parts_of_xlsxwriter_are_as_they_were() -> None:
    """Where this fails after an upgrade: mend report_runner/render/xlsx_shim.py alone."""
    assert xlsxwriter.__version__.split(".")[0] == "3"
    for name in ("_xml_number_element", "_xml_rich_inline_string", "_xml_inline_string",
                 "_escape_control_characters", "_opt_close"):  # fmt: skip
        assert callable(getattr(ExactSheet.__mro__[1], name))


# --- json --------------------------------------------------------------------------------------


def test_json_has_every_digit_and_every_row(tmp_path: Path) -> None:
    table = Table(
        ("n", "f", "t", "j", "d", "z", 'k"ey'),
        [
            (2**63 * 10, Decimal("0.10"), "a\n\"b\"\u2028", '{"x": [1, 1e400], "x": 2}',
             date(2026, 1, 5), at("2026-10-25 02:30:00", 2), True),
            (None, Decimal("NaN"), "", None, FarMoment("infinity", MomentKind.DATE),
             FarMoment("0044-03-15 12:00:00-00:14:44 BC", MomentKind.ZONED), None),
        ],
        (NUMERIC, NUMERIC, ColumnType("text"), ColumnType("json"), ColumnType("date"),
         ColumnType("timestamptz"), ColumnType("bool")),
    )  # fmt: skip
    path = made(Format.JSON, data(a=table, empty=column()), tmp_path)
    text = path.read_text("utf-8")
    assert '"n": 92233720368547758080, "f": 0.10,' in text
    assert '"j": {"x": [1, 1e400], "x": 2},' in text
    found = json.loads(text, parse_float=Decimal)
    assert list(found) == ["a", "empty"]
    assert found["empty"] == []
    assert found["a"] == [
        {"n": 2**63 * 10, "f": Decimal("0.10"), "t": 'a\n"b"\u2028', "j": {"x": 2},
         "d": "2026-01-05", "z": "2026-10-25T02:30:00+02:00", 'k"ey': True},
        {"n": None, "f": "NaN", "t": "", "j": None, "d": "infinity",
         "z": "0044-03-15T12:00:00-00:14:44 BC", 'k"ey': None},
    ]  # fmt: skip


def test_json_holds_the_sources_that_are_named(tmp_path: Path) -> None:
    given_ = data({"json": {"sources": ["b"]}}, a=column(1), b=column(2))
    assert json.loads(made(Format.JSON, given_, tmp_path).read_text()) == {"b": [{"c": 2}]}


# --- parquet -----------------------------------------------------------------------------------


PARQUET = [
    (column(Decimal("1.50"), None, type_=ColumnType("numeric", 12, 2)), "decimal128(12, 2)"),
    (column(type_=ColumnType("numeric", 12, 2)), "decimal128(12, 2)"),
    (column(Decimal("0.001"), type_=ColumnType("numeric", 2, 3)), "decimal128(3, 3)"),
    (column(Decimal(12000), type_=ColumnType("numeric", 2, -3)), "decimal128(5, 0)"),
    (column(Decimal("1e50"), type_=ColumnType("numeric", 60, 2)), "decimal256(60, 2)"),
    (column(Decimal("1.5"), Decimal("0.25"), type_=NUMERIC), "decimal128(38, 2)"),
    (column(Decimal("1e-30"), Decimal("1e30"), type_=NUMERIC), "decimal256(76, 30)"),
    (column(None, type_=NUMERIC), "decimal128(38, 0)"),
    (column(1, 2, type_=ColumnType("int2")), "int16"),
    (column(2**63 - 1, type_=ColumnType("int8")), "int64"),
    (column(1, None), "int64"),
    (column(2**63), "decimal128(38, 0)"),
    (column(1, Decimal("0.5")), "decimal128(38, 1)"),
    (column(Decimal("0.1"), type_=ColumnType("float4")), "float"),
    (column(Decimal("NaN"), Decimal("-Infinity"), type_=ColumnType("float8")), "double"),
    (column(True, None), "bool"),
    (column(date(1, 1, 1), date(9999, 12, 31)), "date32[day]"),
    (column(time(1, 2, 3, 4)), "time64[us]"),
    (column(datetime(2026, 1, 5, 6, 7, 8, 9)), "timestamp[us]"),  # noqa: DTZ001
    (column(at("2026-10-25 02:30:00", 2)), "timestamp[us, tz=Europe/Madrid]"),
    (column("00417", "", None), "string"),
    (column(1, "a"), "string"),
    (column(None), "string"),
]


def same(value: Any, type_: str) -> Any:
    """What a value is in a column of this type, in a form that compares."""
    if type_ == "string":
        return None if value is None else str(value)
    if type_ in ("float", "double"):
        return f"{float(value):.7g}" if type_ == "float" else str(float(value))
    return value.timestamp() if isinstance(value, datetime) and value.tzinfo else value


def test_types_of_parquet(tmp_path: Path) -> None:
    """One start of pyarrow for all columns: each is a file of its own."""
    tables = {f"a{number}": table for number, (table, _) in enumerate(PARQUET)}
    documents = render(data(**tables), [Format.PARQUET], tmp_path)
    assert [document.source for document in documents] == list(tables)
    assert documents[0].suffix == "-a0.parquet"
    for document, (table, type_) in zip(documents, PARQUET, strict=True):
        found = parquet.read_table(document.path)
        assert str(found.schema.field("c").type) == type_
        values = [same(value, type_) for value in found.column("c").to_pylist()]
        assert values == [same(value, type_) for (value,) in table.rows], type_


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (column(Decimal(1), Decimal("NaN"), type_=NUMERIC), "column c, row 2: NaN or an infinity"),
        (column(Decimal(1), Decimal("1e-77"), type_=NUMERIC),
         "column c, row 2: the column needs 78 digits, a decimal of Parquet has 76; round it"),
        (column(date(2026, 1, 5), FarMoment("infinity", MomentKind.DATE)),
         "column c, row 2: infinity, or a year before 1"),
        (column("24:00:00", type_=ColumnType("time")), "column c, row 1: the time 24:00"),
        (column(FarMoment("0044-03-15 00:00:00 BC", MomentKind.TIME)),
         "column c, row 1: infinity, or a year before 1"),
    ],
)  # fmt: skip
def test_what_parquet_cannot_hold(table: Table, said: str) -> None:
    with pytest.raises(RunError) as caught:
        parquet_column("a", table, 0, MADRID)
    assert caught.value.reason is Reason.CONFIGURATION_ERROR
    assert caught.value.message.startswith(f"spec.report.sources[a]: {said}")
    assert "column::text" in caught.value.message


def test_parquet_in_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("report_runner.render.parquet.BATCH_CELLS", 10)
    rows = [(number, f"text {number}") for number in range(23)]
    (document,) = render(data(a=Table(("n", "t"), rows)), [Format.PARQUET], tmp_path)
    file = parquet.ParquetFile(document.path)
    assert file.metadata.num_row_groups == 5
    assert [tuple(row.values()) for row in file.read().to_pylist()] == rows


def test_this_process_never_loads_pyarrow() -> None:
    """It takes memory and threads, and templates are rendered in forks of this process."""
    import subprocess
    import sys

    code = (
        "import sys, report_runner.formats, report_runner.render.parquet, report_runner.run;"
        "print([m for m in ('pyarrow', 'xlsxwriter', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_format_has_its_media_type() -> None:
    assert {form.value: files.media_type(form.suffix) for form in Format} == {
        "pdf": "application/pdf",
        "html": "text/html; charset=utf-8",
        "csv": "text/csv; charset=utf-8",
        "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        "json": "application/json",
        "parquet": "application/vnd.apache.parquet",
    }


def test_float4_is_rounded_once(tmp_path: Path) -> None:
    """By way of a double the first two would be one too high in the last place."""
    texts = ["7.038531e-26", "-7.038531e-26", "0.1", "3.4028235e38", "1e-45", "0"]
    numbers = column(*map(Decimal, texts), type_=ColumnType("float4"))
    path = made(Format.PARQUET, data(a=numbers), tmp_path)
    found = parquet.read_table(path).column("c").to_pylist()
    assert [struct.pack(">f", value).hex() for value in found] == [
        "15ae43fd", "95ae43fd", "3dcccccd", "7f7fffff", "00000001", "00000000",
    ]  # fmt: skip
