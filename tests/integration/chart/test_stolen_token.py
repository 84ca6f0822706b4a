"""What a thief of the operator's or the admin API's token can do, on a real API server.

The operator itself works under its token first, so that what is refused afterwards is not refused
for want of a working policy; each vector differs in one thing from what the operator may do.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from hack.testbed.apiserver import Answer, ApiServer
from hack.testbed.controlplane import ControlPlane, control_plane
from hack.testbed.namespace import MERGE
from hack.testbed.operator import OperatorProcess
from hack.testbed.waiting import wait_for
from report_operator.api.v1alpha1.spec import Priority
from report_operator.domain.runs.attempts import Attempt, job_of_attempt
from report_operator.domain.runs.verification import VerificationTarget, job_of_verification
from report_operator.domain.schedules.desired import job_for_slot
from report_runner.contract.pod import (
    ENV_EGRESS_ALLOW,
    ENV_LOG_FORMAT,
    ENV_LOG_LEVEL,
    ENV_OTLP_ENDPOINT,
)
from tests.support.chart import API, CHART, NAME, RELEASE, helm_at, run

Body = dict[str, Any]
TEAM, OTHER = "team", "other"
BATCH = "/apis/batch/v1"
RBAC = "/apis/rbac.authorization.k8s.io/v1"
UID = "reports.adaf.io/schedule-uid"
APPLY = "application/apply-patch+yaml"
JSON_PATCH = "application/json-patch+json"
SLOT = datetime(2026, 1, 1, tzinfo=UTC)
# All that puts something into the pods of runs: what the operator makes of it the policies let by.
VALUES: Body = {
    "teamNamespaces": [TEAM],
    "imagePullSecrets": [{"name": "pull"}],
    "config": {
        "allowedSecrets": ["report-*", "db[0-9]"],
        "runner": {
            "podLabels": {"team": "a"},
            "podAnnotations": {"note": "b"},
            "priorityClassName": "reports",
            "nodeSelector": {"pool": "reports"},
            "tolerations": [{"key": "pool", "operator": "Exists"}],
            "egress": {"allow": ["10.1.0.0/16"]},
        },
        "logging": {"format": "text", "level": "debug"},
        "tracing": {"endpoint": "http://127.0.0.1:9/collector"},
        "lineage": {"url": "http://127.0.0.1:9/lineage"},
    },
    "adminApi": {"network": True},
}


def space(name: str, prefix: str = "/api/v1") -> str:
    return f"{prefix}/namespaces/{name}"


@dataclass(frozen=True)
class Stolen:
    """The two tokens, and objects as the operator made them."""

    plane: ControlPlane
    operator: ApiServer
    api: ApiServer
    schedule: Body
    cronjob: Body
    definition: Body

    def job(self) -> Body:
        """A run that the operator may make."""
        return job_for_slot(self.cronjob, SLOT)

    def applied(self) -> Body:
        """The CronJob as the operator applies it."""
        meta = self.cronjob["metadata"]
        kept = ("name", "namespace", "labels", "annotations", "ownerReferences")
        return {
            "apiVersion": "batch/v1",
            "kind": "CronJob",
            "metadata": {key: copy.deepcopy(meta[key]) for key in kept},
            "spec": copy.deepcopy(self.cronjob["spec"]),
        }

    def copied(self) -> Body:
        """A definition that the operator may make."""
        meta = self.definition["metadata"]
        return {
            "metadata": {
                "name": f"{meta['name'][:-10]}0123456789",
                "labels": dict(meta["labels"]),
                "ownerReferences": copy.deepcopy(meta["ownerReferences"]),
            },
            "immutable": True,
            "data": dict(self.definition["data"]),
        }


def token_of(plane: ControlPlane, account: str, directory: Path) -> Path:
    """A kubeconfig with the credentials of a service account of the release."""
    path = f"{space(RELEASE)}/serviceaccounts/{account}/token"
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    token = plane.api.call("POST", path, request).body["status"]["token"]
    config = json.loads(plane.kubeconfig.read_text())
    config["users"][0]["user"] = {"token": token}
    written = directory / account
    written.write_text(json.dumps(config))
    return written


def made(answer: Answer) -> Body:
    assert answer.code < 300, answer.message
    return answer.body


@pytest.fixture(scope="module")
def stolen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stolen]:
    directory = tmp_path_factory.mktemp("stolen")
    with control_plane(tmp_path_factory.mktemp("plane")) as plane:
        for name in (RELEASE, TEAM, OTHER):
            made(plane.api.call("POST", "/api/v1/namespaces", {"metadata": {"name": name}}))
        helm_at(plane.kubeconfig, "install", RELEASE, str(CHART), "--take-ownership", values=VALUES)
        yield _work(plane, directory)


def _work(plane: ControlPlane, directory: Path) -> Stolen:
    """The operator under its own token: a schedule with all that a schedule may name."""
    theirs = {"metadata": {"name": "pages"}, "data": {"page.j2": "<p>{{ title }}</p>"}}
    made(plane.api.call("POST", f"{space(TEAM)}/configmaps", theirs))
    root = {"metadata": {"name": "kube-root-ca.crt"}, "data": {}}  # as its controller makes it
    made(plane.api.call("POST", f"{space(TEAM)}/configmaps", root))
    priority = {"metadata": {"name": "reports"}, "value": 1}
    made(plane.api.call("POST", "/apis/scheduling.k8s.io/v1/priorityclasses", priority))
    smtp = {"secretRef": {"name": "report-smtp"}}
    database = {"connection": {"secretRef": {"name": "db7"}}, "query": "SELECT 1 AS a"}
    body = {
        "apiVersion": "reports.adaf.io/v1alpha1",
        "kind": "ReportSchedule",
        "metadata": {"name": "daily"},
        "spec": {
            "reportType": "daily",
            "schedule": "0 0 1 1 *",
            "timeZone": "Europe/Madrid",
            "nodeSelector": {"kubernetes.io/os": "linux"},
            "tolerations": [{"key": "reports", "operator": "Exists"}],
            "resources": {"requests": {"cpu": "1", "memory": "1Gi"}},
            "report": {
                "title": "A test",
                "sources": [{"name": "facts", "postgres": database}],
                "template": {"configMapRef": {"name": "pages", "key": "page.j2"}},
            },
            "delivery": {"email": {"to": ["a@example.com"], "smtp": smtp}},
        },
    }
    path = f"{space(TEAM, '/apis/reports.adaf.io/v1alpha1')}/reportschedules"
    made(plane.api.call("POST", path, body))
    config = made(plane.api.call("GET", f"{space(RELEASE)}/configmaps/{NAME}"))["data"]
    settings = {**yaml.safe_load(config["config.yaml"]), "resyncSeconds": 5}
    operator = OperatorProcess(directory, token_of(plane, NAME, directory), RELEASE, settings)
    operator.start()
    try:
        operator.wait_until_leading()

        def status() -> Body:
            found: Body = made(plane.api.call("GET", f"{path}/daily")).get("status", {})
            return found

        def story() -> object:
            return status(), operator.log()

        name = wait_for("a CronJob", lambda: status().get("cronJob"), 120, story)
        done = run(
            "kubectl", f"--kubeconfig={plane.kubeconfig}", "create", "job", "by-hand",
            f"--from=cronjob/{name}", f"--namespace={TEAM}",
        )  # fmt: skip
        assert done.code == 0, done.err
        wait_for("a run is started", lambda: status().get("active"), 120, story)
        # A change of what it owns, and of a run that is there.
        made(plane.api.call("PATCH", f"{path}/daily", {"spec": {"schedule": "0 1 1 1 *"}}, MERGE))
        cronjob = f"{space(TEAM, BATCH)}/cronjobs/{name}"
        wait_for(
            "the CronJob follows",
            lambda: (
                made(plane.api.call("GET", cronjob))["spec"]["schedule"] == "0 1 1 1 *"
            ),
            120, story,
        )  # fmt: skip
        operator.wait_for_resyncs()
        assert operator.terminate() == 0, operator.log()
        assert "orbidden" not in operator.log_file.read_text()
        assert "own-" not in operator.log_file.read_text()
    finally:
        operator.end()
    live = made(plane.api.call("GET", cronjob))
    template = live["spec"]["jobTemplate"]
    definition = template["metadata"]["annotations"]["reports.adaf.io/definition"]
    return Stolen(
        plane,
        ApiServer(directory / NAME),
        ApiServer(token_of(plane, API, directory)),
        made(plane.api.call("GET", f"{path}/daily")),
        live,
        made(plane.api.call("GET", f"{space(TEAM)}/configmaps/{definition}")),
    )


# -- what goes on working ------------------------------------------------------------------------


@pytest.mark.parametrize("who", ["operator", "api"])
def test_a_run_may_be_made(stolen: Stolen, who: str) -> None:
    caller: ApiServer = getattr(stolen, who)
    made(caller.call("POST", f"{space(TEAM, BATCH)}/jobs?dryRun=All", stolen.job()))


def test_runs_know_the_collector_of_traces_and_nothing_of_lineage(stolen: Stolen) -> None:
    (container,) = stolen.job()["spec"]["template"]["spec"]["containers"]
    values = {item["name"]: item.get("value") for item in container["env"]}
    assert values[ENV_OTLP_ENDPOINT] == VALUES["config"]["tracing"]["endpoint"]
    assert values[ENV_EGRESS_ALLOW] == "10.1.0.0/16"
    assert (values[ENV_LOG_FORMAT], values[ENV_LOG_LEVEL]) == ("text", "debug")
    assert VALUES["config"]["lineage"]["url"] not in json.dumps(stolen.cronjob)


@pytest.mark.parametrize("who", ["operator", "api"])
def test_a_run_may_have_parameters_of_its_own(stolen: Stolen, who: str) -> None:
    caller: ApiServer = getattr(stolen, who)
    attempt = Attempt(SLOT, SLOT.date(), 2, Priority.NORMAL, {"region": "EMEA"})
    job = job_of_attempt(stolen.cronjob, attempt, "kim")
    assert "REPORT_PARAMETERS" in str(job["spec"]["template"]["spec"]["containers"])
    made(caller.call("POST", f"{space(TEAM, BATCH)}/jobs?dryRun=All", job))


def look(stolen: Stolen) -> Body:
    """A Job that looks at what was sent, as the admin API makes it."""
    meta = stolen.schedule["metadata"]
    target = VerificationTarget(TEAM, "daily", meta["uid"], SLOT, SLOT.date(), "daily.x.1")
    return job_of_verification(stolen.cronjob, target, 1, "kim")


def changed_look(stolen: Stolen, what: str) -> Body:
    made = look(stolen)
    meta, spec = made["metadata"], made["spec"]
    match what:
        case "it would be a run":
            meta["labels"][UID] = meta["labels"]["reports.adaf.io/verifies-uid"]
        case "it would count for the CronJob":
            owner = {**meta["ownerReferences"][0], "kind": "CronJob", "apiVersion": "batch/v1"}
            meta["ownerReferences"] = [owner]
        case "another schedule's":
            meta["labels"]["reports.adaf.io/verifies-uid"] = "another"
        case "a pod without the label that NetworkPolicies know":
            del spec["template"]["metadata"]["labels"][UID]
        case "it would send":
            spec["template"]["spec"]["containers"][0]["command"] = ["report-generator", "run"]
        case "it would stay":
            spec["activeDeadlineSeconds"] = 86400
        case "it would be tried again":
            spec["backoffLimit"] = 6
        case "any Secret":
            secret = {"name": "secret-9", "secret": {"secretName": "payroll"}}
            spec["template"]["spec"]["volumes"].append(secret)
    return made


def test_the_admin_api_may_have_what_was_sent_looked_at(stolen: Stolen) -> None:
    path = f"{space(TEAM, BATCH)}/jobs?dryRun=All"
    made(stolen.api.call("POST", path, look(stolen)))
    assert stolen.operator.call("POST", path, look(stolen)).code == 422


@pytest.mark.parametrize(
    "what",
    [
        "it would be a run", "it would count for the CronJob", "another schedule's",
        "it would send",
        "a pod without the label that NetworkPolicies know", "it would stay", "any Secret",
        "it would be tried again",
    ],
)  # fmt: skip
def test_a_look_of_another_shape_is_refused(stolen: Stolen, what: str) -> None:
    answer = stolen.api.call(
        "POST", f"{space(TEAM, BATCH)}/jobs?dryRun=All", changed_look(stolen, what)
    )
    assert answer.code == 422, answer.message


def test_the_image_may_have_another_tag(stolen: Stolen) -> None:
    """While an upgrade is under way runs of both versions are made."""
    job = stolen.job()
    job["spec"]["template"]["spec"]["containers"][0]["image"] = "adaf-report-scheduler:0.0.9"
    made(stolen.operator.call("POST", f"{space(TEAM, BATCH)}/jobs?dryRun=All", job))


def test_runs_need_name_no_user(stolen: Stolen) -> None:
    """`arbitraryUser`, as OpenShift wants it."""
    job = stolen.job()
    for field in ("runAsUser", "runAsGroup", "fsGroup"):
        del job["spec"]["template"]["spec"]["securityContext"][field]
    made(stolen.operator.call("POST", f"{space(TEAM, BATCH)}/jobs?dryRun=All", job))


def test_a_definition_may_be_made_and_deleted(stolen: Stolen) -> None:
    path = f"{space(TEAM)}/configmaps"
    made(stolen.operator.call("POST", f"{path}?dryRun=All", stolen.copied()))
    name = stolen.definition["metadata"]["name"]
    made(stolen.operator.call("DELETE", f"{path}/{name}?dryRun=All"))


def make_backfill(stolen: Stolen, name: str) -> str:
    """Its path."""
    days = {"startDate": "2026-01-02", "endDate": "2026-01-02", "everySchedule": True}
    body = {
        "apiVersion": "reports.adaf.io/v1alpha1",
        "kind": "ReportBackfill",
        "metadata": {"name": name},
        "spec": days,
    }
    made(stolen.plane.api.call("POST", BACKFILLS, body))
    return f"{BACKFILLS}/{name}"


def test_the_admin_api_may_do_its_work(stolen: Stolen) -> None:
    api = stolen.api
    jobs = f"{space(TEAM, BATCH)}/jobs"
    word = {"metadata": {"annotations": {"reports.adaf.io/failure-reason": "QueueTimeout"}}}
    made(api.call("PATCH", f"{jobs}/by-hand?dryRun=All", word, MERGE))
    said = {"reports.adaf.io/acknowledged-through": "2026-11-24T05:00:00Z"}
    path = f"{SCHEDULES}/daily?dryRun=All"
    made(api.call("PATCH", path, {"metadata": {"annotations": said}}, MERGE))
    backfill = make_backfill(stolen, "under-way")
    made(api.call("DELETE", f"{backfill}?dryRun=All"))
    lease = f"{space(RELEASE, '/apis/coordination.k8s.io/v1')}/leases/{NAME}"
    asked = {"metadata": {"annotations": {"reports.adaf.io/shutdown-requested": "x"}}}
    made(api.call("PATCH", f"{lease}?dryRun=All", asked, MERGE))
    cleared = {"reports.adaf.io/dead-letters-cleared-through": "2026-11-24T05:00:00Z"}
    made(api.call("PATCH", f"{lease}?dryRun=All", {"metadata": {"annotations": cleared}}, MERGE))
    requests = {"metadata": {"name": f"{NAME}-requests"}, "data": {}}
    made(api.call("POST", f"{space(RELEASE)}/configmaps", requests))
    made(
        api.call(
            "PATCH", f"{space(RELEASE)}/configmaps/{NAME}-requests", {"data": {"a": "b"}}, MERGE
        )
    )
    made(api.call("GET", f"{space(RELEASE, '/apis/apps/v1')}/replicasets"))
    made(api.call("GET", f"{space(TEAM)}/pods"))
    made(api.call("GET", f"{space(TEAM, BATCH)}/cronjobs/{stolen.cronjob['metadata']['name']}"))
    review = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenReview",
        "spec": {"token": "x"},
    }
    made(api.call("POST", "/apis/authentication.k8s.io/v1/tokenreviews", review))


# -- pods of another shape -----------------------------------------------------------------------


def pod(**changes: Any) -> Callable[[Body], None]:
    return lambda template: template["spec"].update(changes)


def container(**changes: Any) -> Callable[[Body], None]:
    return lambda template: template["spec"]["containers"][0].update(changes)


def inside(**changes: Any) -> Callable[[Body], None]:
    """Of the container's security context."""
    return lambda template: template["spec"]["containers"][0]["securityContext"].update(changes)


