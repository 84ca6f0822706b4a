"""A client of S3-compatible object storage that connects where the guard lets it, and nowhere else.

obstore resolves names by itself, so it goes through a proxy of the run's own.
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from obstore import exceptions
from obstore.store import S3Store

from report_runner import mounted
from report_runner.mounted import Check, Secrets

if TYPE_CHECKING:
    from obstore.store import ClientConfig  # it is in the type stubs alone

# Error codes of S3 that a retry does not mend.
_WRONG = re.compile(
    "NoSuchBucket|InvalidBucketName|InvalidAccessKeyId|SignatureDoesNotMatch|AccessDenied|"
    "InvalidToken|ExpiredToken|AuthorizationHeaderMalformed|PermanentRedirect|InvalidRegion|"
    "IllegalLocationConstraintException|without LOCATION"
)
_DENIED = (PermissionError, exceptions.PermissionDeniedError, exceptions.UnauthenticatedError)


def refusal_of(error: Exception) -> str | None:
    """` (CODE)` or '' where the server refuses what no retry mends; None for anything else."""
    found = _WRONG.search(str(error))
    if found is None and not isinstance(error, _DENIED):
        return None
    return f" ({found[0]})" if found else ""


def read_keys(secrets: Secrets, secret: str, field: str, check: Check) -> dict[str, str]:
    """The credentials of a Secret, as options of the client. Raises RunError."""

    def read(key: str, default: str | None = None) -> str:
        by = check if default is None else mounted.ascii_line
        return secrets.read(secret, key, field, by, default)

    found = {
        "access_key_id": read("accessKeyId"),
        "secret_access_key": read("secretAccessKey"),
    }
    if token := read("sessionToken", ""):
        found["session_token"] = token
    return found


def open_store(
    bucket: str,
    endpoint: str,
    proxy: str,
    keys: dict[str, str],
    *,
    retries: int,
    seconds: timedelta,
    client: ClientConfig,
    **options: Any,
) -> S3Store:
    """`seconds` are for all tries of a request; `client` has its time-outs and certificates."""
    given: dict[str, Any] = {**keys, **options}
    # With keys of its own it asks neither the environment nor a metadata service for others.
    return S3Store(
        bucket,
        endpoint=endpoint,
        virtual_hosted_style_request=False,
        client_options={
            **client,
            "proxy_url": proxy,
            "allow_http": endpoint.startswith("http://"),
            # The proxy sends one request on, and no second one on the same connection.
            "pool_max_idle_per_host": "0",
        },
        retry_config={"max_retries": retries, "retry_timeout": seconds},
        **given,
    )
