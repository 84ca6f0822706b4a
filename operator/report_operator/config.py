"""The operator's own configuration: what the platform engineer decides, not the report author."""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.alias_generators import to_camel

from report_operator.api.v1alpha1.spec import Tier


class ConfigError(ValueError):
    """The configuration file is wrong; the message names the field."""


Quantity = Annotated[str, Field(coerce_numbers_to_str=True)]  # `cpu: 1` is as good as "1"


class _Section(BaseModel):
    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True
    )


class Admission(_Section):
    """How many runs may be active at once."""

    max_active: int = Field(default=20, ge=1)
    # Places of these that runs of backfills leave to the schedules, but for one.
    backfill_headroom: int = Field(default=5, ge=1)
    max_active_per_tier: dict[Tier, Annotated[int, Field(ge=0)]] = Field(default_factory=dict)


class Runner(_Section):
    """The pods of runs."""

    image: str = Field(min_length=1)
    image_pull_policy: str = "IfNotPresent"
    output_claim: str = "adaf-reports"
    default_resources: dict[str, dict[str, Quantity]] = Field(
        default_factory=lambda: {
            "requests": {"cpu": "100m", "memory": "192Mi"},
            "limits": {"memory": "768Mi"},
        }
    )
    scratch_size_limit: str = "256Mi"


class History(_Section):
    """Finished Jobs that stay for `kubectl logs`, and outcomes that stay in status."""

    keep_succeeded_jobs: int = Field(default=3, ge=0, le=20)
    keep_failed_jobs: int = Field(default=5, ge=0, le=20)
    keep_outcomes: int = Field(default=20, ge=1, le=50)
    # In Postgres; 0 keeps them for ever.
    retention_days: int = Field(default=400, ge=0)


class OperatorConfig(_Section):
    """Everything; times are in seconds."""

    runner: Runner
    admission: Admission = Field(default_factory=Admission)
    history: History = Field(default_factory=History)
    # Names of Secrets that a run may mount, as shell patterns: an allowlist.
    allowed_secrets: list[str] = Field(default_factory=lambda: ["report-*"])
    watch_namespaces: list[str] = Field(default_factory=list)
    # The whole cluster instead, which has to be said: an empty list may be a slip.
    watch_all_namespaces: bool = False
    startup_deadline_seconds: int = Field(default=600, ge=10)
    queue_timeout_seconds: int = Field(default=86_400, ge=60)
    resync_seconds: int = Field(default=120, ge=5)
    workers: int = Field(default=16, ge=1, le=200)
    # Directories where Secrets are mounted, one file for each key; read anew at each connection.
    # Postgres: host, port, dbname, user, password, sslmode, ca.crt. Without it there is no history.
    postgres_secret: Path | None = None
    # Redis: host, port, username, password, tls, ca.crt. Without it there are no lists in Redis.
    redis_secret: Path | None = None
    # Where the admin API finds the finished files of a namespace, with {namespace} in it. Without
    # it there are none to be had there.
    file_server_url: str | None = Field(default=None, pattern="^https?://[^/]+$")
    runbook_url: str = ""  # where docs/runbook.md is published: the web page links to its sections
    lease_name: str = "report-scheduler"
    lease_seconds: int = Field(default=15, ge=5)
    health_port: int = Field(default=8080, ge=0, le=65535)
    metrics_port: int = Field(default=9090, ge=0, le=65535)
    # Where the admin API reads the operator's metrics: its own pod's loopback without it.
    metrics_url: str | None = Field(default=None, pattern="^https?://")

    @property
    def watched(self) -> tuple[str | None, ...]:
        """The namespaces to list and watch; `(None,)` stands for the whole cluster."""
        return (None,) if self.watch_all_namespaces else tuple(self.watch_namespaces)

    @model_validator(mode="after")
    def _watches_something(self) -> Self:
        if self.watch_all_namespaces == bool(self.watch_namespaces):
            raise ValueError(
                "watchNamespaces: name the namespaces of the teams, or have the whole cluster "
                "watched with watchAllNamespaces: true; exactly one of the two"
            )
        return self

    def secret_allowed(self, name: str) -> bool:
        """Whether a run may mount the Secret of this name."""
        return any(fnmatchcase(name, pattern) for pattern in self.allowed_secrets)


def load_config(path: Path) -> OperatorConfig:
    """Read the YAML file. Raises ConfigError with each field that is wrong."""
    try:
        data: Any = yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: {error}") from error
    try:
        return OperatorConfig.model_validate(data)
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(str(part) for part in item['loc']) or 'file'}: {item['msg']}"
            for item in error.errors()
        )
        raise ConfigError(f"{path}: {problems}") from error
