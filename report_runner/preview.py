"""`report-generator render DIR`: the same report on a laptop, with sample data."""

from __future__ import annotations

import csv
import json
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import yaml
from pydantic import ValidationError

from report_runner.contract.definition import Definition, Output
from report_runner.contract.delivery import Delivery
from report_runner.contract.reasons import EXIT_CODES, EXIT_OK, Reason
from report_runner.contract.report import Report, SourceSpec
from report_runner.contract.sql import query_problem
from report_runner.contract.templating import compile_problem
from report_runner.environment import RunStamps
from report_runner.models import RunError, Table
from report_runner.render.documents import render
from report_runner.run import render_input
from report_runner.sources import Fetched, inline_table

KIND = "ReportSchedule"

# Whole or with a point; "007" and "12E4" are codes, "1e21" is what PostgreSQL writes of a float.
_WHOLE = re.compile(r"-?(0|[1-9]\d*)", re.ASCII)
_NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?(e[+-]?\d+)?", re.ASCII)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_TIME = re.compile(r"\d{4}-\d{2}-\d{2}[ T]\d{2}:\d{2}(:\d{2})?.*", re.ASCII)


@dataclass(frozen=True, slots=True)
class _Manifest:
    path: Path
    body: dict[str, Any]
    siblings: list[dict[str, Any]]  # every object in the directory


def preview_report(directory: Path, manifest: Path | None, out: Path, slot: datetime) -> int:
    """Render the report of a manifest; prints the files or what is wrong. The exit code."""
    try:
        found = _find(directory, manifest)
        definition = _definition(found, directory)
        zone = _zone(definition, found.path)
        run = RunStamps(slot, slot.astimezone(zone).date(), "preview", 1, "")
        fetched = {s.name: Fetched(_sample(s, directory)) for s in definition.report.sources}
        data = render_input(definition, run, fetched, datetime.now(UTC).replace(microsecond=0))
        out.mkdir(parents=True, exist_ok=True)
        for document in render(data, definition.report.formats, out):
            target = out / f"{definition.name}-{run.report_date}.{document.format.value}"
            document.path.replace(target)
            count = document.pages
            pages = f" ({count} page{'s' if count > 1 else ''})" if count else ""
            print(f"{target}{pages}")
    except RunError as error:
        print(f"{error.reason.value}: {error.message}", file=sys.stderr)
        return EXIT_CODES[error.reason]
    return EXIT_OK


def _wrong(message: str) -> RunError:
    return RunError(Reason.CONFIGURATION_ERROR, message)


class _AsKubectl(yaml.SafeLoader):
    """A bare `y` or `n` is a boolean in YAML 1.1, for kubectl as well, not for PyYAML."""

    bool_values = yaml.SafeLoader.bool_values | {"y": True, "n": False}


_AsKubectl.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile("^[yYnN]$"), list("yYnN"))


def _objects(path: Path) -> Iterator[dict[str, Any]]:
    try:
        for body in yaml.load_all(path.read_text(), Loader=_AsKubectl):
            if isinstance(body, dict):
                yield body
    except OSError as error:
        raise _wrong(f"{path}: {error.strerror}") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" line {mark.line + 1}:" if mark else ""
        problem = getattr(error, "problem", None) or error
        raise _wrong(f"{path}:{line} {problem}") from error


def _find(directory: Path, manifest: Path | None) -> _Manifest:
    paths = sorted([*directory.glob("*.yaml"), *directory.glob("*.yml")])
    if manifest is not None and manifest not in paths:
        paths.insert(0, manifest)
    found = [(path, body) for path in paths for body in _objects(path)]
    schedules = [
        (path, body)
        for path, body in found
        if body.get("kind") == KIND and manifest in (None, path)
    ]
    if not schedules:
        raise _wrong(f"{manifest or directory}: no {KIND} there; write one into a *.yaml file")
    if len(schedules) > 1:
        names = ", ".join(str(path) for path, _ in schedules)
        raise _wrong(f"several {KIND}s ({names}): name one with --manifest")
    path, body = schedules[0]
    return _Manifest(path, body, [body for _, body in found])


def _definition(found: _Manifest, directory: Path) -> Definition:
    spec = found.body.get("spec") or {}
    meta = found.body.get("metadata") or {}
    parts: dict[str, Any] = {}
    for name, model in (("report", Report), ("delivery", Delivery), ("output", Output)):
        try:
            parts[name] = model.model_validate(spec.get(name) or {})
        except ValidationError as error:
            raise _wrong(_told(error, f"spec.{name}", found.path)) from error
    for number, source in enumerate(parts["report"].sources):
        query = source.postgres.query if source.postgres else ""
        problem = query_problem(query, parts["report"].parameters)
        if problem is not None:
            field = f"spec.report.sources[{number}].postgres.query"
            line = _line_of(found.path, field)
            raise _wrong(f"{found.path}:{line} {field}: {problem}")
    try:
        return Definition(
            namespace=str(meta.get("namespace", "default")),
            name=str(meta.get("name", found.path.stem)),
            uid="preview",
            report_type=spec.get("reportType", "preview"),
            time_zone=spec.get("timeZone", "Etc/UTC"),
            template_text=_template(parts["report"], found, directory),
            **parts,
        )
    except ValidationError as error:
        raise _wrong(_told(error, "spec", found.path)) from error


