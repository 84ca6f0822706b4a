"""Sending the files of a slot on every channel."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

from report_runner import manifest as manifests
from report_runner import tracing
from report_runner.contract import traces
from report_runner.contract.reasons import Reason
from report_runner.contract.result import DeliveryResult, DeliveryStatus
from report_runner.delivery import CHANNELS, DeliveryContext
from report_runner.delivery.channel import Attachment
from report_runner.delivery.ledger import Ledger, LedgerEntry, deliver_once
from report_runner.inputs import email_subject, render_input, warnings_of
from report_runner.manifest import Manifest
from report_runner.models import RunError
from report_runner.progress import RunProgress
from report_runner.sources import SourceContext
from report_runner.storage import OutputPaths

_UNDELIVERED = {
    DeliveryStatus.FAILED: "did not get it",
    DeliveryStatus.UNCERTAIN: "may or may not have it",
}


def deliver(
    source_context: SourceContext,
    output_paths: OutputPaths,
    known: Manifest,
    note: Path | None,
    entries: dict[str, LedgerEntry],
    progress: RunProgress,
    clock: Callable[[], datetime],
) -> None:
    """Deliver on every channel; one that fails keeps none of the others back. Raises RunError."""
    definition, run = source_context.definition, source_context.run
    data = render_input(definition, run, {}, known.generated_at, warnings_of(known))
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
        note=note,
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
