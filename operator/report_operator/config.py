"""The operator's own configuration: what the platform engineer decides, not the report author."""

from __future__ import annotations

from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)
from pydantic.alias_generators import to_camel

from report_operator.api.v1alpha1.placement import LabelKey, Labels, Toleration, parse_quantity
from report_operator.api.v1alpha1.spec import Priority, Tier
from report_operator.domain import names
from report_operator.domain.admission.limits import AdmissionLimits, NamespacePolicy
from report_operator.domain.schedules.pods import PodSettings
from report_operator.domain.teams import NamespaceTeams, Teams
from report_runner.contract.egress import ALLOW_LIMIT, EgressPolicy, parse_entry
from report_runner.logs import LogFormat, LogLevel

DEFAULT_CONFIG = Path("/etc/report-scheduler/config.yaml")
EXIT_CONFIG = 78  # EX_CONFIG of sysexits.h


# No user, no query and no fragment: what follows is ours.
ENDPOINT = r"^(https?://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?(/[A-Za-z0-9._~/-]*)?)?$"


class ConfigError(ValueError):
    """The configuration file is invalid; the message names the field."""


# By these the operator and the Job controller know the pods of runs.
_RESERVED_DOMAINS = (names.PREFIX, "batch.kubernetes.io")
_RESERVED_KEYS = (names.LABEL_MANAGED_BY, "job-name", "controller-uid")


def _checked_quantity(text: str) -> str:
    parse_quantity(text)
    return text


def _not_ours(labels: dict[str, str]) -> dict[str, str]:
    for key in labels:
        if key in _RESERVED_KEYS or key.rpartition("/")[0] in _RESERVED_DOMAINS:
            raise ValueError(f"{key} is written by the operator or by Kubernetes: leave it out")
    return labels


# `cpu: 1` is as good as "1". As in a ReportSchedule, so that the two can be compared.
Quantity = Annotated[str, Field(coerce_numbers_to_str=True), AfterValidator(_checked_quantity)]
PodLabels = Annotated[Labels, AfterValidator(_not_ours)]
SecretName = Annotated[
    str, StringConstraints(max_length=253, pattern=r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$")
]
TeamName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9@][A-Za-z0-9._@/-]{0,62}$")]
PodAnnotations = Annotated[dict[LabelKey, str], AfterValidator(_not_ours)]


class _Section(BaseModel):
    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True
    )


class NamespaceAdmission(_Section):
    """What the runs of one namespace may use; an absent field is as for all others."""

    max_active: int | None = Field(default=None, ge=1)
    highest_tier: Tier | None = None
    highest_priority: Priority | None = None


class AdmissionConfig(_Section):
    """How many runs may be active at once, and what those of a namespace may declare."""

    max_active: int = Field(default=20, ge=1)
    # None: half of them; all of them where a single namespace is watched.
    max_active_per_namespace: int | None = Field(default=None, ge=1)
    # Places of these that runs of backfills leave to the schedules, but for one.
    backfill_headroom: int = Field(default=5, ge=1)
    max_active_per_tier: dict[Tier, Annotated[int, Field(ge=0)]] = Field(default_factory=dict)
    # What a ReportSchedule may declare, and what a Job's own words are cut down to.
    highest_tier: Tier = Tier.CRITICAL
    highest_priority: Priority = Priority.HIGH
    namespaces: dict[str, NamespaceAdmission] = Field(default_factory=dict)  # exceptions, by name
    # An admitted run without a pod that runs takes no place of other namespaces after so long.
    start_grace_seconds: int = Field(default=60, ge=1)


def _egress_entry(text: str) -> str:
    parse_entry(text)
    return text


class EgressConfig(_Section):
    """Where sources and channels of runs may connect to, beside public addresses."""

    # Networks, addresses and host names, each with :PORT or without (contract.egress).
    allow: list[
        Annotated[str, StringConstraints(max_length=300), AfterValidator(_egress_entry)]
    ] = Field(default_factory=list, max_length=ALLOW_LIMIT)

    def policy(self) -> EgressPolicy:
        """Converts the section for the domain."""
        return EgressPolicy.parse(self.allow)


class SELinuxOptions(_Section):
    level: str | None = None
    role: str | None = None
    type: str | None = None
    user: str | None = None


class RunSecurityContext(_Section):
    """What a volume of the platform may ask of the pods of runs. Root is not among it."""

    run_as_user: int | None = Field(default=None, ge=1)
    run_as_group: int | None = Field(default=None, ge=0)
    fs_group: int | None = Field(default=None, ge=0)
    fs_group_change_policy: Literal["OnRootMismatch", "Always"] | None = None
    supplemental_groups: list[Annotated[int, Field(ge=1)]] | None = None
    se_linux_options: SELinuxOptions | None = Field(default=None, alias="seLinuxOptions")


