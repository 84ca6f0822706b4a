"""`kubectl reports …`: the real kubectl finds the plugin on PATH, beside a real admin API."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest

from hack.localcluster.clients import clients
from hack.localcluster.cluster import this_cluster
from hack.localcluster.progress import Progress
from hack.testbed.admin_api import Api, fail_once
from hack.testbed.namespace import BATCH, CORE, MERGE, SCHEDULES, Namespace, report
from hack.testbed.programs import project_program
from hack.testbed.waiting import wait_for
from tests.support.cli import Done

Kubectl = Callable[..., Done]


@pytest.fixture
def kubectl(namespace: Namespace, api: Api) -> Kubectl:
    """`kubectl ARGUMENTS` with the plugin on PATH; the API goes by --url."""
    programs = [str(clients(this_cluster(os.environ), Progress())), os.environ["PATH"]]
    programs.insert(0, str(Path(project_program("kubectl-reports")).parent))
    environment = {
        **os.environ,
        "PATH": ":".join(programs),
        "KUBECONFIG": str(namespace.plane.kubeconfig),
    }

    def run(*arguments: str, url: bool = True) -> Done:
        way = ("--url", f"http://localhost:{api.port}") if url else ()
        done = subprocess.run(
            ["kubectl", *arguments, *way], env=environment, capture_output=True, text=True,
            check=False, timeout=120, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        return Done(done.returncode, done.stdout, done.stderr)

    return run


def test_commands_that_take_a_schedule_by_name(
    namespace: Namespace, api: Api, kubectl: Kubectl
) -> None:
    fail_once(namespace)
    wait_for("it is seen", lambda: "failing" in kubectl("reports", "status").out)
    why = kubectl("reports", "why", "daily", "-n", namespace.name)
    assert (why.code, why.err) == (0, "")
    assert len(why.out.splitlines()) == 1  # one paragraph
    for part in ("failing since ", "no such table", "Affected: ", "Next: "):
        assert part in why.out, part
    logs = kubectl("reports", "logs", "daily")
    assert "failed: " in logs.out
    assert "no such table" in logs.out

    retried = kubectl("reports", "retry", "daily")
    assert retried.code == 0, retried.err
    assert kubectl("reports", "retry", "daily").out.split()[0] == retried.out.split()[0]
    assert ".2 is " in retried.out
    once, twice = (kubectl("reports", "run-now", "daily", "-n", namespace.name) for _ in "12")
    assert once.code == twice.code == 0, once.err
    assert once.out.split()[0] == twice.out.split()[0] != retried.out.split()[0]
    assert len(namespace.jobs()) == 3

    wrong = kubectl("reports", "why", "dialy")
    assert wrong.code == 1
    assert wrong.err.startswith("kubectl reports: ")
    assert "kubectl reports status" in kubectl("reports", "--help", url=False).out


def test_kubectl_completes_commands_options_and_schedules(
    namespace: Namespace, kubectl: Kubectl
) -> None:
    """By the protocol of kubectl's own completion, for any shell."""
    namespace.apply("daily-positions")

    def completed(*words: str) -> list[str]:
        done = kubectl("__complete", "reports", *words, url=False)
        *found, _ = done.out.splitlines()
        return [line.split("\t")[0] for line in found]

    assert {"why", "run-now", "report", "retry", "logs"} <= set(completed(""))
    assert completed("wh") == ["why"]
    assert completed("why", "daily-p") == ["daily-positions"]
    assert completed("schedules", "--tier", "") == ["critical", "standard", "bulk"]
    assert "--operator-namespace" in completed("status", "--")
    assert completed("completion", "z") == ["zsh"]


def test_bash_completes_the_command(tmp_path: Path) -> None:
    """The script that `completion bash` prints, in a real bash."""
    program = project_program("report-scheduler")
    script = f"""
        PATH={Path(program).parent}:$PATH
        source <(report-scheduler completion bash)
        COMP_WORDS=(report-scheduler dead-letters re) COMP_CWORD=2
        $(complete -p report-scheduler | sed 's/.*-F //; s/ .*//')
        echo "${{COMPREPLY[*]}}"
    """
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "retry", done.stderr


SECRETS = {
    "in a Secret": "Hunter2-Is-A-Password",
    "in env": "env-value-7f3a9c21d4",
    "in a ConfigMap": "config-value-5b8e1f0c77",
    "in last-applied": "applied-value-90aa3c4de1",
    "in a header": "header-value-1c2d3e4f5a",
    "in a query": "query-literal-66aa77bb88",
    "in a URL": "url-password-2b4d6f8a0c",
    "undeclared": "never-declared-anywhere-31",
}


