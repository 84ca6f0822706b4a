"""The base of every model that mirrors a part of a ReportSchedule, and its scalar types."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Strict, StringConstraints, model_validator
from pydantic.alias_generators import to_camel
from pydantic.annotated_handlers import GetJsonSchemaHandler
from pydantic_core import core_schema

from report_runner.contract.fields import element
from report_runner.contract.rules import Rule, bounds, matches, parse_duration, with_rules

__all__ = [
    "ONE_LINE",
    "AttemptDuration",
    "Boolean",
    "CacheDuration",
    "Identifier",
    "Integer",
    "LateDuration",
    "MissedDuration",
    "Model",
    "ObjectName",
    "QueryDuration",
    "RetentionDuration",
    "SecretUse",
    "WaitDuration",
    "parse_duration",
]

_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"

ObjectName = Annotated[
    str,
    StringConstraints(max_length=253),
    matches(
        f"{_LABEL}([.]{_LABEL})*",
        "write the name of an object: lower case letters, digits, '-' and '.', "
        "first and last a letter or digit",
    ),
]
Identifier = Annotated[
    str,
    StringConstraints(max_length=63),
    matches(
        "[a-z][a-z0-9_]*",
        "write an identifier: a lower case letter, then lower case letters, digits and '_'",
    ),
]
# Text that becomes a mail header or a heading.
ONE_LINE = matches(
    "[^\\x00-\\x1f\\x7f]*[^\\x00-\\x20\\x7f][^\\x00-\\x1f\\x7f]*",
    "write one line of text: no line break, and not blank",
)
# As the API server: no "true" for true, no "3" for 3.
Boolean = Annotated[bool, Strict()]
Integer = Annotated[int, Strict()]

_DurationText = StringConstraints(max_length=32)

AttemptDuration = Annotated[str, _DurationText, bounds("10s", "24h")]
CacheDuration = Annotated[str, _DurationText, bounds("1m", "7d")]
QueryDuration = Annotated[str, _DurationText, bounds("1s", "24h")]
LateDuration = Annotated[str, _DurationText, bounds("1m", "30d")]
MissedDuration = Annotated[str, _DurationText, bounds("1m", "7d")]
WaitDuration = Annotated[str, _DurationText, bounds("1m", "24h")]
RetentionDuration = Annotated[str, _DurationText, bounds("1h", "3650d")]


class SecretUse(NamedTuple):
    """A Secret that a manifest names."""

    field: str  # such as spec.delivery.email.smtp.secretRef.name
    name: str


class Model(BaseModel):
    """camelCase outside, snake_case inside; unknown fields are refused, never ignored."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True
    )

    rules: ClassVar[tuple[Rule, ...]] = ()

    @model_validator(mode="before")
    @classmethod
    def _null_is_absent(cls, data: Any) -> Any:
        """The API server drops a null and then sets the default; so does this."""
        if isinstance(data, dict) and None in data.values():
            return {name: value for name, value in data.items() if value is not None}
        return data

    @model_validator(mode="after")
    def _keep_rules(self) -> Self:
        for rule in type(self).rules:
            rule.check(self)
        return self

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core: core_schema.CoreSchema, handler: GetJsonSchemaHandler, /
    ) -> dict[str, Any]:
        """Pydantic's hook: the CRD's rules."""
        schema = handler(core)
        resolved = handler.resolve_ref_schema(schema)
        resolved.update(with_rules(resolved, cls.rules))
        return schema

    def secret_refs(self, field: str) -> Iterator[SecretUse]:
        """Every SecretReference in this model, which stands at `field` of the manifest.

        A run mounts these Secrets, and the operator checks them against its allowlist: a model
        that names a Secret in a field of that type cannot evade the check.
        """
        for name, info in type(self).model_fields.items():
            value = getattr(self, name)
            part = f"{field}.{info.alias or name}"
            if isinstance(value, Model):
                yield from value.secret_refs(part)
            elif isinstance(value, list):
                for number, item in enumerate(value):
                    if isinstance(item, Model):
                        yield from item.secret_refs(f"{part}{element(item, number)}")

    def set_models(self) -> list[tuple[str, Model]]:
        """The fields that hold a model, by name; alternatives that are not set are left out."""
        found = ((name, getattr(self, name)) for name in type(self).model_fields)
        return [(name, value) for name, value in found if isinstance(value, Model)]

    def to_wire(self) -> dict[str, Any]:
        """Plain JSON data in the names that users write; fields that are not set are left out."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)
