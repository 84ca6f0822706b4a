"""A Docker engine in a network namespace of its own: no rule, device or service on the host."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hack.localcluster import cgroups, processes
from hack.localcluster.cluster import HACK, ClusterError, cache_base
from hack.localcluster.docker import docker_answers
from hack.localcluster.mounts import unmount_below
from hack.localcluster.progress import Progress, tail, wait_until

_PACKAGES = ("docker.io", "slirp4netns")
_RUNTIME = HACK / "engine" / "runtime"
_DNS = "10.0.2.3"  # of slirp4netns, which asks what this machine asks
_START_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Engine:
    """An engine that answers. Commands that use it are made by `command`."""

    host: str  # DOCKER_HOST; empty for the engine that was there already
    prefix: tuple[str, ...] = ()

    @property
    def own(self) -> bool:
        """Whether it was started here, on a machine where none answered."""
        return bool(self.host)

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "DOCKER_HOST": self.host} if self.host else dict(os.environ)

    def command(self, *arguments: str) -> list[str]:
        """A command in the engine's network, where the ports that it publishes are."""
        return [*self.prefix, *arguments]

    def docker(self, *arguments: str, stdin: str | None = None) -> str:
        """Standard output of a docker command. Raises ClusterError."""
        done = subprocess.run(
            self.command("docker", *arguments),
            env=self.environment, input=stdin, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            raise ClusterError(
                f"docker {' '.join(arguments[:3])} failed: {(done.stdout + done.stderr)[-2000:]}"
            )
        return done.stdout

    def has_image(self, name: str) -> bool:
        command = self.command("docker", "image", "inspect", name)
        done = subprocess.run(command, env=self.environment, capture_output=True, check=False)
        return done.returncode == 0


@contextmanager
def engine(name: str, log: Progress) -> Iterator[Engine]:
    """The engine that answers, else one of our own until the end of the block.

    Its images stay in the cache under this name; containers, networks and volumes do not. One
    process at a time has the engine of a name. Raises ClusterError where none can be started.
    """
    if docker_answers():
        yield Engine("")
        return
    place = cache_base(os.environ) / "engine" / name
    place.mkdir(parents=True, exist_ok=True)
    with place.with_suffix(".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            log(f"the Docker engine {name} is in use: waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        with _daemon(_Files(name, place), log) as started:
            yield started


@dataclass(frozen=True, slots=True)
class _Files:
    name: str
    place: Path

    @property
    def cgroup(self) -> str:
        return f"adaf-engine-{self.name}"

    @property
    def run(self) -> Path:
        """Short: sockets are below it."""
        return Path("/run", self.cgroup)

    @property
    def netns(self) -> Path:
        return self.run / "netns"

    @property
    def log(self) -> Path:
        return self.place / "dockerd.log"


@contextmanager
def _daemon(files: _Files, log: Progress) -> Iterator[Engine]:
    if os.geteuid():
        raise ClusterError("no Docker engine answers, and only root can start one here")
    _install()
    _clear(files)  # what a killed process has left
    files.run.mkdir(mode=0o700)
    children: list[subprocess.Popen[bytes]] = []
    try:
        started = _start(files, children)
        log(f"a Docker engine of our own answers: version {_version(started)}")
        for kind in ("container", "volume", "network"):
            _prune(started, kind)
        yield started
        for kind in ("container", "volume", "network"):
            _prune(started, kind)
    finally:
        _clear(files)
        for child in children:
            child.wait()


def _version(started: Engine) -> str:
    return started.docker("version", "--format", "{{.Server.Version}}").strip()


def _prune(started: Engine, kind: str) -> None:
    if kind == "container" and (running := started.docker("ps", "--all", "--quiet").split()):
        started.docker("rm", "--force", "--volumes", *running)
    started.docker(kind, "prune", "--force")


def _install() -> None:
    if all(shutil.which(program) for program in ("dockerd", "docker", "slirp4netns")):
        return
    done = subprocess.run([str(HACK / "packages"), *_PACKAGES], check=False)
    if done.returncode or not shutil.which("dockerd"):
        raise ClusterError(
            f"no Docker engine answers, and the packages {', '.join(_PACKAGES)} of one are not "
            "installed"
        )


def _start(files: _Files, children: list[subprocess.Popen[bytes]]) -> Engine:
    procs = cgroups.create(files.cgroup)
    files.netns.touch()
    _checked("unshare", f"--net={files.netns}", "true")
    _checked("nsenter", f"--net={files.netns}", "ip", "link", "set", "lo", "up")
    uplink = [
        "slirp4netns", "--configure", "--mtu=65520", "--disable-host-loopback",
        "--netns-type=path", str(files.netns), "tap0",
    ]  # fmt: skip
    slirp = _spawn(files, "slirp4netns", uplink, procs, children)
    _await("the engine's network", slirp, lambda: _has_device(files.netns, "tap0"), files)
    resolver = files.run / "resolv.conf"
    resolver.write_text(f"nameserver {_DNS}\n")
    # A mount namespace as well: what dockerd mounts ends with it, and /etc/resolv.conf is our own.
    # By their paths, for commands that are given a PATH without them.
    nsenter, unshare, sh, mount = map(shutil.which, ("nsenter", "unshare", "sh", "mount"))
    prefix = (
        f"{nsenter}", f"--net={files.netns}", f"{unshare}", "--mount", "--propagation", "private",
        f"{sh}", "-c", f'{mount} --bind {resolver} /etc/resolv.conf && exec "$0" "$@"',
    )  # fmt: skip
    settings = files.run / "daemon.json"
    settings.write_text(json.dumps(_settings(files)))
    host = f"unix://{files.run}/docker.sock"
    dockerd = [*prefix, "dockerd", f"--config-file={settings}"]
    process = _spawn(files, "dockerd", dockerd, procs, children)
    started = Engine(host, prefix)
    _await("dockerd", process, lambda: _answers(started), files)
    return started


def _settings(files: _Files) -> dict[str, object]:
    settings: dict[str, object] = {
        "data-root": str(files.place / "data"),
        "exec-root": str(files.run / "exec"),
        "pidfile": str(files.run / "docker.pid"),
        "hosts": [f"unix://{files.run}/docker.sock"],
        "cgroup-parent": f"/{files.cgroup}",
        "exec-opts": ["native.cgroupdriver=cgroupfs"],
        "dns": [_DNS],
        "oom-score-adjust": 0,
        "log-level": "warn",
    }
    if _lacks_capabilities():
        settings["runtimes"] = {"bounded": {"path": str(_RUNTIME)}}
        settings["default-runtime"] = "bounded"
    return settings


def _lacks_capabilities() -> bool:
    """Whether this machine's root may not give a container everything that --privileged wants."""
    status = Path("/proc/self/status").read_text()
    bounding = int(next(x for x in status.splitlines() if x.startswith("CapBnd:")).split()[1], 16)
    last = int(Path("/proc/sys/kernel/cap_last_cap").read_text())
    return bounding != (1 << (last + 1)) - 1


def _spawn(
    files: _Files,
    name: str,
    command: Sequence[str],
    procs: Path,
    children: list[subprocess.Popen[bytes]],
) -> processes.Process:
    pid_file = files.run / "pids" / f"{name}.json"
    log_file = files.place / f"{name}.log"
    log_file.unlink(missing_ok=True)
    children.append(processes.spawn(command, log_file, pid_file, procs, None))
    if not (process := processes.recorded(pid_file)):
        raise ClusterError(f"{name} ended at once:\n{tail(log_file)}")
    return process


def _await(
    what: str, process: processes.Process, answers: Callable[[], bool], files: _Files
) -> None:
    def died() -> str | None:
        alive = processes.identify(process.pid) == process
        return None if alive else f"{what} has ended:\n{tail(files.log)}"

    if not wait_until(answers, _START_SECONDS, died):
        raise ClusterError(f"{what}: not ready after {_START_SECONDS:.0f} s\n{tail(files.log)}")


def _answers(started: Engine) -> bool:
    command = started.command("docker", "info", "--format", "{{.ServerVersion}}")
    done = subprocess.run(command, env=started.environment, capture_output=True, check=False)
    return done.returncode == 0


def _has_device(netns: Path, device: str) -> bool:
    command = ["nsenter", f"--net={netns}", "ip", "-oneline", "-4", "address", "show", device]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return "inet" in done.stdout


def _clear(files: _Files) -> None:
    """End all of it, whatever state it is in; what the data directory has stays."""
    for pid_file in (files.run / "pids").glob("*.json"):
        if pid_file.name.startswith("dockerd") and (found := processes.recorded(pid_file)):
            # Its containers end with it; what hangs is killed below.
            processes.send(found, signal.SIGTERM)
            wait_until(lambda found=found: processes.identify(found.pid) != found, 20)  # type: ignore[misc]
    if stubborn := cgroups.kill_members(files.cgroup):
        raise ClusterError(f"processes of the Docker engine do not die: {sorted(stubborn)}")
    if left := [*unmount_below(files.run), *unmount_below(files.place)]:
        raise ClusterError(f"still mounted: {', '.join(left[:5])}")
    if stuck := cgroups.remove(files.cgroup):
        raise ClusterError(f"cgroups do not go: {', '.join(map(str, stuck))}")
    shutil.rmtree(files.run, ignore_errors=True)


def _checked(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ClusterError(f"{' '.join(command)}: {done.stderr.strip()}")
