"""The CSV of a report: one file for each source, safe to open in a spreadsheet."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from report_runner.contract.format_options import (
    CsvOptions,
    DateFormat,
    Quoting,
    TimestampFormat,
    ZoneOffset,
)
from report_runner.contract.moments import FULL, FarMoment, MomentStyle, in_zone, is_ambiguous
from report_runner.contract.numbers import is_number
from report_runner.contract.reasons import Reason
from report_runner.contract.report import Format
from report_runner.contract.values import plain_text
from report_runner.models import RenderInput, RunError, Table
from report_runner.render.bounded import open_text
from report_runner.render.context import KPIS
from report_runner.render.csvpacked import packed_lines

# A spreadsheet runs texts with these beginnings as formulas (OWASP, CSV injection).
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_HARMLESS = re.compile(
    r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?"
    r"|-infinity"
    # An interval: `-1 years -2 mons +3 days -04:05:06.7`.
    r"|(?=\S)([+-]?\d+ (year|mon|day)s?( |\Z))*([+-]?\d+:\d\d:\d\d(\.\d+)?)?"
    # Money: `-$1,234.50`, `-1.234,50 €`.
    r"|-[$€£¥]?\d[\d.,]*( ?[$€£¥])?",
    re.ASCII,
)
_DAY = re.compile(r"(\d{4,})-(\d\d)-(\d\d)", re.ASCII)
_DAY_ORDER = {
    DateFormat.DOTS: r"\3.\2.\1",
    DateFormat.SLASHES: r"\3/\2/\1",
    DateFormat.MONTH_FIRST: r"\2/\3/\1",
    DateFormat.DASHES: r"\3-\2-\1",
    DateFormat.YEAR_FIRST: r"\1/\2/\3",
}
Cell = Callable[[Any], str]


def csv_sources(data: RenderInput) -> list[str | None]:
    """The source of each file; None is the file that is not named by its source."""
    options = _options(data)
    return list(options.sources) if options.sources else [None]


def csv_table(data: RenderInput, source: str | None = None) -> Table:
    """The rows of `source`.

    Without it those of the source that the parameter `csv_source` names, else of the first other
    than `kpis`. Raises RunError(ConfigurationError) for a name that is no source.
    """
    if source is not None:
        return data.tables[source]
    wanted = data.parameters.get("csv_source")
    if wanted is None:
        names = [name for name in data.tables if name != KPIS] or list(data.tables)
        return data.tables[names[0]]
    if wanted not in data.tables:
        known = ", ".join(data.tables)
        raise RunError(
            Reason.CONFIGURATION_ERROR,
            f"spec.report.parameters.csv_source: there is no source {wanted!r}; there are: {known}",
        )
    return data.tables[wanted]


def write_source(data: RenderInput, source: str | None, path: Path) -> None:
    """The file of one source, or the file that has no source in its name. Raises RunError."""
    write_csv(csv_table(data, source), path, ZoneInfo(data.time_zone), _options(data))


def _options(data: RenderInput) -> CsvOptions:
    return (data.options.csv if data.options else None) or CsvOptions()


def write_csv(table: Table, path: Path, zone: ZoneInfo, options: CsvOptions | None = None) -> None:
    """RFC 4180 in UTF-8, by default with a byte order mark for spreadsheets. Raises RunError."""
    options = options or CsvOptions()
    encoding = "utf-8-sig" if options.byte_order_mark else "utf-8"
    offsets = [_offset_shown(table, number, options, zone) for number in range(len(table.columns))]
    cells = [_cell_writer(options, zone, offset) for offset in offsets]
    lines = packed_lines(table, cells, offsets, options)
    with open_text(path, Format.CSV, encoding) as stream:
        stream.write(_line(table.columns, cells, options))
        if lines is not None:
            stream.writelines(lines)
            return
        for row in table.rows:
            stream.write(_line(row, cells, options))


def _line(values: Sequence[Any], cells: Sequence[Cell], options: CsvOptions) -> str:
    found = [cell(value) for cell, value in zip(cells, values, strict=True)]
    # Readers skip an empty line: a row of one NULL would be lost.
    return (options.separator.character.join(found) or '""') + options.line_end.characters


def _offset_shown(table: Table, number: int, options: CsvOptions, zone: ZoneInfo) -> bool:
    """Whether times with a zone have their offset in this column."""
    return options.zone_offset is ZoneOffset.ALWAYS or any(
        is_ambiguous(in_zone(value, zone))
        for value in table.values(number)
        if isinstance(value, datetime)
    )


def _cell_writer(options: CsvOptions, zone: ZoneInfo, offset: bool) -> Cell:
    """What writes the cells of one column.

    NULL is `nullText`, and a text that is the same gets quotes. A text that would be a formula gets
    an apostrophe; what PostgreSQL writes for a number, a duration or an amount of money stays as it
    is.
    """
    separator = re.escape(options.separator.character)
    special = re.compile(f'["{separator}\r\n]|^ | $')
    yes, _, no = options.boolean_format.partition("/")
    every = options.quoting is not Quoting.MINIMAL
    numbers = options.quoting is Quoting.ALL
    null = options.null_text
    decimal_mark = options.decimal_mark.value
    style = FULL if offset else replace(FULL, offset=False)

    def write(value: Any) -> str:
        if value is None:
            return null
        quoted = every
        if isinstance(value, FarMoment):
            text = _moment_text(str(value), options)
        elif isinstance(value, str):
            guarded = options.formula_guard and value.startswith(_FORMULA)
            text = f"'{value}" if guarded and not _HARMLESS.fullmatch(value) else value
        elif isinstance(value, bool):
            text = yes if value else no
        elif is_number(value):
            text, quoted = plain_text(value).replace(".", decimal_mark), numbers
        elif isinstance(value, date):
            text = _moment_text(_style_text(value, zone, style), options)
        else:
            text = plain_text(value)
        if quoted or text == null or not text or special.search(text):
            return '"' + text.replace('"', '""') + '"'
        return text

    return write


def _style_text(value: date, zone: ZoneInfo, style: MomentStyle) -> str:
    return style.text(in_zone(value, zone) if isinstance(value, datetime) else value)


def _moment_text(text: str, options: CsvOptions) -> str:
    """A date or time as PostgreSQL writes it, in the order and with the separator asked for."""
    if options.timestamp_format is TimestampFormat.ISO8601:
        return re.sub(r"(\d) (?=\d)", r"\1T", text)
    order = _DAY_ORDER.get(options.date_format)
    return _DAY.sub(order, text, count=1) if order else text
