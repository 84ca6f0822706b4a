"""Everything that touches private parts of XlsxWriter; a test notices when they change.

- A number is written with the digits that it has; XlsxWriter writes 16.
- A text is never markup: XlsxWriter takes one that begins with `<r>` for a rich text, as it is.
- A text with `_x0041_` in it stays as it is, also where two of them share a `_`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from xlsxwriter import Workbook
from xlsxwriter.worksheet import Worksheet

_ESCAPE_LIKE = re.compile(r"_(?=x[0-9A-Fa-f]{4}_)")
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f]")


class ExactSheet(Worksheet):
    """A sheet whose cells are what was given, and nothing else."""

    fh: Any
    row_data_fh: Any

    def _xml_number_element(self, number: Any, attributes: Any = ()) -> None:
        given = "".join(f' {key}="{value}"' for key, value in attributes)
        self.fh.write(f"<c{given}><v>{number}</v></c>")

    def _xml_rich_inline_string(self, string: str, attributes: Any = ()) -> None:
        self._xml_inline_string(string, True, attributes)

    @staticmethod
    def _escape_control_characters(data: Any) -> Any:
        if not isinstance(data, str):
            return data  # the 1 of a boolean
        text = _ESCAPE_LIKE.sub("_x005F_", data)
        return _CONTROL.sub(lambda match: f"_x{ord(match[0]):04X}_", text)

    def bytes_written(self) -> int:
        """Of the rows so far, before they are packed."""
        return os.fstat(self.row_data_fh.fileno()).st_size


class ExactWorkbook(Workbook):
    """A workbook of exact sheets."""

    def add_sheet(self, name: str) -> ExactSheet:
        sheet = self.add_worksheet(name, ExactSheet)
        assert isinstance(sheet, ExactSheet)  # noqa: S101 - it was asked for
        return sheet


@contextmanager
def new_workbook(path: Path, title: str, created: datetime) -> Iterator[ExactWorkbook]:
    """A workbook that is written row by row and complete at the end of the block.

    Equal content gives equal bytes.
    """
    with TemporaryDirectory(dir=path.parent) as scratch:
        workbook = ExactWorkbook(
            str(path),
            {
                "constant_memory": True,
                "tmpdir": scratch,
                "strings_to_formulas": False,
                "strings_to_urls": False,
                "strings_to_numbers": False,
                "nan_inf_to_errors": False,
            },
        )
        workbook.set_properties({"title": title, "created": created})
        try:
            yield workbook
            workbook.close()
        finally:
            for sheet in workbook.worksheets():
                sheet._opt_close()
