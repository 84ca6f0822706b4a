"""`/docs`: the OpenAPI document as a page without scripts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from admin_api.dependencies import PagesDep

Schema = Mapping[str, Any]

router = APIRouter()


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a call, or a field of a model."""

    name: str
    place: str  # "query", "path", "header"; '' of a field
    kind: str
    required: bool
    description: str


@dataclass(frozen=True, slots=True)
class Operation:
    method: str
    path: str
    summary: str
    parameters: list[Parameter]
    body: str  # its type; '' without one
    answers: list[tuple[str, str, str]]  # status, description, type


@dataclass(frozen=True, slots=True)
class Model:
    name: str
    description: str
    fields: list[Parameter]
    values: str  # of an enumeration


@router.get("/docs", include_in_schema=False)
async def reference(request: Request, pages: PagesDep) -> Response:
    document = request.app.openapi()
    return pages.show(
        "reference.html",
        title=document["info"]["title"],
        operations=list(operations(document)),
        models=list(models(document)),
    )


def operations(document: Schema) -> Iterator[Operation]:
    """In the order of the document."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield Operation(
                method.upper(),
                path,
                operation.get("description") or operation.get("summary", ""),
                [_parameter(one) for one in operation.get("parameters", ())],
                _content(operation.get("requestBody", {})),
                [
                    (status, answer.get("description", ""), _content(answer))
                    for status, answer in operation["responses"].items()
                ],
            )


def models(document: Schema) -> Iterator[Model]:
    """Ordered by name."""
    for name, schema in sorted(document.get("components", {}).get("schemas", {}).items()):
        required = schema.get("required", ())
        yield Model(
            name,
            schema.get("description", ""),
            [
                Parameter(field, "", type_of(one), field in required, one.get("description", ""))
                for field, one in schema.get("properties", {}).items()
            ],
            " | ".join(str(value) for value in schema.get("enum", ())),
        )


def _parameter(one: Schema) -> Parameter:
    schema = one.get("schema", {})
    return Parameter(
        one["name"],
        one["in"],
        type_of(schema),
        bool(one.get("required")),
        one.get("description") or schema.get("description", ""),
    )


def _content(holder: Schema) -> str:
    found = (type_of(media.get("schema", {})) for media in holder.get("content", {}).values())
    return " | ".join(dict.fromkeys(kind for kind in found if kind))


def type_of(schema: Schema) -> str:
    """A schema in a few words: `Job[]`, `string (date-time) | null`."""
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "const" in schema:
        return repr(schema["const"])
    if "enum" in schema:
        return " | ".join(str(value) for value in schema["enum"])
    alternatives = schema.get("anyOf") or schema.get("oneOf") or schema.get("allOf")
    if alternatives:
        return " | ".join(type_of(one) for one in alternatives)
    kind = str(schema.get("type", ""))
    if kind == "array":
        return f"{type_of(schema.get('items', {}))}[]"
    if kind == "object" and isinstance(schema.get("additionalProperties"), dict):
        return f"map of {type_of(schema['additionalProperties'])}"
    return f"{kind} ({schema['format']})" if "format" in schema else kind
