"""The chart against a real API server: acceptance, and the effect of its roles and policy."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from hack.testbed.waiting import wait_for
from tests.support.chart import API, CRDS, FULL, NAME, RELEASE, Values, helm_template, run

OPERATOR = f"system:serviceaccount:{RELEASE}:{NAME}"
ADMIN_API = f"system:serviceaccount:{RELEASE}:{API}"
Kubectl = Callable[..., str]


@pytest.fixture(scope="module", autouse=True)
def installed(kubectl: Kubectl) -> None:
    """Fails where the chart is not installed."""
    found = kubectl("-n", RELEASE, "get", "serviceaccount", NAME, "--ignore-not-found")
    assert found, "the chart is not installed: make up"


# -- the objects --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["default", "full", "small"])
def test_the_api_server_accepts_it(name: str, namespace: str) -> None:
    values: dict[str, Values] = {
        "default": {"teamNamespaces": [namespace]},
        "full": {**FULL, "teamNamespaces": [namespace]},
        "small": {
            "crds": {"install": False},
            "config": {"watchNamespaces": [namespace]},
            "postgres": {"enabled": False},
            "redis": {"enabled": False},
        },
    }
    rendered = helm_template(values[name], release="chart-test", namespace=namespace)
    assert rendered.code == 0, rendered.err
    objects = [found for found in yaml.safe_load_all(rendered.out) if found]
    for found in objects:
        if found["kind"] == "Pod":  # of helm test: its account is another of these objects
            del found["spec"]["serviceAccountName"]
    done = run(
        "kubectl", "apply", "--dry-run=server", "--validate=strict", "--server-side",
        "--force-conflicts", "-o", "json", "-f", "-",
        text="".join(f"---\n{json.dumps(found)}\n" for found in objects),
    )  # fmt: skip
    assert done.code == 0, done.err
    assert "Warning" not in done.err
    assert len(json.loads(done.out)["items"]) == len(objects)


def test_a_pod_security_violation_would_have_been_a_warning(namespace: str) -> None:
    """Shows that silence in the test above means something."""
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "any", "namespace": namespace},
        "spec": {"containers": [{"name": "any", "image": "any"}]},
    }
    done = run("kubectl", "apply", "--dry-run=server", "-f", "-", text=json.dumps(pod))
    assert "violates PodSecurity" in done.err


# -- the operator's permissions -----------------------------------------------------------------


def may(kubectl: Kubectl, user: str, verb: str, resource: str, namespace: str) -> bool:
    """The authorizer's answer; `pods:log` is a subresource, `pods/log` the pod of this name."""
    place = ["-A"] if namespace == "*" else ["-n", namespace]
    resource, _, sub = resource.partition(":")
    place += [f"--subresource={sub}"] if sub else []
    answer = kubectl("auth", "can-i", verb, resource, f"--as={user}", *place, check=False)
    last = answer.strip().splitlines()[-1].split()[0]
    assert last in {"yes", "no"}, answer
    return last == "yes"


@pytest.mark.parametrize(
    ("verbs", "resource", "place"),
    [
        ("list watch", "reportschedules.reports.adaf.io", "*"),
        ("update patch", "reportschedules.reports.adaf.io:status", "*"),
        ("get list watch", "reportbackfills.reports.adaf.io", "*"),
        ("update patch", "reportbackfills.reports.adaf.io:status", "*"),
        ("get list watch create patch", "cronjobs.batch", "*"),
        ("patch", "cronjobs.batch:status", "*"),
        ("list watch create patch delete", "jobs.batch", "*"),
        ("list watch", "pods", "*"),
        ("get", "pods:log", "*"),
        ("get list create delete", "configmaps", "*"),
        ("list create", "events", "*"),
        ("create", "leases.coordination.k8s.io", RELEASE),
        ("get patch", f"leases.coordination.k8s.io/{NAME}", RELEASE),
    ],
)
def test_the_operator_may(kubectl: Kubectl, verbs: str, resource: str, place: str) -> None:
    assert [v for v in verbs.split() if not may(kubectl, OPERATOR, v, resource, place)] == []


