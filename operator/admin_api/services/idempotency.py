"""`Idempotency-Key`: the same key and request have one attempt, however often they are sent.

What a key stood for is kept in a ConfigMap beside the operator, since the attempt's Job goes long
before on-call has stopped pressing. It is written before the Job is made: whoever dies in between
leaves word of which attempt it was to be, and the next one makes exactly that.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Annotated

from fastapi import Header
from pydantic import AwareDatetime, BaseModel, ValidationError

from admin_api.errors import RefusedError
from admin_api.schemas.scheduler import Job
from report_operator.adapters.kube.client import ApiError, KubeClient
from report_operator.adapters.kube.resources import CONFIGMAPS
from report_operator.api.v1alpha1.spec import Priority
from report_operator.domain.names import job_id
from report_operator.domain.runs.attempts import Attempt

KEPT_FOR = timedelta(hours=24)
KEPT = 500  # the newest; some 600 bytes each, and a ConfigMap holds a MiB

IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=200,
        pattern="^[!-~]+$",
        description="The same key and request have one attempt within 24 h, also after its end.",
    ),
]


class IdempotencyEntry(BaseModel):
    """What a key stands for; `answer` is there once the attempt was made."""

    at: AwareDatetime
    request: str
    namespace: str
    schedule: str
    slot: AwareDatetime
    report_date: date | None = None
    number: int
    priority: Priority
    answer: Job | None = None

    @property
    def identity(self) -> str:
        """The attempt's id."""
        return job_id(self.namespace, self.schedule, self.slot, self.number)

    @property
    def attempt(self) -> Attempt:
        """To be made, where it was not."""
        return Attempt(self.slot, self.report_date, self.number, self.priority)


@dataclass(frozen=True, slots=True)
class IdempotencyRecords:
    """All that is remembered, as read."""

    entries: Mapping[str, IdempotencyEntry]  # by digest of the key
    version: str | None  # of the ConfigMap; None where there is none

    def find(self, key: str, request: str) -> IdempotencyEntry | None:
        """What the key stood for. Raises RefusedError where that was another request."""
        found = self.entries.get(digest(key))
        if found is not None and found.request != digest(request):
            raise RefusedError(
                422,
                "Idempotency-Key: it was sent with another request already; "
                "send a new key with each new request",
            )
        return found


def digest(text: str) -> str:
    """Keys may be telling: only their digests are kept."""
    return hashlib.sha256(text.encode()).hexdigest()


def surplus(entries: Mapping[str, IdempotencyEntry], now: datetime) -> set[str]:
    """Keys of what need not be remembered any more, when one more is to come."""
    newest_first = sorted(entries, key=lambda name: entries[name].at, reverse=True)
    return {
        name
        for place, name in enumerate(newest_first)
        if place >= KEPT - 1 or now - entries[name].at > KEPT_FOR
    }


@dataclass(frozen=True, slots=True)
class IdempotencyStore:
    """The ConfigMap. Raises what the API client raises."""

    kube: KubeClient
    namespace: str  # the operator's own
    name: str
    clock: Callable[[], datetime]

    async def read(self) -> IdempotencyRecords:
        """All that is remembered; an entry that cannot be read is left out."""
        body = await self.kube.get(CONFIGMAPS, self.namespace, self.name)
        if body is None:
            return IdempotencyRecords({}, None)
        entries = {}
        for name, text in (body.get("data") or {}).items():
            try:
                entries[name] = IdempotencyEntry.model_validate_json(text)
            except ValidationError:
                continue
        return IdempotencyRecords(entries, body["metadata"]["resourceVersion"])

    async def write(self, book: IdempotencyRecords, key: str, entry: IdempotencyEntry) -> bool:
        """Add or replace one entry; False where somebody else wrote since `book` was read."""
        data: dict[str, str | None] = dict.fromkeys(surplus(book.entries, self.clock()))
        data[digest(key)] = entry.model_dump_json(exclude_none=True)
        if book.version is None:
            body = {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": self.name, "namespace": self.namespace},
                "data": data,
            }
            return await self.kube.create(CONFIGMAPS, self.namespace, body) is not None
        change = {"metadata": {"resourceVersion": book.version}, "data": data}
        try:
            await self.kube.patch(CONFIGMAPS, self.namespace, self.name, change)
        except ApiError as error:
            if error.is_conflict or error.status == 404:
                return False
            raise
        return True
