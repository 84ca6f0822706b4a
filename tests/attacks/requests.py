"""Requests to the file server and to the admin API, byte by byte."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tests.attacks.vectors import Vector, Who

DAY = "2026/11/24"
STEM = "team-a_report_20261124T050000Z"

# -- file server ----------------------------------------------------------------------------

_DOTS = {
    "plain": "../",
    "encoded": "%2e%2e/",
    "encoded-slash": "..%2f",
    "encoded-all": "%2e%2e%2f",
    "encoded-twice": "%252e%252e%252f",
    "backslash": "..\\",
    "encoded-backslash": "..%5c",
    "overlong": "%c0%ae%c0%ae/",
    "fullwidth": "%ef%bc%8e%ef%bc%8e/",
    "utf-16": "%u002e%u002e/",
    "dot-slash": "./../",
    "semicolon": "..;/",
    "null": "..%00/",
    "space": "..%20/",
    "three": ".../",
    "upper": "%2E%2E/",
}
_TARGETS = {
    "outside": "outside/secret.pdf",
    "passwd": "etc/passwd",
    "environ": "proc/self/environ",
}
_PLAIN: Mapping[str, str] = {
    **{
        f"{dots}-{target}": f"/files/{text * 4}{path}"
        for dots, text in _DOTS.items()
        for target, path in _TARGETS.items()
    },
    "root": "/",
    "absolute": "/files//etc/passwd",
    "absolute-encoded": "/files/%2fetc%2fpasswd",
    "no-prefix": "/etc/passwd",
    "symlink-out": f"/files/{DAY}/out.pdf",
    "symlink-within": f"/files/{DAY}/within.pdf",
    "symlink-directory": f"/files/{DAY}/away/secret.pdf",
    "symlink-directory-list": f"/files/{DAY}/away/",
    "symlink-loop": f"/files/{DAY}/loop/x.pdf",
    "fifo": f"/files/{DAY}/pipe.pdf",
    "draft": f"/files/{DAY}/.{STEM}.pdf.tmp",
    "draft-suffix": f"/files/{DAY}/{STEM}.xlsx.tmp",
    "draft-upper": f"/files/{DAY}/{STEM}.xlsx.TMP/../{STEM}.xlsx.tmp",
    "draft-null": f"/files/{DAY}/{STEM}.xlsx.tmp%00.pdf",
    "lock": f"/files/{DAY}/.{STEM}.lock",
    "query-path": f"/files/?path=../outside/secret.pdf&after={'x' * 5000}",
    "fragment": "/files/#/../outside/secret.pdf",
    "absolute-uri": "http://elsewhere/files/../outside/secret.pdf",
    "authority": "//files/../../etc/passwd",
    "no-slash": "files/2026/",
    "star": "*",
    "long": "/files/" + "x" * 60_000,
    "many-parts": "/files/" + "x/" * 20_000,
    "many-dots": "/files/" + "../" * 20_000 + "etc/passwd",
    "bad-escape": "/files/%",
    "bad-unicode": "/files/%ff%fe",
    "surrogate": "/files/%ed%a0%80",
    "carriage-return": "/files/%0d%0aX-Injected:%201",
    "glob": "/files/*",
    "tilde": "/files/~root/.ssh/id_rsa",
    "device": "/files/dev/zero",
}
PATHS = [Vector("file-path", name, Who.NETWORK, path) for name, path in _PLAIN.items()]

_LINES = "GET /files/ HTTP/1.1\r\nHost: x\r\n"
_ODD: Mapping[str, bytes] = {
    "empty": b"\r\n\r\n",
    "no-version": b"GET /files/../outside/secret.pdf\r\n\r\n",
    "version": b"GET /files/ HTTP/9.9\r\n\r\n",
    "tls": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 200,
    "method-long": b"G" * 70_000 + b" / HTTP/1.1\r\n\r\n",
    "header-long": (_LINES + "X: " + "x" * 70_000 + "\r\n\r\n").encode(),
    "headers-many": (_LINES + "X: x\r\n" * 5000 + "\r\n").encode(),
    "header-null": (_LINES + "X: \x00\r\n\r\n").encode(),
    "header-fold": (_LINES + "X: a\r\n b\r\n\r\n").encode(),
    "length-and-chunked": (
        _LINES + "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    ).encode(),
    "two-lengths": (_LINES + "Content-Length: 0\r\nContent-Length: 50\r\n\r\n").encode(),
    "length-negative": (_LINES + "Content-Length: -1\r\n\r\n").encode(),
    "length-huge": (_LINES + "Content-Length: 99999999999999999999\r\n\r\n").encode(),
    "range-huge": (_LINES + "Range: bytes=0-,0-,0-,0-\r\n\r\n").encode(),
    "pipelined": (_LINES + "\r\nGET /etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n").encode(),
    "upgrade": (_LINES + "Upgrade: h2c\r\nConnection: Upgrade\r\n\r\n").encode(),
    "expect": (_LINES + "Expect: 100-continue\r\nContent-Length: 5\r\n\r\n").encode(),
    "post": b"POST /files/ HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello",
    "put": f"PUT /files/{DAY}/x.pdf HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx".encode(),
    "delete": f"DELETE /files/{DAY}/{STEM}.pdf HTTP/1.1\r\nHost: x\r\n\r\n".encode(),
    "connect": b"CONNECT 169.254.169.254:80 HTTP/1.1\r\nHost: x\r\n\r\n",
    "trace": b"TRACE /files/ HTTP/1.1\r\nHost: x\r\nX: secret\r\n\r\n",
}
ODD = [Vector("file-request", name, Who.NETWORK, raw) for name, raw in _ODD.items()]

# -- admin API ------------------------------------------------------------------------------

STATUS = "/api/admin/scheduler/status"
SHUTDOWN = "/api/admin/scheduler/shutdown"
_FOREIGN = (
    "evil.example", "evil.example:3000", "localhost.evil.example", "127.0.0.1.nip.io",
    "localhost@evil.example", "localhost:3000@evil.example", "evil.example#localhost",
    "[::ffff:7f00:1]", "0.0.0.0", "0", "2130706433", "0x7f000001", "017700000001", "127.1",  # noqa: S104
    "localhost.", "LOCALHOST.evil.example", "localhost%00.evil.example", "ⓛocalhost",
    "localhost, evil.example", "10.0.0.1", "169.254.169.254", "kubernetes.default.svc", "",
    "localhost:3000:80@x", "[::1]evil.example", "xn--localhost", "localhost\tevil",
)  # fmt: skip
_ORIGINS = (
    "null", "http://evil.example", "https://localhost", "http://localhost:1",
    "http://localhost.evil.example", "http://localhost@evil.example", "file://", "about:blank",
    "chrome-extension://x", "http://[::1]", "http://127.0.0.1:1", "", "HTTP://EVIL.EXAMPLE",
    "http://localhost:3000.evil.example", "data:", "moz-extension://x", "http://",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Call:
    """A call from loopback that no person's own program makes."""

    method: str = "GET"
    path: str = STATUS
    headers: tuple[tuple[str, str], ...] = ()
    host: str | None = None


