"""Workbooks as LibreOffice reads them: type, value and shown text of each cell."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

SECONDS = 300
_OFFICE = "{urn:oasis:names:tc:opendocument:xmlns:office:1.0}"
_TABLE = "{urn:oasis:names:tc:opendocument:xmlns:table:1.0}"
_TEXT = "{urn:oasis:names:tc:opendocument:xmlns:text:1.0}"
_MOST = 1000  # repeated cells and rows beyond are the empty rest of a sheet


@dataclass(frozen=True)
class Cell:
    """`kind` is `float`, `date`, `time`, `string` or '' (empty); `value` is exact."""

    kind: str = ""
    value: str = ""
    shown: str = ""
    formula: str = ""
    links: int = 0


Sheets = dict[str, list[list[Cell]]]


def read_workbooks(paths: Sequence[Path], directory: Path) -> list[Sheets]:
    """Each workbook by sheet, all in one start of LibreOffice."""
    out = directory / "libreoffice"
    done = subprocess.run(
        [
            "soffice", f"-env:UserInstallation=file://{directory}/profile", "--headless",
            "--convert-to", "fods", "--outdir", out, *paths,
        ],
        capture_output=True, text=True, timeout=SECONDS, check=False,
    )  # fmt: skip
    found = [out / f"{path.stem}.fods" for path in paths]
    missing = [path.name for path in found if not path.exists()]
    assert not missing, (missing, done.stdout, done.stderr)
    return [_sheets(path) for path in found]


def _sheets(path: Path) -> Sheets:
    root = ET.parse(path).getroot()  # noqa: S314 - what LibreOffice has written
    return {table.attrib[f"{_TABLE}name"]: _rows(table) for table in root.iter(f"{_TABLE}table")}


def _rows(table: ET.Element) -> list[list[Cell]]:
    rows: list[list[Cell]] = []
    for row in table.iter(f"{_TABLE}table-row"):
        cells: list[Cell] = []
        for element in row:
            times = int(element.get(f"{_TABLE}number-columns-repeated", "1"))
            cells += [_cell(element)] * (times if times < _MOST else 0)
        times = int(row.get(f"{_TABLE}number-rows-repeated", "1"))
        rows += [_trimmed(cells)] * (times if times < _MOST else 0)
    while rows and not rows[-1]:
        rows.pop()
    return rows


def _trimmed(cells: list[Cell]) -> list[Cell]:
    while cells and not cells[-1].kind:
        cells = cells[:-1]
    return cells


def _cell(element: ET.Element) -> Cell:
    kind = element.get(f"{_OFFICE}value-type", "")
    shown = "\n".join(_text(part) for part in element.findall(f"{_TEXT}p"))
    value = next(
        (
            found
            for name in ("value", "date-value", "time-value", "boolean-value")
            if (found := element.get(f"{_OFFICE}{name}")) is not None
        ),
        shown,
    )
    links = len(list(element.iter(f"{_TEXT}a")))
    return Cell(kind, value, shown, element.get(f"{_TABLE}formula", ""), links)


def _text(element: ET.Element) -> str:
    parts = [element.text or ""]
    for part in element:
        if part.tag == f"{_TEXT}s":
            parts.append(" " * int(part.get(f"{_TEXT}c", "1")))
        elif part.tag == f"{_TEXT}tab":
            parts.append("\t")
        elif part.tag == f"{_TEXT}line-break":
            parts.append("\n")
        else:
            parts.append(_text(part))
        parts.append(part.tail or "")
    return "".join(parts)
