"""One run, stage by stage: definition, sources, render, store, deliver, prune."""

from __future__ import annotations

import hashlib
import logging
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from report_runner import manifest as manifests
from report_runner import resend, storage, tracing
from report_runner.baseline import is_begun
from report_runner.contract import traces
from report_runner.contract.definition import Definition
from report_runner.contract.model import parse_duration
from report_runner.contract.numbers import exact
from report_runner.contract.reasons import Reason
from report_runner.contract.result import (
    DeliveryResult,
    DeliveryStatus,
    Outcome,
    OutputFile,
    RunResult,
    WaitAnswer,
)
from report_runner.contract.words import counted
from report_runner.delivery import CHANNELS, DeliveryContext
from report_runner.delivery.channel import Attachment
from report_runner.delivery.ledger import Ledger, LedgerEntry, deliver_once
from report_runner.environment import (
    Paths,
    RunStamps,
    read_definition,
    read_egress,
    read_overrides,
    read_stamps,
)
from report_runner.judge import Judgement, judge
from report_runner.manifest import Input, Manifest
from report_runner.models import RenderInput, RunError, RunSkipped
from report_runner.mounted import Secrets
from report_runner.parameters import with_parameters
from report_runner.render.documents import builtin_template, render, render_text
from report_runner.render.template import SUBJECT_FIELD
from report_runner.retention import prune
from report_runner.sources import Cache, Fetched, SourceContext, fetch_all
from report_runner.storage import OutputPaths
from report_runner.waiting import ask_for_data, unanswered

logger = logging.getLogger(__name__)

_UNDELIVERED = {
    DeliveryStatus.FAILED: "did not get it",
    DeliveryStatus.UNCERTAIN: "may or may not have it",
}


@dataclass(slots=True)
class RunProgress:
    """The state of the run, for the result of a run that fails in any stage."""

    started: float = field(default_factory=time.monotonic)
    stage: str = "definition"
    volume: Path | None = None
    run: RunStamps | None = None
    asking: WaitAnswer | None = None  # while it asks whether its data are ready, and may ask again
    rows: dict[str, int] = field(default_factory=dict)
    cached: int = 0  # sources whose rows an earlier run fetched
    pages: int | None = None
    outputs: list[OutputFile] = field(default_factory=list)
    deliveries: list[DeliveryResult] = field(default_factory=list)
    manifest: str | None = None
    warnings: list[str] = field(default_factory=list)  # what a reader is told of the data
    overrides: dict[str, Any] = field(default_factory=dict)  # parameters that it was asked for with

    def enter(self, stage: str) -> None:
        self.stage = stage
        tracing.stage(stage)
        logger.info("stage %s", stage)

    def result(self, outcome: Outcome, reason: Reason | None, message: str) -> RunResult:
        """The result with the progress so far."""
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
            warnings=len(self.warnings) or None,
            storage_used_percent=storage.used_percent(self.volume) if self.volume else None,
        )


def make_report(
    paths: Paths,
    environment: dict[str, str],
    secrets: Secrets,
    progress: RunProgress,
    clock: Callable[[], datetime],
) -> RunResult:
    """Make, store and deliver the report. Raises RunError, or RunSkipped."""
    progress.enter("definition")
    progress.volume = paths.output
    definition = read_definition(paths.definition, environment)
    run = progress.run = read_stamps(environment)
    overrides = progress.overrides = read_overrides(environment)
    definition = with_parameters(definition, run, overrides)
    channels = definition.delivery.channels()
    for spec in channels.values():
        secrets.redact.keep(spec.targets())
    resend.check_recipients(definition, run.resend)
    output_paths = storage.output_paths(
        paths.output, definition.namespace, definition.name, run.slot, run.report_date
    )
    storage.prepare(output_paths)
    digest = hashlib.sha256(definition.model_dump_json().encode()).hexdigest()
    with manifests.slot_lock(output_paths), _skippable() as skips:
        storage.remove_stale(output_paths)
        known = manifests.load(output_paths)
        if known is not None and run.resend is not None:
            known = resend.begin(known, definition, run.resend, run.run_id, clock())
            manifests.save(output_paths, known)
        context = SourceContext(definition, run, secrets, read_egress(environment))
        if known is None or not _usable(known, digest, output_paths):
            known = _make(context, output_paths, digest, known, progress, clock)
        else:
            logger.info("the files of an earlier attempt are used as they are")
            known = known.model_copy(update={"used_at": clock()})
            manifests.save(output_paths, known)
            progress.rows = {name: entry.rows for name, entry in known.inputs.items()}
        progress.warnings = _warnings(known)
        progress.pages, progress.outputs = known.pages, known.outputs
        progress.manifest = output_paths.relative(output_paths.file(storage.MANIFEST_SUFFIX))
        entries = dict(known.deliveries)
        if channels:
            progress.enter("deliver")
            _deliver(context, output_paths, known, entries, progress, clock)
        if known.delivered_at is None and not overrides:
            update = {"deliveries": entries, "delivered_at": clock()}
            manifests.save(output_paths, known.model_copy(update=update))
    progress.enter("prune")
    now = clock()
    kept_since = now - parse_duration(definition.output.retention)
    removed = prune(
        paths.output, definition.namespace, definition.name, kept_since, now, keep=output_paths
    )
    logger.info("removed %d files that were made before %s", removed, kept_since)
    for skipped in skips:
        raise skipped
    return progress.result(Outcome.SUCCEEDED, None, _summary(progress))


