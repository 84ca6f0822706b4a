"""Deliveries of all runs that history has."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime

from admin_api.errors import RefusedError
from admin_api.schemas.deliveries import Deliveries, DeliveriesQuery, RunDelivery
from admin_api.services.cursor import (
    WRONG_CURSOR,
    decode_cursor,
    decode_instant,
    encode_cursor,
)
from admin_api.services.history_client import HistoryClient
from report_operator.adapters.postgres.deliveries import DeliveryQuery, StoredDelivery
from report_operator.domain.times import format_time
from report_runner.contract.result import DeliveryStatus

POSITION = re.compile("[0-9]{1,9}", re.ASCII)
STATUSES = {status.value for status in DeliveryStatus}


async def list_deliveries(history: HistoryClient, query: DeliveriesQuery) -> Deliveries:
    """One page, newest first. Raises RefusedError for a wrong cursor."""
    stored_query = DeliveryQuery(
        limit=query.limit + 1,
        recipient=query.recipient,
        channel=query.channel,
        status=query.status,
        namespace=query.namespace,
        schedule=query.schedule,
        since=query.since,
        until=query.until,
        before=_before(query.cursor) if query.cursor else None,
    )
    reader = history.reader
    found, degraded = await history.query(reader.deliveries(stored_query) if reader else None)
    return page_of(found or (), query.limit, degraded)


def page_of(found: Sequence[StoredDelivery], limit: int, degraded: Sequence[str]) -> Deliveries:
    """The first `limit` of one more than are wanted."""
    page = found[:limit]
    return Deliveries(
        deliveries=[_shown(stored) for stored in page],
        degraded=list(degraded),
        next=_cursor(page[-1]) if len(found) > len(page) else None,
    )


def _shown(stored: StoredDelivery) -> RunDelivery:
    # A newer version may have written a status that this one does not know.
    known = stored.status if stored.status in STATUSES else DeliveryStatus.UNCERTAIN
    return RunDelivery(
        finished_at=stored.finished_at,
        namespace=stored.namespace,
        schedule=stored.schedule,
        slot=stored.slot,
        report_date=stored.report_date,
        job_id=stored.job_id,
        attempt=stored.attempt,
        channel=stored.channel,
        recipient=stored.recipient,
        status=DeliveryStatus(known),
        message_id=stored.message_id,
        error=stored.error,
    )


def _cursor(last: StoredDelivery) -> str:
    return encode_cursor(format_time(last.finished_at), last.job_id, last.job, str(last.position))


def _before(cursor: str) -> tuple[datetime, str, str, int]:
    at, identity, job, position = decode_cursor(cursor, 4)
    if not POSITION.fullmatch(position):
        raise RefusedError(422, WRONG_CURSOR)
    return decode_instant(at), identity, job, int(position)
