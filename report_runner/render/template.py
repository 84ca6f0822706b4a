"""Renders a template to text, in a process of its own with limits."""

from __future__ import annotations

import json
import re
import secrets
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import localcontext
from typing import Any
from zoneinfo import ZoneInfo

from jinja2 import TemplateError, TemplateSyntaxError, UndefinedError
from jinja2.exceptions import SecurityError

from report_runner.contract.numbers import EXACT
from report_runner.contract.reasons import Reason
from report_runner.contract.templating import (
    TooLargeError,
    compile_problem,
    template_environment,
)
from report_runner.contract.words import listed, nearest
from report_runner.models import RenderInput, RunError
from report_runner.render.banner import names_warnings, with_banner
from report_runner.render.charts import ChartImage
from report_runner.render.context import (
    TableMaker,
    orientation,
    table_style,
    template_context,
)
from report_runner.render.page_size import page_width
from report_runner.render.sandbox import (
    MIB,
    SandboxLimits,
    in_fork,
    lift_memory_limit,
    share_of_memory,
)
from report_runner.render.tables import HtmlTable

FIELD = "spec.report.template"
SUBJECT_FIELD = "spec.delivery.email.subject"
PAGE_LIMIT = 32 * MIB  # of markup that the template itself writes; tables are apart
OUTPUT_LIMIT = 256 * MIB
MEMORY_LIMIT = 512 * MIB
SECONDS = 60.0
SUBJECT_LIMIT = 500  # characters
_UNKNOWN = re.compile(r"'(\w+)' is undefined")
EXCERPT_LIMIT = 100  # characters of a template's line in a message


@dataclass(frozen=True, slots=True)
class Page:
    """The output of a template: markup with a placeholder for each table, and the tables."""

    markup: str
    token: str
    tables: tuple[HtmlTable, ...]


class _OutputTooLargeError(Exception):
    pass


def render_page(data: RenderInput, charts: Mapping[str, ChartImage]) -> Page:
    """The HTML of `data.template`. Raises RunError, which names the template's line."""
    token = secrets.token_hex(8)

    def work(write: Callable[[bytes], None]) -> None:
        maker = TableMaker(
            token,
            ZoneInfo(data.time_zone),
            page_width(data.template, orientation(data, charts)),
            table_style(data.template),
        )
        context = {**template_context(data, charts), "table": maker}
        markup = _generate(data.template, context, PAGE_LIMIT, autoescape=True)
        if data.warnings and not names_warnings(data.template):
            markup = with_banner(markup, data.warnings)
        shape = [(table.head, table.tail, len(table.rows)) for table in maker.tables]
        write(json.dumps({"text": markup, "tables": shape}).encode() + b"\n")
        for table in maker.tables:
            for row in table.rows:
                write(row.encode() + b"\n")

    head, _, rest = guarded(work, FIELD, data.template).partition(b"\n")
    answer = json.loads(head)
    lines = rest.decode().split("\n")
    tables, position = [], 0
    for opening, tail, count in answer["tables"]:
        tables.append(HtmlTable(opening, lines[position : position + count], tail))
        position += count
    return Page(answer["text"], token, tuple(tables))


def render_line(source: str, data: RenderInput, field: str = SUBJECT_FIELD) -> str:
    """One line of plain text, of 1 to 500 characters. Raises RunError as `render_page` does."""

    def work(write: Callable[[bytes], None]) -> None:
        context = {**template_context(data, {}), "table": _no_table}
        text = _generate(source, context, 64 * 1024, autoescape=False)
        write(json.dumps({"text": " ".join(text.split())}).encode())

    text: str = json.loads(guarded(work, field, source))["text"]
    if not text:
        raise RunError(Reason.CONFIGURATION_ERROR, f"{field}: is empty once it is rendered")
    if len(text) > SUBJECT_LIMIT:
        raise RunError(
            Reason.CONFIGURATION_ERROR,
            f"{field}: has {len(text)} characters once it is rendered, at most {SUBJECT_LIMIT} are "
            "possible: shorten it, as with | truncate",
        )
    return text


def _no_table(*_: Any, **__: Any) -> str:
    return ""


