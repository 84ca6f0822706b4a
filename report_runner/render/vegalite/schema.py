"""A specification against Vega-Lite's own JSON schema, with one plain sentence of what is wrong.

The schema is one tree of alternatives; a general validator says "is not valid under any of the
given schemas". Here the alternative that comes nearest is taken, and its problem is told.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from report_runner.render.vegalite import SpecProblem, listed, nearest, shortened

_REFERENCE = "#/definitions/"
_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}
_NAMES = {
    "object": "an object",
    "array": "a list",
    "string": "a text",
    "number": "a number",
    "boolean": "true or false",
    "null": "null",
}


@dataclass(frozen=True, slots=True)
class _Fault:
    """`words` are those that would be right in this place, `kinds` the types."""

    path: tuple[str | int, ...]
    weight: int
    what: str = ""
    word: str | None = None
    words: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    key: bool = False  # it is the key that is wrong, not its value

    def told(self) -> SpecProblem:
        if self.what:
            return SpecProblem(self.path, self.what)
        if self.key:
            near = nearest(self.word or "", self.words)
            return SpecProblem(
                self.path,
                f"Vega-Lite knows no such key here{near or ';'} "
                f"possible keys: {listed(self.words)}",
            )
        if self.word is not None and self.words:
            near = nearest(self.word, self.words)
            others = "".join(f", or {_NAMES[kind]}" for kind in self.kinds if kind != "null")
            return SpecProblem(
                self.path,
                f"{shortened(self.word)} is not possible here{near or ';'} "
                f"possible: {listed(self.words)}{others}",
            )
        possible = [_NAMES[kind] for kind in self.kinds]
        if self.words:
            possible.append("one of " + listed(self.words))
        return SpecProblem(self.path, f"has to be {' or '.join(possible) or 'something else'}")


@cache
def load_schema() -> Mapping[str, Any]:
    """`version` and `definitions`, as `hack/vegalite_schema.py` wrote them."""
    file = resources.files("report_runner.render.vegalite") / "schema.json.gz"
    found: Mapping[str, Any] = json.loads(gzip.decompress(file.read_bytes()))
    return found


def schema_problem(spec: Mapping[str, Any]) -> SpecProblem | None:
    """What is wrong with a specification that has its data; None where nothing is."""
    checker = _Checker(load_schema()["definitions"])
    faults = checker.check(spec, {"$ref": f"{_REFERENCE}TopLevelSpec"}, ())
    return faults[0].told() if faults else None


def _is(value: Any, kind: str) -> bool:
    if isinstance(value, bool):
        return kind == "boolean"
    return isinstance(value, _TYPES[kind])


def _kinds(schema: Mapping[str, Any]) -> tuple[str, ...]:
    kind = schema.get("type", ())
    return (kind,) if isinstance(kind, str) else tuple(kind)


def _constants(schema: Mapping[str, Any]) -> list[Any] | None:
    if "const" in schema:
        return [schema["const"]]
    found: list[Any] | None = schema.get("enum")
    return found


class _Checker:
    def __init__(self, definitions: Mapping[str, Any]) -> None:
        self._definitions = definitions
        self._known: dict[tuple[int, int], list[_Fault]] = {}

    def check(
        self, value: Any, schema: Mapping[str, Any], path: tuple[str | int, ...]
    ) -> list[_Fault]:
        """The faults of `value`, those of the nearest alternative."""
        while "$ref" in schema:
            schema = self._definitions[schema["$ref"].removeprefix(_REFERENCE)]
        if not isinstance(value, dict | list):
            return self._check(value, schema, path)
        # Alternatives share parts: without this the work would grow with the depth's power.
        key = (id(value), id(schema))
        if key not in self._known:
            self._known[key] = []  # a schema that comes back to itself
            self._known[key] = self._check(value, schema, path)
        return self._known[key]

    def _branches(self, schema: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
        while "$ref" in schema:
            schema = self._definitions[schema["$ref"].removeprefix(_REFERENCE)]
        if "anyOf" in schema:
            for branch in schema["anyOf"]:
                yield from self._branches(branch)
        else:
            yield schema

    def _check(
        self, value: Any, schema: Mapping[str, Any], path: tuple[str | int, ...]
    ) -> list[_Fault]:
        if "anyOf" in schema:
            return self._nearest(value, list(self._branches(schema)), path)
        kinds = _kinds(schema)
        constants = _constants(schema)
        if kinds and not any(_is(value, kind) for kind in kinds):
            words = tuple(word for word in constants or () if isinstance(word, str))
            kinds = tuple(kind for kind in kinds if not (words and kind == "string"))
            return [_Fault(path, 1, word=_word(value), words=words, kinds=kinds)]
        if constants is not None and value not in constants:
            words = tuple(str(word) for word in constants)
            return [_Fault(path, 1, word=str(value), words=words)]
        if isinstance(value, dict):
            return self._object(value, schema, path)
        if isinstance(value, list):
            return self._list(value, schema, path)
        if isinstance(value, int | float) and not isinstance(value, bool):
            low, high = schema.get("minimum"), schema.get("maximum")
            if low is not None and value < low:
                return [_Fault(path, 1, f"has to be {low} or more")]
            if high is not None and value > high:
                return [_Fault(path, 1, f"has to be {high} or less")]
        return []

    def _object(
        self, value: Mapping[str, Any], schema: Mapping[str, Any], path: tuple[str | int, ...]
    ) -> list[_Fault]:
        known = schema.get("properties", {})
        others = schema.get("additionalProperties", True)
        faults = []
        for key, inner in value.items():
            if key in known:
                faults += self.check(inner, known[key], (*path, key))
            elif others is False:
                faults.append(
                    _Fault((*path, key), 2, word=key, words=tuple(sorted(known)), key=True)
                )
            elif isinstance(others, dict):
                faults += self.check(inner, others, (*path, key))
        missing = [name for name in schema.get("required", ()) if name not in value]
        # Last: what is misspelled is missing as well, and the misspelling says more.
        faults += [_Fault(path, 3, f"{name} is missing") for name in missing]
        return faults

    def _list(
        self, value: Sequence[Any], schema: Mapping[str, Any], path: tuple[str | int, ...]
    ) -> list[_Fault]:
        faults = []
        items = schema.get("items", {})
        for index, inner in enumerate(value):
            # A list of schemas: one for each place.
            of = items[index] if isinstance(items, list) and index < len(items) else items
            if isinstance(of, dict):
                faults += self.check(inner, of, (*path, index))
        low, high = schema.get("minItems", 0), schema.get("maxItems")
        if len(value) < low or (high is not None and len(value) > high):
            count = f"{low}" if high == low else f"{low} or more" if high is None else f"{high}"
            faults.append(_Fault(path, 3, f"has to have {count} elements"))
        return faults

    def _nearest(
        self, value: Any, branches: Sequence[Mapping[str, Any]], path: tuple[str | int, ...]
    ) -> list[_Fault]:
        if isinstance(value, dict | list):
            kind = "object" if isinstance(value, dict) else "array"
            branches = [one for one in branches if kind in (_kinds(one) or kind)] or branches
        found: list[list[_Fault]] = []
        for branch in branches:
            faults = self.check(value, branch, path)
            if not faults:
                return []
            found.append(faults)
        if not isinstance(value, dict | list):
            return [_joined([faults[0] for faults in found], path)]
        lowest = min(sum(fault.weight for fault in faults) for faults in found)
        best = [faults for faults in found if sum(fault.weight for fault in faults) == lowest]
        first = best[0][0]
        alike = [
            faults[0]
            for faults in best
            if faults[0].path == first.path and faults[0].key == first.key
        ]
        if len(alike) > 1 and not first.what and all(not fault.what for fault in alike):
            return [_joined(alike, first.path), *best[0][1:]]
        return best[0]


def _word(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _joined(faults: Sequence[_Fault], path: tuple[str | int, ...]) -> _Fault:
    """One fault of several alternatives for one place."""
    words = tuple(dict.fromkeys(word for fault in faults for word in fault.words))
    kinds = tuple(dict.fromkeys(kind for fault in faults for kind in fault.kinds))
    told = next((fault for fault in faults if fault.what), None)
    if told is not None and not words:
        return told
    word = next((fault.word for fault in faults if fault.word is not None), None)
    if faults[0].key:
        words = tuple(sorted(words))
    weight = min(fault.weight for fault in faults)
    return _Fault(path, weight, word=word, words=words, kinds=kinds, key=faults[0].key)
