"""Rows from an HTTP API."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import Field, StringConstraints

from report_runner.contract.bound_text import BindsValues
from report_runner.contract.format_options import Separator
from report_runner.contract.jmes import Expression
from report_runner.contract.model import Integer, Model, QueryDuration
from report_runner.contract.rules import Rule, exactly_one_of, matches
from report_runner.contract.schema import list_map, unique
from report_runner.contract.secret import SecretReference
from report_runner.contract.tabular import (
    MAX_BYTES,
    MAX_ROWS,
    Columns,
    MaxBytes,
    MaxRows,
    bounded_map,
)

_OCTET = "(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_LABEL = "[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?"
# The last label of a name begins with a letter: 127.1, 2130706433 and 0x7f.1 are addresses.
_HOST = (
    f"(({_LABEL}[.])*[A-Za-z]([A-Za-z0-9-]*[A-Za-z0-9])?|({_OCTET}[.]){{3}}{_OCTET}"
    "|\\[[0-9A-Fa-f:.]+\\])"
)
_PORT = "(:[1-9][0-9]{0,4})?"

URL = (
    StringConstraints(max_length=2048),
    matches(
        f"https?://{_HOST}{_PORT}(/[^?#\\\\\\x00-\\x1f\\x7f]*)?",
        "write http(s)://HOST/PATH: the host a name in ASCII or an address in its usual notation, "
        "no user before it; what follows a ? goes into query, and credentials into a Secret",
    ),
)
ENDPOINT = (
    StringConstraints(max_length=2048),
    matches(
        f"https?://{_HOST}{_PORT}/?",
        "write http(s)://HOST or http(s)://HOST:PORT: the host a name in ASCII or an address in "
        "its usual notation, no user before it and no path behind it",
    ),
)

_NAME = matches("[!-~]+", "write a name of visible ASCII characters")
ParameterName = Annotated[str, StringConstraints(max_length=253), _NAME]
HEADERS_LIMIT = 10  # the chart's policy for references looks at each
# Those of the connection, and of what the source itself sends.
OWN_HEADERS = (
    "accept-encoding", "authorization", "connection", "content-length", "cookie", "expect", "host",
    "keep-alive", "proxy-authorization", "te", "trailer", "transfer-encoding", "upgrade",
)  # fmt: skip
_TOKEN = matches("[A-Za-z0-9][A-Za-z0-9_-]*", "write a header's name: letters, digits, '-', '_'")
_NOT_OWN = Rule(
    f"!(self.lowerAscii() in {list(OWN_HEADERS)})",
    "this header is set by the source itself, or by auth",
    lambda name: name.lower() not in OWN_HEADERS,
)
HeaderName = Annotated[str, StringConstraints(max_length=128), _TOKEN, _NOT_OWN]
SecretKey = Annotated[
    str,
    StringConstraints(max_length=253),
    matches("[-._a-zA-Z0-9]+", "write a key of a Secret: letters, digits, '-', '_' and '.'"),
]


class Method(StrEnum):
    """How the rows are asked for."""

    GET = "GET"
    POST = "POST"


class HttpFormat(StrEnum):
    """What the answer is."""

    JSON = "json"
    NDJSON = "ndjson"
    CSV = "csv"


class BearerAuth(Model):
    """`Authorization: Bearer TOKEN`."""

    secret_ref: SecretReference = Field(description="Secret with the key token.")


class BasicAuth(Model):
    """`Authorization: Basic ...`."""

    secret_ref: SecretReference = Field(description="Secret with the keys username and password.")


class ApiKeyAuth(Model):
    """A key in a header, or in the query."""

    rules = (exactly_one_of("header", "parameter"),)

    secret_ref: SecretReference = Field(description="Secret with the key apiKey.")
    header: HeaderName | None = Field(default=None, description="Header that has the key.")
    parameter: ParameterName | None = Field(
        default=None,
        description="Parameter of the query that has the key. Servers log queries: prefer header.",
    )


class OAuth2Auth(Model):
    """OAuth 2.0 client credentials (RFC 6749, section 4.4)."""

    secret_ref: SecretReference = Field(description="Secret with the keys clientId, clientSecret.")
    token_url: Annotated[str, *URL] = Field(description="The token endpoint.")
    scope: (
        Annotated[
            str,
            StringConstraints(max_length=1024),
            matches("[!-~]+( [!-~]+)*", "write scopes with one space between them"),
        ]
        | None
    ) = Field(default=None, description="Scopes to ask for, with spaces between them.")


class HttpAuth(Model):
    """How the source says who it is."""

    rules = (exactly_one_of("bearer", "basic", "api_key", "oauth2"),)

    bearer: BearerAuth | None = Field(default=None, description="A token that is there already.")
    basic: BasicAuth | None = Field(default=None, description="User and password.")
    api_key: ApiKeyAuth | None = Field(default=None, description="A key in a header or the query.")
    oauth2: OAuth2Auth | None = Field(
        default=None, description="A token that is fetched with OAuth 2.0 client credentials."
    )


class HttpHeader(Model):
    """A further header."""

    rules = (exactly_one_of("value", "secret_ref"),)

    name: HeaderName = Field(description="Name of the header.")
    value: (
        Annotated[
            str,
            StringConstraints(max_length=1024),
            matches("[ -~]+", "write one line of ASCII"),
        ]
        | None
    ) = Field(default=None, description="Its value, where that is no secret.")
    secret_ref: SecretReference | None = Field(default=None, description="Secret with its value.")
    key: SecretKey = Field(default="value", description="Key of that Secret.")


class LinkPaging(Model):
    """The header `Link` has the next page (rel=next, RFC 8288)."""


class CursorPaging(Model):
    """Each answer has the cursor of the next one."""

    parameter: ParameterName = Field(description="Parameter of the query that has the cursor.")
    next: Expression = Field(
        description="JMESPath of the next cursor in an answer; null or '' ends it."
    )


class PagePaging(Model):
    """Pages have numbers; the first one without rows ends it."""

    parameter: ParameterName = Field(default="page", description="Parameter of the query.")
    first: Integer = Field(default=1, ge=0, le=1, description="Number of the first page.")


class OffsetPaging(Model):
    """Each request says how many rows to leave out; an answer without rows ends it."""

    parameter: ParameterName = Field(description="Parameter of the query, such as offset.")


class Paging(Model):
    """How the rows are spread over several answers."""

    rules = (exactly_one_of("link", "cursor", "page", "offset"),)

    link: LinkPaging | None = Field(default=None, description="By the header Link.")
    cursor: CursorPaging | None = Field(default=None, description="By a cursor.")
    page: PagePaging | None = Field(default=None, description="By the page's number.")
    offset: OffsetPaging | None = Field(default=None, description="By the number of rows so far.")
    total: Expression | None = Field(
        default=None,
        description="JMESPath of the number of all rows: the run fails where other than so many "
        "came, and page and offset need no last request without rows.",
    )
    max_pages: Integer = Field(
        default=100,
        ge=1,
        le=10_000,
        description="Paging that has not ended by then fails the run: rows are never left out.",
    )


def url_parts(url: str) -> tuple[str, str, int]:
    """Scheme, host and port of a URL that has the form above. Raises ValueError."""
    parts = urlsplit(url)
    usual = 443 if parts.scheme == "https" else 80
    return parts.scheme, parts.hostname or "", parts.port or usual


def _port_fits(url: str) -> bool:
    try:
        url_parts(url)
    except ValueError:
        return False
    return True


_PORT_RULE = Rule(None, "the port is a number up to 65535, an IPv6 address is in []", _port_fits)


class HttpSource(Model):
    """Rows from an HTTP API: JSON, NDJSON or CSV, in one answer or in pages."""

    rules = (
        Rule(
            "!has(self.body) || (has(self.method) && self.method == 'POST')",
            "body needs method POST",
            lambda source: source.body is None or source.method is Method.POST,
            path="body",
        ),
        Rule(
            "!has(self.rows) || !has(self.format) || self.format == 'json'",
            "rows needs format json",
            lambda source: source.rows is None or source.format is HttpFormat.JSON,
            path="rows",
        ),
        Rule(
            "!has(self.separator) || (has(self.format) && self.format == 'csv')",
            "separator needs format csv",
            lambda source: source.separator is None or source.format is HttpFormat.CSV,
            path="separator",
        ),
        Rule(
            "!has(self.paging) || (!has(self.paging.cursor) && !has(self.paging.total)) || "
            "!has(self.format) || self.format == 'json'",
            "cursor and total need format json",
            lambda source: (
                source.paging is None
                or (source.paging.cursor is None and source.paging.total is None)
                or source.format is HttpFormat.JSON
            ),
            path="paging",
        ),
    )

    url: Annotated[BindsValues, *URL, _PORT_RULE] = Field(
        description="http(s)://HOST/PATH. Values are bound into the path, encoded: "
        "{{ report_date }}, {{ slot }} and {{ parameters.NAME }}, with filters. Addresses of the "
        "cluster, loopback, link-local and private ones are refused unless the operator's "
        "configuration allows them."
    )
    method: Method = Field(default=Method.GET, description="GET or POST; both may be repeated.")
    query: dict[ParameterName, Annotated[BindsValues, StringConstraints(max_length=2048)]] = Field(
        default_factory=dict,
        max_length=50,
        json_schema_extra=bounded_map(maxLength=2048),
        description="Parameters of the query, with values bound as in url.",
    )
    body: Annotated[BindsValues, StringConstraints(max_length=65536)] | None = Field(
        default=None,
        description='JSON for POST. Values are bound as JSON: {"day": {{ report_date }}}.',
    )
    auth: HttpAuth | None = Field(
        default=None, description="Credentials, which go to the URL's own host alone."
    )
    headers: Annotated[list[HttpHeader], unique("name")] = Field(
        default_factory=list,
        max_length=HEADERS_LIMIT,
        json_schema_extra=list_map("name"),
        description="Further headers, which go to the URL's own host alone.",
    )
    ca_secret_ref: SecretReference | None = Field(
        default=None,
        description="Secret with ca.crt: the certificates to trust instead of the public ones.",
    )
    format: HttpFormat = Field(default=HttpFormat.JSON, description="json, ndjson or csv.")
    rows: Expression | None = Field(
        default=None,
        description="JMESPath of the array of rows in a JSON answer, such as data.items; the "
        "answer itself without it. Each row is an object.",
    )
    separator: Separator | None = Field(
        default=None, description="Between the cells of a CSV; ',' without it."
    )
    columns: Columns = Field(default_factory=list)
    paging: Paging | None = Field(default=None, description="How to get all pages.")
    timeout: QueryDuration = Field(
        default="5m", description="For all requests together, with the pauses before retries."
    )
    max_rows: MaxRows = MAX_ROWS
    max_bytes: MaxBytes = MAX_BYTES

    def urls(self) -> list[tuple[str, str]]:
        """Field and text of each URL in it."""
        found = [("url", self.url)]
        if self.auth and self.auth.oauth2:
            found.append(("auth.oauth2.tokenUrl", self.auth.oauth2.token_url))
        return found
