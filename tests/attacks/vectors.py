"""What is tried, by whom, and what came of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from tests.attacks.accepted import ACCEPTED


class Who(StrEnum):
    """The attackers of docs/security.md."""

    AUTHOR = "report author"
    EDITOR = "namespace editor"
    NETWORK = "network caller"
    DATA = "report data"
    RECIPIENT = "recipient"
    OPERATOR_TOKEN = "stolen operator token"
    API_TOKEN = "stolen API token"


@dataclass(frozen=True, slots=True)
class Vector:
    """One attack; `data` is what the area's driver needs to carry it out."""

    area: str
    name: str
    who: Who
    data: Any = None

    @property
    def key(self) -> str:
        """As docs/security.md names it."""
        return f"{self.area}/{self.name}"


@dataclass
class Attacks:
    """The vectors of one test and what came of each."""

    tell: Callable[[str, str], None]
    _got_through: dict[str, str] = field(default_factory=dict)
    _tried: set[str] = field(default_factory=set)

    def record(self, vector: Vector, got_through: str | None) -> None:
        """`got_through` says how; None or '' where the attack was stopped."""
        assert vector.key not in self._tried, f"two vectors are called {vector.key}"
        self._tried.add(vector.key)
        if got_through:
            self._got_through[vector.key] = " ".join(got_through.split())[:300]
        outcome = [vector.area, vector.name, self._got_through.get(vector.key, "")]
        self.tell("attack", json.dumps(outcome))

    def judge(self, vectors: Sequence[Vector]) -> None:
        """Fails where a vector was left out, got through unlisted, or is listed and was stopped."""
        assert {vector.key for vector in vectors} == self._tried
        assert self._tried, "no vectors"
        unlisted = {key: how for key, how in self._got_through.items() if key not in ACCEPTED}
        lines = "\n".join(f"  {key}: {how}" for key, how in unlisted.items())
        assert not unlisted, f"{len(unlisted)} of {len(self._tried)} got through:\n{lines}"
        stopped = sorted(key for key in self._tried & ACCEPTED if key not in self._got_through)
        assert not stopped, f"stopped, though docs/security.md accepts them: {stopped}"
