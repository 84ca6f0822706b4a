"""The pod template of runs: the author's choices within the platform engineer's limits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from report_operator.api.v1alpha1.placement import ResourceRequirements, parse_quantity
from report_operator.api.v1alpha1.spec import ReportScheduleSpec
from report_operator.domain import names
from report_runner.contract import pod as podcontract
from report_runner.contract.model import parse_duration

Body = dict[str, Any]
Resources = dict[str, dict[str, str]]

CONTAINER = "report"
RUNNER_USER = 65532
GRACE_SECONDS = 30


@dataclass(frozen=True, slots=True)
class PodSettings:
    """The platform engineer's settings for the pods of runs."""

    image: str
    image_pull_policy: str
    output_claim: str
    default_resources: Mapping[str, Mapping[str, str]]
    scratch_size_limit: str
    image_pull_secrets: Sequence[str] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    priority_class_name: str = ""
    node_selector: Mapping[str, str] = field(default_factory=dict)
    tolerations: Sequence[Body] = ()
    arbitrary_user: bool = False  # the platform chooses user and group, as OpenShift does
    security_context: Mapping[str, Any] = field(default_factory=dict)  # of the pod; it counts
    egress_allow: Sequence[str] = ()
    log_format: str = ""  # as usual
    log_level: str = ""
    otlp_endpoint: str = ""  # of the collector of traces

    def variables(self) -> dict[str, str]:
        """What the pod is told of the operator's configuration, where it is not as usual."""
        found = {
            podcontract.ENV_EGRESS_ALLOW: ",".join(self.egress_allow),
            podcontract.ENV_LOG_FORMAT: self.log_format,
            podcontract.ENV_LOG_LEVEL: self.log_level,
            podcontract.ENV_OTLP_ENDPOINT: self.otlp_endpoint,
        }
        return {name: value for name, value in found.items() if value}


def pod_template(
    spec: ReportScheduleSpec,
    labels: Mapping[str, str],
    definition: str,
    digest: str,
    secrets: Sequence[str],
    settings: PodSettings,
) -> Body:
    """Has every field that the API server would default: a live one can be compared exactly.

    `definition` and `digest` are the ConfigMap's name and the SHA-256 of its content.
    """
    metadata: Body = {"labels": {**settings.labels, **labels}}
    if settings.annotations:
        metadata["annotations"] = dict(settings.annotations)
    pod: Body = {
        "restartPolicy": "Never",
        "activeDeadlineSeconds": int(parse_duration(spec.timeout) / timedelta(seconds=1)),
        "terminationGracePeriodSeconds": GRACE_SECONDS,
        "dnsPolicy": "ClusterFirst",
        "schedulerName": "default-scheduler",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": _security_context(settings),
        "containers": [
            {
                "name": CONTAINER,
                "image": settings.image,
                "imagePullPolicy": settings.image_pull_policy,
                "command": ["report-generator", "run"],
                "env": _environment(digest, settings),
                "resources": run_resources(spec.resources, settings.default_resources),
                "terminationMessagePath": podcontract.TERMINATION_LOG,
                "terminationMessagePolicy": "FallbackToLogsOnError",
                "securityContext": {
                    "allowPrivilegeEscalation": False,
                    "readOnlyRootFilesystem": True,
                    "capabilities": {"drop": ["ALL"]},
                },
                "volumeMounts": _mounts(secrets),
            }
        ],
        "volumes": _volumes(definition, secrets, settings),
    }
    if settings.image_pull_secrets:
        pod["imagePullSecrets"] = [{"name": name} for name in settings.image_pull_secrets]
    if settings.priority_class_name:
        pod["priorityClassName"] = settings.priority_class_name
    # The platform engineer's keys count: an author may narrow the choice of nodes, not leave it.
    if node_selector := {**spec.node_selector, **settings.node_selector}:
        pod["nodeSelector"] = node_selector
    tolerations = [
        *(dict(toleration) for toleration in settings.tolerations),
        *(toleration.to_wire() for toleration in spec.tolerations),
    ]
    if tolerations:
        pod["tolerations"] = tolerations
    return {"metadata": metadata, "spec": pod}


def run_resources(
    asked: ResourceRequirements | None, default: Mapping[str, Mapping[str, str]]
) -> Resources:
    """The author's amounts; the default for each that he does not name.

    So no run is without a limit that the platform engineer has set. A default gives way to the
    author's other amount of the same resource: a request is never more than its limit.
    """
    wire = asked.to_wire() if asked else {}
    requests: dict[str, str] = {**default.get("requests", {}), **wire.get("requests", {})}
    limits: dict[str, str] = {**default.get("limits", {}), **wire.get("limits", {})}
    for name in requests.keys() & limits.keys():
        if parse_quantity(requests[name]) > parse_quantity(limits[name]):
            if name in wire.get("requests", {}):
                limits[name] = requests[name]
            else:
                requests[name] = limits[name]
    found = {"requests": requests, "limits": limits}
    return {kind: amounts for kind, amounts in found.items() if amounts}


def _security_context(settings: PodSettings) -> Body:
    context: Body = {
        "runAsNonRoot": True,
        "fsGroupChangePolicy": "OnRootMismatch",
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    if not settings.arbitrary_user:
        context |= dict.fromkeys(("runAsUser", "runAsGroup", "fsGroup"), RUNNER_USER)
    return {**context, **settings.security_context}


def _environment(digest: str, settings: PodSettings) -> list[Body]:
    stamped = {
        podcontract.ENV_SLOT: names.ANNOTATION_SLOT,
        podcontract.ENV_REPORT_DATE: names.ANNOTATION_REPORT_DATE,
        podcontract.ENV_DUE_AT: names.ANNOTATION_DUE_AT,
        podcontract.ENV_RUN_ID: names.ANNOTATION_RUN_ID,
        podcontract.ENV_ATTEMPT: names.ANNOTATION_ATTEMPT,
        podcontract.ENV_RESEND: names.ANNOTATION_RESEND,
    }
    paths = {
        variable: f"metadata.annotations['{annotation}']"
        for variable, annotation in stamped.items()
    }
    paths[podcontract.ENV_POD_NAME] = "metadata.name"
    paths[podcontract.ENV_NAMESPACE] = "metadata.namespace"
    return [
        {"name": podcontract.ENV_DEFINITION_SHA256, "value": digest},
        *(
            {"name": variable, "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": path}}}
            for variable, path in paths.items()
        ),
        *({"name": name, "value": value} for name, value in settings.variables().items()),
    ]


def _mounts(secrets: Sequence[str]) -> list[Body]:
    return [
        {"name": "definition", "mountPath": podcontract.DEFINITION_DIR, "readOnly": True},
        {"name": "output", "mountPath": podcontract.OUTPUT_DIR},
        {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108  (an emptyDir of the pod's own)
        *(
            {
                "name": f"secret-{number}",
                "mountPath": f"{podcontract.SECRETS_DIR}/{secret}",
                "readOnly": True,
            }
            for number, secret in enumerate(secrets)
        ),
    ]


def _volumes(definition: str, secrets: Sequence[str], settings: PodSettings) -> list[Body]:
    return [
        {"name": "definition", "configMap": {"name": definition, "defaultMode": 0o644}},
        {"name": "output", "persistentVolumeClaim": {"claimName": settings.output_claim}},
        {"name": "tmp", "emptyDir": {"sizeLimit": settings.scratch_size_limit}},
        *(
            {"name": f"secret-{number}", "secret": {"secretName": secret, "defaultMode": 0o440}}
            for number, secret in enumerate(secrets)
        ),
    ]