def around(**changes: Any) -> Callable[[Body], None]:
    """Of the pod's security context."""
    return lambda template: template["spec"]["securityContext"].update(changes)


def volume(**source: Any) -> Callable[[Body], None]:
    return lambda template: template["spec"]["volumes"].append({"name": "more", **source})


def environment(**entry: Any) -> Callable[[Body], None]:
    return lambda template: template["spec"]["containers"][0]["env"].append(entry)


def without(*path: str) -> Callable[[Body], None]:
    def change(template: Body) -> None:
        found = template["spec"]
        for step in path[:-1]:
            found = found[0] if step == "0" else found[step]
        del found[path[-1]]

    return change


NETWORKS = {"k8s.v1.cni.cncf.io/networks": "kube-system/storage"}
SIDECAR = {"name": "more", "image": "adaf-report-scheduler:0.1.0"}
PROJECTED = {"sources": [{"secret": {"name": "report-db"}}]}
SHAPES: dict[str, tuple[Callable[[Body], object], str]] = {
    "another image": (container(image="busybox:1"), "report-generator run of the image"),
    "an image with our name in it": (
        container(image="evil.test/adaf-report-scheduler:0.1.0"), "of the image",
    ),
    "an image below ours": (container(image="adaf-report-scheduler/x:1"), "of the image"),
    "another command": (container(command=["sh", "-c", "id"]), "report-generator run"),
    "arguments": (container(args=["--definition=/tmp/x"]), "report-generator run"),
    "a second container": (
        lambda t: t["spec"]["containers"].append(SIDECAR), "has one container",
    ),
    "an init container": (pod(initContainers=[SIDECAR]), "has one container"),
    "privileged": (inside(privileged=True, allowPrivilegeEscalation=True), "no privileges"),
    "a user namespace that ends at root": (around(runAsUser=0, runAsNonRoot=False), "not root"),
    "privilege escalation": (inside(allowPrivilegeEscalation=True), "no privileges"),
    "a capability": (inside(capabilities={"drop": ["ALL"], "add": ["SYS_ADMIN"]}), "no privileges"),
    "capabilities kept": (inside(capabilities={}), "no privileges"),
    "a writable root": (inside(readOnlyRootFilesystem=False), "no privileges"),
    "root in the container": (inside(runAsUser=0), "no privileges"),
    "root by the container's leave": (inside(runAsNonRoot=False), "no privileges"),
    "unmasked proc": (
        lambda t: (inside(procMount="Unmasked")(t), pod(hostUsers=False)(t)), "no privileges",
    ),
    "an SELinux type": (inside(seLinuxOptions={"type": "spc_t"}), "no privileges"),
    "no seccomp in the container": (
        inside(seccompProfile={"type": "Unconfined"}), "no privileges",
    ),
    "no security context": (without("containers", "0", "securityContext"), "no privileges"),
    "root in the pod": (around(runAsUser=0), "not root"),
    "root by leave": (around(runAsNonRoot=False), "not root"),
    "no seccomp": (around(seccompProfile={"type": "Unconfined"}), "not root"),
    "a group of the node's": (around(supplementalGroups=[6]), "not root"),
    "a sysctl": (around(sysctls=[{"name": "kernel.msgmax", "value": "1"}]), "not root"),
    "no security context of the pod": (without("securityContext"), "not root"),
    "the node's network": (pod(hostNetwork=True), "nothing of its node"),
    "the node's processes": (pod(hostPID=True), "nothing of its node"),
    "the node's IPC": (pod(hostIPC=True), "nothing of its node"),
    "a node by name": (pod(nodeName="control-plane"), "nothing of its node"),
    "host aliases": (
        pod(hostAliases=[{"ip": "10.0.0.1", "hostnames": ["db"]}]), "nothing of its node",
    ),
    "another runtime": (pod(runtimeClassName="none"), "nothing of its node"),
    "a port of the node": (
        container(ports=[{"containerPort": 80, "hostPort": 80}]), "no ports",
    ),
    "a hook": (
        container(lifecycle={"postStart": {"exec": {"command": ["id"]}}}), "hooks",
    ),
    "a probe": (container(livenessProbe={"exec": {"command": ["id"]}}), "probes"),
    "another service account": (pod(serviceAccountName="admin"), "no service account"),
    "another service account, as of old": (pod(serviceAccount="admin"), "no service account"),
    "a token": (pod(automountServiceAccountToken=True), "no service account"),
    "a token by default": (without("automountServiceAccountToken"), "no service account"),
    "a projected token": (
        volume(projected={"sources": [{"serviceAccountToken": {"path": "t"}}]}), "volumes are",
    ),
    "a projected Secret": (volume(projected=PROJECTED), "volumes are"),
    "a path of the node": (volume(hostPath={"path": "/"}), "volumes are"),
    "a volume of a driver": (volume(csi={"driver": "x"}), "volumes are"),
    "a network volume": (volume(nfs={"server": "a", "path": "/"}), "volumes are"),
    "another Secret": (volume(secret={"secretName": "payroll"}), "allowedSecrets"),
    "a Secret that begins as ours": (volume(secret={"secretName": "db77"}), "allowedSecrets"),
    "a Secret that ends as ours": (
        volume(secret={"secretName": "my-report-db"}), "allowedSecrets",
    ),
    "a Secret in the environment": (
        environment(name="REPORT_X", valueFrom={"secretKeyRef": {"name": "report-db", "key": "a"}}),
        "environment",
    ),
    "a ConfigMap in the environment": (
        environment(name="REPORT_X", valueFrom={"configMapKeyRef": {"name": "a", "key": "a"}}),
        "environment",
    ),
    "all of a Secret in the environment": (
        container(envFrom=[{"secretRef": {"name": "report-db"}}]), "environment",
    ),
    "addresses inside of the cluster": (
        environment(name="REPORT_EGRESS_ALLOW", value="0.0.0.0/0,127.0.0.1"), "environment",
    ),
    "another collector of traces": (
        environment(name="REPORT_OTLP_ENDPOINT", value="http://evil.test"), "environment",
    ),
    "the receiver of lineage, as a collector": (
        environment(name="REPORT_OTLP_ENDPOINT", value=VALUES["config"]["lineage"]["url"]),
        "environment",
    ),
    "code by the environment": (environment(name="PYTHONPATH", value="/x"), "environment"),
    "a Secret of a registry": (pod(imagePullSecrets=[{"name": "payroll"}]), "imagePullSecrets"),
    "another ConfigMap": (volume(configMap={"name": "private-config"}), "no ConfigMap but"),
    "another claim": (volume(persistentVolumeClaim={"claimName": "db"}), "no claim but"),
    "the first place in every queue": (
        pod(priorityClassName="system-node-critical"), "priority class",
    ),
    "another scheduler": (pod(schedulerName="mine"), "default scheduler"),
    "no pod of others beside it": (
        pod(affinity={"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [
            {"topologyKey": "kubernetes.io/hostname", "namespaceSelector": {}}
        ]}}),
        "default scheduler",
    ),
    "another resolver": (
        pod(dnsPolicy="None", dnsConfig={"nameservers": ["203.0.113.1"]}), "cluster's DNS",
    ),
    "a name in DNS": (pod(hostname="db", subdomain="dbs"), "cluster's DNS"),
    "the labels of a Service": (
        lambda t: t["metadata"]["labels"].update({"app": "shop"}), "config.runner.podLabels",
    ),
    "an annotation that the network obeys": (
        lambda t: t["metadata"].setdefault("annotations", {}).update(NETWORKS), "podAnnotations",
    ),
    "its paths by the environment": (
        environment(name="REPORT_SECRETS_DIR", value="/tmp"), "environment",
    ),
    "a definition over a file of the image": (
        lambda t: t["spec"]["containers"][0]["volumeMounts"].append(
            {"name": "definition", "mountPath": "/usr/lib/x.py", "subPath": "definition.json"}
        ),
        "its own place",
    ),
    "a Secret over a directory of the image": (
        lambda t: t["spec"]["containers"][0]["volumeMounts"].append(
            {"name": "secret-0", "mountPath": "/usr/lib"}
        ),
        "its own place",
    ),
    "a definition under another name": (
        lambda t: t["spec"]["volumes"][0]["configMap"].update(
            items=[{"key": "definition.json", "path": "x.py"}]
        ),
        "its own place",
    ),
    "a log over a file of the image": (
        container(terminationMessagePath="/usr/bin/report-generator"), "its own choice",
    ),
    "a pod that no network policy finds": (
        lambda t: t["metadata"]["labels"].pop(UID), "uid as a label",
    ),
    "a pod of another schedule": (
        lambda t: t["metadata"]["labels"].update({UID: "x"}), "uid as a label",
    ),
}  # fmt: skip


