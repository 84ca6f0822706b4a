"""The CSV of a report: one source, safe to open in a spreadsheet."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from report_runner.contract.moments import in_zone
from report_runner.contract.reasons import Reason
from report_runner.contract.report import Format
from report_runner.contract.values import plain_text
from report_runner.models import RenderInput, RunError, Table
from report_runner.render.bounded import open_text
from report_runner.render.context import KPIS

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
_QUOTED = re.compile('[",\r\n]|^ | $')


def csv_table(data: RenderInput) -> Table:
    """The source that the parameter `csv_source` names, else the first other than `kpis`.

    Raises RunError(ConfigurationError) for a name that is no source.
    """
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


def write_csv(table: Table, path: Path, zone: ZoneInfo) -> None:
    """RFC 4180 in UTF-8, with a byte order mark for spreadsheets. Raises RunError."""
    with open_text(path, Format.CSV, "utf-8-sig") as stream:
        stream.write(_line(table.columns, zone))
        for row in table.rows:
            stream.write(_line(row, zone))


def _line(values: Sequence[Any], zone: ZoneInfo) -> str:
    # Readers skip an empty line: a row of one NULL would be lost.
    return (",".join(cell(value, zone) for value in values) or '""') + "\r\n"


def cell(value: Any, zone: ZoneInfo) -> str:
    """One cell: NULL is empty, and an empty text is a pair of quotes.

    A text that would be a formula gets an apostrophe; what PostgreSQL writes for a number, a
    duration or an amount of money stays as it is. A time with a zone has its offset.
    """
    if value is None:
        return ""
    if not isinstance(value, str):
        text = plain_text(in_zone(value, zone) if isinstance(value, datetime) else value)
    elif value.startswith(_FORMULA) and not _HARMLESS.fullmatch(value):
        text = f"'{value}"
    else:
        text = value
    if not text or _QUOTED.search(text):
        return '"' + text.replace('"', '""') + '"'
    return text
