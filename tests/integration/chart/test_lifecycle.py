"""Install, upgrade and uninstall by `helm`, on a control plane of its own."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from hack.testbed.admin_api import SCHEDULER, ApiProcess
from hack.testbed.apiserver import Answer, ApiServer
from hack.testbed.controlplane import ControlPlane, control_plane, free_port
from hack.testbed.namespace import Namespace
from hack.testbed.operator import OperatorProcess
from hack.testbed.waiting import wait_for
from report_operator.domain.schedules.desired import job_for_slot
from tests.support.chart import API, CHART, NAME, RELEASE, Values, helm_at, run

SCHEDULES = "/apis/reports.adaf.io/v1alpha1/namespaces/team/reportschedules"
ROLES = "/apis/rbac.authorization.k8s.io/v1"
POLICIES = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies"
BINDINGS = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings"
DEPLOYMENTS = f"/apis/apps/v1/namespaces/{RELEASE}/deployments"


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    with control_plane(tmp_path_factory.mktemp("plane")) as made:
        for name in (RELEASE, "team", "other"):
            made.api.call("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
        yield made


@pytest.fixture(scope="module")
def helm(plane: ControlPlane) -> Callable[..., str]:
    return partial(helm_at, plane.kubeconfig)


def install(helm: Callable[..., str], values: Values) -> str:
    """The notes that it prints."""
    values = {"teamNamespaces": ["team"], **values}
    return helm("upgrade", "--install", RELEASE, str(CHART), "--take-ownership", values=values)


def allowed(plane: ControlPlane, verb: str, resource: str, namespace: str) -> bool:
    """The authorizer's answer about the operator's service account."""
    group, _, plural = resource.rpartition("/")
    attributes = {"verb": verb, "group": group, "resource": plural, "namespace": namespace}
    review: dict[str, Any] = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {
            "user": f"system:serviceaccount:{RELEASE}:{NAME}",
            "resourceAttributes": attributes,
        },
    }
    answer = plane.api.call("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", review)
    found: bool = answer.body["status"]["allowed"]
    return found


def token_kubeconfig(plane: ControlPlane, directory: Path, account: str = NAME) -> Path:
    """A kubeconfig with the credentials of the account's pod."""
    path = f"/api/v1/namespaces/{RELEASE}/serviceaccounts/{account}/token"
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    token = plane.api.call("POST", path, request).body["status"]["token"]
    config = json.loads(plane.kubeconfig.read_text())
    config["users"][0]["user"] = {"token": token}
    written = directory / f"kubeconfig-{account}"
    written.write_text(json.dumps(config))
    return written


def get(plane: ControlPlane, path: str) -> Answer:
    return plane.api.call("GET", path)


SCHEDULE = {
    "apiVersion": "reports.adaf.io/v1alpha1",
    "kind": "ReportSchedule",
    "metadata": {"name": "any", "namespace": "team"},
    "spec": {
        "reportType": "executive_dashboard",
        "schedule": "0 0 1 1 *",
        "timeZone": "Europe/Madrid",
        "report": {
            "title": "A test",
            "sources": [{"name": "facts", "inline": {"rows": [{"a": 1}]}}],
            "template": {"builtin": "executive_dashboard"},
        },
    },
}


