"""Root file systems: made by mmdebstrap, changed in a chroot."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path

from hack.image.oci import EPOCH
from hack.localcluster.pip import installed_pip, present_pip

SUITE = "bookworm"
PYTHON = "3.11"  # of that suite
_MIRRORS = (
    f"deb http://deb.debian.org/debian {SUITE} main",
    f"deb http://deb.debian.org/debian {SUITE}-updates main",
    f"deb http://deb.debian.org/debian-security {SUITE}-security main",
)
_UNUSED = ("doc", "man", "info", "locale", "lintian", "bug")
_PLATFORMS = ("2_17", "2_24", "2_26", "2_27", "2_28", "2_31", "2_34", "2_35", "2_36")


class BuildError(Exception):
    """A build step failed; the message says which and what it printed last."""


def require_tools() -> None:
    """Raises BuildError where this machine lacks a tool or the rights for a root file system."""
    if os.geteuid() != 0:
        raise BuildError("images without a container engine need root (mmdebstrap, chroot)")
    missing = [tool for tool in ("mmdebstrap", "chroot", "unshare") if not shutil.which(tool)]
    if missing:
        raise BuildError(f"not installed: {', '.join(missing)} (apt-get install mmdebstrap)")


def debootstrap(packages: Sequence[str], setup: Path, setup_input: Path, target: Path) -> None:
    """A tar of Debian with `packages`, after the script `setup` ran inside with one file."""
    with tempfile.TemporaryDirectory() as directory:
        options = Path(directory, "apt.conf")
        options.write_text(host_apt_options())
        sources = Path(directory, "sources.list")
        sources.write_text("\n".join(host_sources()) + "\n")
        command = ["mmdebstrap", "--variant=essential", "--mode=root", "--format=tar"]
        # /usr merged from the start: the package that merges it later brings all of Perl.
        command += ["--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr"]
        command += [f"--include={','.join(packages)}", f"--aptopt={options}"]
        command += [f"--dpkgopt=path-exclude=/usr/share/{part}/*" for part in _UNUSED]
        # Whoever hands a package on hands its licence on.
        command += ["--dpkgopt=path-include=/usr/share/doc/*/copyright"]
        command += [
            f'--customize-hook=install -D -t "$1/tmp/build" {setup} {setup_input}',
            f'--customize-hook=chroot "$1" /tmp/build/{setup.name} /tmp/build/{setup_input.name}',
            # Nothing of this host's registries stays behind, nor what differs between two builds.
            '--customize-hook=rm -rf "$1"/etc/apt/sources.list* "$1"/etc/machine-id',
            '--customize-hook=rm -rf "$1"/etc/hostname "$1"/etc/resolv.conf',
            '--customize-hook=rm -rf "$1"/var/cache/ldconfig',
            SUITE,
            str(target),
            str(sources),
        ]
        run(command, "mmdebstrap", env=os.environ | {"SOURCE_DATE_EPOCH": str(EPOCH)})


def host_sources() -> list[str]:
    """This host's own Debian mirrors, where it runs the same suite; else the public ones."""
    if not shutil.which("apt-get"):
        return list(_MIRRORS)
    listing = subprocess.run(
        [
            "apt-get",
            "indextargets",
            "Created-By: Packages",
            "--format",
            "$(SITE)|$(RELEASE)|$(COMPONENT)",
        ],
        check=False,
        capture_output=True,
        text=True,
    ).stdout
    found = []
    for line in listing.splitlines():
        site, release, component = line.split("|")
        if re.fullmatch(rf"{SUITE}(-updates|-security)?", release) and component == "main":
            found.append(f"deb {site} {release} main")
    return sorted(set(found)) if any(f" {SUITE} main" in line for line in found) else list(_MIRRORS)


def host_apt_options() -> str:
    dump = subprocess.run(
        ["apt-config", "dump", "Acquire"], check=False, capture_output=True, text=True
    ).stdout
    wanted = re.compile(r"Acquire::(https?|Check-|Retries|Force)", re.IGNORECASE)
    return "".join(line + "\n" for line in dump.splitlines() if wanted.match(line))


def extract(archive: Path, root: Path) -> None:
    """Unpack a layer; owners and device nodes are kept."""
    root.mkdir(parents=True)
    with tarfile.open(archive) as tar:
        # Not the argument `filter`: the Python of Debian 12 (3.11.2) does not know it yet.
        tar.extraction_filter = lambda member, _path: member
        tar.extractall(root, numeric_owner=True)  # noqa: S202  (our own)


def in_chroot(root: Path, command: Sequence[str], wheels: Path | None = None) -> None:
    """Run inside `root`, without the host's environment; `wheels` is /tmp/wheels there."""
    env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LANG": "C.UTF-8"}
    env |= {"PIP_NO_CACHE_DIR": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    env |= {"PIP_ROOT_USER_ACTION": "ignore", "SOURCE_DATE_EPOCH": str(EPOCH)}
    script = 'exec chroot "$0" "$@"'
    if wheels:
        env |= {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "/tmp/wheels"}
        (root / "tmp/wheels").mkdir(exist_ok=True)
        script = f'mount --bind "{wheels}" "$0/tmp/wheels" && {script}'
    # A mount namespace of its own: whatever happens, no mount stays behind.
    wrapper = ["unshare", "--mount", "sh", "-ec", script, str(root)]
    run([*wrapper, *command], Path(command[0]).name, env=env)


def download_wheels(requirements: Sequence[Path], target: Path) -> None:
    """Fetch wheels for the image's Python with this host's pip, hence its index and proxy."""
    if target.exists():
        return
    pip = present_pip() or installed_pip()
    if pip is None:
        raise BuildError("no pip for fetching wheels: install python3-pip")
    machine = platform.machine()
    command = [*pip, "--quiet", "download", "--only-binary", ":all:"]
    command += ["--require-hashes", "--disable-pip-version-check"]
    command += ["--python-version", PYTHON, "--implementation", "cp"]
    command += [part for tag in ("cp311", "abi3", "none") for part in ("--abi", tag)]
    for tag in (*(f"manylinux_{glibc}_{machine}" for glibc in _PLATFORMS), f"linux_{machine}"):
        command += ["--platform", tag]
    command += ["--platform", f"manylinux2014_{machine}", "--platform", f"manylinux1_{machine}"]
    partial = target.with_name(target.name + ".partial")
    for path in requirements:
        run([*command, "--dest", str(partial), "--requirement", str(path)], "pip download")
    partial.replace(target)


def run(command: Sequence[str], what: str, env: dict[str, str] | None = None) -> None:
    """Run a program. Raises BuildError with the end of its output where it fails."""
    done = subprocess.run(
        command, check=False, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    if done.returncode != 0:
        raise BuildError(f"{what} failed ({done.returncode}):\n{done.stdout[-3000:]}")