def plant(namespace: Namespace) -> None:
    """A failed run and its surroundings, with the values wherever people put them."""
    secret = {"metadata": {"name": "report-db"}, "stringData": {"password": SECRETS["in a Secret"]}}
    namespace.call("POST", namespace.path(CORE, "secrets"), secret)
    config = {"metadata": {"name": "notes"}, "data": {"token": SECRETS["in a ConfigMap"]}}
    namespace.call("POST", namespace.path(CORE, "configmaps"), config)
    headers = [{"name": "X-Key", "value": SECRETS["in a header"]}]
    sources = [
        {"name": "facts", "inline": {"rows": [{"a": 1, "b": SECRETS["in a query"]}]}},
        {"name": "web", "http": {"url": "https://example.com/x", "headers": headers}},
    ]
    namespace.apply("daily", report=report(sources=sources))
    namespace.wait_until_observed("daily")
    applied = {"kubectl.kubernetes.io/last-applied-configuration": SECRETS["in last-applied"]}
    path = namespace.path(SCHEDULES, "reportschedules", "daily")
    namespace.call("PATCH", path, {"metadata": {"annotations": applied}}, MERGE)
    namespace.start("daily", "run-1")
    pod = namespace.pod_of("run-1")
    container = {"name": "c", "image": "x", "env": [{"name": "A", "value": SECRETS["in env"]}]}
    labels = pod["metadata"]["labels"]
    job = {
        "metadata": {"name": "by-hand", "labels": labels},
        "spec": {
            "suspend": True,
            "template": {"spec": {"restartPolicy": "Never", "containers": [container]}},
        },
    }
    job["metadata"]["labels"] = {k: v for k, v in labels.items() if "batch" not in k}
    namespace.call("POST", namespace.path(BATCH, "jobs"), job)
    told = SECRETS["in a Secret"]
    message = (
        f"cannot log in with {told}, {base64.b64encode(told.encode()).decode()}, {quote(told)}, "
        f"{SECRETS['in env']} {SECRETS['in a header']} "
        f"at postgresql://adaf:{SECRETS['in a URL']}@db/x, password={SECRETS['undeclared']}; "
        "no such table"
    )
    namespace.end_pod(pod, exit_code=78, message=message)
    wait_for("its outcome", lambda: namespace.status("daily").get("runCounts"))


def contents(path: Path) -> dict[str, str]:
    with tarfile.open(path) as archive:
        names = [member.name for member in archive]
        found = {name: archive.extractfile(name) for name in names}
        return {name: file.read().decode() for name, file in found.items() if file}


def test_support_bundle_has_what_helps_and_no_secret(
    namespace: Namespace, api: Api, kubectl: Kubectl, tmp_path: Path
) -> None:
    plant(namespace)
    wait_for("it is seen", lambda: api.jobs(status="failed"))
    target = tmp_path / "bundle.tar.gz"
    here = ("-n", namespace.name, "--operator-namespace", namespace.name)
    done = kubectl("reports", "report", "--to", str(target), *here)
    assert done.code == 0, done.err
    files = contents(target)
    assert target.stat().st_mode & 0o077 == 0
    whole = "\n".join(files.values())
    everything = "\n".join(
        json.dumps(kubectl("get", kind, *here[:2], "-o", "json", url=False).out)
        for kind in ("reportschedules", "secrets", "configmaps", "jobs")
    )
    for where, value in SECRETS.items():
        encoded = base64.b64encode(value.encode()).decode()
        assert value in everything or encoded in everything, f"{where}: it was not planted"
        for form in (value, encoded, quote(value), value.lower(), encoded.rstrip("=")[:-2]):
            assert form not in whole, f"{where}: {form}"
    for helpful in ("ConfigurationError", "no such table", '"daily"', "run-1", "by-hand", "X-Key"):
        assert (helpful in whole) == (helpful != "X-Key"), helpful
    schedule = json.loads(files[f"report-scheduler/{namespace.name}/reportschedules.json"])[0]
    assert schedule["spec"]["schedule"] == "0 0 1 1 *"
    assert [source["name"] for source in schedule["spec"]["report"]["sources"]] == ["facts", "web"]
    assert schedule["status"]["health"] == "Failing"
    assert json.loads(files["report-scheduler/api/status.json"])["failing"] == 1
    again = kubectl("reports", "report", "--to", str(target), *here)
    assert again.code == 1
    assert "is there already" in again.err


def test_bundle_of_who_may_not_read_secrets_has_no_message(
    namespace: Namespace, api: Api, kubectl: Kubectl, tmp_path: Path
) -> None:
    plant(namespace)
    wait_for("it is seen", lambda: api.jobs(status="failed"))
    # With a context that is not there kubectl answers nothing, and the API does.
    target = tmp_path / "bundle.tar.gz"
    done = kubectl(
        "reports", "report", "--to", str(target), "-n", namespace.name,
        "--context", "none",
    )  # fmt: skip
    assert done.code == 0, done.err
    assert "Secrets cannot be read" in done.err
    whole = "\n".join(contents(target).values())
    assert "no such table" not in whole
    assert "ConfigurationError" in whole
