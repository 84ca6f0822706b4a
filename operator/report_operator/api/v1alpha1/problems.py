"""What pydantic found wrong, in the words of those who write manifests: path, problem, remedy."""

from __future__ import annotations

import difflib
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from report_runner.contract.model import Model

SHOWN = 5  # problems of one object
_LONG = 60

_KINDS = {
    "string_type": "text (put it in quotes)",
    "int_type": "a whole number, without quotes",
    "bool_type": "true or false, without quotes",
    "list_type": "a list",
    "dict_type": "an object",
    "model_type": "an object",
    "model_attributes_type": "an object",
}


def describe(error: ValidationError, root: str, model: type[Model]) -> str:
    """The first problems of a `model`, each with its path below `root`."""
    found = listed(error, root, model)
    messages = [f"{path}: {problem}" for path, problem in found[:SHOWN]]
    if len(found) > SHOWN:
        messages.append(f"and {len(found) - SHOWN} more problems")
    return "; ".join(messages)


def listed(
    error: ValidationError, root: str, model: type[Model], values: bool = True
) -> list[tuple[str, str]]:
    """Each problem of a `model`: its path below `root`, and what is wrong there.

    `values`: a rule's message comes after the value that it refuses.
    """
    return [_problem(item, root, model, values) for item in error.errors(include_url=False)]


def _problem(item: ErrorDetails, root: str, model: type[Model], values: bool) -> tuple[str, str]:
    path = root
    key: Any = None
    for part in item["loc"]:
        if part == "[key]":
            continue
        path += f"[{part}]" if isinstance(part, int) else f".{str(part)[:_LONG]}"
        key = part
    context = item.get("ctx") or {}
    if context.get("path"):
        path += f".{context['path']}"
    return path, _words(item, context, key, model, values)


def _words(
    item: ErrorDetails, context: dict[str, Any], key: Any, model: type[Model], values: bool
) -> str:
    kind = item["type"]
    if kind == "missing":
        return "is required"
    if kind == "extra_forbidden":
        return f"no such field: {_suggestion(item, str(key)[:_LONG], model)}"
    if kind in ("enum", "literal_error"):
        return f"{_shown(item['input'])} is not one of {context['expected']}"
    if kind in _KINDS:
        return f"{_shown(item['input'])} has to be {_KINDS[kind]}"
    if kind in ("too_long", "too_short"):
        bound = context.get("max_length", context.get("min_length"))
        return f"has to have at {'most' if kind == 'too_long' else 'least'} {bound} elements"
    if kind == "string_too_long":
        return f"has to have at most {context['max_length']} characters"
    if kind in ("greater_than_equal", "less_than_equal"):
        return f"{_shown(item['input'])}: {item['msg']}"
    message = item["msg"].removeprefix("Value error, ")
    given = item["input"]
    scalar = values and isinstance(given, str | int) and given != ""
    return f"{_shown(given)}: {message}" if scalar else message


def _suggestion(item: ErrorDetails, key: Any, model: type[Model]) -> str:
    known = _fields(item["loc"][:-1], model)
    close = difflib.get_close_matches(str(key), known, n=1, cutoff=0.6)
    if close:
        return f"did you mean {close[0]}?"
    return "remove it" + (f"; there are {', '.join(known)}" if known else "")


def _fields(path: tuple[int | str, ...], root: type[Model]) -> list[str]:
    """The names of the fields at a path below `root`; none where it leads elsewhere."""
    model: type[Model] | None = root
    for part in path:
        if model is None or isinstance(part, int):
            continue
        field = next((f for f in model.model_fields.values() if f.alias == part), None)
        model = _model_in(field.annotation) if field else None
    return [field.alias or "" for field in model.model_fields.values()] if model else []


def _model_in(annotation: Any) -> type[Model] | None:
    """The model in `Model`, `Model | None`, `list[Model]`."""
    if isinstance(annotation, type) and issubclass(annotation, Model):
        return annotation
    for argument in getattr(annotation, "__args__", ()):
        found = _model_in(argument)
        if found is not None:
            return found
    return None


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _LONG else text[:_LONG] + "..."
