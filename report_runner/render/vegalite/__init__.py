"""Chart specifications: what is wrong with one, in plain words, before anything is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches

_SHOWN = 20  # words in a message
_LONGEST = 60  # characters of a word in a message


@dataclass(frozen=True, slots=True)
class SpecProblem:
    """`path` leads from the specification to what is wrong."""

    path: tuple[str | int, ...]
    message: str

    def where(self) -> str:
        """`.encoding.y.field`"""
        return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in self.path)


def shortened(word: str) -> str:
    """A word of an author in quotes, at most 60 characters of it."""
    return repr(word if len(word) <= _LONGEST else word[: _LONGEST - 1] + "…")


def nearest(word: str, known: Sequence[str]) -> str:
    """ "; did you mean 'bar'?", or nothing."""
    lower = {name.lower(): name for name in reversed(known)}
    found = get_close_matches(word.lower(), lower, 1, 0.6)
    return f"; did you mean {shortened(lower[found[0]])}?" if found else ""


def listed(words: Sequence[str]) -> str:
    """The words with commas, at most 20 of them."""
    shown = [word if len(word) <= _LONGEST else word[: _LONGEST - 1] + "…" for word in words]
    more = f" and {len(shown) - _SHOWN} more" if len(shown) > _SHOWN else ""
    return ", ".join(shown[:_SHOWN]) + more
