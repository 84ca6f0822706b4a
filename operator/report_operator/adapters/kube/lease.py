"""One operator at a time: a Lease, held before anything is watched or written.

The client library's leader election ends with the first refused connection, so it does not
outlive a restart of the API server; this one keeps trying until the Lease would have expired.
The rules are client-go's (tools/leaderelection): a holder is judged by how long *we* have not
seen it renew, never by its clock.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from report_operator.adapters.kube.client import ApiError, Body, KubeClient
from report_operator.adapters.kube.errors import API_ERRORS
from report_operator.adapters.kube.resources import Resource
from report_operator.domain.times import format_time, parse_time

logger = logging.getLogger(__name__)

# Names the holder that is to stop: whoever comes after it is not meant.
ANNOTATION_SHUTDOWN_REQUESTED = "reports.adaf.io/shutdown-requested"
# Failures up to this instant were taken off the list of dead letters by a person.
ANNOTATION_CLEARED = "reports.adaf.io/dead-letters-cleared-through"
ANNOTATION_CLEARED_BY = "reports.adaf.io/dead-letters-cleared-by"
ANNOTATION_CLEARED_AT = "reports.adaf.io/dead-letters-cleared-at"

GIVE_BACK_TRIES = 5
WRITE_TRIES = 10
BY_LIMIT = 300  # characters of who cleared the dead letters
CLOCK_TOLERANCE = timedelta(minutes=5)  # between the clocks of nodes

LEASES = Resource("/apis/coordination.k8s.io/v1", "leases")


@dataclass(frozen=True, slots=True)
class LastClearing:
    """Up to which failure the dead letters were cleared, by whom and when, as far as is known."""

    through: datetime
    by: str = ""
    at: datetime | None = None


class LeaseLostError(Exception):
    """The Lease could not be renewed in time: another operator may hold it now."""


@dataclass(slots=True)
class Lease:
    """A candidate for the Lease. `seconds` is how long a silent holder keeps it."""

    kube: KubeClient
    namespace: str
    name: str
    identity: str
    seconds: int
    on_shutdown_request: Callable[[], None] = lambda: (
        None
    )  # called while leading, where somebody asked for it
    _held_by_other: bool = False  # when it was last read
    _seen: tuple[str, float] = ("", 0.0)  # version, and when we first saw it (monotonic)

    async def lead(self, work: Callable[[], Awaitable[None]]) -> None:
        """Wait for the Lease, run `work` while it is held, release it.

        Raises LeaseLostError, or what `work` raises.
        """
        logger.info("waiting for the lease %s/%s as %s", self.namespace, self.name, self.identity)
        while not await self._attempt():  # noqa: ASYNC110  (the Lease is elsewhere)
            await asyncio.sleep(self.seconds / 10)
        logger.info("leading")
        working = asyncio.ensure_future(work())
        renewing = asyncio.ensure_future(self._renew())
        try:
            await asyncio.wait({working, renewing}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (renewing, working):
                task.cancel()
        if working.done() and not working.cancelled():
            await self._release()
            working.result()
        else:
            how = "is held by another" if self._held_by_other else "was not renewed in time"
            raise LeaseLostError(f"the lease {self.namespace}/{self.name} {how}")

    async def _renew(self) -> None:
        """Returns when the Lease is lost."""
        held_until = time.monotonic() + self.seconds * 2 / 3
        while time.monotonic() < held_until:
            await asyncio.sleep(self.seconds / 10)
            if await self._attempt():
                held_until = time.monotonic() + self.seconds * 2 / 3
            elif self._held_by_other:
                return  # it was deleted, and a standby was first to make it anew

    async def _attempt(self) -> bool:
        try:
            async with asyncio.timeout(self.seconds / 3):
                return await self._acquire_or_renew()
        except API_ERRORS as error:
            logger.warning(
                "lease %s/%s: %s", self.namespace, self.name, str(error) or type(error).__name__
            )
            return False

    async def _acquire_or_renew(self) -> bool:
        lease = await self.kube.get(LEASES, self.namespace, self.name)
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        if lease is None:
            return await self._create(now)
        meta, spec = lease["metadata"], lease.get("spec") or {}
        holder = spec.get("holderIdentity")
        if self._seen[0] != meta["resourceVersion"]:
            self._seen = (meta["resourceVersion"], time.monotonic())
        silent = time.monotonic() - self._seen[1]
        patience = spec.get("leaseDurationSeconds", self.seconds)
        self._held_by_other = bool(holder) and holder != self.identity and silent <= patience
        if self._held_by_other:
            return False
        change: dict[str, Any] = {
            "holderIdentity": self.identity,
            "leaseDurationSeconds": self.seconds,
            "renewTime": now,
        }
        if holder != self.identity:
            change["acquireTime"] = now
            change["leaseTransitions"] = spec.get("leaseTransitions", 0) + 1
        held = await self._patch(meta["resourceVersion"], change)
        # Not before: a stop does not wait for a renewal that is under way.
        if (
            holder
            == (meta.get("annotations") or {}).get(ANNOTATION_SHUTDOWN_REQUESTED)
            == self.identity
        ):
            logger.info("asked to stop")
            self.on_shutdown_request()
        return held

    async def _create(self, now: str) -> bool:
        body: Body = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": self.name, "namespace": self.namespace},
            "spec": {
                "holderIdentity": self.identity,
                "leaseDurationSeconds": self.seconds,
                "acquireTime": now,
                "renewTime": now,
            },
        }
        return await self.kube.create(LEASES, self.namespace, body) is not None

    async def _patch(self, version: str, spec: dict[str, Any]) -> bool:
        try:
            await self.kube.patch(
                LEASES,
                self.namespace,
                self.name,
                {"metadata": {"resourceVersion": version}, "spec": spec},
            )
        except ApiError as error:
            if error.is_conflict:
                return False
            raise
        return True

    async def _release(self) -> None:
        """Lets a successor lead without waiting for the Lease to expire."""
        try:
            for _ in range(GIVE_BACK_TRIES):
                lease = await self.kube.get(LEASES, self.namespace, self.name)
                if lease is None or lease["spec"].get("holderIdentity") != self.identity:
                    return
                version = lease["metadata"]["resourceVersion"]
                if await self._patch(version, {"holderIdentity": "", "leaseDurationSeconds": 1}):
                    return
                # The server has done our last renewal meanwhile, though we did not wait for it.
        except API_ERRORS as error:
            logger.warning("the lease was not given back: %s", error)


def clearing_of(lease: Body | None, now: datetime) -> LastClearing | None:
    """The last clearing of the dead letters; None where the Lease has none.

    One in the future counts as none: it would hide failures that nobody has seen.
    """
    annotations = (lease["metadata"].get("annotations") or {}) if lease else {}
    through = _instant(annotations.get(ANNOTATION_CLEARED))
    if through is None or through > now + CLOCK_TOLERANCE:
        return None
    by = str(annotations.get(ANNOTATION_CLEARED_BY) or "")[:BY_LIMIT]
    return LastClearing(through, by, _instant(annotations.get(ANNOTATION_CLEARED_AT)))


def _instant(text: str | None) -> datetime | None:
    try:
        return parse_time(text)
    except ValueError:
        return None


def cleared_through(lease: Body | None, now: datetime) -> datetime | None:
    """The instant up to which dead letters were cleared; None where the Lease has none."""
    found = clearing_of(lease, now)
    return found.through if found is not None else None


async def read_cleared(kube: KubeClient, namespace: str, name: str) -> datetime | None:
    return cleared_through(await kube.get(LEASES, namespace, name), datetime.now(UTC))


async def write_cleared(
    kube: KubeClient, namespace: str, name: str, clearing: LastClearing
) -> LastClearing | None:
    """Store it for this operator and its successors; returns what the Lease has then.

    An earlier instant replaces no later one, which somebody else may have written. None where there
    is no Lease, or where it changes too often.
    """
    for _ in range(WRITE_TRIES):
        lease = await kube.get(LEASES, namespace, name)
        if lease is None:
            return None
        known = clearing_of(lease, datetime.now(UTC))
        if known is not None and known.through >= clearing.through:
            return known
        metadata = {
            "resourceVersion": lease["metadata"]["resourceVersion"],
            "annotations": {
                ANNOTATION_CLEARED: format_time(clearing.through),
                ANNOTATION_CLEARED_BY: clearing.by[:BY_LIMIT] or None,
                ANNOTATION_CLEARED_AT: format_time(clearing.at) if clearing.at else None,
            },
        }
        try:
            await kube.patch(LEASES, namespace, name, {"metadata": metadata})
        except ApiError as error:
            if not error.is_conflict:  # else it was renewed in between
                raise
        else:
            return clearing
    return None
