"""One source of a definition, fetched in this process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from report_runner.contract.definition import Definition
from report_runner.contract.egress import EgressPolicy
from report_runner.environment import RunStamps
from report_runner.models import Table
from report_runner.mounted import Secrets
from report_runner.sources import SourceContext, fetch_all

LOOPBACK = ("127.0.0.1", "::1")


def source_context(
    source: Mapping[str, Any],
    secrets: Path,
    allow: Sequence[str] = LOOPBACK,
    parameters: Mapping[str, Any] | None = None,
    zone: str = "Europe/Madrid",
) -> SourceContext:
    """A run for 5 January 2026 whose one source is called `rows`."""
    definition = Definition.model_validate(
        {
            "namespace": "reports",
            "name": "rows",
            "uid": "u1",
            "reportType": "rows",
            "timeZone": zone,
            "report": {
                "title": "Rows",
                "parameters": dict(parameters or {}),
                "sources": [{"name": "rows", **source}],
                "template": {"builtin": "executive_dashboard"},
            },
        }
    )
    run = RunStamps(datetime(2026, 1, 5, 6, tzinfo=UTC), date(2026, 1, 5), "rows.1", 1, "pod")
    return SourceContext(definition, run, Secrets(secrets), EgressPolicy.parse(allow))


def fetch_rows(source: Mapping[str, Any], secrets: Path, **options: Any) -> Table:
    """The rows of that source. Raises RunError."""
    return fetch_all(source_context(source, secrets, **options))["rows"].table


def write_secret(root: Path, name: str, **keys: str) -> None:
    """As the kubelet mounts one."""
    (root / name).mkdir(parents=True, exist_ok=True)
    for key, value in keys.items():
        (root / name / key.replace("_", ".")).write_text(value)
