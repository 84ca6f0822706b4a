"""Numbers with their nouns."""

from __future__ import annotations


def counted(number: int, noun: str, plural: str = "") -> str:
    """`1 slot`, `3 slots`, `0 tries`."""
    return f"{number} {noun if number == 1 else plural or f'{noun}s'}"
