"""The kinds of objects that are read or written, and where the API server serves them."""

from __future__ import annotations

from dataclasses import dataclass

from report_operator.api.v1alpha1 import backfill
from report_operator.api.v1alpha1.resource import GROUP, PLURAL, VERSION

_NOT_IN_NAMES = frozenset("/%?#\\")


@dataclass(frozen=True, slots=True)
class Resource:
    prefix: str  # "/api/v1" or "/apis/GROUP/VERSION"
    plural: str

    def path(self, namespace: str | None, name: str = "", subresource: str = "") -> str:
        """URL path of a collection, an object or a subresource.

        Raises ValueError for an invalid name, which could lead to another path.
        """
        if any(
            set(part) & _NOT_IN_NAMES or part in (".", "..") for part in (namespace or "", name)
        ):
            raise ValueError(f"{(namespace, name)} is not the name of an object")
        parts = [self.prefix]
        if namespace is not None:
            parts += ["namespaces", namespace]
        parts += [part for part in (self.plural, name, subresource) if part]
        return "/".join(parts)


SCHEDULES = Resource(f"/apis/{GROUP}/{VERSION}", PLURAL)
BACKFILLS = Resource(f"/apis/{GROUP}/{VERSION}", backfill.PLURAL)
CRONJOBS = Resource("/apis/batch/v1", "cronjobs")
JOBS = Resource("/apis/batch/v1", "jobs")
PODS = Resource("/api/v1", "pods")
CONFIGMAPS = Resource("/api/v1", "configmaps")
EVENTS = Resource("/api/v1", "events")
