"""Placeholders of a query in MySQL's SQL, and whether it is one SELECT.

Its strings have backslashes and its comments three forms (MySQL's manual, Language Structure): the
values are written into the text, so that nothing may be taken for code that is none.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from report_runner.contract.sql import RESERVED_PARAMETERS, place, unknown

_BEGINNINGS = ("select", "with", "values", "table", "(")
_REST = r"""
  | (?P<blank>\s+)
  | (?P<percent>%%)
  | (?P<placeholder>%\((?P<name>[^)]{0,200})\)(?P<format>[sbt])?)
  | (?P<word>[^\W\d][\w$]*)
  | (?P<other>.)
"""
_COMMENTS = r"""
    (?P<comment>--(?:[^\S\n][^\n]*|(?=\n)|\Z)|\#[^\n]*|/\*.*?(?:\*/|\Z))
  | (?P<identifier>`(?:[^`]|``)*(?:`|\Z))
"""
_BACKSLASH = r"""
  | (?P<text>'(?:[^'\\]|''|\\.)*(?:'|\Z)|"(?:[^"\\]|""|\\.)*(?:"|\Z))
"""
_PLAIN = r"""
  | (?P<text>'(?:[^']|'')*(?:'|\Z)|"(?:[^"]|"")*(?:"|\Z))
"""
_FLAGS = re.VERBOSE | re.DOTALL
_TOKENS = {
    True: re.compile(_COMMENTS + _BACKSLASH + _REST, _FLAGS),
    False: re.compile(_COMMENTS + _PLAIN + _REST, _FLAGS),
}
_INSIDE = re.compile(r"%%|%\(([^)]{0,200})\)[sbt]?")
_NAMED = {"comment": "a comment", "identifier": "backticks", "text": "quotes"}


class QueryProblemError(ValueError):
    """What is wrong with a query, with line, column and remedy."""


@dataclass(frozen=True, slots=True)
class MysqlQuery:
    """A query as its author wrote it; `backslash`: whether the server's strings have escapes."""

    text: str
    backslash: bool = True

    def with_values(self, parameters: Mapping[str, Any], write: Callable[[str, Any], str]) -> str:
        """The statement to send: `write(name, value)` makes the literals.

        Raises QueryProblemError where it is not one SELECT, or a placeholder could not be one.
        """
        parts: list[str] = []
        words: list[str] = ["", ""]  # the last two of the code
        ended = False
        for match in self._tokens():
            kind, written = match.lastgroup or "", match[0]
            if kind in ("name", "format", "placeholder"):
                kind = "placeholder"
                parts.append(self._literal(match, words, parameters, write))
            else:
                self._check(kind, match, words)
                parts.append("" if written == ";" else written.replace("%%", "%"))
            if kind in ("blank", "comment"):
                continue
            if ended:
                raise self._problem(match, "there are several statements; write one SELECT")
            if not any(words) and written.lower() not in _BEGINNINGS:
                raise self._problem(match, "is no SELECT; write one SELECT, and nothing else")
            ended = written == ";"
            words = [words[1], written.lower() if kind in ("word", "other") else kind]
        if not any(words):
            raise QueryProblemError("line 1, column 1: there is no statement; write one SELECT")
        return "".join(parts).rstrip()

    def _tokens(self) -> Iterator[re.Match[str]]:
        return _TOKENS[self.backslash].finditer(self.text)

    def _problem(self, match: re.Match[str], text: str, offset: int = 0) -> QueryProblemError:
        return QueryProblemError(f"{place(self.text, match.start() + offset)}: {text}")

    def _check(self, kind: str, match: re.Match[str], words: list[str]) -> None:
        found_text = match[0]
        if kind in _NAMED:
            for found in _INSIDE.finditer(found_text):
                if found[1] is not None:
                    raise self._problem(
                        match,
                        f"{found[0]} stands inside {_NAMED[kind]}, where it is no parameter; take "
                        f"it out: CONCAT('text ', {found[0]})",
                        found.start(),
                    )
        if kind == "comment" and found_text.startswith(("/*!", "/*M!")):
            raise self._problem(match, "a comment that is executed is refused; write its SQL plain")
        if kind == "word" and found_text.lower() == "into" and words[1] != ".":
            raise self._problem(match, "INTO writes; a report may only read")
        if found_text == "%":
            raise self._problem(match, "write a percent sign as %%")

    def _literal(
        self,
        match: re.Match[str],
        words: list[str],
        parameters: Mapping[str, Any],
        write: Callable[[str, Any], str],
    ) -> str:
        name = match["name"]
        written = f"%({name})s"
        if name not in parameters:
            raise self._problem(match, unknown(name, parameters))
        if match["format"] is None:
            raise self._problem(match, f"write {written}: the s belongs to the placeholder")
        value = parameters[name]
        if isinstance(value, list) and words[1] != "in":
            raise self._problem(match, f"the list {written} may stand only as IN {written}")
        if not isinstance(value, list) and words[1] == "in":
            raise self._problem(match, f"IN takes its values in parentheses: IN ({written})")
        if words[1] in ("date", "time", "timestamp") and words[0] != ".":
            raise self._problem(
                match, f"{words[1]} {written} is no expression; write {written}, which has a type"
            )
        return write(name, value)


def unknown_placeholder(query: str, parameters: Mapping[str, Any]) -> str | None:
    """The first placeholder that names no parameter, whatever the database's quotes are."""
    for found in _INSIDE.finditer(query):
        if found[1] is not None and found[1] not in {*parameters, *RESERVED_PARAMETERS}:
            known = {*parameters, *RESERVED_PARAMETERS}
            return f"{place(query, found.start())}: {unknown(found[1], known)}"
    return None
