"""Where a finished report goes."""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints
from pydantic_core import PydanticCustomError

from report_runner.contract.model import ONE_LINE, Model
from report_runner.contract.report import Format, SecretReference
from report_runner.contract.rules import matches
from report_runner.contract.schema import LIST_SET, unique
from report_runner.contract.templating import compile_problem


class SmtpServer(Model):
    """The mail server."""

    secret_ref: SecretReference = Field(
        description="Secret with the keys host, port (587), from, and optionally username, "
        "password, security (starttls, tls or none; starttls unless said) and ca.crt."
    )


_HOST_LABEL = "[A-Za-z0-9]([-A-Za-z0-9]*[A-Za-z0-9])?"
MAIL_ADDRESS = (
    "[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+([.][A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
    f"@{_HOST_LABEL}([.]{_HOST_LABEL})*"
)
MailAddress = Annotated[
    str,
    StringConstraints(max_length=254),
    matches(
        MAIL_ADDRESS,
        "write a mail address alone, such as jane.doe@example.com",
    ),
]


@lru_cache(maxsize=1024)
def _subject_problem(subject: str) -> str | None:
    problem = compile_problem(subject)
    return None if problem is None else problem.message


def _compiles(subject: str) -> str:
    problem = _subject_problem(subject)
    if problem is not None:
        raise PydanticCustomError("rule", "no Jinja2 template: {problem}", {"problem": problem})
    return subject


class ChannelSpec(Model):
    """The base of what configures one delivery channel."""

    def targets(self) -> list[str]:
        """Where the report goes, each target once, such as mail addresses.

        They stand in the manifest, so messages may name them.
        """
        raise NotImplementedError


class EmailDelivery(ChannelSpec):
    """Each recipient gets a message of his own; nobody gets it twice for one slot."""

    to: Annotated[list[MailAddress], unique()] = Field(
        min_length=1,
        max_length=50,
        json_schema_extra=LIST_SET,
        description="Recipients.",
    )
    subject: Annotated[
        str, StringConstraints(max_length=500), ONE_LINE, AfterValidator(_compiles)
    ] = Field(
        default="{{ title }} {{ report_date }}", description="Subject line, a Jinja2 template."
    )
    attach: Annotated[list[Format], unique()] = Field(
        default_factory=lambda: [Format.PDF],
        max_length=len(Format),
        json_schema_extra=LIST_SET,
        description="Formats to attach; each has to be one of report.formats.",
    )
    smtp: SmtpServer = Field(description="The mail server.")

    def targets(self) -> list[str]:
        return list(self.to)


class Delivery(Model):
    """Where the finished report goes."""

    email: EmailDelivery | None = Field(default=None, description="Delivery by e-mail.")

    def channels(self) -> dict[str, ChannelSpec]:
        """The channels that are set, by the name of their field."""
        return {name: spec for name, spec in self.set_models() if isinstance(spec, ChannelSpec)}