def test_install_upgrade_uninstall(plane: ControlPlane, helm: Callable[..., str]) -> None:
    install(helm, {"config": {"watchAllNamespaces": True}, "teamNamespaces": ["team"]})
    selector = get(plane, f"{DEPLOYMENTS}/{NAME}").body["spec"]["selector"]
    made = plane.api.call("POST", SCHEDULES, SCHEDULE)
    assert made.code == 201, made.message
    assert allowed(plane, "list", "reports.adaf.io/reportschedules", "other")
    assert not allowed(plane, "get", "secrets", "team")

    # An upgrade to one namespace: what was allowed in the whole cluster is not any more.
    narrow = {
        "teamNamespaces": [],
        "config": {"watchNamespaces": ["team"]},
        "secretAccessPolicy": {"enabled": False},
        "replicas": 2,
    }
    notes = install(helm, narrow)
    assert get(plane, f"{DEPLOYMENTS}/{NAME}").body["spec"]["selector"] == selector
    assert get(plane, f"{DEPLOYMENTS}/{NAME}").body["spec"]["replicas"] == 2
    assert get(plane, f"{ROLES}/clusterroles/{NAME}").code == 404
    # The policy on what schedules name is not lost by a slip: it takes a word of its own.
    policy = get(plane, f"{POLICIES}/{NAME}-reference-access").body
    assert get(plane, f"{BINDINGS}/{NAME}-reference-access").code == 200
    assert "the policy of before is still there and in force" in notes
    assert (
        f"kubectl delete validatingadmissionpolicybindings,validatingadmissionpolicies {NAME}"
        in notes
    )
    for verb, resource in (
        ("list", "reports.adaf.io/reportschedules"),
        ("create", "batch/jobs"),
        ("delete", "configmaps"),
    ):
        assert allowed(plane, verb, resource, "team")
        assert not allowed(plane, verb, resource, "other")
    assert not allowed(plane, "get", "secrets", "team")

    # The team's claim is no value any more: it stays all the same.
    claim = "/api/v1/namespaces/team/persistentvolumeclaims/adaf-reports"
    assert get(plane, claim).code == 200

    helm("uninstall", RELEASE)
    assert get(plane, f"{DEPLOYMENTS}/{NAME}").code == 404
    assert get(plane, f"{ROLES}/namespaces/team/roles/{NAME}").code == 404
    assert get(plane, claim).code == 200
    # What is written while nothing is installed runs after the next installation: it is asked for.
    assert get(plane, f"{BINDINGS}/{NAME}-reference-access").code == 200
    assert get(plane, f"{POLICIES}/{NAME}-own-jobs").code == 404
    assert get(plane, f"/api/v1/namespaces/{RELEASE}/serviceaccounts/{API}").code == 404
    kept = get(plane, f"{SCHEDULES}/any")
    assert kept.code == 200
    assert kept.body["metadata"]["uid"] == made.body["metadata"]["uid"]
    assert "deletionTimestamp" not in kept.body["metadata"]

    # And back: the objects that stayed are taken over, also without the flag.
    helm("install", RELEASE, str(CHART), values={"teamNamespaces": ["team"]})
    assert get(plane, f"{SCHEDULES}/any").body["metadata"]["uid"] == made.body["metadata"]["uid"]
    adopted = get(plane, f"{POLICIES}/{NAME}-reference-access").body
    assert adopted["metadata"]["uid"] == policy["metadata"]["uid"]
    assert adopted["metadata"]["annotations"]["meta.helm.sh/release-name"] == RELEASE


def test_an_upgrade_that_would_leave_schedules_alone_is_refused(
    plane: ControlPlane, helm: Callable[..., str]
) -> None:
    """Versions before watched the whole cluster: a schedule outside teamNamespaces did run."""
    install(helm, {"config": {"watchAllNamespaces": True}, "teamNamespaces": ["team"]})
    path = SCHEDULES.replace("/team/", "/other/")
    body = {**SCHEDULE, "metadata": {"name": "left", "namespace": "other"}}
    assert plane.api.call("POST", path, body).code == 201

    def warned() -> str:
        command = ["--dry-run=server", "label", "reportschedule/left", "a=b", "--overwrite"]
        done = run("kubectl", f"--kubeconfig={plane.kubeconfig}", "-n", "other", *command)
        assert done.code == 0
        return done.err

    try:
        with pytest.raises(AssertionError) as refused:
            install(helm, {"teamNamespaces": ["team"]})
        assert "teamNamespaces does not have other, where there are ReportSchedules" in str(
            refused.value
        )
        assert allowed(plane, "list", "reports.adaf.io/reportschedules", "other")
        install(helm, {"teamNamespaces": ["team", "other"]})
        assert allowed(plane, "list", "reports.adaf.io/reportschedules", "other")
        # Said in so many words it is left alone.
        install(helm, {"teamNamespaces": ["team"], "config": {"watchNamespaces": ["team"]}})
        wait_for("its author is warned", lambda: "does not watch the namespace other" in warned())
        assert not allowed(plane, "list", "reports.adaf.io/reportschedules", "other")
    finally:
        plane.api.call("DELETE", f"{path}/left")


