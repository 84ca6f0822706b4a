"""Rows from SQL over the sources before: DuckDB in a process of its own, without files or network.

The process is bounded in memory and time. Only the sources that the query names are given to it.
"""

from __future__ import annotations

import json
import os
import pickle
import re
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from itertools import islice
from types import TracebackType
from typing import Any, Self
from zoneinfo import ZoneInfo

from report_runner.contract.model import parse_duration
from report_runner.contract.query_source import QuerySource
from report_runner.contract.reasons import Reason
from report_runner.contract.sql import placeholder_names, query_problem, rewritten, without_end
from report_runner.models import RunError, Table
from report_runner.render import workers
from report_runner.render.sandbox import MIB, SandboxLimits, read_bounded, share_of_memory
from report_runner.sources import Fetched, SourceContext
from report_runner.sources.query_requests import (
    DescribeRequest,
    NextRequest,
    OpenRequest,
    Request,
    RowsRequest,
    RunRequest,
    TableRequest,
    column_name,
)
from report_runner.sources.query_types import (
    Ingoing,
    Outgoing,
    bound_value,
    ingoing,
    outgoing,
)

MEMORY_LIMIT = 512 * MIB  # of the process, and of a result
_OWN_MEMORY = 96 * MIB  # of Python and DuckDB's code in the process
_ANSWER_LIMIT = 64 * MIB  # of one batch of rows
_LEAST_MEMORY = 32 * MIB
_LOAD_SECONDS = 600.0
_ROWS = 10_000
_MESSAGE_LIMIT = 600
_WORD = re.compile(r"\w+")
_LINE = re.compile(r"\s*LINE (\d+):.*", re.DOTALL)
_OUT_OF_MEMORY = ("OutOfMemoryException", "MemoryError")
_MEMORY_REMEDY = "raise spec.resources.limits.memory, or narrow the query"
_REMEDY = "a query has no files, network, extensions or settings: read from the sources before it"


def fetch(name: str, source: QuerySource, context: SourceContext) -> Fetched:
    """Run the query and read its rows. Raises RunError."""
    field = f"spec.report.sources[{name}].query"
    sql, parameters = _statement(source, context, field)
    zone = context.definition.time_zone
    with _Worker(field, _later_sources(name, context)) as worker:
        worker.open(zone)
        columns = [
            column
            for table_name in _named_tables(source.sql, context.tables)
            for column in _load(worker, table_name, context.tables[table_name])
        ]
        worker.deadline = time.monotonic() + parse_duration(source.timeout).total_seconds()
        try:
            table = _result(worker, source, sql, parameters, ZoneInfo(zone))
        except RunError as error:
            if time.monotonic() < worker.deadline:
                raise
            raise RunError(
                Reason.TIMEOUT,
                f"{field} was stopped after {field}.timeout ({source.timeout}): make it faster, or "
                "raise that",
            ) from error
    return Fetched(table, _warnings(field, table, columns))


def _statement(
    source: QuerySource, context: SourceContext, field: str
) -> tuple[str, dict[str, Any]]:
    """The text for DuckDB, and the values of its placeholders."""
    known = context.parameters()
    problem = query_problem(source.sql, context.definition.report.parameters)
    sql = ""
    if problem is None:
        try:
            sql = rewritten(without_end(source.sql), lambda name: f"${name}")
        except ValueError as error:
            problem = str(error)
    if problem is not None:
        raise RunError(Reason.CONFIGURATION_ERROR, f"{field}.sql {problem}")
    parameters = {}
    for name in placeholder_names(source.sql):
        try:
            parameters[name] = bound_value(known[name])
        except ValueError as error:
            raise RunError(
                Reason.CONFIGURATION_ERROR, f"spec.report.parameters.{name} {error}"
            ) from None
    return sql, parameters


def _named_tables(sql: str, tables: Mapping[str, Table]) -> list[str]:
    words = {word.lower() for word in _WORD.findall(sql)}
    return [name for name in tables if name in words]


