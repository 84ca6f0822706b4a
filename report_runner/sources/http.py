"""Rows from an HTTP API: every page of them, or an error."""

from __future__ import annotations

import asyncio
import hashlib
import ssl
from datetime import timedelta
from typing import Any
from urllib.parse import unquote

from yarl import URL

from report_runner.contract.bound_text import in_json, in_path, in_query
from report_runner.contract.http_source import HttpFormat, HttpSource, Method
from report_runner.contract.jmes import ExpressionError, search
from report_runner.contract.model import parse_duration
from report_runner.contract.reasons import Reason
from report_runner.contract.values import json_text, plain_text
from report_runner.egress.guard import Guard
from report_runner.models import RunError
from report_runner.sources.binding import bound
from report_runner.sources.http_auth import Credentials, fetch_token, read_credentials
from report_runner.sources.http_client import (
    HttpAnswer,
    HttpClient,
    HttpRequest,
    UnauthorizedError,
    origin,
)
from report_runner.sources.protocol import Fetched, SourceContext
from report_runner.sources.records import (
    csv_records,
    decode,
    json_records,
    ndjson_records,
    parse_json,
)
from report_runner.sources.typed import Record, ShapeError, make_table, type_name

_ACCEPT = {
    HttpFormat.JSON: "application/json",
    HttpFormat.NDJSON: "application/x-ndjson, application/jsonl;q=0.9, */*;q=0.1",
    HttpFormat.CSV: "text/csv, */*;q=0.1",
}


def fetch(name: str, source: HttpSource, context: SourceContext) -> Fetched:
    """Ask for all rows. Raises RunError; no message holds a value, a query or a credential."""
    field = f"spec.report.sources[{name}].http"
    request = _first_request(source, field, context)
    credentials = read_credentials(source, field, context.secrets)
    records = asyncio.run(_all_rows(source, field, request, credentials, context))
    try:
        return Fetched(make_table(records, source.columns, context.definition.time_zone))
    except ShapeError as error:
        raise RunError(Reason.CONFIGURATION_ERROR, f"{field}.columns: {error}") from None


def _first_request(source: HttpSource, field: str, context: SourceContext) -> HttpRequest:
    """With values bound, without credentials."""
    path = bound(context, f"{field}.url", source.url, in_path)
    url = URL(path)
    # A part of the author's own and a value may make one together.
    if any(unquote(step) in (".", "..") for step in path.split("/")[3:]):
        raise RunError(
            Reason.CONFIGURATION_ERROR, f"{field}.url: with its values the path has . or .. in it"
        )
    query = [
        (key, bound(context, f"{field}.query.{key}", text, in_query))
        for key, text in source.query.items()
    ]
    body = None
    if source.body is not None:
        text = bound(context, f"{field}.body", source.body, in_json)
        try:
            parse_json(text)
        except ShapeError as error:
            raise RunError(Reason.CONFIGURATION_ERROR, f"{field}.body: {error}") from None
        body = text.encode()
    return HttpRequest(
        url.with_query(query) if query else url,
        source.method.value,
        b"{}" if body is None and source.method is Method.POST else body,
        accept=_ACCEPT[source.format],
    )


def _trust(source: HttpSource, field: str, context: SourceContext) -> ssl.SSLContext | None:
    if source.ca_secret_ref is None:
        return None
    place = f"{field}.caSecretRef"
    found = context.secrets.certificates(source.ca_secret_ref.name, place)
    if found is None:
        raise RunError(
            Reason.CONFIGURATION_ERROR,
            f"{place}: the Secret {source.ca_secret_ref.name} has no key ca.crt; add it",
        )
    return ssl.create_default_context(cafile=str(found))


async def _all_rows(
    source: HttpSource,
    field: str,
    request: HttpRequest,
    credentials: Credentials,
    context: SourceContext,
) -> list[Record]:
    seconds = parse_duration(source.timeout) / timedelta(seconds=1)
    deadline = asyncio.get_running_loop().time() + seconds
    trust = _trust(source, field, context)
    client = HttpClient(field, Guard(context.egress), deadline, source.max_bytes, trust)
    try:
        async with asyncio.timeout(seconds), client:
            return await _Pages(source, field, request, credentials, context, client).read()
    except TimeoutError:
        server = origin(request.url)
        if client.last is not None:
            raise RunError(
                Reason.EXTERNAL_SOURCE_UNAVAILABLE,
                f"{field}: {server} {client.last.problem}, up to {field}.timeout "
                f"({source.timeout})",
            ) from None
        raise RunError(
            Reason.TIMEOUT,
            f"{field} was stopped after {field}.timeout ({source.timeout}): {server} had not "
            "answered by then; ask for less, or raise that",
        ) from None


