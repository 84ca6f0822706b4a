"""Rules beyond types: each is written for the API server (CEL) and for Python side by side.

A rule stands in a field's annotation, or in `Model.rules` where it spans fields. The CRD carries
its CEL text, pydantic calls its Python function, and both give the same message.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from pydantic import GetCoreSchemaHandler
from pydantic.alias_generators import to_camel
from pydantic.annotated_handlers import GetJsonSchemaHandler
from pydantic_core import PydanticCustomError, core_schema

VALIDATIONS = "x-kubernetes-validations"

DURATION_PATTERN = "([0-9]{1,4}d)?([0-9]{1,5}h)?([0-9]{1,6}m)?([0-9]{1,7}s)?"
_DURATION = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Rule:
    """`cel` and `holds` check the same condition; `message` is for a person.

    `cel` is None for what CEL cannot check; the API server accepts such an object, and its status
    reports the problem. `path` leads from the value to the field that is to blame, such as
    `delivery.email.attach`.
    """

    cel: str | None
    message: str
    holds: Callable[[Any], bool]
    path: str = ""

    def check(self, value: Any) -> Any:
        """The value itself. Raises PydanticCustomError where the rule does not hold."""
        if not self.holds(value):
            raise PydanticCustomError("rule", "{message}", self._context())
        return value

    def _context(self) -> dict[str, Any]:
        return {"message": self.message, "path": self.path}

    def to_schema(self) -> dict[str, str]:
        """An element of `x-kubernetes-validations`."""
        found = {"rule": self.cel or "true", "message": self.message}
        if self.path:
            found["fieldPath"] = "." + self.path
        return found

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        """Pydantic's hook: validate."""
        return core_schema.no_info_after_validator_function(self.check, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """Pydantic's hook: the CRD's rule."""
        return with_rules(handler(schema), (self,))


def with_rules(schema: dict[str, Any], rules: tuple[Rule, ...]) -> dict[str, Any]:
    """A JSON schema with more rules."""
    more = [rule.to_schema() for rule in rules if rule.cel is not None]
    return {**schema, VALIDATIONS: schema.get(VALIDATIONS, []) + more} if more else schema


def quoted(text: str) -> str:
    """A CEL literal, in ASCII."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return "'" + "".join(c if c.isascii() else _escape(c) for c in escaped) + "'"


def _escape(character: str) -> str:
    code = ord(character)
    return f"\\u{code:04x}" if code < 1 << 16 else f"\\U{code:08x}"


def matches(pattern: str, message: str) -> Rule:
    """The whole text has to match. `pattern`: what RE2 and Python's ASCII dialect read alike."""
    compiled = re.compile(pattern, re.ASCII)
    return Rule(
        cel=f"self.matches({quoted(f'^({pattern})$')})",
        message=message,
        holds=lambda text: compiled.fullmatch(text) is not None,
    )


def bounds(low: str, high: str) -> Rule:
    """A duration from `low` to `high`, both included."""
    least, most = parse_duration(low), parse_duration(high)

    def holds(text: str) -> bool:
        return _well_formed(text) and least <= parse_duration(text) <= most

    return Rule(
        cel=f"self != '' && self.matches('^{DURATION_PATTERN}$') && "
        f"[{_cel_seconds('self')}].all(n, {_seconds(least)} <= n && n <= {_seconds(most)})",
        message=f"write a duration from {low} to {high}, with the units d, h, m, s in this order, "
        "such as 90s, 30m or 1h30m",
        holds=holds,
    )


def at_least(longer: str, shorter: str) -> str:
    """CEL: one duration is not less than the other. True where either is not a duration: the rule
    of its own field says that.
    """
    malformed = " || ".join(
        f"{field} == '' || !{field}.matches('^{DURATION_PATTERN}$')" for field in (longer, shorter)
    )
    return f"{malformed} || {_cel_seconds(longer)} >= {_cel_seconds(shorter)}"


def _cel_seconds(field: str) -> str:
    # CEL's duration() knows no days, and reads 0s after anything.
    days = f"({field}.contains('d') ? int({field}.split('d')[0]) : 0)"
    rest = f"duration({field}.substring({field}.indexOf('d') + 1) + '0s').getSeconds()"
    return f"{days} * 86400 + {rest}"


def exactly_one_of(*fields: str) -> Rule:
    """One of these fields of a model is set, and no other."""
    names = [to_camel(field) for field in fields]
    present = [f"has(self.{name})" for name in names]
    pair = len(fields) == 2  # CEL has a plain form for two
    return Rule(
        cel=" != ".join(present) if pair else f"[{', '.join(present)}].exists_one(set, set)",
        message=f"set exactly one of {', '.join(names[:-1])} and {names[-1]}",
        holds=lambda model: sum(getattr(model, field) is not None for field in fields) == 1,
    )


def parse_duration(text: str) -> timedelta:
    """`"1h30m"` → 90 minutes. Days, hours, minutes, seconds in that order.

    Raises ValueError for anything else.
    """
    match = _DURATION.fullmatch(text)
    if not text or match is None:
        raise ValueError(f"{text!r} is not a duration; write for example 90s, 30m, 2h or 7d")
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)


def _well_formed(text: str) -> bool:
    return bool(text) and re.fullmatch(DURATION_PATTERN, text, re.ASCII) is not None


def _seconds(duration: timedelta) -> int:
    return int(duration.total_seconds())
