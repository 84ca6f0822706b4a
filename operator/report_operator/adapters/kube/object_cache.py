"""Objects as the API server sent them, compressed: thousands of them are held for months."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from report_operator.adapters.kube.decoding import encode
from report_operator.api.v1alpha1.lost_fields import describe_lost
from report_operator.api.v1alpha1.resource import Key
from report_operator.domain.runs.run import controller_of

Body = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _CompressedObject:
    uid: str
    version: int
    controller: str  # uid of the owner that is its controller; '' where it has none
    suspended: bool  # spec.suspend
    lost: str  # fields of the spec that an older CRD has dropped; '' where there are none
    body: bytes  # JSON, deflated: a twentieth of what the same takes as dicts


class ObjectCache(Mapping[Key, Body]):
    """The latest known version of each object; every read returns a copy of its own."""

    def __init__(self) -> None:
        self._packed: dict[Key, _CompressedObject] = {}

    def observe(self, key: Key, body: Mapping[str, Any], *, deleted: bool) -> bool:
        """Store an object; returns whether it is a newer version."""
        meta = body["metadata"]
        known = self._packed.get(key)
        if deleted:
            if known is None or known.uid != meta["uid"]:
                return False  # a predecessor of the one that is there now
            del self._packed[key]
            return True
        version = int(meta["resourceVersion"])
        if known is not None and known.version >= version:
            return False
        kept = {name: value for name, value in meta.items() if name != "managedFields"}
        packed = zlib.compress(encode({**body, "metadata": kept}), level=1)
        self._packed[key] = _CompressedObject(
            meta["uid"],
            version,
            controller_of(meta),
            _is_suspended(body),
            describe_lost(body),
            packed,
        )
        return True

    def version(self, key: Key) -> int | None:
        """The version that is known; a successor of the same name has a higher one."""
        known = self._packed.get(key)
        return known.version if known is not None else None

    def uid(self, key: Key) -> str | None:
        """None where no object of this name is known."""
        known = self._packed.get(key)
        return known.uid if known is not None else None

    def controller(self, key: Key) -> str | None:
        """Uid of the owner that is the controller; None where no object of this name is known."""
        known = self._packed.get(key)
        return known.controller if known is not None else None

    def suspended(self, key: Key) -> bool:
        """`spec.suspend`; False where there is no such object."""
        known = self._packed.get(key)
        return known is not None and known.suspended

    def lost(self, key: Key) -> str:
        """Fields of the spec that an older CRD has dropped; '' where there are none."""
        known = self._packed.get(key)
        return known.lost if known is not None else ""

    def drop(self, key: Key) -> None:
        """Remove an object whose newest version cannot be used: older ones are outdated."""
        self._packed.pop(key, None)

    def uids(self) -> set[str]:
        return {packed.uid for packed in self._packed.values()}

    def forget(self, uids: set[str]) -> bool:
        """Drop deleted objects; returns whether any was known."""
        gone = [key for key, packed in self._packed.items() if packed.uid in uids]
        for key in gone:
            del self._packed[key]
        return bool(gone)

    def __getitem__(self, key: Key) -> Body:
        body: Body = orjson.loads(zlib.decompress(self._packed[key].body))
        return body

    def __contains__(self, key: object) -> bool:
        return key in self._packed

    def __iter__(self) -> Iterator[Key]:
        return iter(self._packed)

    def __len__(self) -> int:
        return len(self._packed)


def _is_suspended(body: Mapping[str, Any]) -> bool:
    spec = body.get("spec")
    return isinstance(spec, Mapping) and spec.get("suspend") is True
