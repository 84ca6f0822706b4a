"""A manifest against the schema that the API server has, as `report_operator.crd` wrote it.

Fields, types, words and bounds. What the schema says in CEL, the models say as well
(report_operator.crd.verdict).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from functools import cache
from importlib import resources
from typing import Any

FILE = "reportschedule.json"
_FREE = "x-kubernetes-preserve-unknown-fields"
_KEYS = "self.all(key, key in ["
_API_VERSION = "reports.adaf.io/v1alpha1"
_META = (
    "annotations", "creationTimestamp", "deletionGracePeriodSeconds", "deletionTimestamp",
    "finalizers", "generateName", "generation", "labels", "managedFields", "name", "namespace",
    "ownerReferences", "resourceVersion", "selfLink", "uid",
)  # fmt: skip
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_NAME_LIMIT = 253
_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,), "array": (list,), "string": (str,), "integer": (int,),
    "number": (int, float), "boolean": (bool,),
}  # fmt: skip
_NAMES = {
    "object": "an object", "array": "a list", "string": "a text", "integer": "a whole number",
    "number": "a number", "boolean": "true or false",
}  # fmt: skip


@cache
def load_schema() -> dict[str, Any]:
    """The structural schema of a ReportSchedule."""
    found: dict[str, Any] = json.loads(
        (resources.files("report_runner.preview") / FILE).read_text(encoding="utf-8")
    )
    return found


def problems(body: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Field and message of everything that the API server would refuse."""
    for name in body:
        if name not in ("apiVersion", "kind", "metadata", "spec", "status"):
            yield name, _unknown(name, ["apiVersion", "kind", "metadata", "spec"])
    if body.get("apiVersion") != _API_VERSION:
        yield "apiVersion", f"has to be {_API_VERSION}"
    yield from _metadata(body.get("metadata"))
    if not isinstance(body.get("spec"), Mapping):
        yield "spec", "is missing" if body.get("spec") is None else "has to be an object"
        return
    yield from _check(body["spec"], load_schema()["properties"]["spec"], "spec")
    yield from _not_written(body["spec"])


