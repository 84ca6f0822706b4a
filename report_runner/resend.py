"""A run that sends its report again: on request, to recipients who have it already.

What was asked for is written into the manifest before anything else is done. So a further attempt,
after a crash or a failure, goes on with it: the files of before are made anew and never sent again.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime

from report_runner.contract.definition import Definition
from report_runner.contract.reasons import Reason
from report_runner.contract.resend import Resend
from report_runner.delivery.ledger import (
    LedgerEntry,
    LedgerState,
    same_target,
    target_key,
    target_of,
)
from report_runner.manifest import RESENDS_KEPT, Manifest, Resent
from report_runner.models import RunError

NOBODYS_DEFINITION = ""  # the digest of none: the files are of no further use


def check_recipients(definition: Definition, resend: Resend | None) -> None:
    """Raises RunError(ConfigurationError) where somebody is named who does not get the report."""
    keys = _targets(definition)
    unknown = [
        name
        for name in (resend.names if resend is not None else ())
        if not any(_is_named(key, (name,)) for key in keys)
    ]
    if unknown:
        raise RunError(
            Reason.CONFIGURATION_ERROR,
            f"it is to be sent again to {', '.join(unknown)}, who is no recipient of "
            "spec.delivery: nobody was sent anything; name recipients as they are written there",
        )


def begin(
    known: Manifest, definition: Definition, resend: Resend, run_id: str, now: datetime
) -> Manifest:
    """The manifest in which the request is noted; unchanged where this run has done that."""
    # A run that made the files without being asked may have the same id: where nothing is known of
    # a slot's attempts, they are counted from one again.
    noted = {earlier.run_id for earlier in known.resends}
    if run_id in noted or (known.resend and run_id == known.run_id):
        return known
    wanted = [
        key for key in _targets(definition) if resend.to_everybody or _is_named(key, resend.names)
    ]
    resent = Resent(run_id=run_id, at=now, to=resend.text)
    return known.model_copy(
        update={
            "definition": NOBODYS_DEFINITION,
            "resends": [*known.resends, resent][-RESENDS_KEPT:],
            "deliveries": _marked(known.deliveries, wanted, run_id),
        }
    )


def _marked(
    deliveries: Mapping[str, LedgerEntry], wanted: Collection[str], run_id: str
) -> dict[str, LedgerEntry]:
    places = {target_of(one) for one in wanted}
    return {
        key: entry.model_copy(update={"again_by": run_id})
        if entry.state is LedgerState.SENT and target_of(key) in places
        else entry
        for key, entry in deliveries.items()
    }


def _targets(definition: Definition) -> list[str]:
    """The keys of all recipients in the ledger."""
    return [
        target_key(channel, target)
        for channel, spec in definition.delivery.channels().items()
        for target in spec.targets()
    ]


def _is_named(key: str, names: Collection[str]) -> bool:
    return any(same_target(key, name) for name in names)