@pytest.mark.parametrize(
    ("verbs", "resource", "place"),
    [
        ("get list watch create update patch delete", "secrets", "TEAM"),
        ("get list", "secrets", RELEASE),
        ("create update patch delete", "pods", "TEAM"),
        ("create", "pods:exec", "TEAM"),
        ("create update patch delete", "reportschedules.reports.adaf.io", "TEAM"),
        ("create update patch delete", "reportbackfills.reports.adaf.io", "TEAM"),
        ("update patch", "configmaps", "TEAM"),
        ("delete", "cronjobs.batch", "TEAM"),
        ("create", "serviceaccounts:token", "TEAM"),
        ("create patch", "rolebindings.rbac.authorization.k8s.io", "TEAM"),
        ("create", "leases.coordination.k8s.io", "TEAM"),
        ("get patch", "leases.coordination.k8s.io/another", RELEASE),
        ("patch delete", "customresourcedefinitions.apiextensions.k8s.io", "*"),
        ("get list", "nodes", "*"),
    ],
)
def test_the_operator_may_not(
    kubectl: Kubectl, namespace: str, verbs: str, resource: str, place: str
) -> None:
    place = namespace if place == "TEAM" else place
    assert [v for v in verbs.split() if may(kubectl, OPERATOR, v, resource, place)] == []


@pytest.mark.parametrize(
    ("verbs", "resource", "place"),
    [
        ("get list watch", "reportschedules.reports.adaf.io", "*"),
        ("get list create", "reportbackfills.reports.adaf.io", "*"),
        ("get", "cronjobs.batch", "*"),
        ("get list watch create patch", "jobs.batch", "*"),
        ("list", "pods", "*"),
        ("get", "pods:log", "*"),
        ("create", "events", "*"),
        ("get patch", f"leases.coordination.k8s.io/{NAME}", RELEASE),
        ("get patch", f"configmaps/{NAME}-requests", RELEASE),
        ("list", "replicasets.apps", RELEASE),
    ],
)
def test_the_admin_api_may(kubectl: Kubectl, verbs: str, resource: str, place: str) -> None:
    assert [v for v in verbs.split() if not may(kubectl, ADMIN_API, v, resource, place)] == []


@pytest.mark.parametrize(
    ("verbs", "resource", "place"),
    [
        ("get list watch create update patch delete", "secrets", "TEAM"),
        ("get list create delete", "configmaps", "TEAM"),
        ("create update patch delete", "pods", "TEAM"),
        ("create", "pods:exec", "TEAM"),
        ("create patch delete", "cronjobs.batch", "TEAM"),
        ("delete", "jobs.batch", "TEAM"),
        ("update patch", "reportschedules.reports.adaf.io:status", "TEAM"),
        ("create", "leases.coordination.k8s.io", RELEASE),
    ],
)
def test_the_admin_api_may_not(
    kubectl: Kubectl, namespace: str, verbs: str, resource: str, place: str
) -> None:
    place = namespace if place == "TEAM" else place
    assert [v for v in verbs.split() if may(kubectl, ADMIN_API, v, resource, place)] == []


def test_the_crds_would_outlive_the_release(kubectl: Kubectl) -> None:
    for path in CRDS:
        name = yaml.safe_load(path.read_text())["metadata"]["name"]
        live = json.loads(kubectl("get", "crd", name, "-o", "json"))["metadata"]
        assert live["annotations"]["helm.sh/resource-policy"] == "keep"
        assert live["annotations"]["meta.helm.sh/release-name"] == RELEASE
    manifest = run("helm", "get", "manifest", RELEASE, "--namespace", RELEASE)
    assert manifest.code == 0, manifest.err
    kept = [
        found["kind"]
        for found in yaml.safe_load_all(manifest.out)
        if found["metadata"].get("annotations", {}).get("helm.sh/resource-policy") == "keep"
    ]
    assert sorted(set(kept)) == [
        "CustomResourceDefinition",
        "PersistentVolumeClaim",
        "Secret",
        "ValidatingAdmissionPolicy",
        "ValidatingAdmissionPolicyBinding",
    ]


# -- the policy on Secrets ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def author(kubectl: Kubectl, namespace: str) -> str:
    """A user who may write ReportSchedules in the namespace, and read no Secret."""
    name = f"author-{namespace}"
    kubectl(
        "-n", namespace, "create", "role", "author", "--verb=get,create,patch,delete",
        "--resource=reportschedules.reports.adaf.io",
    )  # fmt: skip
    kubectl("-n", namespace, "create", "rolebinding", "author", "--role=author", f"--user={name}")
    resource = "reportschedules.reports.adaf.io"
    wait_for("the author may write", lambda: may(kubectl, name, "create", resource, namespace), 30)
    assert not may(kubectl, name, "get", "secrets", namespace)
    return name


