"""The template language: the operator compiles templates, the runner renders them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jinja2 import (
    StrictUndefined,
    TemplateAssertionError,
    TemplateSyntaxError,
    nodes,
    pass_context,
)
from jinja2.compiler import CodeGenerator, Frame
from jinja2.exceptions import SecurityError
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

from report_runner.contract.filters import FILTERS
from report_runner.contract.numbers import NOTHING, OPERATORS, compute, is_number
from report_runner.contract.printable import TEXT_FILTERS, printable_all, printed
from report_runner.contract.printf import format_text
from report_runner.contract.values import json_text
from report_runner.contract.words import listed, nearest, shortened

TEMPLATE_LIMIT = 256 * 1024  # bytes of one template
TEXT_LIMIT = 16 * 1024 * 1024  # characters that one operation may make
POWER_LIMIT = 4096  # bits that a power may have
# Of one template: what Jinja2 makes of it takes some 8 kB of memory for each while it compiles.
NODE_LIMIT = 20_000

NO_FILES = "include, import and extends have no files to read from; put all into one template"


@dataclass(frozen=True, slots=True)
class TemplateProblem:
    """Why a template does not compile, and the line (from 1)."""

    line: int
    message: str
    too_large: bool = False

    def __str__(self) -> str:
        return f"line {self.line}: {self.message}"


class TooLargeError(SecurityError):
    """An operation of a template has a result above the size limit."""


def _check_binop(operator: str, left: Any, right: Any) -> None:
    if operator == "**":
        whole = isinstance(left, int) and isinstance(right, int)
        if whole and abs(right) * max(left.bit_length(), 1) > POWER_LIMIT:
            raise TooLargeError("the power is too large")
    elif operator == "*":
        for sized, times in ((left, right), (right, left)):
            if (
                isinstance(sized, str | bytes | list | tuple)
                and isinstance(times, int)
                and len(sized) * times > TEXT_LIMIT
            ):
                raise TooLargeError("the repetition is too large")


class TemplateCodeGenerator(CodeGenerator):
    """Jinja2's, but for `~`."""

    def visit_Concat(self, node: nodes.Concat, frame: Frame) -> None:  # noqa: N802
        # `a ~ b` joins texts without calling `finalize`.
        if frame.eval_ctx.volatile:
            self.write("(markup_join if context.eval_ctx.volatile else str_join)")
        else:
            self.write("markup_join" if frame.eval_ctx.autoescape else "str_join")
        self.write("(environment.joinable((")
        for part in node.nodes:
            self.visit(part, frame)
            self.write(", ")
        self.write(")))")


class TemplateEnvironment(ImmutableSandboxedEnvironment):
    """A sandbox that also bounds the memory of single operations.

    What many operations add up to is bounded by the process that renders.
    """

    intercepted_binops = frozenset(OPERATORS)
    intercepted_unops = frozenset(("+", "-"))
    code_generator_class = TemplateCodeGenerator

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        _check_binop(operator, left, right)
        if is_number(left) and is_number(right):
            return compute(operator, left, right)
        if (left is None or is_number(left)) and (right is None or is_number(right)):
            return None  # as in SQL: what is computed from NULL is NULL
        if operator == "%" and isinstance(left, str):
            values = right if isinstance(right, tuple) else (right,)
            return format_text(left, *printable_all(values))
        return super().call_binop(context, operator, left, right)

    def call_unop(self, context: Context, operator: str, arg: Any) -> Any:
        return None if arg is None else super().call_unop(context, operator, arg)

    def joinable(self, values: Sequence[Any]) -> list[Any]:
        """The operands of `~`."""
        return [NOTHING if value is None else printed(value) for value in values]

    def getattr(self, obj: Any, attribute: str) -> Any:
        # A column may be called `items` or `values`: the row's value goes before dict's methods.
        if isinstance(obj, Mapping) and attribute in obj:
            return obj[attribute]
        return super().getattr(obj, attribute)


