"""Chart specifications: what is wrong with one, in plain words, before anything is drawn."""

from __future__ import annotations

from dataclasses import dataclass

from report_runner.contract.words import listed, nearest, shortened

__all__ = ["SpecProblem", "listed", "nearest", "shortened"]


@dataclass(frozen=True, slots=True)
class SpecProblem:
    """`path` leads from the specification to what is wrong."""

    path: tuple[str | int, ...]
    message: str

    def where(self) -> str:
        """`.encoding.y.field`"""
        return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in self.path)
