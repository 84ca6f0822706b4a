"""The process in which DuckDB runs: requests pickled on standard input, one JSON line each out.

An author's SQL is hostile input for an engine in C++: it runs where there is nothing to take. The
process has no Secret in its environment, and before the query it gives up opening any file or
socket; DuckDB itself refuses files, extensions and changes of its settings.
"""

from __future__ import annotations

import json
import os
import pickle
import resource
import sys
from typing import Any

import duckdb

from report_runner.render.chart_worker import end_with_parent
from report_runner.sources.query_requests import (
    DescribeRequest,
    NextRequest,
    OpenRequest,
    Request,
    RowsRequest,
    RunRequest,
    TableRequest,
    column_name,
    quoted,
)

BATCH_CELLS = 20_000

_SETTINGS = {
    "enable_external_access": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "allow_community_extensions": "false",
    "allow_extension_repositories": "forbidden",
    "allow_persistent_secrets": "false",
    "temp_directory": "",
    "threads": "1",  # with more, a sum of floating point numbers differs from run to run
}


class _Engine:
    def __init__(self) -> None:
        self._connection = duckdb.connect(":memory:", config=dict(_SETTINGS))
        self._insert = ""
        self._size = 1

    def answer(self, request: Request) -> dict[str, Any]:
        match request:
            case OpenRequest():
                self._open(request)
            case TableRequest():
                self._create(request)
            case RowsRequest():
                self._connection.execute(self._insert, list(request.columns))
            case DescribeRequest():
                return self._describe(request)
            case RunRequest():
                self._run(request)
            case NextRequest():
                return {"rows": self._connection.fetchmany(self._size)}
        return {}

    def _open(self, request: OpenRequest) -> None:
        for setting in ("python_enable_replacements", "python_scan_all_frames"):
            self._connection.execute(f"SET {setting} = false")
        self._connection.execute(f"SET memory_limit = '{request.memory}B'")
        zone = request.zone.replace("'", "''")
        self._connection.execute(f"SET TimeZone = '{zone}'")

    def _create(self, request: TableRequest) -> None:
        columns = ", ".join(f"{quoted(name)} {type_}" for name, type_ in request.columns)
        self._connection.execute(f"CREATE TABLE {quoted(request.name)} ({columns})")
        values = ", ".join(
            f"unnest(${number}::{_carrier(type_)}[])::{type_}"
            for number, (_, type_) in enumerate(request.columns, 1)
        )
        self._insert = f"INSERT INTO {quoted(request.name)} SELECT {values}"

    def _describe(self, request: DescribeRequest) -> dict[str, Any]:
        self._close_doors()
        statements = self._connection.extract_statements(request.sql)
        if len(statements) != 1:
            return {"kind": "Statement", "error": f"there are {len(statements)} statements"}
        kind = statements[0].type.name
        # PIVOT becomes several statements inside.
        if kind not in ("SELECT", "MULTI"):
            return {"kind": "Statement", "error": f"{kind.replace('_', ' ')} is no SELECT"}
        named = statements[0].named_parameters
        if kind == "SELECT" and named != set(request.parameters):
            strange = ", ".join(sorted(named ^ set(request.parameters)))
            return {"kind": "Statement", "error": f"{strange} is no placeholder in this place"}
        described = self._connection.execute(f"DESCRIBE\n{request.sql}", dict(request.parameters))
        return {"columns": [row[:2] for row in described.fetchall()]}

    def _close_doors(self) -> None:
        self._connection.execute("SET lock_configuration = true")
        # The next descriptor would be refused: no file, no socket.
        lowest = os.dup(0)
        os.close(lowest)
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, lowest))
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))

    def _run(self, request: RunRequest) -> None:
        names = ", ".join(column_name(number) for number in range(len(request.select)))
        statement = (
            f"SELECT {', '.join(request.select)} FROM "  # noqa: S608 - it is the author's SQL
            f"(\n{request.sql}\n) AS result({names}) LIMIT {request.limit}"
        )
        self._size = max(BATCH_CELLS // len(request.select), 1)
        self._connection.execute(statement, dict(request.parameters))


def _carrier(type_: str) -> str:
    """The type in which values of a column come in."""
    return type_ if type_ in ("BOOLEAN", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT") else "VARCHAR"


def main() -> None:
    """Answer requests until standard input ends."""
    end_with_parent()
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # output of libraries must not mix with the answers
    engine = _Engine()
    while True:
        try:
            request: Request = pickle.load(sys.stdin.buffer)  # noqa: S301 - from our own parent
        except EOFError:
            return
        try:
            answer = engine.answer(request)
        except (duckdb.Error, RuntimeError, ValueError, TypeError, MemoryError) as error:
            answer = {"kind": type(error).__name__, "error": str(error)[:4000]}
        del request
        json.dump(answer, out)
        out.write("\n")
        out.flush()


if __name__ == "__main__":
    main()
