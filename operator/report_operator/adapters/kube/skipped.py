"""Objects that are skipped because they cannot be read or decided on: which, why, how many.

One of them never stops the others, and none is skipped silently: each version of it is named once
in the log, in an Event, in a metric, and in the health report.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

logger = logging.getLogger(__name__)

LIMIT = 20_000  # objects that are remembered; the oldest are forgotten, and found again
NAMED = 5  # objects that the health report names
REASON_LIMIT = 300  # characters


@dataclass(frozen=True, slots=True)
class SkippedObject:
    """The version of an object that is skipped."""

    plural: str
    namespace: str
    name: str
    uid: str
    version: str
    reason: str

    def __str__(self) -> str:
        return f"{self.plural} {self.namespace}/{self.name}: {self.reason}"


# Called once for each version: the object, its JSON.
OnSkipped = Callable[[SkippedObject, Mapping[str, Any]], None]


class Skipped:
    def __init__(self, on_skipped: OnSkipped | None = None) -> None:
        self.on_skipped = on_skipped
        self._known: dict[tuple[str, str], SkippedObject] = {}
        self._counts: Counter[str] = Counter()

    def note(self, plural: str, body: Any, why: Exception | str) -> bool:
        """Skip this version of the object; returns whether it was not skipped before."""
        found = _describe(plural, body, why)
        key = (plural, found.uid)
        known = self._known.pop(key, None)
        if known is None:
            self._counts[plural] += 1
        self._known[key] = found  # the youngest now
        if known is not None and (known.version, known.reason) == (found.version, found.reason):
            return False
        logger.warning("skipped: %s", found)
        if len(self._known) > LIMIT:
            oldest = next(iter(self._known))
            del self._known[oldest]
            self._counts[oldest[0]] -= 1
        if self.on_skipped is not None and isinstance(body, Mapping):
            self.on_skipped(found, body)
        return True

    def clear(self, plural: str, uid: str) -> None:
        """The object can be used again, or is deleted."""
        if self._known.pop((plural, uid), None) is not None:
            self._counts[plural] -= 1

    def keep(self, plural: str, uids: set[str]) -> None:
        """Forget the objects of a kind that do not exist any more; `uids` are the others."""
        for kind, uid in [key for key in self._known if key[0] == plural and key[1] not in uids]:
            self.clear(kind, uid)

    def counts(self) -> Mapping[str, int]:
        """Number of skipped objects by kind; without zeros."""
        return {plural: count for plural, count in sorted(self._counts.items()) if count > 0}

    def reason(self, plural: str, uid: str) -> str | None:
        """Why an object is skipped; None where it is not."""
        found = self._known.get((plural, uid))
        return found.reason if found else None

    def summary(self) -> list[str]:
        """The newest ones, a line each, and how many more there are."""
        newest = list(self._known.values())[: -NAMED - 1 : -1]
        more = len(self._known) - len(newest)
        return [str(found) for found in newest] + ([f"and {more} more"] if more else [])

    def __len__(self) -> int:
        return len(self._known)


def _describe(plural: str, body: Any, why: Exception | str) -> SkippedObject:
    meta = body.get("metadata") if isinstance(body, Mapping) else None
    texts = meta if isinstance(meta, Mapping) else {}
    reason = why if isinstance(why, str) else f"{type(why).__name__}: {why}"
    return SkippedObject(
        plural=plural,
        namespace=_text(texts.get("namespace")),
        name=_text(texts.get("name")),
        uid=_text(texts.get("uid")),
        version=_text(texts.get("resourceVersion")),
        reason=printable(reason, REASON_LIMIT),
    )


def _text(value: Any) -> str:
    return printable(value, 253) if isinstance(value, str) else "?"


def printable(text: str, limit: int) -> str:
    """One line of at most `limit` characters without control sequences."""
    shown = "".join(
        c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text[: limit + 1]
    )
    return shown if len(shown) <= limit else f"{shown[: limit - 3]}..."
