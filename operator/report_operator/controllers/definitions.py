"""The ConfigMaps of definitions: created once, and checked again when one may be replaced."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any, NamedTuple

from report_operator.adapters.kube.client import ApiError, Body, KubeClient
from report_operator.adapters.kube.resources import CONFIGMAPS
from report_operator.domain import names
from report_operator.domain.runs.refusals import is_refusal
from report_runner.contract import pod as podcontract

logger = logging.getLogger(__name__)

Reference = tuple[str, str]  # namespace, name


class Version(NamedTuple):
    """One state of one ConfigMap: a successor of the same name has another uid."""

    uid: str
    resource_version: str


class DefinitionCondition(Enum):
    INTACT = auto()
    RESTORED = auto()  # another one was in its place
    CONTESTED = auto()  # another one is in its place, and cannot be removed


@dataclass(frozen=True, slots=True)
class CheckedDefinition:
    """`foreign_uid` is of another ConfigMap in its place, `obstacle` why it is still there."""

    condition: DefinitionCondition
    foreign_uid: str = ""
    obstacle: str = ""


INTACT = CheckedDefinition(DefinitionCondition.INTACT)


@dataclass(slots=True)
class Definitions:
    """Knows which ConfigMaps have the content they were made with.

    Immutable does not mean irreplaceable: whoever may write ConfigMaps can delete one and create
    another under its name. The resync lists versions only, which is cheap; the content is read
    where a version is not the one that was checked last.
    """

    kube: KubeClient
    _listed: dict[Reference, Version] = field(default_factory=dict)
    _checked: dict[Reference, Version] = field(default_factory=dict)

    def observe(self, listed: Mapping[Reference, Version]) -> None:
        """Store a whole list. A ConfigMap made meanwhile is read once more, which is harmless."""
        self._listed = dict(listed)
        self._checked = {
            reference: version
            for reference, version in self._checked.items()
            if self._listed.get(reference) == version
        }

    async def ensure(self, desired: Body, *, expected: bool) -> CheckedDefinition:
        """Create or restore the ConfigMap; `expected` is whether it should exist already.

        Raises ApiError where the API server does not answer the question.
        """
        meta = desired["metadata"]
        namespace, name = reference = (meta["namespace"], meta["name"])
        if expected:
            if self._is_checked(reference):
                return INTACT
        elif await self._create(desired):
            return INTACT
        found = await self.kube.get(CONFIGMAPS, namespace, name)
        if found is not None and _holds(found, desired):
            self._remember(reference, found)
            return INTACT
        foreign = found["metadata"]["uid"] if found else ""
        try:
            if found is not None:
                await self.kube.delete(CONFIGMAPS, namespace, name, foreign)
            if await self._create(desired):
                return (
                    CheckedDefinition(DefinitionCondition.RESTORED, foreign)
                    if found is not None
                    else INTACT
                )
        except ApiError as error:
            if not is_refusal(error.status, error.message):
                raise
            return CheckedDefinition(DefinitionCondition.CONTESTED, foreign, error.message)
        return CheckedDefinition(
            DefinitionCondition.CONTESTED, foreign, "it is not gone after it was deleted"
        )

    async def is_intact(self, namespace: str, name: str) -> bool:
        """Whether the definition of an older run has the content that its name stands for.

        Only the name says what the content was. One that cannot be checked, such as a deleted one,
        counts as intact; one that was found bad is not checked again until it changes.
        """
        reference = (namespace, name)
        if reference not in self._listed or self._is_checked(reference):
            return True
        found = await self.kube.get(CONFIGMAPS, namespace, name)
        if found is None:
            return True
        self._remember(reference, found)
        content = (found.get("data") or {}).get(podcontract.DEFINITION_KEY)
        return isinstance(content, str) and names.is_definition_name_of(name, content)

    def _is_checked(self, reference: Reference) -> bool:
        checked = self._checked.get(reference)
        return checked is not None and checked == self._listed.get(reference)

    async def _create(self, desired: Body) -> bool:
        meta = desired["metadata"]
        made = await self.kube.create(CONFIGMAPS, meta["namespace"], desired)
        if made is None:
            return False
        self._remember((meta["namespace"], meta["name"]), made)
        return True

    def _remember(self, reference: Reference, body: Body) -> None:
        self._listed[reference] = self._checked[reference] = version_of(body)


def version_of(body: Mapping[str, Any]) -> Version:
    return Version(body["metadata"]["uid"], body["metadata"]["resourceVersion"])


def _holds(found: Mapping[str, Any], desired: Mapping[str, Any]) -> bool:
    """Whether a ConfigMap is the definition: its content, immutable, with our label and owner."""
    meta, ours = found["metadata"], desired["metadata"]
    label = names.LABEL_UID
    return (
        found.get("data") == desired["data"]
        and not found.get("binaryData")
        and found.get("immutable") is True
        and "deletionTimestamp" not in meta
        and (meta.get("labels") or {}).get(label) == ours["labels"][label]
        and meta.get("ownerReferences") == ours["ownerReferences"]
    )
