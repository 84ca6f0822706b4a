"""The newest rows that history has: where one of them is missing, an older state was restored."""

from __future__ import annotations

import heapq
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime

KEPT = 20


@dataclass(slots=True)
class Witnesses:
    """Job uids of the newest rows that this process knows to be stored, and when their runs ended.

    A dump has everything up to a moment: what is missing after a restore is what was recorded last.
    """

    _ended: dict[str, datetime] = field(default_factory=dict)

    def note(self, ended: Mapping[str, datetime]) -> None:
        """These rows are stored."""
        newest = heapq.nlargest(KEPT, ({**self._ended, **ended}).items(), key=lambda item: item[1])
        self._ended = dict(newest)

    @property
    def uids(self) -> list[str]:
        return list(self._ended)

    def missing(self, known: Collection[str]) -> set[str]:
        """Those that are stored no more."""
        return self._ended.keys() - set(known)

    def clear(self) -> None:
        self._ended.clear()