def test_passwords_are_kept_with_the_data(plane: ControlPlane, helm: Callable[..., str]) -> None:
    def passwords() -> list[str]:
        paths = (f"/api/v1/namespaces/{RELEASE}/secrets/{store}" for store in ("postgres", "redis"))
        return [get(plane, path).body["data"]["password"] for path in paths]

    install(helm, {})
    first = passwords()
    assert len(set(first)) == 2
    install(helm, {"redis": {"maxMemory": "128mb"}})
    assert passwords() == first
    helm("uninstall", RELEASE)
    assert passwords() == first  # as the volumes do
    helm("install", RELEASE, str(CHART), values={"teamNamespaces": ["team"]})
    assert passwords() == first

    # To a database of one's own and back: the data of the bundled one are still there.
    ours = {"metadata": {"name": "ours"}, "stringData": {"host": "db.example.com"}}
    assert plane.api.call("POST", f"/api/v1/namespaces/{RELEASE}/secrets", ours).code == 201
    install(helm, {"postgres": {"existingSecret": "ours"}})
    stateful = f"/apis/apps/v1/namespaces/{RELEASE}/statefulsets/postgres"
    assert get(plane, stateful).code == 404
    install(helm, {"postgres": {"existingSecret": ""}})
    assert get(plane, stateful).code == 200
    assert passwords() == first


def test_an_existing_secret_without_a_host_is_refused(
    plane: ControlPlane, helm: Callable[..., str]
) -> None:
    wrong = {"metadata": {"name": "wrong"}, "stringData": {"hostname": "a", "password": "b"}}
    assert plane.api.call("POST", f"/api/v1/namespaces/{RELEASE}/secrets", wrong).code == 201
    with pytest.raises(AssertionError) as refused:
        install(helm, {"postgres": {"existingSecret": "wrong"}})
    told = str(refused.value)
    assert "postgres.existingSecret: the Secret wrong of namespace" in told
    assert "has no key host; it has hostname, password" in told


@pytest.mark.parametrize("watched", [["team"], []], ids=["one namespace", "the cluster"])
def test_operator_runs_with_the_rights_of_its_role(
    plane: ControlPlane, helm: Callable[..., str], tmp_path: Path, watched: list[str]
) -> None:
    """The operator itself, with the token and configuration of the chart."""
    where = {"watchNamespaces": watched} if watched else {"watchAllNamespaces": True}
    install(helm, {"config": where, "secretAccessPolicy": {"enabled": True}})
    config = get(plane, f"/api/v1/namespaces/{RELEASE}/configmaps/{NAME}").body["data"]
    settings = {**yaml.safe_load(config["config.yaml"]), "resyncSeconds": 5}
    operator = OperatorProcess(tmp_path, token_kubeconfig(plane, tmp_path), RELEASE, settings)
    name = f"w{len(watched)}"
    operator.start()
    try:
        operator.wait_until_leading()
        body = {**SCHEDULE, "metadata": {"name": name, "namespace": "team"}}
        assert plane.api.call("POST", SCHEDULES, body).code == 201

        def status() -> dict[str, Any]:
            found: dict[str, Any] = get(plane, f"{SCHEDULES}/{name}").body.get("status", {})
            return found

        def tell() -> object:
            return status(), operator.log()

        cronjob = wait_for("a CronJob", lambda: status().get("cronJob"), 60, tell)
        manual = ["create", "job", f"{name}-run", f"--from=cronjob/{cronjob}", "--namespace=team"]
        done = run("kubectl", f"--kubeconfig={plane.kubeconfig}", *manual)
        assert done.code == 0, done.err
        job = f"/apis/batch/v1/namespaces/team/jobs/{name}-run"
        wait_for(
            "the run is let in and told of",
            lambda: not get(plane, job).body["spec"]["suspend"] and status().get("active"),
            60,
            tell,
        )
        live = get(plane, f"/apis/batch/v1/namespaces/team/cronjobs/{cronjob}").body
        body = job_for_slot(live, datetime(2026, 1, 1, tzinfo=UTC))
        thief = ApiServer(token_kubeconfig(plane, tmp_path))

        def made_in(where: str) -> Answer:
            path = f"/apis/batch/v1/namespaces/{where}/jobs?dryRun=All"
            moved = {**body, "metadata": {**body["metadata"], "namespace": where}}
            return thief.call("POST", path, moved)

        assert made_in("team").code == 201
        assert made_in("other").code == (403 if watched else 201)
        assert made_in("kube-system").code in (403, 422)
        operator.wait_for_resyncs()
        assert operator.terminate() == 0, operator.log()
        log = operator.log_file.read_text()
        lease = f"/apis/coordination.k8s.io/v1/namespaces/{RELEASE}/leases/{NAME}"
        assert not get(plane, lease).body["spec"].get("holderIdentity")
        assert "orbidden" not in log
    finally:
        operator.end()
        plane.api.call("DELETE", f"{SCHEDULES}/{name}")


