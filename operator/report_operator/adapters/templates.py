"""Template ConfigMaps, read at most every so often: they are not watched."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from report_operator.adapters.kube import CONFIGMAPS, Body, KubeClient

FRESH_SECONDS = 20.0


@dataclass(slots=True)
class Templates:
    """A short-lived cache: an edited template is noticed by the next resync."""

    kube: KubeClient
    _read: dict[tuple[str, str], tuple[float, Body | None]] = field(default_factory=dict)

    async def get(self, namespace: str, name: str) -> Body | None:
        """The ConfigMap, or None where there is none."""
        known = self._read.get((namespace, name))
        if known is not None and time.monotonic() - known[0] < FRESH_SECONDS:
            return known[1]
        body = await self.kube.get(CONFIGMAPS, namespace, name)
        if len(self._read) > 1000:
            self._read.clear()
        self._read[namespace, name] = (time.monotonic(), body)
        return body
