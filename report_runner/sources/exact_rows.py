"""A table as lines of JSON and back, every value exactly as it was.

Plain JSON has no way to tell a Decimal from a float, or a time from a text: each value that JSON
does not have is an object with one key, which says its type.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from datetime import date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from report_runner.contract.moments import FarMoment, MomentKind, SessionOffset
from report_runner.models import ColumnType, Table
from report_runner.packed import RowCollector

_SECOND = timedelta(microseconds=1)


def lines_of(table: Table) -> Iterator[str]:
    """First columns and types, then the rows. Raises TypeError for what has no exact form here."""
    types = [[kind.name, kind.precision, kind.scale] for kind in table.types]
    yield json.dumps({"columns": list(table.columns), "types": types})
    for row in table.rows:
        yield json.dumps([_encoded(value) for value in row], ensure_ascii=False)


def table_of(lines: Iterable[str]) -> Table:
    """Raises ValueError, KeyError or TypeError where the lines are not of `lines_of`."""
    found = iter(lines)
    head = json.loads(next(found, "{}"))
    types = tuple(ColumnType(*kind) for kind in head["types"])
    collector = RowCollector()
    for line in found:
        collector.add(tuple(_decoded(value) for value in json.loads(line)))
    return Table(tuple(head["columns"]), collector.rows(), types)


def _encoded(value: Any) -> Any:
    for kind, encode in _ENCODERS:
        if type(value) is kind:
            return encode(value)
    raise TypeError(f"a {type(value).__name__} has no exact form")


def _same(value: Any) -> Any:
    return value


# By the type itself and no other that derives from it: a FarMoment is a str too.
_ENCODERS: tuple[tuple[type, Callable[[Any], Any]], ...] = (
    (type(None), _same),
    (bool, _same),
    (str, _same),
    (int, lambda value: {"i": str(value)}),
    (Decimal, lambda value: {"n": str(value)}),
    (float, lambda value: {"f": value.hex()}),
    (datetime, lambda value: {"m": _naive(value), "fold": value.fold, "z": _zone(value.tzinfo)}),
    (date, lambda value: {"d": value.isoformat()}),
    (time, lambda value: {"t": _naive(value), "fold": value.fold, "z": _zone(value.tzinfo)}),
    (FarMoment, lambda value: {"far": str(value), "kind": value.kind.value}),
    (list, lambda value: {"l": [_encoded(inner) for inner in value]}),
    (tuple, lambda value: {"u": [_encoded(inner) for inner in value]}),
    (dict, lambda value: {"o": [[_encoded(k), _encoded(v)] for k, v in value.items()]}),
)


def _naive(value: datetime | time) -> str:
    return value.replace(tzinfo=None, fold=0).isoformat()


def _zone(zone: tzinfo | None) -> Any:
    if zone is None:
        return None
    if type(zone) is SessionOffset:
        return ["session", zone.offset // _SECOND, zone.zone.key]
    if type(zone) is ZoneInfo and zone.key:
        return ["name", zone.key]
    if type(zone) is timezone:
        return ["offset", zone.utcoffset(None) // _SECOND]
    raise TypeError(f"a zone of type {type(zone).__name__} has no exact form")


def _decoded(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    match value:
        case {"i": text}:
            return int(text)
        case {"n": text}:
            return Decimal(text)
        case {"f": text}:
            return float.fromhex(text)
        case {"m": text, "fold": fold, "z": zone}:
            return datetime.fromisoformat(text).replace(fold=fold, tzinfo=_read_zone(zone))
        case {"d": text}:
            return date.fromisoformat(text)
        case {"t": text, "fold": fold, "z": zone}:
            return time.fromisoformat(text).replace(fold=fold, tzinfo=_read_zone(zone))
        case {"far": text, "kind": kind}:
            return FarMoment(text, MomentKind(kind))
        case {"l": items}:
            return [_decoded(item) for item in items]
        case {"u": items}:
            return tuple(_decoded(item) for item in items)
        case {"o": items}:
            return {_decoded(key): _decoded(item) for key, item in items}
    raise ValueError("a value of a type that is not known")


def _read_zone(zone: Any) -> tzinfo | None:
    match zone:
        case None:
            return None
        case ["session", offset, key]:
            return SessionOffset(offset * _SECOND, ZoneInfo(key))
        case ["name", key]:
            return ZoneInfo(key)
        case ["offset", offset]:
            return timezone(offset * _SECOND)
    raise ValueError("a zone of a kind that is not known")
