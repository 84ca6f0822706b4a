"""Failure causes as a table: how each is caused, what it has to be called, and what mends it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from hack.testbed.waiting import wait_for
from report_runner.contract.reasons import Reason
from tests.e2e.conftest import SECONDS, Team, kubectl

ROOT = Path(__file__).resolve().parents[2]
API = "http://api.demo.svc:8080/v1/"
IMPOSSIBLE = {"requests": {"cpu": "900"}}  # a pod that no node takes
ABSENT_IMAGE = "localhost/adaf-no-such-image:1"


@dataclass(frozen=True)
class Scene:
    """Three namespaces: a volume is one of a namespace, and two causes need another one."""

    team: Team
    small: Team  # its report volume has 1 MiB
    roving: Team  # its report volume is on no certain node

    @property
    def teams(self) -> tuple[Team, ...]:
        return (self.team, self.small, self.roving)


@dataclass(frozen=True)
class Cause:
    """`name` is the schedule's; `says` has to be in the message."""

    name: str
    reason: Reason
    says: tuple[str, ...]
    spec: Callable[[Scene], dict[str, Any]]
    prepare: Callable[[Scene], None] | None = None
    mend: Callable[[Scene], None] | None = None
    starts: bool = True  # False: it is told while the run still tries to start
    place: str = "team"  # attribute of Scene

    def where(self, scene: Scene) -> Team:
        found: Team = getattr(scene, self.place)
        return found

    @property
    def job(self) -> str:
        return f"{self.name}-1"


def report(source: dict[str, Any], **more: Any) -> dict[str, Any]:
    """`spec` whose report has this one source."""
    return {
        "report": {
            "title": "A test",
            "sources": [{"name": "facts", **source}],
            "template": {"builtin": "executive_dashboard"},
            "formats": ["csv"],
            **more,
        }
    }


INLINE = {"inline": {"rows": [{"a": 1, "b": "x"}]}}


def _sql(kind: str, secret: str, query: str) -> dict[str, Any]:
    return {kind: {"connection": {"secretRef": {"name": secret}}, "query": query}}


def _http(name: str) -> dict[str, Any]:
    auth = {"bearer": {"secretRef": {"name": "report-api"}}}
    return {"http": {"url": API + name, "auth": auth, "rows": "data.items"}}


def _example(name: str) -> dict[str, Any]:
    """`report` and the like of an example of the docs."""
    text = (ROOT / "docs" / "examples" / name / "schedule.yaml").read_text()
    spec: dict[str, Any] = yaml.safe_load(text)["spec"]
    return {key: spec[key] for key in ("report", "retry", "timeZone") if key in spec}


def _copy_server(team: Team, name: str, port: int) -> None:
    """A server of the demo, stopped, under the same name in the team's namespace."""
    found = json.loads(kubectl("-n", "demo", "get", "deploy", name, "-o", "json"))
    service = {"selector": {"app": name}, "ports": [{"port": port}]}
    for version, kind, spec in (
        ("apps/v1", "Deployment", {**found["spec"], "replicas": 0}),
        ("v1", "Service", service),
    ):
        body = {"apiVersion": version, "kind": kind, "metadata": {"name": name}, "spec": spec}
        team.apply_manifest(body)


def _start_server(name: str) -> Callable[[Scene], None]:
    def start(scene: Scene) -> None:
        scene.team.kubectl("scale", f"deployment/{name}", "--replicas=1")

    return start


def _stopped_postgres(scene: Scene) -> None:
    team = scene.team
    found = json.loads(kubectl("-n", "demo", "get", "configmap", "market-data", "-o", "json"))
    keep = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "market-data"}}
    team.apply_manifest({**keep, "data": found["data"]})
    team.copy_secret("demo-passwords", of="demo")
    _copy_server(team, "postgres", 5432)
    team.copy_secret("report-db", to="report-stopped", host=f"postgres.{team.namespace}.svc")


def _stopped_mariadb(scene: Scene) -> None:
    team = scene.team
    image = kubectl(
        "-n", "demo", "get", "deploy", "api",
        "-o", "jsonpath={.spec.template.spec.containers[0].image}",
    )  # fmt: skip
    text = (ROOT / "hack" / "demo" / "mariadb.yaml").read_text().replace("IMAGE-SOURCES", image)
    team.kubectl("apply", "--server-side", "-f", "-", text=text)
    team.secret("mariadb", {"reader": "reader-of-shop"})
    host = f"mariadb.{team.namespace}.svc"
    url = f"mysql+pymysql://reader:reader-of-shop@{host}:3306/shop"
    team.secret("report-shop", {"url": url})


