"""What the API server refuses is an answer; only one that does not serve is 503."""

from __future__ import annotations

import aiohttp
import pytest

from admin_api.errors import refused_by_cluster
from report_operator.adapters.kube.client import ApiError


@pytest.mark.parametrize(
    ("code", "reason", "message", "status", "words"),
    [
        (
            403,
            "Forbidden",
            'jobs.batch "daily-r1" is forbidden: exceeded quota: q, requested: count/jobs.batch=1, '
            "used: count/jobs.batch=1, limited: count/jobs.batch=1",
            409,
            "QuotaExceeded: exceeded quota: q, requested: count/jobs.batch=1",
        ),
        (
            400,
            "BadRequest",
            'admission webhook "w.example.com" denied the request: not on Sundays',
            403,
            "not on Sundays",
        ),
        (
            500,
            "InternalError",
            'Internal error occurred: failed calling webhook "w": failed to call webhook: dial tcp '
            "10.0.0.1:443: connect: connection refused",
            409,
            "the webhook's server does not answer",
        ),
        (
            403,
            "Forbidden",
            'jobs.batch is forbidden: User "system:serviceaccount:a:b" cannot create resource '
            '"jobs" in API group "batch" in the namespace "reports"',
            403,
            "lacks the right to create jobs",
        ),
        (422, "Invalid", 'Job.batch "x" is invalid: spec.x: Invalid value', 409, "spec.x"),
        (409, "Conflict", "the object has been modified", 409, "has been modified"),
        (404, "NotFound", 'namespaces "reports" not found', 409, "namespace reports does not"),
    ],
)
def test_refusal(code: int, reason: str, message: str, status: int, words: str) -> None:
    found = refused_by_cluster(ApiError(code, reason, message))
    assert found is not None
    assert found.status == status
    assert found.message.startswith("Kubernetes refuses it: ")
    assert words in found.message
    assert "developers" not in found.message


@pytest.mark.parametrize(
    "error",
    [
        ApiError(401, "Unauthorized", "Unauthorized"),
        ApiError(429, "TooManyRequests", "too many requests"),
        ApiError(500, "InternalError", "etcdserver: request timed out"),
        ApiError(503, "ServiceUnavailable", "apiserver is shutting down"),
        aiohttp.ClientConnectionError("refused"),
        TimeoutError(),
    ],
)
def test_one_that_does_not_serve(error: Exception) -> None:
    assert refused_by_cluster(error) is None
