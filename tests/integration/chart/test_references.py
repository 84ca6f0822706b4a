"""Whoever writes a ReportSchedule may read what it names: the policy on a real API server."""

from __future__ import annotations

import copy
import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from admin_cli.sweep import ANNOTATION_CHECKED
from hack.testbed.apiserver import Answer, ApiServer
from hack.testbed.controlplane import ControlPlane, control_plane
from hack.testbed.namespace import MERGE
from hack.testbed.waiting import wait_for
from tests.support.chart import CHART, CRDS, NAME, RELEASE, Done, helm_at

Body = dict[str, Any]
TEAM = "reports"
SAMPLE = Path(__file__).parent / "samples" / "steal-cm.yaml"
SCHEDULES = f"/apis/reports.adaf.io/v1alpha1/namespaces/{TEAM}/reportschedules"
ROLES = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{TEAM}"
POLICY = f"{NAME}-reference-access"


def made(answer: Answer) -> Body:
    assert answer.code < 300, answer.message
    return answer.body


def schedule(name: str, *databases: str, mail: str = "", pages: str = "") -> Body:
    """A manifest that names these."""
    sources: list[Body] = [{"name": "facts", "inline": {"rows": [{"a": 1}]}}]
    sources += [
        {
            "name": f"rows_{number}",
            "postgres": {"connection": {"secretRef": {"name": secret}}, "query": "SELECT 1"},
        }
        for number, secret in enumerate(databases)
    ]
    template: Body = {"builtin": "executive_dashboard"}
    if pages:
        template = {"configMapRef": {"name": pages, "key": "page"}}
    spec: Body = {
        "reportType": "executive_dashboard",
        "schedule": "0 0 1 1 *",
        "timeZone": "Europe/Madrid",
        "report": {"title": "A test", "sources": sources, "template": template},
    }
    if mail:
        smtp = {"secretRef": {"name": mail}}
        spec["delivery"] = {"email": {"to": ["a@example.com"], "smtp": smtp}}
    kind = {"apiVersion": "reports.adaf.io/v1alpha1", "kind": "ReportSchedule"}
    return {**kind, "metadata": {"name": name, "namespace": TEAM}, "spec": spec}


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """With the chart, and a schedule that was there before it."""
    with control_plane(tmp_path_factory.mktemp("plane")) as made_:
        for name in (RELEASE, TEAM):
            made(made_.api.call("POST", "/api/v1/namespaces", {"metadata": {"name": name}}))
        older = schedule("older", "report-db", mail="report-smtp", pages="pages")
        made(made_.api.call("POST", SCHEDULES, older))
        values = {"teamNamespaces": [TEAM]}
        helm_at(made_.kubeconfig, "install", RELEASE, str(CHART), "--take-ownership", values=values)
        wait_for("the policy is in force", lambda: refused(made_, "report-unreadable"))
        yield made_


def refused(plane: ControlPlane, secret: str) -> bool:
    """For somebody who may write schedules and read nothing."""
    nobody = person(plane, "nobody")
    answer = nobody.call("POST", f"{SCHEDULES}?dryRun=All", schedule("probe", secret))
    return "you may not read the Secret" in answer.message


def person(plane: ControlPlane, name: str) -> ApiServer:
    """Somebody who may write ReportSchedules in the namespace, and read no Secret or ConfigMap."""
    rules = [
        {
            "apiGroups": ["reports.adaf.io"],
            "resources": ["reportschedules"],
            "verbs": ["get", "create", "update", "patch"],
        }
    ]
    _grant(plane, name, "author", rules)
    api = ApiServer(plane.kubeconfig)
    api.headers["Impersonate-User"] = name
    return api


def let_read(plane: ControlPlane, name: str, resource: str, *names: str) -> None:
    """These alone, or all where none is named."""
    rule = {"apiGroups": [""], "resources": [resource], "verbs": ["get"]}
    if names:
        rule["resourceNames"] = list(names)
    _grant(plane, name, f"{resource}-{'-'.join(names) or 'all'}", [rule])