def _callers() -> dict[str, Call]:
    found = {f"host-{host or 'empty'}": Call(host=host) for host in _FOREIGN}
    found |= {
        f"host-post-{host or 'empty'}": Call("POST", SHUTDOWN, host=host) for host in _FOREIGN[:8]
    }
    found |= {
        f"origin-{origin or 'empty'}": Call("POST", SHUTDOWN, (("Origin", origin),))
        for origin in _ORIGINS
    }
    found |= {
        f"origin-get-{origin or 'empty'}": Call(headers=(("Origin", origin),))
        for origin in _ORIGINS[:6]
    }
    for site in ("cross-site", "same-site"):
        for mode, dest in (
            ("no-cors", "image"),
            ("cors", "empty"),
            ("navigate", "iframe"),
            ("no-cors", "script"),
            ("websocket", "websocket"),
            ("navigate", "object"),
            ("navigate", "embed"),
        ):
            headers = (("Sec-Fetch-Site", site), ("Sec-Fetch-Mode", mode), ("Sec-Fetch-Dest", dest))
            found[f"fetch-{site}-{mode}-{dest}"] = Call(headers=headers)
        post = (
            ("Sec-Fetch-Site", site),
            ("Sec-Fetch-Mode", "navigate"),
            ("Sec-Fetch-Dest", "document"),
        )
        found[f"fetch-post-{site}"] = Call("POST", SHUTDOWN, post)
    return found


