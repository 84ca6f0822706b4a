"""A Secret that a report names."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field

from report_runner.contract.model import Model, ObjectName, SecretUse


class SecretReference(Model):
    """A Secret in the namespace of the ReportSchedule, mounted into the run's pod."""

    name: ObjectName = Field(description="Name of the Secret.")

    def secret_refs(self, field: str) -> Iterator[SecretUse]:
        yield SecretUse(f"{field}.name", self.name)
