"""Charts of authors, drawn as a run draws them."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.attacks import vega
from tests.attacks.batch import Done, run_batch
from tests.attacks.listener import Listener, listening
from tests.attacks.test_templates import DRIVER
from tests.attacks.vectors import Attacks, Vector

# The drawing is shown as an image: its links cannot be followed. A script in one is refused all the
# same.
ACTIVE = re.compile(r"<script|href=\"javascript:|<image[^>]*(http|file)|<foreignObject", re.I)
INSIDE = re.compile(r"\[object (Window|global)|/usr/bin|PATH=")
SECONDS = 40.0  # of the driver's five, on a busy machine


def _draw(
    vectors: Sequence[Vector], listener: Listener, file: Path, driver: str = "draw_chart"
) -> list[Done]:
    text = json.dumps([vector.data for vector in vectors])
    text = text.replace("URL/", f"{listener.url}/").replace("FILE", str(file))
    cases: list[Any] = json.loads(text)
    return run_batch(DRIVER, driver, cases, 500)


def _name_of(vector: Vector, heard: Sequence[str]) -> str | None:
    asked = re.findall(r"URL(/[\w./]+)", json.dumps(vector.data))
    return next((f"it fetched {path}" for path in asked if path in heard), None)


def test_a_chart_reads_and_runs_nothing(attacks: Attacks, tmp_path: Path) -> None:
    """No request goes out, no file comes in, no script and no object of the engine comes out."""
    file = tmp_path / "canary.json"
    file.write_text(json.dumps([{"x": 1, "y": vega.CANARY}]))
    vectors = [*vega.READS, *vega.RUNS]
    with listening() as listener:
        done = _draw(vectors, listener, file, "draw_chart_here")
    for vector, found in zip(vectors, done, strict=True):
        svg = (found.said or {}).get("svg", "")
        how = _name_of(vector, listener.paths)
        if vega.CANARY in svg:
            how = "it shows the file"
        elif active := ACTIVE.search(svg) or INSIDE.search(svg):
            how = f"the drawing has {active[0]}"
        attacks.record(vector, how)
    assert not listener.paths, listener.paths
    attacks.judge(vectors)


def test_what_throws_is_an_error(attacks: Attacks, tmp_path: Path) -> None:
    """An author is told; no chart lacks its figures without a word."""
    with listening() as listener:
        done = _draw(vega.THROWS, listener, tmp_path / "nothing", "draw_chart_here")
    for vector, found in zip(vega.THROWS, done, strict=True):
        assert found.said is not None
        drawn = "svg" in found.said
        attacks.record(vector, "it was drawn without its figures" if drawn else None)
    attacks.judge(vega.THROWS)


def test_bombs_end_as_a_named_failure(attacks: Attacks, tmp_path: Path) -> None:
    """They cost their own process only, for a bounded time."""
    with listening() as listener:
        done = _draw(vega.BOMBS, listener, tmp_path / "nothing")
    for vector, found in zip(vega.BOMBS, done, strict=True):
        how = None
        if found.said is None:
            how = "it killed the run's own process"
        elif found.said.get("reason") == "InternalError":
            how = f"no reason that an author understands: {found.said['message']}"
        elif found.seconds > SECONDS:
            how = f"it took {found.seconds:.0f} s"
        attacks.record(vector, how)
    attacks.judge(vega.BOMBS)
