"""Writes down in which zones earlier releases of the time-zone data differ from the installed one.

A control plane brings its own data: those of its Go release or of its image. The operator has to
know what an older one makes of a schedule (report_operator.domain.cron.zone_releases).

    python -m hack.zonedata.make    # after an update of tzdata; takes a minute, needs the index
"""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import tempfile
import zipfile
from datetime import UTC, datetime
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from zoneinfo import ZoneInfo

from report_operator.domain.cron.zone import zone_names
from report_operator.domain.cron.zone_releases import PATH, read_zone

OLDEST = (2023, 4)  # older than that of any supported Kubernetes
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)  # slots before it are nobody's business any more
END = datetime(2038, 1, 1, tzinfo=UTC)
STEP_SECONDS = 6 * 3600  # no zone keeps an offset for less


def main() -> None:
    installed = files("tzdata")
    current = _release(installed / "zoneinfo" / "tzdata.zi")
    zones: dict[str, list[dict[str, object]]] = {}
    releases = []
    with tempfile.TemporaryDirectory() as directory:
        for number in _released():
            names = _unpack(number, Path(directory))
            release = _release(names / "tzdata.zi")
            if release == current:
                continue
            releases.append(release)
            print(release, flush=True)
            for name in sorted(zone_names()):
                path = names / name
                content = path.read_bytes() if path.exists() else b""
                if content and _differs(content, (installed / "zoneinfo" / name).read_bytes()):
                    _add(zones.setdefault(name, []), release, content)
    document = {"current": current, "releases": releases, "zones": dict(sorted(zones.items()))}
    PATH.write_text(json.dumps(document, indent=1) + "\n")


def _release(path: Traversable) -> str:
    """The release in the first line, `# version 2026b-dirty`."""
    with path.open("rb") as file:
        return file.readline().decode("ascii").split()[2].partition("-")[0]


def _released() -> list[str]:
    """Versions of the distribution, newest first."""
    asked = subprocess.run(
        [sys.executable, "-m", "pip", "index", "versions", "tzdata"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    line = next(line for line in asked.stdout.splitlines() if "Available versions:" in line)
    versions = [text.strip() for text in line.partition(":")[2].split(",")]
    return [text for text in versions if tuple(map(int, text.split(".")[:2])) >= OLDEST]


def _unpack(version: str, directory: Path) -> Path:
    """The directory of the zones of a version."""
    subprocess.run(
        [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(directory),
         f"tzdata=={version}"],
        check=True,
    )  # fmt: skip
    (wheel,) = directory.glob(f"tzdata-{version}-*.whl")
    target = directory / version
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(target)
    return target / "tzdata" / "zoneinfo"


def _differs(content: bytes, installed: bytes) -> bool:
    if content == installed:
        return False
    before, now = read_zone("before", content), read_zone("now", installed)
    moments = range(int(BEGIN.timestamp()), int(END.timestamp()), STEP_SECONDS)
    return any(_wall(before, moment) != _wall(now, moment) for moment in moments)


def _wall(zone: ZoneInfo, moment: int) -> datetime:
    return datetime.fromtimestamp(moment, zone).replace(tzinfo=None)


def _add(variants: list[dict[str, object]], release: str, content: bytes) -> None:
    text = base64.b64encode(content).decode()
    if variants and variants[-1]["content"] == text:
        known = variants[-1]["releases"]
        assert isinstance(known, list)
        known.append(release)
    else:
        variants.append({"releases": [release], "content": text})


if __name__ == "__main__":
    main()