CALLERS = [Vector("api-caller", name, Who.NETWORK, call) for name, call in _callers().items()]

_HEAD = f"GET {STATUS} HTTP/1.1\r\nHost: localhost\r\n"
_POST = f"POST {SHUTDOWN} HTTP/1.1\r\nHost: localhost\r\n"
_SMUGGLED = f"POST {SHUTDOWN} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n"
# Whoever forwards these reads one request; the API is not to read a second one out of them.
_RAW: Mapping[str, bytes] = {
    "length-and-chunked": (
        _HEAD + f"Content-Length: {len(_SMUGGLED) + 5}\r\nTransfer-Encoding: chunked\r\n\r\n"
        f"0\r\n\r\n{_SMUGGLED}"
    ).encode(),
    "chunked-twice": (
        _HEAD + "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n"
        f"0\r\n\r\n{_SMUGGLED}"
    ).encode(),
    "chunked-odd": (
        _HEAD + f"Transfer-Encoding: xchunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n{_SMUGGLED}"
    ).encode(),
    "chunked-tab": (
        _HEAD + f"Transfer-Encoding:\tchunked\x0b\r\nContent-Length: 4\r\n\r\n0\r\n\r\n{_SMUGGLED}"
    ).encode(),
    "chunk-size-sign": (
        _HEAD + f"Transfer-Encoding: chunked\r\n\r\n+0\r\n\r\n{_SMUGGLED}"
    ).encode(),
    "chunk-size-hex": (
        _HEAD + f"Transfer-Encoding: chunked\r\n\r\n0x0\r\n\r\n{_SMUGGLED}"
    ).encode(),
    "chunk-size-huge": (
        _HEAD + f"Transfer-Encoding: chunked\r\n\r\nffffffffffffffff1\r\n\r\n{_SMUGGLED}"
    ).encode(),
    "two-lengths": (
        _HEAD + f"Content-Length: 0\r\nContent-Length: {len(_SMUGGLED)}\r\n\r\n{_SMUGGLED}"
    ).encode(),
    "length-list": (_HEAD + f"Content-Length: 0, 0\r\n\r\n{_SMUGGLED}").encode(),
    "length-sign": (_HEAD + f"Content-Length: +5\r\n\r\nhello{_SMUGGLED}").encode(),
    "length-negative": (_HEAD + f"Content-Length: -5\r\n\r\n{_SMUGGLED}").encode(),
    "length-huge": (_HEAD + "Content-Length: 99999999999999999999\r\n\r\n").encode(),
    "header-space": (_HEAD + f"Content-Length : 5\r\n\r\nhello{_SMUGGLED}").encode(),
    "header-fold": (_HEAD + f"X: a\r\n Content-Length: 5\r\n\r\n{_SMUGGLED}").encode(),
    "bare-line-feed": (_HEAD + "X: a\n\n" + _SMUGGLED).encode(),
    "bare-carriage-return": (_HEAD + "X: a\r\r\n\r" + _SMUGGLED).encode(),
    "null-in-header": (_HEAD + "X: \x00\r\n\r\n").encode(),
    "two-hosts": (_POST + "Host: evil.example\r\nContent-Length: 0\r\n\r\n").encode(),
    "two-hosts-first": (
        f"POST {SHUTDOWN} HTTP/1.1\r\nHost: evil.example\r\nHost: localhost\r\n"
        "Content-Length: 0\r\n\r\n"
    ).encode(),
    "no-host": f"POST {SHUTDOWN} HTTP/1.1\r\nContent-Length: 0\r\n\r\n".encode(),
    "http-1.0-no-host": f"POST {SHUTDOWN} HTTP/1.0\r\nContent-Length: 0\r\n\r\n".encode(),
    "absolute-uri": (
        f"POST http://evil.example{SHUTDOWN} HTTP/1.1\r\nHost: evil.example\r\n"
        "Content-Length: 0\r\n\r\n"
    ).encode(),
    "headers-many": (_HEAD + "X: x\r\n" * 20_000 + "\r\n").encode(),
    "header-long": (_HEAD + "X: " + "x" * 300_000 + "\r\n\r\n").encode(),
    "line-long": f"GET /{'x' * 300_000} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode(),
    "body-long": (_POST + f"Content-Length: 70000\r\n\r\n{'x' * 70_000}").encode(),
    "form-post": (
        _POST + "Content-Type: text/plain\r\nOrigin: http://evil.example\r\n"
        "Content-Length: 2\r\n\r\n{}"
    ).encode(),
    "websocket": (
        _HEAD + "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: "
        "dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nOrigin: http://evil.example\r\n\r\n"
    ).encode(),
    "h2-preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "connect": b"CONNECT 169.254.169.254:80 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "forwarded-for": (
        _POST.replace("localhost", "evil.example")
        + "X-Forwarded-Host: localhost\r\nX-Forwarded-For: 127.0.0.1\r\nContent-Length: 0\r\n\r\n"
    ).encode(),
    "method-override": (
        _HEAD + "X-HTTP-Method-Override: POST\r\nOrigin: http://evil.example\r\n\r\n"
    ).encode(),
}
RAW = [Vector("api-request", name, Who.NETWORK, raw) for name, raw in _RAW.items()]