def refused(answer: Answer, words: str) -> None:
    assert answer.code in (403, 422), (answer.code, answer.body)
    assert words in answer.message, answer.message


@pytest.mark.parametrize("who", ["operator", "api"])
@pytest.mark.parametrize(("change", "words"), SHAPES.values(), ids=SHAPES)
def test_a_run_has_the_shape_of_a_run(
    stolen: Stolen, who: str, change: Callable[[Body], object], words: str
) -> None:
    job = copy.deepcopy(stolen.job())
    change(job["spec"]["template"])
    caller: ApiServer = getattr(stolen, who)
    answer = caller.call("POST", f"{space(TEAM, BATCH)}/jobs?dryRun=All", job)
    refused(answer, words)
    assert f"{NAME}-own-jobs" in answer.message


@pytest.mark.parametrize(("change", "words"), SHAPES.values(), ids=SHAPES)
def test_so_has_the_run_of_a_cronjob(
    stolen: Stolen, change: Callable[[Body], object], words: str
) -> None:
    body = stolen.applied()
    change(body["spec"]["jobTemplate"]["spec"]["template"])
    path = f"{space(TEAM, BATCH)}/cronjobs/{body['metadata']['name']}"
    # As the operator puts a CronJob right: a patch that takes fields out as well.
    replaced = [{"op": "replace", "path": "/spec", "value": body["spec"]}]
    answer = stolen.operator.call("PATCH", f"{path}?dryRun=All", replaced, JSON_PATCH)
    refused(answer, words)
    assert f"{NAME}-own-cronjobs" in answer.message


