"""The place of the attacks on the cluster: a control plane with the chart's rights and policies.

The operator runs with the token of its own ServiceAccount and the chart's configuration. Two teams
have a namespace each; the first one attacks. No node: a pod ends when a test says so.
"""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import yaml

from hack.localcluster.clients import clients
from hack.localcluster.cluster import this_cluster
from hack.localcluster.progress import Progress
from hack.testbed.apiserver import Answer, ApiServer
from hack.testbed.controlplane import ControlPlane
from hack.testbed.namespace import BATCH, CORE, Body, Namespace, report
from hack.testbed.operator import OperatorProcess
from hack.testbed.waiting import wait_for
from report_operator.config import AdmissionConfig
from tests.attacks import specs
from tests.support.chart import API, NAME, RELEASE, Object, named, render, run

RBAC = "/apis/rbac.authorization.k8s.io/v1"
ATTACKERS, VICTIMS, OUTSIDE = "team-a", "team-b", "no-team"
AUTHOR, EDITOR = "author@team-a", "editor@team-a"
# No attack is on the Lease: on a machine that does much else it is not to be lost.
LEASE_SECONDS = 40
# Without a kubelet and without volumes these say nothing.
LEFT_OUT = (
    "CustomResourceDefinition", "Deployment", "StatefulSet", "PersistentVolumeClaim", "Secret",
    "ServiceMonitor", "PrometheusRule", "Service",
)  # fmt: skip


_CONTAINER = {"name": "none", "image": "none"}


class Impersonated(ApiServer):
    """Calls in the name of another: RBAC and admission judge him."""

    def __init__(self, kubeconfig: Path, user: str) -> None:
        super().__init__(kubeconfig)
        self.headers = {**self.headers, "Impersonate-User": user}


