"""The images and their inputs. An image's key is a hash of its inputs, so it is built once."""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shutil
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from hack.image import rootfs
from hack.image.dockerfile import image_config
from hack.image.oci import Layer, layer_of_tree, seal_layer, stored_layer, write_archive
from hack.image.programs import RCLONE, GoProgram, build
from hack.localcluster.docker import has_image
from hack.localcluster.progress import run_logged

ROOT = Path(__file__).resolve().parents[2]
HERE = ROOT / "hack" / "image"
DEMO = ROOT / "hack" / "demo"
SERVICES = ROOT / "hack" / "services"
MONITORING = ROOT / "hack" / "monitoring"
RECIPE = 2  # raise it where the builder itself changes what it makes
KEEP = 4  # archives per image
BY_NAME = {"monitoring"}  # built where it is named alone: for a test of its own, and for long


def cache_dir() -> Path:
    """Where layers and archives are kept, outside the tree and shared by checkouts."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(os.environ.get("ADAF_CACHE") or Path(base, "adaf-reports"))


@dataclass(frozen=True, slots=True)
class Image:
    """A built image: its name in a container runtime, and its archive."""

    name: str
    archive: Path


@dataclass(frozen=True, slots=True)
class Recipe:
    """An image of three layers: Debian packages, Python dependencies, files of ours."""

    name: str
    packages: Path
    dockerfile: Path
    requirements: Path | None = None
    distribution: bool = False  # our own Python distribution
    files: tuple[tuple[Path, str], ...] = ()  # copied as they are: (file, path in the image)
    programs: tuple[tuple[GoProgram, str], ...] = ()  # built: (program, path in the image)

    def system_key(self) -> str:
        return _key(["system", platform.machine()], [self.packages, HERE / "install-system"])

    def python_key(self) -> str:
        inputs = [HERE / "install-tools", HERE / "install-dependencies", *self._locks()]
        return _key(["python", self.system_key()], inputs)

    def key(self) -> str:
        inputs = [self.dockerfile, *(path for path, _ in self.files)]
        inputs += [path for program, _ in self.programs for path in program.files()]
        if self.distribution:
            inputs += [HERE / "install-code", *_sources()]
        settings = [word for program, _ in self.programs for word in program.settings()]
        return _key(["image", self.python_key(), *settings], inputs)

    def _locks(self) -> list[Path]:
        if self.requirements is None:
            return []
        return [ROOT / "requirements" / "build.txt", self.requirements]

    def image(self) -> Image:
        """Name and archive, whether built or not."""
        key = self.key()[:12]
        archive = cache_dir() / "images" / f"{self.name}-{key}.tar"
        return Image(f"localhost/{self.name}:dev-{key}", archive)

    def build(self, log: Progress) -> Image:
        """Build the layers and the archive that are missing. Raises BuildError."""
        image = self.image()
        if image.archive.exists():
            image.archive.touch()
            return image
        rootfs.require_tools()
        for part in ("images", "layers", "roots", "wheels"):
            (cache_dir() / part).mkdir(parents=True, exist_ok=True)
        layers = [self._system(log)]
        if self.requirements:
            layers.append(self._python(layers[0], log))
        if self.distribution:
            layers.append(self._code(log))
        if self.files or self.programs:
            layers.append(self._files(log))
        log(f"{self.name}: archive")
        config = image_config(self.dockerfile, version())
        write_archive(image.archive, image.name, layers, config, _architecture())
        self._forget_old()
        return image

    def docker_build(self, log: Progress) -> None:
        """Have the engine build the Dockerfile, unless it has the image. Raises ClusterError."""
        name = self.image().name
        if has_image(name):
            return
        log(f"{self.name}: docker build")
        command = ["docker", "build", f"--tag={name}", f"--file={self.dockerfile}", str(ROOT)]
        run_logged(command, cache_dir() / "logs" / f"{self.name}.log", log, self.name)

    def _system(self, log: Progress) -> Layer:
        path = cache_dir() / "layers" / f"system-{self.system_key()}.tar"
        if layer := stored_layer(path):
            return layer
        log(f"{self.name}: Debian packages (about a minute, once)")
        packages = [
            line for line in self.packages.read_text().split("\n") if line and line[0] != "#"
        ]
        partial = path.with_name(path.name + ".partial")
        rootfs.debootstrap(packages, HERE / "install-system", self.packages, partial)
        return seal_layer(partial, path)

    def _root(self) -> Path:
        return cache_dir() / "roots" / self.python_key()

    def _wheels(self) -> Path:
        return cache_dir() / "wheels" / _key([platform.machine()], self._locks())

    def _python(self, system: Layer, log: Progress) -> Layer:
        path = cache_dir() / "layers" / f"python-{self.python_key()}.tar"
        root = self._root()
        if (layer := stored_layer(path)) and root.exists():
            return layer
        log(f"{self.name}: Python dependencies")
        rootfs.download_wheels(self._locks(), self._wheels())
        partial = root.with_name(root.name + ".partial")
        shutil.rmtree(partial, ignore_errors=True)
        rootfs.extract(system.path, partial)
        for lock, script in zip(
            self._locks(), ("install-tools", "install-dependencies"), strict=True
        ):
            _copy(HERE / script, partial / "tmp/build" / script)
            _copy(lock, partial / "tmp/build" / lock.name)
            command = [f"/tmp/build/{script}", f"/tmp/build/{lock.name}"]
            rootfs.in_chroot(partial, command, self._wheels())
        partial.replace(root)
        return layer_of_tree(root, ["opt/venv"], path)

    def _code(self, log: Progress) -> Layer:
        path = cache_dir() / "layers" / f"code-{self.key()}.tar"
        if layer := stored_layer(path):
            return layer
        log(f"{self.name}: our code")
        root = self._root()
        source = root / "tmp/source"
        shutil.rmtree(source, ignore_errors=True)
        for file in _sources():
            _copy(file, source / file.relative_to(ROOT))
        _copy(HERE / "install-code", root / "tmp/build/install-code")
        rootfs.in_chroot(root, ["/tmp/build/install-code", "/tmp/source"])
        return layer_of_tree(root / "opt/code", ["opt"], path)

    def _files(self, log: Progress) -> Layer:
        tree = cache_dir() / "roots" / f"files-{self.key()}"
        shutil.rmtree(tree, ignore_errors=True)
        files = list(self.files)
        for program, inside in self.programs:
            log(f"{self.name}: {program.name} (some minutes, once)")
            files.append((build(program), inside))
        for file, inside in files:
            _copy(file, tree / inside)
        tops = sorted({Path(inside).parts[0] for _, inside in files})
        layer = layer_of_tree(tree, tops, cache_dir() / "layers" / f"files-{self.key()}.tar")
        shutil.rmtree(tree)
        return layer

    def _forget_old(self) -> None:
        """Delete all but the newest archives, with the code layers older than them."""
        images = sorted(
            (cache_dir() / "images").glob(f"{self.name}-*.tar"), key=lambda p: p.stat().st_mtime
        )
        for old in images[:-KEEP]:
            old.unlink(missing_ok=True)
        day_ago = time.time() - 86_400
        for layer in (cache_dir() / "layers").glob("code-*"):
            if layer.stat().st_mtime < day_ago:
                layer.unlink(missing_ok=True)


class Progress:
    """Progress lines on standard error, with the seconds since the start."""

    def __init__(self) -> None:
        self._start = time.monotonic()
        self._last = ""

    def repeat(self) -> None:
        """Say once more what goes on; steps may take minutes."""
        if self._last:
            self(self._last)

    def __call__(self, text: str) -> None:
        self._last = text if text.startswith("...") else f"... {text}"
        print(
            f"[image {time.monotonic() - self._start:5.1f} s] {text}", file=sys.stderr, flush=True
        )


def version() -> str:
    """The distribution's version in pyproject.toml."""
    match = re.search(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    if match is None:
        raise rootfs.BuildError("pyproject.toml has no version")
    return match[1]


def recipes() -> dict[str, Recipe]:
    """Every image, by its short name."""
    return {
        "runner": Recipe(
            name="adaf-report-scheduler",
            packages=HERE / "packages.txt",
            dockerfile=ROOT / "Dockerfile",
            requirements=ROOT / "requirements" / "image.txt",
            distribution=True,
        ),
        "demo-mail": Recipe(
            name="adaf-demo-mail",
            packages=HERE / "packages.txt",
            dockerfile=DEMO / "mail" / "Dockerfile",
            requirements=ROOT / "requirements" / "demo-mail.txt",
            files=((DEMO / "mail" / "server.py", "opt/demo/server.py"),),
        ),
        "services": Recipe(
            name="adaf-services",
            packages=SERVICES / "packages.txt",
            dockerfile=SERVICES / "Dockerfile",
        ),
        "monitoring": Recipe(
            name="adaf-monitoring",
            packages=MONITORING / "packages.txt",
            dockerfile=MONITORING / "Dockerfile",
            programs=tuple((program, f"usr/bin/{program.name}") for program in _monitoring()),
        ),
        "demo-postgres": Recipe(
            name="adaf-demo-postgres",
            packages=SERVICES / "packages.txt",  # the same Debian layer
            dockerfile=DEMO / "postgres" / "Dockerfile",
            files=((DEMO / "postgres" / "start", "opt/demo/start"),),
        ),
        "demo-sources": Recipe(
            name="adaf-demo-sources",
            packages=DEMO / "sources" / "packages.txt",
            dockerfile=DEMO / "sources" / "Dockerfile",
            files=tuple(
                (DEMO / "sources" / name, f"opt/demo/{name}")
                for name in ("api.py", "mark-loaded", "start-mariadb", "start-s3")
            ),
            programs=((GoProgram(RCLONE), "opt/demo/rclone"),),
        ),
    }


def _monitoring() -> list[GoProgram]:
    """The Prometheus operator, and a Prometheus with discovery in Kubernetes, unlike Debian's."""
    operator = "github.com/prometheus-operator/prometheus-operator/cmd"
    return [
        GoProgram(MONITORING, f"{operator}/operator"),
        GoProgram(MONITORING, f"{operator}/prometheus-config-reloader"),
        GoProgram(
            MONITORING,
            "github.com/prometheus/prometheus/cmd/prometheus",
            "remove_all_sd,enable_kubernetes_sd",
        ),
    ]


def _sources() -> list[Path]:
    """The distribution's files, as pip sees them."""
    files = [ROOT / name for name in ("pyproject.toml", "README.md", "LICENSE")]
    for package in (
        "operator/report_operator",
        "operator/admin_api",
        "operator/admin_cli",
        "report_runner",
    ):
        files += [
            path
            for path in (ROOT / package).rglob("*")
            if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".pyc"
        ]
    return sorted(files)


def _key(words: Iterable[str], files: Iterable[Path]) -> str:
    sha = hashlib.sha256(f"recipe {RECIPE}\n".encode())
    for word in words:
        sha.update(f"{word}\n".encode())
    for path in files:
        name = path.relative_to(ROOT).as_posix()
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        sha.update(f"{name} {path.stat().st_mode & 0o111:o} {content}\n".encode())
    return sha.hexdigest()[:24]


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(source, target)


def _architecture() -> str:
    machine = platform.machine()
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)