def _grant(plane: ControlPlane, name: str, role: str, rules: list[Body]) -> None:
    role = f"{name}-{role}"
    plane.api.call("POST", f"{ROLES}/roles", {"metadata": {"name": role}, "rules": rules})
    binding = {
        "metadata": {"name": role},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": role},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": name}],
    }
    plane.api.call("POST", f"{ROLES}/rolebindings", binding)
    rule = rules[0]
    attributes = {
        "namespace": TEAM, "group": rule["apiGroups"][0], "resource": rule["resources"][0],
        "verb": "get", "name": (rule.get("resourceNames") or [""])[-1],
    }  # fmt: skip
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {"user": name, "resourceAttributes": attributes},
    }
    path = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
    wait_for(
        "the right is known", lambda: plane.api.call("POST", path, review).body["status"]["allowed"]
    )


def test_a_config_map_needs_an_author_who_may_read_it(plane: ControlPlane) -> None:
    """The sample: somebody else's ConfigMap as a template that prints itself."""
    theft = yaml.safe_load(SAMPLE.read_text())
    author = person(plane, "thief")
    answer = author.call("POST", SCHEDULES, theft)
    assert answer.code == 403
    assert "spec.report.template.configMapRef: you may not read the ConfigMap" in answer.message
    assert "private-config of namespace reports" in answer.message
    shut = schedule("shut")
    shut["spec"]["calendar"] = {"configMapRef": {"name": "private-config"}}
    answer = author.call("POST", SCHEDULES, shut)
    assert answer.code == 403
    assert "spec.calendar.configMapRef: you may not read the ConfigMap" in answer.message
    # Nor by a change of what is there, whatever the operation.
    own = made(author.call("POST", SCHEDULES, schedule("own")))
    template = {**theft["spec"]["report"]["template"], "builtin": None}
    patch = {"spec": {"report": {"template": template}}}
    path = f"{SCHEDULES}/own"
    assert author.call("PATCH", path, patch, MERGE).code == 403
    assert author.call("PUT", path, {**own, "spec": theft["spec"]}).code == 403
    applied = {**schedule("applied"), "spec": theft["spec"]}
    query = f"{SCHEDULES}/applied?fieldManager=thief"
    assert author.call("PATCH", query, applied, "application/apply-patch+yaml").code == 403

    let_read(plane, "thief", "configmaps", "another")
    assert author.call("POST", SCHEDULES, theft).code == 403
    let_read(plane, "thief", "configmaps", "another", "private-config")
    made(author.call("POST", SCHEDULES, theft))


def test_each_secret_and_the_config_map_are_asked_for(plane: ControlPlane) -> None:
    """The most that one schedule may name: the policy stays within what a policy may cost."""
    author = person(plane, "ann")
    names = [f"report-{number}" for number in range(8)]
    full = schedule("many", *names[:7], mail=names[7], pages="pages")
    path = f"{SCHEDULES}?dryRun=All"
    for missing in names:
        let_read(plane, "ann", "secrets", *names[: names.index(missing)] or ["none"])
        answer = author.call("POST", path, full)
        assert answer.code == 403
    let_read(plane, "ann", "configmaps", "pages")
    let_read(plane, "ann", "secrets", *names)
    made(author.call("POST", path, full))
    more = schedule("many", *names, mail="report-8", pages="pages")
    assert "more than 8 different Secrets" in author.call("POST", path, more).message
    let_read(plane, "ann", "secrets")
    made(author.call("POST", path, more))


Change = Callable[[Body], object]
FREE: dict[str, Change] = {
    "suspended": lambda b: b["spec"].update(suspend=True),
    "resumed": lambda b: b["spec"].update(suspend=False),
    "a label": lambda b: b["metadata"].setdefault("labels", {}).update(team="a"),
    "an annotation": lambda b: b["metadata"].setdefault("annotations", {}).update(note="b"),
    "nothing": lambda b: None,
}
BOUND: dict[str, Change] = {
    "the query": lambda b: b["spec"]["report"]["sources"][1]["postgres"].update(query="SELECT 2"),
    "the recipients": lambda b: b["spec"]["delivery"]["email"].update(to=["b@example.com"]),
    "the template's key": lambda b: b["spec"]["report"]["template"]["configMapRef"].update(key="b"),
    "the title": lambda b: b["spec"]["report"].update(title="{{ sources }}"),
    "when it runs": lambda b: b["spec"].update(schedule="* * * * *"),
    "the formats": lambda b: b["spec"]["report"].update(formats=["pdf", "csv"]),
    "resumed with another query": lambda b: (
        b["spec"].update(suspend=False),
        b["spec"]["report"]["sources"][1]["postgres"].update(query="SELECT 2"),
    ),
    "a field left out": lambda b: b["spec"].pop("delivery"),
    "a field more": lambda b: b["spec"].update(nodeSelector={"a": "b"}),
    "the word that it was looked at": lambda b: (
        b["metadata"].setdefault("annotations", {}).update({ANNOTATION_CHECKED: "x"})
    ),
}