@contextmanager
def _skippable() -> Iterator[list[RunSkipped]]:
    """Holds the RunSkipped that ended the block, if one did: old files are pruned all the same."""
    found: list[RunSkipped] = []
    try:
        yield found
    except RunSkipped as skipped:
        found.append(skipped)


def _warnings(known: Manifest) -> list[str]:
    """What a reader is told of the data of these files."""
    return [*([known.not_ready] if known.not_ready else []), *known.warnings]


def _usable(known: Manifest, digest: str, output_paths: OutputPaths) -> bool:
    """Whether an earlier attempt made its files from this definition and they are unchanged.

    What was made of data that were not ready is not: they may be there by now.
    """
    if known.not_ready is not None:
        return False
    return known.definition == digest and all(
        (output_paths.root / output.path).is_file()
        and storage.sha256(output_paths.root / output.path) == output.sha256
        for output in known.outputs
    )


def _make(
    context: SourceContext,
    output_paths: OutputPaths,
    digest: str,
    earlier: Manifest | None,
    progress: RunProgress,
    clock: Callable[[], datetime],
) -> Manifest:
    definition, run = context.definition, context.run
    progress.enter("sources")
    inputs: dict[str, Input] = {}
    progress.asking = unanswered(context, clock())
    begun = run.resend is not None or (earlier is not None and is_begun(earlier.deliveries))
    not_ready = ask_for_data(context, clock(), begun=begun)
    progress.asking = None
    fetched = fetch_all(context, Cache(output_paths.root, clock()))
    progress.cached = sum(found.cached_at is not None for found in fetched.values())
    for name, found in fetched.items():
        inputs[name] = _input(found)
        progress.rows[name] = len(found.table.rows)
    progress.enter("checks")
    tables = {name: found.table for name, found in fetched.items()}
    overrides = progress.overrides
    judgement = judge(
        definition, run, tables, output_paths, clock(),
        begun=begun, overridden=bool(overrides), not_ready=not_ready,
    )  # fmt: skip
    progress.enter("render")
    warnings = [*([not_ready] if not_ready else []), *judgement.warnings]
    data = render_input(definition, run, fetched, clock(), warnings)
    # Before the pages: a mail that cannot be sent is no reason to make them.
    subject = email_subject(definition, data)
    with tempfile.TemporaryDirectory(prefix="report-") as scratch:
        documents = render(data, definition.report.formats, Path(scratch))
        progress.enter("store")
        outputs = []
        for document in documents:
            target = storage.store_file(output_paths, document.path, document.suffix)
            outputs.append(
                OutputFile(
                    path=output_paths.relative(target),
                    format=document.format,
                    source=document.source,
                    bytes=target.stat().st_size,
                    sha256=storage.sha256(target),
                )
            )
            progress.pages = document.pages or progress.pages
            for note in document.notes:
                logger.warning("%s", note)
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
        subject=subject,
        inputs=inputs,
        outputs=outputs,
        notes=[note for document in documents for note in document.notes],
        not_ready=not_ready,
        checks=judgement.checks,
        parameters=overrides,
        **_for_later_runs(judgement, earlier, overridden=bool(overrides)),
        # A recipient of an earlier version of this slot is not sent another one by itself.
        deliveries=dict(earlier.deliveries) if earlier else {},
        resend=run.resend.text if run.resend else "",
        resends=earlier.resends if earlier else [],
    )
    manifests.save(output_paths, made)
    return made


def _for_later_runs(
    judgement: Judgement, earlier: Manifest | None, *, overridden: bool
) -> dict[str, Any]:
    """Figures and digests; those of an earlier attempt where this one has its own parameters."""
    if not overridden:
        digests = judgement.digests
        if earlier is not None and earlier.digests != digests:
            # Somebody keeps the rows of before: the next report is no repetition for him.
            kept_by = [entry for entry in earlier.deliveries.values() if entry.settled]
            digests = {} if kept_by else digests
        return {"figures": judgement.figures, "digests": digests}
    if earlier is None:
        return {}
    kept = ("figures", "digests", "delivered_at")
    return {name: getattr(earlier, name) for name in kept}


