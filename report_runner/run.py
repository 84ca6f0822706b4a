"""One run, stage by stage: definition, sources, render, store, deliver, prune."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime

from report_runner import manifest as manifests
from report_runner import resend, storage
from report_runner.contract.model import parse_duration
from report_runner.contract.result import DeliveryStatus, Outcome, RunResult
from report_runner.contract.words import counted
from report_runner.environment import (
    Paths,
    read_definition,
    read_egress,
    read_overrides,
    read_stamps,
)
from report_runner.inputs import about, warnings_of
from report_runner.making import make, usable
from report_runner.models import RunSkipped
from report_runner.mounted import Secrets
from report_runner.note import write_note
from report_runner.parameters import with_parameters
from report_runner.progress import RunProgress
from report_runner.retention import prune
from report_runner.sending import deliver
from report_runner.sources import SourceContext

logger = logging.getLogger(__name__)


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
        if known is None or not usable(known, digest, output_paths):
            known = make(context, output_paths, digest, known, progress, clock)
        else:
            logger.info("the files of an earlier attempt are used as they are")
            known = known.model_copy(update={"used_at": clock()})
            manifests.save(output_paths, known)
            progress.rows = {name: entry.rows for name, entry in known.inputs.items()}
        progress.warnings = warnings_of(known)
        progress.pages, progress.outputs = known.pages, known.outputs
        progress.manifest = output_paths.relative(output_paths.file(storage.MANIFEST_SUFFIX))
        note = write_note(output_paths, about(known), known.generated_at, progress.warnings)
        entries = dict(known.deliveries)
        if channels:
            progress.enter("deliver")
            deliver(context, output_paths, known, note, entries, progress, clock)
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
