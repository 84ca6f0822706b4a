"""Placeholders of a query: where they may stand, and what they have to name.

A small lexer knows what PostgreSQL takes for a string, a comment or a quoted identifier (manual,
4.1 Lexical Structure; `standard_conforming_strings` is on): a driver puts `$1` in there as well,
which PostgreSQL then reads as text, without a word.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from enum import Enum
from typing import Any

# Bound in every query by the run itself.
RESERVED_PARAMETERS = frozenset(("report_date", "slot"))

_TOKEN = re.compile(
    r"""
    (?P<blank>\s+)
  | (?P<line_comment>--[^\r\n]*)
  | (?P<block_comment>/\*)
  | (?P<escape_string>[eE]'(?:[^'\\]|''|\\.)*(?:'|\Z))
  | (?P<string>(?:[uU]&|[bBxXnN])?'(?:[^']|'')*(?:'|\Z))
  | (?P<identifier>(?:[uU]&)?"(?:[^"]|"")*(?:"|\Z))
  | (?P<dollar>\$(?P<tag>(?:[^\W\d]\w*)?)\$)
  | (?P<word>[^\W\d][\w$]*)
  | (?P<number>\d[\w.]*)
  | (?P<percent>%%)
  | (?P<placeholder>%\((?P<name>[^)]{0,200})\)(?P<format>[sbt])?)
  | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_PLACEHOLDER = re.compile(r"%%|%\(([^)]{0,200})\)([sbt])?")
_PERCENT = re.compile(rf"{_PLACEHOLDER.pattern}|%")
_COMMENT_EDGE = re.compile(r"/\*|\*/")
_TYPED_LITERALS = ("interval", "date", "time", "timestamp", "timestamptz", "timetz")
_UNITS = "year|month|mon|week|day|hour|minute|min|second|sec"
_INTERVAL_TEXT = re.compile(rf"\s*%\([^)]{0, 200}\)s\s*({_UNITS})s?\s*", re.IGNORECASE)


class _Kind(Enum):
    TEXT = "quotes"  # a string, however it is quoted
    IDENTIFIER = "double quotes"
    COMMENT = "a comment"
    PLACEHOLDER = "placeholder"
    CODE = "code"


@dataclass(frozen=True, slots=True)
class _Token:
    kind: _Kind
    text: str
    start: int
    name: str = ""  # of a placeholder


def _tokens(query: str) -> Iterator[_Token]:
    """Everything but white space. What is not closed reaches to the end."""
    position = 0
    while position < len(query):
        match = _TOKEN.match(query, position)
        assert match is not None  # noqa: S101 - `other` takes any character
        start, position = match.span()
        match match.lastgroup:
            case "blank" | "percent":
                continue
            case "line_comment":
                kind = _Kind.COMMENT
            case "block_comment":
                kind, position = _Kind.COMMENT, _end_of_comment(query, start)
            case "escape_string" | "string":
                kind = _Kind.TEXT
            case "dollar" | "tag":
                end = query.find(match["dollar"], position)
                kind, position = _Kind.TEXT, len(query) if end < 0 else end + len(match["dollar"])
            case "identifier":
                kind = _Kind.IDENTIFIER
            case "placeholder" | "name" | "format":
                yield _Token(_Kind.PLACEHOLDER, match[0], start, match["name"])
                continue
            case _:
                kind = _Kind.CODE
        yield _Token(kind, query[start:position], start)


def _end_of_comment(query: str, start: int) -> int:
    """Behind a block comment; PostgreSQL's may stand in each other."""
    depth = 0
    for edge in _COMMENT_EDGE.finditer(query, start):
        depth += 1 if edge[0] == "/*" else -1
        if depth == 0:
            return edge.end()
    return len(query)


def place(query: str, index: int) -> str:
    """`line 2, column 8` of the character at `index`."""
    before = query[:index]
    return f"line {before.count(chr(10)) + 1}, column {len(before) - before.rfind(chr(10))}"


def query_problem(query: str, parameters: Mapping[str, Any]) -> str | None:
    """What is wrong with a query's placeholders, with line, column and remedy.

    `parameters` are those of the report; report_date and slot are known as well.
    """
    code = _Code()
    for token in _tokens(query):
        problem = _token_problem(token, code, parameters)
        if problem is not None:
            index, text = problem
            return f"{place(query, index)}: {text}"
        if token.kind is not _Kind.COMMENT:
            code.add(token)
    return None


@dataclass(slots=True)
class _Code:
    """What stands before a token: as much as tells whether a parameter may stand there."""

    words: tuple[str, str] = ("", "")  # the last two, '' for what is no code
    opened: str = ""  # IN or NOT IN while its list of values is open

    def add(self, token: _Token) -> None:
        """The next token that is not a comment."""
        word = token.text.lower() if token.kind is _Kind.CODE else ""
        if word == "in":
            self.opened = "NOT IN" if self.words[1] == "not" else "IN"
        elif word not in ("", ",") and not (word == "(" and self.words[1] == "in"):
            self.opened = ""
        self.words = (self.words[1], word)