class RunnerConfig(_Section):
    image: str = Field(min_length=1)
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] = "IfNotPresent"
    image_pull_secrets: list[SecretName] = Field(default_factory=list)  # in the team's namespace
    output_claim: str = "adaf-reports"
    pod_labels: PodLabels = Field(default_factory=dict)
    pod_annotations: PodAnnotations = Field(default_factory=dict)
    priority_class_name: str = ""
    # Beside those of a schedule; where both name a key of nodeSelector, this one counts.
    node_selector: Labels = Field(default_factory=dict)
    tolerations: list[Toleration] = Field(default_factory=list)
    # No user or group in the pod: the platform assigns them, as OpenShift does.
    arbitrary_user: bool = False
    pod_security_context: RunSecurityContext = Field(default_factory=RunSecurityContext)
    egress: EgressConfig = Field(default_factory=EgressConfig)
    # Of each resource of which a schedule names no request, or no limit.
    default_resources: dict[str, dict[str, Quantity]] = Field(
        default_factory=lambda: {
            "requests": {"cpu": "100m", "memory": "192Mi", "ephemeral-storage": "64Mi"},
            "limits": {"memory": "768Mi", "ephemeral-storage": "512Mi"},
        }
    )
    scratch_size_limit: Quantity = "256Mi"

    @model_validator(mode="after")
    def _default_resources_fit(self) -> Self:
        if unknown := self.default_resources.keys() - {"requests", "limits"}:
            raise ValueError(f"defaultResources.{min(unknown)}: name requests or limits")
        limits = self.default_resources.get("limits", {})
        for name, amount in self.default_resources.get("requests", {}).items():
            if name in limits and parse_quantity(amount) > parse_quantity(limits[name]):
                raise ValueError(f"defaultResources.requests.{name}: more than limits.{name}")
        return self

    def pod_settings(self) -> PodSettings:
        """Converts the section for the pod template."""
        return PodSettings(
            image=self.image,
            image_pull_policy=self.image_pull_policy,
            output_claim=self.output_claim,
            default_resources=self.default_resources,
            scratch_size_limit=self.scratch_size_limit,
            image_pull_secrets=self.image_pull_secrets,
            labels=self.pod_labels,
            annotations=self.pod_annotations,
            priority_class_name=self.priority_class_name,
            node_selector=self.node_selector,
            tolerations=[toleration.to_wire() for toleration in self.tolerations],
            arbitrary_user=self.arbitrary_user,
            security_context=self.pod_security_context.model_dump(by_alias=True, exclude_none=True),
            egress_allow=tuple(self.egress.allow),
        )


class KueueConfig(_Section):
    """Whether schedules may name a LocalQueue of Kueue (spec.queueName)."""

    enabled: bool = False


class LoggingConfig(_Section):
    """Of the operator, the admin API and the runs."""

    format: LogFormat = LogFormat.JSON
    level: LogLevel = LogLevel.INFO


class TracingConfig(_Section):
    """Where traces of runs go; no author has a say in it."""

    # The base URL of a collector that speaks OTLP over HTTP, such as http://collector.otel.svc:4318.
    endpoint: str = Field(default="", max_length=300, pattern=ENDPOINT)


# Of proxies' own making: a name of HTTP's could be one that something on the way writes as well.
HeaderName = Annotated[str, StringConstraints(max_length=64, pattern=r"^[Xx](-[A-Za-z0-9]+)+$")]
HostName = Annotated[
    str,
    StringConstraints(
        max_length=253, to_lower=True, pattern=r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]{1,5})?$"
    ),
]


class ApiProxyConfig(_Section):
    """An authenticating proxy before the admin API, as oauth2-proxy is one."""

    secret: Path  # the directory where its Secret is mounted, with the key `secret`
    secret_header: HeaderName = "X-Report-Proxy-Secret"  # noqa: S105  (a name)
    user_header: HeaderName = "X-Forwarded-User"
    groups_header: HeaderName | Literal[""] = "X-Forwarded-Groups"  # separated by commas
    # Before names of users and groups, so that none is one of the cluster's own.
    prefix: str = Field(default="oidc:", max_length=64, pattern=r"^[a-z0-9][a-z0-9.-]*[:/#]$")
    hosts: list[HostName] = Field(min_length=1, max_length=20)  # as the browser's address has them

    @model_validator(mode="after")
    def _is_unambiguous(self) -> Self:
        names = [self.secret_header, self.user_header, self.groups_header]
        lower = [name.lower() for name in names if name]
        if len(set(lower)) < len(lower) or "x-on-call" in lower:
            raise ValueError(
                "secretHeader, userHeader and groupsHeader: three different ones, not X-On-Call"
            )
        if self.prefix.startswith("system"):
            raise ValueError("prefix: names that begin with system are the cluster's own")
        return self


