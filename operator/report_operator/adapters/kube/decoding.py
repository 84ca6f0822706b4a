"""JSON of the API server, also where it is nested deeper than decoders allow.

Everything below DEPTH is read as null: no valid object is nested so deeply, and what is left of an
invalid one still has its name and metadata.
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
    """Raises ValueError for invalid JSON."""
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        return orjson.loads(shallow(raw))


def encode(body: Any) -> bytes:
    """Raises TypeError for values without JSON, such as a number of more than 64 bits."""
    try:
        return orjson.dumps(body)
    except TypeError:
        return orjson.dumps(pruned(body))


def is_shallow(raw: bytes) -> bool:
    """Whether every decoder accepts it; two decoders are tried, since none reports a depth."""
    try:
        orjson.dumps(orjson.loads(raw))
    except (orjson.JSONDecodeError, TypeError):
        return False
    return True


def shallow(raw: bytes) -> bytes:
    """The same JSON without anything nested deeper than DEPTH."""
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
    """A copy of decoded JSON without anything nested deeper than DEPTH; without recursion."""
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
