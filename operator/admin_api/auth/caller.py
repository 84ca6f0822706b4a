"""The caller of a request, and which namespaces' reports they may read."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from admin_api.auth.tokens import ALL_NAMESPACES, Tokens, User

NAME_LIMIT = 100  # characters


@dataclass(frozen=True, slots=True)
class Caller:
    """Over loopback everything may be seen: Kubernetes has checked who may port-forward."""

    name: str  # as actions are recorded
    user: User | None = None  # None over loopback
    tokens: Tokens | None = None
    in_browser: bool = False  # behind an authenticating proxy, over HTTPS

    async def may_see(self, namespace: str) -> bool:
        """Whether the caller may read files, messages, logs and recipients of a namespace.

        ALL_NAMESPACES asks for all at once. Raises what Tokens raises.
        """
        if self.user is None or self.tokens is None:
            return True
        if await self.tokens.may_read(self.user, ALL_NAMESPACES):
            return True
        return namespace != ALL_NAMESPACES and await self.tokens.may_read(self.user, namespace)

    async def hidden(self, namespaces: Iterable[str]) -> set[str]:
        """Those whose reports the caller may not read. Raises what Tokens raises."""
        if await self.may_see(ALL_NAMESPACES):
            return set()
        return {each for each in set(namespaces) if not await self.may_see(each)}


def claimed_name(headers: dict[str, str]) -> str:
    """The name of a caller over loopback, marked as a claim: nothing verifies it."""
    given = headers.get("x-on-call", "")[:NAME_LIMIT]
    name = "".join(c if c.isprintable() else "?" for c in given).strip()
    return f"claimed: {name} (loopback)" if name else "unnamed (loopback)"
