"""Client of the admin API, with the standard library only, so that the command starts fast."""

from __future__ import annotations

import getpass
import http.client
import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from admin_cli.wording import in_words_of_commands

SCHEDULER = "/api/admin/scheduler"
REPORTS = "/api/admin/reports"
SCHEDULES = "/api/admin/schedules"
DELIVERIES = "/api/admin/deliveries"
BACKFILLS = "/api/admin/backfills"
SECONDS = 60.0  # for an answer
ANSWER_LIMIT = 32 * 1024 * 1024  # bytes

Body = dict[str, Any]


class RefusedError(Exception):
    """The API refuses a request; the message is the API's."""


class UnreachableError(Exception):
    """The API cannot be reached, or is unavailable; the message names the remedy."""


@dataclass(frozen=True, slots=True)
class Client:
    """Raises RefusedError or UnreachableError. `url` is scheme and host, without a path."""

    url: str
    token: str | None = None
    remedy: str = "is the address right, and does the API run?"

    def get(self, path: str, **query: str | int | bool | None) -> Body:
        """Parameters that are None are left out."""
        given = {
            name: str(value).lower() if isinstance(value, bool) else value
            for name, value in query.items()
            if value is not None
        }
        return self._call("GET", f"{path}?{urlencode(given)}" if given else path, None, {})

    def post(self, path: str, body: Body | None = None, key: str | None = None) -> Body:
        """`key` is sent as Idempotency-Key."""
        return self._call("POST", path, body, {"Idempotency-Key": key} if key else {})

    def _call(self, method: str, path: str, body: Body | None, headers: Mapping[str, str]) -> Body:
        request_headers = {"Accept": "application/json", "X-On-Call": _user_name(), **headers}
        if self.token:
            request_headers["Authorization"] = f"Bearer {self.token}"
        data = None
        if body is not None:
            request_headers["Content-Type"] = "application/json"
            data = json.dumps(body)
        connection = self._connection()
        try:
            connection.request(method, path, data, request_headers)
            answer = connection.getresponse()
            raw = answer.read(ANSWER_LIMIT)
        except (OSError, http.client.HTTPException) as error:
            raise UnreachableError(
                f"{self.url} does not answer ({str(error) or type(error).__name__}): {self.remedy}"
            ) from error
        except ValueError as error:  # a token or key with a line break
            raise RefusedError(str(error)) from error
        finally:
            connection.close()
        decoded = _decode(raw)
        if answer.status < 300 and decoded is not None:
            return decoded
        message = str((decoded or {}).get("detail") or f"{answer.status} {answer.reason}")
        if answer.status >= 500:
            raise UnreachableError(f"{self.url}: {message}")
        if decoded is None or "detail" not in decoded:
            raise UnreachableError(
                f"{self.url} answers {answer.status}, but not as the admin API does: {self.remedy}"
            )
        raise RefusedError(in_words_of_commands(message))

    def _connection(self) -> http.client.HTTPConnection:
        parts = urlsplit(self.url)
        if parts.scheme == "https":
            return http.client.HTTPSConnection(
                parts.netloc, timeout=SECONDS, context=ssl.create_default_context()
            )
        return http.client.HTTPConnection(parts.netloc, timeout=SECONDS)


def job_path(identity: str, action: str = "") -> str:
    """Path of a job, or of an action on it."""
    return f"{SCHEDULER}/jobs/{quote(identity, safe='')}{f'/{action}' if action else ''}"


def verify_path(identity: str) -> str:
    """Path of the newest look at what a run's slot has sent."""
    return f"{DELIVERIES}/verify/{quote(identity, safe='')}"


def backfill_path(namespace: str, name: str, action: str) -> str:
    """Path of an action on a backfill."""
    return f"{BACKFILLS}/{quote(namespace, safe='')}/{quote(name, safe='')}/{action}"


def schedule_path(namespace: str, name: str, action: str = "") -> str:
    """Path of a schedule, or of an action on it."""
    path = f"{SCHEDULES}/{quote(namespace, safe='')}/{quote(name, safe='')}"
    return f"{path}/{action}" if action else path


def _decode(raw: bytes) -> Body | None:
    try:
        found = json.loads(raw)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _user_name() -> str:
    """The local user, for the audit."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):
        return "cli"
    return name.encode("ascii", "replace").decode()