@pytest.mark.parametrize("watched", [["team"], []], ids=["one namespace", "the cluster"])
def test_the_admin_api_gets_along_with_its_role(
    plane: ControlPlane, helm: Callable[..., str], tmp_path: Path, watched: list[str]
) -> None:
    """Every verb of on-call, with the token that the chart gives the API and nothing else."""
    install(
        helm, {"config": {"watchNamespaces": watched} if watched else {"watchAllNamespaces": True}}
    )
    config = get(plane, f"/api/v1/namespaces/{RELEASE}/configmaps/{NAME}").body["data"]
    port = free_port()
    settings = {
        **yaml.safe_load(config["config.yaml"]), "resyncSeconds": 5, "metricsPort": port,
        "metricsUrl": f"http://127.0.0.1:{port}/metrics",
    }  # fmt: skip
    del settings["postgresSecret"], settings["redisSecret"]  # no stores run here
    operator = OperatorProcess(tmp_path, token_kubeconfig(plane, tmp_path), RELEASE, settings)
    operator.start()
    log = tmp_path / "api.log"
    kubeconfig = token_kubeconfig(plane, tmp_path, API)
    process = ApiProcess(kubeconfig, RELEASE, operator.config_file, log)
    name = f"a{len(watched)}"
    try:
        operator.wait_until_leading()
        process.start()
        api = process.api
        body = {**SCHEDULE, "metadata": {"name": name, "namespace": "team"}}
        body["spec"] = {**SCHEDULE["spec"], "reportType": name}
        assert plane.api.call("POST", SCHEDULES, body).code == 201

        def status() -> dict[str, Any]:
            found: dict[str, Any] = get(plane, f"{SCHEDULES}/{name}").body.get("status", {})
            return found

        def tell() -> object:
            return status(), operator.log(), log.read_text()

        wait_for("a CronJob", lambda: status().get("cronJob"), 60, tell)
        asked = {"type": name, "date": "2026-01-01"}
        first = api.call("POST", "/api/admin/reports/generate", asked, Idempotency_Key=name)
        assert first.status == 202, first.text
        again = api.call("POST", "/api/admin/reports/generate", asked, Idempotency_Key=name)
        assert again.body["id"] == first.body["id"]
        job = first.body["id"]
        wait_for("it is let in", lambda: status().get("active"), 60, tell)
        assert api.get(f"{SCHEDULER}/jobs/{job}").status == 200

        # A pod that has failed: its log, and a further attempt.
        namespace = Namespace(plane, "team")
        namespace.end_pod(namespace.pod_of(api.jobs()[0]["job"]), exit_code=78)
        wait_for("its outcome", lambda: status().get("runCounts"), 60, tell)
        assert api.get(f"{SCHEDULER}/jobs/{job}").status == 200
        retried = api.call("POST", f"{SCHEDULER}/jobs/{job}/retry")
        assert retried.status == 202, retried.text
        days = {"start_date": "2026-01-02", "end_date": "2026-01-02", "report_types": [name]}
        backfilled = api.call("POST", "/api/admin/reports/backfill", days)
        assert backfilled.status == 202, backfilled.text
        cleaned = api.call("POST", f"{SCHEDULER}/queue/cleanup", {"older_than_hours": 1})
        assert cleaned.status == 200, cleaned.text
        assert api.get("/api/admin/deployments/recent").status == 200
        exposition = api.get(f"{SCHEDULER}/metrics", Accept="text/plain")
        assert "report_scheduler_" in exposition.text
        stopped = api.call("POST", f"{SCHEDULER}/shutdown?graceful=true")
        assert stopped.status == 202, stopped.text
        wait_for("the operator stops", lambda: operator.exit_code is not None, 60, tell)
        assert operator.exit_code == 0
        gone = api.get(f"{SCHEDULER}/metrics", Accept="text/plain")
        assert gone.status == 503
        assert "the operator's metrics cannot be read" in gone.body["detail"]
        events = get(plane, "/api/v1/namespaces/team/events").body["items"]
        reasons = " ".join(event["reason"] for event in events)
        assert all(verb in reasons for verb in ("Generate", "Retry", "Backfill"))
        process.end()
        assert "orbidden" not in log.read_text()
    finally:
        operator.end()
        process.kill()
        plane.api.call("DELETE", f"{SCHEDULES}/{name}")
