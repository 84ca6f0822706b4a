"""Size limits of output files: the volume is shared with other teams."""

from __future__ import annotations

import errno
import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO

from report_runner.contract import files
from report_runner.contract.reasons import Reason
from report_runner.contract.report import Format
from report_runner.models import Document, RunError

_REMEDY = (
    "narrow the query, lower maxRows, or leave the format out of spec.report.formats "
    "(several smaller reports take the place of one)"
)


def too_large(format_: Format, when: str = "") -> RunError:
    """The error for a file above the cap; `when` is added to its size."""
    return RunError(
        Reason.RESOURCE_EXHAUSTED,
        f"the {format_.value.upper()} is larger than {files.OUTPUT_FILE_LIMIT // files.MIB} MiB"
        f"{when}, the most that one output file may have: {_REMEDY}",
    )


class _Capped(io.FileIO):
    """Raises RunError at the first byte beyond the cap."""

    def __init__(self, path: Path, format_: Format) -> None:
        super().__init__(path, "w")
        self._format = format_
        self._left = files.OUTPUT_FILE_LIMIT

    def write(self, data: Any, /) -> int:
        size = memoryview(data).nbytes
        if size > self._left:
            self.truncate(0)  # what the buffer still holds is refused as well
            self._left = 0
            raise too_large(self._format)
        self._left -= size
        written = super().write(data)
        self._left += size - written
        return written


def open_text(path: Path, format_: Format, encoding: str) -> TextIO:
    """A new text file without translation of line ends; passing the cap raises RunError."""
    raw = io.BufferedWriter(_Capped(path, format_))
    return io.TextIOWrapper(raw, encoding=encoding, newline="")


def check_size(path: Path, format_: Format) -> int:
    """The size of a file in bytes. Raises RunError(ResourceExhausted) beyond the cap."""
    size = path.stat().st_size
    if size > files.OUTPUT_FILE_LIMIT:
        path.unlink()
        raise too_large(format_)
    return size


def is_too_large(error: str) -> bool:
    """Whether the error of a process is the kernel's refusal of a larger file (RLIMIT_FSIZE)."""
    return os.strerror(errno.EFBIG) in error


def check_run(documents: Sequence[Document]) -> None:
    """Checks the size of all files of a run together. Raises RunError(ResourceExhausted)."""
    total = sum(check_size(document.path, document.format) for document in documents)
    if total > files.OUTPUT_RUN_LIMIT:
        raise RunError(
            Reason.RESOURCE_EXHAUSTED,
            f"the files of this run have {total // files.MIB} MiB, more than the "
            f"{files.OUTPUT_RUN_LIMIT // files.MIB} MiB that one run may store: {_REMEDY}",
        )
