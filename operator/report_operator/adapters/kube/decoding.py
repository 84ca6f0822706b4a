"""JSON of the API server, also where somebody nested it deeper than a decoder goes.

What lies deeper than DEPTH is null in what is read: no object that is right is nested so deeply,
and what is left of one that is not names the object and has its metadata.
"""

from __future__ import annotations

import re
from typing import Any

import orjson

# Levels from the outermost object on. A ReportSchedule that is right has some 50 of them, with its
# managedFields and inside a list; orjson writes 254 and reads 1,024, Python's json about 990.
DEPTH = 128

_TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[\[{]|[\]}]', re.DOTALL)


def decode(raw: bytes) -> Any:
    """Raises ValueError for what is no JSON."""
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        return orjson.loads(shallow(raw))


def encode(body: Any) -> bytes:
    """Raises TypeError for what JSON cannot say, such as a number of more than 64 bits."""
    try:
        return orjson.dumps(body)
    except TypeError:
        return orjson.dumps(pruned(body))


def is_shallow(raw: bytes) -> bool:
    """Whether every decoder takes it: found out by two, since none tells a depth."""
    try:
        orjson.dumps(orjson.loads(raw))
    except (orjson.JSONDecodeError, TypeError):
        return False
    return True


def shallow(raw: bytes) -> bytes:
    """The same JSON without what is nested deeper than DEPTH."""
    parts: list[bytes] = []
    depth = kept = 0
    for token in _TOKEN.finditer(raw):
        character = raw[token.start()]
        if character in b"[{":
            depth += 1
            if depth == DEPTH + 1:
                parts.append(raw[kept : token.start()])
        elif character in b"]}":
            if depth == DEPTH + 1:
                parts.append(b"null")
                kept = token.end()
            depth -= 1
    parts.append(raw[kept:])
    return b"".join(parts)


def pruned(body: Any) -> Any:
    """A copy of decoded JSON without what is nested deeper than DEPTH; without recursion."""
    top: list[Any] = [None]
    todo: list[tuple[Any, Any, Any, int]] = [(top, 0, body, 0)]
    while todo:
        holder, key, part, depth = todo.pop()
        if isinstance(part, dict | list):
            if depth >= DEPTH:
                holder[key] = None
                continue
            made: Any = dict.fromkeys(part) if isinstance(part, dict) else [None] * len(part)
            pairs = part.items() if isinstance(part, dict) else enumerate(part)
            todo += [(made, name, child, depth + 1) for name, child in pairs]
            holder[key] = made
        else:
            holder[key] = part
    return top[0]
