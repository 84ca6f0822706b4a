"""Security headers, refusal of ambiguous requests, and visibility by namespace."""

from __future__ import annotations

import json
import re
from typing import Any, cast

import pytest
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send
from test_pages_http import DOWN, RUN, KnownCluster, Site

from admin_api.app import ROUTERS
from admin_api.auth.access import AccessMiddleware
from admin_api.auth.answer_policy import AnswerPolicy
from admin_api.auth.caller import Caller, claimed_name
from admin_api.auth.request_bounds import BODY_LIMIT, DISCARD_LIMIT, read_body
from admin_api.auth.tokens import ALL_NAMESPACES, Denied, User
from admin_api.auth.visibility import check_recipients
from admin_api.errors import RefusedError
from tests.support.asgi import ask, reply_of

SCHEDULER = "/api/admin/scheduler"
STRANGER = "10.0.0.7"
HEADERS = (
    "content-security-policy",
    "x-content-type-options",
    "x-frame-options",
    "referrer-policy",
    "cross-origin-opener-policy",
    "cross-origin-resource-policy",
    "cache-control",
)


class KnownTokens:
    """In place of the API server: everybody may call, and read the files of some namespaces."""

    def __init__(self, *namespaces: str) -> None:
        self.namespaces = namespaces

    async def authenticate(self, *_: str | None) -> User | Denied:
        return User("dashboards")

    async def may_read(self, user: User, namespace: str) -> bool:
        assert user.name == "dashboards"
        return namespace in self.namespaces


def routes_of(site: Site) -> list[tuple[str, str]]:
    """Method and path of each."""
    own: list[BaseRoute] = [route for router in ROUTERS for route in router.routes]
    found = []
    for route in [*site.app.routes, *own]:
        if isinstance(route, Route):
            path = re.sub(r"\{path(:path)?\}", "2026/x.html", route.path)
            path = re.sub(r"\{[a-z]+(:path)?\}", "x", path)
            found += [(method, path) for method in sorted(route.methods or ())]
    return found


def test_every_answer_has_security_headers() -> None:
    well, down = Site(), Site(cluster=KnownCluster(DOWN))
    found = routes_of(well)
    assert len(found) > 25
    assert ("GET", "/docs") in found
    assert "/redoc" not in {path for _, path in found}
    assert not any("oauth2" in path for _, path in found)
    extra = [("GET", "/none"), ("PUT", "/"), ("GET", "//"), ("GET", "/docs/oauth2-redirect")]
    for site in (well, down):
        for method, path in found + extra:
            for more in ({}, {"accept": "application/json"}, {"host": "evil.example"}):
                reply = ask(site.app, method, path, **more)
                missing = [name for name in HEADERS if name not in reply.headers]
                assert not missing, (method, path, more, reply)
                policy = reply.headers["content-security-policy"]
                assert "default-src 'none'" in policy
                assert "unsafe" not in policy
                if reply.status >= 400 and more:
                    assert reply.headers["content-type"].startswith(
                        ("application/problem+json", "application/json", "text/html")
                    )


def test_unexpected_exception_is_a_problem_document() -> None:
    async def broken(scope: Scope, receive: Receive, send: Send) -> None:
        raise RuntimeError("a secret detail")

    reply = ask(AnswerPolicy(broken), "GET", "/x")
    assert (reply.status, reply.headers["content-type"]) == (500, "application/problem+json")
    assert "secret" not in reply.text
    assert "default-src 'none'" in reply.headers["content-security-policy"]


def test_reference_has_no_scripts_and_lists_every_call() -> None:
    site = Site()
    text = site.get("/docs").text
    for path, methods in site.app.openapi()["paths"].items():
        for method in methods:
            assert f"<code>{method.upper()} {path}</code>" in text
    for name in site.app.openapi()["components"]["schemas"]:
        assert f'id="type-{name}"' in text
    assert all(url[0] in "/#" for url in re.findall(r'(?:src|href)="([^"]+)"', text))
    assert not re.search(r"https?:", re.sub(r"https?://localhost\S*", "", text))


DEEP = '{"type": ' + "[" * 30_000 + "]" * 30_000 + "}"
TWO_MEANINGS: list[tuple[str, int, str]] = [
    ('{"type": "a", "type": "b", "date": "2026-01-05"}', 422, "type: give the key once"),
    (DEEP, 422, "nested deeper"),
    ('{"type": ' + "[" * 40 + "]" * 40 + "}", 422, "nested deeper"),
    ('{"a": 1e400}', 422, "larger than a number may be"),
    ('{"a": -Infinity}', 422, "no JSON number"),
    ('{"a": NaN}', 422, "no JSON number"),
    ('{"a": ' + "9" * 5000 + "}", 422, "4300"),
    ('{"a": "\\u0000"}', 422, "NUL"),
    ('{"a": ["\\udc00"]}', 422, "surrogate"),
    ('{"\\ud800": 1, "\\ud800": 2}', 422, "give the key once"),
    ("{" * 60_000, 422, ""),
    ("x" * (BODY_LIMIT + 1), 413, "more than 65536 bytes"),
]


