"""SQL of authors in the embedded DuckDB: there is nothing in its process to take or to spend."""

from __future__ import annotations

import uuid
from pathlib import Path

from tests.attacks import duckdb_queries
from tests.attacks.batch import MIB, run_batch
from tests.attacks.listener import listening
from tests.attacks.vectors import Attacks

PEAK = 700 * MIB  # a run has 768 MiB
SECONDS = 60.0  # for a query whose own time-out is 5 s, on a busy machine


def test_a_query_reads_the_sources_before_it_and_nothing_else(
    attacks: Attacks, tmp_path: Path
) -> None:
    folder = tmp_path / "pod"
    folder.mkdir()
    canary = folder / "canary.csv"
    canary.write_text(f"{duckdb_queries.CANARY},1\n{duckdb_queries.CANARY},2\n")
    pwned = tmp_path / f"pwned-{uuid.uuid4().hex[:8]}"
    with listening() as listener:
        places = {
            duckdb_queries.FILE: str(canary),
            duckdb_queries.FOLDER: str(folder),
            duckdb_queries.PWNED: str(pwned),
            duckdb_queries.URL: listener.url,
        }
        cases = []
        for vector in duckdb_queries.QUERIES:
            text = vector.data
            for place, value in places.items():
                text = text.replace(place, value)
            cases.append(text)
        done = run_batch(
            "tests.attacks.duckdb_driver", "run_query", cases, 560,
            REPORT_TOKEN=duckdb_queries.CANARY,
        )  # fmt: skip
    for vector, found in zip(duckdb_queries.QUERIES, done, strict=True):
        shown = str(found.said)
        how = None
        if found.said is None:
            how = "it killed the run's own process"
        elif (
            duckdb_queries.CANARY in shown
            or "root:x:0" in shown
            or str(canary) in str(found.said.get("rows"))
        ):
            how = f"it shows what is in the pod: {shown}"
        elif found.said.get("reason") == "InternalError":
            how = f"no reason that an author understands: {shown}"
        elif found.seconds > SECONDS:
            how = f"it took {found.seconds:.0f} s"
        elif found.peak > PEAK:
            how = f"the run's process came to {found.peak // MIB} MiB"
        attacks.record(vector, how)
    assert not pwned.exists()
    assert [path.name for path in folder.iterdir()] == [canary.name]
    assert listener.paths == []
    attacks.judge(duckdb_queries.QUERIES)
