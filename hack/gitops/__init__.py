"""What tools of GitOps make of an object: their own code, built from its Go modules (main.go)."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hack.image.programs import go_program

SOURCE = Path(__file__).resolve().parent

Body = Mapping[str, Any]


def ask(questions: Sequence[Body]) -> list[dict[str, Any]]:
    """One answer for each question, as main.go describes them."""
    lines = "".join(json.dumps(question) + "\n" for question in questions)
    done = subprocess.run(
        [go_program(SOURCE)], input=lines, capture_output=True, text=True, check=True, timeout=120
    )
    return [json.loads(line) for line in done.stdout.splitlines()]
