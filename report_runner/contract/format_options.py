"""Options of the data formats: CSV, XLSX, JSON and Parquet."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field, StringConstraints

from report_runner.contract.model import Boolean, Identifier, Model
from report_runner.contract.rules import Rule, matches
from report_runner.contract.schema import LIST_SET, unique


class Separator(StrEnum):
    """What stands between two cells of a CSV."""

    COMMA = ","
    SEMICOLON = ";"
    TAB = "tab"
    BAR = "|"

    @property
    def character(self) -> str:
        return "\t" if self is Separator.TAB else self.value


class DecimalMark(StrEnum):
    """What stands before the decimals of a number."""

    POINT = "."
    COMMA = ","


class Quoting(StrEnum):
    """Which cells of a CSV are quoted."""

    MINIMAL = "minimal"
    ALL = "all"
    NON_NUMERIC = "nonNumeric"


class LineEnd(StrEnum):
    """How a line of a CSV ends."""

    CRLF = "crlf"
    LF = "lf"

    @property
    def characters(self) -> str:
        return "\r\n" if self is LineEnd.CRLF else "\n"


class DateFormat(StrEnum):
    """The order of year, month and day."""

    ISO = "YYYY-MM-DD"
    DOTS = "DD.MM.YYYY"
    SLASHES = "DD/MM/YYYY"
    MONTH_FIRST = "MM/DD/YYYY"
    DASHES = "DD-MM-YYYY"
    YEAR_FIRST = "YYYY/MM/DD"


class TimestampFormat(StrEnum):
    """What stands between day and time."""

    SQL = "sql"
    ISO8601 = "iso8601"


class ZoneOffset(StrEnum):
    """When a time with a zone is written with its offset."""

    ALWAYS = "always"
    WHEN_AMBIGUOUS = "whenAmbiguous"


class DataOptions(Model):
    """The base of the options of one data format."""

    sources: (
        Annotated[
            list[Identifier],
            unique(),
            Field(min_length=1, max_length=50, json_schema_extra=LIST_SET),
        ]
        | None
    ) = Field(default=None, description="The sources to write; all of them unless said.")


_WORD = '[^-=+@/\\x00-\\x20\\x7f"\'][^/\\x00-\\x1f\\x7f"]{0,19}'


class CsvOptions(DataOptions):
    """How a CSV is written."""

    rules = (
        Rule(
            "self.separator != self.decimalMark || self.quoting == 'all'",
            "separator and decimalMark have to be different characters, or quoting has to be all",
            lambda csv: csv.separator.value != csv.decimal_mark.value or csv.quoting is Quoting.ALL,
        ),
        Rule(
            "self.timestampFormat != 'iso8601' || self.dateFormat == 'YYYY-MM-DD'",
            "timestampFormat iso8601 needs dateFormat YYYY-MM-DD",
            lambda csv: (
                csv.timestamp_format is not TimestampFormat.ISO8601
                or csv.date_format is DateFormat.ISO
            ),
        ),
    )

    sources: (
        Annotated[
            list[Identifier],
            unique(),
            Field(min_length=1, max_length=50, json_schema_extra=LIST_SET),
        ]
        | None
    ) = Field(
        default=None,
        description="The sources to write, each into a file of its own, which ends in -SOURCE.csv. "
        "Without it one file has one source: the one that the parameter csv_source names, else "
        "the first that is not kpis.",
    )
    separator: Separator = Field(
        default=Separator.COMMA,
        description="Between two cells. Excel expects ; where , is the "
        "decimal mark of its language.",
    )
    decimal_mark: DecimalMark = Field(
        default=DecimalMark.POINT, description="Of numbers; every digit is written."
    )
    quoting: Quoting = Field(
        default=Quoting.MINIMAL,
        description="minimal: cells that need it. all: every cell but NULL. nonNumeric: all but "
        "numbers and NULL.",
    )
    byte_order_mark: Boolean = Field(
        default=True, description="Begin with one, by which Excel knows UTF-8."
    )
    line_end: LineEnd = Field(default=LineEnd.CRLF, description="crlf or lf.")
    date_format: DateFormat = Field(
        default=DateFormat.ISO, description="Of dates, and of the day of a timestamp."
    )
    timestamp_format: TimestampFormat = Field(
        default=TimestampFormat.SQL,
        description="sql: 2026-01-31 06:00:00+01:00. iso8601: with T in place of the blank.",
    )
    zone_offset: ZoneOffset = Field(
        default=ZoneOffset.ALWAYS,
        description="always: +01:00 behind each time with a zone. whenAmbiguous: only in a column "
        "with an hour that a clock repeats; then Excel reads the others as times.",
    )
    boolean_format: Annotated[
        str,
        StringConstraints(max_length=41),
        matches(
            f"{_WORD}/{_WORD}",
            "write two words of at most 20 characters and a slash between them, such as yes/no; "
            "none begins with = + - @ or a quote",
        ),
        Rule(
            "self.split('/')[0] != self.split('/')[size(self.split('/')) - 1]",
            "write two different words for true and false",
            lambda text: text.partition("/")[0] != text.rpartition("/")[2],
        ),
    ] = Field(default="true/false", description="The words for true and false.")
    null_text: Annotated[
        str,
        StringConstraints(max_length=20),
        matches('[^\\x00-\\x1f\\x7f",;|]*', "write one word without quotes and separators"),
    ] = Field(
        default="",
        description="Stands for NULL and is never quoted. A text that is the same is quoted.",
    )
    formula_guard: Boolean = Field(
        default=True,
        description="An apostrophe before each text that a spreadsheet would take for a formula "
        "(it begins with = + - @, a tab or a carriage return and is no number). false: texts as "
        "they are, for readers that are programs.",
    )


class XlsxOptions(DataOptions):
    """How a workbook is written: one sheet for each source."""

    column_formats: dict[
        Annotated[str, StringConstraints(min_length=1, max_length=253)],
        Annotated[
            str,
            StringConstraints(max_length=16),
            matches(
                "text|plain|integer|decimals|percent|decimals:[0-9]|decimals:[12][0-9]"
                "|percent:[0-9]|percent:[12][0-9]|date|datetime",
                "write text, plain, integer, decimals:N, percent:N, date or datetime, with N at "
                "most 29",
            ),
        ],
    ] = Field(
        default_factory=dict,
        max_length=200,
        description="How columns are shown, by name: text, plain (no thousands separators), "
        "integer, decimals:N, percent:N (of a ratio), date or datetime. The cell keeps every "
        "digit.",
    )


class FormatOptions(Model):
    """Options of each data format."""

    csv: CsvOptions | None = Field(default=None, description="How a CSV is written.")
    xlsx: XlsxOptions | None = Field(default=None, description="How a workbook is written.")
    json_: DataOptions | None = Field(
        default=None, alias="json", description="Which sources the JSON holds."
    )
    parquet: DataOptions | None = Field(
        default=None, description="Which sources are written, each into a file of its own."
    )

    def of(self, name: str) -> DataOptions | None:
        """The options of the format `name`, where it has some."""
        found = getattr(self, "json_" if name == "json" else name, None)
        return found if isinstance(found, DataOptions) else None


DATA_FORMATS = ("csv", "xlsx", "json", "parquet")
