"""Texts with `{{ ... }}` into which values are bound, each encoded for where it stands.

A part of the templates' language: names, attributes and this project's own filters, no statement
and no computation. So a value cannot become another path, parameter or object, and a text can be
compiled and rendered in the process that holds Secrets.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping
from decimal import localcontext
from functools import lru_cache
from typing import Annotated, Any
from urllib.parse import quote

from jinja2 import TemplateError, Undefined, nodes, pass_context
from jinja2.runtime import Context
from pydantic import AfterValidator
from pydantic_core import PydanticCustomError

from report_runner.contract.aggregates import AGGREGATES
from report_runner.contract.filters import FILTERS
from report_runner.contract.numbers import EXACT
from report_runner.contract.templating import template_environment
from report_runner.contract.values import json_text, plain_text

LENGTH_LIMIT = 4096  # characters of one value, encoded
_NODES = (
    nodes.Template, nodes.Output, nodes.TemplateData, nodes.Name, nodes.Getattr, nodes.Getitem,
    nodes.Const, nodes.Filter, nodes.Keyword, nodes.Pair, nodes.Neg,
)  # fmt: skip
_FILTERS = frozenset(FILTERS) - frozenset(AGGREGATES) - {"format"} | {"upper", "lower", "trim"}


class BindingError(ValueError):
    """A value that cannot stand where it is bound."""


@lru_cache(maxsize=1024)
def text_problem(source: str) -> str | None:
    """Why `source` is no text with values to bind; None for one that is."""
    environment = template_environment(autoescape=False)
    try:
        tree = environment.parse(source)
        for node in tree.find_all(nodes.Node):
            if not isinstance(node, _NODES):
                return (
                    f"{type(node).__name__.lower()}: between {{{{ and }}}} only a name with "
                    "filters can stand, such as report_date | date('%Y%m%d')"
                )
            if isinstance(node, nodes.Filter) and node.name not in _FILTERS:
                return f"the filter {node.name} cannot be used here"
            if isinstance(node, nodes.Name) and node.name not in ("parameters", *_RUN):
                return f"there is no {node.name}; there is {', '.join(_RUN)}, parameters.NAME"
        environment.compile(tree)
    except TemplateError as error:
        return error.message or "syntax error"
    except (RecursionError, SyntaxError, ValueError, OverflowError):
        return "cannot be compiled"
    return None


_RUN = ("report_date", "slot")


def _compiles(source: str) -> str:
    problem = text_problem(source)
    if problem is not None:
        raise PydanticCustomError("rule", "no text to bind values into: {p}", {"p": problem})
    return source


BindsValues = Annotated[str, AfterValidator(_compiles)]


def bind(source: str, values: Mapping[str, Any], encode: Callable[[Any], str] = plain_text) -> str:
    """The text with each value encoded by `encode`. Raises BindingError.

    `values`: report_date, slot, and parameters with those of the report by name.
    """
    environment = template_environment(autoescape=False)

    @pass_context  # or the compiler works out constants by itself
    def finalize(_context: Context, value: Any) -> str:
        if isinstance(value, Undefined):
            str(value)  # raises: the name is unknown
        text = encode(value)
        if len(text) > LENGTH_LIMIT:
            raise BindingError(f"a value has more than {LENGTH_LIMIT} characters")
        return text

    # What the author wrote himself does not come here.
    environment.finalize = finalize
    try:
        with localcontext(EXACT):
            return environment.from_string(source).render(values)
    except TemplateError as error:
        raise BindingError(error.message or "cannot be rendered") from None


def in_path(value: Any) -> str:
    """Encoded for one segment of a path."""
    text = _scalar(value)
    if text in ("", ".", ".."):
        raise BindingError(f"the value is {text!r}, with which this is another path")
    return quote(text, safe="")


def in_query(value: Any) -> str:
    """Plain: the client encodes name and value as a whole."""
    return _scalar(value)


def in_json(value: Any) -> str:
    """A JSON value: text with its quotes, null, a number with every digit."""
    return json_text(value)


def in_key(value: Any) -> str:
    """A part of an object's key; nothing that a glob or a path would read otherwise."""
    text = _scalar(value)
    if text in ("", ".", "..") or any(sign in text for sign in "/*?[]\\"):
        raise BindingError("the value is empty or has one of / * ? [ ] \\, and is another key")
    return text


def _scalar(value: Any) -> str:
    if value is None:
        raise BindingError("the value is null; give the parameter a value")
    if isinstance(value, Mapping | list | tuple):
        raise BindingError("the value is an object or a list; name one of its values")
    text = plain_text(value)
    if any(unicodedata.category(sign) in ("Cc", "Cs") for sign in text):
        raise BindingError("the value has control characters")
    return text
