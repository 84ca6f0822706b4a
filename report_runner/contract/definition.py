"""The definition of a report: the part of a ReportSchedule that the runner needs.

Each field is declared here once: the operator composes its custom resource from these models
(and generates the CRD from them), the runner reads the same models from its ConfigMap.
A rule beyond types is written for the API server and for Python side by side (contract.rules);
the contract corpus holds the two together.
"""

from __future__ import annotations

from collections.abc import Hashable
from enum import StrEnum
from functools import lru_cache
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, Field, StringConstraints, field_validator
from pydantic_core import PydanticCustomError

from report_runner.contract.model import (
    ONE_LINE,
    Boolean,
    Identifier,
    Integer,
    Model,
    ObjectName,
    QueryDuration,
    RetentionDuration,
)
from report_runner.contract.rules import Rule, matches
from report_runner.contract.templating import compile_problem

Item = TypeVar("Item")

# Bound in every query by the run itself.
RESERVED_PARAMETERS = frozenset(("report_date", "slot"))


def unique(key: str = "") -> AfterValidator:
    """Every element once, as the list types `map` (with the field `key`) and `set` have it."""

    def check(items: list[Item]) -> list[Item]:
        found: set[Hashable] = set()
        for item in items:
            value = getattr(item, key) if key else item
            if value in found:
                raise PydanticCustomError("rule", "{value} occurs twice", {"value": str(value)})
            found.add(value)
        return items

    return AfterValidator(check)


