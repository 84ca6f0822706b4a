"""What earlier releases of the time-zone data say of a zone, where it is not what ours say.

The CronJob controller computes slots with the data of the control plane, which may be years older
than ours. ``hack/zonedata`` makes the file: only zones are in it that differ from 2026 on.
"""

from __future__ import annotations

import base64
import io
import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

PATH = Path(__file__).with_name("zone_releases.json")


@dataclass(frozen=True, slots=True)
class EarlierZone:
    """A zone as the releases from `oldest` to `newest` of the IANA data have it (`2025b`)."""

    newest: str
    oldest: str
    zone: ZoneInfo


def current_release() -> str:
    """The release of our own data, as `2026f`."""
    return str(_document()["current"])


@lru_cache(maxsize=256)
def earlier_zones(name: str) -> tuple[EarlierZone, ...]:
    """Newest first; empty for a zone whose rules are the same in all releases."""
    return tuple(
        EarlierZone(
            variant["releases"][0],
            variant["releases"][-1],
            read_zone(name, content),
        )
        for variant, content in zip(_variants(name), earlier_content(name), strict=True)
    )


def earlier_content(name: str) -> tuple[bytes, ...]:
    """The TZif files of `earlier_zones`."""
    return tuple(base64.b64decode(variant["content"]) for variant in _variants(name))


def _variants(name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = _document()["zones"].get(name, [])
    return found


def read_zone(name: str, content: bytes) -> ZoneInfo:
    """A zone of the bytes of its TZif file (RFC 9636)."""
    return ZoneInfo.from_file(io.BytesIO(content), key=name)


@lru_cache(maxsize=1)
def _document() -> dict[str, Any]:
    document: dict[str, Any] = json.loads(PATH.read_text("ascii"))
    return document
