"""The process that writes Parquet: requests pickled on standard input, one JSON line each out.

pyarrow is imported here only: it takes some 100 MiB, and threads.
"""

from __future__ import annotations

import importlib
import json
import os
import pickle
import resource
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from report_runner.contract import files
from report_runner.render.chart_worker import end_with_parent


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the file; `arguments` are those of the function `pyarrow.<type>`.

    With `texts` the values come as a database wrote them, and Arrow reads them: it refuses what it
    would not read exactly.
    """

    name: str
    type: str
    arguments: tuple[Any, ...] = ()
    texts: bool = False


@dataclass(frozen=True, slots=True)
class BeginRequest:
    """A new file."""

    path: str
    columns: Sequence[Column]


@dataclass(frozen=True, slots=True)
class RowsRequest:
    """Rows by column; timestamps are microseconds since 1970 in UTC."""

    columns: Sequence[Sequence[Any]]


@dataclass(frozen=True, slots=True)
class EndRequest:
    """The file is complete."""


Request = BeginRequest | RowsRequest | EndRequest


class _Writer:
    def __init__(self) -> None:
        self._writer: Any = None
        self._schema: Any = None
        self._texts: list[bool] = []

    def answer(self, request: Request) -> None:
        # Not typed as a whole, and heavy.
        pa: Any = importlib.import_module("pyarrow")
        parquet: Any = importlib.import_module("pyarrow.parquet")
        if isinstance(request, BeginRequest):
            pa.set_cpu_count(1)
            if self._writer is not None:
                self._writer.close()  # else it ends its file when that is another one already
            self._texts = [column.texts for column in request.columns]
            self._schema = pa.schema(
                [
                    (column.name, getattr(pa, column.type)(*column.arguments))
                    for column in request.columns
                ]
            )
            self._writer = parquet.ParquetWriter(request.path, self._schema, compression="snappy")
        elif isinstance(request, RowsRequest):
            arrays = [
                pa.array(values, pa.string()).cast(field.type)
                if texts
                else pa.array(values, pa.int64()).cast(field.type)
                if pa.types.is_timestamp(field.type)
                else pa.array(values, field.type)
                for values, field, texts in zip(
                    request.columns, self._schema, self._texts, strict=True
                )
            ]
            self._writer.write_table(pa.Table.from_arrays(arrays, schema=self._schema))
        else:
            self._writer.close()


def main() -> None:
    """Answer requests until standard input ends."""
    end_with_parent()
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # output of libraries must not mix with the answers
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (files.OUTPUT_FILE_LIMIT, hard))
    # It gives memory back after each batch, and takes none ahead.
    os.environ["ARROW_DEFAULT_MEMORY_POOL"] = "system"
    writer = _Writer()
    while True:
        try:
            request: Request = pickle.load(sys.stdin.buffer)  # noqa: S301 - from our own parent
        except EOFError:
            return
        answer = {}
        try:
            writer.answer(request)
        except Exception as error:  # noqa: BLE001 - reported to the parent
            answer = {"kind": type(error).__name__, "error": str(error)[:300]}
        del request
        out.write(json.dumps(answer) + "\n")
        out.flush()


if __name__ == "__main__":
    # Pickled requests are of this module by its real name, not of `__main__`.
    from report_runner.render import parquet_worker

    parquet_worker.main()
