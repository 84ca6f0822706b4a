"""The `table(...)` of templates: columns worked out from the data, cells formatted and escaped.

Every row is one line of well-formed XML, so that the PDF writer can cut a long table into
documents of its own; widths are fixed, so that all of those look the same.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo

from jinja2 import TemplateRuntimeError
from markupsafe import escape

from report_runner.contract.moments import MomentKind, MomentStyle, in_zone, kind_of, style_of
from report_runner.contract.numbers import (
    MAX_PLACES,
    NOTHING,
    as_decimal,
    compute,
    format_number,
    is_number,
    places_of,
)
from report_runner.contract.values import plain_text
from report_runner.render.layout import (
    PADDING,
    PORTRAIT,
    SIZES,
    ColumnNeeds,
    Part,
    arrange,
    column_needs,
)

Row = tuple[Any, ...]

_ACRONYMS = {
    "id": "ID", "isin": "ISIN", "aum": "AUM", "nav": "NAV", "fx": "FX", "usd": "USD",
    "eur": "EUR", "gbp": "GBP", "ytd": "YTD", "mtd": "MTD", "qtd": "QTD", "pnl": "P&L",
    "pl": "P&L", "pct": "%", "percent": "%", "bps": "bps", "var": "VaR", "cusip": "CUSIP",
    "lei": "LEI", "kpi": "KPI", "url": "URL", "utc": "UTC", "roi": "ROI", "pe": "P/E",
}  # fmt: skip
_SIGNED_WORDS = frozenset(
    (
        "change", "return", "returns", "pnl", "gain", "gains", "loss", "losses", "delta",
        "variance", "difference", "performance", "contribution", "alpha", "excess",
    )
)  # fmt: skip
# Columns of whole numbers that are names, so that 2026 is not 2,026. By the whole name or by its
# last word: `customer_id` is a code, `number_of_trades` is none.
_CODE_NAMES = frozenset(
    ("id", "year", "code", "no", "number", "zip", "account", "cusip", "isin", "phone")
)
_CODE_ENDINGS = (
    "_id", "_year", "_code", "_no", "_zip", "_cusip", "_isin", "_phone",
    "account_number", "customer_number", "invoice_number", "order_number", "phone_number",
)  # fmt: skip
_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


class ColumnKind(StrEnum):
    """The display kind of a column."""

    TEXT = "text"
    INTEGER = "integer"
    DECIMAL = "decimals"
    PERCENT = "percent"
    DATE = "date"
    DATETIME = "datetime"
    BOOLEAN = "boolean"
    PLAIN = "plain"  # a number that is a name: 2026, not 2,026

    @property
    def numeric(self) -> bool:
        """Right-aligned, with digits of one width."""
        return self in (ColumnKind.INTEGER, ColumnKind.DECIMAL, ColumnKind.PERCENT)


@dataclass(frozen=True, slots=True)
class Column:
    """A column and how it is displayed."""

    name: str
    label: str
    kind: ColumnKind
    decimals: int
    signed: bool


@dataclass(frozen=True, slots=True)
class HtmlTable:
    """A table in pieces; each of `rows` is one `<tr>` without a line break."""

    head: str
    rows: Sequence[str]
    tail: str


def humanise(name: str) -> str:
    """`unrealised_pnl` → "Unrealised P&L"."""
    words = [_ACRONYMS.get(word.lower(), word) for word in name.replace("_", " ").split()]
    text = " ".join(words)
    return text[:1].upper() + text[1:]


def _words(name: str) -> set[str]:
    return set(re.split(r"[^a-z]+", name.lower()))


def is_code(name: str) -> bool:
    """Whether a column of whole numbers holds names rather than amounts."""
    lower = name.lower()
    return lower in _CODE_NAMES or lower.endswith(_CODE_ENDINGS)


def infer(name: str, values: Sequence[Any], label: str, form: str, signed: bool | None) -> Column:
    """The display of a column, from its name and values (NULLs left out) and an explicit format.

    `form` is empty, a kind, or `decimals:N` or `percent:N`. Raises TemplateRuntimeError.
    """
    kind, _, places = form.partition(":")
    if form and (kind not in {str(k) for k in ColumnKind} or (places and not places.isdigit())):
        raise TemplateRuntimeError(
            f"table: format {form!r} of column {name!r} is none of "
            f"{', '.join(ColumnKind)}, decimals:N, percent:N"
        )
    found = ColumnKind(kind) if form else _kind(name, values)
    if found.numeric and not all(map(is_number, values)):
        raise TemplateRuntimeError(
            f"table: column {name!r} holds values that are no numbers; format {form!r} cannot show"
        )
    digits = 0
    if places:
        digits = min(int(places), MAX_PLACES)
    elif found is ColumnKind.DECIMAL:
        digits = places_of(values)
    elif found is ColumnKind.PERCENT:
        digits = 1
    marked = found.numeric and (bool(_words(name) & _SIGNED_WORDS) if signed is None else signed)
    return Column(name, label, found, digits, marked)


def _kind(name: str, values: Sequence[Any]) -> ColumnKind:
    types = {type(value) for value in values}
    if not types:
        return ColumnKind.TEXT
    if types == {bool}:
        return ColumnKind.BOOLEAN
    if types == {int}:
        return ColumnKind.PLAIN if is_code(name) else ColumnKind.INTEGER
    if types <= {int, float, Decimal}:
        return ColumnKind.DECIMAL
    moments = {kind_of(value) for value in values}
    if moments == {MomentKind.DATE}:
        return ColumnKind.DATE
    if None not in moments:
        return ColumnKind.DATETIME
    return ColumnKind.TEXT


def formatter(column: Column, values: Sequence[Any], zone: ZoneInfo) -> Callable[[Any], str]:
    """Plain text of a value that is not NULL. `values` are all of the column."""
    places, plus = column.decimals, column.signed
    match column.kind:
        case ColumnKind.INTEGER:
            return lambda value: format_number(value, 0, plus)
        case ColumnKind.DECIMAL:
            return lambda value: format_number(value, places, plus)
        case ColumnKind.PERCENT:
            return lambda value: format_number(compute("*", value, 100), places, plus) + "%"
        case ColumnKind.BOOLEAN:
            return lambda value: "Yes" if value else "No"
        case ColumnKind.DATETIME:
            style = style_of(_local(value, zone) for value in values)
            return lambda value: _moment(_local(value, zone), style)
        case ColumnKind.DATE:
            return lambda value: _day(_local(value, zone))
        case _:
            return lambda value: plain_text(_local(value, zone))


def _local(value: Any, zone: ZoneInfo) -> Any:
    return in_zone(value, zone) if isinstance(value, datetime) else value


def _moment(value: Any, style: MomentStyle) -> str:
    return style.text(value) if isinstance(value, date) else plain_text(value)


def _day(value: Any) -> str:
    return plain_text(value.date() if isinstance(value, datetime) else value)


def natural_width(names: Sequence[str], rows: Sequence[Row]) -> float:
    """Points that a table needs at the largest size; looks at the first rows."""
    columns, texts = _columns(names, rows[:200], {}, {}, None, ZoneInfo("UTC"))
    return sum(need.natural * SIZES[0] + PADDING for need in _needs(columns, texts))


def _needs(columns: Sequence[Column], texts: Sequence[Sequence[str]]) -> list[ColumnNeeds]:
    return [
        column_needs(
            column.name,
            column.label,
            cells,
            wraps=column.kind is ColumnKind.TEXT,
            key=not column.kind.numeric,
        )
        for column, cells in zip(columns, texts, strict=True)
    ]


def _columns(
    names: Sequence[str],
    rows: Sequence[Row],
    labels: Mapping[str, str],
    formats: Mapping[str, str],
    signed: Sequence[str] | None,
    zone: ZoneInfo,
) -> tuple[list[Column], list[list[str]]]:
    columns: list[Column] = []
    texts: list[list[str]] = []
    for index, name in enumerate(names):
        values = [row[index] for row in rows]
        mark = None if signed is None else name in signed
        present = [value for value in values if value is not None]
        column = infer(name, present, labels.get(name, humanise(name)), formats.get(name, ""), mark)
        show = formatter(column, present, zone)
        columns.append(column)
        texts.append([NOTHING if value is None else show(value) for value in values])
    return columns, texts


def _cells(column: Column, values: Iterable[Any], texts: Sequence[str], wraps: bool) -> list[str]:
    """The `<td>` elements of one column."""
    if column.kind.numeric and column.signed:
        marks = {1: "n up", -1: "n down", 0: "n"}
        return [
            f'<td class="{marks[_sign(v)]}">{t}</td>' for v, t in zip(values, texts, strict=True)
        ]
    if column.kind.numeric:
        return [f'<td class="n">{text}</td>' for text in texts]
    opening = '<td class="w">' if wraps else "<td>"
    return [f"{opening}{_cell_text(text)}</td>" for text in texts]


def _sign(value: Any) -> int:
    if value is None or as_decimal(value).is_nan():
        return 0
    return int(value > 0) - int(value < 0)


def printable_text(text: str) -> str:
    """The text with U+FFFD for each character that no document can hold."""
    return _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", text)


def _cell_text(text: str) -> str:
    cleaned = printable_text(text)
    return "<br/>".join(str(escape(line)) for line in cleaned.splitlines())


def build_table(
    names: Sequence[str],
    rows: Sequence[Row],
    *,
    caption: str | None = None,
    labels: Mapping[str, str] | None = None,
    formats: Mapping[str, str] | None = None,
    signed: Sequence[str] | None = None,
    keys: Sequence[str] | None = None,
    zone: ZoneInfo,
    available: float = PORTRAIT,
    empty: str = "No rows.",
    left_out: int = 0,
) -> list[HtmlTable]:
    """The table of `rows`, in as many parts as its width needs.

    `names` are the columns and the positions in each row, `available` is the width of the page in
    points, `left_out` the number of rows that are not shown. Raises TemplateRuntimeError.
    """
    if not names:
        return [
            HtmlTable(
                "<table><tbody><tr><td>", (), f"{_cell_text(empty)}</td></tr></tbody></table>"
            )
        ]
    columns, texts = _columns(names, rows, labels or {}, formats or {}, signed, zone)
    parts = arrange(_needs(columns, texts), available, keys)
    note = f"{len(rows):,} of {len(rows) + left_out:,} rows" if left_out else ""
    return [
        _html(columns, texts, rows, part, _part_caption(caption, number, len(parts)), empty, note)
        for number, part in enumerate(parts, 1)
    ]


def _part_caption(caption: str | None, number: int, parts: int) -> str:
    if parts == 1:
        return caption or ""
    return " ".join(filter(None, (caption, f"(part {number} of {parts})")))


def _html(
    columns: Sequence[Column],
    texts: Sequence[Sequence[str]],
    rows: Sequence[Row],
    part: Part,
    caption: str,
    empty: str,
    note: str,
) -> HtmlTable:
    head = [f'<table class="data size-{part.size}">']
    if caption:
        head.append(f"<caption>{_cell_text(caption)}</caption>")
    head.append("<colgroup>")
    head += [f'<col style="width:{share:.3f}%"/>' for share in part.shares]
    head.append("</colgroup><thead><tr>")
    for index in part.columns:
        opening = '<th class="n">' if columns[index].kind.numeric else "<th>"
        head.append(f"{opening}{_cell_text(columns[index].label)}</th>")
    head.append("</tr></thead><tbody>")
    cells = [
        _cells(columns[index], [row[index] for row in rows], texts[index], wraps)
        for index, wraps in zip(part.columns, part.wrapping, strict=True)
    ]
    # Stripes by class: a selector such as :nth-child counts all rows for every cell.
    stripes = ("<tr>", '<tr class="e">')
    body = [
        f"{stripes[number % 2]}{''.join(row)}</tr>"
        for number, row in enumerate(zip(*cells, strict=True))
    ]
    span = f'<tr><td class="empty" colspan="{len(part.columns)}">'
    said = filter(None, ("" if body else empty, note))
    body += [f"{span}{_cell_text(text)}</td></tr>" for text in said]
    return HtmlTable("".join(head), body, "</tbody></table>")
