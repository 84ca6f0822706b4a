"""URLs that lead inside, in every notation, and the fields through which an author can name one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.attacks.vectors import Vector, Who

PORT = "$PORT"  # of the listener, which is on every address of this machine

# Each leads to this machine, unless it is refused.
_HERE = {
    "loopback": "http://127.0.0.1:$PORT/",
    "loopback-other": "http://127.8.9.10:$PORT/",
    "loopback-name": "http://localhost:$PORT/",
    "loopback-name-dot": "http://localhost.:$PORT/",
    "loopback-name-case": "http://LOCALHOST:$PORT/",
    "loopback-v6": "http://[::1]:$PORT/",
    "loopback-v6-long": "http://[0000:0000:0000:0000:0000:0000:0000:0001]:$PORT/",
    "unspecified": "http://0.0.0.0:$PORT/",
    "unspecified-short": "http://0:$PORT/",
    "unspecified-v6": "http://[::]:$PORT/",
    "decimal": "http://2130706433:$PORT/",
    "octal": "http://0177.0.0.1:$PORT/",
    "octal-whole": "http://017700000001:$PORT/",
    "hex": "http://0x7f000001:$PORT/",
    "hex-parts": "http://0x7f.0x0.0x0.0x1:$PORT/",
    "short": "http://127.1:$PORT/",
    "short-three": "http://127.0.1:$PORT/",
    "zeroes": "http://127.000.000.001:$PORT/",
    "dot-behind": "http://127.0.0.1.:$PORT/",
    "fullwidth-digits": "http://１２７.０.０.１:$PORT/",
    "circled-digits": "http://①②⑦.⓪.⓪.①:$PORT/",
    "ideographic-dots": "http://127。0。0。1:$PORT/",
    "percent-encoded": "http://%31%32%37.0.0.1:$PORT/",
    "mapped": "http://[::ffff:127.0.0.1]:$PORT/",
    "mapped-hex": "http://[::ffff:7f00:1]:$PORT/",
    "compatible": "http://[::127.0.0.1]:$PORT/",
    "nat64": "http://[64:ff9b::127.0.0.1]:$PORT/",
    "6to4": "http://[2002:7f00:1::]:$PORT/",
    "teredo": "http://[2001:0:7f00:1::]:$PORT/",
    "zone": "http://[::1%25lo]:$PORT/",
    "zone-plain": "http://[::1%lo]:$PORT/",
    "user-info": "http://api.example.com@127.0.0.1:$PORT/",
    "user-info-port": "http://api.example.com:443@127.0.0.1:$PORT/",
    "user-info-fragment": "http://127.0.0.1:$PORT#@api.example.com/",
    "backslash": "http://127.0.0.1:$PORT\\@api.example.com/",
    "backslash-host": "http:\\\\127.0.0.1:$PORT/",
    "three-slashes": "http:///127.0.0.1:$PORT/",
    "tab": "http://127.0.0.1\t:$PORT/",
    "line-break": "http://127.0.0.1\r\n:$PORT/",
    "blank": "http:// 127.0.0.1:$PORT/",
    "scheme-case": "HTTP://127.0.0.1:$PORT/",
    "no-scheme": "//127.0.0.1:$PORT/",
    "tls": "https://127.0.0.1:$PORT/",
    "public-name": "http://inside.example.com:$PORT/",
    "public-name-v6": "http://inside6.example.com:$PORT/",
    "public-name-mapped": "http://mapped.example.com:$PORT/",
    "rebinding": "http://rebinding.example.com:$PORT/",
    "mixed-answers": "http://mixed.example.com:$PORT/",
    "alternating": "http://alternating.example.com:$PORT/",
}
# Each leads into a cluster or a cloud: nothing may even try to connect.
_ELSEWHERE = {
    "metadata": "http://169.254.169.254/latest/meta-data/",
    "metadata-decimal": "http://2852039166/",
    "metadata-hex": "http://0xA9FEA9FE/",
    "metadata-mapped": "http://[::ffff:169.254.169.254]/",
    "metadata-v6": "http://[fd00:ec2::254]/",
    "metadata-name": "http://metadata.google.internal/",
    "metadata-alibaba": "http://100.100.100.200/",
    "metadata-azure": "http://168.63.129.16/",
    "metadata-public-name": "http://metadata.example.com/",
    "link-local": "http://169.254.7.7/",
    "link-local-v6": "http://[fe80::1]/",
    "api-server": "https://kubernetes.default.svc/",
    "api-server-short": "https://kubernetes/",
    "api-server-address": "https://10.96.0.1/",
    "service": "http://postgres.databases.svc.cluster.local:5432/",
    "pod": "http://10-244-0-5.databases.pod.cluster.local/",
    "pod-address": "http://10.244.0.5/",
    "private-172": "http://172.16.0.1/",
    "private-192": "http://192.168.0.1/",
    "shared": "http://100.64.0.1/",
    "unique-local": "http://[fd12:3456::1]/",
    "multicast": "http://224.0.0.1/",
    "broadcast": "http://255.255.255.255/",
    "reserved": "http://240.0.0.1/",
    "file": "file:///etc/passwd",
    "gopher": "gopher://127.0.0.1:6379/_SET",
    "unix-socket": "http+unix://%2Frun%2Fcontainerd.sock/",
}
ADDRESSES = {**_HERE, **_ELSEWHERE}

ANSWERS = {
    "inside.example.com": [["127.0.0.1"]],
    "inside6.example.com": [["::1"]],
    "mapped.example.com": [["::ffff:127.0.0.1"]],
    "metadata.example.com": [["169.254.169.254"]],
    "metadata.google.internal": [["169.254.169.254"]],
    "kubernetes.default.svc": [["10.96.0.1"]],
    "kubernetes": [["10.96.0.1"]],
    "postgres.databases.svc.cluster.local": [["10.96.0.7"]],
    "10-244-0-5.databases.pod.cluster.local": [["10.244.0.5"]],
    # $ALLOWED is an address that the operator's configuration allows.
    "rebinding.example.com": [["$ALLOWED"], ["127.0.0.1"]],
    "alternating.example.com": [["127.0.0.1"], ["$ALLOWED"]],
    "mixed.example.com": [["$ALLOWED", "127.0.0.1", "::1"]],
}


@dataclass(frozen=True, slots=True)
class Way:
    """`source` has the URL in a field of its own, or has the allowed server name it.

    `server` is that server's URL; it answers everything with a redirect to the vector's URL, or
    with a link to it as the next page.
    """

    source: Callable[[str, str], dict[str, Any]]
    redirects: bool = False
    links: bool = False


_KEYS = {"secretRef": {"name": "store"}}


def _object(endpoint: str, key: str = "a.csv") -> dict[str, Any]:
    return {"object": {"endpoint": endpoint.rstrip("/"), "bucket": "reports", "key": key,
                       "format": "csv", **_KEYS}}  # fmt: skip


# A further source, or a channel, is a line here.
WAYS: dict[str, Way] = {
    "http": Way(lambda url, _: {"http": {"url": url}}),
    "http-post": Way(lambda url, _: {"http": {"url": url, "method": "POST"}}),
    "http-token": Way(
        lambda url, server: {
            "http": {"url": server + "/x", "auth": {"oauth2": {"tokenUrl": url, **_KEYS}}}
        }
    ),
    "http-redirect": Way(lambda _, server: {"http": {"url": server + "/x"}}, redirects=True),
    "http-link": Way(
        lambda _, server: {"http": {"url": server + "/x", "paging": {"link": {}}}}, links=True
    ),
    "object": Way(lambda url, _: _object(url)),
    "object-list": Way(lambda url, _: _object(url, "*.csv")),
    "object-redirect": Way(lambda _, server: _object(server), redirects=True),
}

SSRF = [
    Vector("ssrf", f"{way}-{name}", Who.AUTHOR, (way, url))
    for way in WAYS
    for name, url in ADDRESSES.items()
]
