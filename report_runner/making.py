"""Making the report of a slot: its rows, what is judged of them, its files and its manifest."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from report_runner import manifest as manifests
from report_runner import storage
from report_runner.baseline import is_begun
from report_runner.contract.result import OutputFile
from report_runner.inputs import about, email_subject, render_input
from report_runner.judge import Judgement, judge
from report_runner.manifest import Input, Manifest
from report_runner.models import RunError
from report_runner.note import write_note
from report_runner.progress import RunProgress
from report_runner.render.documents import render
from report_runner.sources import Cache, Fetched, SourceContext, fetch_all
from report_runner.storage import OutputPaths
from report_runner.waiting import ask_for_data, unanswered

logger = logging.getLogger(__name__)


def usable(known: Manifest, digest: str, output_paths: OutputPaths) -> bool:
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


def make(
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
    # From here on a source that was only waited for is not there.
    definition = definition.model_copy(update={"report": definition.report.reported()})
    context = replace(context, definition=definition)
    cache = Cache(output_paths.root, clock())
    fetched = fetch_all(context, cache)
    progress.cacheable = sum(source.cache is not None for source in definition.report.sources)
    progress.cached = sum(found.cached_at is not None for found in fetched.values())
    for name, found in fetched.items():
        inputs[name] = _input(found)
        progress.rows[name] = len(found.table.rows)
    progress.enter("checks")
    tables = {name: found.table for name, found in fetched.items()}
    overrides = progress.overrides
    try:
        judgement = judge(
            definition, run, tables, output_paths, clock(),
            begun=begun, overridden=bool(overrides), not_ready=not_ready,
        )  # fmt: skip
    except RunError:
        cache.forget(context)
        raise
    progress.enter("render")
    warnings = [*([not_ready] if not_ready else []), *judgement.warnings]
    data = render_input(definition, run, fetched, clock(), warnings)
    # Before the pages: a mail that cannot be sent is no reason to make them.
    subject = email_subject(definition, data)
    with tempfile.TemporaryDirectory(prefix="report-") as scratch:
        documents = render(data, definition.report.formats, Path(scratch))
        progress.enter("store")
        # Before the data: nobody finds them without it.
        write_note(output_paths, about(data), data.generated_at, warnings)
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
        calendar=definition.calendar.described() if definition.calendar else None,
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


def _input(found: Fetched) -> Input:
    for warning in found.warnings:
        logger.warning("%s", warning)
    return Input(
        rows=len(found.table.rows),
        seconds=round(found.seconds, 3),
        cached_at=found.cached_at,
        warnings=list(found.warnings),
    )