class LineageConfig(_Section):
    """Where OpenLineage events of runs go; no author has a say in it."""

    # The whole URL that takes events, such as http://marquez.lineage.svc:5000/api/v1/lineage.
    url: str = Field(default="", max_length=300, pattern=ENDPOINT)
    # Of all jobs, and of the datasets that have no place known outside of the cluster.
    namespace: str = Field(
        default="report-scheduler", max_length=200, pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/-]*$"
    )


class HistoryConfig(_Section):
    """Finished Jobs that stay for `kubectl logs`, and outcomes that stay in status."""

    keep_succeeded_jobs: int = Field(default=3, ge=0, le=20)
    keep_failed_jobs: int = Field(default=5, ge=0, le=20)
    keep_outcomes: int = Field(default=20, ge=1, le=50)
    # In Postgres; 0 keeps them for ever.
    retention_days: int = Field(default=400, ge=0)


class NamespaceTeam(_Section):
    """Whom the alerts of a namespace are for."""

    team: TeamName
    # What else its schedules may have as the annotation reports.adaf.io/owner, to be told instead.
    owners: list[TeamName] = Field(default_factory=list, max_length=50)


class OperatorConfig(_Section):
    """Times are in seconds."""

    runner: RunnerConfig
    admission: AdmissionConfig = Field(default_factory=AdmissionConfig)
    kueue: KueueConfig = Field(default_factory=KueueConfig)
    history: HistoryConfig = Field(default_factory=HistoryConfig)
    logging: LoggingConfig = Field(default_factory=LoggingConfig)
    tracing: TracingConfig = Field(default_factory=TracingConfig)
    lineage: LineageConfig = Field(default_factory=LineageConfig)
    # Names of Secrets that a run may mount, as shell patterns: an allowlist.
    allowed_secrets: list[str] = Field(default_factory=lambda: ["report-*"])
    # By namespace; without an entry the team has the namespace's name.
    teams: dict[str, NamespaceTeam] = Field(default_factory=dict)
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
    # So long after a leader's last word another one leads; a leader that cannot renew for two
    # thirds of it ends. With 10, admission goes on within 15 s after a leader was killed.
    lease_seconds: int = Field(default=10, ge=5)
    health_port: int = Field(default=8080, ge=0, le=65535)
    metrics_port: int = Field(default=9090, ge=0, le=65535)
    # Whose headers the admin API believes, and on what condition; absent: nobody's.
    api_proxy: ApiProxyConfig | None = None
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

    def team_names(self) -> Teams:
        """Converts the section for the domain."""
        return Teams(
            {
                name: NamespaceTeams(own.team, frozenset(own.owners))
                for name, own in self.teams.items()
            }
        )

    def pod_settings(self) -> PodSettings:
        """Converts what concerns the pods of runs for their template."""
        logging, usual = self.logging, LoggingConfig()
        return replace(
            self.runner.pod_settings(),
            log_format="" if logging.format is usual.format else logging.format.value,
            log_level="" if logging.level is usual.level else logging.level.value,
            otlp_endpoint=self.tracing.endpoint,
        )

    def admission_limits(self) -> AdmissionLimits:
        """Converts the section for the domain."""
        admission = self.admission
        share = admission.max_active_per_namespace
        if share is None:
            alone = len(self.watch_namespaces) == 1
            share = admission.max_active if alone else (admission.max_active + 1) // 2
        return AdmissionLimits(
            overall=admission.max_active,
            per_tier={tier.value: most for tier, most in admission.max_active_per_tier.items()},
            headroom=admission.backfill_headroom,
            policy=NamespacePolicy(
                share, admission.highest_tier.value, admission.highest_priority.value
            ),
            namespaces={
                name: NamespacePolicy(
                    own.max_active or share,
                    (own.highest_tier or admission.highest_tier).value,
                    (own.highest_priority or admission.highest_priority).value,
                )
                for name, own in admission.namespaces.items()
            },
        )


def load_config(path: Path) -> OperatorConfig:
    """Reads the YAML file. Raises ConfigError with each invalid field."""
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
