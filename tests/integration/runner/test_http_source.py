"""Rows from a real HTTP server: every one of them, exactly, or an error that says what came."""

from __future__ import annotations

import gzip
import json
import subprocess
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
import stamina
import yaml

from report_runner.contract import pod
from report_runner.contract.reasons import Reason
from report_runner.contract.result import Outcome
from report_runner.models import ColumnType, RunError, Table
from report_runner.progress import RunProgress
from tests.support.docs import blocks
from tests.support.http_api import Api, Reply, Request, http_api
from tests.support.runner import Pod
from tests.support.sources import fetch_rows, source_context, write_secret

CANARY = "CANARY-of-the-body"


@pytest.fixture
def api() -> Iterator[Api]:
    with http_api() as made:
        yield made


@pytest.fixture(autouse=True)
def _no_pauses() -> Iterator[None]:
    """Retries follow at once, but for what a server asks to wait."""
    with stamina.set_testing(True, attempts=3):
        yield


def get(api: Api, root: Path, path: str = "/rows", **options: Any) -> Table:
    fetching = {key: options.pop(key) for key in ("allow", "parameters", "zone") if key in options}
    return fetch_rows({"http": {"url": api.url + path, **options}}, root, **fetching)


def refused(api: Api, root: Path, path: str = "/rows", **options: Any) -> RunError:
    with pytest.raises(RunError) as caught:
        get(api, root, path, **options)
    assert CANARY not in caught.value.message
    assert caught.value.message.startswith("spec.report.sources[rows].http")
    return caught.value


# --- values -----------------------------------------------------------------------------------


def test_json_keeps_every_digit_and_every_type(api: Api, tmp_path: Path) -> None:
    api.on(
        "/rows",
        Reply(
            '[{"n": 12345678901234567890.123456789, "big": 123456789012345678901234567890, '
            '"t": "007", "d": "2026-01-05", "b": true, "o": {"a": [1.10]}, "z": null}, {"n": 1.10}]'
        ),
    )
    table = get(api, tmp_path)
    assert table.columns == ("n", "big", "t", "d", "b", "o", "z")
    assert table.rows == [
        (
            Decimal("12345678901234567890.123456789"), 123456789012345678901234567890, "007",
            "2026-01-05", True, {"a": [Decimal("1.10")]}, None,
        ),
        (Decimal("1.10"), None, None, None, None, None, None),
    ]  # fmt: skip
    assert str(table.rows[1][0]) == "1.10"


def test_declared_columns_have_their_types_and_come_first(api: Api, tmp_path: Path) -> None:
    row = {
        "other": 1.5, "day": "2026-01-05", "at": "2026-01-05T06:00:00.250Z", "local":
        "2026-01-05 07:00", "amount": "1234.50", "count": "12", "ok": "TRUE", "code": 7,
    }  # fmt: skip
    api.on("/rows", Reply([row, {"day": None}]))
    types = {
        "code": "text", "day": "date", "at": "timestamp", "local": "timestamp",
        "amount": "numeric", "count": "integer", "ok": "boolean",
    }  # fmt: skip
    columns = [{"name": name, "type": kind} for name, kind in types.items()]
    table = get(api, tmp_path, columns=columns)
    assert table.columns == (*types, "other")
    first = dict(zip(table.columns, table.rows[0], strict=True))
    assert first["code"] == "7"
    assert first["day"] == date(2026, 1, 5)
    assert first["at"].isoformat() == "2026-01-05T07:00:00.250000+01:00"
    assert first["local"] == datetime(2026, 1, 5, 7)  # noqa: DTZ001
    assert (first["amount"], first["count"], first["ok"]) == (Decimal("1234.50"), 12, True)
    assert table.rows[1] == (None,) * 8
    assert table.types == tuple(
        ColumnType(name)
        for name in (
            "text",
            "date",
            "timestamptz",
            "timestamp",
            "numeric",
            "int8",
            "bool",
            "numeric",
        )
    )


