"""The images that Dockerfiles begin with, where no registry has them to give."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

from hack.engine.daemon import Engine
from hack.image.rootfs import SUITE, host_apt_options, host_sources
from hack.localcluster.cluster import ClusterError, cache_base
from hack.localcluster.golang import go_command
from hack.localcluster.progress import Progress, run_logged
from hack.localcluster.tools import content_key
from hack.localcluster.versions import GO

BASE = f"debian:{SUITE}-slim"
_CERTIFICATES = Path("/usr/local/share/ca-certificates")
# As in the image of that name.
_UNUSED = ("doc", "man", "info", "locale", "lintian")


def ensure_base(engine: Engine, log: Progress) -> None:
    """Have `debian:bookworm-slim`: pulled, or else made of this machine's Debian mirror.

    Raises ClusterError where neither works.
    """
    if engine.has_image(BASE):
        return
    if not engine.own or _pulled(engine, BASE):
        return  # `docker build` pulls it from wherever that engine pulls
    archive = _archive(log)
    with archive.open("rb") as content:
        command = engine.command("docker", "import", "--change", "CMD bash", "-", BASE)
        done = subprocess.run(
            command, env=engine.environment, stdin=content, capture_output=True, check=False
        )
    if done.returncode:
        raise ClusterError(f"docker import failed: {done.stderr.decode().strip()}")


def ensure_go(engine: Engine, log: Progress) -> None:
    """Have `golang`: pulled, or else the base with this machine's Go. Raises ClusterError."""
    image = f"golang:{GO}"
    if engine.has_image(image) or not engine.own or _pulled(engine, image):
        return
    log(f"no registry has {image} to give: making it of this machine's Go")
    root = subprocess.check_output([go_command(), "env", "GOROOT"], text=True).strip()
    dockerfile = f"FROM {BASE}\nCOPY . /usr/local/go\nENV PATH=/usr/local/go/bin:/usr/bin:/bin\n"
    command = ["docker", "build", "--quiet", f"--tag={image}", "--file=-", root]
    with tempfile.TemporaryFile("w+") as file:
        file.write(dockerfile)
        file.seek(0)
        built = subprocess.run(
            engine.command(*command),
            env=engine.environment, stdin=file, capture_output=True, text=True, check=False,
        )  # fmt: skip
    if built.returncode:
        raise ClusterError(f"{image} is not built: {built.stderr.strip()}")


def _pulled(engine: Engine, image: str) -> bool:
    command = engine.command("docker", "pull", "--quiet", image)
    try:
        done = subprocess.run(
            command, env=engine.environment, capture_output=True, check=False, timeout=300
        )
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def _archive(log: Progress) -> Path:
    """A Debian with this machine's mirror, apt options and certificates, as a tar."""
    sources, options = "\n".join(host_sources()) + "\n", host_apt_options()
    certificates = sorted(_CERTIFICATES.glob("*.crt"))
    inputs = {str(path): path.read_bytes() for path in certificates}
    key = content_key(inputs, "base 1", sources, options)
    place = cache_base(os.environ) / "engine" / f"base-{key}.tar"
    if place.exists():
        return place
    log(f"no registry has {BASE} to give: making it with mmdebstrap")
    partial = place.with_suffix(".partial")
    with tempfile.TemporaryDirectory() as directory:
        apt = Path(directory, "apt.conf")
        apt.write_text(options)
        listing = Path(directory, "sources.list")
        listing.write_text(sources)
        copies = [
            f'--customize-hook=install -D -m 644 -t "$1{_CERTIFICATES}" {path}'
            for path in certificates
        ]
        command = [
            "mmdebstrap", "--variant=minbase", "--mode=root", "--format=tar",
            "--include=ca-certificates", f"--aptopt={apt}",
            *(f"--dpkgopt=path-exclude=/usr/share/{part}/*" for part in _UNUSED),
            *copies,
            '--customize-hook=chroot "$1" update-ca-certificates',
            '--customize-hook=rm -rf "$1"/etc/hostname "$1"/etc/resolv.conf',
            SUITE, str(partial), str(listing),
        ]  # fmt: skip
        run_logged(command, place.with_suffix(".log"), log, "mmdebstrap")
    partial.replace(place)
    return place
