"""`Idempotency-Key`: the same key and request have one attempt, however often they are sent.

What a key stands for is stored in a ConfigMap beside the operator, because a Job may be removed
before the last repetition of its request arrives. The entry is written before the Job is created:
after a crash in between, the next request with the key creates exactly that attempt.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Annotated

from fastapi import Header
from pydantic import AwareDatetime, BaseModel, Field, ValidationError

from admin_api.errors import RefusedError
from admin_api.schemas.jobs import Job
from report_operator.adapters.kube.client import ApiError, KubeClient
from report_operator.adapters.kube.resources import CONFIGMAPS
from report_operator.api.v1alpha1.spec import Priority
from report_operator.domain.names import job_id
from report_operator.domain.runs.attempts import Attempt

RETENTION = timedelta(hours=24)
ENTRY_LIMIT = 500  # the newest; some 600 bytes each, and a ConfigMap holds a MiB
CONFLICTS = 10  # tries to write while other requests with keys write too

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
    """What a key stands for; `answer` is set once the attempt was made."""

    at: AwareDatetime
    request: str
    namespace: str
    schedule: str
    slot: AwareDatetime
    report_date: date | None = None
    number: int
    priority: Priority
    parameters: dict[str, str] = Field(default_factory=dict)
    inherits: bool = False
    overridden: bool | None = None  # absent where it is not known
    resend: str = ""
    instead_of_slot: bool = False
    answer: Job | None = None

    @property
    def identity(self) -> str:
        return job_id(self.namespace, self.schedule, self.slot, self.number)

    @property
    def attempt(self) -> Attempt:
        return Attempt(
            self.slot,
            self.report_date,
            self.number,
            self.priority,
            self.parameters,
            self.inherits,
            self.overridden,
            self.resend,
            self.instead_of_slot,
        )


@dataclass(frozen=True, slots=True)
class Reservation:
    """A key and what it stands for from now on."""

    key: str
    entry: IdempotencyEntry


@dataclass(frozen=True, slots=True)
class IdempotencyRecords:
    """The entries of the ConfigMap at one version of it."""

    entries: Mapping[str, IdempotencyEntry]  # by digest of the key
    version: str | None  # of the ConfigMap; None where there is none

    def find(self, key: str, fingerprint: str) -> IdempotencyEntry | None:
        """Raises RefusedError where the key stood for another request."""
        found = self.entries.get(digest(key))
        if found is not None and found.request != digest(fingerprint):
            raise RefusedError(
                422,
                "Idempotency-Key: it was sent with another request already; "
                "send a new key with each new request",
            )
        return found


def digest(text: str) -> str:
    """SHA-256: keys may contain secrets, so only their digests are stored."""
    return hashlib.sha256(text.encode()).hexdigest()


def surplus(entries: Mapping[str, IdempotencyEntry], now: datetime) -> set[str]:
    """Names of the entries to remove so that one more fits: the expired and the oldest."""
    newest_first = sorted(entries, key=lambda name: entries[name].at, reverse=True)
    return {
        name
        for place, name in enumerate(newest_first)
        if place >= ENTRY_LIMIT - 1 or now - entries[name].at > RETENTION
    }


@dataclass(frozen=True, slots=True)
class IdempotencyStore:
    """The ConfigMap. Raises what the API client raises."""

    kube: KubeClient
    namespace: str  # the operator's own
    name: str
    clock: Callable[[], datetime]

    async def find(self, key: str, fingerprint: str) -> Reservation | None:
        """Raises RefusedError where the key stood for another request."""
        entry = (await self._read()).find(key, fingerprint)
        return Reservation(key, entry) if entry else None

    async def reserve(self, key: str, fingerprint: str, entry: IdempotencyEntry) -> Reservation:
        """Let the key stand for `entry`, unless the same request was reserved meanwhile.

        Raises RefusedError where the key stands for another request.
        """
        for _ in range(CONFLICTS):
            records = await self._read()
            known = records.find(key, fingerprint)
            if known is not None:
                return Reservation(key, known)
            if await self._write(records, key, entry):
                return Reservation(key, entry)
        raise RefusedError(503, "too many requests with keys at once: send it again, same key")

    async def complete(self, reservation: Reservation, answer: Job) -> None:
        """Store the answer: the attempt must not be made again after its Job is gone."""
        entry = reservation.entry.model_copy(update={"answer": answer})
        for _ in range(CONFLICTS):
            if await self._write(await self._read(), reservation.key, entry):
                return

    async def _read(self) -> IdempotencyRecords:
        """An entry that cannot be parsed is left out."""
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

    async def _write(self, records: IdempotencyRecords, key: str, entry: IdempotencyEntry) -> bool:
        """Add or replace one entry; False where another request wrote since `records` was read."""
        data: dict[str, str | None] = dict.fromkeys(surplus(records.entries, self.clock()))
        data[digest(key)] = entry.model_dump_json(exclude_none=True)
        if records.version is None:
            body = {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": self.name, "namespace": self.namespace},
                "data": data,
            }
            return await self.kube.create(CONFIGMAPS, self.namespace, body) is not None
        change = {"metadata": {"resourceVersion": records.version}, "data": data}
        try:
            await self.kube.patch(CONFIGMAPS, self.namespace, self.name, change)
        except ApiError as error:
            if error.is_conflict or error.status == 404:
                return False
            raise
        return True
