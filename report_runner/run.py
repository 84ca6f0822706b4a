"""One run, stage by stage: definition, sources, render, store, deliver, prune."""

from __future__ import annotations

import hashlib
import logging
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from report_runner import manifest as manifests
from report_runner import storage
from report_runner.contract.definition import Definition
from report_runner.contract.delivery import EmailDelivery
from report_runner.contract.model import parse_duration
from report_runner.contract.numbers import exact
from report_runner.contract.reasons import Reason
from report_runner.contract.report import Format
from report_runner.contract.result import (
    DeliveryResult,
    DeliveryStatus,
    Outcome,
    OutputFile,
    RunResult,
)
from report_runner.environment import Paths, RunStamps, read_definition, read_stamps
from report_runner.manifest import Input, Manifest
from report_runner.models import RenderInput, RunError
from report_runner.mounted import Secrets
from report_runner.render.documents import builtin_template, mail_body, render, render_text
from report_runner.sources import Fetched, SourceContext, fetch_all

logger = logging.getLogger(__name__)

_UNDELIVERED = {
    DeliveryStatus.FAILED: "did not get it",
    DeliveryStatus.UNCERTAIN: "may or may not have it",
}


@dataclass(slots=True)
class RunProgress:
    """What is known so far: a run that ends in any stage can still say how far it came."""

    started: float = field(default_factory=time.monotonic)
    stage: str = "definition"
    volume: Path | None = None
    run: RunStamps | None = None
    rows: dict[str, int] = field(default_factory=dict)
    pages: int | None = None
    outputs: list[OutputFile] = field(default_factory=list)
    deliveries: list[DeliveryResult] = field(default_factory=list)
    manifest: str | None = None

    def enter(self, stage: str) -> None:
        """The next stage begins."""
        self.stage = stage
        logger.info("stage %s", stage)

    def result(self, outcome: Outcome, reason: Reason | None, message: str) -> RunResult:
        """The account of the run as it stands."""
        return RunResult(
            outcome=outcome,
            reason=reason,
            message=message,
            slot=self.run.slot if self.run else None,
            report_date=self.run.report_date if self.run else None,
            rows=self.rows,
            pages=self.pages,
            duration_seconds=round(time.monotonic() - self.started, 3),
            outputs=self.outputs,
            deliveries=self.deliveries,
            manifest=self.manifest,
            storage_used_percent=storage.used_percent(self.volume) if self.volume else None,
        )


def make_report(
    paths: Paths,
    environment: dict[str, str],
    secrets: Secrets,
    progress: RunProgress,
    clock: Callable[[], datetime],
) -> RunResult:
    """Make, store and deliver the report. Raises RunError."""
    progress.volume = paths.output
    definition = read_definition(paths.definition, environment)
    run = progress.run = read_stamps(environment)
    if definition.delivery.email is not None:
        secrets.redact.keep(definition.delivery.email.to)
    place = storage.output_paths(
        paths.output, definition.namespace, definition.name, run.slot, run.report_date
    )
    storage.prepare(place)
    digest = hashlib.sha256(definition.model_dump_json().encode()).hexdigest()
    with manifests.slot_lock(place):
        storage.remove_stale(place)
        known = manifests.load(place)
        if known is None or not _usable(known, digest, place):
            known = _make(definition, secrets, run, place, digest, known, progress, clock)
        else:
            logger.info("the files of an earlier attempt are used as they are")
            progress.rows = {name: entry.rows for name, entry in known.inputs.items()}
        progress.pages, progress.outputs = known.pages, known.outputs
        progress.manifest = place.relative(place.file(storage.MANIFEST_SUFFIX))
        if definition.delivery.email is not None:
            _deliver(
                definition, definition.delivery.email, secrets, run, place, known, progress, clock
            )
    progress.enter("prune")
    kept_since = clock() - parse_duration(definition.output.retention)
    oldest = kept_since.astimezone(ZoneInfo(definition.time_zone)).date()
    removed = storage.prune(paths.output, definition.namespace, definition.name, oldest, keep=place)
    logger.info("removed %d files older than %s", removed, oldest)
    return progress.result(Outcome.SUCCEEDED, None, _summary(progress))


def _usable(known: Manifest, digest: str, place: storage.OutputPaths) -> bool:
    """Whether an earlier attempt's files are this definition's, whole and unchanged."""
    return known.definition == digest and all(
        (place.root / output.path).is_file()
        and storage.sha256(place.root / output.path) == output.sha256
        for output in known.outputs
    )


