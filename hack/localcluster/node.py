"""Start, heal and inspect the node."""

from __future__ import annotations

import shutil
import signal
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hack.localcluster import cgroups, cleanup, config, images, network, processes
from hack.localcluster.clients import clients
from hack.localcluster.cluster import HACK, Cluster, ClusterError, free_port
from hack.localcluster.components import Component, components
from hack.localcluster.kubeapi import Api
from hack.localcluster.progress import Progress, tail, wait_until
from hack.localcluster.tools import NodePrograms, install_debian_packages, node_programs

_CAP_SYS_RESOURCE = 24
_ADDONS = HACK / "localcluster" / "addons.yaml"
_STOP_TIMEOUT = 5.0  # seconds for a component to end by itself


@dataclass(frozen=True, slots=True)
class Node:
    """A prepared node, running or not."""

    cluster: Cluster
    programs: NodePrograms
    port: int

    @property
    def parts(self) -> tuple[Component, ...]:
        """All components, in start order."""
        return components(self.cluster, self.programs.node, self.port)

    @property
    def api(self) -> Api:
        return Api(self.cluster, self.port)

    def pid_file(self, name: str) -> Path:
        return self.cluster.state / "pids" / f"{name}.json"

    def process(self, name: str) -> processes.Process | None:
        """A component's process, if it is alive."""
        return processes.recorded(self.pid_file(name))

    def start(self, part: Component) -> None:
        """Start a component unless it runs."""
        if self.process(part.name):
            return
        processes.spawn(
            part.command,
            self.cluster.logs(part.name),
            self.pid_file(part.name),
            cgroups.create(self.cluster.context),
            self.cluster.netns if part.inside else None,
        )

    def wait_for(
        self, what: str, blame: str, check: Callable[[], bool], seconds: float = 120
    ) -> None:
        """Wait until a check holds.

        Raises ClusterError with the log of the component to blame, immediately where one has died.

        """

        def died() -> str | None:
            dead = [p.name for p in self.parts if self._started(p) and not self.process(p.name)]
            return self._describe(f"{dead[0]} has ended", dead[0]) if dead else None

        if not wait_until(check, seconds, died):
            raise ClusterError(self._describe(f"{what} not ready after {seconds:.0f} s", blame))

    def _started(self, part: Component) -> bool:
        return self.pid_file(part.name).exists()

    def _describe(self, what: str, blame: str) -> str:
        log_file = self.cluster.logs(blame)
        return (
            f"{what}; the last lines of its log:\n{tail(log_file)}\n  log: {log_file}\n"
            "  remedy: `up` once more begins anew where the cluster was never ready, and starts "
            "what has ended where it was; `down` removes it"
        )


def up(cluster: Cluster, log: Progress) -> None:
    """Start the node, start what has ended, or leave it as it is.

    Raises ClusterError with the remedy.

    """
    require_root()
    install_debian_packages(cluster, log)
    programs = node_programs(cluster, log)
    kubectl = clients(cluster, log) / "kubectl"
    node = existing(cluster, programs)
    if node and all(node.process(p.name) for p in node.parts):
        if all(check() for _, _, check in node.api.checks()):
            log(f"the cluster {cluster.name} is up already")
            return
        log("all components run, but not all is ready: waiting")
        try:
            _wait(node, log, 30)
        except ClusterError as problem:
            log(f"{str(problem).splitlines()[0]}: beginning anew")
            node = None
    if node is None:
        if cluster.netns.exists() or (cluster.state / "pids").exists():
            log("clearing away what was left of an earlier start")
        cleanup.node(cluster)
        node = _prepare(cluster, programs)
    _run(node, kubectl, log)
    cluster.complete.touch()
    log(f"the node is ready: API server on https://127.0.0.1:{node.port}")


def existing(cluster: Cluster, programs: NodePrograms) -> Node | None:
    """The node of an earlier `up` that completed during this boot; None otherwise."""
    record = cluster.config("node.port")
    if not (cluster.complete.exists() and record.exists()):
        return None
    if subprocess.run(["mountpoint", "-q", cluster.netns], check=False).returncode:
        return None
    return Node(cluster, programs, int(record.read_text()))


def running(cluster: Cluster) -> Node:
    """The node of this cluster.

    Raises ClusterError without one.

    """
    record = cluster.config("node.program")
    if not record.exists():
        raise ClusterError(f"the cluster {cluster.name} is not up: `python3 hack/localcluster up`")
    program = Path(record.read_text())
    node = existing(cluster, NodePrograms(program, program.with_name("pause")))
    if node is None:
        raise ClusterError(
            f"the cluster {cluster.name} was left half-way: `python3 hack/localcluster up`"
        )
    return node


def require_root() -> None:
    """Raises ClusterError for any other user."""
    result = subprocess.run(["id", "-u"], capture_output=True, text=True, check=True)
    if result.stdout.strip() != "0":
        raise ClusterError(
            "a node of its own needs root (namespaces, mounts, cgroups); without it use "
            "KUBECONTEXT=<context> or a Docker engine"
        )


def snapshotter(cluster: Cluster) -> str:
    """containerd's snapshotter for this file system, found by trying an overlay mount."""
    trial = cluster.state / "overlay-trial"
    for name in ("lower", "upper", "work", "merged"):
        (trial / name).mkdir(parents=True, exist_ok=True)
    options = f"lowerdir={trial}/lower,upperdir={trial}/upper,workdir={trial}/work"
    command = ["mount", "-t", "overlay", "overlay", "-o", options, str(trial / "merged")]
    worked = subprocess.run(command, capture_output=True, check=False).returncode == 0
    if worked:
        subprocess.run(["umount", str(trial / "merged")], check=True)
    shutil.rmtree(trial)
    return "overlayfs" if worked else "native"


