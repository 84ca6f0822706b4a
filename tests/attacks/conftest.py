"""The attack suite: real parts to attack, and a table of what got through at the end."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterator

import pytest

from hack.testbed.controlplane import control_plane
from tests.attacks.accepted import ACCEPTED
from tests.attacks.arena import Arena
from tests.attacks.vectors import Attacks


@pytest.fixture
def attacks(record_property: Callable[[str, object], None]) -> Attacks:
    """Where a test says what came of its vectors."""
    return Attacks(record_property)


@pytest.fixture(scope="session")
def arena(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arena]:
    """The control plane with chart and teams; its operator is started by `running`."""
    with control_plane(tmp_path_factory.mktemp("plane")) as plane:
        made = Arena(plane, tmp_path_factory.mktemp("arena"))
        made.install()
        yield made


@pytest.fixture(scope="module")
def running(arena: Arena) -> Iterator[Arena]:
    """The operator leads; one for all tests of a module."""
    arena.start_operator()
    yield arena
    arena.stop_operator()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Area, vectors, got through. With xdist the outcomes come in with the workers' reports."""
    areas: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for reports in terminalreporter.stats.values():
        for report in reports:
            if getattr(report, "when", None) != "call":
                continue
            for name, value in report.user_properties:
                if name == "attack":
                    area, vector, how = json.loads(value)
                    areas[area].append((vector, how))
    if not areas:
        return
    write = terminalreporter.write_line
    terminalreporter.section("attacks")
    write(f"{'area':24}{'vectors':>8}{'got through':>13}{'accepted':>10}")
    total = [0, 0, 0]
    for area, found in sorted(areas.items()):
        through = [vector for vector, how in found if how]
        accepted = [vector for vector in through if f"{area}/{vector}" in ACCEPTED]
        counts = len(found), len(through), len(accepted)
        total = [a + b for a, b in zip(total, counts, strict=True)]
        write(f"{area:24}{counts[0]:8}{counts[1]:13}{counts[2]:10}")
    write(f"{'all':24}{total[0]:8}{total[1]:13}{total[2]:10}")
    for area, found in sorted(areas.items()):
        for vector, how in found:
            if how and f"{area}/{vector}" not in ACCEPTED:
                write(f"GOT THROUGH {area}/{vector}: {how}")