class _Pages:
    """The rows of one page after the other, until the last one."""

    def __init__(
        self,
        source: HttpSource,
        field: str,
        first: HttpRequest,
        credentials: Credentials,
        context: SourceContext,
        client: HttpClient,
    ) -> None:
        self.source, self.field, self.first = source, field, first
        self.credentials, self.context, self.client = credentials, context, client
        self.rows: list[Record] = []
        self.total: int | None = None
        self.page_rows = 0
        self._token = ""
        self._seen: set[bytes] = set()
        self._cursors: set[str] = set()

    async def read(self) -> list[Record]:
        """All rows. Raises RunError."""
        paging = self.source.paging
        url: URL | None = self._first_url()
        most = paging.max_pages if paging else 1
        for number in range(1, most + 1):
            assert url is not None  # noqa: S101 - the loop ends below without one
            answer = await self._ask(url)
            document = self._add(answer)
            url = self._next_url(document, answer, number)
            if url is None:
                self._check_total()
                return self.rows
        raise self._wrong(
            "paging",
            f"it has not ended after maxPages ({most}) pages; narrow the query, or raise it",
        )

    def _wrong(self, part: str, problem: str) -> RunError:
        place = f"{self.field}.{part}" if part else self.field
        return RunError(Reason.CONFIGURATION_ERROR, f"{place}: {problem}")

    def _first_url(self) -> URL:
        paging = self.source.paging
        url = self.first.url
        if paging and paging.page:
            url = url.update_query({paging.page.parameter: str(paging.page.first)})
        if paging and paging.offset:
            url = url.update_query({paging.offset.parameter: "0"})
        return url

    async def _ask(self, url: URL) -> HttpAnswer:
        oauth2 = self.credentials.oauth2
        if oauth2 is None:
            return await self._send(url, {})
        fresh = not self._token
        for _ in range(2):
            if not self._token:
                secrets = self.context.secrets
                self._token = await fetch_token(oauth2, self.field, self.client, secrets)
            try:
                return await self._send(url, {"Authorization": self._token})
            except UnauthorizedError:
                if fresh:
                    raise
                self._token, fresh = "", True  # it may have run out between two pages
        raise AssertionError("the second try has a fresh token")

    async def _send(self, url: URL, private: dict[str, str]) -> HttpAnswer:
        if self.credentials.parameters:
            url = url.update_query(self.credentials.parameters)
        request = HttpRequest(
            url, self.first.method, self.first.body, {**self.credentials.headers, **private},
            self.first.accept,
        )  # fmt: skip
        answer = await self.client.ask(request)
        if answer.media_type == "text/html" and answer.content.lstrip()[:1] == b"<":
            raise self._wrong(
                "", f"expected {self.source.format.value}, found a web page (text/html): is this "
                "the address of the API, and does it need auth?"
            )  # fmt: skip
        return answer

    def _add(self, answer: HttpAnswer) -> Any:
        """Keeps the rows of an answer; the whole answer, where it is JSON."""
        source, limit = self.source, self.source.max_rows
        document = None
        try:
            if source.format is HttpFormat.JSON:
                document = parse_json(decode(answer.content))
                records = json_records(document, source.rows)
            elif source.format is HttpFormat.NDJSON:
                records = ndjson_records(answer.content, limit)
            else:
                records = csv_records(answer.content, source.separator, limit)
        except ShapeError as error:
            raise self._wrong("", str(error)) from None
        if len(self.rows) + len(records) > limit:
            raise self._wrong(
                "", f"there are more than maxRows ({limit}) rows; narrow the query or raise it"
            )
        self._check_repeated(records)
        self.rows += records
        self.page_rows = len(records)
        return document

    def _check_repeated(self, records: list[Record]) -> None:
        if not records or self.source.paging is None:
            return
        digest = hashlib.sha256(json_text(records).encode(errors="replace")).digest()
        if digest in self._seen:
            raise self._wrong(
                "paging", "a page has the same rows as an earlier one: the server may not know "
                "the parameter"
            )  # fmt: skip
        self._seen.add(digest)

    def _find(self, part: str, expression: str, document: Any) -> Any:
        try:
            return search(expression, document)
        except ExpressionError as error:
            raise self._wrong(part, str(error)) from None

    def _next_url(self, document: Any, answer: HttpAnswer, number: int) -> URL | None:
        paging = self.source.paging
        if paging is None:
            return None
        if paging.total is not None:
            self.total = self._whole_number("paging.total", paging.total, document)
        if paging.link:
            return self._linked(answer)
        if paging.cursor:
            return self._at_cursor(paging.cursor.next, paging.cursor.parameter, document)
        done = self.total is not None and len(self.rows) >= self.total
        if done or self.page_rows == 0:
            return None
        if paging.page:
            following = paging.page.first + number
            return self.first.url.update_query({paging.page.parameter: str(following)})
        assert paging.offset is not None  # noqa: S101 - exactly one of them
        return self.first.url.update_query({paging.offset.parameter: str(len(self.rows))})

    def _linked(self, answer: HttpAnswer) -> URL | None:
        following = answer.next_url
        if following is None:
            return None
        if following.origin() != self.first.url.origin():
            raise self._wrong(
                "paging.link", "the next page is on another host, which is not followed: "
                "credentials go to the URL's own host alone"
            )  # fmt: skip
        self._once(str(following), "paging.link")
        return following

    def _at_cursor(self, expression: str, parameter: str, document: Any) -> URL | None:
        cursor = self._find("paging.cursor.next", expression, document)
        if cursor is None or cursor in ("", False):
            return None
        if isinstance(cursor, dict | list | bool):
            raise self._wrong(
                "paging.cursor.next", f"expected a text or a number, found {type_name(cursor)}"
            )
        text = plain_text(cursor)
        self._once(text, "paging.cursor.next")
        return self.first.url.update_query({parameter: text})

    def _once(self, cursor: str, part: str) -> None:
        if cursor in self._cursors:
            raise self._wrong(part, "the next page is one that was read already")
        self._cursors.add(cursor)

    def _whole_number(self, part: str, expression: str, document: Any) -> int:
        found = self._find(part, expression, document)
        if isinstance(found, str) and found.isascii() and found.isdigit() and len(found) < 16:
            found = int(found)
        if not isinstance(found, int) or isinstance(found, bool) or found < 0:
            raise self._wrong(part, f"expected a number of rows, found {type_name(found)}")
        return found

    def _check_total(self) -> None:
        if self.total is not None and self.total != len(self.rows):
            raise RunError(
                Reason.EXTERNAL_SOURCE_UNAVAILABLE,
                f"{self.field}.paging.total: the server says {self.total} rows, and "
                f"{len(self.rows)} came: rows may have changed while they were read",
            )
