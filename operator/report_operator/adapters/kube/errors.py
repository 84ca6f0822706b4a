"""What the API server answers instead of a success."""

from __future__ import annotations

import aiohttp

from report_operator.adapters.kube.decoding import decode


class ApiError(Exception):
    """An answer of the API server that is not a success."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(f"{status} {reason}: {message}")
        self.status = status
        self.reason = reason
        self.message = message

    @property
    def is_conflict(self) -> bool:
        """Another writer was first: read again, decide again."""
        return self.status == 409 and self.reason != "AlreadyExists"


# The API server refused, or could not be reached: the same request may succeed the next time.
API_ERRORS = (ApiError, aiohttp.ClientError, OSError, TimeoutError)


def api_error(status: int, raw: bytes) -> ApiError:
    """From an answer; proxies on the way send other bodies than a Status."""
    try:
        answer = decode(raw)
        return ApiError(status, answer.get("reason", ""), answer.get("message", ""))
    except (ValueError, AttributeError):
        return ApiError(status, "", raw[:300].decode(errors="replace"))
