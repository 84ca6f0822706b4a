"""Refusals with an HTTP status, and errors that mean the API server is unavailable."""

from __future__ import annotations

from http import HTTPStatus

import aiohttp

from report_operator.adapters.kube.client import ApiError
from report_operator.domain.runs.refusals import explain_refusal, is_refusal
from report_runner.contract.reasons import Reason

PROBLEM = "application/problem+json"  # RFC 9457

# What calls raise while the API server is unavailable.
UNREACHABLE = (ApiError, aiohttp.ClientError, OSError, TimeoutError)


_CONFLICTS = (404, 409)  # what it is about is gone, or somebody else was first
_FORBIDDEN = (400, 403)  # what webhooks, policies and RBAC answer


class RefusedError(Exception):
    """`status` is HTTP's; the message names the remedy."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


def refused_by_cluster(error: Exception) -> RefusedError | None:
    """An API server that answers and says no: a quota, a webhook, a policy, a missing right.

    None where it does not serve. 403 where somebody decides that it may not be, else 409: it may be
    as soon as what the message names is mended.
    """
    if not isinstance(error, ApiError) or error.status == HTTPStatus.UNAUTHORIZED:
        return None
    if error.status not in _CONFLICTS and not is_refusal(error.status, error.message):
        return None
    cause = explain_refusal(error.message)
    forbidden = cause.reason is Reason.ADMISSION_DENIED and error.status in _FORBIDDEN
    return RefusedError(
        HTTPStatus.FORBIDDEN if forbidden else HTTPStatus.CONFLICT,
        f"Kubernetes refuses it: {cause.reason.value}: {cause.message}",
    )


def reason_of(error: Exception) -> str:
    """The reason why something is unavailable, as a message."""
    if isinstance(error, TimeoutError):
        return "it does not answer in time"
    return str(error) or type(error).__name__
