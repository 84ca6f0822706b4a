"""Names in messages: the nearest right one, and those that there are."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches

_SHOWN = 20  # words in a message
_LONGEST = 60  # characters of a word in a message
_COMPARED = 1000  # words


def shortened(word: str) -> str:
    """A word of an author in quotes, at most 60 characters of it."""
    return repr(word if len(word) <= _LONGEST else word[: _LONGEST - 1] + "…")


def nearest(word: str, known: Sequence[str]) -> str:
    """ "; did you mean 'bar'?", or nothing."""
    lower = {name.lower(): name for name in reversed(known[:_COMPARED])}
    found = get_close_matches(word.lower(), lower, 1, 0.6)
    return f"; did you mean {shortened(lower[found[0]])}?" if found else ""


def listed(words: Sequence[str]) -> str:
    """The words with commas, at most 20 of them."""
    shown = [
        word if len(word) <= _LONGEST else word[: _LONGEST - 1] + "…" for word in words[:_SHOWN]
    ]
    more = f" and {len(words) - _SHOWN} more" if len(words) > _SHOWN else ""
    return ", ".join(shown) + more
