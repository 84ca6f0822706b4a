"""Which addresses a run may connect to: a pure judgement, shared by operator and runner.

An author writes the URL, so a run could be made to call what only the inside of the cluster can
reach. Refused are loopback, link-local, cloud metadata, private (which has the pods and services of
a cluster), shared, multicast, unspecified and reserved addresses, unless the platform engineer
allows them (`config.runner.egress.allow`).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

ALLOW_OPTION = "config.runner.egress.allow"
ALLOW_LIMIT = 200  # entries

_LABEL = r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_NAME = re.compile(rf"(?=.{{1,253}}\Z)(\*\.)?{_LABEL}(\.{_LABEL})*", re.ASCII)
_NUMERIC_END = re.compile(r"(.*\.)?([0-9]+|0x[0-9a-f]*)", re.ASCII | re.IGNORECASE)
_PORT = re.compile(r"[0-9]{1,5}", re.ASCII)


class AddressKind(StrEnum):
    """What an address is, in words for a message."""

    PUBLIC = "a public address"
    LOOPBACK = "a loopback address"
    LINK_LOCAL = "a link-local address"
    METADATA = "an address of a cloud's metadata service"
    PRIVATE = "a private address, as those of pods and services of a cluster"
    MULTICAST = "a multicast address"
    UNSPECIFIED = "the unspecified address"
    RESERVED = "a reserved address"


# Each is opened by an entry for itself alone, never by a wide network such as 0.0.0.0/0.
METADATA = frozenset(
    ipaddress.ip_address(text)
    for text in (
        "169.254.169.254",  # AWS, Google, Azure, OpenStack, DigitalOcean, Oracle
        "169.254.170.2",  # tasks of AWS ECS
        "169.254.170.23",  # pod identities of AWS EKS
        "fd00:ec2::254",
        "fd00:ec2::23",
        "fd20:ce::254",  # Google
        "100.100.100.200",  # Alibaba
        "192.0.0.192",  # Oracle
        "168.63.129.16",  # Azure; a public address otherwise
    )
)
# Opened by an entry within one of these alone.
_LOCAL_RANGES = {
    AddressKind.LOOPBACK: (IPv4Network("127.0.0.0/8"), IPv6Network("::1/128")),
    AddressKind.LINK_LOCAL: (IPv4Network("169.254.0.0/16"), IPv6Network("fe80::/10")),
}
_NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052: all that an IPv6-only cluster sees of IPv4
# RFC 8215, IPv4-compatible, SIIT, 6to4, Teredo, site-local: each holds another address, or is
# routed nowhere. Python's is_global has some of them as global.
_OBSOLETE = tuple(
    IPv6Network(text)
    for text in (
        "64:ff9b:1::/48", "::/96", "::ffff:0:0:0/96", "2002::/16", "2001::/32", "fec0::/10",
        "100::/64", "2001:db8::/32", "3fff::/20", "5f00::/16",
    )
)  # fmt: skip
_OBSOLETE_V4 = (IPv4Network("192.88.99.0/24"), IPv4Network("192.0.0.0/24"))
_ISATAP = (0x00005EFE, 0x02005EFE)

# Names that only a cluster or a machine itself resolves.
_INNER_SUFFIXES = (".svc", ".local", ".localhost", ".localdomain", ".internal", ".pod")


def parse_address(text: str) -> Address:
    """The address in canonical notation, without a zone. Raises ValueError."""
    return ipaddress.ip_address(text.partition("%")[0])


def _judged(address: Address) -> Address:
    """The IPv4 address that is reached through an IPv6 one, where that is so."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address in _NAT64:
            return IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def address_kind(address: Address) -> AddressKind:
    """The strictest kind that an address, or the one inside of it, is."""
    address = _judged(address)
    if address in METADATA:
        return AddressKind.METADATA
    if address.is_unspecified:
        return AddressKind.UNSPECIFIED
    if address.is_loopback:
        return AddressKind.LOOPBACK
    if address.is_link_local:
        return AddressKind.LINK_LOCAL
    if address.is_multicast:
        return AddressKind.MULTICAST
    if isinstance(address, IPv6Address):
        if any(address in network for network in _OBSOLETE):
            return AddressKind.RESERVED
        if (int(address) >> 32) & 0xFFFFFFFF in _ISATAP:
            return AddressKind.RESERVED
    elif any(address in network for network in _OBSOLETE_V4):
        return AddressKind.RESERVED
    if address.is_reserved:
        return AddressKind.RESERVED
    return AddressKind.PUBLIC if address.is_global else AddressKind.PRIVATE


