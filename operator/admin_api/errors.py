"""Refusals with an HTTP status, and errors that mean the API server is unavailable."""

from __future__ import annotations

import aiohttp

from report_operator.adapters.kube.client import ApiError

PROBLEM = "application/problem+json"  # RFC 9457

# What calls raise while the API server is unavailable.
UNREACHABLE = (ApiError, aiohttp.ClientError, OSError, TimeoutError)


class RefusedError(Exception):
    """`status` is HTTP's; the message names the remedy."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


def reason_of(error: Exception) -> str:
    """The reason why something is unavailable, as a message."""
    if isinstance(error, TimeoutError):
        return "it does not answer in time"
    return str(error) or type(error).__name__
