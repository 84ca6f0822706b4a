"""How the tables of this package are read: a message of Kubernetes → reason and remedy.

Kubernetes tells why an object was refused, or why a pod does not start, in English sentences. Each
table holds the sentences of one part of it, with the source file that forms them; the tests hold
them to the sentences of the versions supported.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from report_operator.domain.runs.cause import Cause, with_remedy
from report_runner.contract.reasons import Reason

Remedy = str | Callable[[re.Match[str]], str]


@dataclass(frozen=True, slots=True)
class MessageRule:
    """A sentence, the reason it stands for, and what to do.

    A remedy may hold groups of the pattern in braces, or be made from the match.
    """

    pattern: re.Pattern[str]
    reason: Reason
    remedy: Remedy

    def advise(self, match: re.Match[str]) -> str:
        """What to do about this message."""
        if callable(self.remedy):
            return self.remedy(match)
        return self.remedy.format_map(match.groupdict())


def rule(pattern: str, reason: Reason, remedy: Remedy) -> MessageRule:
    """A row of a table; `pattern` is searched for anywhere in the message."""
    return MessageRule(re.compile(pattern), reason, remedy)


def first_match(
    text: str, rules: Sequence[MessageRule]
) -> tuple[MessageRule, re.Match[str]] | None:
    """The first row whose sentence is in the text."""
    for row in rules:
        match = row.pattern.search(text)
        if match is not None:
            return row, match
    return None


def explain(text: str, rules: Sequence[MessageRule], prefix: str = "") -> Cause | None:
    """Reason and message of the first row that matches; None where none does."""
    found = first_match(text, rules)
    if found is None:
        return None
    row, match = found
    return Cause(row.reason, with_remedy(prefix + text, row.advise(match)))
