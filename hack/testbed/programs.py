"""Programs of this project's environment, whatever PATH says."""

from __future__ import annotations

import sys
from pathlib import Path


def project_program(name: str) -> str:
    """Path of a program that was installed together with this checkout.

    Raises FileNotFoundError where the running Python is not that of the environment.
    """
    found = Path(sys.executable).with_name(name)
    if not found.exists():
        raise FileNotFoundError(f"{found}: run `make venv`, and use .venv/bin/python")
    return str(found)