def _not_written(spec: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """As the rule of the schema, with the place of each format."""
    delivery, report = spec.get("delivery"), spec.get("report")
    email = delivery.get("email") if isinstance(delivery, Mapping) else None
    if not isinstance(email, Mapping) or not isinstance(report, Mapping):
        return
    formats, attach = report.get("formats") or ["pdf"], email.get("attach")
    for index, attached in enumerate(attach if isinstance(attach, list) else ()):
        if attached not in formats:
            yield (
                f"spec.delivery.email.attach[{index}]",
                f"every format to attach has to be one of report.formats ({_list(formats)}), and "
                f"{attached} is not",
            )


def _metadata(meta: Any) -> Iterator[tuple[str, str]]:
    if not isinstance(meta, Mapping):
        yield "metadata", "name is missing" if meta is None else "has to be an object"
        return
    for name in meta:
        if name not in _META:
            yield f"metadata.{name}", _unknown(name, list(_META))
    name = meta.get("name")
    if name is None and not meta.get("generateName"):
        yield "metadata", "name is missing"
    elif not isinstance(name, str | None):
        yield "metadata.name", f"has to be {_NAMES['string']} (put it in quotes)"
    elif name is not None and (len(name) > _NAME_LIMIT or not _NAME.fullmatch(name)):
        yield (
            "metadata.name",
            "write the name of an object: lower case letters, digits, '-' and '.', first and last "
            f"a letter or digit, at most {_NAME_LIMIT} characters",
        )
    for field in ("labels", "annotations"):
        values = meta.get(field) or {}
        if not isinstance(values, Mapping):
            yield f"metadata.{field}", "has to be an object"
            continue
        for key, value in values.items():
            if not isinstance(value, str):
                yield f"metadata.{field}.{key}", "has to be a text (put it in quotes)"


def _list(words: Any) -> str:
    return ", ".join(str(word) for word in words)


def _unknown(name: str, known: list[str]) -> str:
    lower = {word.lower(): word for word in known}
    near = get_close_matches(name.lower(), lower, 1, 0.6)
    meant = f"; did you mean {lower[near[0]]}?" if near else ";"
    return f"unknown field{meant} possible: {_list(sorted(known))}"


def _check(value: Any, schema: Mapping[str, Any], field: str) -> Iterator[tuple[str, str]]:
    if value is None:
        return  # the API server drops it
    kind = schema.get("type")
    if kind and (
        not isinstance(value, _TYPES[kind]) or (isinstance(value, bool) and kind != "boolean")
    ):
        yield field, f"has to be {_NAMES[kind]}{_how(value, schema)}"
        return
    if "enum" in schema and value not in schema["enum"]:
        near = get_close_matches(str(value), schema["enum"], 1, 0.6)
        meant = f"; did you mean {near[0]}?" if near else ";"
        yield field, f"{str(value)[:60]!r} is not possible{meant} possible: {_list(schema['enum'])}"
        return
    yield from _bounds(value, schema, field)
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from _check(item, schema.get("items", {}), f"{field}[{index}]")
        yield from _twice(value, schema, field)
    elif isinstance(value, dict) and not schema.get(_FREE):
        yield from _names(value, schema, field)
        known = schema.get("properties", {})
        others = schema.get("additionalProperties")
        for name, inner in value.items():
            if name in known:
                yield from _check(inner, known[name], f"{field}.{name}")
            elif others is None:
                yield f"{field}.{name}", _unknown(name, list(known))
            else:
                yield from _check(inner, others, f"{field}.{name}")
        for name in schema.get("required", ()):
            if value.get(name) is None:
                yield field, f"{name} is missing"


def _twice(items: list[Any], schema: Mapping[str, Any], field: str) -> Iterator[tuple[str, str]]:
    kind, keys = schema.get("x-kubernetes-list-type"), schema.get("x-kubernetes-list-map-keys", ())
    if kind not in ("set", "map"):
        return
    seen: list[Any] = []
    for index, item in enumerate(items):
        named = isinstance(item, dict) and all(key in item for key in keys)
        known = item if kind == "set" else [item[key] for key in keys] if named else None
        if known is not None and known in seen:
            shown = known if kind == "set" else known[0]
            yield f"{field}[{index}]", f"{shown} occurs twice"
        seen.append(known)


def _names(value: dict[str, Any], schema: Mapping[str, Any], field: str) -> Iterator[Any]:
    """The one rule in CEL that no model has: which keys a map may have."""
    for rule in schema.get("x-kubernetes-validations", ()):
        if rule["rule"].startswith(_KEYS):
            for name in value:
                if f"'{name}'" not in rule["rule"]:
                    yield f"{field}.{name}", rule["message"]


def _how(value: Any, schema: Mapping[str, Any]) -> str:
    """What to write instead of a value of another type."""
    kind, fields = schema["type"], list(schema.get("properties", ()))
    if kind == "string" and isinstance(value, bool | int | float):
        return ": put it in quotes"
    if kind == "array" and isinstance(value, str):
        return f": write [{value[:60]}]"
    return f" with the fields {_list(sorted(fields))}" if kind == "object" and fields else ""


def _bounds(value: Any, schema: Mapping[str, Any], field: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, list | str | dict):
        words = ("Items", "items") if isinstance(value, list) else ("Properties", "keys")
        word, shown = ("Length", "characters") if isinstance(value, str) else words
        most, least = schema.get(f"max{word}"), schema.get(f"min{word}")
        if most is not None and len(value) > most:
            yield field, f"has {len(value)} {shown}, at most {most} are possible"
        if least is not None and len(value) < least:
            yield field, f"has {len(value)} {shown}, at least {least} are needed"
    if isinstance(value, int | float) and not isinstance(value, bool):
        if "maximum" in schema and value > schema["maximum"]:
            yield field, f"has to be {schema['maximum']} or less"
        if "minimum" in schema and value < schema["minimum"]:
            yield field, f"has to be {schema['minimum']} or more"
