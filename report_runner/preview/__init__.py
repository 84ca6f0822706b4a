"""`report-generator render DIR`: the same report on a laptop, with sample data."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import ValidationError

from report_runner.contract.definition import Definition, Output
from report_runner.contract.delivery import Delivery
from report_runner.contract.fields import field_path
from report_runner.contract.reasons import EXIT_CODES, EXIT_OK
from report_runner.contract.report import Report
from report_runner.contract.sql import query_problem
from report_runner.contract.templating import TEMPLATE_LIMIT, compile_problem
from report_runner.delivery.message import email_bodies
from report_runner.environment import RunStamps
from report_runner.models import RunError
from report_runner.preview import schema
from report_runner.preview.documents import YamlDocument, read_documents, read_text, wrong
from report_runner.preview.samples import sample_table
from report_runner.render.documents import render, render_text
from report_runner.run import render_input
from report_runner.sources import Fetched

KIND = "ReportSchedule"


@dataclass(frozen=True, slots=True)
class _Manifest:
    document: YamlDocument
    siblings: list[dict[str, Any]]  # every object in the directory

    @property
    def path(self) -> Path:
        return self.document.path

    @property
    def body(self) -> dict[str, Any]:
        body: dict[str, Any] = self.document.body
        return body

    def told(self, field: str, message: str) -> str:
        return f"{self.document.place(field)} {field}: {message}"


def preview_report(directory: Path, manifest: Path | None, out: Path, slot: datetime) -> int:
    """Render the report of a manifest; prints the files or what is wrong. The exit code."""
    found = None
    try:
        found = _find(directory, manifest)
        _render(found, directory, out, slot)
    except RunError as error:
        message = error.message if found is None else _placed(error.message, found, directory)
        print(f"{error.reason.value}: {message}", file=sys.stderr)
        return EXIT_CODES[error.reason]
    return EXIT_OK


def _render(found: _Manifest, directory: Path, out: Path, slot: datetime) -> None:
    definition = _definition(found, directory)
    zone = _zone(definition, found)
    run = RunStamps(slot, slot.astimezone(zone).date(), "preview", 1, "")
    fetched = {s.name: Fetched(sample_table(s, directory)) for s in definition.report.sources}
    data = render_input(definition, run, fetched, datetime.now(UTC).replace(microsecond=0))
    email = definition.delivery.email
    # First: a mail without a subject is no reason to wait for the pages.
    subject = render_text(email.subject, data) if email else None
    out.mkdir(parents=True, exist_ok=True)
    stem = f"{definition.name}-{run.report_date}"
    for document in render(data, definition.report.formats, out):
        target = out / f"{stem}.{document.format.value}"
        document.path.replace(target)
        count = document.pages
        pages = f" ({count} page{'s' if count > 1 else ''})" if count else ""
        print(f"{target}{pages}")
    if subject is not None:
        text, html = email_bodies(data)
        body = out / f"{stem}.mail.html"
        body.write_text(html, encoding="utf-8")
        print(body)
        print(f"subject: {subject}")
        print("".join(f"  {line}\n" for line in text.splitlines()), end="")


def _find(directory: Path, manifest: Path | None) -> _Manifest:
    paths = sorted([*directory.glob("*.yaml"), *directory.glob("*.yml")])
    if manifest is not None and manifest not in paths:
        paths.insert(0, manifest)
    found = [
        document
        for path in paths
        for document in read_documents(path)
        if isinstance(document.body, dict)
    ]
    schedules = [
        document
        for document in found
        if document.body.get("kind") == KIND and manifest in (None, document.path)
    ]
    if not schedules:
        kinds = sorted({str(document.body.get("kind")) for document in found})
        there = f" (there is {', '.join(kinds)})" if kinds else ""
        raise wrong(
            f"{manifest or directory}: no {KIND} there{there}; write one into a *.yaml file"
        )
    if len(schedules) > 1:
        names = ", ".join(str(document.path) for document in schedules)
        raise wrong(f"several {KIND}s ({names}): name one with --manifest")
    return _Manifest(schedules[0], [document.body for document in found])


def _definition(found: _Manifest, directory: Path) -> Definition:
    refused = list(schema.problems(found.body))
    if refused:
        raise wrong("\n".join(found.told(field, message) for field, message in refused[:10]))
    spec = found.body.get("spec") or {}
    meta = found.body.get("metadata") or {}
    parts: dict[str, Any] = {}
    for name, model in (("report", Report), ("delivery", Delivery), ("output", Output)):
        try:
            parts[name] = model.model_validate(spec.get(name) or {})
        except ValidationError as error:
            raise wrong(_told(error, f"spec.{name}", spec.get(name), found)) from error
    for source in parts["report"].sources:
        query = source.postgres.query if source.postgres else ""
        problem = query_problem(query, parts["report"].parameters)
        if problem is not None:
            field = f"spec.report.sources[{source.name}].postgres.query"
            raise wrong(found.told(field, str(problem)))
    try:
        return Definition(
            namespace=str(meta.get("namespace", "default")),
            name=str(meta.get("name", found.path.stem)),
            uid="preview",
            report_type=spec.get("reportType", "preview"),
            time_zone=spec.get("timeZone") or "Etc/UTC",
            template_text=_template(parts["report"], found, directory),
            **parts,
        )
    except ValidationError as error:
        raise wrong(_told(error, "spec", spec, found)) from error


def _told(error: ValidationError, part: str, given: Any, found: _Manifest) -> str:
    lines = []
    for item in error.errors()[:10]:
        field = field_path(part, item["loc"], given)
        if blamed := (item.get("ctx") or {}).get("path"):
            field += f".{blamed}"
        lines.append(found.told(field, str(item["msg"]).removeprefix("Value error, ")))
    return "\n".join(lines)


def _template(report: Report, found: _Manifest, directory: Path) -> str | None:
    reference = report.template.config_map_ref
    if reference is None:
        return None
    file = directory / reference.key
    if file.is_file():
        text, where = read_text(file), str(file)
    else:
        maps = {
            str((body.get("metadata") or {}).get("name")): body.get("data") or {}
            for body in found.siblings
            if body.get("kind") == "ConfigMap"
        }
        if reference.key not in maps.get(reference.name, {}):
            keys = ", ".join(f"{name}/{key}" for name, data in maps.items() for key in data)
            raise wrong(
                found.told(
                    "spec.report.template.configMapRef",
                    f"the template is neither in {file} nor in a ConfigMap {reference.name} with "
                    f"the key {reference.key} in {directory}; there is {keys or 'no ConfigMap'}",
                )
            )
        text = maps[reference.name][reference.key]
        where = f"ConfigMap {reference.name}/{reference.key}"
    size = len(text.encode())
    if size > TEMPLATE_LIMIT:
        raise wrong(
            f"{where}: the template has {size} bytes, the limit is {TEMPLATE_LIMIT}; embed smaller "
            "images, and take data from sources instead"
        )
    problem = compile_problem(text)
    if problem is not None:
        raise wrong(f"{where}: {problem}")
    return text


def _placed(message: str, found: _Manifest, directory: Path) -> str:
    """A message that begins with a field, with the place of that field before it."""
    field = re.match(r"spec\.[^\s:]+", message)
    if field is None:
        return message
    line = re.match(r"spec\.report\.template: line (\d+)", message)
    key = ((found.body["spec"]["report"].get("template") or {}).get("configMapRef") or {}).get(
        "key", "template.html.j2"
    )
    if line and (directory / str(key)).is_file():
        return f"{directory / str(key)}:{line[1]}: {message}"
    return f"{found.document.place(field[0])} {message}"


def _zone(definition: Definition, found: _Manifest) -> ZoneInfo:
    try:
        return ZoneInfo(definition.time_zone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise wrong(found.told("spec.timeZone", f"{definition.time_zone} is not a zone")) from error
