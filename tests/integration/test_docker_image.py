"""The image that `docker build` makes of the project's own Dockerfile, and a report made in it.

The engine is the one that answers, or one of our own; `make test-docker` goes on from there.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from pypdf import PdfReader

from hack.engine.base import ensure_base
from hack.engine.daemon import Engine, engine
from hack.image.recipe import recipes
from hack.localcluster.progress import Progress

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "docs" / "examples" / "weekly-positions"
# As a run's pod has it: no capability, no way to gain one, nothing to write to but /tmp.
BOUNDS = (
    *("--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges", "--network=none"),
    *("--tmpfs=/tmp:mode=1777", "--memory=512m"),
)

pytestmark = [pytest.mark.minutes, pytest.mark.timeout(1800)]


@pytest.fixture(scope="module")
def used() -> Iterator[Engine]:
    log = Progress()
    with engine("image", log) as started:
        ensure_base(started, log)
        yield started


@pytest.fixture(scope="module")
def image(used: Engine) -> str:
    """The runner's image, by the same command as in the README and in `make up`."""
    name = recipes()["runner"].image().name
    done = subprocess.run(
        used.command("docker", "build", f"--tag={name}", str(ROOT)),
        env=used.environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{done.stdout[-4000:]}{done.stderr[-2000:]}"
    return name


def test_docker_builds_an_image_that_renders_a_report(
    used: Engine, image: str, tmp_path: Path
) -> None:
    example = shutil.copytree(EXAMPLE, tmp_path / "example")
    out = tmp_path / "out"
    out.mkdir()
    out.chmod(0o777)  # the image's user is nobody here
    for directory in (tmp_path, *tmp_path.parents):
        if directory.is_relative_to(tmp_path.parents[2]):
            directory.chmod(directory.stat().st_mode | 0o005)

    used.docker(
        "run", "--rm", *BOUNDS, f"--volume={example}:/example:ro", f"--volume={out}:/out",
        image, "report-generator", "render", "--slot=2026-11-20T06:00:00Z", "--out=/out",
        "/example",
    )  # fmt: skip

    (pdf,) = out.rglob("*.pdf")
    pages = PdfReader(pdf).pages
    text = "".join(page.extract_text() for page in pages)
    assert len(pages) >= 1
    assert "Weekly positions" in text


def test_the_image_has_one_user_and_every_command(used: Engine, image: str) -> None:
    (inspected,) = json.loads(used.docker("image", "inspect", image))
    assert inspected["Config"]["User"] == "65532:65532"
    for program in ("report-scheduler", "report-scheduler-api", "report-generator"):
        assert "usage" in used.docker("run", "--rm", *BOUNDS, image, program, "--help")
    # Nothing in it becomes root.
    found = used.docker(
        "run", "--rm", "--user=0", "--network=none", image,
        "find", "/", "-xdev", "-type", "f", "-perm", "/6000",
    )  # fmt: skip
    assert found.strip() == ""
