"""What a source of rows has to offer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from report_runner.contract.definition import Definition
from report_runner.contract.egress import EgressPolicy
from report_runner.contract.numbers import exact
from report_runner.environment import RunStamps
from report_runner.models import Table
from report_runner.mounted import Secrets


@dataclass(frozen=True, slots=True)
class SourceContext:
    """The run that a source is fetched for."""

    definition: Definition
    run: RunStamps
    secrets: Secrets
    egress: EgressPolicy = field(default_factory=EgressPolicy)  # of the operator's configuration
    tables: Mapping[str, Table] = field(default_factory=dict)  # of the sources before it

    def parameters(self) -> dict[str, Any]:
        """Every value that a query may name."""
        return {
            **exact(self.definition.report.parameters),
            "report_date": self.run.report_date,
            "slot": self.run.slot,
        }


@dataclass(frozen=True, slots=True)
class Fetched:
    """Rows, and warnings for the log and the manifest."""

    table: Table
    warnings: tuple[str, ...] = ()
    seconds: float = 0.0  # that reading them took
    cached_at: datetime | None = None  # when they were fetched, where an earlier run did it


class Source(Protocol):
    """One kind of source; a module with this function is one.

    The Secrets that it reads are the fields of type SecretReference in its spec
    (`spec.secret_refs`): these are mounted, and checked by the operator.
    """

    def fetch(self, name: str, spec: Any, context: SourceContext, /) -> Fetched:
        """The rows of the source `name`; `spec` is the value of its field in SourceSpec.

        Raises RunError; no message holds the value of a Secret.
        """