def is_inner_name(host: str) -> bool:
    """Whether a name is one of a cluster or of the machine itself, wherever it leads."""
    name = host.rstrip(".").lower()
    return "." not in name or name.endswith(_INNER_SUFFIXES) or ".svc." in name


@dataclass(frozen=True, slots=True)
class EgressEntry:
    """One entry of the allowlist: a network, or a name; with a port, that one alone."""

    network: Network | None
    name: str
    port: int | None

    def opens_port(self, port: int) -> bool:
        return self.port is None or self.port == port

    def is_name_of(self, host: str) -> bool:
        if not self.name:
            return False
        host = host.rstrip(".").lower()
        if self.name.startswith("*."):
            return host.endswith(self.name[1:])
        return host == self.name


def parse_entry(text: str) -> EgressEntry:
    """`10.1.0.0/16`, `10.1.2.3:443`, `[fd00::/8]:443`, `api.data.svc:8080` or `*.example.com`.

    Raises ValueError.
    """
    problem = ValueError(
        f"{text!r} is none of a network (10.1.0.0/16), an address and a host name (*.NAME: all "
        "below it), each with :PORT behind it or without"
    )
    rest, port = text, None
    bracketed = re.fullmatch(r"\[([^\]]*)\](?::(.*))?", text)
    if bracketed:
        rest, port = bracketed[1], bracketed[2]
    elif text.count(":") == 1:
        rest, _, port = text.partition(":")
    number = None
    if port is not None:
        if not _PORT.fullmatch(port) or not 0 < int(port) < 1 << 16:
            raise problem
        number = int(port)
    try:
        return EgressEntry(ipaddress.ip_network(rest), "", number)
    except ValueError:
        if bracketed or not _NAME.fullmatch(rest) or _NUMERIC_END.fullmatch(rest):
            raise problem from None
    return EgressEntry(None, rest.lower(), number)


@dataclass(frozen=True, slots=True)
class EgressPolicy:
    """What the platform engineer allows; `refused` are further addresses of the cluster."""

    allow: tuple[EgressEntry, ...] = ()
    refused: frozenset[Address] = field(default_factory=frozenset)

    @classmethod
    def parse(cls, allow: Iterable[str], refused: Iterable[str] = ()) -> EgressPolicy:
        """Raises ValueError."""
        return cls(
            tuple(parse_entry(text) for text in allow),
            frozenset(parse_address(text) for text in refused),
        )

    def refusal(self, host: str, address: str, port: int) -> str | None:
        """Why a run may not connect to this address of this host; None where it may."""
        try:
            found = parse_address(address)
        except ValueError:
            return "not an address in canonical notation"
        kind = address_kind(found)
        if any(self._opens(entry, found, kind, port) for entry in self.allow):
            return None
        if kind in (AddressKind.METADATA, *_LOCAL_RANGES):
            return kind.value
        if self.allows_name(host, port):
            return None
        if kind is not AddressKind.PUBLIC:
            return kind.value
        if _judged(found) in self.refused:
            return "the address of the cluster's API server"
        return "a name inside of the cluster" if host and is_inner_name(host) else None

    def allows_name(self, host: str, port: int) -> bool:
        return any(entry.is_name_of(host) and entry.opens_port(port) for entry in self.allow)

    @staticmethod
    def _opens(entry: EgressEntry, address: Address, kind: AddressKind, port: int) -> bool:
        network = entry.network
        if network is None or not entry.opens_port(port):
            return False
        inner = _judged(address)
        if address not in network and inner not in network:
            return False
        if kind is AddressKind.METADATA:
            return network.num_addresses == 1
        ranges = _LOCAL_RANGES.get(kind)
        return ranges is None or any(
            network.version == local.version and network.subnet_of(local)  # type: ignore[arg-type]
            for local in ranges
        )

    def literal_refusal(self, host: str, port: int) -> str | None:
        """Why a URL with this host would be refused, where that can be told without a resolver."""
        try:
            return self.refusal("", str(parse_address(host)), port)
        except ValueError:
            pass
        if not is_inner_name(host) or self.allows_name(host, port):
            return None
        # A network that is allowed may be where the name leads.
        if any(entry.network is not None for entry in self.allow):
            return None
        return "a name inside of the cluster"


PUBLIC_ALONE = EgressPolicy()
