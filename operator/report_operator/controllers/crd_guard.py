"""Nothing is decided while the cluster's CRDs lack fields of this version.

The API server drops what a CRD does not know: of a spec a condition before sending, of a status the
run that a backfill has in flight. Both would be wrong without a word.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass

from report_operator.adapters.kube.client import ApiError, Body, KubeClient
from report_operator.adapters.kube.errors import API_ERRORS
from report_operator.crd.served import OPENAPI, describe_missing, missing_fields

logger = logging.getLogger(__name__)

RETRY_SECONDS = 5.0
RECHECKS = 3


class OlderCrdsError(Exception):
    """An older CRD was applied while this operator was leading."""


@dataclass(slots=True)
class CrdGuard:
    """`problem` says what is missing; '' where nothing is, or where nobody can say."""

    kube: KubeClient
    problem: str = ""

    async def wait_until_complete(self) -> None:
        """Before the Lease is taken, so that during an upgrade the operator before goes on."""
        while await self._missing():  # noqa: ASYNC110  (the CRDs are elsewhere)
            await asyncio.sleep(RETRY_SECONDS)

    async def watch(self, seconds: float) -> None:
        """Raises OlderCrdsError: the next life waits for the CRDs."""
        while True:
            await asyncio.sleep(seconds)
            if await self._missing() and not await self._soon_complete():
                raise OlderCrdsError(self.problem)

    async def _soon_complete(self) -> bool:
        """An API server that has just started does not know its CRDs for a moment."""
        for _ in range(RECHECKS):
            await asyncio.sleep(RETRY_SECONDS)
            if not await self._missing():
                return True
        return False

    async def _openapi(self) -> Body:
        """{} where there are no CRDs at all."""
        try:
            return await self.kube.request("GET", OPENAPI)
        except ApiError as error:
            if error.status == 404:
                return {}
            raise

    async def _missing(self) -> bool:
        try:
            openapi = await self._openapi()
        except API_ERRORS as error:  # a cluster may keep its schema from us
            logger.warning("the CRDs cannot be compared: %s", str(error) or type(error).__name__)
            return False
        missing = await asyncio.to_thread(missing_fields, openapi)
        problem = describe_missing(missing) if missing else ""
        if problem and problem != self.problem:
            logger.error(problem)
        self.problem = problem
        return bool(problem)