def render_input(
    definition: Definition,
    run: RunStamps,
    fetched: dict[str, Fetched],
    generated_at: datetime,
    warnings: Sequence[str] = (),
) -> RenderInput:
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
        options=definition.report.format_options,
        warnings=tuple(warnings),
        template=builtin_template(template.builtin)
        if template.builtin
        else definition.template_text or "",
    )


def email_subject(definition: Definition, data: RenderInput) -> str | None:
    """None without mail. Raises RunError where it cannot be rendered or is no header."""
    email = definition.delivery.email
    if email is None:
        return None
    # Imported only where mail is sent: a fresh pod pays for every import.
    from report_runner.delivery.message import header_value

    return header_value(render_text(email.subject, data), SUBJECT_FIELD)


def _input(found: Fetched) -> Input:
    for warning in found.warnings:
        logger.warning("%s", warning)
    return Input(
        rows=len(found.table.rows),
        seconds=round(found.seconds, 3),
        cached_at=found.cached_at,
        warnings=list(found.warnings),
    )


def _deliver(
    source_context: SourceContext,
    output_paths: OutputPaths,
    known: Manifest,
    entries: dict[str, LedgerEntry],
    progress: RunProgress,
    clock: Callable[[], datetime],
) -> None:
    """Deliver on every channel; one that fails keeps none of the others back. Raises RunError."""
    definition, run = source_context.definition, source_context.run
    data = render_input(definition, run, {}, known.generated_at, _warnings(known))
    context = DeliveryContext(
        definition=definition,
        run=run,
        secrets=source_context.secrets,
        egress=source_context.egress,
        data=data,
        # A manifest of an older version has none.
        subject=known.subject or email_subject(definition, data) or definition.report.title,
        files=[
            Attachment(
                output_paths.root / output.path,
                f"{definition.name[:100]}-{run.report_date}{output.format.suffix_of(output.source)}",
                output.format,
                output.source,
            )
            for output in known.outputs
        ],
        clock=clock,
        edition=known.edition,
        resent=frozenset(key for key, entry in entries.items() if entry.again_by),
    )

    def save() -> None:
        manifests.save(output_paths, known.model_copy(update={"deliveries": entries}))

    errors: list[RunError] = []
    for name, spec in definition.delivery.channels().items():
        try:
            with tracing.span(traces.CHANNEL, {traces.NAME: name}) as attributes:
                ledger = Ledger(name, run.run_id, entries, save, clock)
                results: list[DeliveryResult] = []
                try:
                    deliver_once(CHANNELS[name](spec, context), ledger, results)
                finally:
                    progress.deliveries += results
                    attributes |= _targets(results)
        except RunError as error:
            errors.append(error)
    problems = _undelivered(progress.deliveries)
    if len(errors) == 1 and not problems:
        raise errors[0]
    if errors or problems:
        # DeliveryFailed is retried, which is what the channels need that did not fail for good.
        reasons = {error.reason for error in errors} | {Reason.DELIVERY_FAILED for _ in problems}
        raise RunError(
            reasons.pop() if len(reasons) == 1 else Reason.DELIVERY_FAILED,
            ". ".join([*(error.message for error in errors), *problems]),
        )


def _targets(results: Sequence[DeliveryResult]) -> dict[str, traces.Value]:
    """How many targets, by status."""
    counts = Counter(item.status for item in results)
    return {f"{traces.TARGETS}.{status.value}": count for status, count in counts.items()}


def _undelivered(deliveries: Sequence[DeliveryResult]) -> list[str]:
    return [
        f"{len(items)} of {len(deliveries)} recipients {what}: "
        + "; ".join(f"{item.recipient}: {item.error}" for item in items[:5])
        for status, what in _UNDELIVERED.items()
        if (items := [item for item in deliveries if item.status is status])
    ]


def _summary(progress: RunProgress) -> str:
    rows = sum(progress.rows.values())
    parts = [f"{rows} rows"]
    if progress.cached:
        parts.append(f"{counted(progress.cached, 'source')} from the cache")
    if progress.pages:
        parts.append(f"{progress.pages} pages")
    sent = sum(item.status is DeliveryStatus.SENT for item in progress.deliveries)
    already = sum(item.status is DeliveryStatus.ALREADY_SENT for item in progress.deliveries)
    if progress.deliveries:
        parts.append(f"sent to {sent} recipients" + (f", {already} had it" if already else ""))
    if progress.overrides:
        given = ", ".join(f"{name}={value}" for name, value in progress.overrides.items())
        parts.append(f"with {given[:200]}")
    if progress.warnings:
        parts.append(counted(len(progress.warnings), "warning"))
    return ". ".join([", ".join(parts), *progress.warnings])