def test_ndjson_and_csv(api: Api, tmp_path: Path) -> None:
    api.on("/ndjson", Reply('{"a": 1.10}\n\n{"a": 2, "b": "x"}\n'))
    assert get(api, tmp_path, "/ndjson", format="ndjson").rows == [
        (Decimal("1.10"), None),
        (2, "x"),
    ]
    api.on("/csv", Reply('\ufeffa;b\r\n1,50;"x;\ny"\r\n;007\r\n'))
    table = get(api, tmp_path, "/csv", format="csv", separator=";")
    assert (table.columns, table.rows) == (("a", "b"), [("1,50", "x;\ny"), (None, "007")])


BAD_BODIES: list[tuple[str, dict[str, Any], str]] = [
    (f'{{"{CANARY}": 1}}', {}, "expected an array of objects, found an object"),
    (f'{{"data": {{"x": "{CANARY}"}}}}', {"rows": "data.items"}, "finds nothing in an object"),
    ('{"data": {"items": 3}}', {"rows": "data.items"}, "expected an array of objects, found a num"),
    (f'["{CANARY}"]', {}, "row 1: expected an object, found a text"),
    ("[[1]]", {}, "row 1: expected an object, found an array"),
    ("null", {}, "expected an array of objects, found null"),
    (f'[{{"a": "{CANARY}"', {}, "expected JSON, found something else at line 1"),
    ("", {}, "expected JSON, found nothing"),
    ('[{"a": 1, "a": 2}]', {}, "an object names a key twice"),
    ('[{"a": NaN}]', {}, "NaN is no JSON"),
    ('[{"a": 1e99999}]', {}, "a number of more than 2000 digits"),
    ('[{"a": ' + "9" * 3000 + "}]", {}, "a number of more than 2000 digits"),
    ('[{"a": "\\ud800"}]', {}, "row 1, column a: a text that is not Unicode"),
    ("[" * 100_000, {}, "nested too deeply"),
    ('[{"a": ' + "[" * 40 + "]" * 40 + "}]", {}, "nested deeper than 32 levels"),
    (f'{{"a": 1}}\n{{"a": "{CANARY}', {"format": "ndjson"}, "line 2: expected an object a line"),
    ("[1]\n", {"format": "ndjson"}, "line 1: expected an object, found an array"),
    (f"a,b\n1,2,{CANARY}\n", {"format": "csv"}, "line 2: 3 cells, but the first line names 2"),
    (f"a,b\n{CANARY}\n", {"format": "csv"}, "line 2: 1 cells, but the first line names 2"),
    ("a,a\n1,2\n", {"format": "csv"}, "names a column twice"),
    ("a;b\n1;2\n", {"format": "csv"}, "set separator"),
    ('a,b\n1,"2\n', {"format": "csv"}, "it may be cut short"),
    ("", {"format": "csv"}, "found nothing"),
    ("a, \n1,2\n", {"format": "csv"}, "column 2 has no name"),
]


@pytest.mark.parametrize(("body", "options", "message"), BAD_BODIES)
def test_another_shape_is_a_configuration_error(
    api: Api, tmp_path: Path, body: str, options: dict[str, Any], message: str
) -> None:
    api.on("/rows", Reply(body))
    error = refused(api, tmp_path, **options)
    assert error.reason is Reason.CONFIGURATION_ERROR
    assert message in error.message


@pytest.mark.parametrize(
    ("value", "kind", "message"),
    [
        (f"{CANARY}", "date", "expected a date YYYY-MM-DD, found another text"),
        ("2026-02-30", "date", "found no day of the calendar"),
        ("2026-01-05T00:00:00", "date", "found another text"),
        ("05/01/2026", "timestamp", "expected a timestamp"),
        ("2026-01-05T00:00:00.1234567Z", "timestamp", "more than six decimals"),
        ("1,5", "numeric", "expected a number"),
        ("", "numeric", "found an empty text"),
        (True, "integer", "found a boolean"),
        (1.5, "integer", "found a number"),
        ("yes", "boolean", "expected true or false"),
        ([1], "date", "found an array"),
    ],
)
def test_a_value_of_another_type(
    api: Api, tmp_path: Path, value: Any, kind: str, message: str
) -> None:
    api.on("/rows", Reply([{"x": value}]))
    error = refused(api, tmp_path, columns=[{"name": "x", "type": kind}])
    assert message in error.message
    assert "row 1, column x" in error.message


