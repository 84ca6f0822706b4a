"""What a report is made of: its sources, charts, template and formats."""

from __future__ import annotations

import hashlib
from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import AfterValidator, Field, StringConstraints, field_validator
from pydantic_core import PydanticCustomError

from report_runner.contract.checks import CHECK_RULES, CHECKS_LIMIT, DataCheck
from report_runner.contract.expression import ExpressionText
from report_runner.contract.format_options import DATA_FORMATS, FormatOptions
from report_runner.contract.freeform import (
    CHART_SCHEMA,
    VALUES_SCHEMA,
    BoundedChart,
    BoundedValues,
)
from report_runner.contract.model import (
    ONE_LINE,
    Boolean,
    Identifier,
    Model,
    ObjectName,
)
from report_runner.contract.parameters import PARAMETER_RULES, DeclaredParameter, check_computed
from report_runner.contract.rules import Rule, exactly_one_of, matches
from report_runner.contract.schema import LIST_SET, list_map, unique
from report_runner.contract.sending import SENDING_RULES, OnlyIfChanged
from report_runner.contract.sources import SourceSpec
from report_runner.contract.waiting import WAIT_RULES, WaitFor

_SOURCE_LIMIT = 40  # characters of a source in the name of a file


# A new format is a line here (its name in spec.report.formats, its media type), and one with its
# renderer in report_runner.formats.
class Format(StrEnum):
    """An output format."""

    media_type: str

    PDF = "pdf", "application/pdf"
    HTML = "html", "text/html; charset=utf-8"
    CSV = "csv", "text/csv; charset=utf-8"
    XLSX = "xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
    JSON = "json", "application/json"
    PARQUET = "parquet", "application/vnd.apache.parquet"

    def __new__(cls, value: str, media_type: str) -> Self:
        """Enum's hook: the value alone goes into manifests and results."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.media_type = media_type
        return member

    @property
    def suffix(self) -> str:
        """The end of the names of its files, such as `.pdf`."""
        return f".{self.value}"

    def suffix_of(self, source: str | None) -> str:
        """Of a file that holds one source alone: `-positions.csv`.

        A long name is shortened: a file name has 255 bytes at most (storage.STEM_LIMIT).
        """
        if source is None:
            return self.suffix
        if len(source) > _SOURCE_LIMIT:
            digest = hashlib.sha256(source.encode()).hexdigest()[:8]
            source = f"{source[: _SOURCE_LIMIT - 9]}-{digest}"
        return f"-{source}{self.suffix}"


class BuiltinTemplate(StrEnum):
    """Templates that come with the runner."""

    EXECUTIVE_DASHBOARD = "executive_dashboard"
    PORTFOLIO_PERFORMANCE = "portfolio_performance"


class ConfigMapKeyReference(Model):
    """A key of a ConfigMap in the namespace of the ReportSchedule."""

    name: ObjectName = Field(description="Name of the ConfigMap.")
    key: Annotated[
        str,
        StringConstraints(max_length=253),
        matches("[-._a-zA-Z0-9]+", "write a key of a ConfigMap: letters, digits, '-', '_' and '.'"),
    ] = Field(default="template.html.j2", description="Key that holds the template.")


def _absent(value: object) -> bool:
    return not value


class Chart(Model):
    """A Vega-Lite chart over one source."""

    name: Identifier = Field(description="Name in templates: {{ charts.NAME }}.")
    source: Identifier = Field(description="The source whose rows are the chart's data.")
    title: Annotated[str, StringConstraints(max_length=200), ONE_LINE] | None = Field(
        default=None, description="Caption under which the builtin templates show it."
    )
    spec: Annotated[dict[str, Any], BoundedChart] = Field(
        json_schema_extra=CHART_SCHEMA,
        description="Vega-Lite specification without data: the rows of the source are its data. "
        "At most 32 levels deep.",
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

    rules = (exactly_one_of("builtin", "config_map_ref"),)

    builtin: BuiltinTemplate | None = Field(
        default=None, description="A template that comes with the runner."
    )
    config_map_ref: ConfigMapKeyReference | None = Field(
        default=None, description="A Jinja2 HTML template of your own, of at most 256 KiB."
    )


def _option_rules(name: str) -> tuple[Rule, ...]:
    """The options of one data format: it is written, and its sources are there."""
    unset = f"!has(self.formatOptions) || !has(self.formatOptions.{name})"
    return (
        Rule(
            f"{unset} || '{name}' in self.formats",
            f"formatOptions.{name} needs {name} among report.formats",
            lambda report: (
                report.format_options is None
                or report.format_options.of(name) is None
                or name in report.formats
            ),
            path=f"formatOptions.{name}",
        ),
        Rule(
            f"{unset} || !has(self.formatOptions.{name}.sources) || "
            f"self.formatOptions.{name}.sources.all(n, self.sources.exists(s, s.name == n))",
            f"formatOptions.{name}.sources has to be names of report.sources",
            lambda report: (
                set(report.sources_of(name) or ()) <= {source.name for source in report.sources}
            ),
            path=f"formatOptions.{name}.sources",
        ),
    )


class Report(Model):
    """What is in the report."""

    rules = (
        *PARAMETER_RULES,
        Rule(
            "!has(self.charts) || self.charts.all(c, self.sources.exists(s, s.name == c.source))",
            "every chart's source has to be the name of one of report.sources",
            lambda report: {c.source for c in report.charts} <= {s.name for s in report.sources},
            path="charts",
        ),
        *CHECK_RULES,
        *SENDING_RULES,
        *(rule for name in DATA_FORMATS for rule in _option_rules(name)),
        *WAIT_RULES,
        Rule(
            None,
            "formatOptions.csv.sources names the sources already: take the parameter out",
            lambda report: (
                report.sources_of("csv") is None or report.parameters.get("csv_source") is None
            ),
            path="parameters.csv_source",
        ),
    )

    title: Annotated[str, StringConstraints(max_length=200), ONE_LINE] = Field(
        description="Title on the cover, in the mail's subject and in lists."
    )
    parameters: Annotated[dict[str, Any], BoundedValues, AfterValidator(check_computed)] = Field(
        default_factory=dict,
        max_length=100,
        json_schema_extra=VALUES_SCHEMA,
        description="Values for templates ({{ parameters.NAME }}) and queries (%(NAME)s), with "
        "lists and objects of at most 4 levels. A text with a template is computed by each run: "
        '"{{ report_date | month_start }}" is a date.',
    )
    # What is not set is not written: definitions from before these fields stay the same.
    declared_parameters: Annotated[list[DeclaredParameter], unique("name")] = Field(
        default_factory=list,
        max_length=100,
        exclude_if=_absent,
        json_schema_extra=list_map("name"),
        description="Parameters with a type, a description and a default.",
    )
    sources: Annotated[list[SourceSpec], unique("name")] = Field(
        min_length=1,
        max_length=50,
        json_schema_extra=list_map("name"),
        description="Named results for the template and the charts.",
    )
    wait_for: WaitFor | None = Field(
        default=None, description="Wait until the data are ready before the report is made."
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
        max_length=len(Format),
        json_schema_extra=LIST_SET,
        description="Files to write.",
    )
    format_options: FormatOptions | None = Field(
        default=None, description="How the files with data are written."
    )
    allow_empty: Boolean = Field(
        default=False,
        description="A report whose sources have no row at all fails unless this is true.",
    )
    checks: Annotated[list[DataCheck], unique("name")] = Field(
        default_factory=list,
        max_length=CHECKS_LIMIT,
        exclude_if=_absent,
        json_schema_extra=list_map("name"),
        description="Conditions that the rows have to meet before anything is made or sent.",
    )
    send_if: ExpressionText | None = Field(
        default=None,
        exclude_if=_absent,
        description="A condition in the language of templates, such as positions | length > 0. "
        "Where it is false, nothing is made or sent, and the run is Skipped.",
    )
    only_if_changed: OnlyIfChanged | None = Field(
        default=None,
        exclude_if=_absent,
        description="Where the rows are those of the last delivered run, nothing is made or sent, "
        "and the run is Skipped.",
    )

    def excluded_source(self) -> str | None:
        """The source that is only waited for."""
        wait = self.wait_for
        return wait.source if wait is not None and wait.exclude_source else None

    def reported(self) -> Report:
        """The report without the source that is only waited for."""
        excluded = self.excluded_source()
        if excluded is None:
            return self
        kept = [source for source in self.sources if source.name != excluded]
        return self.model_copy(update={"sources": kept})

    def sources_of(self, name: str) -> list[str] | None:
        """The sources that the options of a data format name; None where they name none."""
        options = self.format_options.of(name) if self.format_options else None
        return options.sources if options else None
