"""Lists in Redis with the state of queue and dead letters; each is replaced atomically."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from redis.asyncio import Redis

from report_operator.adapters.redis.client import CALL_SECONDS, UNAVAILABLE, connect
from report_operator.domain.times import format_time, parse_time

QUEUE = "report_scheduler_queue"
DEAD_LETTERS = "report_scheduler_dead_letter"
# Beside a list that somebody may delete: what was shown when we wrote it last. A list that is
# gone while this is there was deleted; where both are gone Redis has lost everything. (In one hash
# slot with the list.)
MARKER = f"{{{DEAD_LETTERS}}}:shown_through"

# KEYS: the list, and its marker if it has one. ARGV: the marker that goes with the elements, and
# the newest marker of a deletion that they take into account.
_DELETED = """
local marker, known = ARGV[1], ARGV[2]
local shown = KEYS[2] and redis.call('GET', KEYS[2]) or ''
if shown > known and redis.call('EXISTS', KEYS[1]) == 0 then return {'deleted', shown} end
"""
# ARGV[3]: SHA-1 of the elements, joined by line breaks.
_COMPARE = f"""{_DELETED}
local kind = redis.call('TYPE', KEYS[1]).ok
if shown ~= marker or (kind ~= 'list' and kind ~= 'none') then return {{'differs'}} end
local held = redis.call('LRANGE', KEYS[1], 0, -1)
return {{redis.sha1hex(table.concat(held, '\\n')) == ARGV[3] and 'same' or 'differs'}}
"""
# ARGV[3] and on: the elements. RPUSH takes them in parts: Lua's stack is small. Nobody sees
# anything of this before it is over.
_REPLACE = f"""{_DELETED}
redis.call('DEL', KEYS[1])
for first = 3, #ARGV, 1000 do
  redis.call('RPUSH', KEYS[1], unpack(ARGV, first, math.min(first + 999, #ARGV)))
end
if KEYS[2] then redis.call('SET', KEYS[2], marker) end
return {{'same'}}
"""


@dataclass(slots=True)
class RedisLists:
    """One connection; after a failure a new one is made with the current settings.

    Calls raise one of `redis_client.UNAVAILABLE`.
    """

    secret: Path
    _client: Redis | None = None

    async def publish_queue(self, elements: Sequence[str]) -> None:
        """Replace the list."""
        await self._publish([QUEUE], elements, "", "")

    async def publish_dead_letters(
        self, elements: Sequence[str], through: datetime | None, cleared: datetime | None
    ) -> datetime | None:
        """Replace the list, unless somebody deleted it since it was last written.

        `through` is the newest failure among the elements, `cleared` the last deletion that the
        elements take into account. Returns the newest failure that was listed when the list was
        deleted; None where it was not deleted.
        """
        marker = format_time(through) if through else ""
        known = format_time(cleared) if cleared else ""
        answer = await self._publish([DEAD_LETTERS, MARKER], elements, marker, known)
        return parse_time(answer[1]) if answer[0] == "deleted" else None

    async def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def _publish(
        self, keys: list[str], elements: Sequence[str], marker: str, known: str
    ) -> list[str]:
        digest = hashlib.sha1("\n".join(elements).encode(), usedforsecurity=False).hexdigest()
        try:
            async with asyncio.timeout(CALL_SECONDS):
                answer = await self._run(_COMPARE, keys, [marker, known, digest])
                if answer[0] == "differs":
                    answer = await self._run(_REPLACE, keys, [marker, known, *elements])
        except UNAVAILABLE:
            await self.close()
            raise
        return answer

    async def _run(self, script: str, keys: list[str], arguments: list[str]) -> list[str]:
        if self._client is None:
            self._client = connect(self.secret)
        answer: Any = await self._client.eval(script, len(keys), *keys, *arguments)
        return [str(part) for part in answer]