@dataclass
class Arena:
    """Control plane, chart, operator, two teams."""

    plane: ControlPlane
    directory: Path
    objects: list[Object] = field(default_factory=list)
    operator: OperatorProcess = field(init=False)

    @property
    def attackers(self) -> Namespace:
        return Namespace(self.plane, ATTACKERS)

    @property
    def victims(self) -> Namespace:
        return Namespace(self.plane, VICTIMS)

    @cached_property
    def author(self) -> Impersonated:
        """May write ReportSchedules and ReportBackfills of his namespace, and read nothing else."""
        return Impersonated(self.plane.kubeconfig, AUTHOR)

    @cached_property
    def editor(self) -> Impersonated:
        """May write ConfigMaps, Jobs, CronJobs and pods of his namespace as well."""
        return Impersonated(self.plane.kubeconfig, EDITOR)

    @property
    def operator_account(self) -> str:
        return self._account_of(NAME)

    @property
    def api_account(self) -> str:
        return self._account_of(API)

    @property
    def image(self) -> str:
        """The image of the pods of runs."""
        return str(self._config()["runner"]["image"])

    def _account_of(self, deployment: str) -> str:
        pod = named(self.objects, "Deployment", deployment)["spec"]["template"]["spec"]
        return str(pod["serviceAccountName"])

    def as_account(self, account: str) -> Impersonated:
        return Impersonated(self.plane.kubeconfig, f"system:serviceaccount:{RELEASE}:{account}")

    def install(self) -> None:
        """The chart as far as a control plane takes it, and the two teams."""
        found = clients(this_cluster(os.environ), Progress())
        if str(found) not in os.environ["PATH"].split(":"):
            os.environ["PATH"] = f"{found}:{os.environ['PATH']}"
        for name in (RELEASE, ATTACKERS, VICTIMS, OUTSIDE):
            self.plane.api.call("POST", f"{CORE}/namespaces", {"metadata": {"name": name}})
        self.objects = render({"teamNamespaces": [ATTACKERS, VICTIMS]})
        self.apply(found for found in self.objects if found["kind"] not in LEFT_OUT)
        rights: dict[str, list[Body]] = {
            AUTHOR: [_rule("reports.adaf.io", "reportschedules", "reportbackfills")],
            EDITOR: [
                _rule("reports.adaf.io", "reportschedules", "reportbackfills"),
                _rule("", "configmaps", "pods", "pods/status"),
                _rule("batch", "jobs", "cronjobs", "jobs/status", "cronjobs/status"),
            ],
        }
        for user, rules in rights.items():
            self.grant(user, ATTACKERS, rules)
        self._wait_for_policies()

    def _wait_for_policies(self) -> None:
        """The API server takes seconds to compile them; until then it lets all through."""
        operator, team = self.as_account(self.operator_account), self.attackers
        bare = {"template": {"spec": {"restartPolicy": "Never", "containers": [_CONTAINER]}}}
        yearly = {"schedule": "0 0 1 1 *", "jobTemplate": {"spec": bare}}
        deep: Body = {}
        for _ in range(40):
            deep = {"a": deep}
        chart = {"name": "none", "source": "facts", "spec": deep}
        template = {"configMapRef": {"name": "kube-root-ca.crt"}}
        schedules = specs.path_of("ReportSchedule", ATTACKERS)
        named = {"metadata": {"name": "none"}}
        tries: tuple[tuple[ApiServer, str, Body], ...] = (
            (operator, team.path(BATCH, "jobs"), {**named, "spec": bare}),
            (operator, team.path(BATCH, "cronjobs"), {**named, "spec": yearly}),
            (operator, team.path(CORE, "configmaps"), named),
            (self.author, schedules, specs.schedule("none", report=report(charts=[chart]))),
            (self.author, schedules, specs.schedule("none", report=report(template=template))),
        )
        for caller, path, body in tries:
            wait_for(f"a policy on {path}", partial(_is_denied, caller, path, body), 120)

    def apply(self, objects: Iterable[Object]) -> None:
        """Apply as `helm install` does."""
        text = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)})
        done = run(
            "kubectl", f"--kubeconfig={self.plane.kubeconfig}", "apply", "--server-side",
            "-f", "-", text=text,
        )  # fmt: skip
        assert done.code == 0, done.err

    def grant(self, user: str, namespace: str, rules: list[Body]) -> None:
        """A Role of his own."""
        name = user.replace("@", "-")
        meta = {"metadata": {"name": name}}
        path = f"{RBAC}/namespaces/{namespace}"
        self.plane.api.call("POST", f"{path}/roles", {**meta, "rules": rules})
        subject = {"kind": "User", "name": user, "apiGroup": "rbac.authorization.k8s.io"}
        reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name}
        self.plane.api.call(
            "POST", f"{path}/rolebindings", {**meta, "subjects": [subject], "roleRef": reference}
        )

    def start_operator(self, **settings: Any) -> None:
        """With the chart's configuration, as its ServiceAccount; its stores are not there."""
        config = self._config()
        for name in ("postgresSecret", "redisSecret", "fileServerUrl", "healthPort"):
            config.pop(name, None)
        config |= {
            "metricsPort": 0, "resyncSeconds": 5, "leaseSeconds": LEASE_SECONDS, "leaseName": NAME,
            **settings,
        }  # fmt: skip
        kubeconfig = self.kubeconfig_of(self.operator_account)
        self.operator = OperatorProcess(self.directory, kubeconfig, RELEASE, config)
        self.operator.start()
        self.operator.wait_until_leading(120)

    def stop_operator(self) -> None:
        """As a rollout does it: the next one need not wait for its Lease to end."""
        if self.operator.exit_code is None:
            try:
                self.operator.terminate()
            finally:
                self.operator.end()

    def revive_operator(self) -> bool:
        """Start it again if it has died, and wait until it leads; whether it had died."""
        if self.operator.exit_code is None:
            return False
        self.operator.start()
        self.operator.wait_until_leading(120)
        return True

    def _config(self) -> dict[str, Any]:
        text = named(self.objects, "ConfigMap", NAME)["data"]["config.yaml"]
        found: dict[str, Any] = yaml.safe_load(text)
        return found

    def kubeconfig_of(self, account: str) -> Path:
        """With a token of the account, as a pod has it."""
        path = f"{CORE}/namespaces/{RELEASE}/serviceaccounts/{account}/token"
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
        answer = self.plane.api.call("POST", path, body)
        assert answer.code == 201, answer.message
        admin = json.loads(self.plane.kubeconfig.read_text())
        admin["users"] = [{"name": "tests", "user": {"token": answer.body["status"]["token"]}}]
        found = self.directory / f"kubeconfig-{account}"
        found.write_text(json.dumps(admin))
        return found


def _is_denied(caller: ApiServer, path: str, body: Body) -> bool:
    answer = caller.call("POST", f"{path}?dryRun=All", body)
    assert answer.code in (201, 403, 422), answer.message
    return "ValidatingAdmissionPolicy" in answer.message


def _rule(group: str, *resources: str) -> Mapping[str, Any]:
    return {"apiGroups": [group], "resources": list(resources), "verbs": ["*"]}


def wide_gate(most: int = 1000) -> dict[str, int]:
    """`admission` of a configuration that lets so many runs in, from one namespace too."""
    known = {field.alias for field in AdmissionConfig.model_fields.values()}
    return {name: most for name in ("maxActive", "maxActivePerNamespace") if name in known}


def send(api: ApiServer, method: str, path: str, text: str = "") -> Answer:
    """Bodies as they stand, unread: Python's JSON stops at a thousand levels, either way."""
    request = urllib.request.Request(
        api.host + path,
        method=method,
        headers={**api.headers, "Content-Type": "application/json"},
        data=text.encode() or None,
    )
    try:
        with urllib.request.urlopen(request, context=api.tls, timeout=60) as answer:
            answer.read()
            return Answer(answer.status, {})
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, {"message": error.read(2000).decode(errors="replace")})