class NamedUndefined(StrictUndefined):
    """A name that there is not; its message lists those that there are."""

    __slots__ = ()

    @property
    def _undefined_message(self) -> str:
        owner: Any = self._undefined_obj
        name: Any = self._undefined_name
        if self._undefined_hint or not isinstance(owner, Mapping | Sequence):
            return super()._undefined_message
        if isinstance(owner, Mapping):
            known = [str(key) for key in owner]
            near = nearest(str(name), known) or ";"
            return f"there is no {shortened(str(name))}{near} there is {listed(known) or 'nothing'}"
        if isinstance(name, int):
            return f"there is no element {name}; there are {len(owner)}, counted from 0"
        return super()._undefined_message


@pass_context
def _finalize(_context: Context, value: Any) -> Any:
    # Needing the context also keeps the compiler from evaluating constant expressions: the
    # operator compiles templates of others, and `'a'|center(10**9)` is one.
    return NOTHING if value is None else printed(value)


def template_environment(
    autoescape: bool = True, kind: type[TemplateEnvironment] = TemplateEnvironment
) -> TemplateEnvironment:
    """A sandbox: no attribute of Python's inside is reachable, an undefined name is an error.

    NULL is printed as an en dash, and objects are not printed (`contract.printable`);
    the filters of `contract.filters` are known.
    """
    environment = kind(
        autoescape=autoescape,
        undefined=NamedUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        optimized=False,
        finalize=_finalize,
        extensions=["jinja2.ext.do", "jinja2.ext.loopcontrols"],
    )
    environment.policies["json.dumps_function"] = lambda value, **_: json_text(value)
    environment.filters.update(TEXT_FILTERS | FILTERS)
    del environment.globals["lipsum"]
    return environment


def compile_problem(source: str) -> TemplateProblem | None:
    """None where `source` compiles."""
    environment = template_environment()
    try:
        problem = _too_large(environment, source)
        if problem is not None:
            return problem
        tree = environment.parse(source)
        problem = _forbidden(tree)
        if problem is None:
            # Unknown filters and tests are found by compiling, not by parsing.
            environment.compile(tree)
    except TemplateAssertionError as error:
        return TemplateProblem(error.lineno, unknown_filter(environment, error.message or ""))
    except TemplateSyntaxError as error:
        return TemplateProblem(error.lineno, error.message or "syntax error")
    except RecursionError:
        return TemplateProblem(1, "nested too deeply")
    except MemoryError:
        return TemplateProblem(1, "needs too much memory to be compiled", too_large=True)
    except (SyntaxError, ValueError, OverflowError) as error:
        # Python's own compiler refuses what Jinja2 made: more than 20 loops in each other,
        # a number of thousands of digits.
        return TemplateProblem(1, f"cannot be compiled: {str(error).split('(')[0].strip()}")
    return problem


def unknown_filter(environment: TemplateEnvironment, message: str) -> str:
    """Jinja2's message of an unknown filter or test, with the names that there are."""
    found = re.fullmatch(r"No (filter|test) named '(.*)'\.", message)
    if found is None:
        return message or "unknown filter or test"
    known = environment.filters if found[1] == "filter" else environment.tests
    near = nearest(found[2], sorted(known))
    own = f"; beside Jinja2's own there is {listed(sorted(FILTERS))}"
    other = own if found[1] == "filter" else f"; there is {listed(sorted(known))}"
    return f"no {found[1]} is called {shortened(found[2])}{near or other}"


def _too_large(environment: TemplateEnvironment, source: str) -> TemplateProblem | None:
    """Counted before it is parsed: parsing is what takes the memory."""
    counted = 0
    for line, kind, _ in environment.lex(source):
        if kind != "whitespace":
            counted += 1
        if counted > NODE_LIMIT:
            return TemplateProblem(
                line,
                f"more than {NODE_LIMIT} names, values, operators and tags of Jinja2 up to here: "
                "take data from sources, and repeat with a loop",
                too_large=True,
            )
    return None


def _forbidden(tree: nodes.Template) -> TemplateProblem | None:
    for reference in tree.find_all((nodes.Include, nodes.Import, nodes.FromImport, nodes.Extends)):
        return TemplateProblem(reference.lineno, NO_FILES)
    for modifier in tree.find_all(nodes.EvalContextModifier):
        # This one expression is worked out while compiling.
        if any(not isinstance(option.value, nodes.Const) for option in modifier.options):
            return TemplateProblem(modifier.lineno, "autoescape takes true or false")
    return None
