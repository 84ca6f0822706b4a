"""A pip that works, for what is fetched from Python's package index."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

_SYSTEM_PIP = ["/usr/bin/python3", "-m", "pip"]


def present_pip() -> list[str] | None:
    """A working pip command, whatever environment this Python is in."""
    for command in ([sys.executable, "-m", "pip"], ["pip3"], _SYSTEM_PIP):
        if shutil.which(command[0]):
            probe = subprocess.run([*command, "--version"], capture_output=True, check=False)
            if probe.returncode == 0:
                return command
    return None


def installed_pip() -> list[str] | None:
    """Debian's pip, installed now; None where that cannot be."""
    if os.geteuid() or not shutil.which("apt-get"):
        return None
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    install = ["apt-get", "install", "-y", "--no-install-recommends", "python3-pip"]
    subprocess.run(install, env=environment, capture_output=True, check=False)
    return _SYSTEM_PIP if Path("/usr/bin/pip3").exists() else None
