"""Compiles templates of authors for whoever must not do it in a process of its own.

A frame is four bytes of length and so many bytes: a template comes in, JSON goes out ({} where it
compiles). A template may kill this process: by its memory, or by its CPU time.
"""

from __future__ import annotations

import json
import os
import resource
import struct
import sys
from pathlib import Path
from typing import BinaryIO

from report_runner.contract.templating import TEMPLATE_LIMIT, compile_problem

LENGTH = struct.Struct(">I")
MEMORY_BYTES = 128 * 1024 * 1024  # beyond what the process has when it starts
CPU_SECONDS = 5  # for one template
ANSWER_LIMIT = 64 * 1024


def main() -> None:
    """Until the standard input ends."""
    compile_problem("{% for x in y %}{{ x|upper }}{% endfor %}")  # what is imported only then
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    size = pages * resource.getpagesize() + MEMORY_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (size, size))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.nice(10)  # whoever asks goes first
    while (template := read_frame(sys.stdin.buffer)) is not None:
        _limit_time()
        problem = compile_problem(template.decode())
        answer = {}
        if problem is not None:
            answer = {
                "line": problem.line,
                "message": problem.message[:1000],
                "too_large": problem.too_large,
            }
        raw = json.dumps(answer).encode()
        sys.stdout.buffer.write(LENGTH.pack(len(raw)) + raw)
        sys.stdout.buffer.flush()


def read_frame(stream: BinaryIO) -> bytes | None:
    """The next frame; None at the end of the stream, or where one is longer than a template."""
    head = stream.read(LENGTH.size)
    if len(head) < LENGTH.size:
        return None
    (length,) = LENGTH.unpack(head)
    return stream.read(length) if length <= TEMPLATE_LIMIT else None


def _limit_time() -> None:
    """SIGXCPU ends the process; the limit counts all of its life."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    seconds = int(used.ru_utime + used.ru_stime) + 1 + CPU_SECONDS
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, resource.RLIM_INFINITY))


if __name__ == "__main__":
    main()
