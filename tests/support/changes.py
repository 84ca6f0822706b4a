"""Records every change that an API server makes to the objects of one resource."""

from __future__ import annotations

import json
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from hack.testbed.namespace import Body, Namespace
from hack.testbed.waiting import wait_for


@dataclass(frozen=True, slots=True)
class Change:
    """`kind` is ADDED, MODIFIED or DELETED; `body` is the object afterwards, or its last state."""

    kind: str
    body: Body

    @property
    def name(self) -> str:
        name: str = self.body["metadata"]["name"]
        return name


@dataclass
class Changes:
    """A record that a watch fills."""

    namespace: Namespace
    prefix: str
    plural: str
    _seen: list[Change] = field(default_factory=list)
    _over: threading.Event = field(default_factory=threading.Event)

    def all(self) -> list[Change]:
        """All changes so far, in the API server's order; complete up to what it lists now."""
        wait_for(f"the record of {self.plural}", self._is_complete, 60, self._versions)
        return list(self._seen)

    def _is_complete(self) -> bool:
        listed = self.namespace.list(self.prefix, self.plural)
        return self._versions() == {_key(body): _version(body) for body in listed}

    def _versions(self) -> dict[str, str]:
        """Resource versions of the objects that exist after the last change, by uid."""
        found: dict[str, str] = {}
        for change in list(self._seen):
            if change.kind == "DELETED":
                found.pop(_key(change.body), None)
            else:
                found[_key(change.body)] = _version(change.body)
        return found

    def _follow(self, version: str) -> None:
        """Start one watch after another, each from where the last one ended."""
        while not self._over.is_set():
            for event in self._watch(version):
                if event["type"] == "ERROR":
                    raise AssertionError(f"the watch lost changes: {event['object']}")
                version = _version(event["object"])
                if event["type"] != "BOOKMARK":
                    self._seen.append(Change(event["type"], event["object"]))

    def _watch(self, version: str) -> Iterator[dict[str, Any]]:
        api = self.namespace.plane.api
        path = self.namespace.path(self.prefix, self.plural)
        query = f"watch=1&allowWatchBookmarks=true&timeoutSeconds=2&resourceVersion={version}"
        request = urllib.request.Request(f"{api.host}{path}?{query}", headers=api.headers)
        with urllib.request.urlopen(request, context=api.tls) as stream:
            for line in stream:
                yield json.loads(line)


@contextmanager
def recorded_changes(namespace: Namespace, prefix: str, plural: str) -> Iterator[Changes]:
    """Record changes from now on; an object that exists already counts as added.

    The API server has to stay up meanwhile.

    """
    listed = namespace.call("GET", namespace.path(prefix, plural))
    there = [Change("ADDED", body) for body in listed["items"]]
    changes = Changes(namespace, prefix, plural, there)
    thread = threading.Thread(target=changes._follow, args=(_version(listed),))
    thread.start()
    try:
        yield changes
    finally:
        changes._over.set()
        thread.join(30)


def _key(body: Body) -> str:
    uid: str = body["metadata"]["uid"]
    return uid


def _version(body: Body) -> str:
    version: str = body["metadata"]["resourceVersion"]
    return version
