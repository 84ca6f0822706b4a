"""The template language, as operator (does it compile?) and runner (what does it say?) see it."""

from __future__ import annotations

from dataclasses import dataclass

from jinja2 import StrictUndefined, TemplateSyntaxError
from jinja2.sandbox import ImmutableSandboxedEnvironment

TEMPLATE_LIMIT = 256 * 1024  # bytes of one template


@dataclass(frozen=True, slots=True)
class TemplateProblem:
    """What is wrong with a template, and in which line (from 1)."""

    line: int
    message: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.message}"


def template_environment() -> ImmutableSandboxedEnvironment:
    """A sandbox: no attribute of Python's inside is reachable, an undefined name is an error."""
    return ImmutableSandboxedEnvironment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )


def compile_problem(source: str) -> TemplateProblem | None:
    """None where `source` compiles."""
    try:
        # Unknown filters and tests are found by compiling, not by parsing.
        template_environment().from_string(source)
    except TemplateSyntaxError as error:
        return TemplateProblem(error.lineno, error.message or "syntax error")
    except RecursionError:
        return TemplateProblem(1, "nested too deeply")
    return None
