"""A manifest against the schema that the API server has, as `report_operator.crd` wrote it.

Fields, types, words and bounds; of the rules in CEL those that compare a text with a pattern or a
duration. The rules of report, delivery and output are those of the runner's own models.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from importlib import resources
from typing import Any

FILE = "reportschedule.json"
_RULES = "x-kubernetes-validations"
_FREE = "x-kubernetes-preserve-unknown-fields"
_MATCHES = re.compile(r"self\.matches\('((?:[^'\\]|\\.)*)'\)")
_DURATIONS = re.compile(r"duration\('([0-9]+)s'\)")
_EVERY = re.compile(r"@every ([+-]?)((?:[0-9.]+[a-z\u00b5\u03bc]+)+|0)")
_TERM = re.compile(r"([0-9.]+)([a-z\u00b5\u03bc]+)")
_SECONDS = {"h": 3600, "m": 60, "s": 1, "ms": 1e-3}  # of what is shorter no schedule is made
_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,), "array": (list,), "string": (str,), "integer": (int,),
    "number": (int, float), "boolean": (bool,),
}  # fmt: skip
_NAMES = {
    "object": "an object", "array": "a list", "string": "a text", "integer": "a whole number",
    "number": "a number", "boolean": "true or false",
}  # fmt: skip


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
    schema = load_schema()["properties"]["spec"]
    if not isinstance(body.get("spec"), Mapping):
        yield "spec", "is missing"
        return
    yield from _check(body["spec"], schema, "spec")
    email = (body["spec"].get("delivery") or {}).get("email")
    report = body["spec"].get("report")
    if isinstance(email, Mapping) and isinstance(report, Mapping):
        formats = report.get("formats") or ["pdf"]
        for index, attached in enumerate(email.get("attach") or ()):
            if attached not in formats:
                yield (
                    f"spec.delivery.email.attach[{index}]",
                    f"every format to attach has to be one of report.formats ({_list(formats)}), "
                    f"and {attached} is not",
                )


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
        yield field, f"has to be {_NAMES[kind]}"
        return
    if "enum" in schema and value not in schema["enum"]:
        near = get_close_matches(str(value), schema["enum"], 1, 0.6)
        meant = f"; did you mean {near[0]}?" if near else ";"
        yield field, f"{str(value)[:60]!r} is not possible{meant} possible: {_list(schema['enum'])}"
        return
    yield from _bounds(value, schema, field)
    if isinstance(value, str):
        yield from _patterns(value, schema, field)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _check(item, schema.get("items", {}), f"{field}[{index}]")
    elif isinstance(value, dict) and not schema.get(_FREE):
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


def _patterns(value: str, schema: Mapping[str, Any], field: str) -> Iterator[tuple[str, str]]:
    for rule in schema.get(_RULES, ()):
        if rule["rule"] == "!self.contains('TZ')":
            refused = "TZ" in value
        elif bounds := _DURATIONS.findall(rule["rule"]):
            refused = not _is_within(value, *map(int, bounds))
        else:
            found = _MATCHES.search(rule["rule"])
            pattern = re.sub(r"\\(.)", r"\1", found[1]) if found else ""
            skipped = "self.contains('TZ') ||" in rule["rule"] and "TZ" in value
            refused = not skipped and re.search(pattern, value, re.ASCII) is None
        if refused:
            yield field, rule["message"]
            return


def _is_within(value: str, least: int, end: int) -> bool:
    """Whether an `@every` takes so many seconds, the last excluded; true for any other text."""
    every = _EVERY.fullmatch(value)
    if every is None:
        return True
    try:
        seconds = sum(float(n) * _SECONDS.get(unit, 0) for n, unit in _TERM.findall(every[2]))
    except ValueError:  # two points: the pattern has refused it
        return True
    return every[1] != "-" and least <= seconds < end
