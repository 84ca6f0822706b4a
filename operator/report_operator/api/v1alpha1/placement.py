"""What a run's pod asks of a node, written as in a pod."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, Strict, StringConstraints, WithJsonSchema

from report_runner.contract.model import Integer, Model
from report_runner.contract.rules import Rule, matches, quoted, with_rules

_POWERS = {
    "": Decimal(1),
    "m": Decimal("0.001"),
    **{letter: Decimal(1000) ** (n + 1) for n, letter in enumerate("kMGTPE")},
    **{f"{letter}i": Decimal(1024) ** (n + 1) for n, letter in enumerate("KMGTPE")},
}
# Short, since the API server charges for its length: the text has no bound in a schema.
_QUANTITY_PATTERN = r"\d+([.]\d+)?(m|k|[MGTPE]i?|Ki)?"
_QUANTITY = re.compile(_QUANTITY_PATTERN, re.ASCII)

_QUANTITY_RULE = Rule(
    cel=f"string(self).matches({quoted(f'^{_QUANTITY_PATTERN}$')})",
    message="write a quantity such as 500m, 2, 256Mi or 1.5Gi",
    holds=lambda text: _QUANTITY.fullmatch(text) is not None,
)


def _whole_number(value: Any) -> Any:
    # `cpu: 2` without quotes is a number in YAML.
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


Quantity = Annotated[
    str,
    Strict(),
    BeforeValidator(_whole_number),
    _QUANTITY_RULE,
    WithJsonSchema(with_rules({"x-kubernetes-int-or-string": True}, (_QUANTITY_RULE,))),
]
ResourceName = Literal["cpu", "memory", "ephemeral-storage"]
Amounts = dict[ResourceName, Quantity]


def parse_quantity(text: str) -> Decimal:
    """`"1.5Gi"` → 1610612736. Raises ValueError for what is no quantity."""
    match = _QUANTITY.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r}: {_QUANTITY_RULE.message}")
    unit = match[2] or ""
    return Decimal(text.removesuffix(unit)) * _POWERS[unit]


def _within_limits(resources: ResourceRequirements) -> bool:
    return all(
        parse_quantity(amount) <= parse_quantity(resources.limits[name])
        for name, amount in resources.requests.items()
        if name in resources.limits
    )


class ResourceRequirements(Model):
    """As in a pod: cpu, memory, ephemeral-storage."""

    rules = (
        Rule(
            "!has(self.requests) || !has(self.limits) || self.requests.all(name, "
            "!(name in self.limits) || quantity(string(self.requests[name]))"
            ".compareTo(quantity(string(self.limits[name]))) <= 0)",
            "requests may not be more than limits",
            _within_limits,
            path="requests",
        ),
    )

    requests: Amounts = Field(
        default_factory=dict, max_length=3, description="Reserved for the run, e.g. memory: 256Mi."
    )
    limits: Amounts = Field(
        default_factory=dict, max_length=3, description="A run that uses more memory is killed."
    )


_NAME = "[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
_KEY_PATTERN = f"([a-z0-9]([-a-z0-9.]{{0,251}}[a-z0-9])?/)?{_NAME}"
_KEY_MESSAGE = "write a label's key, such as topology.kubernetes.io/zone"
_KEY = re.compile(_KEY_PATTERN, re.ASCII)

LabelKey = Annotated[str, StringConstraints(max_length=316), matches(_KEY_PATTERN, _KEY_MESSAGE)]
LabelValue = Annotated[
    str,
    StringConstraints(max_length=63),
    matches(f"({_NAME})?", "write a label's value: at most 63 letters, digits, '-', '_' and '.'"),
]
# Keys of a map have no bound in a schema, so that CEL may not look at them: Python does.
Labels = Annotated[
    dict[str, LabelValue],
    Rule(None, _KEY_MESSAGE, lambda labels: all(_KEY.fullmatch(key) for key in labels)),
]


class Toleration(Model):
    """As in a pod."""

    rules = (
        Rule(
            "self.operator != 'Exists' || !has(self.value)",
            "with operator Exists leave value out",
            lambda toleration: toleration.operator != "Exists" or toleration.value is None,
            path="value",
        ),
        Rule(
            "has(self.key) || self.operator == 'Exists'",
            "without a key set operator to Exists",
            lambda toleration: toleration.key is not None or toleration.operator == "Exists",
            path="operator",
        ),
        Rule(
            "!has(self.tolerationSeconds) || (has(self.effect) && self.effect == 'NoExecute')",
            "tolerationSeconds needs the effect NoExecute",
            lambda toleration: (
                toleration.toleration_seconds is None or toleration.effect == "NoExecute"
            ),
            path="tolerationSeconds",
        ),
    )

    key: LabelKey | None = Field(
        default=None, description="Taint key; all keys where it is left out."
    )
    operator: Literal["Exists", "Equal"] = Field(default="Equal", description="Exists or Equal.")
    value: LabelValue | None = Field(default=None, description="Taint value, for Equal.")
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = Field(
        default=None, description="Taint effect; all effects where it is left out."
    )
    toleration_seconds: Integer | None = Field(
        default=None, description="How long a NoExecute taint is tolerated."
    )
