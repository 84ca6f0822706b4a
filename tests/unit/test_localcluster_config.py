"""What the local cluster's programs are told, and what is read back from the system."""

from __future__ import annotations

import io
import json
import socket
import tarfile
import tomllib
from itertools import islice
from pathlib import Path

import pytest
import yaml

from hack.localcluster import config, images
from hack.localcluster.cgroups import parse_hierarchies
from hack.localcluster.cluster import (
    HACK,
    Cluster,
    ClusterError,
    candidate_ports,
    default_name,
    free_port,
    this_cluster,
)
from hack.localcluster.components import components
from hack.localcluster.mounts import parse_mounts
from hack.localcluster.network import DNS_SERVICE_IP, NODE_IP
from hack.localcluster.tools import content_key

CLUSTER = Cluster("here", Path('/some "odd" place'))


def test_checkouts_of_the_same_name_get_different_clusters() -> None:
    one, other = default_name(Path("/a/Report Scheduler")), default_name(Path("/b/main"))
    assert one.startswith("report-scheduler-")
    assert default_name(Path("/a/main")) != other == default_name(Path("/b/main"))


def test_cluster_name_from_the_environment() -> None:
    cluster = this_cluster({"ADAF_CLUSTER": "mine", "ADAF_CACHE": "/cache"})
    assert cluster.state == Path("/cache/clusters/mine")


@pytest.mark.parametrize("name", ["../etc", "Mine", "-a", "a-", "x" * 31, "a/b", "a b"])
def test_invalid_cluster_name_is_refused(name: str) -> None:
    with pytest.raises(ClusterError, match="lower-case"):
        this_cluster({"ADAF_CLUSTER": name})


def test_cache_path_too_long_for_sockets_is_refused() -> None:
    with pytest.raises(ClusterError, match="set ADAF_CACHE to a shorter directory"):
        this_cluster({"ADAF_CLUSTER": "a", "ADAF_CACHE": "/tmp/" + "d" * 80})


def test_taken_port_is_not_chosen() -> None:
    port = free_port("some-cluster")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()
        assert free_port("some-cluster") != port
    assert free_port("some-cluster") == port


def test_every_port_is_a_candidate_once() -> None:
    ports = list(candidate_ports("a"))
    assert sorted(ports) == list(range(20000, 28000))
    assert list(islice(candidate_ports("b"), 3)) != ports[:3]


def test_containerd_is_configured_for_the_machine() -> None:
    host = config.Host(restrict_oom_score=True, snapshotter="native")
    read = tomllib.loads(config.containerd(CLUSTER, host))
    cri = read["plugins"]["io.containerd.grpc.v1.cri"]
    assert cri["restrict_oom_score_adj"] is True
    assert cri["containerd"]["snapshotter"] == "native"
    assert cri["sandbox_image"] == config.PAUSE_IMAGE
    assert read["grpc"]["address"] == str(CLUSTER.containerd_socket)


def test_kubelet_uses_the_clusters_cgroup_and_directories() -> None:
    read = json.loads(config.kubelet(CLUSTER))
    assert read["cgroupRoot"] == "/adaf-here"
    assert read["imageGCHighThresholdPercent"] == 100
    for key in ("podLogsDir", "volumePluginDir", "resolvConf", "tlsCertFile"):
        assert Path(read[key]).is_relative_to(CLUSTER.state)


def test_admin_kubeconfig_is_self_contained() -> None:
    read = json.loads(config.admin_kubeconfig(CLUSTER, 20001, b"ca", b"crt", b"key"))
    assert read["current-context"] == "adaf-here"
    assert read["clusters"][0]["cluster"]["server"] == "https://127.0.0.1:20001"
    assert "/" not in read["users"][0]["user"]["client-key-data"]


def test_addons_agree_with_the_network_and_the_kubelet() -> None:
    addons = {
        (a["kind"], a["metadata"]["name"]): a
        for a in yaml.safe_load_all((HACK / "localcluster" / "addons.yaml").read_text())
    }
    assert addons["Service", "kube-dns"]["spec"]["clusterIP"] == DNS_SERVICE_IP
    assert addons["EndpointSlice", "kube-dns"]["endpoints"][0]["addresses"] == [NODE_IP]
    assert json.loads(config.kubelet(CLUSTER))["clusterDNS"] == [DNS_SERVICE_IP]


def test_only_the_forwarder_runs_in_the_hosts_network() -> None:
    parts = components(CLUSTER, Path("/node"), 20001)
    assert [p.name for p in parts if not p.inside] == ["forwarder"]
    listening = [a for p in parts for a in p.command if a.startswith("127.0.0.1:")]
    assert listening == ["127.0.0.1:20001"]


def test_each_component_gets_its_own_kubeconfig() -> None:
    for part in components(CLUSTER, Path("/node"), 1):
        for argument in part.command:
            if argument.startswith("--kubeconfig="):
                assert argument.endswith(f"/{part.name}.kubeconfig")


def test_pause_image_is_a_docker_archive() -> None:
    with tarfile.open(fileobj=io.BytesIO(images.pause_archive(b"program"))) as archive:
        (manifest,) = json.load(archive.extractfile("manifest.json"))  # type: ignore[arg-type]
        assert manifest["RepoTags"] == [config.PAUSE_IMAGE]
        layer = archive.extractfile(manifest["Layers"][0])
        assert layer is not None
        with tarfile.open(fileobj=layer) as files:
            assert files.getmember("pause").mode == 0o755


def test_build_key_depends_on_every_input() -> None:
    key = content_key({"main.go": b"package main"}, "x86_64")
    assert key == content_key({"main.go": b"package main"}, "x86_64")
    assert key != content_key({"main.go": b"package  main"}, "x86_64")
    assert key != content_key({"other.go": b"package main"}, "x86_64")
    assert key != content_key({"main.go": b"package main"}, "aarch64")


LINE = "{n} 20 0:{n} / {point} rw,nosuid - {kind} none rw"


def test_mounts_below_a_directory_newest_first() -> None:
    points = ["/a", "/a/b", "/ab", r"/a/with\040space", "/"]
    text = "\n".join(LINE.format(n=n, point=p, kind="tmpfs") for n, p in enumerate(points))
    assert parse_mounts(text, Path("/a")) == ["/a/with space", "/a/b", "/a"]


def test_cgroup_version_2_counts_only_alone() -> None:
    second = LINE.format(n=1, point="/sys/fs/cgroup/unified", kind="cgroup2")
    first = LINE.format(n=2, point="/sys/fs/cgroup/pids", kind="cgroup")
    both = parse_hierarchies(f"{second}\n{first}")
    assert not both.unified
    assert both.mounts == (Path("/sys/fs/cgroup/pids"), Path("/sys/fs/cgroup/unified"))
    assert parse_hierarchies(second).unified
