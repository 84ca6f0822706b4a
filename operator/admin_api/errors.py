"""What the API refuses, as exceptions that know their HTTP status."""

from __future__ import annotations

import aiohttp

from report_operator.adapters.kube.client import ApiError

PROBLEM = "application/problem+json"  # RFC 9457

# What a call of the API server raises where it does not serve.
UNREACHABLE = (ApiError, aiohttp.ClientError, OSError, TimeoutError)


class RefusedError(Exception):
    """Something that cannot be; `status` is HTTP's, the message says what to do instead."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


def reason_of(error: Exception) -> str:
    """Why something does not serve, for a person."""
    if isinstance(error, TimeoutError):
        return "it does not answer in time"
    return str(error) or type(error).__name__
