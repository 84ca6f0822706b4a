"""Stalled and Reconciling, which tools read beside Ready: is it worth waiting?

The two are as kstatus defines them (pkg/kstatus of sigs.k8s.io/cli-utils, which Helm 4, Flux and
kpt use): Stalled means that nothing happens by itself any more, Reconciling that it may; each is
present only while it is True.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from report_operator.api.v1alpha1.conditions import BackfillReason, ReadyReason
from report_operator.api.v1alpha1.status import BaseCondition

STALLED, RECONCILING = "Stalled", "Reconciling"

AT_ONCE = timedelta(0)
# What is named may be a part of another release, or on its way out of a secret store.
FOR_ANOTHER_OBJECT = timedelta(minutes=2)
# A quota that is full or a webhook that is down; a policy that refuses it does so for good.
FOR_THE_API_SERVER = timedelta(minutes=5)

# How long each reason of Ready=False counts as on its way; None: until it is over.
SCHEDULE_PATIENCE: Mapping[ReadyReason, timedelta | None] = {
    ReadyReason.INVALID_SPEC: AT_ONCE,
    ReadyReason.INVALID_SCHEDULE: AT_ONCE,
    ReadyReason.INVALID_TIME_ZONE: AT_ONCE,
    ReadyReason.CALENDAR_NOT_FOUND: FOR_ANOTHER_OBJECT,
    ReadyReason.CALENDAR_INVALID: AT_ONCE,
    ReadyReason.TEMPLATE_NOT_FOUND: FOR_ANOTHER_OBJECT,
    ReadyReason.TEMPLATE_INVALID: AT_ONCE,
    ReadyReason.TEMPLATE_TOO_LARGE: AT_ONCE,
    ReadyReason.DEFINITION_TOO_LARGE: AT_ONCE,
    ReadyReason.SECRET_NOT_FOUND: FOR_ANOTHER_OBJECT,
    ReadyReason.SECRET_NOT_ALLOWED: AT_ONCE,
    ReadyReason.TIER_NOT_ALLOWED: AT_ONCE,
    ReadyReason.PRIORITY_NOT_ALLOWED: AT_ONCE,
    ReadyReason.NAME_CONFLICT: AT_ONCE,
    ReadyReason.API_ERROR: FOR_THE_API_SERVER,
    ReadyReason.INTERNAL_ERROR: AT_ONCE,
}
BACKFILL_PATIENCE: Mapping[BackfillReason, timedelta | None] = {
    BackfillReason.INVALID_SPEC: AT_ONCE,
    BackfillReason.NO_SCHEDULE: FOR_ANOTHER_OBJECT,
    BackfillReason.SCHEDULE_NOT_READY: FOR_ANOTHER_OBJECT,
    BackfillReason.TOO_MANY_SLOTS: AT_ONCE,
    # Runs go on without history, and alerts tell of it: nothing about the object is wrong.
    BackfillReason.HISTORY_UNAVAILABLE: None,
    BackfillReason.API_ERROR: FOR_THE_API_SERVER,
    BackfillReason.INTERNAL_ERROR: AT_ONCE,
}


@dataclass(frozen=True, slots=True)
class Convergence:
    """The one of the two conditions that is True, since when, and when the clock changes it."""

    type: str
    since: datetime
    ends_at: datetime | None = None


def convergence(
    reason: str,
    patience: timedelta | None,
    previous: Sequence[BaseCondition],
    generation: int,
    now: datetime,
) -> Convergence:
    """Of an object that is Ready=False for `reason`; `previous` are the conditions so far.

    Each reason, and each edit, is waited for anew.
    """
    known = next((c for c in previous if c.type in (STALLED, RECONCILING)), None)
    same = known is not None and (known.reason, known.observed_generation) == (reason, generation)
    if known is not None and same and known.type == STALLED:
        return Convergence(STALLED, known.last_transition_time)
    since = known.last_transition_time if known is not None and same else now
    if patience is None:
        return Convergence(RECONCILING, since)
    if now - since < patience:
        return Convergence(RECONCILING, since, since + patience)
    return Convergence(STALLED, now)
