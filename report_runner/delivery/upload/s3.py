"""Places in object storage: one conditional PUT, which either is there whole or not at all."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import obstore
from obstore import exceptions
from obstore.store import S3Store

from report_runner import mounted
from report_runner.contract.egress import EgressPolicy
from report_runner.contract.upload import S3Place
from report_runner.delivery.channel import DeliveryContext
from report_runner.delivery.upload.place import (
    CHUNK,
    CONNECT_SECONDS,
    STALL_SECONDS,
    OccupiedError,
    PlaceError,
    Stored,
    UploadFile,
    digest_of,
)
from report_runner.egress import Guard
from report_runner.egress.proxy import GuardedProxy

if TYPE_CHECKING:
    from obstore.store import ClientConfig  # it is in the type stubs alone

RETRIES = 2
AMAZON = "https://s3.{region}.amazonaws.com"
# Codes of S3 that no further try mends.
_WRONG = re.compile(
    "NoSuchBucket|InvalidBucketName|InvalidAccessKeyId|SignatureDoesNotMatch|AccessDenied|"
    "InvalidToken|ExpiredToken|AuthorizationHeaderMalformed|PermanentRedirect|InvalidRegion|"
    "IllegalLocationConstraintException|without LOCATION"
)
_DENIED = (PermissionError, exceptions.PermissionDeniedError, exceptions.UnauthenticatedError)
_TAKEN = (FileExistsError, exceptions.AlreadyExistsError, exceptions.PreconditionError)


@dataclass(frozen=True, slots=True)
class Bucket:
    """One bucket, and the settings of its client."""

    name: str
    endpoint: str
    options: dict[str, Any]
    client: ClientConfig
    secret: str
    policy: EgressPolicy

    def read(self, path: str, limit: int) -> Stored | None:
        """See Place."""
        with self._store() as store:
            try:
                answer = obstore.get(store, path)
            except (FileNotFoundError, exceptions.NotFoundError) as error:
                if "NoSuchBucket" in str(error):
                    raise
                return None
            return digest_of(map(bytes, answer.stream(min_chunk_size=CHUNK)), limit)

    def write(
        self, path: str, file: UploadFile, *, replace: bool, begin: Callable[[], None]
    ) -> None:
        """See Place. The server compares the content with the checksum that is sent with it."""
        with self._store() as store:
            begin()
            try:
                obstore.put(
                    store,
                    path,
                    file.path,
                    mode="overwrite" if replace else "create",
                    use_multipart=False,
                    attributes={
                        "Content-Type": file.media_type,
                        "report-id": file.identity,
                        "sha256": file.sha256,
                    },
                )
            except _TAKEN as error:
                raise OccupiedError(path) from error

    @contextmanager
    def _store(self) -> Iterator[S3Store]:
        """A client of this bucket; what goes wrong in the block is told as PlaceError."""
        guard = Guard(self.policy)
        server = urlsplit(self.endpoint).netloc
        with GuardedProxy(guard) as proxy:
            try:
                # With keys of its own it asks neither the environment nor a metadata service.
                yield S3Store(
                    self.name,
                    endpoint=self.endpoint,
                    virtual_hosted_style_request=False,
                    checksum_algorithm="SHA256",
                    client_options={**self.client, "proxy_url": proxy.url},
                    retry_config={
                        "max_retries": RETRIES,
                        "retry_timeout": timedelta(seconds=STALL_SECONDS),
                    },
                    **self.options,
                )
            except (exceptions.BaseError, OSError, ValueError) as error:
                if guard.refused is not None:
                    raise PlaceError(str(guard.refused), permanent=True) from None
                found = _WRONG.search(str(error))
                if found or isinstance(error, _DENIED):
                    code = f" ({found[0]})" if found else ""
                    raise PlaceError(
                        f"{server} refuses this{code}: check bucket, region and the keys of Secret "
                        f"{self.secret}; it has to allow to read and list too, unless readBack is "
                        "false",
                        permanent=True,
                    ) from error
                raise PlaceError(
                    proxy.problem or f"{server} did not answer as object storage does"
                ) from error


def s3_place(spec: S3Place, field: str, context: DeliveryContext) -> Bucket:
    """Raises RunError(ConfigurationError) for a wrong Secret."""
    secret, secrets = spec.secret_ref.name, context.secrets
    where = f"{field}.secretRef"

    def key(name: str, default: str | None = None) -> str:
        return secrets.read(secret, name, where, mounted.ascii_line, default)

    endpoint = (spec.endpoint or AMAZON.format(region=spec.region)).rstrip("/")
    client: ClientConfig = {
        "allow_http": endpoint.startswith("http://"),
        "connect_timeout": timedelta(seconds=CONNECT_SECONDS),
        "read_timeout": timedelta(seconds=STALL_SECONDS),
    }
    ca = secrets.certificates(secret, where)
    if ca is not None:
        client["root_certificate"] = ca.read_text()
    options = {
        "region": spec.region,
        "access_key_id": key("accessKeyId"),
        "secret_access_key": key("secretAccessKey"),
    }
    if token := key("sessionToken", ""):
        options["session_token"] = token
    return Bucket(spec.bucket, endpoint, options, client, secret, context.egress)