def guarded(work: Callable[[Callable[[bytes], None]], None], field: str, source: str) -> bytes:
    """The output of `work`, run in a fork. Raises RunError for its failures."""

    def attempt(write: Callable[[bytes], None]) -> None:
        pieces: list[bytes] = []
        try:
            work(pieces.append)
        except BaseException as error:  # noqa: BLE001 - it ends this process, told to the other
            pieces.clear()
            lift_memory_limit()
            reason, message = explain(error, field, source)
            write(json.dumps({"reason": reason, "message": message}).encode() + b"\n")
        for piece in pieces:
            write(piece)

    limits = SandboxLimits(SECONDS, share_of_memory(MEMORY_LIMIT, 0.4), OUTPUT_LIMIT)
    answer = in_fork(attempt, limits, field)
    if not answer:
        raise RunError(Reason.RESOURCE_EXHAUSTED, f"{field}: rendering was killed")
    last = answer[: answer.find(b"\n")] if b"\n" in answer else answer
    if last.startswith(b'{"reason"'):
        failure = json.loads(last)
        raise RunError(Reason(failure["reason"]), failure["message"])
    return answer


def _generate(source: str, context: dict[str, Any], limit: int, *, autoescape: bool) -> str:
    problem = compile_problem(source)
    if problem is not None:
        raise TemplateSyntaxError(problem.message, problem.line)
    pieces, size = [], 0
    try:
        with localcontext(EXACT):
            for piece in template_environment(autoescape).from_string(source).generate(context):
                size += len(piece)
                if size > limit:
                    raise _OutputTooLargeError(f"writes more than {limit // 1024} KiB")
                pieces.append(piece)
    except UndefinedError as error:
        with_known_names(error, context)
        raise
    return "".join(pieces)


def with_known_names(error: UndefinedError, context: Mapping[str, Any]) -> None:
    """Lets the message of an unknown name say which there are."""
    unknown = _UNKNOWN.fullmatch(error.message or "")
    if unknown:
        near = nearest(unknown[1], list(context)) or f"; there is {listed(sorted(context))}"
        error.args = (f"{error.message}{near}",)


def _line(error: BaseException) -> int | None:
    if isinstance(error, TemplateSyntaxError):
        return error.lineno
    lines = [
        number
        for frame, number in traceback.walk_tb(error.__traceback__)
        if frame.f_code.co_filename == "<template>"
    ]
    return lines[-1] if lines else None


def _excerpt(source: str, line: int) -> str:
    """The template's own line, so that a message shows the names in it."""
    text = " ".join(source.splitlines()[line - 1 : line]).strip()
    return text if len(text) <= EXCERPT_LIMIT else f"{text[: EXCERPT_LIMIT - 1]}…"


def _operation_problem(error: Exception) -> str:
    text = str(error)[:300]
    if isinstance(error, TypeError) and "NoneType" in text:
        return (
            f"{text}: a value is NULL there; test it with `is not none`, give a default with "
            "`| default(0, true)`, or use COALESCE in the query"
        )
    if isinstance(error, TypeError):
        return f"{text}; cast the column in the query, or use `| float` or `| string`"
    return text


def explain(error: BaseException, field: str, source: str = "") -> tuple[Reason, str]:
    """Reason and message of an error inside the template `source`."""
    line = _line(error)
    where = field if line is None else f"{field}: line {line}"
    match error:
        case MemoryError():
            return Reason.RESOURCE_EXHAUSTED, f"{where}: needs too much memory"
        case RecursionError():
            return Reason.RESOURCE_EXHAUSTED, f"{where}: calls itself without end"
        case _OutputTooLargeError() | TooLargeError():
            return Reason.RESOURCE_EXHAUSTED, f"{where}: {error}"
        case OverflowError():
            return Reason.RESOURCE_EXHAUSTED, f"{where}: {str(error).rstrip('.').lower()}"
        case SecurityError():
            return Reason.CONFIGURATION_ERROR, f"{where}: not allowed: {error}"
        case TemplateError():
            return Reason.CONFIGURATION_ERROR, f"{where}: {error.message}"
        case Exception() if line is not None:
            # An operation of the template on its values: adding a text to a number and the like.
            shown = f" in `{_excerpt(source, line)}`" if source else ""
            return Reason.CONFIGURATION_ERROR, f"{where}: {_operation_problem(error)}{shown}"
        case _:
            return Reason.INTERNAL_ERROR, f"{where}: {type(error).__name__}: {str(error)[:300]}"