@pytest.mark.parametrize(("body", "status", "said"), TWO_MEANINGS)
def test_ambiguous_bodies_are_refused(body: str, status: int, said: str) -> None:
    reply = ask(
        Site().app, "POST", "/api/admin/reports/generate", body=body, accept="*/*",
        **{"content-type": "application/json"},
    )  # fmt: skip
    assert reply.status == status, reply
    assert reply.headers["content-type"] == "application/problem+json"
    assert said in json.loads(reply.text)["detail"]


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("limit=1&limit=2", 422),
        ("&".join(f"a{number}=1" for number in range(10_000)), 422),
        ("%00=1", 422),
        ("limit=1e400", 422),
        ("limit=" + "9" * 5000, 422),
        ("report_type=%00", 404),
        ("x" * 15_000, 422),
    ],
)
def test_limits_of_queries(query: str, status: int) -> None:
    reply = Site().get(f"{SCHEDULER}/jobs?{query}", accept="*/*")
    assert reply.status == status, reply


def test_repeated_headers_are_refused() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        twice = [(b"origin", b"http://[")] * 2
        await Site().app({**scope, "headers": [*scope["headers"], *twice]}, receive, send)

    reply = ask(app, "POST", f"{SCHEDULER}/shutdown", accept="*/*")
    assert (reply.status, "origin: send the header once" in reply.text) == (400, True)
    reply = ask(Site().app, "POST", f"{SCHEDULER}/shutdown", accept="*/*", origin="http://[")
    assert (reply.status, reply.headers["content-type"]) == (403, "application/problem+json")


async def test_oversized_body_is_read_up_to_a_limit() -> None:
    chunk, given = 100_000, 0

    async def endless() -> dict[str, Any]:
        nonlocal given
        given += chunk
        return {"type": "http.request", "body": b"x" * chunk, "more_body": True}

    assert await read_body(endless, {"transfer-encoding": "chunked"}) == (
        413, "the body has more than 65536 bytes"
    )  # fmt: skip
    assert given <= DISCARD_LIMIT + chunk
    given = 0
    refused = await read_body(endless, {"content-length": "9" * 5000, "expect": "100-continue"})
    assert (refused[0], given) == (413, 0)


def test_name_over_loopback_is_marked_as_claimed() -> None:
    assert claimed_name({"x-on-call": "kim"}) == "claimed: kim (loopback)"
    assert claimed_name({}) == claimed_name({"x-on-call": " "}) == "unnamed (loopback)"
    assert claimed_name({"x-on-call": "a\tb" + "x" * 1000}) == f"claimed: a?b{'x' * 97} (loopback)"
    assert claimed_name({"x-on-call": "system:admin"}) != "system:admin"


async def test_caller_sees_permitted_namespaces_only() -> None:
    assert await Caller("kim").may_see("reports")
    team = Caller("t", User("dashboards"), cast(Any, KnownTokens("reports")))
    assert await team.hidden(["reports", "others", "others"]) == {"others"}
    assert not await team.may_see(ALL_NAMESPACES)
    everything = Caller("t", User("dashboards"), cast(Any, KnownTokens(ALL_NAMESPACES)))
    assert await everything.hidden(["reports", "others"]) == set()


async def test_recipients_are_shown_to_who_may_read_the_reports() -> None:
    team = Caller("t", User("dashboards"), cast(Any, KnownTokens("reports")))
    await check_recipients(team, "reports")
    for namespace, message in (("others", "in the namespace others"), (None, "name one")):
        with pytest.raises(RefusedError, match=message) as raised:
            await check_recipients(team, namespace)
        assert raised.value.status == 403
    everything = Caller("t", User("dashboards"), cast(Any, KnownTokens(ALL_NAMESPACES)))
    await check_recipients(everything, None)


JOB = f"{SCHEDULER}/jobs/{RUN.rpartition('/')[2]}"


@pytest.mark.parametrize(
    "path", [f"{SCHEDULER}/jobs", JOB, f"{SCHEDULER}/dead-letters",
             f"{SCHEDULER}/analytics/failures?period=30d"]
)  # fmt: skip
def test_report_contents_need_a_right_in_the_namespace(path: str) -> None:
    told = {
        namespaces: Site(tokens=KnownTokens(*namespaces)).get(path, client=STRANGER, accept="*/*")
        for namespaces in ((), ("others",), ("reports",), (ALL_NAMESPACES,))
    }
    assert {reply.status for reply in told.values()} == {200}, told
    for namespaces in ((), ("others",)):
        assert "alert(1)" not in told[namespaces].text
        assert "needs get reportschedules/files (reports.adaf.io) in" in told[namespaces].text
    assert "alert(1)" in told[(ALL_NAMESPACES,)].text
    assert ("alert(1)" in told[("reports",)].text) == ("analytics" not in path)


def test_pages_and_files_need_the_right_as_well() -> None:
    for path in ("/", RUN, "/schedules", "/fragments/now", f"{RUN}/retry"):
        assert Site(tokens=KnownTokens("reports")).get(path, client=STRANGER).status == 403
        assert Site(tokens=KnownTokens("")).get(path, client=STRANGER).status == 200
    file = "/api/admin/reports/files/reports/2026/x.html"
    refused = Site(tokens=KnownTokens("others")).get(file, client=STRANGER, accept="*/*")
    assert (refused.status, "in the namespace reports" in refused.text) == (403, True)
    for path in ("/docs", "/openapi.json"):
        assert Site(tokens=KnownTokens()).get(path, client=STRANGER).status == 200


async def test_body_limit_holds_before_authentication() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise AssertionError("it is not asked")

    reply = await reply_of(
        AccessMiddleware(app, None), "GET", "/x", body="x" * (BODY_LIMIT + 1), accept="*/*"
    )
    assert reply.status == 413