def _host(cluster: Cluster) -> config.Host:
    status = Path("/proc/self/status").read_text()
    effective = int(status.split("CapEff:")[1].split()[0], 16)
    return config.Host(
        restrict_oom_score=not effective >> _CAP_SYS_RESOURCE & 1,
        snapshotter=snapshotter(cluster),
    )


def _prepare(cluster: Cluster, programs: NodePrograms) -> Node:
    """Write every file that the components read."""
    for directory in ("config/cni", "volumes", "volume-plugins", "pod-logs", "kubelet"):
        (cluster.state / directory).mkdir(parents=True, exist_ok=True)
    cluster.backend.write_text("node")
    node = Node(cluster, programs, free_port(cluster.name))
    hosts = (
        "127.0.0.1",
        network.NODE_IP,
        network.API_SERVICE_IP,
        "localhost",
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        "kubernetes.default.svc.cluster.local",
    )
    pki = [f"--dir={cluster.pki('')}", f"--node={cluster.name}", f"--hosts={','.join(hosts)}"]
    command = [str(programs.node), "pki", *pki, f"--node-ip={network.NODE_IP}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ClusterError(f"no certificates: {done.stderr.strip()}")
    host = _host(cluster)
    files = {
        "containerd.toml": config.containerd(cluster, host),
        "cni/10-pods.conflist": config.cni(cluster),
        "kubelet.json": config.kubelet(cluster),
        "kube-proxy.json": config.kube_proxy(cluster),
        "Corefile": config.corefile(cluster),
        "resolv.conf": "",
        "snapshotter": host.snapshotter,
        "node.program": str(programs.node),
        "node.port": str(node.port),
    }
    for name, text in files.items():
        cluster.config(name).write_text(text)
    for component, certificate in (
        ("kube-controller-manager", "kube-controller-manager"),
        ("kube-scheduler", "kube-scheduler"),
        ("kube-proxy", "kube-proxy"),
        ("kubelet", "node"),
        ("coredns", "coredns"),
        ("provisioner", "provisioner"),
    ):
        path = cluster.component_kubeconfig(component)
        path.write_text(config.component_kubeconfig(cluster, certificate))
    parts = [Path(cluster.pki(f)).read_bytes() for f in ("ca.crt", "admin.crt", "admin.key")]
    cluster.kubeconfig.touch(mode=0o600)
    cluster.kubeconfig.write_text(config.admin_kubeconfig(cluster, node.port, *parts))
    network.create(cluster)
    return node


def _run(node: Node, kubectl: Path, log: Progress) -> None:
    cluster = node.cluster
    parts = node.parts
    starting = [p.name for p in parts if not node.process(p.name)]
    log(f"starting {', '.join(starting)}")
    for name in starting:
        node.pid_file(name).unlink(missing_ok=True)  # of one that has ended
    for part in parts:
        if not part.needs_api:
            node.start(part)
    _load_pause(node)
    node.wait_for("the API server", "kube-apiserver", node.api.ready)
    log("the API server is ready")
    for part in parts:
        node.start(part)
    apply = [str(kubectl), f"--kubeconfig={cluster.kubeconfig}", "apply", "--server-side"]
    command = [*apply, "--force-conflicts", "-f", str(_ADDONS)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ClusterError(f"{_ADDONS.name} was not applied: {done.stderr.strip()}")
    _wait(node, log, 120)


def _wait(node: Node, log: Progress, seconds: float) -> None:
    for what, blame, check in node.api.checks():
        node.wait_for(what, blame, check, seconds)
    log(f"ready: {', '.join(what for what, _, _ in node.api.checks())}")


def _load_pause(node: Node) -> None:
    cluster = node.cluster
    ctr = ["ctr", f"--address={cluster.containerd_socket}", "--timeout=2s", "version"]

    def answers() -> bool:
        return subprocess.run(ctr, capture_output=True, check=False).returncode == 0

    node.wait_for("containerd", "containerd", answers, 60)
    archive = cluster.config("pause.tar")
    archive.write_bytes(images.pause_archive(node.programs.pause.read_bytes()))
    images.load(cluster, archive, cluster.config("snapshotter").read_text())


def status(cluster: Cluster) -> tuple[list[str], bool]:
    """A line per component and check, and true where all is well."""
    node = running(cluster)
    lines = []
    well = True
    for part in node.parts:
        process = node.process(part.name)
        well = well and process is not None
        lines.append(f"{part.name:25}{f'pid {process.pid}' if process else 'not running'}")
    for what, _, check in node.api.checks():
        ready = check()
        well = well and ready
        lines.append(f"{what:25}{'ready' if ready else 'NOT READY'}")
    return lines, well


def change(cluster: Cluster, verb: str, name: str) -> None:
    """Start, stop, kill or restart one component, and wait until that is done.

    Raises ClusterError for an unknown component, or one that does not become ready.
    """
    node = running(cluster)
    known = {p.name: p for p in node.parts}
    if name not in known:
        raise ClusterError(f"no component {name}; there are {', '.join(known)}")
    process = node.process(name)
    if verb == "kill" and process:
        processes.send(process, signal.SIGKILL)
    if verb in ("stop", "restart", "kill"):
        if process:
            processes.end(process, 0 if verb == "kill" else _STOP_TIMEOUT)
        node.pid_file(name).unlink(missing_ok=True)
    if verb in ("start", "restart"):
        node.start(known[name])
        for what, blame, check in node.api.checks():
            if name in (blame, "forwarder", "etcd"):
                node.wait_for(what, blame, check)