def list_map(key: str) -> dict[str, Any]:
    """Schema of a list whose elements are told apart by a field."""
    return {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": [key]}


LIST_SET: dict[str, Any] = {"x-kubernetes-list-type": "set"}
FREE_FORM: dict[str, Any] = {"x-kubernetes-preserve-unknown-fields": True}


class Format(StrEnum):
    """What a report can be written as."""

    PDF = "pdf"
    HTML = "html"
    CSV = "csv"


class BuiltinTemplate(StrEnum):
    """Templates that come with the runner."""

    EXECUTIVE_DASHBOARD = "executive_dashboard"
    PORTFOLIO_PERFORMANCE = "portfolio_performance"


class SecretReference(Model):
    """A Secret in the namespace of the ReportSchedule, mounted into the run's pod."""

    name: ObjectName = Field(description="Name of the Secret.")


class ConfigMapKeyReference(Model):
    """A key of a ConfigMap in the namespace of the ReportSchedule."""

    name: ObjectName = Field(description="Name of the ConfigMap.")
    key: Annotated[
        str,
        StringConstraints(max_length=253),
        matches("[-._a-zA-Z0-9]+", "write a key of a ConfigMap: letters, digits, '-', '_' and '.'"),
    ] = Field(default="template.html.j2", description="Key that holds the template.")


class PostgresConnection(Model):
    """How to reach the database."""

    secret_ref: SecretReference = Field(
        description="Secret with the keys host, port (5432), dbname, user, password, and "
        "optionally sslmode (prefer) and ca.crt. Let it be a role that may only read."
    )


class PostgresSource(Model):
    """Rows from one SQL query."""

    connection: PostgresConnection = Field(description="Where to log in.")
    query: Annotated[
        str,
        StringConstraints(max_length=65536),
        Rule("self.trim() != ''", "write a query: one SELECT", lambda text: bool(text.strip())),
    ] = Field(
        description="One SELECT. %(report_date)s, %(slot)s and every parameter of "
        "report.parameters are bound by name; write %% for a percent sign."
    )
    timeout: QueryDuration = Field(
        default="5m", description="The query is cancelled after this time, e.g. 90s, 5m."
    )
    max_rows: Integer = Field(
        default=100_000,
        ge=1,
        le=1_000_000,
        description="A result with more rows fails the run rather than exhausting its memory.",
    )


class InlineSource(Model):
    """Rows written in the manifest itself: small reference data, or a first try."""

    rows: list[Annotated[dict[str, Any], Field(json_schema_extra=FREE_FORM)]] = Field(
        max_length=1000,
        description="Each row an object; its keys are the columns, in the order of the first row.",
    )


class Source(Model):
    """A named result that templates and charts use."""

    rules = (
        Rule(
            "has(self.postgres) != has(self.inline)",
            "set exactly one of postgres and inline",
            lambda source: (source.postgres is None) != (source.inline is None),
        ),
    )

    name: Identifier = Field(description="Name in templates and charts: a letter, then a-z0-9_.")
    postgres: PostgresSource | None = Field(default=None, description="Rows from PostgreSQL.")
    inline: InlineSource | None = Field(default=None, description="Rows written here.")


class Chart(Model):
    """A Vega-Lite chart over one source."""

    name: Identifier = Field(description="Name in templates: {{ charts.NAME }}.")
    source: Identifier = Field(description="The source whose rows are the chart's data.")
    title: Annotated[str, StringConstraints(max_length=200), ONE_LINE] | None = Field(
        default=None, description="Caption under which the builtin templates show it."
    )
    spec: dict[str, Any] = Field(
        json_schema_extra=FREE_FORM,
        description="Vega-Lite specification without data: the rows of the source are its data.",
    )

    @field_validator("spec")
    @classmethod
    def _y_is_quoted(cls, spec: dict[str, Any]) -> dict[str, Any]:
        """YAML reads a bare `y` as true, and the chart would have no second axis."""
        open_parts: list[Any] = [spec]
        while open_parts:
            part = open_parts.pop()
            if isinstance(part, dict):
                if "true" in part or True in part:
                    raise PydanticCustomError(
                        "rule", 'YAML reads an unquoted y as true: write "y": in quotes'
                    )
                open_parts += part.values()
            elif isinstance(part, list):
                open_parts += part
        return spec


class Template(Model):
    """The page."""

    rules = (
        Rule(
            "has(self.builtin) != has(self.configMapRef)",
            "set exactly one of builtin and configMapRef",
            lambda template: (template.builtin is None) != (template.config_map_ref is None),
        ),
    )

    builtin: BuiltinTemplate | None = Field(
        default=None, description="A template that comes with the runner."
    )
    config_map_ref: ConfigMapKeyReference | None = Field(
        default=None, description="A Jinja2 HTML template of your own, of at most 256 KiB."
    )


class Report(Model):
    """What is in the report."""

    rules = (
        Rule(
            None,
            "report_date and slot are set by the run: choose another name",
            lambda report: not RESERVED_PARAMETERS & set(report.parameters),
            path="parameters",
        ),
        Rule(
            "!has(self.charts) || self.charts.all(c, self.sources.exists(s, s.name == c.source))",
            "every chart's source has to be the name of one of report.sources",
            lambda report: {c.source for c in report.charts} <= {s.name for s in report.sources},
            path="charts",
        ),
    )

    title: Annotated[str, StringConstraints(max_length=200), ONE_LINE] = Field(
        description="Title on the cover, in the mail's subject and in lists."
    )
    parameters: dict[str, Any] = Field(
        default_factory=dict,
        max_length=100,
        json_schema_extra=FREE_FORM,
        description="Values for templates ({{ parameters.NAME }}) and queries (%(NAME)s).",
    )
    sources: Annotated[list[Source], unique("name")] = Field(
        min_length=1,
        max_length=50,
        json_schema_extra=list_map("name"),
        description="Named results for the template and the charts.",
    )
    charts: Annotated[list[Chart], unique("name")] = Field(
        default_factory=list,
        max_length=50,
        json_schema_extra=list_map("name"),
        description="Charts over the sources.",
    )
    template: Template = Field(description="The page: builtin, or your own in a ConfigMap.")
    formats: Annotated[list[Format], unique()] = Field(
        default_factory=lambda: [Format.PDF],
        min_length=1,
        max_length=3,
        json_schema_extra=LIST_SET,
        description="Files to write.",
    )
    allow_empty: Boolean = Field(
        default=False,
        description="A report whose sources have no row at all fails unless this is true.",
    )


class SmtpServer(Model):
    """The mail server."""

    secret_ref: SecretReference = Field(
        description="Secret with the keys host, port (587), from, and optionally username, "
        "password, security (starttls, tls or none; starttls unless said) and ca.crt."
    )


_HOST_LABEL = "[A-Za-z0-9]([-A-Za-z0-9]*[A-Za-z0-9])?"
MailAddress = Annotated[
    str,
    StringConstraints(max_length=254),
    matches(
        "[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+([.][A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
        f"@{_HOST_LABEL}([.]{_HOST_LABEL})*",
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


class EmailDelivery(Model):
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
        max_length=3,
        json_schema_extra=LIST_SET,
        description="Formats to attach; each has to be one of report.formats.",
    )
    smtp: SmtpServer = Field(description="The mail server.")


class Delivery(Model):
    """Where the finished report goes."""

    email: EmailDelivery | None = Field(default=None, description="Delivery by e-mail.")


class Output(Model):
    """The files on the report volume."""

    retention: RetentionDuration = Field(
        default="7d",
        description="Files of a report date older than this are removed by later runs.",
    )


class Definition(Model):
    """All that one run needs, frozen: the content of the run's ConfigMap."""

    version: Literal[1] = 1
    namespace: str
    name: str
    uid: str
    report_type: str
    time_zone: str
    report: Report
    delivery: Delivery = Field(default_factory=Delivery)
    output: Output = Field(default_factory=Output)
    # The text behind report.template.configMapRef as it was when the definition was made.
    template_text: str | None = None

    def secret_names(self) -> list[str]:
        """The Secrets to mount, sorted, each once."""
        return secret_names(self.report, self.delivery)


def secret_names(report: Report, delivery: Delivery) -> list[str]:
    """Every Secret that a report or its delivery names, sorted, each once."""
    names = {s.postgres.connection.secret_ref.name for s in report.sources if s.postgres}
    if delivery.email:
        names.add(delivery.email.smtp.secret_ref.name)
    return sorted(names)