def _make(
    definition: Definition,
    secrets: Secrets,
    run: RunStamps,
    place: storage.OutputPaths,
    digest: str,
    earlier: Manifest | None,
    progress: RunProgress,
    clock: Callable[[], datetime],
) -> Manifest:
    progress.enter("sources")
    inputs: dict[str, Input] = {}
    before = time.monotonic()
    fetched = fetch_all(SourceContext(definition, run, secrets))
    for name, found in fetched.items():
        inputs[name] = _input(found, time.monotonic() - before)
        progress.rows[name] = len(found.table.rows)
    if not any(progress.rows.values()) and not definition.report.allow_empty:
        raise RunError(
            Reason.EMPTY_REPORT,
            "no source has a row; set spec.report.allowEmpty to true where that is no fault",
        )
    progress.enter("render")
    data = render_input(definition, run, fetched, clock())
    with tempfile.TemporaryDirectory(prefix="report-") as scratch:
        documents = render(data, definition.report.formats, Path(scratch))
        progress.enter("store")
        outputs = []
        for document in documents:
            target = storage.store_file(place, document.path, f".{document.format.value}")
            outputs.append(
                OutputFile(
                    path=place.relative(target),
                    format=document.format,
                    bytes=target.stat().st_size,
                    sha256=storage.sha256(target),
                )
            )
            progress.pages = document.pages or progress.pages
    made = Manifest(
        namespace=definition.namespace,
        name=definition.name,
        slot=run.slot,
        report_date=run.report_date,
        run_id=run.run_id,
        attempt=run.attempt,
        definition=digest,
        generated_at=data.generated_at,
        pages=progress.pages,
        inputs=inputs,
        outputs=outputs,
        # Who got an earlier version of this slot does not get another by itself.
        deliveries=dict(earlier.deliveries) if earlier else {},
    )
    manifests.save(place, made)
    return made


def render_input(
    definition: Definition, run: RunStamps, fetched: dict[str, Fetched], generated_at: datetime
) -> RenderInput:
    """What the document is made of."""
    template = definition.report.template
    return RenderInput(
        title=definition.report.title,
        report_type=definition.report_type,
        namespace=definition.namespace,
        name=definition.name,
        slot=run.slot,
        report_date=run.report_date,
        time_zone=definition.time_zone,
        generated_at=generated_at,
        run_id=run.run_id,
        parameters=exact(definition.report.parameters),
        tables={name: found.table for name, found in fetched.items()},
        charts=tuple(definition.report.charts),
        template=builtin_template(template.builtin)
        if template.builtin
        else definition.template_text or "",
    )


def _input(found: Fetched, seconds: float) -> Input:
    for warning in found.warnings:
        logger.warning("%s", warning)
    return Input(
        rows=len(found.table.rows), seconds=round(seconds, 3), warnings=list(found.warnings)
    )


def _deliver(
    definition: Definition,
    email: EmailDelivery,
    secrets: Secrets,
    run: RunStamps,
    place: storage.OutputPaths,
    known: Manifest,
    progress: RunProgress,
    clock: Callable[[], datetime],
) -> None:
    # Only where mail is sent: a fresh pod pays for every import.
    from report_runner.delivery.mail import EmailSender, read_server
    from report_runner.delivery.message import Attachment, EmailContent

    progress.enter("deliver")
    data = render_input(definition, run, {}, known.generated_at)
    text, html = mail_body(data)
    server = read_server(email, secrets)
    letter = EmailContent(
        sender=server.sender,
        subject=render_text(email.subject, data),
        text=text,
        html=html,
        schedule_uid=definition.uid,
        schedule=f"{definition.namespace}/{definition.name}",
        slot=run.slot,
        run_id=run.run_id,
        attachments=[
            Attachment(
                place.root / output.path,
                _attachment_name(definition, run, output.format),
                output.format,
            )
            for output in known.outputs
            if output.format in email.attach
        ],
    )
    ledger = dict(known.deliveries)

    def save() -> None:
        manifests.save(place, known.model_copy(update={"deliveries": ledger}))

    progress.deliveries = EmailSender(server, secrets, letter, ledger, save, clock).deliver(
        email.to
    )
    problems = [
        f"{len(items)} of {len(progress.deliveries)} recipients {what}: "
        + "; ".join(f"{item.recipient}: {item.error}" for item in items[:5])
        for status, what in _UNDELIVERED.items()
        if (items := [item for item in progress.deliveries if item.status is status])
    ]
    if problems:
        raise RunError(Reason.DELIVERY_FAILED, ". ".join(problems))


def _attachment_name(definition: Definition, run: RunStamps, format_: Format) -> str:
    return f"{definition.name[:100]}-{run.report_date}.{format_.value}"


def _summary(progress: RunProgress) -> str:
    rows = sum(progress.rows.values())
    parts = [f"{rows} rows"]
    if progress.pages:
        parts.append(f"{progress.pages} pages")
    sent = sum(item.status is DeliveryStatus.SENT for item in progress.deliveries)
    already = sum(item.status is DeliveryStatus.ALREADY_SENT for item in progress.deliveries)
    if progress.deliveries:
        parts.append(f"sent to {sent} recipients" + (f", {already} had it" if already else ""))
    return ", ".join(parts)
