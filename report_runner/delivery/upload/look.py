"""A later look at a place: whether a file is still what was sent. Nothing is written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from report_runner.contract.delivery import UploadDelivery
from report_runner.contract.upload import UploadPlace
from report_runner.contract.verification import Verdict
from report_runner.delivery.channel import DeliveryContext, SentFile
from report_runner.delivery.upload import kinds
from report_runner.delivery.upload.channel import (
    answer_text,
    different,
    place_digest,
    place_field,
)
from report_runner.delivery.upload.place import Place, PlaceError, Stored
from report_runner.models import RunError

Found = tuple[Verdict, str]


@dataclass(slots=True)
class Look:
    """Over the places of spec.delivery.upload; one that cannot be reached is asked once."""

    places: Sequence[UploadPlace]
    context: DeliveryContext
    _open: dict[str, Place] = field(default_factory=dict)
    _unreachable: dict[str, str] = field(default_factory=dict)

    def at(self, target: str, sent: SentFile | None) -> Found:
        """`target` is PLACE:PATH, as the ledger has it."""
        name, _, path = target.partition(":")
        spec = next((place for place in self.places if place.name == name), None)
        if spec is None:
            return (
                Verdict.NOT_VERIFIABLE,
                f"spec.delivery.upload has no place {name} any more: look there yourself",
            )
        if not spec.read_back:
            return Verdict.NOT_VERIFIABLE, "readBack is false: the place shows no files"
        if sent is None:
            return (
                Verdict.NOT_VERIFIABLE,
                "a version that noted neither size nor checksum sent it, or it was not sent",
            )
        if name in self._unreachable:
            return Verdict.UNREACHABLE, self._unreachable[name]
        try:
            place = self._place(spec)
            if place_digest(self.context, place) != sent.place:
                return (
                    Verdict.NOT_VERIFIABLE,
                    f"{place_field(spec)} is another place than the one it was sent to: it, or its "
                    "Secret, was changed since",
                )
            found = place.read(path, sent.bytes)
        except PlaceError as error:
            return self._away(name, answer_text(self.context, error))
        except RunError as error:
            return self._away(name, error.message)
        was = Stored(sent.bytes, sent.sha256)
        if found == was:
            return Verdict.UNCHANGED, ""
        if found is None:
            return Verdict.MISSING, f"{path} is not there any more"
        return Verdict.CHANGED, different(found, was)

    def _away(self, name: str, text: str) -> Found:
        self._unreachable[name] = text
        return Verdict.UNREACHABLE, text

    def _place(self, spec: UploadPlace) -> Place:
        """Raises RunError(ConfigurationError) for a wrong Secret."""
        if spec.name not in self._open:
            self._open[spec.name] = kinds.open_place(spec, place_field(spec), self.context)
        return self._open[spec.name]


def look_over(spec: UploadDelivery | None, context: DeliveryContext) -> Look:
    return Look(spec.to if spec is not None else (), context)
