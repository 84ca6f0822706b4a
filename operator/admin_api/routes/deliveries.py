"""Endpoints: deliveries of all runs, and a look at what one slot has sent."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from admin_api.auth.visibility import check_recipients
from admin_api.dependencies import CallerDep, HistoryDep, VerificationsDep
from admin_api.paths import DELIVERIES
from admin_api.schemas.common import NoQuery
from admin_api.schemas.deliveries import Deliveries, DeliveriesQuery
from admin_api.schemas.verifications import Verification, VerifyRequest
from admin_api.services.deliveries import list_deliveries
from admin_api.services.job_lists import schedule_of
from admin_api.services.verifications import no_look

router = APIRouter()


@router.get(DELIVERIES, tags=["read"])
async def deliveries(
    query: Annotated[DeliveriesQuery, Query()], caller: CallerDep, history: HistoryDep
) -> Deliveries:
    """Who got which report, and which files are where: newest first, from history.

    403 without `namespace` for a caller who may not read the reports of all namespaces: recipients
    are no business of other teams.
    """
    await check_recipients(caller, query.namespace)
    return await list_deliveries(history, query)


@router.post(f"{DELIVERIES}/verify", status_code=202, tags=["act"])
async def verify(
    wanted: VerifyRequest, _: NoQuery, caller: CallerDep, verifications: VerificationsDep
) -> Verification:
    """Look whether what the runs of a slot have sent is still there as it was sent.

    A pod of its own reads it with the schedule's Secrets; it is no run, and sends nothing. Asked
    again while it looks, it is the same look.
    """
    await check_recipients(caller, schedule_of(wanted.job_id)[0])
    return await verifications.request(wanted.job_id, caller.name)


@router.get(f"{DELIVERIES}/verify/{{identity}}", tags=["read"])
async def verification(
    identity: str, _: NoQuery, caller: CallerDep, verifications: VerificationsDep
) -> Verification:
    """The newest look at the slot of a run; 404 where there was none within the last hour."""
    await check_recipients(caller, schedule_of(identity)[0])
    found = await verifications.find(identity)
    if found is None:
        raise no_look(identity)
    return found
