"""Which addresses a run may connect to."""

from __future__ import annotations

import pytest

from report_runner.contract.egress import EgressPolicy, is_inner_name, parse_entry

PUBLIC = ["93.184.216.34", "8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8"]
REFUSED = [
    "127.0.0.1", "127.255.255.254", "::1", "::ffff:127.0.0.1", "64:ff9b::127.0.0.1",
    "0.0.0.0", "::", "0.1.2.3", "10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1",  # noqa: S104
    "169.254.169.254", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "169.254.1.1", "fe80::1",
    "fe80::1%eth0", "fd00:ec2::254", "fd20:ce::254", "fc00::1", "100.100.100.200", "192.0.0.192",
    "168.63.129.16", "224.0.0.1", "ff02::1", "240.0.0.1", "255.255.255.255", "198.18.0.1",
    "192.0.2.1", "192.88.99.1", "2002:7f00:1::", "2001:0:7f00:1::", "::127.0.0.1",
    "::ffff:0:127.0.0.1", "64:ff9b:1::7f00:1", "fec0::1", "2001:db8::1", "5f00::1",
    "2606:4700::5efe:7f00:1", "127.1", "2130706433", "0x7f.0.0.1", "localhost", "",
]  # fmt: skip


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_allowed(address: str) -> None:
    assert EgressPolicy().refusal("api.example.com", address, 443) is None


@pytest.mark.parametrize("address", REFUSED)
def test_others_are_refused(address: str) -> None:
    assert EgressPolicy().refusal("api.example.com", address, 443)


@pytest.mark.parametrize(
    ("entry", "host", "address", "port", "allowed"),
    [
        ("10.1.0.0/16", "a.example.com", "10.1.2.3", 5000, True),
        ("10.1.0.0/16", "a.example.com", "10.2.2.3", 5000, False),
        ("10.1.0.0/16", "a.example.com", "::ffff:10.1.2.3", 5000, True),
        ("10.1.2.3:443", "a.example.com", "10.1.2.3", 443, True),
        ("10.1.2.3:443", "a.example.com", "10.1.2.3", 444, False),
        ("[fd00:1::/32]:443", "a.example.com", "fd00:1::7", 443, True),
        ("[fd00:1::/32]:443", "a.example.com", "fd00:1::7", 80, False),
        ("fd00:1::/32", "a.example.com", "fd00:1::7", 80, True),
        ("api.data.svc:8080", "api.data.svc", "10.96.0.9", 8080, True),
        ("api.data.svc:8080", "API.data.svc.", "10.96.0.9", 8080, True),
        ("api.data.svc:8080", "api.data.svc", "10.96.0.9", 80, False),
        ("api.data.svc", "evil.data.svc", "10.96.0.9", 80, False),
        ("*.example.com", "a.example.com", "10.0.0.1", 80, True),
        ("*.example.com", "example.com", "10.0.0.1", 80, False),
        ("*.example.com", "aexample.com", "10.0.0.1", 80, False),
        # A name opens neither the machine itself nor its cloud's metadata.
        ("api.data.svc", "api.data.svc", "127.0.0.1", 80, False),
        ("api.data.svc", "api.data.svc", "169.254.169.254", 80, False),
        # Nor does a wide network: each has to be meant.
        ("0.0.0.0/0", "a.example.com", "127.0.0.1", 80, False),
        ("0.0.0.0/0", "a.example.com", "169.254.169.254", 80, False),
        ("0.0.0.0/0", "a.example.com", "10.0.0.1", 80, True),
        ("169.254.0.0/16", "a.example.com", "169.254.169.254", 80, False),
        ("169.254.0.0/16", "a.example.com", "169.254.7.7", 80, True),
        ("169.254.169.254", "a.example.com", "169.254.169.254", 80, True),
        ("127.0.0.0/8", "localhost", "127.0.0.1", 80, True),
        ("127.0.0.1:8080", "localhost", "127.0.0.1", 8080, True),
        ("::1", "localhost", "::1", 80, True),
    ],
)
def test_what_an_entry_opens(entry: str, host: str, address: str, port: int, allowed: bool) -> None:
    refusal = EgressPolicy.parse([entry]).refusal(host, address, port)
    assert (refusal is None) is allowed, refusal


def test_a_cluster_with_public_addresses_is_known_by_its_names_and_its_api_server() -> None:
    policy = EgressPolicy.parse([], ["52.1.2.3"])
    assert policy.refusal("api.example.com", "52.1.2.3", 443)
    assert policy.refusal("api.example.com", "::ffff:52.1.2.3", 443)
    assert policy.refusal("warehouse.data.svc.cluster.local", "52.1.2.4", 443)
    assert policy.refusal("api.example.com", "52.1.2.4", 443) is None


@pytest.mark.parametrize(
    "name",
    ["localhost", "kubernetes", "kubernetes.default.svc", "a.b.svc.cluster.local", "a.svc.x.org",
     "metadata.google.internal", "printer.local", "a.localhost", "LOCALHOST.", "a.pod"],
)  # fmt: skip
def test_inner_names(name: str) -> None:
    assert is_inner_name(name)
    assert EgressPolicy().literal_refusal(name, 80)


def test_what_a_literal_url_tells() -> None:
    assert EgressPolicy().literal_refusal("10.0.0.1", 80)
    assert EgressPolicy().literal_refusal("api.example.com", 80) is None
    # Where a network is allowed, the name may lead into it.
    assert EgressPolicy.parse(["10.96.0.0/12"]).literal_refusal("a.data.svc", 80) is None
    assert EgressPolicy.parse(["b.data.svc"]).literal_refusal("a.data.svc", 80)
    assert EgressPolicy.parse(["a.data.svc"]).literal_refusal("a.data.svc", 80) is None


@pytest.mark.parametrize(
    "entry",
    ["", "10.0.0.0/33", "10.0.0.1/8", "host:0", "host:99999", "127.1", "0x7f000001", "a b", "a,b",
     "http://a.example.com", "*", "[::1", "[name]:80", "host:", "10.0.0.0/8:"],
)  # fmt: skip
def test_an_entry_that_is_none(entry: str) -> None:
    with pytest.raises(ValueError, match="is none of a network"):
        parse_entry(entry)
