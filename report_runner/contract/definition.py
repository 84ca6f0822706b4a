"""The definition of a report: the part of a ReportSchedule that the runner needs.

Each field is declared here once: the operator composes its custom resource from these models
(and generates the CRD from them), the runner reads the same models from its ConfigMap.
Rules that span fields are written twice, side by side: `x-kubernetes-validations` for the API
server and a validator for Python; the contract corpus holds them together.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field, StringConstraints, model_validator
from pydantic.alias_generators import to_camel

from report_runner.contract.model import Duration, Identifier, Model, ObjectName


def rules(*pairs: tuple[str, str]) -> ConfigDict:
    return ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        extra="forbid",
        frozen=True,
        json_schema_extra={
            "x-kubernetes-validations": [{"rule": r, "message": m} for r, m in pairs]
        },
    )


ONE_SOURCE_KIND = "set exactly one of postgres and inline"
ONE_TEMPLATE = "set exactly one of builtin and configMapRef"


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
        str, StringConstraints(pattern=r"^[-._a-zA-Z0-9]+$", min_length=1, max_length=253)
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
    query: Annotated[str, StringConstraints(min_length=1, max_length=65536)] = Field(
        description="One SELECT. %(report_date)s, %(slot)s and every parameter of "
        "report.parameters are bound by name; write %% for a percent sign."
    )
    timeout: Duration = Field(
        default="5m", description="The query is cancelled after this time, e.g. 90s, 5m."
    )
    max_rows: int = Field(
        default=100_000,
        ge=1,
        le=1_000_000,
        description="A result with more rows fails the run rather than exhausting its memory.",
    )


class InlineSource(Model):
    """Rows written in the manifest itself: small reference data, or a first try."""

    rows: list[
        Annotated[
            dict[str, Any],
            Field(json_schema_extra={"x-kubernetes-preserve-unknown-fields": True}),
        ]
    ] = Field(
        max_length=1000,
        description="Each row an object; its keys are the columns, in the order of the first row.",
    )


class Source(Model):
    """A named result that templates and charts use."""

    model_config = rules(("has(self.postgres) != has(self.inline)", ONE_SOURCE_KIND))

    name: Identifier = Field(description="Name in templates and charts: a letter, then a-z0-9_.")
    postgres: PostgresSource | None = Field(default=None, description="Rows from PostgreSQL.")
    inline: InlineSource | None = Field(default=None, description="Rows written here.")

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if (self.postgres is None) == (self.inline is None):
            raise ValueError(ONE_SOURCE_KIND)
        return self


class Chart(Model):
    """A Vega-Lite chart over one source."""

    name: Identifier = Field(description="Name in templates: {{ charts.NAME }}.")
    source: Identifier = Field(description="The source whose rows are the chart's data.")
    title: Annotated[str, StringConstraints(max_length=200)] | None = Field(
        default=None, description="Caption under which the builtin templates show it."
    )
    spec: dict[str, Any] = Field(
        json_schema_extra={"x-kubernetes-preserve-unknown-fields": True},
        description="Vega-Lite specification without data: the rows of the source are its data.",
    )


class Template(Model):
    """The page."""

    model_config = rules(("has(self.builtin) != has(self.configMapRef)", ONE_TEMPLATE))

    builtin: BuiltinTemplate | None = Field(
        default=None, description="A template that comes with the runner."
    )
    config_map_ref: ConfigMapKeyReference | None = Field(
        default=None, description="A Jinja2 HTML template of your own, of at most 256 KiB."
    )

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if (self.builtin is None) == (self.config_map_ref is None):
            raise ValueError(ONE_TEMPLATE)
        return self


CHART_SOURCE = "every chart's source must be the name of one of sources"


class Report(Model):
    """What is in the report."""

    model_config = rules(
        (
            "!has(self.charts) || self.charts.all(c, self.sources.exists(s, s.name == c.source))",
            CHART_SOURCE,
        )
    )

    title: Annotated[str, StringConstraints(min_length=1, max_length=200)] = Field(
        description="Title on the cover, in the mail's subject and in lists."
    )
    parameters: dict[str, Any] = Field(
        default_factory=dict,
        json_schema_extra={"x-kubernetes-preserve-unknown-fields": True},
        description="Values for templates ({{ parameters.NAME }}) and queries (%(NAME)s).",
    )
    sources: list[Source] = Field(
        min_length=1,
        max_length=50,
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
        description="Named results for the template and the charts.",
    )
    charts: list[Chart] = Field(
        default_factory=list,
        max_length=50,
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
        description="Charts over the sources.",
    )
    template: Template = Field(description="The page: builtin, or your own in a ConfigMap.")
    formats: list[Format] = Field(
        default_factory=lambda: [Format.PDF],
        min_length=1,
        max_length=3,
        json_schema_extra={"x-kubernetes-list-type": "set"},
        description="Files to write.",
    )
    allow_empty: bool = Field(
        default=False,
        description="A report whose sources have no row at all fails unless this is true.",
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        names = [source.name for source in self.sources]
        for kind, found in (
            ("sources", names),
            ("charts", [chart.name for chart in self.charts]),
            ("formats", list(self.formats)),
        ):
            if len(set(found)) != len(found):
                raise ValueError(f"{kind}: every name may occur once")
        if any(chart.source not in names for chart in self.charts):
            raise ValueError(CHART_SOURCE)
        return self


class SmtpServer(Model):
    """The mail server."""

    secret_ref: SecretReference = Field(
        description="Secret with the keys host, port (587), from, and optionally username, "
        "password, security (starttls, tls or none; starttls unless said) and ca.crt."
    )


MailAddress = Annotated[
    str, StringConstraints(pattern=r"^[^@\s<>,;:]{1,64}@[A-Za-z0-9.-]{1,253}$", max_length=254)
]


class EmailDelivery(Model):
    """Each recipient gets a message of his own; nobody gets it twice for one slot."""

    to: list[MailAddress] = Field(
        min_length=1,
        max_length=50,
        json_schema_extra={"x-kubernetes-list-type": "set"},
        description="Recipients.",
    )
    subject: Annotated[str, StringConstraints(min_length=1, max_length=500)] = Field(
        default="{{ title }} {{ report_date }}", description="Subject line, a Jinja2 template."
    )
    attach: list[Format] = Field(
        default_factory=lambda: [Format.PDF],
        max_length=3,
        json_schema_extra={"x-kubernetes-list-type": "set"},
        description="Formats to attach; each has to be one of report.formats.",
    )
    smtp: SmtpServer = Field(description="The mail server.")

    @model_validator(mode="after")
    def _unique(self) -> Self:
        if len(set(self.to)) != len(self.to) or len(set(self.attach)) != len(self.attach):
            raise ValueError("to and attach: every value may occur once")
        return self


class Delivery(Model):
    """Where the finished report goes."""

    email: EmailDelivery | None = Field(default=None, description="Delivery by e-mail.")


class Output(Model):
    """The files on the report volume."""

    retention: Duration = Field(
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
