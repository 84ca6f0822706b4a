"""The `table(...)` of templates: columns worked out from the data, cells formatted and escaped.

Every row is one line of well-formed XML, so that the PDF writer can cut a long table into
documents of its own; widths are fixed, so that all of those look the same.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo

from jinja2 import TemplateRuntimeError
from markupsafe import Markup, escape

from report_runner.contract.numbers import (
    MAX_PLACES,
    NOTHING,
    as_decimal,
    compute,
    format_number,
    is_number,
    places_of,
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

# Points: what is between the page's margins, the sizes that tables are set in, a cell's padding.
PORTRAIT, LANDSCAPE = 510.0, 757.0
_SIZES = (7.6, 6.8, 6.0)
_PADDING = 9.0
_CHARACTER = 0.57  # of the font size, on average and a little more
_WIDEST_TEXT = 44  # characters; longer ones wrap


class Kind(StrEnum):
    """How a column is shown."""

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
        return self in (Kind.INTEGER, Kind.DECIMAL, Kind.PERCENT)


@dataclass(frozen=True, slots=True)
class Column:
    """One column as it is shown."""

    name: str
    label: str
    kind: Kind
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
    """How to show a column, from its name and values (NULLs left out) and an explicit format.

    `form` is empty, a kind, or `decimals:N` or `percent:N`. Raises TemplateRuntimeError.
    """
    kind, _, places = form.partition(":")
    if form and (kind not in {str(k) for k in Kind} or (places and not places.isdigit())):
        raise TemplateRuntimeError(
            f"table: format {form!r} of column {name!r} is none of "
            f"{', '.join(Kind)}, decimals:N, percent:N"
        )
    found = Kind(kind) if form else _kind(name, values)
    if found.numeric and not all(map(is_number, values)):
        raise TemplateRuntimeError(
            f"table: column {name!r} holds values that are no numbers; format {form!r} cannot show"
        )
    digits = 0
    if places:
        digits = min(int(places), MAX_PLACES)
    elif found is Kind.DECIMAL:
        digits = places_of(values)
    elif found is Kind.PERCENT:
        digits = 1
    marked = found.numeric and (bool(_words(name) & _SIGNED_WORDS) if signed is None else signed)
    return Column(name, label, found, digits, marked)


def _kind(name: str, values: Sequence[Any]) -> Kind:
    types = {type(value) for value in values}
    if not types:
        return Kind.TEXT
    if types == {bool}:
        return Kind.BOOLEAN
    if types == {int}:
        return Kind.PLAIN if is_code(name) else Kind.INTEGER
    if types <= {int, float, Decimal}:
        return Kind.DECIMAL
    if types == {date}:
        return Kind.DATE
    if types <= {date, datetime}:
        return Kind.DATETIME
    return Kind.TEXT


def formatter(column: Column, zone: ZoneInfo) -> Callable[[Any], str]:
    """Plain text of a value that is not NULL."""
    places, plus = column.decimals, column.signed
    match column.kind:
        case Kind.INTEGER:
            return lambda value: format_number(value, 0, plus)
        case Kind.DECIMAL:
            return lambda value: format_number(value, places, plus)
        case Kind.PERCENT:
            return lambda value: format_number(compute("*", value, 100), places, plus) + "%"
        case Kind.BOOLEAN:
            return lambda value: "Yes" if value else "No"
        case Kind.DATETIME:
            return lambda value: _moment(value, zone)
        case _:
            return str


def _moment(value: Any, zone: ZoneInfo) -> str:
    if not isinstance(value, datetime):
        return str(value)
    if value.tzinfo is not None:
        value = value.astimezone(zone)
    return f"{value:%Y-%m-%d %H:%M}"


def _width(text: str) -> int:
    """Columns that a text needs, wide characters counted as two."""
    if text.isascii():
        return len(text)
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


@dataclass(frozen=True, slots=True)
class _Layout:
    size: int  # index into _SIZES
    shares: tuple[float, ...]  # per cent of the table's width
    wrapping: tuple[bool, ...]  # columns whose text may not fit
    tight: bool  # not even the numbers may fit


def _natural(columns: Sequence[Column], texts: Sequence[Sequence[str]]) -> list[int]:
    widths = []
    for column, cells in zip(columns, texts, strict=True):
        longest = max(map(_width, cells), default=1)
        word = max(map(_width, column.label.split()), default=1)
        if column.kind is Kind.TEXT:
            longest = min(longest, _WIDEST_TEXT)
        widths.append(max(longest, word + 1, 3))
    return widths


def _arrange(
    columns: Sequence[Column], texts: Sequence[Sequence[str]], available: float
) -> _Layout:
    natural = _natural(columns, texts)

    def points(size: float) -> list[float]:
        return [width * size * _CHARACTER + _PADDING for width in natural]

    index = next((i for i, s in enumerate(_SIZES) if sum(points(s)) <= available), len(_SIZES) - 1)
    wanted = points(_SIZES[index])
    if sum(wanted) > available:
        # Numbers keep their width where that is possible at all; texts wrap.
        texts_want = sum(w for w, c in zip(wanted, columns, strict=True) if not c.kind.numeric)
        rest = max(available - (sum(wanted) - texts_want), 0.3 * available)
        shrink = min(rest / texts_want, 1.0) if texts_want else 1.0
        wanted = [w if c.kind.numeric else w * shrink for w, c in zip(wanted, columns, strict=True)]
    total = sum(wanted)
    room = available / total
    wrapping = tuple(
        column.kind is Kind.TEXT
        and max(map(_width, cells), default=0) * _SIZES[index] * _CHARACTER + _PADDING
        > width * room
        for column, cells, width in zip(columns, texts, wanted, strict=True)
    )
    return _Layout(index, tuple(100 * w / total for w in wanted), wrapping, room < 1)


def natural_width(names: Sequence[str], rows: Sequence[Row]) -> float:
    """Points that a table needs at the largest size; looks at the first rows."""
    columns, texts = _columns(names, rows[:200], {}, {}, None, ZoneInfo("UTC"))
    return sum(w * _SIZES[0] * _CHARACTER + _PADDING for w in _natural(columns, texts))


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
        show = formatter(column, zone)
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


def _cell_text(text: str) -> str:
    cleaned = _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", text)
    return "<br/>".join(str(escape(line)) for line in cleaned.splitlines())


def build_table(
    names: Sequence[str],
    rows: Sequence[Row],
    *,
    caption: str | None = None,
    labels: Mapping[str, str] | None = None,
    formats: Mapping[str, str] | None = None,
    signed: Sequence[str] | None = None,
    zone: ZoneInfo,
    available: float = PORTRAIT,
    empty: str = "No rows.",
) -> HtmlTable:
    """The table of `rows`; `names` are the columns and the positions in each row.

    `available` is the width of the page in points. Raises TemplateRuntimeError.
    """
    if not names:
        return HtmlTable(
            "<table><tbody><tr><td>", (), f"{_cell_text(empty)}</td></tr></tbody></table>"
        )
    columns, texts = _columns(names, rows, labels or {}, formats or {}, signed, zone)
    layout = _arrange(columns, texts, available)
    tight = " tight" if layout.tight else ""
    head = [f'<table class="data size-{layout.size}{tight}">']
    if caption:
        head.append(f"<caption>{_cell_text(caption)}</caption>")
    head.append("<colgroup>")
    head += [f'<col style="width:{share:.3f}%"/>' for share in layout.shares]
    head.append("</colgroup><thead><tr>")
    for column in columns:
        opening = '<th class="n">' if column.kind.numeric else "<th>"
        head.append(f"{opening}{_cell_text(column.label)}</th>")
    head.append("</tr></thead><tbody>")
    cells = [
        _cells(column, [row[i] for row in rows], texts[i], layout.wrapping[i])
        for i, column in enumerate(columns)
    ]
    # Stripes by class: a selector such as :nth-child counts all rows for every cell.
    stripes = ("<tr>", '<tr class="e">')
    body = [
        f"{stripes[number % 2]}{''.join(row)}</tr>"
        for number, row in enumerate(zip(*cells, strict=True))
    ]
    if not body:
        body = [f'<tr><td class="empty" colspan="{len(columns)}">{_cell_text(empty)}</td></tr>']
    return HtmlTable(str(Markup("").join(map(Markup, head))), body, "</tbody></table>")
