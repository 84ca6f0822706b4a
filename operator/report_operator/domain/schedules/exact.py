"""Whether a live object is exactly what is desired, and the patch that makes it so."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

Body = dict[str, Any]

_POWERS = {
    "": Decimal(1),
    "n": Decimal("1e-9"),
    "u": Decimal("1e-6"),
    "m": Decimal("1e-3"),
    **{letter: Decimal(1000) ** (n + 1) for n, letter in enumerate("kMGTPE")},
    **{f"{letter}i": Decimal(1024) ** (n + 1) for n, letter in enumerate("KMGTPE")},
}
# As the API server may write it: it knows more units than an author may use.
_AMOUNT = re.compile(r"(\d+(?:[.]\d*)?|[.]\d+)(?:([numk]|[MGTPE]i?|Ki)|[eE]([+-]?\d{1,3}))?", re.A)


def is_exact_spec(live: Any, desired: Any, path: tuple[str, ...] = ()) -> bool:
    """Whether two specs are equal: no key more, no key less.

    `null` counts as absent, and the API server may write a quantity in another unit.
    """
    if isinstance(live, Mapping) and isinstance(desired, Mapping):
        keys = _keys(live)
        return keys == _keys(desired) and all(
            is_exact_spec(live[key], desired[key], (*path, key)) for key in keys
        )
    if isinstance(live, list) and isinstance(desired, list):
        return len(live) == len(desired) and all(
            is_exact_spec(a, b, path) for a, b in zip(live, desired, strict=True)
        )
    if type(live) is not type(desired):
        return False
    return bool(live == desired) or (_is_amount(path) and _same_amount(live, desired))


def holds_metadata(live: Mapping[str, Any], desired: Mapping[str, Any]) -> bool:
    """Whether our labels, annotations and owner are there; others may have added theirs.

    There may be no other owner: it would decide when the object is collected.
    """
    return live.get("ownerReferences") == desired["ownerReferences"] and all(
        desired[part].items() <= (live.get(part) or {}).items()
        for part in ("labels", "annotations")
    )


def replacement(live: Mapping[str, Any], desired: Mapping[str, Any]) -> list[Body]:
    """JSON patch that makes `live` exactly `desired`, whatever somebody wrote into its spec.

    A merge or an apply would leave foreign fields in place, or fail on them. With the uid in it a
    successor of the same name is a conflict.
    """
    before, after = live["metadata"], desired["metadata"]
    return [
        {"op": "add", "path": "/metadata/uid", "value": before["uid"]},
        *(
            {
                "op": "add",
                "path": f"/metadata/{part}",
                "value": {**(before.get(part) or {}), **ours},
            }
            for part in ("labels", "annotations")
            if (ours := after.get(part))
        ),
        {"op": "add", "path": "/metadata/ownerReferences", "value": after["ownerReferences"]},
        {"op": "replace", "path": "/spec", "value": desired["spec"]},
    ]


def _keys(body: Mapping[str, Any]) -> set[str]:
    return {key for key, value in body.items() if value is not None}


def _is_amount(path: tuple[str, ...]) -> bool:
    """`containers.resources.limits.cpu`, or `volumes.emptyDir.sizeLimit`."""
    in_resources = path[-3:-2] == ("resources",) and path[-2] in ("limits", "requests")
    return in_resources or path[-2:] == ("emptyDir", "sizeLimit")


def _same_amount(one: Any, other: Any) -> bool:
    first, second = _amount(one), _amount(other)
    return first is not None and first == second


def _amount(text: Any) -> Decimal | None:
    match = _AMOUNT.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        return None
    number, unit, exponent = match.groups()
    power = Decimal(10) ** int(exponent) if exponent else _POWERS[unit or ""]
    return Decimal(number) * power