def _maintenance(scene: Scene, *, on: bool) -> None:
    path = "/tmp/maintenance/iowa-electricity"
    script = f"mkdir -p {path}" if on else f"rmdir {path}"
    kubectl("-n", "demo", "exec", "deploy/api", "--", "sh", "-c", script)


def _put_object(scene: Scene) -> None:
    path = f"/var/lib/demo/s3/archive/{scene.team.namespace}.ndjson"
    script = f"""echo '{{"a": 1}}' >{path}"""
    kubectl("-n", "demo", "exec", "deploy/s3", "--", "sh", "-c", script)


def _missing_object(scene: Scene) -> dict[str, Any]:
    where = {"endpoint": "http://s3.demo.svc:8080", "bucket": "archive", "format": "ndjson"}
    key = f"{scene.team.namespace}.ndjson"
    return report({"object": {**where, "key": key, "secretRef": {"name": "report-s3"}}})


def _email(*recipients: str) -> dict[str, Any]:
    smtp = {"secretRef": {"name": "report-smtp"}}
    return {"delivery": {"email": {"to": list(recipients), "smtp": smtp, "attach": ["csv"]}}}


def _absent_image(scene: Scene) -> None:
    """A policy of the cluster that rewrites images, as one for a private registry does."""
    name = f"images-{scene.team.namespace}"
    pods = {
        "apiGroups": [""],
        "apiVersions": ["v1"],
        "operations": ["CREATE"],
        "resources": ["pods"],
    }
    changed = f'Object.spec.containers{{name: "report", image: "{ABSENT_IMAGE}"}}'
    expression = f"Object{{spec: Object.spec{{containers: [{changed}]}}}}"
    label = {"kubernetes.io/metadata.name": scene.team.namespace}
    policy = {
        "matchConstraints": {
            "resourceRules": [pods],
            "namespaceSelector": {"matchLabels": label},
            "objectSelector": {"matchLabels": {"reports.adaf.io/schedule": "image"}},
        },
        "failurePolicy": "Fail",
        "reinvocationPolicy": "Never",
        "mutations": [
            {
                "patchType": "ApplyConfiguration",
                "applyConfiguration": {"expression": expression},
            }
        ],
    }
    for kind, spec in (
        ("MutatingAdmissionPolicy", policy),
        ("MutatingAdmissionPolicyBinding", {"policyName": name}),
    ):
        body = {"apiVersion": "admissionregistration.k8s.io/v1", "kind": kind, "spec": spec}
        kubectl(
            "apply", "--server-side", "-f", "-",
            text=json.dumps({**body, "metadata": {"name": name}}),
        )  # fmt: skip


def _ghost_node(scene: Scene) -> None:
    """A node without a kubelet: nothing else on one machine can be lost."""
    name = ghost_name(scene)
    taint = {"key": "example.com/ghost", "value": name, "effect": "NoSchedule"}
    labels = {"kubernetes.io/hostname": name}
    node = {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": labels},
        "spec": {"taints": [taint]},
    }
    kubectl("create", "-f", "-", text=json.dumps(node))
    amounts = {"cpu": "4", "memory": "8Gi", "ephemeral-storage": "20Gi", "pods": "10"}
    ready = {"type": "Ready", "status": "True", "reason": "KubeletReady", "message": "for a test"}
    status = {"status": {"capacity": amounts, "allocatable": amounts, "conditions": [ready]}}
    kubectl("patch", "node", name, "--subresource=status", "--type=merge", "-p", json.dumps(status))


def ghost_name(scene: Scene) -> str:
    return f"ghost-{scene.roving.namespace}"


def lose_node(scene: Scene, cause: Cause) -> None:
    """Writes of the pod what a kubelet writes that no longer finds its container."""
    team = cause.where(scene)
    selector = f"-ljob-name={cause.job}"

    def bound() -> dict[str, Any] | None:
        pods = json.loads(team.kubectl("get", "pods", selector, "-o", "json"))["items"]
        return next((pod for pod in pods if pod["spec"].get("nodeName")), None)

    pod = wait_for(
        "a pod on the node", bound, SECONDS, lambda: team.kubectl("describe", "pods", check=False)
    )
    assert pod is not None
    (container,) = pod["spec"]["containers"]
    ended = {
        "exitCode": 137,
        "reason": "ContainerStatusUnknown",
        "message": "The container could not be located when the pod was terminated",
    }
    told = {
        "name": container["name"], "image": container["image"], "imageID": "", "ready": False,
        "restartCount": 0, "state": {"terminated": ended},
    }  # fmt: skip
    status = {"status": {"phase": "Failed", "containerStatuses": [told]}}
    team.kubectl(
        "patch", "pod", pod["metadata"]["name"], "--subresource=status", "--type=merge",
        "-p", json.dumps(status),
    )  # fmt: skip


