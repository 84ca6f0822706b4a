"""The JSON of a report: an object with a list of rows for each source.

Values are those of PostgreSQL's to_json: numbers with every digit, NaN and infinities as texts,
times as ISO 8601. A value of json or jsonb is taken over as it is; one of a type that JSON does not
have (an array, an interval, a range) is the text that PostgreSQL writes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from report_runner.contract.moments import FarMoment, in_zone
from report_runner.contract.report import Format
from report_runner.contract.values import json_text
from report_runner.models import RenderInput, Table
from report_runner.render.bounded import open_text

_JSON_TYPES = ("json", "jsonb")
# `0044-03-15 12:00:00+00 BC` → `0044-03-15T12:00:00+00:00 BC`, as to_json does.
_FAR_TIME = re.compile(r"(\d) (\d\d:\d\d:\d\d(?:\.\d+)?)([+-]\d\d(?!:))?", re.ASCII)


def write_json(data: RenderInput, path: Path) -> None:
    """One row a line. Raises RunError."""
    zone = ZoneInfo(data.time_zone)
    with open_text(path, Format.JSON, "utf-8") as stream:
        for number, name in enumerate(data.sources_for(Format.JSON)):
            stream.write(f"{',' if number else '{'}\n{json.dumps(name)}: [")
            for index, line in enumerate(_lines(data.tables[name], zone)):
                stream.write(("," if index else "") + "\n" + line)
            stream.write("\n]")
        stream.write("\n}\n")


def _lines(table: Table, zone: ZoneInfo) -> Iterator[str]:
    keys = [json.dumps(name, ensure_ascii=False) for name in table.columns]
    writers = [_writer(table, number, zone) for number in range(len(keys))]
    for row in table.rows:
        cells = zip(keys, writers, row, strict=True)
        yield "{" + ", ".join(f"{key}: {write(value)}" for key, write, value in cells) + "}"


def _writer(table: Table, number: int, zone: ZoneInfo) -> Callable[[Any], str]:
    if table.types and table.types[number].name in _JSON_TYPES:
        return lambda value: "null" if value is None else str(value)
    return lambda value: _value(value, zone)


def _value(value: Any, zone: ZoneInfo) -> str:
    if isinstance(value, FarMoment):
        return json_text(_FAR_TIME.sub(_with_minutes, str(value)))
    return json_text(in_zone(value, zone) if isinstance(value, datetime) else value)


def _with_minutes(match: re.Match[str]) -> str:
    offset = f"{match[3]}:00" if match[3] else ""
    return f"{match[1]}T{match[2]}{offset}"
