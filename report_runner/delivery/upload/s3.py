"""Places in object storage: one conditional PUT, which either is there whole or not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING
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
from report_runner.object_store import open_store, read_keys, refusal_of

if TYPE_CHECKING:
    from obstore.store import ClientConfig  # it is in the type stubs alone

RETRIES = 2
AMAZON = "https://s3.{region}.amazonaws.com"
_TAKEN = (FileExistsError, exceptions.AlreadyExistsError, exceptions.PreconditionError)


@dataclass(frozen=True, slots=True)
class Bucket:
    """One bucket, and the settings of its client."""

    name: str
    endpoint: str
    region: str
    keys: dict[str, str]
    client: ClientConfig
    secret: str
    policy: EgressPolicy

    @property
    def origin(self) -> str:
        """See Place."""
        return f"{self.endpoint} {self.region} {self.name}"

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
                yield open_store(
                    self.name,
                    self.endpoint,
                    proxy.url,
                    self.keys,
                    retries=RETRIES,
                    seconds=timedelta(seconds=STALL_SECONDS),
                    client=self.client,
                    region=self.region,
                    checksum_algorithm="SHA256",
                )
            except (exceptions.BaseError, OSError, ValueError) as error:
                if guard.refused is not None:
                    raise PlaceError(str(guard.refused), permanent=True) from None
                code = refusal_of(error)
                if code is not None:
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
    endpoint = (spec.endpoint or AMAZON.format(region=spec.region)).rstrip("/")
    client: ClientConfig = {
        "connect_timeout": timedelta(seconds=CONNECT_SECONDS),
        "read_timeout": timedelta(seconds=STALL_SECONDS),
    }
    ca = secrets.certificates(secret, where)
    if ca is not None:
        client["root_certificate"] = ca.read_text()
    keys = read_keys(secrets, secret, where, mounted.ascii_line)
    return Bucket(spec.bucket, endpoint, spec.region, keys, client, secret, context.egress)
