"""What a dashboard is, before it is Grafana's JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DIRECTORY = ROOT / "charts" / "adaf-report-scheduler" / "files" / "dashboards"


@dataclass(frozen=True, slots=True)
class Panel:
    """`queries` are pairs of PromQL and legend; `height` and `width` in Grafana's grid."""

    title: str
    description: str
    queries: Sequence[tuple[str, str]]
    kind: str = "timeseries"  # stat, table
    unit: str = "short"
    width: int = 12
    height: int = 8
    bad: float | None = None  # from here on a stat is red
    stacked: bool = False


@dataclass(frozen=True, slots=True)
class Dashboard:
    uid: str
    title: str
    description: str
    panels: Sequence[Panel]
    variables: Sequence[str] = ()
    links: Sequence[tuple[str, str]] = field(default_factory=tuple)  # title, uid

    @property
    def path(self) -> Path:
        return DIRECTORY / f"{self.uid}.json"
