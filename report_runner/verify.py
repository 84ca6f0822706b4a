"""`report-generator verify`: whether what the runs of a slot sent is still there as it was sent.

It reads the manifest and the places, and writes nothing anywhere but its own answer: it is no
attempt of the slot, takes no lock of it, and sends nothing.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from datetime import datetime

from report_runner import manifest as manifests
from report_runner import pod_run, storage
from report_runner.contract.reasons import EXIT_CODES, EXIT_OK, Reason
from report_runner.contract.verification import (
    VERIFIED_TEXT_LIMIT,
    Verdict,
    VerificationResult,
    VerifiedDelivery,
    dump_verification,
    verification_of,
)
from report_runner.delivery.channel import DeliveryContext, SentFile
from report_runner.delivery.ledger import LedgerEntry, LedgerState
from report_runner.environment import Paths, find_paths, read_definition, read_egress, read_stamps
from report_runner.inputs import render_input
from report_runner.models import RunError
from report_runner.mounted import Secrets

logger = logging.getLogger(__name__)


def verify_in_pod() -> int:
    """Look at the deliveries of this pod's slot; returns an exit code."""
    paths = find_paths(os.environ)
    secrets = Secrets(paths.secrets)
    pod_run.prepare(secrets)
    code = EXIT_OK
    try:
        found = verify(paths, dict(os.environ), secrets, pod_run.now())
    except RunError as error:
        found, code = VerificationResult(message=error.message), EXIT_CODES[error.reason]
    except pod_run.TerminatedError:
        found, code = VerificationResult(message="stopped by SIGTERM"), pod_run.EXIT_TERMINATED
    except Exception:
        logger.exception("unexpected")
        found = VerificationResult(message="it failed unexpectedly; the pod's log has more")
        code = EXIT_CODES[Reason.INTERNAL_ERROR]
    found = _clean(found, secrets)
    logger.info("verified: %s", found.message or found.counts)
    try:
        paths.termination_log.write_text(dump_verification(found))
    except OSError as error:
        logger.warning("the answer could not be left in %s: %s", paths.termination_log, error)
        return EXIT_CODES[Reason.INTERNAL_ERROR]
    return code


def verify(
    paths: Paths, environment: Mapping[str, str], secrets: Secrets, now: datetime
) -> VerificationResult:
    """Raises RunError where nothing can be looked at."""
    definition = read_definition(paths.definition, environment)
    run = read_stamps(environment)
    for spec in definition.delivery.channels().values():
        secrets.redact.keep(spec.targets())
    slot = storage.output_paths(
        paths.output, definition.namespace, definition.name, run.slot, run.report_date
    )
    known = manifests.load(slot)
    if known is None:
        return VerificationResult(
            message="no manifest of this slot is on the report volume: nothing was made yet, or "
            "spec.output.retention has passed, so what was sent is not known here"
        )
    context = DeliveryContext(
        definition=definition,
        run=run,
        secrets=secrets,
        data=render_input(definition, run, {}, now),
        subject="",
        files=(),
        clock=lambda: now,
        egress=read_egress(environment),
    )
    # Imported only where it is needed: a fresh pod pays for every import.
    from report_runner.delivery.upload.look import look_over

    look = look_over(definition.delivery.upload, context)
    found = [_verified(key, entry, look.at) for key, entry in known.deliveries.items()]
    return verification_of(_still(found, known.deliveries, manifests.load(slot)))


def _verified(
    key: str, entry: LedgerEntry, look: Callable[[str, SentFile | None], tuple[Verdict, str]]
) -> VerifiedDelivery:
    channel, colon, target = key.partition(":")
    if not colon:
        channel, target = "email", key
    verdict, message = Verdict.NOT_VERIFIABLE, ""
    if entry.state is LedgerState.FAILED:
        message = f"it was not delivered: {entry.answer}"
    elif channel == "upload":
        verdict, message = look(target, entry.file)
    elif channel == "email":
        message = _of_mail(entry)
    else:
        message = f"this version does not know the channel {channel}"
    logger.info("%s: %s %s", key, verdict.value, message)
    return VerifiedDelivery(
        channel=channel,
        recipient=target,
        verdict=verdict,
        message=message,
        sent_at=entry.at,
        message_id=entry.message_id,
    )


def _of_mail(entry: LedgerEntry) -> str:
    """A mail cannot be read again: what the server said when it took it."""
    if entry.state is LedgerState.SENDING:
        return "the mail server's answer was not received: look for the Message-ID in its log"
    said = f": {entry.answer}" if entry.answer not in ("", "accepted") else ""
    return f"the mail server took it{said}; look for the Message-ID in its log"


def _still(
    found: list[VerifiedDelivery],
    before: Mapping[str, LedgerEntry],
    now: manifests.Manifest | None,
) -> list[VerifiedDelivery]:
    """Not of what a run has sent anew in the meantime: that may have been read half-way."""
    after = now.deliveries if now is not None else {}
    return [
        item
        if after.get(key) == entry
        else item.model_copy(
            update={
                "verdict": Verdict.NOT_VERIFIABLE,
                "message": "a run was delivering it meanwhile: ask again",
            }
        )
        for item, (key, entry) in zip(found, before.items(), strict=True)
    ]


def _clean(found: VerificationResult, secrets: Secrets) -> VerificationResult:
    def clean(text: str) -> str:
        return secrets.redact(text).encode(errors="replace").decode()[:VERIFIED_TEXT_LIMIT]

    items = [item.model_copy(update={"message": clean(item.message)}) for item in found.deliveries]
    return found.model_copy(update={"message": clean(found.message), "deliveries": items})
