"""Rows of a source, used again by the runs of a namespace that ask for the same.

An entry is a file on the report volume, which is the namespace's own. It is whole or it is none: a
checksum ends it, and what does not fit is fetched anew. While one run fetches, others that ask for
the same wait for it. The cache never fails a run: where it cannot be used, the source is asked.
"""

from __future__ import annotations

import fcntl
import gzip
import hashlib
import json
import logging
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import chain
from pathlib import Path
from typing import Any

from report_runner.contract.files import MIB, TEMPORARY_SUFFIX
from report_runner.contract.model import Model, parse_duration
from report_runner.contract.numbers import exact
from report_runner.contract.sources import SourceSpec
from report_runner.models import Table
from report_runner.sources.exact_rows import lines_of, table_of
from report_runner.sources.protocol import Fetched, SourceContext

logger = logging.getLogger(__name__)

FOLDER = ".cache"
VERSION = 1  # of the entries, and of how sources read their values
ENTRY_LIMIT = 64 * MIB  # bytes of a file
WHOLE_LIMIT = 512 * MIB  # bytes of an entry's lines
TOTAL_LIMIT = 512 * MIB  # bytes of all files of a namespace; the oldest ones go
LONGEST_TTL = timedelta(days=7)
FULL_PERCENT = 85  # of the volume: beyond, nothing is added
_SALT = b"report-scheduler source cache"


@dataclass(frozen=True, slots=True)
class Cache:
    """The cache of a namespace. `now` is the instant that ages are counted from."""

    root: Path  # of the report volume
    now: datetime

    def fetch(
        self, source: SourceSpec, context: SourceContext, fetch: Callable[[], Fetched]
    ) -> Fetched:
        """The rows of an entry that is young enough, else those that `fetch` gives, kept.

        A retry always fetches: somebody asked for it, most likely because the data were mended. So
        does a report that waits for its data: rows of before are those that were not ready.
        Raises what `fetch` raises.
        """
        if source.cache is None:
            return fetch()
        key = cache_key(source, context)
        path = self.root / FOLDER / f"{key}.rows.gz"
        with self._locked(path) as usable:
            if not usable:
                return fetch()
            if _may_be_older(context):
                found = self._read(path, key, parse_duration(source.cache.ttl))
                if found is not None:
                    return found
            fetched = fetch()
            self._keep(path, key, fetched)
        return fetched

    def forget(self, context: SourceContext) -> None:
        """Remove the entries of rows that no report may be made of: the next try asks anew."""
        for source in context.definition.report.sources:
            if source.cache is not None:
                path = self.root / FOLDER / f"{cache_key(source, context)}.rows.gz"
                with self._locked(path) as usable, suppress(OSError):
                    if usable:
                        path.unlink(missing_ok=True)

    @contextmanager
    def _locked(self, path: Path) -> Iterator[bool]:
        """One run at a time for this entry; the kernel frees it when a run dies.

        False where the volume does not let the cache be used.
        """
        try:
            path.parent.mkdir(exist_ok=True)
            stream = path.with_suffix(".lock").open("a")
            try:
                fcntl.flock(stream, fcntl.LOCK_EX)
            except OSError:
                stream.close()
                raise
        except OSError as error:
            logger.warning("the cache is not used: %s", error.strerror)
            yield False
            return
        with stream:
            yield True

    def _read(self, path: Path, key: str, ttl: timedelta) -> Fetched | None:
        try:
            lines = _lines(path)
            head = json.loads(next(lines))
            fetched_at = datetime.fromisoformat(head["fetchedAt"])
            age = self.now - fetched_at
            if head["key"] != key or not timedelta() <= age <= ttl:
                return None
            table = table_of(lines)
        except FileNotFoundError:
            return None
        except (OSError, EOFError, ValueError, KeyError, TypeError, StopIteration) as error:
            logger.warning("a cache entry is damaged (%s), and is fetched anew", error)
            return None
        os.utime(path)
        return Fetched(table, tuple(head["warnings"]), cached_at=fetched_at)

    def _keep(self, path: Path, key: str, fetched: Fetched) -> None:
        draft = path.with_name(path.name + TEMPORARY_SUFFIX)
        try:
            self._make_room(path)
            volume = os.statvfs(self.root)
            if volume.f_bavail * 100 < volume.f_blocks * (100 - FULL_PERCENT):
                logger.warning("the report volume is nearly full: the rows are not kept")
                return
            head = {
                "key": key,
                "fetchedAt": self.now.astimezone(UTC).isoformat(),
                "warnings": list(fetched.warnings),
            }
            _write(draft, json.dumps(head), fetched.table)
            draft.replace(path)
        except (OSError, TypeError) as error:
            logger.warning("the rows are not kept in the cache: %s", error)
        finally:
            with suppress(OSError):
                draft.unlink(missing_ok=True)

    def _make_room(self, path: Path) -> None:
        """Remove what nobody can use any more, and the oldest where there is too much."""
        entries = sorted(
            ((entry.stat().st_mtime, entry.stat().st_size, Path(entry.path))
             for entry in os.scandir(path.parent)
             if entry.is_file(follow_symlinks=False)),
        )  # fmt: skip
        total = sum(size for _, size, _ in entries) + ENTRY_LIMIT
        oldest = self.now.timestamp() - LONGEST_TTL.total_seconds()
        for used_at, size, entry in entries:
            if total <= TOTAL_LIMIT and used_at >= oldest:
                break
            if entry.name.startswith(path.name.partition(".")[0]):
                continue  # this one and its lock
            entry.unlink(missing_ok=True)
            total -= size