_API_FILES = "/api/admin/reports/files"
_API_PATHS: Mapping[str, str] = {
    **{
        f"namespace-{name or 'empty'}": f"{_API_FILES}/{name}/x.pdf"
        for name in (
            "kube-system",
            "169.254.169.254%2f",
            "a.b",
            "..",
            "%2e%2e",
            "%00",
            "UPPER",
            "localhost",
            "127.0.0.1",
            "x@evil.example",
            "x%40evil.example",
            "x%23",
            "x%3f",
            "x:80",
            "-x",
            "x" * 64,
            "%ef%bc%8e",
            "team-a%2f..%2fteam-b",
            "a%0d%0ab",
            "evil.example%2f",
        )
    },
    **{
        f"path-{dots}": f"{_API_FILES}/team-a/{text * 3}etc/passwd"
        for dots, text in _DOTS.items()
        if "%00" not in text or dots == "null"
    },
    "job-id-path": "/api/admin/scheduler/jobs/..%2f..%2f..%2fsecrets",
    "job-id-long": f"/api/admin/scheduler/jobs/{'x' * 5000}",
    "job-id-null": "/api/admin/scheduler/jobs/%00",
    "job-id-sql": "/api/admin/scheduler/jobs/'%20OR%201=1--",
    "cursor-garbage": "/api/admin/scheduler/jobs?cursor=AAAA",
    "cursor-json": "/api/admin/scheduler/jobs?cursor=eyJfX2NsYXNzX18iOjF9",
    "limit-huge": "/api/admin/scheduler/jobs?limit=99999999999",
    "limit-negative": "/api/admin/scheduler/jobs?limit=-1",
    "unknown-parameter": "/api/admin/scheduler/jobs?frobnicate=1",
    "since-garbage": "/api/admin/scheduler/jobs?since=9999999-01-01",
    "type-sql": "/api/admin/scheduler/jobs?report_type=x'%3bDROP%20TABLE%20runs--",
    "period-huge": "/api/admin/scheduler/analytics/failures?period=9999999999d",
    "period-negative": "/api/admin/scheduler/analytics/failures?period=-1d",
    "traversal-static": "/static/../../../../etc/passwd",
    "traversal-assets": "/assets/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
    "markup-in-path": "/%3Cscript%3Ealert(1)%3C/script%3E",
}
API_PATHS = [Vector("api-path", name, Who.NETWORK, path) for name, path in _API_PATHS.items()]