def _later_sources(name: str, context: SourceContext) -> list[str]:
    return [
        source.name
        for source in context.definition.report.sources
        if source.name not in context.tables and source.name != name
    ]


def _load(worker: _Worker, name: str, table: Table) -> list[Ingoing]:
    """Give a table to the process; its columns."""
    if not table.columns:
        raise RunError(
            Reason.CONFIGURATION_ERROR,
            f"spec.report.sources[{name}]: has neither rows nor columns, so that a query cannot "
            "read it; name its columns",
        )
    lower = [column.lower() for column in table.columns]
    twice = sorted({column for column in table.columns if lower.count(column.lower()) > 1})
    if twice:
        raise RunError(
            Reason.CONFIGURATION_ERROR,
            f"spec.report.sources[{name}]: the columns {', '.join(twice)} are one to DuckDB, which "
            "does not tell upper from lower case; rename one of them",
        )
    columns = [ingoing(name, table, number) for number in range(len(table.columns))]
    worker.ask(TableRequest(name, [(column.name, column.type) for column in columns]))
    rows = iter(table.rows)
    while batch := list(islice(rows, _ROWS)):
        worker.load(
            name,
            RowsRequest(
                [
                    [None if row[n] is None else column.convert(row[n]) for row in batch]
                    for n, column in enumerate(columns)
                ]
            ),
        )
    return columns


def _result(
    worker: _Worker, source: QuerySource, sql: str, parameters: Mapping[str, Any], zone: ZoneInfo
) -> Table:
    described = worker.ask(DescribeRequest(sql, parameters))["columns"]
    names = tuple(str(name) for name, _ in described)
    columns = _columns(worker.field, described, zone)
    limit = source.max_rows + 1
    worker.ask(RunRequest(sql, parameters, [column.select for column in columns], limit))
    rows: list[tuple[Any, ...]] = []
    while batch := worker.ask(NextRequest())["rows"]:
        for row in batch:
            values = zip(names, columns, row, strict=True)
            rows.append(tuple(_value(worker.field, *value) for value in values))
    if len(rows) > source.max_rows:
        raise RunError(
            Reason.CONFIGURATION_ERROR,
            f"{worker.field}: the result has more than maxRows ({source.max_rows}) rows; narrow "
            "the query or raise maxRows",
        )
    return Table(names, rows, tuple(column.type for column in columns))


def _columns(field: str, described: list[list[str]], zone: ZoneInfo) -> list[Outgoing]:
    names = [name for name, _ in described]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise RunError(
            Reason.CONFIGURATION_ERROR,
            f"{field}.sql: the result has several columns {', '.join(twice)}; give each a name of "
            "its own with AS",
        )
    found = []
    for number, (name, type_) in enumerate(described):
        try:
            found.append(outgoing(column_name(number), type_, zone))
        except ValueError as error:
            raise RunError(
                Reason.CONFIGURATION_ERROR, f"{field}.sql: column {name} {error}"
            ) from None
    return found


def _value(field: str, name: str, column: Outgoing, value: Any) -> Any:
    if value is None:
        return None
    try:
        return column.convert(value)
    except ValueError as error:
        raise RunError(Reason.CONFIGURATION_ERROR, f"{field}.sql: column {name}: {error}") from None


def _warnings(field: str, table: Table, columns: Sequence[Ingoing]) -> tuple[str, ...]:
    """What became binary floating point though no source has any: a quotient of decimals, most
    often.
    """
    if any(column.type in ("FLOAT", "DOUBLE") for column in columns):
        return ()
    floats = [
        name
        for name, type_ in zip(table.columns, table.types, strict=True)
        if type_.name in ("float4", "float8")
    ]
    return tuple(
        f"{field}.sql: column {name} is floating point (DuckDB divides and averages decimals that "
        f"way): write CAST(... AS DECIMAL(18, 6)) where its digits matter"
        for name in floats
    )


