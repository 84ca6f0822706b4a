"""`report-generator render DIR`: the same report on a laptop, with sample data."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from report_runner.contract.definition import Definition, Output
from report_runner.contract.delivery import Delivery
from report_runner.contract.reasons import EXIT_CODES, EXIT_OK
from report_runner.contract.report import Report
from report_runner.delivery.message import email_bodies
from report_runner.environment import RunStamps
from report_runner.inputs import email_subject, render_input
from report_runner.models import RunError
from report_runner.mounted import Secrets
from report_runner.parameters import with_parameters
from report_runner.preview import schema
from report_runner.preview.conditions import judged
from report_runner.preview.documents import YamlDocument, read_documents, wrong
from report_runner.preview.samples import has_samples, sample_table
from report_runner.preview.templates import TemplateText, read_template
from report_runner.render.documents import render
from report_runner.sources import SOURCES, Fetched, SourceContext

KIND = "ReportSchedule"


@dataclass(frozen=True, slots=True)
class _Manifest:
    document: YamlDocument
    siblings: list[YamlDocument]  # every object in the directory

    @property
    def path(self) -> Path:
        return self.document.path

    @property
    def body(self) -> dict[str, Any]:
        body: dict[str, Any] = self.document.body
        return body

    def config_map(self, name: str) -> dict[str, Any] | None:
        """The ConfigMap of this name beside the manifest."""
        for one in self.siblings:
            meta = one.body.get("metadata")
            named = isinstance(meta, dict) and meta.get("name") == name
            if named and one.body.get("kind") == "ConfigMap":
                return dict(one.body)
        return None

    def placed(self, field: str, message: str) -> str:
        return f"{self.document.place(field)} {field}: {message}"


def preview_report(directory: Path, manifest: Path | None, out: Path, slot: datetime) -> int:
    """Render the report of a manifest; prints the files or what is wrong. The exit code."""
    found = template = None
    try:
        found = _find(directory, manifest)
        definition, template = _definition(found, directory)
        _render(definition, directory, out, slot)
    except RunError as error:
        message = error.message if found is None else _placed(error.message, found, template)
        print(f"{error.reason.value}: {message}", file=sys.stderr)
        return EXIT_CODES[error.reason]
    return EXIT_OK


def _render(definition: Definition, directory: Path, out: Path, slot: datetime) -> None:
    zone = ZoneInfo(definition.time_zone)
    run = RunStamps(slot, slot.astimezone(zone).date(), "preview", 1, "")
    definition = with_parameters(definition, run)
    definition = definition.model_copy(update={"report": definition.report.reported()})
    fetched = _fetch(definition, directory, run)
    now = datetime.now(UTC).replace(microsecond=0)
    tables = {name: found.table for name, found in fetched.items()}
    lines, warnings = judged(definition, run, tables, now)
    data = render_input(definition, run, fetched, now, warnings)
    # First: a mail without a subject is no reason to wait for the pages.
    subject = email_subject(definition, data)
    out.mkdir(parents=True, exist_ok=True)
    stem = f"{definition.name}-{run.report_date}"
    for document in render(data, definition.report.formats, out):
        target = out / f"{stem}{document.suffix}"
        document.path.replace(target)
        count = document.pages
        pages = f" ({count} page{'s' if count > 1 else ''})" if count else ""
        print(f"{target}{pages}")
        for note in document.notes:
            print(f"  {note}")
    for line in lines:
        print(line)
    email = definition.delivery.email
    if email is not None:
        text, html = email_bodies(data)
        body = out / f"{stem}.mail.html"
        body.write_text(html, encoding="utf-8")
        print(body)
        for name, mailboxes in (
            ("to", email.to),
            ("cc", email.cc),
            ("bcc", email.bcc),
            ("replyTo", [email.reply_to] if email.reply_to else []),
        ):
            if mailboxes:
                print(f"{name}: {', '.join(mailboxes)}")
        print(f"subject: {subject}")
        print("".join(f"  {line}\n" for line in text.splitlines()), end="")


def _fetch(definition: Definition, directory: Path, run: RunStamps) -> dict[str, Fetched]:
    """Sample rows; a query without some is run over those of the sources before it."""
    fetched: dict[str, Fetched] = {}
    for source in definition.report.sources:
        if source.query is None or has_samples(source, directory):
            fetched[source.name] = Fetched(sample_table(source, directory, definition.time_zone))
            continue
        tables = {name: found.table for name, found in fetched.items()}
        # There are no Secrets on a laptop, and a query has none.
        context = SourceContext(definition, run, Secrets(directory / "no-secrets"), tables=tables)
        found = SOURCES["query"]().fetch(source.name, source.query, context)
        fetched[source.name] = found
        for warning in found.warnings:
            print(f"  {warning}")
    return fetched


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
        names = ", ".join(document.place("kind") for document in schedules)
        once = len({document.path for document in schedules}) == len(schedules)
        split = "" if once else "write each into a file of its own, and "
        raise wrong(f"several {KIND}s ({names}): {split}name one with --manifest")
    return _Manifest(schedules[0], found)


def problems(body: dict[str, Any], now: datetime) -> list[tuple[str, str]]:
    """Field and message of what API server and operator refuse of a ReportSchedule."""
    # The one place where the runner asks the operator: its verdict is what is previewed.
    from report_operator.crd.verdict import spec_problems

    found = list(schema.problems(body))
    if not isinstance(body.get("spec"), dict):
        return found
    # The schema's own words are the clearer ones, and have the place to the letter.
    told = [f"{field}.{message.removesuffix(' is missing')}" for field, message in found]
    known = {*(field for field, _ in found), *told}
    for field, message in spec_problems(body["spec"], now):
        if not any(place == field or place.startswith(f"{field}[") for place in known):
            found.append((field, message))
    return found


def _definition(found: _Manifest, directory: Path) -> tuple[Definition, TemplateText | None]:
    from report_operator.crd.verdict import calendar_of, definition_problem

    refused = problems(found.body, datetime.now(UTC))
    if refused:
        raise wrong("\n".join(found.placed(field, message) for field, message in refused[:10]))
    spec, meta = found.body["spec"], found.body["metadata"]
    report = Report.model_validate(spec["report"])
    template = _template(report, found, directory)
    calendar, wrong_dates = calendar_of(spec, found.config_map)
    if wrong_dates:
        field, _, message = wrong_dates.partition(": ")
        raise wrong(found.placed(field, message.replace("in this namespace", f"in {directory}")))
    definition = Definition(
        namespace=str(meta.get("namespace", "default")),
        name=str(meta.get("name", found.path.stem)),
        uid="preview",
        report_type=spec["reportType"],
        time_zone=spec.get("timeZone") or "Etc/UTC",
        report=report,
        delivery=Delivery.model_validate(spec.get("delivery") or {}),
        output=Output.model_validate(spec.get("output") or {}),
        template_text=template.text if template else None,
        calendar=calendar,
    )
    problem = definition_problem(
        definition.namespace, definition.name, spec, definition.template_text
    )
    if problem is not None:
        raise wrong(found.placed("spec.report", problem))
    return definition, template


def _template(report: Report, found: _Manifest, directory: Path) -> TemplateText | None:
    reference = report.template.config_map_ref
    if reference is None:
        return None
    try:
        return read_template(reference, found.siblings, directory)
    except LookupError as error:
        raise wrong(found.placed("spec.report.template.configMapRef", str(error))) from None


def _placed(message: str, found: _Manifest, template: TemplateText | None) -> str:
    """A message that begins with a field, with the place of that field before it."""
    field = re.match(r"spec\.[^\s:]+", message)
    if field is None:
        return message
    line = re.match(r"spec\.report\.template: line (\d+)\b(?! of the page)", message)
    if line and template is not None:
        return template.placed(int(line[1]), message)
    return f"{found.document.place(field[0])} {message}"
