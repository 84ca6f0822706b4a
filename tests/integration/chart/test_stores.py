"""Postgres and Redis as the chart renders them: bundled, from an existing Secret, or absent."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from tests.support.chart import (
    API,
    NAME,
    RELEASE,
    Object,
    Values,
    config_of,
    helm_template,
    named,
    of_kind,
    render,
    with_namespace,
)  # fmt: skip

STORES = ("postgres", "redis")
DIRECTORY = "/etc/report-scheduler-secrets"
PORTS = {"postgres": 5432, "redis": 6379}


def pod(objects: list[Object], kind: str, name: str) -> Object:
    found: Object = named(objects, kind, name)["spec"]["template"]["spec"]
    return found


def mounted(objects: list[Object]) -> dict[str, str]:
    """Secrets of operator and admin API, by mount directory."""
    places = []
    for name in (NAME, API):
        found = pod(objects, "Deployment", name)
        assert found["securityContext"]["fsGroup"] == found["securityContext"]["runAsGroup"]
        secrets = {v["name"]: v["secret"]["secretName"] for v in found["volumes"] if "secret" in v}
        (mounts,) = (c["volumeMounts"] for c in found["containers"])
        places.append({m["mountPath"]: secrets[m["name"]] for m in mounts if m["name"] in secrets})
    assert places[0] == places[1]
    return places[0]


@pytest.mark.parametrize("store", STORES)
def test_bundled(store: str) -> None:
    objects = render({})
    (port,) = named(objects, "Service", store)["spec"]["ports"]
    assert port["port"] == PORTS[store]
    stateful = named(objects, "StatefulSet", store)
    labels = stateful["spec"]["template"]["metadata"]["labels"]
    selectors = [
        named(objects, "Service", store)["spec"]["selector"],
        stateful["spec"]["selector"]["matchLabels"],
        named(objects, "NetworkPolicy", store)["spec"]["podSelector"]["matchLabels"],
    ]
    assert selectors == [selectors[0]] * 3
    assert selectors[0].items() <= labels.items()
    (claim,) = stateful["spec"]["volumeClaimTemplates"]
    # It cannot be changed later: nothing of a version may be in it.
    assert "helm.sh/chart" not in str(claim)
    assert {"name": claim["metadata"]["name"]}.items() <= {
        mount["name"]: mount
        for mount in pod(objects, "StatefulSet", store)["containers"][0]["volumeMounts"]
    }["data"].items()


@pytest.mark.parametrize("store", STORES)
def test_only_operator_and_admin_api_reach_it(store: str) -> None:
    objects = render({})
    spec = named(objects, "NetworkPolicy", store)["spec"]
    assert set(spec["policyTypes"]) == {"Ingress", "Egress"}
    assert "egress" not in spec
    (rule,) = spec["ingress"]
    assert rule["from"] == [
        {"podSelector": named(objects, "Deployment", name)["spec"]["selector"]}
        for name in (NAME, API)
    ]


@pytest.mark.parametrize("store", STORES)
def test_the_operator_and_the_api_find_it(store: str, tmp_path: Path) -> None:
    objects = render({})
    config = config_of(objects, tmp_path)
    directory = {"postgres": config.postgres_secret, "redis": config.redis_secret}[store]
    assert mounted(objects)[str(directory)] == store
    secret = named(objects, "Secret", store)
    assert secret["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}
    keys = {key: base64.b64decode(value).decode() for key, value in secret["data"].items()}
    assert (keys["host"], keys["port"]) == (f"{store}.{RELEASE}.svc", str(PORTS[store]))
    assert len(keys["password"]) == 32
    others = {"dbname": "adaf_prod", "user": "adaf_user", "sslmode": "disable"}
    assert {key: keys.get(key) for key in others} == (
        others if store == "postgres" else dict.fromkeys(others)
    )


@pytest.mark.parametrize("store", STORES)
def test_of_an_existing_secret_nothing_is_bundled(store: str, tmp_path: Path) -> None:
    objects = render({store: {"existingSecret": "ours"}})
    assert store not in {found["metadata"]["name"] for found in objects}
    assert mounted(objects)[f"{DIRECTORY}/{store}"] == "ours"
    assert len(of_kind(objects, "StatefulSet")) == 1
    config = config_of(objects, tmp_path)
    assert {str(config.postgres_secret), str(config.redis_secret)} == {
        f"{DIRECTORY}/postgres",
        f"{DIRECTORY}/redis",
    }


@pytest.mark.parametrize("store", STORES)
def test_without(store: str, tmp_path: Path) -> None:
    objects = render({store: {"enabled": False}})
    assert store not in {found["metadata"]["name"] for found in objects}
    assert list(mounted(objects)) == [f"{DIRECTORY}/{other}" for other in STORES if other != store]
    config = config_of(objects, tmp_path)
    assert {"postgres": config.postgres_secret, "redis": config.redis_secret}[store] is None


def test_images_by_value() -> None:
    image = {"repository": "registry.test/redis", "tag": "7", "pullPolicy": "Always"}
    objects = render({"redis": {"image": image}, "imagePullSecrets": [{"name": "pull"}]})
    found = pod(objects, "StatefulSet", "redis")
    assert found["containers"][0]["image"] == "registry.test/redis:7"
    assert found["containers"][0]["imagePullPolicy"] == "Always"
    assert found["imagePullSecrets"] == [{"name": "pull"}]
    other = pod(objects, "StatefulSet", "postgres")["containers"][0]["image"]
    assert other.startswith("adaf-services:")


def test_no_password_in_arguments_or_environment() -> None:
    objects = render({})
    for store in STORES:
        password = base64.b64decode(named(objects, "Secret", store)["data"]["password"]).decode()
        (container,) = pod(objects, "StatefulSet", store)["containers"]
        assert password not in str(container)
        assert "secretKeyRef" not in str(container)


def test_a_change_of_its_files_or_settings_restarts_it_and_one_of_the_operator_does_not() -> None:
    def templates(values: Values) -> list[Object]:
        objects = render(values)
        return [named(objects, "StatefulSet", store)["spec"]["template"] for store in STORES]

    same, other = templates({}), templates({"config": {"resyncSeconds": 60}})
    assert same == other
    assert templates({"redis": {"maxMemory": "1gb"}})[1] != same[1]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (
            {"postgres": {"enabled": False, "existingSecret": "ours"}},
            'postgres.existingSecret is "ours" and postgres.enabled is false',
        ),
        (
            {"redis": {"enabled": False, "existingSecret": "ours"}},
            'redis.existingSecret is "ours" and redis.enabled is false',
        ),
        ({"postgres": {"existingSecret": "No_Name"}}, "/postgres/existingSecret': 'No_Name'"),
        ({"postgres": {"password": "x"}}, "/postgres': additional properties 'password'"),
        ({"redis": {"maxMemory": "64"}}, "/redis/maxMemory': '64' does not match"),
        ({"redis": {"image": {"name": "x"}}}, "/redis/image': additional properties 'name'"),
        ({"postgres": {"size": "much"}}, "/postgres/size': 'much' does not match"),
        ({"postgres": {"enabled": "no"}}, "/postgres/enabled': got string, want boolean"),
    ],
)
def test_wrong_values_are_refused_by_name(values: Values, words: str) -> None:
    done = helm_template(with_namespace(values))
    assert done.code != 0
    assert words in done.err