# -- objects of others ---------------------------------------------------------------------------

Try = Callable[[Stolen], Answer]


def foreign_cronjob(stolen: Stolen) -> str:
    """The path of a CronJob that the team made itself."""
    body = stolen.applied()
    body["metadata"] = {"name": "theirs"}
    stolen.plane.api.call("POST", f"{space(TEAM, BATCH)}/cronjobs", body)
    return f"{space(TEAM, BATCH)}/cronjobs/theirs"


def foreign_job(stolen: Stolen) -> str:
    body = copy.deepcopy(stolen.job())
    body["metadata"] = {"name": "theirs", "labels": {"app": "theirs"}}
    body["spec"]["template"]["metadata"]["labels"] = {"app": "theirs"}
    stolen.plane.api.call("POST", f"{space(TEAM, BATCH)}/jobs", body)
    return f"{space(TEAM, BATCH)}/jobs/theirs"


def take_cronjob(stolen: Stolen) -> Answer:
    path = foreign_cronjob(stolen)
    body = stolen.applied()
    body["metadata"]["name"] = "theirs"
    return stolen.operator.call("PATCH", f"{path}?fieldManager=x&force=true", body, APPLY)


def annotate_pod(stolen: Stolen) -> Answer:
    """Of a run that waits: of one that is started Kubernetes itself changes no template."""
    job = copy.deepcopy(stolen.job())
    job["metadata"]["name"] = "waiting"
    made(stolen.plane.api.call("POST", f"{space(TEAM, BATCH)}/jobs", job))
    path = f"{space(TEAM, BATCH)}/jobs/waiting"
    stamp = {"reports.adaf.io/run-id": "x"}

    def annotations(found: Body) -> Body:
        return {"spec": {"template": {"metadata": {"annotations": found}}}}

    made(stolen.operator.call("PATCH", path, annotations(stamp), MERGE))
    return stolen.operator.call("PATCH", path, annotations(NETWORKS), MERGE)


