"""Mail addresses: names, letters outside of ASCII, and which of them are the same."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from report_runner.contract.definition import Definition
from report_runner.contract.delivery import EmailDelivery
from report_runner.contract.mailbox import (
    Mailbox,
    MailboxError,
    mailbox_identity,
    parse_mailbox,
)


@pytest.mark.parametrize(
    ("text", "name", "address"),
    [
        ("jane@example.com", "", "jane@example.com"),
        ("<jane@example.com>", "", "jane@example.com"),
        ("Jane Doe <jane@example.com>", "Jane Doe", "jane@example.com"),
        ("Jane<jane@example.com>", "Jane", "jane@example.com"),
        ('"Doe, Jane" <jane@example.com>', "Doe, Jane", "jane@example.com"),
        ("Doe, Jane <jane@example.com>", "Doe, Jane", "jane@example.com"),
        (r'"a \"b\" \\ <c@d>" <jane@example.com>', r'a "b" \ <c@d>', "jane@example.com"),
        ("Jürgen (Größe) <j@example.com>", "Jürgen (Größe)", "j@example.com"),
        ("山田　太郎 <y@example.com>", "山田　太郎", "y@example.com"),
        ("josé@bücher.example", "", "josé@bücher.example"),
    ],
)
def test_a_mailbox_is_read(text: str, name: str, address: str) -> None:
    assert parse_mailbox(text) == Mailbox(name, address)


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "Janet", "Jane <>", "<jane@example.com", "jane@example.com>", "a b@example.com",
        "Jane <jane@example.com> ", "Jane <jane@example.com>, a@example.com",
        '"Jane" jane@example.com', "a@example.com Jane <j@example.com>", "a..b@example.com",
        '"a b"@example.com', "a@[127.0.0.1]", "a@example..com", "a@-example.com", "a@b@example.com",
        "Jane\n<j@example.com>", "Ja\x00ne <j@example.com>", "Ja\x85ne <j@example.com>",
        "Ja\u2028ne <j@example.com>", "\u202ene <j@example.com>", "j\u200b@example.com",
        '"=?utf-8?q?a?=" <j@example.com>', "j\xa0@example.com", "j@exam\u3000ple.com",
        "j@ex☃ample.com", "j@" + "ü" * 62 + ".example", "ü" * 130 + "@example.com",
    ],
)  # fmt: skip
def test_what_is_no_mailbox_is_refused_and_not_quoted(text: str) -> None:
    with pytest.raises(MailboxError) as caught:
        parse_mailbox(text)
    assert not text.strip() or text not in str(caught.value)


def test_a_domain_is_written_as_dns_has_it() -> None:
    # As IDNA 2008 has it: not strasse.example, which may be somebody else's.
    assert parse_mailbox("a@straße.example").ascii_address == "a@xn--strae-oqa.example"
    assert parse_mailbox("a@Bücher.Example").ascii_address == "a@xn--bcher-kva.example"
    assert parse_mailbox("A@Example.COM").ascii_address == "A@Example.COM"
    assert parse_mailbox("é@example.com").ascii_address is None


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Jane@Example.com", "jane@example.com"),
        ("Jane <jane@example.com>", "jane@example.com"),
        ("a@bücher.example", "a@xn--bcher-kva.example"),
        ("e\u0301@example.com", "\u00e9@example.com"),
    ],
)
def test_spellings_of_one_address_are_the_same(one: str, other: str) -> None:
    assert mailbox_identity(one) == mailbox_identity(other)


def delivery(**fields: object) -> EmailDelivery:
    return EmailDelivery.model_validate(
        {"to": ["a@example.com"], "smtp": {"secretRef": {"name": "mail"}}, **fields}
    )


def test_each_address_is_a_target_once() -> None:
    email = delivery(
        to=["B <b@example.com>", "a@example.com", "b@example.com"],
        cc=["A@example.com", "c@example.com"],
        bcc=["c@EXAMPLE.com", "d@example.com", "a@example.com"],
    )
    assert email.targets() == ["b@example.com", "a@example.com", "c@example.com", "d@example.com"]


def test_a_definition_from_before_the_new_fields_stays_the_same() -> None:
    """Its files, ConfigMap and deliveries are known by its text."""
    text = delivery().model_dump_json()
    assert text == (
        '{"to":["a@example.com"],"subject":"{{ title }} {{ report_date }}","attach":["pdf"],'
        '"smtp":{"secret_ref":{"name":"mail"}}}'
    )
    assert set(delivery().to_wire()) == {"to", "subject", "attach", "smtp"}
    full = delivery(cc=["c@example.com"], bcc=["b@example.com"], replyTo="r@example.com")
    assert set(full.to_wire()) == {"to", "cc", "bcc", "replyTo", "subject", "attach", "smtp"}
    assert "delivery" in Definition.model_fields


@given(st.text(max_size=60))
def test_whatever_is_read_is_one_line_that_is_seen(text: str) -> None:
    try:
        mailbox = parse_mailbox(f"{text} <a@example.com>")
    except MailboxError:
        return
    assert mailbox.address == "a@example.com"
    assert not any(character in mailbox.name for character in "\r\n\x00\u2028\u202e\x85")