def test_a_declared_column_that_no_row_has(api: Api, tmp_path: Path) -> None:
    api.on("/rows", Reply([{"value": 1}]))
    assert (
        "no row has the column valu that"
        in refused(api, tmp_path, columns=[{"name": "valu"}]).message
    )
    api.on("/rows", Reply([]))
    assert get(api, tmp_path, columns=[{"name": "value"}]).columns == ("value",)


def test_jmespath_compares_and_computes_exactly(api: Api, tmp_path: Path) -> None:
    api.on("/rows", Reply('{"d": [{"p": 0.1}, {"p": 0.3}, {"p": 0.2}]}'))
    assert get(api, tmp_path, rows="d[?p == `0.1`]").rows == [(Decimal("0.1"),)]
    assert get(api, tmp_path, rows="sort_by(d, &p)").rows == [
        (Decimal("0.1"),), (Decimal("0.2"),), (Decimal("0.3"),)
    ]  # fmt: skip
    assert get(
        api, tmp_path, rows="[{s: sum(d[].p), m: avg(d[].p), n: to_number('1.10')}]"
    ).rows == [(Decimal("0.6"), Decimal("0.2"), Decimal("1.10"))]
    assert "length() takes" in refused(api, tmp_path, rows="d[].{n: length(p)}").message


# --- the request ------------------------------------------------------------------------------


def test_values_are_bound_with_encoding(api: Api, tmp_path: Path) -> None:
    seen: list[Request] = []

    def echo(request: Request) -> Reply:
        seen.append(request)
        return Reply([])

    path = "/a%20b%2F%3Fc%23%C3%A9/2026-01-05"
    api.on(path, echo)
    parameters = {"account": "a b/?c#é", "n": 1.50, "odd": "x&y=z+1 %"}
    get(
        api,
        tmp_path,
        "/{{ parameters.account }}/{{ report_date }}",
        method="POST",
        query={"day": "{{ report_date | date('%Y%m%d') }}", "odd": "{{ parameters.odd }}"},
        body='{"n": {{ parameters.n }}, "a": {{ parameters.account }}, "d": {{ report_date }}}',
        parameters=parameters,
    )
    assert seen[0].path == path
    assert seen[0].query == {"day": "20260105", "odd": "x&y=z+1 %"}
    assert seen[0].body == '{"n": 1.5, "a": "a b/?c#é", "d": "2026-01-05"}'.encode()


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("/x/{{ parameters.p }}/y", "..", "is another path"),
        ("/x/{{ parameters.p }}/y", "", "is another path"),
        ("/x/.{{ parameters.p }}/y", ".", "is another path"),
        ("/x/.{{ parameters.p }}/y", "%2e", ""),
        ("/x/{{ parameters.p }}", {"a": 1}, "name one of its values"),
        ("/x/{{ parameters.p }}", "a\r\nb", "control characters"),
        ("/x/{{ parameters.q }}", "a", "there is no 'q'"),
        ("/x/{{ parameters.p }}", "a" * 5000, "more than 4096 characters"),
    ],
)
def test_a_value_does_not_become_another_path(
    api: Api, tmp_path: Path, path: str, value: Any, message: str
) -> None:
    error = refused(api, tmp_path, path, parameters={"p": value})
    assert message in error.message
    assert all(request.path == "/x/.%252e/y" for request in api.requests)


def test_credentials_come_from_secrets(api: Api, tmp_path: Path) -> None:
    write_secret(tmp_path, "feed", token="tok-12345", username="ann", password="p:ß w",
                 apiKey="key-12345", value="team-12345")  # fmt: skip
    api.on("/rows", Reply([]))
    ref = {"secretRef": {"name": "feed"}}
    get(api, tmp_path, auth={"bearer": ref})
    get(api, tmp_path, auth={"basic": ref})
    get(api, tmp_path, auth={"apiKey": {**ref, "header": "X-Api-Key"}})
    get(api, tmp_path, auth={"apiKey": {**ref, "parameter": "key"}}, query={"a": "b"})
    get(api, tmp_path, headers=[{"name": "X-Team", **ref}, {"name": "Accept", "value": "text/x"}])
    sent = [request.headers for request in api.requests]
    assert sent[0]["authorization"] == "Bearer tok-12345"
    assert sent[1]["authorization"] == "Basic YW5uOnA6w58gdw=="
    assert sent[2]["x-api-key"] == "key-12345"
    assert api.requests[3].query == {"a": "b", "key": "key-12345"}
    assert (sent[4]["x-team"], sent[4]["accept"]) == ("team-12345", "text/x")