def change_job(**changes: Any) -> Try:
    def attempt(stolen: Stolen) -> Answer:
        path = f"{space(TEAM, BATCH)}/jobs/by-hand"
        return stolen.operator.call("PATCH", path, changes, MERGE)

    return attempt


def make_job(where: str = TEAM, **meta: Any) -> Try:
    def attempt(stolen: Stolen) -> Answer:
        job = copy.deepcopy(stolen.job())
        job["metadata"] |= {"namespace": where, **meta}
        return stolen.operator.call("POST", f"{space(where, BATCH)}/jobs", job)

    return attempt


def make_definition(change: Callable[[Body], object], where: str = TEAM) -> Try:
    def attempt(stolen: Stolen) -> Answer:
        body = stolen.copied()
        change(body)
        return stolen.operator.call("POST", f"{space(where)}/configmaps", body)

    return attempt


def delete_ended_backfill(stolen: Stolen) -> Answer:
    path = make_backfill(stolen, "ended")
    ended = {"status": {"completionTime": "2026-01-02T00:00:00Z"}}
    made(stolen.plane.api.call("PATCH", f"{path}/status", ended, MERGE))
    return stolen.api.call("DELETE", path)


def ask(method: str, path: str, body: Any = None, kind: str = "application/json") -> Try:
    return lambda stolen: stolen.operator.call(method, path, body, kind)


