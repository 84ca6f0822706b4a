"""A specification's fields against the columns that its data have at that place.

Transforms add columns, and some replace all of them; what cannot be told (a pivot makes a column
of each value) is not complained about. Vega-Lite reads `a.b` and `a[b]` as paths into an object: a
reference that names a column as it is called is escaped.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from report_runner.render.vegalite import SpecProblem, listed, nearest, shortened

Path = tuple[str | int, ...]

_PART = re.compile(r"""[.\[\]\\'"]""")
_ESCAPED = re.compile(r"\\(.)")
_DATUM = re.compile(
    r"""\bdatum\s*(?:\.\s*([A-Za-z_$][\w$]*)|\[\s*(['"])((?:\\.|(?!\2).)*)\2\s*\])"""
)
_CHILDREN = ("layer", "hconcat", "vconcat", "concat")
_NO_COLUMNS = ("axis", "legend", "header", "scale")  # their conditions are of ticks and labels
_DEFAULTS = {
    "fold": ("key", "value"),
    "density": ("value", "density"),
    "quantile": ("prob", "value"),
}


class Columns:
    """The names at one place; `whole` is False where there may be others."""

    def __init__(self, names: Iterable[str], whole: bool = True) -> None:
        self.names = tuple(dict.fromkeys(names))
        self.whole = whole

    def plus(self, names: Iterable[str], whole: bool = True) -> Columns:
        """These and others."""
        return Columns((*self.names, *names), self.whole and whole)

    def reference(self, text: str) -> str | None:
        """How Vega-Lite is to be told of a column; None where there is no such column."""
        if text in self.names:
            return _PART.sub(lambda part: "\\" + part[0], text)
        plain = _ESCAPED.sub(r"\1", text)
        root = re.split(r"(?<!\\)[.\[]", text, maxsplit=1)[0]
        known = plain in self.names or _ESCAPED.sub(r"\1", root) in self.names
        return text if known or not self.whole or text == "*" else None


def resolve_columns(
    spec: Mapping[str, Any], names: Sequence[str], source: str
) -> tuple[dict[str, Any], SpecProblem | None]:
    """The specification with its columns escaped, and the first that does not exist."""
    resolver = _Resolver(source)
    found, _ = resolver.view(spec, Columns(names), ())
    return found, resolver.problems[0] if resolver.problems else None


def _texts(value: Any) -> list[str]:
    """A name, or a list of names; nulls left out."""
    items = value if isinstance(value, list) else [value]
    return [item for item in items if isinstance(item, str)]


class _Resolver:
    def __init__(self, source: str) -> None:
        self.problems: list[SpecProblem] = []
        self._source = source

    def _one(self, text: str, columns: Columns, path: Path) -> str:
        found = columns.reference(text)
        if found is None:
            self.problems.append(
                SpecProblem(
                    path,
                    f"source {self._source} has no column {shortened(text)}"
                    f"{nearest(text, columns.names) or ';'} it has {listed(columns.names)}",
                )
            )
        return text if found is None else found

    def _named(self, value: Any, columns: Columns, path: Path) -> Any:
        """A name or a list of names, escaped."""
        if isinstance(value, list):
            return [self._named(item, columns, (*path, i)) for i, item in enumerate(value)]
        return self._one(value, columns, path) if isinstance(value, str) else value

    def view(
        self, spec: Mapping[str, Any], columns: Columns, path: Path
    ) -> tuple[dict[str, Any], Columns]:
        """The view, and all columns that are known anywhere in it."""
        out = dict(spec)
        data = spec.get("data")
        if path and isinstance(data, Mapping):
            columns = _own_data(data)
        if isinstance(spec.get("transform"), list):
            out["transform"] = []
            for index, transform in enumerate(spec["transform"]):
                made, columns = self._transform(transform, columns, (*path, "transform", index))
                out["transform"].append(made)
        everything = columns
        for word in _CHILDREN:
            if isinstance(spec.get(word), list):
                out[word] = []
                for index, child in enumerate(spec[word]):
                    made, known = self.view(child, columns, (*path, word, index))
                    out[word].append(made)
                    everything = everything.plus(known.names, known.whole)
        if isinstance(spec.get("spec"), Mapping):
            out["spec"], known = self.view(spec["spec"], columns, (*path, "spec"))
            everything = everything.plus(known.names, known.whole)
        repeat = spec.get("repeat")
        if isinstance(repeat, Mapping):
            out["repeat"] = {
                key: self._named(value, columns, (*path, "repeat", key))
                for key, value in repeat.items()
            }
        elif isinstance(repeat, list):
            out["repeat"] = self._named(repeat, columns, (*path, "repeat"))
        for word in ("encoding", "facet"):
            if word in spec:
                # Layers share an encoding, and each may have transforms of its own.
                out[word] = self._fields(spec[word], everything, (*path, word))
        return out, everything

    def _fields(self, value: Any, columns: Columns, path: Path) -> Any:
        """Every `field` at any depth, escaped."""
        if isinstance(value, list):
            return [self._fields(item, columns, (*path, i)) for i, item in enumerate(value)]
        if not isinstance(value, Mapping):
            return value
        out = {
            key: self._one(inner, columns, (*path, key))
            if key in ("field", "argmax", "argmin") and isinstance(inner, str)
            else inner
            if key in _NO_COLUMNS
            else self._fields(inner, columns, (*path, key))
            for key, inner in value.items()
        }
        field = out.get("field")
        if isinstance(field, str) and "\\" in field and "title" not in out and _is_channel(path):
            out["title"] = _title(out, _ESCAPED.sub(r"\1", field))
        return out

    def _transform(self, given: Any, columns: Columns, path: Path) -> tuple[Any, Columns]:
        if not isinstance(given, Mapping):
            return given, columns
        out = dict(given)
        for word in (
            "groupby",
            "fold",
            "flatten",
            "impute",
            "key",
            "stack",
            "density",
            "quantile",
            "regression",
            "loess",
            "on",
            "pivot",
            "value",
            "lookup",
            "extent",
            "field",
        ):
            if word == "value" and "pivot" not in given:
                continue  # what an imputation fills in
            if word in given:
                out[word] = self._named(given[word], columns, (*path, word))
        for word in ("aggregate", "joinaggregate", "window", "sort", "filter"):
            if word in given and not isinstance(given[word], str):
                known = columns
                if word == "sort":  # of a window over what is made in it
                    known = columns.plus(_made(given))
                out[word] = self._fields(given[word], known, (*path, word))
        if "timeUnit" in given or "bin" in given:
            out["field"] = self._named(given.get("field"), columns, (*path, "field"))
        for where, text in _expressions(given, path):
            for name in _datum_names(text):
                if columns.reference(_PART.sub(lambda part: "\\" + part[0], name)) is None:
                    self._one(name, columns, where)
        return out, _after(given, columns)


def _is_channel(path: Path) -> bool:
    """Whether a definition at this place may have a title of its own."""
    above = [step for step in path if not isinstance(step, int)]
    return "encoding" in above[-2:-1] or "facet" in above[-2:]


def _title(channel: Mapping[str, Any], name: str) -> str:
    """As Vega-Lite words it, which would show the escapes."""
    for word in ("aggregate", "timeUnit"):
        if isinstance(channel.get(word), str):
            how = str(channel[word])
            return f"{how.capitalize()} of {name}" if word == "aggregate" else f"{name} ({how})"
    return f"{name} (binned)" if channel.get("bin") else name


def _own_data(data: Mapping[str, Any]) -> Columns:
    values = data.get("values")
    if isinstance(values, list) and values and all(isinstance(row, Mapping) for row in values):
        return Columns(name for row in values for name in row)
    return Columns((), whole=False)


def _expressions(value: Any, path: Path) -> Iterator[tuple[Path, str]]:
    """The expressions of a calculation or filter, with where they stand."""
    if not isinstance(value, Mapping):
        return
    for word in ("calculate", "filter", "not"):
        if isinstance(value.get(word), str):
            yield (*path, word), value[word]
        elif word in value:
            yield from _expressions(value[word], (*path, word))
    for word in ("and", "or"):
        if isinstance(value.get(word), list):
            for index, inner in enumerate(value[word]):
                if isinstance(inner, str):
                    yield (*path, word, index), inner
                yield from _expressions(inner, (*path, word, index))


def _datum_names(expression: str) -> Iterator[str]:
    for plain, _, quoted in _DATUM.findall(expression):
        yield plain or _ESCAPED.sub(r"\1", quoted)


def _made(given: Mapping[str, Any]) -> list[str]:
    """The columns that a transform adds."""
    names = _texts(given.get("as"))
    for word in ("aggregate", "joinaggregate", "window"):
        if isinstance(given.get(word), list):
            for item in given[word]:
                if isinstance(item, Mapping):
                    names += _texts(item.get("as")) or [_default_name(item)]
    for word, usual in _DEFAULTS.items():
        if word in given:
            names += usual[len(names) :]
    if "flatten" in given:
        names += _texts(given["flatten"])
    if "lookup" in given and isinstance(given.get("from"), Mapping):
        names += _texts(given["from"].get("fields"))
    if any(word in given for word in ("bin", "timeUnit", "stack")):
        names += [f"{name}_end" for name in names]
    for word in ("regression", "loess"):
        if word in given and "as" not in given:
            names += [*_texts(given.get("on")), *_texts(given[word])]
    return names


def _default_name(item: Mapping[str, Any]) -> str:
    op, field = item.get("op"), item.get("field")
    return f"{op}_{field}" if isinstance(field, str) else f"{op}"


def _after(given: Mapping[str, Any], columns: Columns) -> Columns:
    made = _made(given)
    kept = _texts(given.get("groupby"))
    if "aggregate" in given:
        return Columns((*kept, *made), columns.whole)
    if any(word in given for word in ("density", "quantile", "regression", "loess")):
        return Columns((*kept, *made), columns.whole and not given.get("params"))
    if "pivot" in given:
        return Columns(kept, whole=False)
    if "lookup" in given and "fields" not in (given.get("from") or {}):
        return columns.plus(made, whole=False)
    return columns.plus(made)
