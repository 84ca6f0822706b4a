"""Who calls, and what may be told to them of what the teams' reports say."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from admin_api.auth.tokens import ALL_NAMESPACES, Tokens, User

NAME_LIMIT = 100  # characters


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks. Over loopback everything may be seen: who may port-forward was asked already."""

    name: str  # as actions are recorded
    user: User | None = None  # None: over loopback
    tokens: Tokens | None = None

    async def may_see(self, namespace: str) -> bool:
        """Whether what a team's reports say may be told: files, messages, logs, recipients.

        '' is all namespaces. Raises what Tokens raises.
        """
        if self.user is None or self.tokens is None:
            return True
        if await self.tokens.may_read(self.user, ALL_NAMESPACES):
            return True
        return namespace != ALL_NAMESPACES and await self.tokens.may_read(self.user, namespace)

    async def unseen(self, namespaces: Iterable[str]) -> set[str]:
        """Those of which nothing may be told."""
        if await self.may_see(ALL_NAMESPACES):
            return set()
        return {each for each in set(namespaces) if not await self.may_see(each)}


def claimed(headers: dict[str, str]) -> str:
    """A caller over loopback: whoever may port-forward may give any name, so it is no fact."""
    told = headers.get("x-on-call", "")[:NAME_LIMIT]
    name = "".join(c if c.isprintable() else "?" for c in told).strip()
    return f"claimed: {name} (loopback)" if name else "unnamed (loopback)"