def ask_api(method: str, path: str, body: Any = None, kind: str = "application/json") -> Try:
    return lambda stolen: stolen.api.call(method, path, body, kind)


def parallel(stolen: Stolen) -> Answer:
    job = copy.deepcopy(stolen.job())
    job["spec"]["parallelism"] = 1000
    return stolen.operator.call("POST", f"{space(TEAM, BATCH)}/jobs", job)


def started(stolen: Stolen) -> Answer:
    job = copy.deepcopy(stolen.job())
    job["spec"]["suspend"] = False
    return stolen.api.call("POST", f"{space(TEAM, BATCH)}/jobs", job)


PLAIN_POD = {
    "metadata": {"name": "any"},
    "spec": {"containers": [{"name": "any", "image": "adaf-report-scheduler:0.1.0"}]},
}
ADMIN = {
    "metadata": {"name": "any"},
    "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "admin"},
    "subjects": [{"kind": "ServiceAccount", "name": NAME, "namespace": RELEASE}],
}
ROLE = {
    "metadata": {"name": "any"},
    "rules": [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}],
}
LEASES = f"{space(RELEASE, '/apis/coordination.k8s.io/v1')}/leases"
POLICIES = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies"
TOKEN = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
BACKFILLS = "/apis/reports.adaf.io/v1alpha1/namespaces/team/reportbackfills"
SCHEDULES = "/apis/reports.adaf.io/v1alpha1/namespaces/team/reportschedules"