def allow(kubectl: Kubectl, namespace: str, author: str, *secrets: str) -> None:
    """Let the author read these Secrets, or all without names."""
    role = f"reader-{'-'.join(secrets) or 'all'}"
    named = [f"--resource-name={name}" for name in secrets]
    kubectl("-n", namespace, "create", "role", role, "--verb=get", "--resource=secrets", *named)
    kubectl("-n", namespace, "create", "rolebinding", role, f"--role={role}", f"--user={author}")
    probe = f"secrets/{secrets[0]}" if secrets else "secrets"
    wait_for("the author may read", lambda: may(kubectl, author, "get", probe, namespace), 30)


def schedule(*databases: str, mail: str = "") -> str:
    """A manifest that names these Secrets."""
    sources: list[dict[str, Any]] = [{"name": "facts", "inline": {"rows": [{"a": 1}]}}]
    sources += [
        {
            "name": f"rows_{number}",
            "postgres": {"connection": {"secretRef": {"name": name}}, "query": "SELECT 1"},
        }
        for number, name in enumerate(databases)
    ]
    spec: dict[str, Any] = {
        "reportType": "executive_dashboard",
        "schedule": "0 0 1 1 *",
        "timeZone": "Europe/Madrid",
        "suspend": True,
        "report": {
            "title": "A test",
            "sources": sources,
            "template": {"builtin": "executive_dashboard"},
        },
    }
    if mail:
        smtp = {"secretRef": {"name": mail}}
        spec["delivery"] = {"email": {"to": ["a@example.com"], "smtp": smtp}}
    meta = {"name": "any"}
    kind = {"apiVersion": "reports.adaf.io/v1alpha1", "kind": "ReportSchedule"}
    return json.dumps({**kind, "metadata": meta, "spec": spec})


@pytest.fixture
def write(kubectl: Kubectl, namespace: str, author: str) -> Callable[..., str]:
    """Apply as the author; kubectl's output."""

    def call(text: str, *flags: str) -> str:
        arguments = ["-n", namespace, f"--as={author}", "apply", *flags, "-f", "-"]
        return kubectl(*arguments, text=text, check=False)

    return call


DRY = "--dry-run=server"


def test_secrets_need_an_author_who_may_read_them(
    kubectl: Kubectl, namespace: str, author: str, write: Callable[..., str]
) -> None:
    def refused(answer: str, secret: str) -> bool:
        words = f"you may not read the Secret {secret} of namespace {namespace}"
        return "Forbidden" in answer and words in answer

    assert "created" in write(schedule(), DRY)
    assert refused(write(schedule("report-db"), DRY), "report-db")
    assert refused(write(schedule(mail="report-smtp"), DRY), "report-smtp")
    assert "reportschedules" not in kubectl("-n", namespace, "get", "reportschedules", "-o", "name")

    allow(kubectl, namespace, author, "report-db")
    assert "created" in write(schedule("report-db"))
    assert refused(write(schedule("report-db", mail="report-smtp")), "report-smtp")
    assert refused(write(schedule("report-db", "report-other")), "report-other")

    allow(kubectl, namespace, author, "report-smtp")
    assert "configured" in write(schedule("report-db", "report-db", mail="report-smtp"))


def test_the_operator_writes_status_without_reading_secrets(
    kubectl: Kubectl, namespace: str
) -> None:
    """The operator may read none, and the policy must not refuse its writes."""
    kubectl("-n", namespace, "apply", "-f", "-", text=schedule("report-unreadable"))
    status = f"/apis/reports.adaf.io/v1alpha1/namespaces/{namespace}/reportschedules/any/status"

    def written() -> str:
        live = json.loads(kubectl("-n", namespace, "get", "reportschedule", "any", "-o", "json"))
        text = json.dumps({**live, "status": {**live.get("status", {}), "consecutiveFailures": 7}})
        replace = ["replace", f"--as={OPERATOR}", "--raw", status, "-f", "-"]
        answer = kubectl(*replace, text=text, check=False)
        return "" if "Conflict" in answer else answer  # an operator that runs was faster

    answer = json.loads(wait_for("no conflict", written, 30))
    assert answer["status"]["consecutiveFailures"] == 7


def test_many_secrets_need_the_permission_to_read_all(
    kubectl: Kubectl, namespace: str, author: str, write: Callable[..., str]
) -> None:
    names = [f"report-{number}" for number in range(9)]
    allow(kubectl, namespace, author, *names)
    assert "Forbidden" not in write(schedule(*names[:8]), DRY)
    assert "more than 8 different Secrets" in write(schedule(*names), DRY)
    allow(kubectl, namespace, author)
    assert "Forbidden" not in write(schedule(*names), DRY)
