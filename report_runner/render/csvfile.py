"""The CSV of a report: one source, safe to open in a spreadsheet."""

from __future__ import annotations

import csv
import re
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from report_runner.contract.reasons import Reason
from report_runner.contract.report import Format
from report_runner.models import RenderInput, RunError, Table
from report_runner.render.bounded import open_text
from report_runner.render.context import KPIS

# A spreadsheet runs texts with these beginnings as formulas (OWASP, CSV injection).
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")


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


def write_csv(table: Table, path: Path) -> None:
    """RFC 4180 in UTF-8, with a byte order mark for spreadsheets. Raises RunError."""
    with open_text(path, Format.CSV, "utf-8-sig") as stream:
        writer = csv.writer(stream)
        writer.writerow([cell(column) for column in table.columns])
        writer.writerows([cell(value) for value in row] for row in table.rows)


def cell(value: Any) -> Any:
    """NULL is empty; a text that would be a formula gets an apostrophe; numbers stay numbers."""
    if value is None:
        return ""
    if isinstance(value, date | datetime):
        return value.isoformat()
    if isinstance(value, Decimal):
        return format(value, "f") if value.is_finite() else str(value)
    if isinstance(value, str) and value.startswith(_FORMULA) and not _NUMBER.fullmatch(value):
        return f"'{value}"
    return value
