"""The admin API over HTTP, with the standard library: the command is to answer at once."""

from __future__ import annotations

import getpass
import http.client
import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

SCHEDULER = "/api/admin/scheduler"
REPORTS = "/api/admin/reports"
SECONDS = 60.0  # for an answer
ANSWER_LIMIT = 32 * 1024 * 1024  # bytes

Body = dict[str, Any]


class RefusedError(Exception):
    """The API says no; the message is its own."""


class UnreachableError(Exception):
    """There is no API to ask, or it cannot do its work now; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Client:
    """Raises RefusedError or UnreachableError. `url` has no path."""

    url: str
    token: str | None = None
    remedy: str = "is the address right, and does the API run?"

    def get(self, path: str, **query: str | int | None) -> Body:
        """Read; parameters that are None are left out."""
        said = {name: value for name, value in query.items() if value is not None}
        return self._call("GET", f"{path}?{urlencode(said)}" if said else path, None, {})

    def post(self, path: str, body: Body | None = None, key: str | None = None) -> Body:
        """Act; `key` goes as Idempotency-Key."""
        return self._call("POST", path, body, {"Idempotency-Key": key} if key else {})

    def _call(self, method: str, path: str, body: Body | None, headers: Mapping[str, str]) -> Body:
        sent = {"Accept": "application/json", "X-On-Call": _who(), **headers}
        if self.token:
            sent["Authorization"] = f"Bearer {self.token}"
        data = None
        if body is not None:
            sent["Content-Type"] = "application/json"
            data = json.dumps(body)
        connection = self._connection()
        try:
            connection.request(method, path, data, sent)
            answer = connection.getresponse()
            raw = answer.read(ANSWER_LIMIT)
        except (OSError, http.client.HTTPException) as error:
            raise UnreachableError(
                f"{self.url} does not answer ({error or type(error).__name__}): {self.remedy}"
            ) from error
        except ValueError as error:  # a token or key with a line break
            raise RefusedError(str(error)) from error
        finally:
            connection.close()
        found = _decoded(raw)
        if answer.status < 300 and found is not None:
            return found
        told = str((found or {}).get("detail") or f"{answer.status} {answer.reason}")
        if answer.status >= 500:
            raise UnreachableError(f"{self.url}: {told}")
        if found is None or "detail" not in found:
            raise UnreachableError(
                f"{self.url} answers {answer.status} as no admin API would: {self.remedy}"
            )
        raise RefusedError(told)

    def _connection(self) -> http.client.HTTPConnection:
        parts = urlsplit(self.url)
        if parts.scheme == "https":
            return http.client.HTTPSConnection(
                parts.netloc, timeout=SECONDS, context=ssl.create_default_context()
            )
        return http.client.HTTPConnection(parts.netloc, timeout=SECONDS)


def job_path(identity: str, verb: str = "") -> str:
    """Path of a job, or of what is done with it."""
    return f"{SCHEDULER}/jobs/{quote(identity, safe='')}{f'/{verb}' if verb else ''}"


def _decoded(raw: bytes) -> Body | None:
    try:
        found = json.loads(raw)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _who() -> str:
    """For the record: who asks, as this machine knows them."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):
        return "cli"
    return name.encode("ascii", "replace").decode()