def _may_be_older(context: SourceContext) -> bool:
    """Whether nobody asked for rows as they are now."""
    run = context.run
    return run.attempt == 1 and run.resend is None and context.definition.report.wait_for is None


def cache_key(source: SourceSpec, context: SourceContext) -> str:
    """The name of an entry: equal for runs that ask for the same, of whichever schedule.

    The values of the Secrets go in as well: a role that may see less has rows of its own.
    """
    field, spec = source.selected()
    text = json.dumps(spec.to_wire(), sort_keys=True, ensure_ascii=False)
    # `{{ parameters }}` and `parameters[...]` may stand for any of them.
    every = re.search(r"\bparameters\b(?!\s*\.\s*\w)", text) is not None
    values: dict[str, Any] = {"report_date": context.run.report_date.isoformat()}
    if "slot" in text:
        values["slot"] = context.run.slot.isoformat()
    parameters = exact(context.definition.report.parameters)
    values |= {
        f"p:{name}": f"{type(value).__name__} {value}"
        for name, value in parameters.items()
        if every or name in text or not name.isidentifier()
    }
    asked = [
        VERSION, context.definition.namespace, context.definition.time_zone, field, text,
        sorted(values.items()), _secret_digest(spec, context),
    ]  # fmt: skip
    return hashlib.sha256(json.dumps(asked).encode()).hexdigest()


def _secret_digest(spec: Model, context: SourceContext) -> str:
    """Slow to compute: whoever reads the volume must not be able to guess a password by it."""
    digest = hashlib.sha256()
    for name in sorted({use.name for use in spec.secret_refs("")}):
        for path in sorted((context.secrets.root / name).glob("*")):
            if not path.name.startswith("..") and path.is_file():
                digest.update(f"{name}/{path.name}\0".encode() + path.read_bytes() + b"\0")
    return hashlib.scrypt(digest.digest(), salt=_SALT, n=1 << 14, r=8, p=1, dklen=32).hex()


def _write(path: Path, head: str, table: Table) -> None:
    digest = hashlib.sha256()
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
    with os.fdopen(os.open(path, flags, 0o660), "wb") as raw:
        with gzip.GzipFile(fileobj=raw, mode="wb", compresslevel=1, mtime=0) as stream:
            for line in chain([head], lines_of(table)):
                data = line.encode() + b"\n"
                digest.update(data)
                stream.write(data)
                _check_size(raw.tell())
            stream.write(digest.hexdigest().encode() + b"\n")
        _check_size(raw.tell())
        raw.flush()
        os.fsync(raw.fileno())


def _check_size(size: int) -> None:
    if size > ENTRY_LIMIT:
        raise OSError(f"they need more than {ENTRY_LIMIT // MIB} MiB")


def _lines(path: Path) -> Iterator[str]:
    """All but the last, which is the checksum of the others. Raises ValueError where it is not.

    The file is read twice, line by line: a result of a million rows is never in memory whole.
    """
    with (
        os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb") as raw,
        gzip.GzipFile(fileobj=raw) as stream,
    ):
        if os.fstat(raw.fileno()).st_size > ENTRY_LIMIT:
            raise ValueError("it is too large")
        digest, last, size = hashlib.sha256(), b"", 0
        for line in _read_lines(stream):
            digest.update(last)
            last, size = line, size + len(line)
            if size > WHOLE_LIMIT:
                raise ValueError("its lines are too large")
        if digest.hexdigest().encode() != last.removesuffix(b"\n"):
            raise ValueError("its checksum is another")
        stream.seek(0)
        held: bytes | None = None
        for line in _read_lines(stream):
            if held is not None:
                yield held.removesuffix(b"\n").decode()
            held = line  # the last one is the checksum


def _read_lines(stream: gzip.GzipFile) -> Iterator[bytes]:
    return iter(lambda: stream.readline(WHOLE_LIMIT + 1), b"")
