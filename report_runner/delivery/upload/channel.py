"""The upload channel: each file at each place, once, read back and compared."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from report_runner import storage
from report_runner.contract.delivery import UploadDelivery
from report_runner.contract.reasons import Reason
from report_runner.contract.report import Format
from report_runner.contract.upload import IfExists, UploadPlace
from report_runner.delivery.channel import (
    AnswerKind,
    DeliveryAnswer,
    DeliveryContext,
    DeliveryTarget,
    SentFile,
)
from report_runner.delivery.ledger import target_key
from report_runner.delivery.upload import kinds
from report_runner.delivery.upload.place import (
    OccupiedError,
    Place,
    PlaceError,
    Stored,
    UploadFile,
)
from report_runner.models import RunError
from report_runner.note import MEDIA_TYPE, ending_of, needs_note
from report_runner.render.template import render_line

ANSWER_LIMIT = 300  # characters
PATH_BYTES = 900  # S3 takes 1,024
_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f\\?#%]")


@dataclass(frozen=True, slots=True)
class Upload:
    """One file for one place."""

    place: UploadPlace
    path: str
    file: UploadFile
    target: DeliveryTarget


def upload_channel(spec: UploadDelivery, context: DeliveryContext) -> UploadChannel:
    """The channel of spec.delivery.upload. Raises RunError(ConfigurationError) for a wrong path."""
    uploads: list[Upload] = []
    for place in spec.to:
        stem = upload_path(render_line(place.path, context.data, _path_field(place)), place)
        files = [file for file in context.files if file.format in (place.formats or Format)]
        if context.note is not None and files and needs_note([file.format for file in files]):
            # Before the data: nobody finds them without it.
            uploads.append(
                _upload(context, place, stem + ending_of(context.note), context.note, MEDIA_TYPE)
            )
        for file in files:
            path = stem + file.ending
            uploads.append(_upload(context, place, path, file.path, file.format.media_type))
    return UploadChannel(uploads, context)


def _upload(
    context: DeliveryContext, place: UploadPlace, path: str, file: Path, media_type: str
) -> Upload:
    identity = _identity(context, place.name, path)
    found = UploadFile(file, file.stat().st_size, storage.sha256(file), media_type, identity)
    return Upload(place, path, found, DeliveryTarget(f"{place.name}:{path}", identity))


def upload_path(text: str, place: UploadPlace) -> str:
    """A rendered path, without the ending. Raises RunError(ConfigurationError)."""
    path = text.strip().strip("/")
    parts = path.split("/")
    if _FORBIDDEN.search(path) or not path or any(part in ("", ".", "..") for part in parts):
        raise RunError(
            Reason.CONFIGURATION_ERROR,
            f"{_path_field(place)}: {text!r} is no path: write names with one / between them, "
            "without . and .., and none of the characters \\ ? # %",
        )
    if any(part != part.strip() or part.startswith(".") for part in parts):
        raise RunError(
            Reason.CONFIGURATION_ERROR,
            f"{_path_field(place)}: {text!r} has a name that begins with a dot, or begins or ends "
            "with a blank",
        )
    if len(path.encode()) > PATH_BYTES:
        raise RunError(
            Reason.CONFIGURATION_ERROR,
            f"{_path_field(place)} has more than {PATH_BYTES} bytes once it is rendered",
        )
    return path


def _path_field(place: UploadPlace) -> str:
    return f"spec.delivery.upload.to[{place.name}].path"


def _identity(context: DeliveryContext, place: str, path: str) -> str:
    """Stable for slot, place and path."""
    slot = context.run.slot.isoformat()
    text = "\n".join((context.definition.uid, slot, place, path))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


@dataclass(slots=True)
class UploadChannel:
    """See delivery.channel.Channel."""

    uploads: Sequence[Upload]
    context: DeliveryContext
    _open: dict[str, Place] = field(default_factory=dict)

    def plan(self) -> list[DeliveryTarget]:
        return [upload.target for upload in self.uploads]

    def deliver(
        self, targets: Sequence[DeliveryTarget], begin: Callable[[DeliveryTarget], None]
    ) -> Iterator[DeliveryAnswer]:
        """See Channel. A place that cannot be used keeps none of the others back."""
        wanted = {target.name for target in targets}
        errors: dict[str, RunError] = {}
        for upload in self.uploads:
            name = upload.place.name
            if upload.target.name not in wanted or name in errors:
                continue
            try:
                yield self._deliver(upload, begin)
            except RunError as error:
                errors[name] = error
        if errors:
            raise RunError(
                Reason.CONFIGURATION_ERROR, ". ".join(error.message for error in errors.values())
            )

    def verify(self, target: DeliveryTarget) -> DeliveryAnswer:
        """What is there is read and compared; UNKNOWN where it cannot be read."""
        upload = next(upload for upload in self.uploads if upload.target.name == target.name)
        if not upload.place.read_back:
            return DeliveryAnswer(
                target,
                AnswerKind.UNKNOWN,
                "the place's answer was not received, and readBack is false; it is not sent again "
                "in this run, look there",
            )
        try:
            place = self._place(upload.place)
            found = place.read(upload.path, upload.file.size)
        except PlaceError as error:
            return DeliveryAnswer(target, AnswerKind.UNKNOWN, self._text(error))
        except RunError as error:
            return DeliveryAnswer(target, AnswerKind.UNKNOWN, error.message)
        kind = AnswerKind.ACCEPTED if found == upload.file.stored() else AnswerKind.REFUSED
        return DeliveryAnswer(self._with_file(upload, place), kind)

    def _deliver(self, upload: Upload, begin: Callable[[DeliveryTarget], None]) -> DeliveryAnswer:
        """Raises RunError(ConfigurationError) for what a further try cannot mend."""
        file = upload.file
        place = self._place(upload.place)
        target = self._with_file(upload, place)
        replaces = upload.place.if_exists is IfExists.REPLACE or (
            # What is there is what an earlier run of the slot sent.
            target_key("upload", target.name) in self.context.resent
        )
        begun = False

        def begin_once() -> None:
            nonlocal begun
            begin(target)
            begun = True

        try:
            found = self._read(place, upload)
            if found == file.stored():
                return DeliveryAnswer(target, AnswerKind.ACCEPTED)
            if found is not None and not replaces:
                return DeliveryAnswer(target, AnswerKind.REFUSED, _occupied(upload))
            place.write(upload.path, file, replace=replaces, begin=begin_once)
            found = self._read(place, upload)
        except OccupiedError:
            return DeliveryAnswer(target, AnswerKind.REFUSED, _occupied(upload))
        except PlaceError as error:
            if error.permanent:
                raise RunError(
                    Reason.CONFIGURATION_ERROR, f"{place_field(upload.place)}: {self._text(error)}"
                ) from error
            kind = AnswerKind.UNKNOWN if begun else AnswerKind.REFUSED
            return DeliveryAnswer(target, kind, self._text(error))
        if upload.place.read_back and found != file.stored():
            return DeliveryAnswer(target, AnswerKind.REFUSED, different(found, file.stored()))
        return DeliveryAnswer(target, AnswerKind.ACCEPTED)

    def _with_file(self, upload: Upload, place: Place) -> DeliveryTarget:
        file = SentFile(
            bytes=upload.file.size,
            sha256=upload.file.sha256,
            place=place_digest(self.context, place),
        )
        return replace(upload.target, file=file)

    def _read(self, place: Place, upload: Upload) -> Stored | None:
        return place.read(upload.path, upload.file.size) if upload.place.read_back else None

    def _place(self, spec: UploadPlace) -> Place:
        """Raises RunError(ConfigurationError) for a wrong Secret."""
        if spec.name not in self._open:
            self._open[spec.name] = kinds.open_place(spec, place_field(spec), self.context)
        return self._open[spec.name]

    def _text(self, error: PlaceError) -> str:
        return answer_text(self.context, error)


def answer_text(context: DeliveryContext, error: PlaceError) -> str:
    """One line without values of Secrets."""
    return " ".join(context.secrets.redact(str(error)).split())[:ANSWER_LIMIT]


def place_digest(context: DeliveryContext, place: Place) -> str:
    """Which place it is, to compare; it is in a manifest, and a host may be one of a Secret's."""
    return hashlib.sha256(f"{context.definition.uid} {place.origin}".encode()).hexdigest()[:16]


def place_field(place: UploadPlace) -> str:
    return f"spec.delivery.upload.to[{place.name}].{place.selected()[0]}"


def _occupied(upload: Upload) -> str:
    return (
        f"{upload.path} is there already and is another file, and it was left as it is: write a "
        "path with the date in it, or set ifExists to Replace"
    )


def different(found: Stored | None, sent: Stored) -> str:
    """What is there instead of what was sent."""
    if found is None:
        return "the place took the file, and does not have it afterwards"
    if found.size > sent.size:
        return f"what is there has more than the {sent.size:,} bytes that were sent"
    return (
        f"what is there has {found.size:,} bytes and the SHA-256 {found.sha256[:12]}…, and what "
        f"was sent {sent.size:,} bytes and {sent.sha256[:12]}…"
    )
