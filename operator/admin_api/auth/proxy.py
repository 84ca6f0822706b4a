"""An authenticating proxy before the API: whose identity headers count, and as whom.

Anybody who reaches the port can send X-Forwarded-User. Such a header counts only beside the secret
that the proxy and this API share; without it a request that has one is refused, not answered as
somebody else's, so that a proxy whose secret is missing lets nobody in. The user that the proxy
names has no right by that: the API server is asked (SubjectAccessReview) about the name and the
groups, each behind a prefix, so that no provider's user can have the name of another one
(`system:masters` is `oidc:system:masters`).
"""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

from admin_api.auth.request_bounds import Refusal
from admin_api.auth.tokens import User
from report_operator.config import ApiProxyConfig

logger = logging.getLogger(__name__)

KEY = "secret"  # of the Secret; each line is one, so that it can be changed without a gap
SECRET_CHARACTERS = 32  # at least
USER_CHARACTERS = 256
GROUPS = 200
# As oauth2-proxy names who it let in. None is believed without the secret, also not those that are
# not configured: their sender means them.
IDENTITY_HEADERS = frozenset(
    f"{family}-{what}"
    for family in ("x-forwarded", "x-auth-request")
    for what in ("user", "email", "groups", "preferred-username")
)
Headers = Iterable[tuple[bytes, bytes]]


class ProxySecretError(ValueError):
    """The secret cannot be read, or is none; the message names the file."""


@dataclass(frozen=True, slots=True)
class Proxied:
    """A request of the proxy. Without a user the proxy let it through for the sake of its token."""

    user: User | None


@dataclass(frozen=True, slots=True)
class Proxy:
    """The proxy that is configured; header names are in lower case."""

    directory: Path  # where the Secret is mounted
    secret_header: str
    user_header: str
    groups_header: str  # empty: no groups
    prefix: str
    hosts: frozenset[str]  # as a browser sends them

    @classmethod
    def of(cls, config: ApiProxyConfig) -> Proxy:
        return cls(
            config.secret,
            config.secret_header.lower(),
            config.user_header.lower(),
            config.groups_header.lower(),
            config.prefix,
            frozenset(host.removesuffix(":443") for host in config.hosts),
        )

    def secrets(self) -> list[bytes]:
        """Read anew at each request. Raises ProxySecretError."""
        path = self.directory / KEY
        try:
            found = [line.strip() for line in path.read_bytes().splitlines() if line.strip()]
        except OSError as error:
            raise ProxySecretError(f"{path}: {error.strerror or error}") from error
        if not found or min(map(len, found)) < SECRET_CHARACTERS:
            raise ProxySecretError(
                f"{path}: needs at least {SECRET_CHARACTERS} characters in each line, such as "
                "`openssl rand -hex 32` prints"
            )
        return found

    def form_key(self) -> bytes:
        """The key of the pages' forms: all replicas have the same. Raises ProxySecretError."""
        return hmac.digest(self.secrets()[0], b"forms of the admin API", "sha256")

    def judge(self, raw: Headers) -> Proxied | Refusal | None:
        """None where the request has no header of a proxy."""
        headers = list(raw)
        refusal = self._ambiguity(headers)
        if refusal is not None:
            return refusal
        known = {name.decode("latin-1").lower(): value for name, value in headers}
        sent = sorted(self._watched & known.keys())
        if not sent:
            return None
        if self.secret_header not in known:
            return 403, (
                f"{', '.join(sent)}: believed of the authenticating proxy alone, which shows its "
                f"secret in {self.secret_header}; leave the header out"
            )
        try:
            secrets = self.secrets()
        except ProxySecretError as error:
            logger.error("the proxy is not believed: %s", error)  # noqa: TRY400
            return 503, "the secret of the authenticating proxy cannot be read; the log has why"
        if not is_among(known[self.secret_header], secrets):
            return 403, f"{self.secret_header}: not the secret of the authenticating proxy"
        return self._proxied(known)

    @property
    def _watched(self) -> frozenset[str]:
        own = {self.secret_header, self.user_header, self.groups_header} - {""}
        return IDENTITY_HEADERS | own

    def _ambiguity(self, headers: Sequence[tuple[bytes, bytes]]) -> Refusal | None:
        """What another reader of the request may take for one of the headers, or two of them."""
        watched = self._watched
        names = [name.decode("latin-1").lower() for name, _ in headers]
        alike = [name for name in names if name.replace("_", "-") in watched]
        if odd := sorted(set(alike) - watched):
            return 400, f"{', '.join(odd)}: write the header with dashes"
        twice = sorted(name for name, count in Counter(alike).items() if count > 1)
        return (400, f"{', '.join(twice)}: send the header once") if twice else None

    def _proxied(self, headers: dict[str, bytes]) -> Proxied | Refusal:
        user, groups = _text(headers.get(self.user_header)), _text(headers.get(self.groups_header))
        if user is None or groups is None or len(user) > USER_CHARACTERS:
            return 400, (
                f"{self.user_header}, {self.groups_header}: UTF-8 without control characters, "
                f"a user of at most {USER_CHARACTERS}"
            )
        if not user:
            if groups:
                return 401, f"{self.user_header} is missing: the proxy names groups and no user"
            return Proxied(None)
        if "authorization" in headers and headers["authorization"][:7].lower() == b"bearer ":
            return 400, (
                f"Authorization and {self.user_header} may name two callers: have the proxy pass "
                "one of them"
            )
        named = sorted({group.strip() for group in groups.split(",")} - {""})
        if len(named) > GROUPS:
            return 400, f"{self.groups_header}: at most {GROUPS} groups"
        prefixed = [f"{self.prefix}{group}" for group in named]
        return Proxied(User(f"{self.prefix}{user}", groups=json.dumps(prefixed)))


def is_among(given: bytes, secrets: Sequence[bytes]) -> bool:
    """Compared in a time that does not tell how much of it was right, or which one."""
    digest = hashlib.sha256(given).digest()
    found = [hmac.compare_digest(digest, hashlib.sha256(each).digest()) for each in secrets]
    return any(found)


def proxied_refusal(
    method: str, headers: dict[str, str], hosts: frozenset[str], *, is_user: bool
) -> Refusal | None:
    """Refuses what another site's page may have sent with the cookie of the proxy's session.

    A browser names the page's origin in each request that changes something: who does not is
    refused, but for callers with a token, which a page of another site cannot have.
    """
    host = headers.get("host", "").lower().removesuffix(":443")
    if host not in hosts:
        return HTTPStatus.MISDIRECTED_REQUEST, (
            f"Host {host or 'is missing'}: not among the hosts of the authenticating proxy, which "
            "has to pass on the one that the browser asked for (adminApi.proxy.hosts)"
        )
    if not is_user:
        return None
    origin = headers.get("origin")
    reads = method in ("GET", "HEAD")
    if origin is None and not reads:
        return 403, "Origin is missing: only a page of this site may do this; scripts use a token"
    if origin is not None and origin.lower().removesuffix(":443") != f"https://{host}":
        return 403, f"Origin {origin}: other sites may not call this API"
    return None


def _text(value: bytes | None) -> str | None:
    """None where it is not printable UTF-8."""
    try:
        text = (value or b"").decode().strip()
    except UnicodeDecodeError:
        return None
    return text if text.isprintable() else None
