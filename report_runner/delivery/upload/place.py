"""What a place that gets files has to offer."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterable, Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

CHUNK = 256 * 1024  # bytes
CONNECT_SECONDS = 15.0
STALL_SECONDS = 120.0  # without a byte, in either direction


@dataclass(frozen=True, slots=True)
class UploadFile:
    """A finished file. `identity` is the same in each attempt of a slot."""

    path: Path
    size: int
    sha256: str
    media_type: str
    identity: str

    def stored(self) -> Stored:
        return Stored(self.size, self.sha256)


@dataclass(frozen=True, slots=True)
class Stored:
    """What was read at a place; of more bytes than were asked for the rest is not read."""

    size: int
    sha256: str


class PlaceError(Exception):
    """What went wrong at a place; its text is for a person and names no credentials.

    `permanent` says that a further try cannot help before somebody changes something.
    """

    def __init__(self, text: str, *, permanent: bool = False) -> None:
        super().__init__(text)
        self.permanent = permanent


class OccupiedError(PlaceError):
    """Another file has the path."""


class Place(Protocol):
    """One place."""

    @property
    def origin(self) -> str:
        """Which place it is, without credentials: another text is another place."""

    def read(self, path: str, limit: int) -> Stored | None:
        """What has the path, of which at most `limit` bytes and one more; None where nothing has.

        Raises PlaceError.
        """

    def write(
        self, path: str, file: UploadFile, *, replace: bool, begin: Callable[[], None]
    ) -> None:
        """Store the file, whole or not at all.

        `begin` is called right before the step after which the file may be there. Raises
        OccupiedError where another file has the path and `replace` is false, else PlaceError.
        """


class Digest:
    """Counts and hashes what is read, up to a limit."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._hash = hashlib.sha256()
        self._size = 0

    def add(self, piece: bytes) -> bool:
        """Whether more is wanted."""
        self._size += len(piece)
        self._hash.update(piece)
        return self._size <= self._limit

    def stored(self) -> Stored:
        return Stored(self._size, self._hash.hexdigest())


def digest_of(pieces: Iterable[bytes], limit: int) -> Stored:
    found = Digest(limit)
    for piece in pieces:
        if not found.add(piece):
            break
    return found.stored()


async def digest_of_stream(pieces: AsyncIterable[bytes], limit: int) -> Stored:
    found = Digest(limit)
    async for piece in pieces:
        if not found.add(piece):
            break
    return found.stored()


def part_path(path: str, identity: str) -> str:
    """Where a file is written before it gets its name: the same in each attempt of a slot."""
    folder, slash, name = path.rpartition("/")
    return f"{folder}{slash}.{name[:100]}.{identity[:12]}.part"


def check_part(part: str, found: Stored | None, file: UploadFile) -> None:
    """Raises PlaceError where what was written is not the file."""
    if found != file.stored():
        raise PlaceError(f"{part} is not what was written; it was removed")
