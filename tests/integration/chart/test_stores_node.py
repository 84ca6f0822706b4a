"""Bundled Postgres and Redis of an extra release on the real node, with the runbook's commands.

The installed release has them as they are by default. This one has what is most different: images
of docker-library's layout, any user, TLS, and a password of somebody else for Redis.
"""

from __future__ import annotations

import base64
import json
import os
import re
import select
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hack.testbed.waiting import wait_for
from tests.support import official_images
from tests.support.chart import CHART, ROOT, Done, Values, run

Kubectl = Callable[..., str]
PORTS = {"postgres": 5432, "redis": 6379}
SECRETS = {"postgres": "postgres", "redis": "of-somebody-else"}
SECONDS = 120.0
# A user without a name and of root's group, as OpenShift assigns them.
ANYBODY = {"runAsUser": 1000730000, "runAsGroup": 0, "fsGroup": 1000730000}
WRAPPER = ROOT / "hack" / "systemd" / "adaf-report-scheduler"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a CA: ca.crt and ca.key."""
    directory = tmp_path_factory.mktemp("authority")
    openssl(
        directory, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
        "-subj", "/CN=a test", "-keyout", "ca.key", "-out", "ca.crt",
    )  # fmt: skip
    return directory


def openssl(directory: Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=directory, check=True, capture_output=True)


def certified(kubectl: Kubectl, namespace: str, store: str, authority: Path) -> str:
    """A Secret as cert-manager writes it; its name."""
    names = f"subjectAltName=DNS:{store}.{namespace}.svc,DNS:localhost"
    key, request, certificate = (f"{store}.{kind}" for kind in ("key", "csr", "crt"))
    openssl(
        authority, "req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={store}",
        "-addext", names, "-keyout", key, "-out", request,
    )  # fmt: skip
    openssl(
        authority, "x509", "-req", "-in", request, "-CA", "ca.crt", "-CAkey", "ca.key",
        "-CAcreateserial", "-days", "2", "-copy_extensions", "copy", "-out", certificate,
    )  # fmt: skip
    files = {"tls.crt": certificate, "tls.key": key, "ca.crt": "ca.crt"}
    kubectl(
        "-n", namespace, "create", "secret", "generic", f"{store}-tls",
        *(f"--from-file={name}={authority / file}" for name, file in files.items()),
    )  # fmt: skip
    return f"{store}-tls"


@pytest.fixture(scope="module")
def values(
    kubectl: Kubectl, namespace: str, authority: Path, tmp_path_factory: pytest.TempPathFactory
) -> Values:
    """An operator of this release would collide with the installed one: there is none."""
    found: Values = {
        "replicas": 0,
        "adminApi": {"replicas": 0},
        "operatorPolicy": {"enabled": False},
        "crds": {"install": False},
        "secretAccessPolicy": {"enabled": False},
        "config": {"watchNamespaces": [namespace]},
        "podSecurityContext": ANYBODY,
    }
    built = subprocess.run(
        [sys.executable, "-m", "hack.image", "build", "services"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    ).stdout.split()  # fmt: skip
    for store in PORTS:
        image, archive = official_images.archive(
            store, Path(built[1]), tmp_path_factory.mktemp("images")
        )
        load = [sys.executable, "hack/localcluster", "load", str(archive)]
        subprocess.run(load, cwd=ROOT, check=True, capture_output=True)
        repository, _, tag = image.rpartition(":")
        found[store] = {
            "image": {"repository": repository, "tag": tag, "pullPolicy": "Never"},
            "size": "100Mi",
            "tls": {"existingSecret": certified(kubectl, namespace, store, authority)},
        }
    found["redis"]["passwordSecret"] = "of-somebody-else"
    literal = "--from-literal=password=chosen"
    kubectl("-n", namespace, "create", "secret", "generic", "of-somebody-else", literal)
    return found


@pytest.fixture(scope="module")
def stores(kubectl: Kubectl, namespace: str, values: Values) -> Iterator[str]:
    """The namespace, with both stores ready."""
    install(namespace, values)
    try:
        ready(kubectl, namespace)
        yield namespace
    finally:
        run("helm", "uninstall", "stores", "--namespace", namespace)


def install(namespace: str, values: Values) -> None:
    done = run(
        "helm", "upgrade", "--install", "stores", str(CHART), "--namespace", namespace,
        "--values", "-", text=json.dumps(values),
    )  # fmt: skip
    assert done.code == 0, done.err
    assert "would violate PodSecurity" not in done.err


def ready(kubectl: Kubectl, namespace: str) -> None:
    for store in PORTS:
        status = ["rollout", "status", f"statefulset/{store}", f"--timeout={SECONDS:.0f}s"]
        kubectl("-n", namespace, *status)


def password(kubectl: Kubectl, namespace: str, store: str) -> str:
    """Read as the runbook reads it."""
    encoded = kubectl(
        "-n", namespace, "get", "secret", SECRETS[store], "-o", "jsonpath={.data.password}"
    )
    return base64.b64decode(encoded).decode()


@contextmanager
def forwarded(namespace: str, store: str) -> Iterator[str]:
    """The runbook's port-forward, to another local port."""
    command = ["kubectl", "-n", namespace, "port-forward", f"svc/{store}", f":{PORTS[store]}"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        assert select.select([process.stdout], [], [], SECONDS)[0], "port-forward says nothing"
        found = re.search(r"127\.0\.0\.1:(\d+)", process.stdout.readline())
        assert found is not None
        yield found[1]
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


def told(*command: str, **environment: str) -> Done:
    done = subprocess.run(
        command, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )
    return Done(done.returncode, done.stdout.strip(), done.stderr)


def psql(
    kubectl: Kubectl, namespace: str, query: str, user: str = "adaf_user", secret: str = "",
    sslmode: str = "require",
) -> Done:  # fmt: skip
    known = secret or password(kubectl, namespace, "postgres")
    with forwarded(namespace, "postgres") as port:
        return told(
            "psql", "-h", "localhost", "-p", port, "-U", user, "-d", "adaf_prod", "-X", "-A", "-t",
            "-v", "ON_ERROR_STOP=1", "-c", query, PGPASSWORD=known, PGSSLMODE=sslmode,
        )  # fmt: skip


def redis(kubectl: Kubectl, namespace: str, *command: str) -> str:
    known = password(kubectl, namespace, "redis")
    with forwarded(namespace, "redis") as port:
        return told(
            "redis-cli",
            "-h",
            "localhost",
            "-p",
            port,
            "--tls",
            "--insecure",
            *command,
            REDISCLI_AUTH=known,
        ).out


def test_the_history_gets_what_it_needs(kubectl: Kubectl, stores: str) -> None:
    done = psql(
        kubectl,
        stores,
        "CREATE SCHEMA report_scheduler; CREATE TABLE report_scheduler.t (a int);"
        "SELECT rolsuper, rolcreatedb, rolcreaterole FROM pg_roles WHERE rolname = current_user;",
    )
    assert (done.code, done.out.splitlines()[-1:]) == (0, ["f|f|f"]), done.err
    assert psql(kubectl, stores, "CREATE DATABASE another").code != 0


def test_on_call_sees_every_connection_and_query(kubectl: Kubectl, stores: str) -> None:
    """Including those of other roles, here the superuser's."""
    kubectl(
        "-n", stores, "exec", "postgres-0", "--", "psql", "-d", "adaf_prod", "-c",
        "SELECT 'a report of another'",
    )  # fmt: skip
    query = "SELECT query, calls, mean_exec_time, stddev_exec_time FROM pg_stat_statements"
    done = psql(kubectl, stores, f"{query} WHERE query LIKE '%report%' AND query LIKE 'SELECT $1%'")
    assert done.code == 0, done.err
    statistics = psql(kubectl, stores, "SELECT query FROM pg_stat_statements").out
    assert "<insufficient privilege>" not in statistics
    assert password(kubectl, stores, "postgres") not in statistics
    assert "PASSWORD" not in statistics
    activity = psql(kubectl, stores, "SELECT query FROM pg_stat_activity").out
    assert "<insufficient privilege>" not in activity
    locks = "SELECT count(*) FROM pg_locks WHERE NOT granted"
    assert psql(kubectl, stores, locks).out == "0"


def test_postgres_refuses_wrong_credentials(kubectl: Kubectl, stores: str) -> None:
    wrong = psql(kubectl, stores, "SELECT 1", secret="wrong")
    assert "password authentication failed" in wrong.err
    assert "no pg_hba.conf entry" in psql(kubectl, stores, "SELECT 1", user="postgres").err


def test_redis_requires_the_password(kubectl: Kubectl, stores: str) -> None:
    with forwarded(stores, "redis") as port:
        without = told(
            "redis-cli", "-h", "localhost", "-p", port, "--tls", "--insecure", "LLEN", "any"
        )
    assert "NOAUTH" in without.out + without.err
    assert redis(kubectl, stores, "LLEN", "any") == "0"
    # Who has the password still does not reconfigure the server.
    assert "NOPERM" in redis(kubectl, stores, "CONFIG", "SET", "dir", "/tmp")


def test_without_tls_nobody_comes_in(kubectl: Kubectl, stores: str) -> None:
    assert "no encryption" in psql(kubectl, stores, "SELECT 1", sslmode="disable").err
    with forwarded(stores, "redis") as port:
        plain = told("redis-cli", "-h", "localhost", "-p", port, "PING")
    assert plain.code != 0 or "PONG" not in plain.out


def test_no_process_shows_a_password(kubectl: Kubectl, stores: str) -> None:
    for store in PORTS:
        script = "cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ | tr '\\0' '\\n'"
        shown = kubectl("-n", stores, "exec", f"{store}-0", "--", "sh", "-c", script)
        assert store in shown
        assert password(kubectl, stores, store) not in shown


def test_data_survive_a_crash_a_new_pod_and_an_upgrade(
    kubectl: Kubectl, stores: str, values: Values
) -> None:
    passwords = [password(kubectl, stores, store) for store in PORTS]
    made = "CREATE TABLE kept AS SELECT 7 AS a"
    assert psql(kubectl, stores, f"CREATE SCHEMA k; SET search_path TO k; {made}").code == 0
    assert redis(kubectl, stores, "RPUSH", "kept", "seven") == "1"

    def there() -> None:
        ready(kubectl, stores)
        assert psql(kubectl, stores, "SELECT a FROM k.kept").out == "7"
        assert redis(kubectl, stores, "LRANGE", "kept", "0", "-1") == "seven"

    def restarts(store: str) -> int:
        found = json.loads(kubectl("-n", stores, "get", "pod", f"{store}-0", "-o", "json"))
        count: int = found["status"]["containerStatuses"][0]["restartCount"]
        return count

    pods = kubectl("-n", stores, "get", "pods", "-o", "jsonpath={.items[*].metadata.uid}")
    for store in PORTS:  # from outside, since PID 1 does not hear KILL from within
        killed(kubectl, stores, store)
        wait_for(f"{store} was restarted", lambda store=store: restarts(store) > 0, SECONDS)
    there()
    kubectl("-n", stores, "delete", "pod", "postgres-0", "redis-0", "--grace-period=0", "--force")
    there()
    assert pods != kubectl("-n", stores, "get", "pods", "-o", "jsonpath={.items[*].metadata.uid}")

    # The pods are replaced, since their settings changed; the passwords are not.
    changed = {"resources": {"requests": {"cpu": "15m", "memory": "32Mi"}}}
    install(stores, {**values, **{store: {**values[store], **changed} for store in PORTS}})
    there()
    assert [password(kubectl, stores, store) for store in PORTS] == passwords


def killed(kubectl: Kubectl, namespace: str, store: str) -> None:
    """Send KILL to the store's first process, which only the node can do."""
    uid = kubectl("-n", namespace, "get", "pod", f"{store}-0", "-o", "jsonpath={.metadata.uid}")
    (found,) = (
        int(entry.name)
        for entry in Path("/proc").iterdir()
        if entry.name.isdigit()
        and uid in _read(entry / "cgroup").replace("_", "-")
        and _read(entry / "status").split("NSpid:")[-1].split("\n")[0].split()[-1] == "1"
        and store in _read(entry / "cmdline")
    )
    os.kill(found, 9)


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:  # it has ended
        return ""


def test_changed_password_applies_at_the_next_start(kubectl: Kubectl, stores: str) -> None:
    """With any characters."""
    new = 'it\'s "new" #%&*~ \\ $(x)'
    for store in PORTS:
        data = {"stringData": {"password": new}}
        kubectl("-n", stores, "patch", "secret", SECRETS[store], "-p", json.dumps(data))
        kubectl("-n", stores, "rollout", "restart", f"statefulset/{store}")
    ready(kubectl, stores)
    assert psql(kubectl, stores, "SELECT 1", secret=new).out == "1"
    assert redis(kubectl, stores, "PING") == "PONG"


def test_interrupted_initdb_is_repaired(kubectl: Kubectl, stores: str) -> None:
    """The volume is as a crash within initdb leaves it."""
    data = "/var/lib/postgres/data"
    script = f"mkdir -p {data}.new/base && mv {data}/PG_VERSION {data}.new/ && mv {data} {data}.old"
    kubectl("-n", stores, "exec", "postgres-0", "--", "sh", "-c", script)
    kubectl("-n", stores, "delete", "pod", "postgres-0", "--grace-period=0", "--force")
    ready(kubectl, stores)
    assert psql(kubectl, stores, "SELECT 1").out == "1"


def test_data_of_another_major_version_are_left_alone(kubectl: Kubectl, stores: str) -> None:
    version = "/var/lib/postgres/data/PG_VERSION"
    true = kubectl("-n", stores, "exec", "postgres-0", "--", "cat", version).strip()
    kubectl("-n", stores, "exec", "postgres-0", "--", "sh", "-c", f"echo 9 >{version}")
    kubectl("-n", stores, "delete", "pod", "postgres-0")
    log = ["-n", stores, "logs", "postgres-0"]
    wait_for("it says so", lambda: told("kubectl", *log).out.startswith("the volume"), SECONDS)
    assert "data of Postgres 9, the image brings" in kubectl(*log)
    claim = ["get", "pvc", "data-postgres-0", "-o", "jsonpath={.spec.volumeName}"]
    volume = json.loads(kubectl("get", "pv", kubectl("-n", stores, *claim), "-o", "json"))
    directory = (volume["spec"].get("hostPath") or volume["spec"]["local"])["path"]
    Path(directory, "data/PG_VERSION").write_text(f"{true}\n")
    kubectl("-n", stores, "delete", "pod", "postgres-0")
    ready(kubectl, stores)
    assert psql(kubectl, stores, "SELECT 1").out == "1"


def test_systemd_s_wrapper_restarts_the_deployment(kubectl: Kubectl, stores: str) -> None:
    place = {"NAMESPACE": stores, "RELEASE": "stores"}
    generation = ["get", "deployments", "-o", "jsonpath={.items[*].metadata.generation}"]
    before = [int(number) for number in kubectl("-n", stores, *generation).split()]
    assert len(before) == 2  # operator and admin API
    done = told(str(WRAPPER), "restart", **place)
    assert done.code == 0, done.err
    assert done.out.count("successfully rolled out") == 2
    after = [int(number) for number in kubectl("-n", stores, *generation).split()]
    assert after == [number + 1 for number in before]
    assert told(str(WRAPPER), "status", **place).code == 0
    absent = told(str(WRAPPER), "status", **{**place, "RELEASE": "absent"})
    assert absent.code == 1
    assert "no report scheduler" in absent.err
    assert told(str(WRAPPER)).code == 64