LARGE = {"inline": {"rows": [{"text": "x" * 900, "number": n} for n in range(900)]}}

CAUSES = (
    Cause(
        "postgres", Reason.DATABASE_UNAVAILABLE, ("postgres.", "5432", "report-stopped"),
        lambda _: report(_sql("postgres", "report-stopped", "SELECT count(*) AS n FROM stocks")),
        _stopped_postgres, _start_server("postgres"),
    ),
    Cause(
        "mariadb", Reason.DATABASE_UNAVAILABLE, ("mariadb.", "3306"),
        lambda _: report(_sql("sql", "report-shop", "SELECT sum(amount) AS total FROM orders"))
        | {"timeZone": "Etc/UTC"},
        _stopped_mariadb, _start_server("mariadb"),
    ),
    Cause(
        "http-503", Reason.EXTERNAL_SOURCE_UNAVAILABLE, ("api.demo.svc", "503"),
        lambda _: report(_http("iowa-electricity")),
        lambda scene: _maintenance(scene, on=True), lambda scene: _maintenance(scene, on=False),
    ),
    Cause(
        "http-404", Reason.CONFIGURATION_ERROR, ("spec.report.sources[facts].http", "404"),
        lambda _: report(_http("nothing-here")),
    ),
    Cause(
        "object", Reason.EXTERNAL_SOURCE_UNAVAILABLE, ("bucket archive has no object",),
        _missing_object, None, _put_object,
    ),
    Cause(
        # The figures are counted in test_examples.py.
        "check", Reason.DATA_CHECK_FAILED,
        ("jumps: expected change_percent of −40 to 40", "8 rows break it", "-check-jumps.csv"),
        lambda _: _example("price-jumps"),
    ),
    Cause(
        "not-ready", Reason.DATA_NOT_READY,
        ("source facts has 1 row, and `facts | length > 1` is not true",),
        lambda _: report(
            INLINE,
            waitFor={
                "source": "facts", "until": "facts | length > 1", "every": "1m", "deadline": "1m",
            },
        ) | {"retry": {"limit": 3}},
    ),
    Cause(
        "empty", Reason.EMPTY_REPORT, ("allowEmpty",),
        lambda _: report(_sql("postgres", "report-db", "SELECT day FROM stocks WHERE false")),
    ),
    Cause(
        "memory", Reason.RESOURCE_EXHAUSTED, ("12Mi", "spec.resources.limits.memory"),
        lambda _: report(INLINE)
        | {"resources": {"limits": {"memory": "12Mi"}, "requests": {"memory": "12Mi"}}},
    ),
    Cause(
        "disk", Reason.STORAGE_UNAVAILABLE, ("full",),
        lambda _: report(LARGE, formats=["csv", "html"]), place="small",
    ),
    Cause(
        "queue", Reason.QUEUE_TIMEOUT, ("purged from the queue",),
        lambda _: report(INLINE) | {"resources": IMPOSSIBLE, "concurrencyPolicy": "Forbid"},
    ),
    Cause(
        "image", Reason.IMAGE_UNAVAILABLE, (ABSENT_IMAGE,),
        lambda _: report(INLINE), _absent_image, starts=False,
    ),
    Cause(
        "node", Reason.NODE_LOST, ("the node lost the container",),
        lambda scene: report(INLINE)
        | {
            "nodeSelector": {"kubernetes.io/hostname": ghost_name(scene)},
            "tolerations": [
                {"key": key, "operator": "Exists"}
                for key in (
                    "example.com/ghost", "node.kubernetes.io/not-ready",
                    "node.kubernetes.io/unreachable",
                )
            ],
        },
        _ghost_node, place="roving",
    ),
    Cause(
        "mail", Reason.DELIVERY_FAILED, ("nobody@example.com", "550", "no such mailbox"),
        lambda _: report(INLINE) | _email("board@example.com", "nobody@example.com"),
    ),
)  # fmt: skip
