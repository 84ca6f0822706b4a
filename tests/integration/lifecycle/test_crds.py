"""CRDs that are newer or older than the operator, and a second version by schema alone."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from hack.testbed.apiserver import CRDS as CRD_PATH
from hack.testbed.controlplane import CRDS, ControlPlane, control_plane
from hack.testbed.namespace import BATCH, CORE, MERGE, SCHEDULES, Body, Namespace, report
from hack.testbed.operator import OperatorProcess
from hack.testbed.waiting import wait_for
from report_operator.crd.served import missing_fields
from tests.support.chart import run

TEXT = {"type": "string"}
NAME = "reportschedules.reports.adaf.io"


def definition() -> Body:
    (path,) = (path for path in CRDS if "reportschedules" in path.name)
    made: Body = yaml.safe_load(path.read_text())
    return made


def properties(crd: Body, part: str) -> Body:
    version = crd["spec"]["versions"][0]
    found: Body = version["schema"]["openAPIV3Schema"]["properties"][part]["properties"]
    return found


def newer() -> Body:
    """A CRD of a version to come: three new fields."""
    crd = definition()
    properties(crd, "spec")["fresh"] = TEXT
    sources = properties(crd, "spec")["report"]["properties"]["sources"]
    sources["items"]["properties"]["fresh"] = TEXT
    properties(crd, "status")["fresh"] = TEXT
    return crd


def older() -> Body:
    """A CRD of a version before this one: it lacks a field of the spec and one of the status."""
    crd = definition()
    del properties(crd, "spec")["nodeSelector"]
    del properties(crd, "status")["activeRuns"]
    return crd


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """One of its own: other tests need the CRDs as they are."""
    with control_plane(tmp_path_factory.mktemp("plane")) as made:
        yield made


@pytest.fixture(autouse=True)
def crds_of_today(plane: ControlPlane) -> Iterator[None]:
    yield
    install(plane, definition())


def install(plane: ControlPlane, crd: Body) -> None:
    """Replace the CRD, and wait until exactly its fields are served."""
    path = f"{CRD_PATH}/{NAME}"
    live = plane.api.call("GET", path).body
    body = {
        **crd,
        "metadata": {"name": NAME, "resourceVersion": live["metadata"]["resourceVersion"]},
    }
    answer = plane.api.call("PUT", path, body)
    assert answer.code == 200, answer.message
    (version, *others) = [v["name"] for v in crd["spec"]["versions"]]
    want = set(properties(crd, "spec")), set(properties(crd, "status"))

    def served() -> bool:
        schemas = openapi(plane, version).get("components", {}).get("schemas", {})
        schema = schemas.get(f"io.adaf.reports.{version}.ReportSchedule", {}).get("properties", {})
        parts = [set(schema.get(part, {}).get("properties", {})) for part in ("spec", "status")]
        there = all(plane.api.call("GET", f"/apis/reports.adaf.io/{v}").code == 200 for v in others)
        return tuple(parts) == want and there

    wait_for("the CRD is served", served, 60)
    # The handlers of objects follow a moment after the schema that is published.
    probe = f"{CORE.replace('/api/v1', SCHEDULES)}/namespaces/default/reportschedules"
    body = {
        "apiVersion": "reports.adaf.io/v1alpha1", "kind": "ReportSchedule",
        "metadata": {"name": "probe"},
        "spec": {
            "reportType": "a", "schedule": "@yearly", "timeZone": "Etc/UTC", "fresh": "x",
            "nodeSelector": {"disk": "fast"}, "report": report(),
        },
    }  # fmt: skip
    fields = {"fresh", "nodeSelector"} & set(properties(crd, "spec"))
    wait_for(
        "the new handlers",
        lambda: fields == {"fresh", "nodeSelector"} & set(
            plane.api.call("POST", f"{probe}?dryRun=All", body).body.get("spec", ())
        ),
        60,
        lambda: plane.api.call("POST", f"{probe}?dryRun=All", body).body,
    )  # fmt: skip


def openapi(plane: ControlPlane, version: str = "v1alpha1") -> Body:
    return plane.api.call("GET", f"/openapi/v3/apis/reports.adaf.io/{version}").body


def set_status(namespace: Namespace, name: str, **fields: Any) -> None:
    path = namespace.path(SCHEDULES, "reportschedules", name, "status")
    namespace.call("PATCH", path, {"status": fields}, MERGE)


def with_fresh() -> Body:
    facts = {"name": "facts", "fresh": "y", "inline": {"rows": [{"a": 1, "b": "x"}]}}
    return report(sources=[facts])


def restart(operator: OperatorProcess) -> None:
    operator.kill()
    operator.start()
    operator.wait_until_leading()


def test_the_schema_that_is_served_is_that_of_the_models(plane: ControlPlane) -> None:
    assert missing_fields(openapi(plane)) == []
    changed = copy.deepcopy(openapi(plane))
    schema = changed["components"]["schemas"]["io.adaf.reports.v1alpha1.ReportSchedule"]
    spec = schema["properties"]["spec"]["properties"]
    del spec["report"]["properties"]["sources"]["items"]["properties"]["inline"]
    spec["tier"]["enum"].remove("bulk")
    assert set(missing_fields(changed)) == {
        "ReportSchedule.spec.report.sources[].inline",
        "ReportSchedule.spec.tier=bulk",
    }


def test_a_field_of_a_newer_crd_is_named_and_a_rollback_drops_none_silently(
    plane: ControlPlane, namespace: Namespace, operator: OperatorProcess
) -> None:
    """This operator beside a CRD of a later version; then that CRD is rolled back."""
    namespace.apply("daily")
    namespace.apply("plain")
    namespace.wait_for_ready("daily", "Ready")
    namespace.start("plain", "run-1")
    namespace.end_pod(namespace.pod_of("run-1"))
    wait_for("its outcome", lambda: namespace.status("plain").get("runCounts"))
    before = namespace.cronjob("daily")
    install(plane, newer())
    namespace.apply("daily", fresh="x", report=with_fresh())
    refused = namespace.wait_for_ready("daily", "InvalidSpec")
    assert "spec.fresh" in refused["message"]
    assert namespace.cronjob("daily") == before  # the last valid definition stays in effect
    # What a later operator says in the status is none of this one's business.
    set_status(namespace, "plain", fresh="said by a later version")
    restart(operator)
    namespace.apply("plain", priority="high")
    namespace.wait_until_observed("plain")
    assert namespace.condition("plain", "Ready")["status"] == "True"
    assert [run["job"] for run in namespace.status("plain")["recentRuns"]] == ["run-1"]

    install(plane, definition())
    restart(operator)
    assert "fresh" not in namespace.schedule("daily")["spec"]

    def told() -> Body | None:
        ready = namespace.condition("daily", "Ready")
        return ready if "dropped by the API server" in ready["message"] else None

    lost = wait_for("the loss is told", told, 60, operator.log)
    assert lost is not None
    assert lost["status"] == "False"
    assert "spec.fresh, spec.report.sources[name=facts].fresh: set, and dropped" in lost["message"]
    assert namespace.cronjob("daily") == before
    assert namespace.condition("plain", "Ready")["status"] == "True"

    # A person says that what is there is meant (docs/operations.md).
    path = namespace.path(SCHEDULES, "reportschedules", "daily")
    namespace.call("PATCH", path, {"metadata": {"managedFields": [{}]}}, MERGE)
    namespace.wait_for_ready("daily", "Ready")


def test_what_is_left_out_and_what_is_null_is_not_lost(
    plane: ControlPlane, namespace: Namespace, operator: OperatorProcess
) -> None:
    """Fields that were set and are taken away again, by every kind of client."""
    kubectl = ["kubectl", f"--kubeconfig={plane.kubeconfig}", "-n", namespace.name]

    def apply(*options: str, **spec: Any) -> None:
        namespace_body = {
            "apiVersion": "reports.adaf.io/v1alpha1",
            "kind": "ReportSchedule",
            "metadata": {"name": "daily"},
            "spec": {
                "reportType": "a", "schedule": "@yearly", "timeZone": "Etc/UTC",
                "report": report(), **spec,
            },
        }  # fmt: skip
        done = run(*kubectl, "apply", *options, "-f", "-", text=json.dumps(namespace_body))
        assert done.code == 0, done.err
        namespace.wait_until_observed("daily")
        ready = namespace.condition("daily", "Ready")
        assert ready["status"] == "True", ready

    apply(priority="high", retry={"limit": 1}, lateAfter="1h")
    apply(retry={}, priority=None)
    apply("--server-side", "--force-conflicts", priority="high", lateAfter="2h", retry={"limit": 2})
    apply("--server-side", lateAfter=None, retry=None)
    apply("--server-side", "--field-manager=another", tier="bulk", report=report(formats=["csv"]))
    path = namespace.path(SCHEDULES, "reportschedules", "daily")
    namespace.call("PATCH", path, {"spec": {"tier": None, "retry": {"limit": None}}}, MERGE)
    namespace.wait_until_observed("daily")
    assert namespace.condition("daily", "Ready")["status"] == "True"
    operator.wait_for_resyncs(1)
    assert namespace.condition("daily", "Ready")["status"] == "True"


def test_the_operator_waits_for_the_fields_that_an_older_crd_lacks(
    plane: ControlPlane, namespace: Namespace, make_operator: Callable[..., OperatorProcess]
) -> None:
    """An API server drops what a CRD lacks, of a spec and of what the operator writes."""
    operator = make_operator()
    install(plane, older())
    namespace.apply("daily")
    operator.start()
    said = wait_for(
        "it says what is missing", lambda: operator.health().get("status") == 503, 60, operator.log
    )
    assert said
    log = operator.log()
    assert "ReportSchedule.spec.nodeSelector, ReportSchedule.status.activeRuns" in log
    assert "apply crds/ of this version" in log
    assert namespace.status("daily")["observedGeneration"] == -1  # nothing is decided

    install(plane, definition())
    operator.wait_until_leading()
    namespace.wait_for_ready("daily", "Ready")

    install(plane, older())  # under its feet, as a rollback of the CRDs alone
    wait_for("it ends", lambda: operator.exit_code is not None, 120, operator.log)
    assert operator.exit_code == 1


def test_a_second_version_by_schema_alone(
    plane: ControlPlane, namespace: Namespace, operator: OperatorProcess, tmp_path: Path
) -> None:
    """v1beta1 without a webhook: what is possible while its schema is that of v1alpha1."""
    crd = definition()
    beta = {**copy.deepcopy(crd["spec"]["versions"][0]), "name": "v1beta1", "storage": False}
    crd["spec"]["versions"].append(beta)
    install(plane, crd)
    namespace.apply("alpha")
    body = {**namespace.schedule("alpha"), "apiVersion": "reports.adaf.io/v1beta1"}
    body["metadata"] = {"name": "beta"}
    del body["spec"]["priority"]
    body.pop("status", None)
    both = SCHEDULES.replace("v1alpha1", "v1beta1")
    namespace.call("POST", namespace.path(both, "reportschedules"), body)
    for name in ("alpha", "beta"):
        namespace.wait_for_ready(name, "Ready")
        assert namespace.cronjob(name) is not None

    def get(resource: str) -> str:
        command = ["kubectl", f"--kubeconfig={plane.kubeconfig}", "-n", namespace.name]
        done = run(*command, f"--cache-dir={tmp_path / 'cache'}", "get", resource, "-o", "yaml")
        assert done.code == 0, done.err
        return done.out

    assert get("reportschedules.v1beta1.reports.adaf.io").count("v1beta1\n  kind: ReportSch") == 2
    assert get("reportschedules.v1alpha1.reports.adaf.io").count("v1alpha1\n  kind: ReportSch") == 2
    # Without a version kubectl takes the newer one.
    assert get("reportschedules").count("apiVersion: reports.adaf.io/v1beta1") == 2

    # The storage is moved; the operator goes on reading v1alpha1 of both.
    for version in crd["spec"]["versions"]:
        version["storage"] = version["name"] == "v1beta1"
    install(plane, crd)
    for name in ("alpha", "beta"):
        path = namespace.path(both, "reportschedules", name)
        namespace.call("PATCH", path, {"spec": {"priority": "high"}}, MERGE)
        namespace.wait_until_observed(name)
        assert namespace.condition(name, "Ready")["status"] == "True"
    live = plane.api.call("GET", f"{CRD_PATH}/{NAME}").body
    assert live["status"]["storedVersions"] == ["v1alpha1", "v1beta1"]
    owners = [c["metadata"]["ownerReferences"][0] for c in namespace.list(BATCH, "cronjobs")]
    assert {owner["apiVersion"] for owner in owners} == {"reports.adaf.io/v1alpha1"}
    # And back: a version cannot be taken out while objects are stored in it.
    refused = plane.api.call(
        "PUT", f"{CRD_PATH}/{NAME}", {**definition(), "metadata": live["metadata"]}
    )
    assert refused.code == 422
    assert "storedVersions" in refused.message
    for version in crd["spec"]["versions"]:
        version["storage"] = version["name"] == "v1alpha1"
    install(plane, crd)
    for name in ("alpha", "beta"):
        path = namespace.path(SCHEDULES, "reportschedules", name)
        namespace.call("PATCH", path, {"spec": {"priority": "low"}}, MERGE)
    status = {"status": {"storedVersions": ["v1alpha1"]}}
    plane.api.call("PATCH", f"{CRD_PATH}/{NAME}/status", status, MERGE)