BY_POLICY: dict[str, Try] = {
    "remove a backfill that has ended": delete_ended_backfill,
    "take the CronJob of somebody else": take_cronjob,
    "stop the CronJob of somebody else": lambda s: s.operator.call(
        "PATCH", foreign_cronjob(s), {"spec": {"suspend": True}}, MERGE
    ),
    "move the clock of somebody else's CronJob": lambda s: s.operator.call(
        "PATCH", f"{foreign_cronjob(s)}/status",
        {"status": {"lastScheduleTime": "2030-01-01T00:00:00Z"}}, MERGE,
    ),
    "delete the Job of somebody else": lambda s: s.operator.call("DELETE", foreign_job(s)),
    "change the Job of somebody else": lambda s: s.operator.call(
        "PATCH", foreign_job(s), {"spec": {"suspend": True}}, MERGE
    ),
    "take the Job of somebody else": lambda s: s.operator.call(
        "PATCH", foreign_job(s), {"metadata": {"labels": {UID: "x"}}}, MERGE
    ),
    "lead a waiting run's pod to another network": annotate_pod,
    "hide a run": change_job(metadata={"labels": {UID: None}}),
    "run in a namespace that is not watched": make_job(OTHER),
    "a run without an owner": make_job(ownerReferences=[]),
    "a run without labels": make_job(labels={"app": "theirs"}),
    "a thousand pods": parallel,
    "a run past the queue": started,
    "a ConfigMap without labels": make_definition(lambda b: b["metadata"].pop("labels")),
    "a ConfigMap without an owner": make_definition(
        lambda b: b["metadata"].pop("ownerReferences")
    ),
    "a ConfigMap with another owner": make_definition(
        lambda b: b["metadata"]["ownerReferences"][0].update(uid="x")
    ),
    "a ConfigMap that changes": make_definition(lambda b: b.pop("immutable")),
    "a ConfigMap of an application": make_definition(
        lambda b: b["metadata"].update(name="app-config")
    ),
    "a ConfigMap with other keys": make_definition(lambda b: b["data"].update(x="y")),
    "delete a ConfigMap of somebody else": ask("DELETE", f"{space(TEAM)}/configmaps/pages"),
    "delete the cluster's root certificate": ask(
        "DELETE", f"{space(TEAM)}/configmaps/kube-root-ca.crt"
    ),
    "another Lease": ask("POST", LEASES, {"metadata": {"name": "other"}, "spec": {}}),
    "an Event in another's name": ask(
        "POST", f"{space(TEAM)}/events",
        {
            "metadata": {"name": "any"}, "involvedObject": {"kind": "Pod", "namespace": TEAM},
            "reportingComponent": "kubelet", "reason": "Killing", "message": "x",
        },
    ),
    "the API leads": ask_api(
        "PATCH", f"{LEASES}/{NAME}", {"spec": {"holderIdentity": "me"}}, MERGE
    ),
    "the API starts a run": ask_api(
        "PATCH", f"{space(TEAM, BATCH)}/jobs/by-hand", {"spec": {"suspend": True}}, MERGE
    ),
    "the API suspends a schedule": ask_api(
        "PATCH", f"{SCHEDULES}/daily", {"spec": {"suspend": True}}, MERGE
    ),
    "the API writes another annotation of a schedule": ask_api(
        "PATCH", f"{SCHEDULES}/daily",
        {"metadata": {"annotations": {"reports.adaf.io/references-checked": "x"}}}, MERGE,
    ),
    "the API labels a schedule": ask_api(
        "PATCH", f"{SCHEDULES}/daily", {"metadata": {"labels": {"any": "x"}}}, MERGE
    ),
    "the API holds a schedule by a finalizer": ask_api(
        "PATCH", f"{SCHEDULES}/daily", {"metadata": {"finalizers": ["x.y/z"]}}, MERGE
    ),
    "the API makes another ConfigMap": ask_api(
        "POST", f"{space(RELEASE)}/configmaps", {"metadata": {"name": "any"}, "data": {}}
    ),
}  # fmt: skip