def _token_problem(
    token: _Token, code: _Code, parameters: Mapping[str, Any]
) -> tuple[int, str] | None:
    if token.kind in (_Kind.TEXT, _Kind.IDENTIFIER, _Kind.COMMENT):
        for found in _PLACEHOLDER.finditer(token.text):
            if found[1] is not None:
                return token.start + found.start(), _inside(token, found, code.words[1])
    if token.kind is not _Kind.PLACEHOLDER:
        return None
    if token.name not in parameters and token.name not in RESERVED_PARAMETERS:
        return token.start, unknown(token.name, {*parameters, *RESERVED_PARAMETERS})
    if not token.text.endswith(("s", "b", "t")):
        return token.start, f"write %({token.name})s: the s belongs to the placeholder"
    problem = _misplaced(token, code, parameters.get(token.name))
    return None if problem is None else (token.start, problem)


def unknown(name: str, known: Collection[str]) -> str:
    """A placeholder that names no parameter."""
    near = get_close_matches(name, known, 1)
    hint = f" (did you mean %({near[0]})s?)" if near else ""
    return f"there is no parameter {name}{hint}; a query may name {placeholders(known)}"


def placeholders(names: Collection[str]) -> str:
    """As they are written in a query."""
    return ", ".join(f"%({name})s" for name in sorted(names))


def _inside(token: _Token, found: re.Match[str], word: str) -> str:
    written = f"%({found[1]})s"
    said = f"{written} stands inside {token.kind.value}"
    if token.kind is _Kind.COMMENT:
        return f"{said}; remove it there, or write %%({found[1]})s"
    if token.kind is _Kind.IDENTIFIER:
        return f"{said}; a parameter is a value, and cannot name a column or table"
    unit = _INTERVAL_TEXT.fullmatch(token.text.strip("'"))
    if unit:
        return f"{said}, where it is no parameter; write {written} * interval '1 {unit[1]}'"
    if token.text == f"'{written}'":
        cast = f"::{word}" if word in _TYPED_LITERALS else ""
        remove = f" and {word} before it" if cast else ""
        return f"{said}, where it is no parameter; remove the quotes{remove}: {written}{cast}"
    if word == "interval":
        return f"{said}, where it is no parameter; write {written} * interval '1 day'"
    return (
        f"{said}, where it is no parameter; take it out of them: 'text ' || {written}, or "
        f"format('text %%s', {written})"
    )


def _misplaced(token: _Token, code: _Code, value: Any) -> str | None:
    """`IN %(x)s` and `interval %(x)s`, of which PostgreSQL says no more than a syntax error."""
    written = f"%({token.name})s"
    second, last = code.words
    if code.opened:
        remedy = f"{'= ANY' if code.opened == 'IN' else '<> ALL'}({written})"
        if isinstance(value, list):
            return f"{code.opened} takes no list parameter; write {remedy}"
        if last == "in":
            return (
                f"{code.opened} takes its values in parentheses: {code.opened} ({written}); "
                f"for a list write {remedy}"
            )
    if last in _TYPED_LITERALS and second not in (".", "as", ":"):
        number = last == "interval" and isinstance(value, int | float)
        remedy = f"{written} * interval '1 day'" if number else f"{written}::{last}"
        return f"{last} {written} is no expression; write {remedy}"
    return None


def original_index(query: str, position: int) -> int:
    """The index in `query` of a position (from 1) in what the driver sends for it.

    The driver writes `%` for `%%` and `$1`, `$2`, ... for the placeholders by name.
    """
    numbers: dict[str, int] = {}
    index = sent = 0
    for found in _PLACEHOLDER.finditer(query):
        plain = found.start() - index
        if sent + plain >= position:
            break
        sent, index = sent + plain, found.start()
        if found[1] is None:
            written = 1
        else:
            written = len(f"${numbers.setdefault(found[1], len(numbers) + 1)}")
        if sent + written >= position:
            return index
        sent, index = sent + written, found.end()
    return index + position - 1 - sent


def placeholder_names(query: str) -> list[str]:
    """The parameters in the order of the driver's numbers: `$1` is the first."""
    return list(dict.fromkeys(found[1] for found in _PLACEHOLDER.finditer(query) if found[1]))


def rewritten(query: str, write: Callable[[str], str]) -> str:
    """The query with `%` for `%%`, and `write(name)` in place of each placeholder.

    Raises ValueError with line, column and remedy for a percent sign that is neither.
    """

    def replace(found: re.Match[str]) -> str:
        if found[1] is not None:
            return write(found[1])
        if found[0] != "%%":
            raise ValueError(f"{place(query, found.start())}: write a percent sign as %%")
        return "%"

    return _PERCENT.sub(replace, query)


def without_end(query: str) -> str:
    """The query without the semicolon at its end, which only comments may follow."""
    for token in reversed(list(_tokens(query))):
        if token.kind is _Kind.COMMENT:
            continue
        if token.text != ";":
            break
        query = query[: token.start] + query[token.start + 1 :]
    return query
