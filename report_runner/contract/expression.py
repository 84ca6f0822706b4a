"""Expressions: one condition in the templates' language, which has to be true or false.

Comparisons are stricter than a template's: numbers compare by their digits (0.1 of a column equals
a written 0.1), and two values of different kinds do not compare at all, rather than be unequal in
silence.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import time
from functools import lru_cache
from typing import Annotated, Any

from jinja2 import (
    TemplateAssertionError,
    TemplateRuntimeError,
    TemplateSyntaxError,
    Undefined,
    meta,
    nodes,
)
from jinja2.compiler import Frame
from jinja2.parser import Parser
from pydantic import AfterValidator, StringConstraints
from pydantic_core import PydanticCustomError

from report_runner.contract.moments import kind_of, order_of
from report_runner.contract.numbers import as_decimal, is_number
from report_runner.contract.templating import (
    TemplateCodeGenerator,
    TemplateEnvironment,
    template_environment,
    unknown_filter,
)
from report_runner.contract.words import listed, nearest, shortened

# The operator compiles expressions in its own process, some 0.1 ms for each token.
EXPRESSION_LIMIT = 1000  # characters
TOKEN_LIMIT = 200  # names, values and operators
RUN_NAMES = ("holidays", "parameters", "report_date", "slot", "sources", "time_zone")

_OPERATORS: dict[str, tuple[str, Callable[[Any, Any], bool]]] = {
    "eq": ("==", operator.eq),
    "ne": ("!=", operator.ne),
    "lt": ("<", operator.lt),
    "lteq": ("<=", operator.le),
    "gt": (">", operator.gt),
    "gteq": (">=", operator.ge),
}
# Jinja2's tests that compare, as in selectattr("weight", "gt", 0.1).
_TESTS = {
    "eq": ("==", "eq", "equalto"),
    "ne": ("!=", "ne"),
    "lt": ("<", "lt", "lessthan"),
    "lteq": ("<=", "le"),
    "gt": (">", "gt", "greaterthan"),
    "gteq": (">=", "ge"),
}


def _kind(value: Any) -> str:
    """What a value is, in words for a message."""
    if isinstance(value, bool):
        return "true or false"
    if is_number(value):
        return "number"
    moment = kind_of(value)
    if moment is not None:
        return moment.value
    if isinstance(value, str):
        return "text"
    if isinstance(value, time):
        return "time of day"
    if isinstance(value, Mapping):
        return "object"
    return "list" if isinstance(value, Iterable) else type(value).__name__


def described(value: Any) -> str:
    """`NULL`, `a number`, `a list`, for messages."""
    return "NULL" if value is None else f"a {_kind(value)}"


def compare(name: str, left: Any, right: Any) -> bool:
    """One comparison by Jinja2's name of its operator.

    NaN equals itself and is greater than every number, as in PostgreSQL and in the filters.
    Raises TemplateRuntimeError for kinds that do not compare.
    """
    if name in ("in", "notin"):
        return _contains(left, right) is (name == "in")
    written, apply = _OPERATORS[name]
    if isinstance(left, Undefined) or isinstance(right, Undefined):
        return apply(left, right)  # StrictUndefined says which name it is
    if left is None or right is None:
        if name in ("eq", "ne"):
            return (left is right) is (name == "eq")
        raise TemplateRuntimeError(
            f"{written} with NULL: test the value with `is not none` first, give a default with "
            "`| default(0, true)`, or use COALESCE in the query"
        )
    if _kind(left) != _kind(right):
        raise TemplateRuntimeError(
            f"{written} of a {_kind(left)} and a {_kind(right)}: cast one of them, in the query or "
            "with a filter (| float, | string, | as_date)"
        )
    return bool(apply(_comparable(left), _comparable(right)))


def _comparable(value: Any) -> Any:
    if is_number(value):
        number = as_decimal(value)
        return number.is_nan(), 0 if number.is_nan() else number
    return order_of(value) if kind_of(value) is not None else value


def _contains(item: Any, container: Any) -> bool:
    if isinstance(container, list | tuple) and not isinstance(item, Undefined):
        return any(
            _kind(item) == _kind(each) and _comparable(item) == _comparable(each)
            for each in container
        )
    return item in container


class _CodeGenerator(TemplateCodeGenerator):
    def visit_Compare(self, node: nodes.Compare, frame: Frame) -> None:  # noqa: N802
        self.write("environment.compare_chain(")
        self.visit(node.expr, frame)
        for each in node.ops:
            self.write(f", {each.op!r}, lambda: ")
            self.visit(each.expr, frame)
        self.write(")")


class ExpressionEnvironment(TemplateEnvironment):
    """The sandbox of templates, with comparisons as this module makes them."""

    code_generator_class = _CodeGenerator

    def compare_chain(self, left: Any, *steps: Any) -> bool:
        """`a < b <= c`: operator names and functions that give the next value."""
        for name, value in zip(steps[::2], steps[1::2], strict=True):
            right = value()
            if not compare(name, left, right):
                return False
            left = right
        return True


@lru_cache(maxsize=1)
def expression_environment() -> TemplateEnvironment:
    """Shared: nothing in it changes."""
    environment = template_environment(autoescape=False, kind=ExpressionEnvironment)
    for name, tests in _TESTS.items():
        for test in tests:
            environment.tests[test] = _test(name)
    environment.tests["in"] = lambda value, container: compare("in", value, container)
    return environment


def _test(name: str) -> Callable[[Any, Any], bool]:
    return lambda left, right: compare(name, left, right)


def parse_expression(text: str) -> nodes.Expr:
    """Raises TemplateSyntaxError."""
    environment = expression_environment()
    parser = Parser(environment, text, state="variable")
    found = parser.parse_expression()
    if not parser.stream.eos:
        line = parser.stream.current.lineno
        raise TemplateSyntaxError("there is more behind the end of the expression", line)
    found.set_environment(environment)
    return found


def compiled(expression: nodes.Expr) -> Callable[[Mapping[str, Any]], Any]:
    """What gives the value of an expression for a mapping of names."""
    environment = expression_environment()
    body = nodes.Template(
        [nodes.Assign(nodes.Name("result", "store"), expression, lineno=1)], lineno=1
    )
    body.set_environment(environment)
    template = environment.from_string(body)

    def value(names: Mapping[str, Any]) -> Any:
        context = template.new_context(dict(names))
        try:
            for _ in template.root_render_func(context):
                pass
        except Exception:  # noqa: BLE001 - raised again, with the lines of the expression
            environment.handle_exception()
        return context.vars["result"]

    return value


@lru_cache(maxsize=4096)
def expression_problem(text: str) -> str | None:
    """Why an expression does not compile; None where it does."""
    if text.lstrip().startswith("{{"):
        return "write it without {{ and }}: the field is an expression already"
    return problem_of("{{" + text + "}}", lambda: compiled(parse_expression(text)))


def problem_of(template: str, compile_it: Callable[[], object]) -> str | None:
    """What the compiler says of an author's text of at most EXPRESSION_LIMIT characters.

    `template` is the same text, which is counted before it is parsed: that is what takes time.
    """
    try:
        tokens = expression_environment().lex(template)
        if sum(kind not in ("whitespace", "data") for _, kind, _ in tokens) > TOKEN_LIMIT + 2:
            return f"more than {TOKEN_LIMIT} names, values and operators: compute in the query"
        compile_it()
    except TemplateAssertionError as error:
        return unknown_filter(expression_environment(), error.message or "")
    except TemplateSyntaxError as error:
        return error.message or "syntax error"
    except RecursionError:
        return "nested too deeply"
    except (SyntaxError, ValueError, OverflowError, MemoryError) as error:
        return f"cannot be compiled: {str(error).split('(')[0].strip()}"
    return None


def unknown_name(
    expression: nodes.Expr, sources: Collection[str], parameters: Collection[str]
) -> str | None:
    """The first name that no run of the report has; None where all are known."""
    names = {*RUN_NAMES, *sources}
    return unknown_in(expression, names, {"sources": sources, "parameters": parameters})


def unknown_in(
    tree: nodes.Expr | nodes.Template,
    names: Collection[str],
    parts: Mapping[str, Collection[str]],
) -> str | None:
    """As `unknown_name`, of an expression or template that may use `names`.

    `parts` has what some of the names hold: `parameters.NAME`.
    """
    environment = expression_environment()
    if isinstance(tree, nodes.Expr):
        tree = nodes.Template([nodes.Output([tree], lineno=1)], lineno=1)
        tree.set_environment(environment)
    for name in sorted(meta.find_undeclared_variables(tree) - {*names, *environment.globals}):
        return _not_there(name, sorted(names))
    for owner, known in parts.items():
        for name in _attributes(tree, owner):
            if name not in known:
                told = [f"{owner}.{each}" for each in sorted(known)]
                return _not_there(f"{owner}.{name}", told)
    return None


def _attributes(tree: nodes.Template, owner: str) -> list[str]:
    """What is asked of `owner` by name: `owner.a`, `owner["b"]`."""
    found = [node.attr for node in tree.find_all(nodes.Getattr) if _is(node.node, owner)]
    found += [
        node.arg.value
        for node in tree.find_all(nodes.Getitem)
        if _is(node.node, owner)
        and isinstance(node.arg, nodes.Const)
        and isinstance(node.arg.value, str)
    ]
    return found


def _is(node: nodes.Node, name: str) -> bool:
    return isinstance(node, nodes.Name) and node.name == name


def _not_there(name: str, known: list[str]) -> str:
    near = nearest(name, known) or f"; there is {listed(known) or 'nothing'}"
    return f"there is no {shortened(name)}{near}"


def _compiles(text: str) -> str:
    problem = expression_problem(text)
    if problem is not None:
        raise PydanticCustomError("rule", "no expression: {problem}", {"problem": problem})
    return text


ExpressionText = Annotated[
    str,
    StringConstraints(min_length=1, max_length=EXPRESSION_LIMIT),
    AfterValidator(_compiles),
]
