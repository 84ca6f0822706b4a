"""Mail headers: what an author, a Secret or data would put between them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tests.attacks.vectors import Vector, Who

THIEF = "thief@example.com"


@dataclass(frozen=True, slots=True)
class Mail:
    """What differs from a plain mail."""

    to: str = "a@example.com"
    subject: str = "{{ title }}"
    title: str = "A title"
    sender: str = "reports@example.com"
    parameter: str = ""
    name: str = "attack"


_BREAKS = {
    "crlf": "\r\n",
    "lf": "\n",
    "cr": "\r",
    "crlf-space": "\r\n ",
    "null": "\x00",
    "vertical-tab": "\x0b",
    "form-feed": "\x0c",
    "nel": "\x85",
    "line-separator": "\u2028",
    "paragraph-separator": "\u2029",
    "encoded-word": "=?utf-8?q?=0D=0A?=",
    "encoded-word-base64": "=?utf-8?b?DQo=?=",
    "encoded-word-latin": "=?iso-8859-1?q?=0A?=",
    "encoded-word-utf16": "=?utf-16?b?AA0ACg==?=",
    "encoded-word-utf7": "=?utf-7?q?+AA0ACg-?=",
    "fullwidth": "\uff0d\uff0a",
    "cut-to-crlf": "\u010d\u010a",  # whose low bytes are CR and LF
    "percent": "%0d%0a",
    "surrogate": "\udc0d\udc0a",
}
_HEADER = f"Bcc: {THIEF}"
_MAILS: Mapping[str, Mail] = {
    **{f"subject-{name}": Mail(subject=f"x{text}{_HEADER}") for name, text in _BREAKS.items()},
    **{
        f"subject-from-parameter-{name}": Mail(
            subject="{{ parameters.p }}", parameter=f"x{text}{_HEADER}"
        )
        for name, text in _BREAKS.items()
    },
    **{f"title-{name}": Mail(title=f"x{text}{_HEADER}") for name, text in _BREAKS.items()},
    **{
        f"recipient-{name}": Mail(to=f"a@example.com{text}{_HEADER}")
        for name, text in _BREAKS.items()
    },
    **{
        f"sender-{name}": Mail(sender=f"a@example.com{text}{_HEADER}")
        for name, text in _BREAKS.items()
    },
    "recipient-two": Mail(to=f"a@example.com, {THIEF}"),
    "recipient-semicolon": Mail(to=f"a@example.com;{THIEF}"),
    "recipient-group": Mail(to=f"all: {THIEF};"),
    **{
        f"recipient-name-{name}": Mail(to=f"A{text}{_HEADER} <a@example.com>")
        for name, text in _BREAKS.items()
    },
    **{
        f"recipient-quoted-name-{name}": Mail(to=f'"A{text}{_HEADER}" <a@example.com>')
        for name, text in _BREAKS.items()
    },
    **{
        f"sender-name-{name}": Mail(sender=f'"A{text}{_HEADER}" <a@example.com>')
        for name, text in _BREAKS.items()
    },
    "recipient-name-of-two": Mail(to=f'"a" <{THIEF}>, "b" <a@example.com>'),
    "recipient-name-quote": Mail(to=f'"a\\" <{THIEF}>, \\"" <a@example.com>'),
    "recipient-name-bidi": Mail(to="A \u202emoc.elpmaxe@b <a@example.com>"),
    "recipient-comment": Mail(to=f"a@example.com ({THIEF})"),
    "recipient-quoted": Mail(to=f'"a {THIEF}"@example.com'),
    "recipient-source-route": Mail(to=f"<@evil.example:{THIEF}>"),
    "recipient-percent": Mail(to="thief%evil.example@example.com "),
    "recipient-smtp": Mail(to=f"a@example.com>\r\nRCPT TO:<{THIEF}"),
    "recipient-options": Mail(to="a@example.com NOTIFY=SUCCESS"),
    "recipient-unicode": Mail(to="a@exampl\u0435.com"),
    "recipient-long": Mail(to="a" * 250 + "@example.com"),
    "recipient-literal": Mail(to="a@[127.0.0.1]"),
    "sender-two": Mail(sender=f"a@example.com, {THIEF}"),
    "sender-name-of-two": Mail(sender=f"x <{THIEF}>, y <a@example.com>"),
    "subject-long": Mail(subject="x" * 500),
    "subject-folded": Mail(subject="{{ 'x ' * 400 }}"),
    "subject-bomb": Mail(subject="{{ 'x' * 100000000 }}"),
    "subject-loop": Mail(subject="{% for i in range(99999) %}xxxxxxxxxx{% endfor %}"),
    "subject-join": Mail(subject="{{ ['a', 'Bcc: " + THIEF + "'] | join('\\r\\n') }}"),
    "subject-escape": Mail(subject='{{ "a\\r\\nBcc: ' + THIEF + '" }}'),
    "subject-format": Mail(subject="{{ '%c%cBcc: x' | format(13, 10) }}"),
    "name-crlf": Mail(name="a\r\nBcc: x"),
    "title-markup": Mail(title="<script>alert(1)</script>"),
    "title-dots": Mail(title=".\r\nQUIT"),
}

MAILS = [Vector("mail", name, Who.AUTHOR, mail) for name, mail in _MAILS.items()]
