"""The last stage of a Dockerfile as image metadata."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

from hack.image.oci import ImageConfig


def image_config(dockerfile: Path, version: str) -> ImageConfig:
    """ENV, USER, WORKDIR, CMD and LABEL after the last FROM; other instructions are not metadata.

    Raises ValueError where the file has no FROM.
    """
    text = re.sub(r"\\\n", " ", dockerfile.read_text())
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    starts = [i for i, line in enumerate(lines) if line.startswith("FROM ")]
    if not starts:
        raise ValueError(f"{dockerfile}: no FROM")
    env: dict[str, str] = {}
    labels = {"org.opencontainers.image.version": version}
    user, workdir, command = "65532:65532", "/", ()
    for line in lines[starts[-1] + 1 :]:
        word, _, rest = line.partition(" ")
        if word == "ENV":
            env |= _pairs(rest)
        elif word == "LABEL":
            labels |= _pairs(rest)
        elif word == "USER":
            user = rest
        elif word == "WORKDIR":
            workdir = rest
        elif word == "CMD":
            command = tuple(json.loads(rest))
    return ImageConfig(env, user, workdir, command, labels)


def _pairs(text: str) -> dict[str, str]:
    return dict(part.split("=", 1) for part in shlex.split(text))
