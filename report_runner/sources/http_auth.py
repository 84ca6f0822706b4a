"""Credentials of an HTTP source, from Secrets: headers, or a parameter of the query."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from urllib.parse import quote, quote_plus

from yarl import URL

from report_runner import mounted
from report_runner.contract.http_source import HttpSource, OAuth2Auth
from report_runner.models import RunError
from report_runner.mounted import Secrets
from report_runner.redaction import SecretEntry
from report_runner.sources.http_client import HttpClient, HttpRequest, UnauthorizedError
from report_runner.sources.records import decode, parse_json
from report_runner.sources.typed import ShapeError

TOKEN_LIMIT = 16_384  # characters


def credential(text: str) -> str | None:
    """One line of ASCII that can stand in a header."""
    return mounted.ascii_line(text) if text else "is empty"


def user_name(text: str) -> str | None:
    """The part before the colon in Basic."""
    if not text or ":" in text:
        return "has to be a name without a colon"
    return mounted.password(text)


@dataclass(slots=True)
class Credentials:
    """What goes with every request to the source's own origin."""

    headers: dict[str, str] = field(default_factory=dict)
    parameters: dict[str, str] = field(default_factory=dict)
    oauth2: OAuth2Auth | None = None


def read_credentials(source: HttpSource, field_name: str, secrets: Secrets) -> Credentials:
    """Raises RunError, which names Secret and key."""
    found = Credentials()
    for number, header in enumerate(source.headers):
        if header.secret_ref is not None:
            place = f"{field_name}.headers[{number}].secretRef"
            found.headers[header.name] = secrets.read(
                header.secret_ref.name, header.key, place, credential
            )
        else:
            found.headers[header.name] = header.value or ""
    auth = source.auth
    if auth is None:
        return found
    place = f"{field_name}.auth"
    if auth.bearer is not None:
        token = secrets.read(
            auth.bearer.secret_ref.name, "token", f"{place}.bearer.secretRef", credential
        )
        found.headers["Authorization"] = f"Bearer {token}"
    elif auth.basic is not None:
        name, where = auth.basic.secret_ref.name, f"{place}.basic.secretRef"
        user = secrets.read(name, "username", where, user_name)
        word = secrets.read(name, "password", where, mounted.password)
        found.headers["Authorization"] = basic(user, word)
    elif auth.api_key is not None:
        key = secrets.read(
            auth.api_key.secret_ref.name, "apiKey", f"{place}.apiKey.secretRef", credential
        )
        if auth.api_key.header is not None:
            found.headers[auth.api_key.header] = key
        elif auth.api_key.parameter is not None:
            found.parameters[auth.api_key.parameter] = key
    else:
        found.oauth2 = auth.oauth2
    return found


def basic(user: str, word: str) -> str:
    """The value of `Authorization` (RFC 7617)."""
    return "Basic " + base64.b64encode(f"{user}:{word}".encode()).decode()


async def fetch_token(
    auth: OAuth2Auth, field_name: str, client: HttpClient, secrets: Secrets
) -> str:
    """The value of `Authorization` with a new access token. Raises RunError."""
    place = f"{field_name}.auth.oauth2"
    name, where = auth.secret_ref.name, f"{place}.secretRef"
    user = secrets.read(name, "clientId", where, credential)
    word = secrets.read(name, "clientSecret", where, credential)
    body = "grant_type=client_credentials"
    if auth.scope:
        body += f"&scope={quote_plus(auth.scope)}"
    request = HttpRequest(
        URL(auth.token_url),
        method="POST",
        body=body.encode(),
        private={
            # RFC 6749, section 2.3.1: each part is encoded before Basic joins them.
            "Authorization": basic(quote(user, safe=""), quote(word, safe="")),
            "Content-Type": "application/x-www-form-urlencoded",
        },
        accept="application/json",
    )
    try:
        answer = await client.ask(request)
        found = parse_json(decode(answer.content))
    except UnauthorizedError:
        raise client.wrong(
            f"the token endpoint does not take clientId and clientSecret of Secret {name}"
        ) from None
    except ShapeError as error:
        raise client.wrong(f"the token endpoint's answer: {error}") from None
    token = found.get("access_token") if isinstance(found, dict) else None
    kind = found.get("token_type", "Bearer") if isinstance(found, dict) else None
    if not isinstance(token, str) or credential(token) or len(token) > TOKEN_LIMIT:
        raise client.wrong("the token endpoint's answer has no access_token")
    if not isinstance(kind, str) or kind.lower() != "bearer":
        raise client.wrong("the token endpoint gives a token of another type than Bearer")
    secrets.redact.add(SecretEntry(name, "accessToken", token))
    return f"Bearer {token}"


__all__ = ["Credentials", "RunError", "basic", "fetch_token", "read_credentials"]