def _told(error: ValidationError, part: str, path: Path) -> str:
    lines = []
    for item in error.errors()[:10]:
        field = part
        for step in item["loc"]:
            field += f"[{step}]" if isinstance(step, int) else f".{step}"
        if blamed := (item.get("ctx") or {}).get("path"):
            field += f".{blamed}"
        message = str(item["msg"]).removeprefix("Value error, ")
        lines.append(f"{path}:{_line_of(path, field)} {field}: {message}")
    return "\n".join(lines)


def _line_of(path: Path, field: str) -> int:
    """The line of a field in a YAML file, or of the nearest parent that is there."""
    node: Any = next(
        node
        for node in yaml.compose_all(path.read_text(), Loader=yaml.SafeLoader)
        if isinstance(node, yaml.MappingNode)
        and any((key.value, value.value) == ("kind", KIND) for key, value in node.value)
    )
    line: int = node.start_mark.line + 1
    for step in field.replace("[", ".").replace("]", "").split("."):
        child = None
        if isinstance(node, yaml.MappingNode):
            child = next(((key, value) for key, value in node.value if key.value == step), None)
        elif isinstance(node, yaml.SequenceNode) and step.isdigit():
            index = int(step)
            child = (node.value[index],) * 2 if index < len(node.value) else None
        if child is None:
            break
        line, node = child[0].start_mark.line + 1, child[1]
    return line


def _template(report: Report, found: _Manifest, directory: Path) -> str | None:
    reference = report.template.config_map_ref
    if reference is None:
        return None
    file = directory / reference.key
    if file.is_file():
        text, where = file.read_text(), str(file)
    else:
        maps = [
            body.get("data") or {}
            for body in found.siblings
            if body.get("kind") == "ConfigMap"
            and (body.get("metadata") or {}).get("name") == reference.name
        ]
        if not maps or reference.key not in maps[0]:
            raise _wrong(
                f"the template is neither in {file} nor in a ConfigMap {reference.name} with the "
                f"key {reference.key} in {directory}"
            )
        text, where = maps[0][reference.key], f"ConfigMap {reference.name}/{reference.key}"
    problem = compile_problem(text)
    if problem is not None:
        raise _wrong(f"{where}: {problem}")
    return text


def _zone(definition: Definition, path: Path) -> ZoneInfo:
    try:
        return ZoneInfo(definition.time_zone)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise _wrong(f"{path}: spec.timeZone: {definition.time_zone} is not a zone") from error


def _sample(source: SourceSpec, directory: Path) -> Table:
    """Rows of `data/NAME.csv` or `data/NAME.json`, else the source's own inline rows."""
    table = directory / "data" / f"{source.name}.csv"
    listing = directory / "data" / f"{source.name}.json"
    if table.is_file():
        return _csv_table(table)
    if listing.is_file():
        try:
            records = json.loads(listing.read_text())
        except ValueError as error:
            raise _wrong(f"{listing}: {error}") from error
        if not isinstance(records, list) or not all(isinstance(row, dict) for row in records):
            raise _wrong(f"{listing}: write a list of objects, one for each row")
        columns = tuple(dict.fromkeys(key for row in records for key in row))
        return Table(columns, [tuple(row.get(column) for column in columns) for row in records])
    if source.inline is not None:
        return inline_table(source.inline)
    raise _wrong(
        f"source {source.name} needs sample data: write {table} (first line: the columns) or "
        f"{listing}"
    )


def _csv_table(path: Path) -> Table:
    with path.open(newline="", encoding="utf-8-sig") as stream:
        reader = csv.reader(stream)
        columns = next(reader, [])
        rows = []
        for row in reader:
            if row and len(row) != len(columns):
                raise _wrong(
                    f"{path}:{reader.line_num}: {len(row)} cells, but the first line names "
                    f"{len(columns)} columns"
                )
            if row:
                rows.append(row)
    if not columns:
        raise _wrong(f"{path} is empty: its first line has to name the columns")
    typed = [_typed([row[index] for row in rows]) for index in range(len(columns))]
    return Table(tuple(columns), list(zip(*typed, strict=True)) if rows else [])


def _typed(cells: Sequence[str]) -> list[Any]:
    """A column as a database would give it: of one type, and NULL where a cell is empty."""
    present = [cell for cell in cells if cell != ""]
    readers: tuple[tuple[re.Pattern[str], Callable[[str], Any]], ...] = (
        (_WHOLE, int),
        (_NUMBER, Decimal),
        (_DATE, date.fromisoformat),
        (_TIME, datetime.fromisoformat),
    )
    for pattern, read in readers:
        if present and all(pattern.fullmatch(cell) for cell in present):
            try:
                return [None if cell == "" else read(cell) for cell in cells]
            except ValueError:
                break  # the 30th of February: a text
    return [cell or None for cell in cells]
