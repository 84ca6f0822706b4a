"""Rows from files in an S3-compatible object store: of all objects that match, or an error."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import obstore
from obstore import exceptions
from obstore.store import S3Store

from report_runner.contract.bound_text import in_key
from report_runner.contract.model import parse_duration
from report_runner.contract.object_source import ObjectFormat, ObjectSource
from report_runner.contract.reasons import Reason
from report_runner.contract.words import shortened
from report_runner.egress.guard import Guard
from report_runner.egress.proxy import GuardedProxy
from report_runner.models import RunError, Table
from report_runner.mounted import CA
from report_runner.object_store import open_store, read_keys, refusal_of
from report_runner.sources.binding import bound
from report_runner.sources.http_auth import credential
from report_runner.sources.http_client import Inflater, TransientError
from report_runner.sources.parquet_rows import ColumnarRows, read_parquet
from report_runner.sources.protocol import Fetched, SourceContext
from report_runner.sources.records import csv_records, ndjson_records
from report_runner.sources.typed import Record, ShapeError, declare, make_table

if TYPE_CHECKING:
    from obstore.store import ClientConfig

RETRIES = 4
LISTED_LIMIT = 100_000  # objects that are looked at for a pattern
_GZIP = b"\x1f\x8b"


def fetch(name: str, source: ObjectSource, context: SourceContext) -> Fetched:
    """Read all objects. Raises RunError; no message holds a value or a credential."""
    field = f"spec.report.sources[{name}].object"
    key = bound(context, f"{field}.key", source.key, in_key)
    if any(part in ("", ".", "..") for part in key.split("/")):
        raise RunError(
            Reason.CONFIGURATION_ERROR, f"{field}.key: a part between two slashes is empty or dots"
        )
    guard = Guard(context.egress)
    with GuardedProxy(guard) as proxy:
        bucket = _Bucket(field, source, guard, proxy, _store(source, field, context, proxy.url))
        keys = bucket.matching(key) if any(sign in key for sign in "*?") else [key]
        table = _read(bucket, keys, context)
    return Fetched(table)


def _store(source: ObjectSource, field: str, context: SourceContext, proxy: str) -> S3Store:
    place, secret = f"{field}.secretRef", source.secret_ref.name
    seconds = parse_duration(source.timeout)
    client: ClientConfig = {"connect_timeout": timedelta(seconds=30), "timeout": seconds}
    if context.secrets.certificates(secret, place) is not None:
        client["root_certificate"] = (context.secrets.root / secret / CA).read_text()
    return open_store(
        source.bucket,
        source.endpoint.rstrip("/"),
        proxy,
        read_keys(context.secrets, secret, place, credential),
        retries=RETRIES,
        seconds=seconds,
        client=client,
        region=source.region,
    )


@dataclass(slots=True)
class _Bucket:
    """A bucket, and how what goes wrong with it is told."""

    field: str
    source: ObjectSource
    guard: Guard
    proxy: GuardedProxy
    store: S3Store

    def wrong(self, problem: str) -> RunError:
        return RunError(Reason.CONFIGURATION_ERROR, f"{self.field}: {problem}")

    def unavailable(self, problem: str) -> RunError:
        return RunError(Reason.EXTERNAL_SOURCE_UNAVAILABLE, f"{self.field}: {problem}")

    def matching(self, pattern: str) -> list[str]:
        """The keys that match, sorted. Raises RunError where none does, or too many."""
        expression = re.compile(_expression(pattern))
        folder = pattern[: min(pattern.find(sign) for sign in "*?" if sign in pattern)]
        folder = folder.rpartition("/")[0]
        found: list[str] = []
        looked = 0
        with self._explained(pattern):
            for batch in obstore.list(self.store, prefix=folder or None):
                looked += len(batch)
                found += [meta["path"] for meta in batch if expression.fullmatch(meta["path"])]
                if len(found) > self.source.max_objects:
                    raise self.wrong(
                        f"more than maxObjects ({self.source.max_objects}) objects match key; "
                        "narrow it or raise that"
                    )
                if looked > LISTED_LIMIT:
                    raise self.wrong(
                        f"more than {LISTED_LIMIT} objects are below the part of key before its "
                        "first * or ?: make that part longer"
                    )
        if not found:
            raise self.unavailable(
                f"no object matches {shortened(pattern)} in bucket {self.source.bucket} (yet)"
            )
        return sorted(found)

    def content(self, key: str, limit: int) -> bytes:
        """A whole object of at most so many bytes. Raises RunError."""
        with self._explained(key):
            result = obstore.get(self.store, key)
            if result.meta["size"] > limit:
                raise self.wrong(
                    f"the objects have more than maxBytes ({self.source.max_bytes}) bytes; "
                    "read less, or raise that"
                )
            content = bytes(result.bytes())
            if len(content) != result.meta["size"]:
                raise self.unavailable(f"{shortened(key)} came with other bytes than it has")
            return content

    @contextmanager
    def _explained(self, key: str) -> Iterator[None]:
        """Errors of the client as those of a run; its texts have addresses and bodies."""
        server = urlsplit(self.source.endpoint).netloc
        try:
            yield
        except FileNotFoundError as error:
            if "NoSuchBucket" in str(error):
                raise self.wrong(
                    f"{server} has no bucket {self.source.bucket}, or not in {self.source.region}"
                ) from None
            raise self.unavailable(
                f"bucket {self.source.bucket} has no object {shortened(key)} (yet)"
            ) from None
        except (exceptions.BaseError, PermissionError, OSError, ValueError) as error:
            if self.guard.refused is not None:
                raise self.wrong(str(self.guard.refused)) from None
            code = refusal_of(error)
            if code is not None:
                raise self.wrong(
                    f"{server} refuses this{code}: check bucket, region and the keys of Secret "
                    f"{self.source.secret_ref.name}"
                ) from error
            raise self.unavailable(
                self.proxy.problem
                or f"{server} did not answer as a store should (tried {RETRIES + 1} times)"
            ) from error


def _expression(pattern: str) -> str:
    """* is any characters but a slash, ? is one."""
    signs = {"*": "[^/]*", "?": "[^/]"}
    return "".join(signs.get(sign, re.escape(sign)) for sign in pattern)


def _read(bucket: _Bucket, keys: list[str], context: SourceContext) -> Table:
    source, zone = bucket.source, context.definition.time_zone
    left = source.max_bytes
    begin, seconds = time.monotonic(), parse_duration(source.timeout).total_seconds()
    columnar, records = ColumnarRows(), list[Record]()
    names: set[str] | None = None
    for key in keys:
        if time.monotonic() - begin > seconds:
            raise RunError(
                Reason.TIMEOUT,
                f"{bucket.field} was stopped after {bucket.field}.timeout ({source.timeout}): "
                "read less, or raise that",
            )
        content = bucket.content(key, left)
        try:
            content = _inflated(content, source, left)
            if source.format is ObjectFormat.PARQUET:
                used = read_parquet(content, columnar, zone, source.max_rows, left)
                left -= max(used, len(content))
            else:
                left -= len(content)
                most = source.max_rows - len(records)
                if source.format is ObjectFormat.CSV:
                    found = csv_records(content, source.separator, most)
                    names = _same_columns(names, found)
                else:
                    found = ndjson_records(content, most)
                records += found
        except ShapeError as error:
            raise bucket.wrong(f"object {shortened(key)}: {error}") from error.__cause__
        if left < 0:
            raise bucket.wrong(
                f"the objects have more than maxBytes ({source.max_bytes}) bytes, decompressed; "
                "read less, or raise that"
            )
        if len(records) + len(columnar.rows) > source.max_rows:
            raise bucket.wrong(
                f"there are more than maxRows ({source.max_rows}) rows; read less or raise it"
            )
    try:
        if source.format is ObjectFormat.PARQUET:
            table = Table(columnar.columns, columnar.rows, columnar.types)
            return declare(table, source.columns, zone)
        return make_table(records, source.columns, zone)
    except ShapeError as error:
        raise RunError(Reason.CONFIGURATION_ERROR, f"{bucket.field}.columns: {error}") from None


def _same_columns(names: set[str] | None, records: list[Record]) -> set[str] | None:
    if not records:
        return names
    found = set(records[0])
    if names is not None and found != names:
        raise ShapeError("its first line names other columns than that of the objects before")
    return found


def _inflated(content: bytes, source: ObjectSource, limit: int) -> bytes:
    """Decompressed, where it is a gzip file of CSV or NDJSON."""
    if source.format is ObjectFormat.PARQUET or not content.startswith(_GZIP):
        return content
    inflater = Inflater(limit)
    try:
        found = inflater.feed(content)
    except TransientError:
        raise ShapeError("it begins as gzip, and cannot be decompressed") from None
    if not inflater.too_large and not inflater.whole:
        raise ShapeError("the gzip file is cut short")
    return found