def test_oauth2_client_credentials(api: Api, tmp_path: Path) -> None:
    write_secret(tmp_path, "client", clientId="me", clientSecret="s+c/ret")
    tokens = iter(["first-token-1", "second-token-2"])
    api.on("/token", lambda _: Reply({"access_token": next(tokens), "token_type": "bearer"}))

    def rows(request: Request) -> Reply:
        """The first token runs out after one page."""
        page = request.query.get("page")
        if page == "2" and request.headers["authorization"] == "Bearer first-token-1":
            return Reply(CANARY, 401)
        return Reply([{"n": page}] if page in ("1", "2") else [])

    api.on("/rows", rows)
    oauth2 = {
        "secretRef": {"name": "client"}, "tokenUrl": api.url + "/token", "scope": "a b",
    }  # fmt: skip
    table = get(api, tmp_path, auth={"oauth2": oauth2}, paging={"page": {}})
    assert table.rows == [("1",), ("2",)]
    asked = api.requests[0]
    assert asked.body == b"grant_type=client_credentials&scope=a+b"
    assert asked.headers["authorization"] == "Basic bWU6cyUyQmMlMkZyZXQ="
    api.on("/token", Reply({"error": CANARY}, 401))
    assert "does not take clientId" in refused(api, tmp_path, auth={"oauth2": oauth2}).message
    api.on("/token", Reply({"access_token": CANARY, "token_type": "mac"}))
    assert "another type than Bearer" in refused(api, tmp_path, auth={"oauth2": oauth2}).message
    api.on("/token", Reply({"token": CANARY}))
    assert "no access_token" in refused(api, tmp_path, auth={"oauth2": oauth2}).message


