"""To whom a run sends its report again, as it is written in a Job's annotation and environment."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass

EVERYBODY = "all"
NAMES_LIMIT = 50
NAME_LIMIT = 320  # characters: of an address (RFC 3696)
TEXT_LIMIT = 32_000  # characters


@dataclass(frozen=True, slots=True)
class Resend:
    """Recipients who get the report although they have it; no names: everybody."""

    names: tuple[str, ...] = ()

    @property
    def to_everybody(self) -> bool:
        return not self.names

    @property
    def text(self) -> str:
        """`all`, or a JSON list: an address may have a comma."""
        return EVERYBODY if self.to_everybody else json.dumps(self.names)

    @property
    def words(self) -> str:
        """For a person, without addresses."""
        if self.to_everybody:
            return "everybody"
        return "1 recipient" if len(self.names) == 1 else f"{len(self.names)} recipients"


def resend_to(names: Iterable[str]) -> Resend:
    """Raises ValueError where these are none, too many, or no names."""
    found = tuple(dict.fromkeys(names))
    if not 1 <= len(found) <= NAMES_LIMIT:
        raise ValueError(f"name 1 to {NAMES_LIMIT} recipients, or write {EVERYBODY}")
    if any(not name or len(name) > NAME_LIMIT or not name.isprintable() for name in found):
        raise ValueError(f"a recipient has 1 to {NAME_LIMIT} printable characters")
    return Resend(found)


def parse_resend(text: str) -> Resend | None:
    """None for an empty text. Raises ValueError."""
    if not text:
        return None
    if text == EVERYBODY:
        return Resend()
    if len(text) > TEXT_LIMIT:
        raise ValueError(f"more than {TEXT_LIMIT} characters")
    try:
        names = json.loads(text)
    except RecursionError as error:
        raise ValueError("lists of lists") from error
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError(f"write {EVERYBODY}, or a JSON list of recipients")
    return resend_to(names)