BY_RIGHTS: dict[str, Try] = {
    "read a Secret": ask("GET", f"{space(TEAM)}/secrets/report-db"),
    "list Secrets": ask("GET", f"{space(TEAM)}/secrets"),
    "list all Secrets": ask("GET", "/api/v1/secrets"),
    "list Secrets of its own namespace": ask("GET", f"{space(RELEASE)}/secrets"),
    "make a Secret": ask("POST", f"{space(TEAM)}/secrets", {"metadata": {"name": "any"}}),
    "make a pod": ask("POST", f"{space(TEAM)}/pods", PLAIN_POD),
    "a shell in a pod": ask("POST", f"{space(TEAM)}/pods/any/exec?command=id"),
    "an ephemeral container": ask(
        "PATCH", f"{space(TEAM)}/pods/any/ephemeralcontainers", {"spec": {}}, MERGE
    ),
    "a way into a pod": ask("POST", f"{space(TEAM)}/pods/any/portforward"),
    "delete a pod": ask("DELETE", f"{space(TEAM)}/pods/any"),
    "evict a pod": ask("POST", f"{space(TEAM)}/pods/any/eviction", {}),
    "the nodes": ask("GET", "/api/v1/nodes"),
    "a node's kubelet": ask("GET", "/api/v1/nodes/any/proxy/pods"),
    "pods of the cluster": ask("GET", "/api/v1/pods"),
    "Jobs of the cluster": ask("GET", f"{BATCH}/jobs"),
    "ConfigMaps of the cluster": ask("GET", "/api/v1/configmaps"),
    "ConfigMaps of kube-system": ask("GET", f"{space('kube-system')}/configmaps"),
    "ConfigMaps of another namespace": ask("GET", f"{space(OTHER)}/configmaps"),
    "logs of another namespace": ask("GET", f"{space(OTHER)}/pods/any/log"),
    "a Job in kube-system": make_job("kube-system"),
    "a ConfigMap in kube-system": make_definition(lambda b: None, "kube-system"),
    "a token of another account": ask(
        "POST", f"{space(TEAM)}/serviceaccounts/default/token", TOKEN
    ),
    "a token of its own": ask("POST", f"{space(RELEASE)}/serviceaccounts/{NAME}/token", TOKEN),
    "an account": ask("POST", f"{space(TEAM)}/serviceaccounts", {"metadata": {"name": "any"}}),
    "a role": ask("POST", f"{space(TEAM, RBAC)}/roles", ROLE),
    "a right": ask("POST", f"{space(TEAM, RBAC)}/rolebindings", ADMIN),
    "a right in the cluster": ask("POST", f"{RBAC}/clusterrolebindings", ADMIN),
    "more in its own role": ask(
        "PATCH", f"{space(TEAM, RBAC)}/roles/{NAME}", {"rules": ROLE["rules"]}, MERGE
    ),
    "its policy": ask("DELETE", f"{POLICIES}/{NAME}-own-jobs"),
    "a webhook": ask(
        "POST", "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations",
        {"metadata": {"name": "any"}},
    ),
    "a definition that is there": ask(
        "PATCH", f"{space(TEAM)}/configmaps/pages", {"data": {"a": "b"}}, MERGE
    ),
    "the operator's configuration": ask(
        "PATCH", f"{space(RELEASE)}/configmaps/{NAME}", {"data": {}}, MERGE
    ),
    "another Deployment": ask(
        "PATCH", f"{space(RELEASE, '/apis/apps/v1')}/deployments/{NAME}", {"spec": {}}, MERGE
    ),
    "a schedule": ask("PATCH", f"{SCHEDULES}/daily", {"spec": {"suspend": True}}, MERGE),
    "a CRD": ask(
        "DELETE",
        "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/reportschedules.reports.adaf.io",
    ),
    "another namespace": ask("POST", "/api/v1/namespaces", {"metadata": {"name": "any"}}),
    "a volume": ask("POST", "/api/v1/persistentvolumes", {"metadata": {"name": "any"}}),
    "another user": ask(
        "POST", "/apis/authentication.k8s.io/v1/tokenreviews",
        {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": "x"}},
    ),
    "the API reads a Secret": ask_api("GET", f"{space(TEAM)}/secrets/report-db"),
    "the API reads the Secrets of its namespace": ask_api("GET", f"{space(RELEASE)}/secrets"),
    "the API reads a ConfigMap": ask_api("GET", f"{space(TEAM)}/configmaps/pages"),
    "the API deletes a ConfigMap": ask_api("DELETE", f"{space(TEAM)}/configmaps/pages"),
    "the API reads the operator's configuration": ask_api(
        "GET", f"{space(RELEASE)}/configmaps/{NAME}"
    ),
    "the API changes a backfill": ask_api("PATCH", f"{BACKFILLS}/any", {"spec": {}}, MERGE),
    "the API deletes all backfills": ask_api("DELETE", BACKFILLS),
    "the API deletes a schedule": ask_api("DELETE", f"{SCHEDULES}/daily"),
    "the API deletes a Job": ask_api("DELETE", f"{space(TEAM, BATCH)}/jobs/by-hand"),
    "the API makes a CronJob": ask_api(
        "POST", f"{space(TEAM, BATCH)}/cronjobs", {"metadata": {"name": "any"}}
    ),
    "the API makes a pod": ask_api("POST", f"{space(TEAM)}/pods", PLAIN_POD),
    "the API makes a Lease": ask_api("POST", LEASES, {"metadata": {"name": "any"}}),
    "the API writes a status": ask_api("PATCH", f"{SCHEDULES}/daily/status", {}, MERGE),
    "the API reads logs elsewhere": ask_api("GET", f"{space(OTHER)}/pods/any/log"),
    "the API reads pods of the cluster": ask_api("GET", "/api/v1/pods"),
}  # fmt: skip


@pytest.mark.parametrize("attempt", BY_POLICY.values(), ids=BY_POLICY)
def test_what_rights_alone_would_let_through_is_refused(stolen: Stolen, attempt: Try) -> None:
    answer = attempt(stolen)
    assert answer.code in (403, 422), (answer.code, answer.body)
    assert "orbidden" in answer.message or "denied request" in answer.message, answer.message


@pytest.mark.parametrize("attempt", BY_RIGHTS.values(), ids=BY_RIGHTS)
def test_what_nobody_gave_is_refused(stolen: Stolen, attempt: Try) -> None:
    assert attempt(stolen).code == 403


def test_what_remains(stolen: Stolen) -> None:
    """As docs/installing.md says: what the operator must be able to do, in team namespaces."""
    operator = stolen.operator
    made(operator.call("GET", f"{space(TEAM)}/configmaps/pages"))
    made(operator.call("GET", f"{space(TEAM)}/pods"))
    job = stolen.job()
    job["spec"]["template"]["spec"]["volumes"].append(
        {"name": "secret-9", "secret": {"secretName": "report-anything"}}
    )
    made(operator.call("POST", f"{space(TEAM, BATCH)}/jobs?dryRun=All", job))
    made(operator.call("DELETE", f"{space(TEAM, BATCH)}/jobs/by-hand?dryRun=All"))
