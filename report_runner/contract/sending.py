"""When a report that could be made is not sent, and that is right."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from report_runner.contract.checks import ColumnName
from report_runner.contract.model import Identifier, Model
from report_runner.contract.rules import Rule
from report_runner.contract.schema import LIST_SET, unique


class OnlyIfChanged(Model):
    """Send only where the rows are others than those of the last delivered run."""

    sources: Annotated[list[Identifier], unique()] = Field(
        min_length=1,
        max_length=50,
        json_schema_extra=LIST_SET,
        description="The sources that are compared.",
    )
    ignore: Annotated[list[ColumnName], unique()] = Field(
        default_factory=list,
        max_length=50,
        json_schema_extra=LIST_SET,
        description="Columns that differ each time, such as the time of the query.",
    )


# Of a report with onlyIfChanged.
SENDING_RULES = (
    Rule(
        "!has(self.onlyIfChanged) || "
        "self.onlyIfChanged.sources.all(n, self.sources.exists(s, s.name == n))",
        "onlyIfChanged.sources has to be names of report.sources",
        lambda report: (
            report.only_if_changed is None
            or set(report.only_if_changed.sources) <= {s.name for s in report.sources}
        ),
        path="onlyIfChanged.sources",
    ),
)