def test_tls_with_an_authority_of_ones_own(tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj",
         "/CN=api", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    write_secret(tmp_path / "secrets", "authority", ca_crt=certificate.read_text())
    with http_api((certificate, key)) as api:
        api.on("/rows", Reply([{"a": 1}]))
        root = tmp_path / "secrets"
        assert get(api, root, caSecretRef={"name": "authority"}).rows == [(1,)]
        error = refused(api, root)
        assert (error.reason, "caSecretRef" in error.message) == (Reason.CONFIGURATION_ERROR, True)
        api.on("/rows", Reply("", 302, {"Location": api.url.replace("https", "http") + "/x"}))
        assert "from https to http" in refused(api, root, caSecretRef={"name": "authority"}).message


# --- what may go wrong ------------------------------------------------------------------------


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_an_outage_is_retried_and_named(api: Api, tmp_path: Path, status: int) -> None:
    api.on("/rows", Reply(CANARY, status), Reply([{"a": 1}]))
    assert get(api, tmp_path).rows == [(1,)]
    api.on("/rows", Reply(CANARY, status))
    error = refused(api, tmp_path)
    assert error.reason is Reason.EXTERNAL_SOURCE_UNAVAILABLE
    assert f"answered {status}" in error.message
    assert "tried 3 times" in error.message


@pytest.mark.parametrize("status", [201, 204, 206, 304, 400, 401, 403, 404, 405, 410, 422])
def test_what_a_retry_does_not_mend(api: Api, tmp_path: Path, status: int) -> None:
    api.on("/rows", Reply(b"" if status in (204, 304) else CANARY, status))
    error = refused(api, tmp_path, query={"q": "secret-in-query"})
    assert error.reason is Reason.CONFIGURATION_ERROR
    assert f"answered {status}" in error.message
    assert "secret-in-query" not in error.message
    assert len(api.requests) == 1


def test_retry_after_is_honoured_and_bounded(api: Api, tmp_path: Path) -> None:
    with stamina.set_testing(False):
        begin = datetime.now(UTC)
        api.on("/rows", Reply("", 429, {"Retry-After": "1"}), Reply([]))
        get(api, tmp_path)
        assert datetime.now(UTC) - begin >= timedelta(seconds=1)
        begin = datetime.now(UTC)
        at = format_datetime(begin + timedelta(seconds=2), usegmt=True)
        api.on("/rows", Reply("", 503, {"Retry-After": at}), Reply([]))
        get(api, tmp_path)
        assert datetime.now(UTC) - begin >= timedelta(seconds=1)
        api.requests.clear()
        api.on("/rows", Reply("", 503, {"Retry-After": "86400"}))
        error = refused(api, tmp_path, timeout="5s")
    assert error.reason is Reason.EXTERNAL_SOURCE_UNAVAILABLE
    assert len(api.requests) == 1


def test_a_server_that_is_not_there(tmp_path: Path) -> None:
    with http_api() as api:
        pass
    error = refused(api, tmp_path)
    assert error.reason is Reason.EXTERNAL_SOURCE_UNAVAILABLE
    assert "Connection refused" in error.message


def test_a_name_that_is_not_known(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="its name is not known") as caught:
        fetch_rows({"http": {"url": "http://nowhere.invalid/"}}, tmp_path)
    assert caught.value.reason is Reason.EXTERNAL_SOURCE_UNAVAILABLE


def test_a_server_that_does_not_answer(api: Api, tmp_path: Path) -> None:
    import threading

    done = threading.Event()

    def wait(_: Request) -> Reply:
        done.wait(30)
        return Reply([])

    api.on("/rows", wait)
    try:
        error = refused(api, tmp_path, timeout="1s")
    finally:
        done.set()
    assert error.reason is Reason.TIMEOUT
    assert "http.timeout (1s)" in error.message


def test_a_body_that_is_cut_short(api: Api, tmp_path: Path) -> None:
    whole = json.dumps([{"a": 1}]).encode()
    api.on("/rows", Reply(whole, length=len(whole) + 10))
    error = refused(api, tmp_path)
    assert error.reason is Reason.EXTERNAL_SOURCE_UNAVAILABLE
    assert "before it was whole" in error.message
    packed = gzip.compress(b"a,b\n" + b"1,2\n" * 1000)
    api.on("/rows", Reply(packed[:-9], headers={"Content-Encoding": "gzip"}))
    assert "before it was whole" in refused(api, tmp_path, format="csv").message
    api.on("/rows", Reply(packed, headers={"Content-Encoding": "gzip"}))
    assert len(get(api, tmp_path, format="csv").rows) == 1000


def test_two_gigabytes_are_not_read(api: Api, tmp_path: Path) -> None:
    sent = 0

    def endless() -> Iterator[bytes]:
        nonlocal sent
        while sent < 2 << 30:
            sent += 1 << 16
            yield b" " * (1 << 16)

    api.on("/rows", lambda _: Reply(chunks=endless()))
    error = refused(api, tmp_path, maxBytes=1 << 20)
    assert "more than maxBytes (1048576)" in error.message
    assert sent < 64 << 20
    bomb = gzip.compress(b" " * (64 << 20))
    api.on("/rows", Reply(bomb, headers={"Content-Encoding": "gzip"}))
    assert len(bomb) < 1 << 20
    assert "more than maxBytes" in refused(api, tmp_path, maxBytes=1 << 20).message
    api.on("/rows", Reply([{"a": 1}] * 11))
    assert "more than maxRows (10)" in refused(api, tmp_path, maxRows=10).message


def test_a_web_page_is_no_csv(api: Api, tmp_path: Path) -> None:
    api.on("/rows", Reply(f"<html>{CANARY}</html>", headers={"Content-Type": "text/html"}))
    assert "found a web page" in refused(api, tmp_path, format="csv").message


def test_no_secret_in_messages_and_log(
    api: Api, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_secret(tmp_path, "feed", apiKey="SECRET-12345")
    auth = {"apiKey": {"secretRef": {"name": "feed"}, "parameter": "key"}}
    api.on("/rows", Reply(CANARY, 503))
    error = refused(api, tmp_path, auth=auth)
    assert api.requests[0].query == {"key": "SECRET-12345"}
    for text in (error.message, repr(error.__cause__), caplog.text):
        assert "SECRET-12345" not in text
        assert CANARY not in text


# --- redirects --------------------------------------------------------------------------------


def test_a_redirect_keeps_credentials_at_home(api: Api, tmp_path: Path) -> None:
    write_secret(tmp_path, "feed", token="tok-12345")
    auth = {"bearer": {"secretRef": {"name": "feed"}}}
    with http_api() as other:
        other.on("/there", Reply([{"a": 1}]))
        api.on("/rows", Reply("", 302, {"Location": other.url + "/there"}))
        assert get(api, tmp_path, auth=auth).rows == [(1,)]
        assert "authorization" not in other.requests[0].headers
        api.on("/near", Reply([{"a": 2}]))
        api.on("/rows", Reply("", 307, {"Location": "/near"}))
        assert get(api, tmp_path, auth=auth).rows == [(2,)]
        assert api.requests[-1].headers["authorization"] == "Bearer tok-12345"
        api.on("/rows", Reply("", 302, {"Location": "/rows"}))
        assert "redirects more than 5 times" in refused(api, tmp_path).message
        api.on("/rows", Reply("", 307, {"Location": other.url + "/there"}))
        assert "write the URL that it leads to" in refused(api, tmp_path, method="POST").message
        for place in ("ftp://a.example.com/", "file:///etc/passwd", "http://u:p@a.example.com/"):
            api.on("/rows", Reply("", 302, {"Location": place}))
            assert "no http or https address" in refused(api, tmp_path).message


# --- pages ------------------------------------------------------------------------------------

ROWS = [{"n": n} for n in range(25)]


def _window(request: Request, first: int, size: int = 10) -> Reply:
    return Reply({"rows": ROWS[first : first + size], "count": len(ROWS)})


def all_rows(table: Table) -> list[int]:
    return [row[0] for row in table.rows]


def test_every_kind_of_paging_brings_every_row(api: Api, tmp_path: Path) -> None:
    def linked(request: Request) -> Reply:
        first = int(request.query.get("from", 0))
        reply = _window(request, first)
        if first + 10 < 25:
            reply.headers["Link"] = f'</rows?from={first + 10}>; rel="next", </rows>; rel="first"'
        return reply

    def at_cursor(request: Request) -> Reply:
        first = int(request.query.get("c", "k0")[1:])
        reply = _window(request, first)
        reply.body["next"] = f"k{first + 10}" if first + 10 < 25 else None
        return reply

    expected = list(range(25))
    api.on("/rows", linked)
    assert all_rows(get(api, tmp_path, rows="rows", paging={"link": {}})) == expected
    api.on("/rows", at_cursor)
    cursor = {"cursor": {"parameter": "c", "next": "next"}}
    assert all_rows(get(api, tmp_path, rows="rows", paging=cursor)) == expected
    api.on("/rows", lambda r: _window(r, (int(r.query["page"]) - 1) * 10))
    assert all_rows(get(api, tmp_path, rows="rows", paging={"page": {}})) == expected
    api.requests.clear()
    paging = {"page": {}, "total": "count"}
    assert all_rows(get(api, tmp_path, rows="rows", paging=paging)) == expected
    assert len(api.requests) == 3
    # A server that gives fewer than it is asked for is no end.
    api.on("/rows", lambda r: _window(r, int(r.query["start"]), 7))
    offset = {"offset": {"parameter": "start"}}
    assert (
        all_rows(get(api, tmp_path, rows="rows", paging=offset, query={"limit": "100"})) == expected
    )


def test_paging_never_cuts_a_result_silently(api: Api, tmp_path: Path) -> None:
    api.on("/rows", lambda r: _window(r, 0))
    error = refused(api, tmp_path, rows="rows", paging={"page": {}})
    assert "a page has the same rows as an earlier one" in error.message
    api.on("/rows", lambda r: Reply([{"n": r.query["page"]}]))
    error = refused(api, tmp_path, paging={"page": {}, "maxPages": 7})
    assert "has not ended after maxPages (7)" in error.message
    assert error.reason is Reason.CONFIGURATION_ERROR
    api.on("/rows", lambda r: Reply({"rows": [{"n": len(api.requests)}], "next": "same"}))
    cursor = {"cursor": {"parameter": "c", "next": "next"}}
    assert "was read already" in refused(api, tmp_path, rows="rows", paging=cursor).message
    api.on("/rows", lambda r: Reply({"rows": ROWS if "c" not in r.query else [], "count": 26}))
    error = refused(api, tmp_path, rows="rows", paging={**cursor, "total": "count"})
    assert error.reason is Reason.EXTERNAL_SOURCE_UNAVAILABLE
    assert "says 26 rows, and 25 came" in error.message
    api.on("/rows", Reply([{"a": 1}], headers={"Link": '<http://a.example.com/>; rel="next"'}))
    assert "on another host" in refused(api, tmp_path, paging={"link": {}}).message
    api.on("/rows", Reply({"rows": [], "count": CANARY}))
    error = refused(api, tmp_path, rows="rows", paging={"page": {}, "total": "count"})
    assert "expected a number of rows, found a text" in error.message


# --- addresses --------------------------------------------------------------------------------


def test_an_address_is_refused_unless_the_operator_allows_it(api: Api, tmp_path: Path) -> None:
    error = refused(api, tmp_path, allow=())
    assert "config.runner.egress.allow" in error.message
    assert error.reason is Reason.CONFIGURATION_ERROR
    assert api.requests == []
    api.on("/rows", Reply([]))
    get(api, tmp_path, allow=[f"127.0.0.1:{api.port}"])
    assert len(api.requests) == 1


def test_authors_have_no_say_in_it() -> None:
    fields = source_context({"inline": {"rows": []}}, Path("/nowhere")).definition.report
    assert "egress" not in json.dumps(type(fields).model_json_schema())


# --- the cache --------------------------------------------------------------------------------


def test_a_run_tells_hits_and_misses_of_the_cache(api: Api, tmp_path: Path) -> None:
    here = Pod(tmp_path)
    api.on("/rows", Reply([{"a": 1}]))
    sources = [
        {"name": "facts", "http": {"url": f"{api.url}/rows"}, "cache": {"ttl": "1h"}},
        {"name": "more", "inline": {"rows": [{"b": 1}]}},  # has none, and is not counted
    ]
    here.define("", sources=sources, template={"builtin": "executive_dashboard"}, formats=["json"])
    allow = {pod.ENV_EGRESS_ALLOW: "127.0.0.1/32"}
    _, first, log = here.run(**allow)
    assert (first.cache_hits, first.cache_misses) == (0, 1), log
    # What one fetched another uses where the volume has room: tests/unit/test_sources_cache.py.
    progress = RunProgress(cacheable=3, cached=1)
    later = progress.result(Outcome.SUCCEEDED, None, "")
    assert (later.cache_hits, later.cache_misses) == (1, 2)


# --- the documentation ------------------------------------------------------------------------


def test_the_example_of_the_documentation_runs(api: Api, tmp_path: Path) -> None:
    (text,) = [block.text for block in blocks("yaml") if "data.items" in block.text]
    (source,) = yaml.safe_load(text.replace("https://api.example.com", api.url))["sources"]
    write_secret(tmp_path, "report-api", clientId="me", clientSecret="secret-1")
    api.on("/oauth2/token", Reply({"access_token": "tok-12345", "token_type": "Bearer"}))

    def rows(request: Request) -> Reply:
        assert request.query["day"] == "20260105"
        first = "cursor" not in request.query
        item = {"amount": "1.10" if first else "2.20", "day": "2026-01-05"}
        return Reply({"data": {"items": [item], "next": "n" if first else None, "total": 2}})

    api.on("/v1/A1/positions", rows)
    del source["name"]
    table = fetch_rows(source, tmp_path, parameters={"account": "A1"})
    assert table.columns == ("day", "amount")
    day = date(2026, 1, 5)
    assert table.rows == [(day, Decimal("1.10")), (day, Decimal("2.20"))]