class _Worker:
    """The process; see sources.query_worker."""

    def __init__(self, field: str, later: Sequence[str]) -> None:
        self.field = field
        self.deadline = time.monotonic() + _LOAD_SECONDS
        self._later = later  # sources that come after this one
        self._memory = share_of_memory(MEMORY_LIMIT, 0.5)
        self._left = self._memory  # bytes of the result
        # Nothing of this process's environment, where other software may keep what is secret.
        kept = {key: os.environ[key] for key in ("PATH", "PYTHONPATH") if key in os.environ}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "report_runner.sources.query_worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**kept, "TZ": "UTC"},
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        workers.stop(self._process)

    def open(self, zone: str) -> None:
        memory = max(self._memory - _OWN_MEMORY, _LEAST_MEMORY)
        answer = self._answer(OpenRequest(zone, memory))
        if "error" in answer:
            raise RunError(
                Reason.CONFIGURATION_ERROR,
                f"spec.timeZone: DuckDB cannot compute in the zone {zone}; write another name of "
                f"the zone ({_one_line(answer['error'])})",
            )

    def load(self, name: str, rows: RowsRequest) -> None:
        """Give rows of the source `name`. Raises RunError."""
        answer = self._answer(rows)
        if "error" not in answer:
            return
        if answer["kind"] in _OUT_OF_MEMORY:
            raise self._out_of_memory()
        raise RunError(
            Reason.CONFIGURATION_ERROR,
            f"spec.report.sources[{name}]: DuckDB cannot hold a value: "
            f"{_one_line(answer['error'])}; cast the column to text in the query of that source",
        )

    def ask(self, request: Request) -> dict[str, Any]:
        """Have a request done. Raises RunError."""
        answer = self._answer(request)
        if "error" in answer:
            raise self._error(answer["kind"], answer["error"])
        return answer

    def _answer(self, request: Request) -> dict[str, Any]:
        assert self._process.stdin is not None  # noqa: S101 - it is a pipe
        assert self._process.stdout is not None  # noqa: S101 - it is a pipe
        try:
            pickle.dump(request, self._process.stdin)
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # the process has ended: its answer is missing
        line = read_bounded(
            self._process.pid,
            self._process.stdout.fileno(),
            SandboxLimits(
                self.deadline - time.monotonic(), self._memory, min(_ANSWER_LIMIT, self._left)
            ),
            self.field,
            until=lambda received: received.endswith(b"\n"),
        )
        self._left -= len(line)
        if not line.endswith(b"\n"):
            raise RunError(
                Reason.RESOURCE_EXHAUSTED,
                f"{self.field}: its process was killed, most likely for want of memory; "
                f"{_MEMORY_REMEDY}",
            )
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _out_of_memory(self) -> RunError:
        return RunError(
            Reason.RESOURCE_EXHAUSTED,
            f"{self.field}: needs more than the {self._memory // MIB} MiB of memory that a query "
            f"may have here; {_MEMORY_REMEDY}",
        )

    def _error(self, kind: str, text: str) -> RunError:
        if kind in _OUT_OF_MEMORY:
            return self._out_of_memory()
        line = _LINE.search(text)
        # Before the author's text stands a line of our own.
        where = f" line {max(int(line[1]) - 1, 1)}:" if line else ""
        said = _one_line(_LINE.sub("", text))
        remedy = ""
        if kind == "Statement":
            remedy = "; write one SELECT, and nothing else"
        elif kind == "PermissionException" or "configuration has been locked" in text:
            remedy = f"; {_REMEDY}"
        elif kind == "CatalogException":
            missing = next((name for name in self._later if f"name {name} " in text), None)
            remedy = f"; {_REMEDY}"
            if missing:
                remedy = f"; the source {missing} comes later: put it before this one"
        return RunError(
            Reason.CONFIGURATION_ERROR, f"{self.field}.sql{where or ':'} {said}{remedy}"
        )


def _one_line(text: str) -> str:
    return " ".join(text.split())[:_MESSAGE_LIMIT]
