"""Resolves names, and gives sockets for allowed addresses alone."""

from __future__ import annotations

import asyncio
import socket

from aiohttp import TCPConnector
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.connector import AddrInfoType

from report_runner.contract.egress import ALLOW_OPTION, EgressPolicy


class EgressRefusedError(OSError):
    """The address may not be connected to."""


class Guard:
    """One policy, and what it refused last.

    An OSError on its way through aiohttp may be joined with others: `refused` keeps ours.
    """

    def __init__(self, policy: EgressPolicy) -> None:
        self.policy = policy
        self.refused: EgressRefusedError | None = None

    def check(self, host: str, address: str, port: int) -> None:
        """Raises EgressRefusedError."""
        problem = self.policy.refusal(host, address, port)
        if problem is not None:
            where = host or address
            self.refused = EgressRefusedError(
                f"{where} is refused: it is {problem}; a run may connect to it only if the "
                f"operator's configuration allows it ({ALLOW_OPTION})"
            )
            raise self.refused

    async def addresses(
        self, host: str, port: int, family: int = socket.AF_UNSPEC
    ) -> list[tuple[int, str]]:
        """Family and address of each allowed address of a host.

        Raises OSError where the host is unknown, EgressRefusedError where none is allowed.
        """
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, family=family, type=socket.SOCK_STREAM)
        allowed = []
        for kind, _, _, _, place in found:
            # With the zone of a link-local address, without which it cannot be connected to.
            address = str(place[0])
            try:
                self.check(host, address, port)
            except EgressRefusedError:
                continue
            allowed.append((int(kind), address))
        if not allowed:
            raise self.refused or OSError(f"{host} has no address")
        self.refused = None
        return allowed


class _GuardedResolver(AbstractResolver):
    def __init__(self, guard: Guard, granted: set[tuple[str, int]]) -> None:
        self._guard, self._granted = guard, granted

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        found = await self._guard.addresses(host, port, family)
        self._granted.update((address, port) for _, address in found)
        return [
            ResolveResult(
                hostname=host, host=address, port=port, family=kind, proto=0,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for kind, address in found
        ]  # fmt: skip

    async def close(self) -> None:
        pass


def guarded_connector(guard: Guard) -> TCPConnector:
    """A connector of aiohttp that connects to allowed addresses alone.

    The socket factory judges once more what is about to be connected to: aiohttp asks no resolver
    for a host that is an address.
    """
    granted: set[tuple[str, int]] = set()

    def make_socket(info: AddrInfoType) -> socket.socket:
        family, kind, protocol, _, place = info
        address, port = str(place[0]), int(place[1])
        if (address, port) not in granted:
            guard.check("", address, port)
        return socket.socket(family, kind, protocol)

    return TCPConnector(
        resolver=_GuardedResolver(guard, granted),
        socket_factory=make_socket,
        use_dns_cache=False,
    )