@pytest.mark.parametrize("change", FREE.values(), ids=FREE)
def test_who_may_not_read_may_still_stop_it(plane: ControlPlane, change: Change) -> None:
    body = made(plane.api.call("GET", f"{SCHEDULES}/older"))
    change(body)
    made(person(plane, "nobody").call("PUT", f"{SCHEDULES}/older", body))


@pytest.mark.parametrize("change", BOUND.values(), ids=BOUND)
def test_what_may_send_the_data_elsewhere_needs_the_right(
    plane: ControlPlane, change: Change
) -> None:
    body = made(plane.api.call("GET", f"{SCHEDULES}/older"))
    changed = copy.deepcopy(body)
    change(changed)
    answer = person(plane, "nobody").call("PUT", f"{SCHEDULES}/older?dryRun=All", changed)
    assert answer.code == 403
    assert "you may not read" in answer.message
    made(plane.api.call("PUT", f"{SCHEDULES}/older?dryRun=All", changed))  # it is no wrong object


def sweep(plane: ControlPlane) -> tuple[Done, list[Body]]:
    done = subprocess.run(
        ["report-scheduler", "policy-sweep", "-o", "json"],
        env={**os.environ, "KUBECONFIG": str(plane.kubeconfig)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    found = Done(done.returncode, done.stdout, done.stderr)
    assert found.code in (0, 1), found.err
    return found, json.loads(found.out)["unchecked"]


def test_the_sweep_lists_what_is_older_until_a_reader_answers_for_it(plane: ControlPlane) -> None:
    done, found = sweep(plane)
    assert done.code == 1
    (older,) = (s for s in found if s["name"] == "older")
    assert older["namespace"] == TEAM
    assert older["references"] == ["configmap/pages", "secret/report-db", "secret/report-smtp"]
    table = subprocess.run(
        ["report-scheduler", "policy-sweep"], capture_output=True, text=True, check=False,
        env={**os.environ, "KUBECONFIG": str(plane.kubeconfig)},
    )  # fmt: skip
    assert table.returncode == 1
    mark = table.stdout.strip().rpartition("=")[2]

    word = {"metadata": {"annotations": {ANNOTATION_CHECKED: mark}}}
    path = f"{SCHEDULES}/older"
    assert person(plane, "nobody").call("PATCH", path, word, MERGE).code == 403
    assert "older" in [s["name"] for s in sweep(plane)[1]]
    reader = person(plane, "reader")
    let_read(plane, "reader", "secrets", "report-db", "report-smtp")
    assert reader.call("PATCH", path, word, MERGE).code == 403
    let_read(plane, "reader", "configmaps", "pages")
    made(reader.call("PATCH", path, word, MERGE))
    assert "older" not in [s["name"] for s in sweep(plane)[1]]

    # The word stands where somebody else suspends it, and falls with nobody's leave.
    made(person(plane, "nobody").call("PATCH", path, {"spec": {"suspend": True}}, MERGE))
    assert "older" not in [s["name"] for s in sweep(plane)[1]]
    gone = {"metadata": {"annotations": {ANNOTATION_CHECKED: None}}}
    made(person(plane, "nobody").call("PATCH", path, gone, MERGE))
    assert "older" in [s["name"] for s in sweep(plane)[1]]


SECRET = {"secretRef": {"name": "report-hidden"}}


def http(**fields: Any) -> Body:
    rows = {"url": "https://api.example.com/rows", **fields}
    return {"report": {"sources": [{"name": "rows", "http": rows}]}}


def source(kind: str, **fields: Any) -> Body:
    return {"report": {"sources": [{"name": "rows", kind: fields}]}}


def place(kind: str, **fields: Any) -> Body:
    return {"delivery": {"upload": {"to": [{"name": "portal", kind: fields}]}}}


# Every reference to a Secret, and a part of a spec that has it.
SECRETS: dict[str, Body] = {
    "delivery.email.smtp.secretRef": {
        "delivery": {"email": {"to": ["a@example.com"], "smtp": SECRET}}
    },
    "delivery.upload.to.s3.secretRef": place("s3", bucket="reports", **SECRET),
    "delivery.upload.to.sftp.secretRef": place("sftp", **SECRET),
    **{
        f"delivery.upload.to.{kind}.credentials.secretRef": place(
            kind, url="https://files.example.com", credentials=SECRET
        )
        for kind in ("webdav", "httpPut")
    },
    "report.sources.postgres.connection.secretRef": source(
        "postgres", connection=SECRET, query="SELECT 1"
    ),
    "report.sources.sql.connection.secretRef": source("sql", connection=SECRET, query="SELECT 1"),
    "report.sources.object.secretRef": source(
        "object", endpoint="https://s3.example.com", bucket="rows", key="a", format="csv", **SECRET
    ),
    "report.sources.http.caSecretRef": http(caSecretRef=SECRET["secretRef"]),
    "report.sources.http.headers.secretRef": http(
        headers=[{"name": "x-plain", "value": "a"}, {"name": "x-token", **SECRET}]
    ),
    "report.sources.http.auth.apiKey.secretRef": http(
        auth={"apiKey": {"header": "x-api-key", **SECRET}}
    ),
    "report.sources.http.auth.basic.secretRef": http(auth={"basic": SECRET}),
    "report.sources.http.auth.bearer.secretRef": http(auth={"bearer": SECRET}),
    "report.sources.http.auth.oauth2.secretRef": http(
        auth={"oauth2": {"tokenUrl": "https://login.example.com/token", **SECRET}}
    ),
}


def test_every_reference_of_the_schema_has_an_example() -> None:
    """A new source or channel with a Secret of its own has to be added to the policy, and here."""
    definition = yaml.safe_load(next(p for p in CRDS if "schedules" in p.name).read_text())
    schema = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    assert set(_references(schema, "spec")) == {
        "spec.calendar.configMapRef",
        "spec.report.template.configMapRef",
        *(f"spec.{path}" for path in SECRETS),
    }


@pytest.mark.parametrize("part", SECRETS.values(), ids=SECRETS)
def test_every_reference_is_asked_for(plane: ControlPlane, part: Body) -> None:
    body = schedule("probe")
    report = {**body["spec"]["report"], **part.get("report", {})}
    body["spec"] = {**body["spec"], **part, "report": report}
    path = f"{SCHEDULES}?dryRun=All"
    answer = person(plane, "nobody").call("POST", path, body)
    assert answer.code == 403, answer.message
    assert "you may not read the Secret report-hidden" in answer.message
    made(plane.api.call("POST", path, body))  # it is no wrong object


def _references(schema: Body, path: str) -> Iterator[str]:
    for name, child in (schema.get("properties") or {}).items():
        if name.endswith(("Ref", "From", "Secret", "Secrets")):
            yield f"{path}.{name}"
        else:
            yield from _references(child, f"{path}.{name}")
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            yield from _references(schema[key], path)


def test_every_secret_of_http_and_object_is_asked_for(plane: ControlPlane) -> None:
    reader = person(plane, "reader")
    let_read(plane, "reader", "secrets", "report-mine")
    mine, other = {"secretRef": {"name": "report-mine"}}, {"secretRef": {"name": "report-other"}}
    url = {"url": "https://api.example.com/"}
    token = {"tokenUrl": "https://id.example.com/"}
    headers = [{"name": f"X-{number}", "value": "a"} for number in range(9)]
    stored = {"endpoint": "https://s3.example.com", "bucket": "a", "key": "a.csv", "format": "csv"}

    def sources(found: Body) -> list[Body]:
        """Each field that names a Secret."""
        return [
            *({"http": {**url, "auth": auth}} for auth in (
                {"bearer": found}, {"basic": found}, {"apiKey": {**found, "header": "X-Key"}},
                {"oauth2": {**found, **token}},
            )),
            {"http": {**url, "headers": [*headers, {"name": "X-Last", **found}]}},
            {"http": {**url, "caSecretRef": found["secretRef"]}},
            {"object": {**stored, **found}},
        ]  # fmt: skip

    def answer(source: Body) -> Answer:
        body = schedule("secrets")
        body["spec"]["report"]["sources"].append({"name": "rows", **source})
        return reader.call("POST", f"{SCHEDULES}?dryRun=All", body)

    for source in sources(mine):
        made(answer(source))
    for source in sources(other):
        assert "you may not read the Secret report-other" in answer(source).message, source
