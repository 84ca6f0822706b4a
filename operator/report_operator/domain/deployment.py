"""A roll-out of the scheduler: which version runs since when."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

COMPONENTS = ("report-scheduler", "report-scheduler-api", "report-generator")  # of one image


@dataclass(frozen=True, slots=True)
class Deployment:
    """The same checksum is the same roll-out."""

    checksum: str
    version: str
    image: str
    components: tuple[str, ...] = COMPONENTS


def describe_deployment(version: str, image: str, config: Mapping[str, Any]) -> Deployment:
    """From a version, its image, and the configuration as JSON."""
    text = json.dumps([version, image, config], sort_keys=True)
    return Deployment(hashlib.sha256(text.encode()).hexdigest(), version, image)
