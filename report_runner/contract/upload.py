"""Where a finished report is uploaded to: object storage, SFTP, WebDAV, HTTP PUT."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field, StringConstraints

from report_runner.contract.http_source import ENDPOINT, URL
from report_runner.contract.model import ONE_LINE, Boolean, Identifier, Model
from report_runner.contract.report import Format
from report_runner.contract.rules import exactly_one_of, matches
from report_runner.contract.schema import LIST_SET, unique
from report_runner.contract.secret import SecretReference
from report_runner.contract.template_line import IS_TEMPLATE

PLACES_LIMIT = 10
PATH_LIMIT = 500  # characters of the template


class IfExists(StrEnum):
    """What becomes of another file that has the path."""

    FAIL = "Fail"
    REPLACE = "Replace"


class S3Place(Model):
    """A bucket of S3, or of a server that speaks its protocol."""

    bucket: Annotated[
        str,
        StringConstraints(max_length=63),
        matches(
            "[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]",
            "write a bucket's name: 3 to 63 lower case letters, digits, '-' and '.'",
        ),
    ] = Field(description="Name of the bucket.")
    region: Annotated[
        str, StringConstraints(max_length=63), matches("[a-z0-9-]+", "write a region as eu-south-2")
    ] = Field(default="us-east-1", description="Region of the bucket.")
    endpoint: Annotated[str, *ENDPOINT] | None = Field(
        default=None, description="URL of the server; left out, that of Amazon S3 in the region."
    )
    secret_ref: SecretReference = Field(
        description="Secret with the keys accessKeyId, secretAccessKey, and optionally "
        "sessionToken and ca.crt."
    )


class SftpPlace(Model):
    """An SFTP server."""

    secret_ref: SecretReference = Field(
        description="Secret with the keys host, port (22), username, known_hosts (lines as "
        "ssh-keyscan writes them), and password or private_key (with passphrase, where it has one)."
    )


class HttpCredentials(Model):
    """Where an HTTP server's credentials are."""

    secret_ref: SecretReference = Field(
        description="Secret with the keys username and password, or token (sent as Bearer), and "
        "optionally ca.crt."
    )


class WebDavPlace(Model):
    """A folder of a WebDAV server."""

    url: Annotated[str, *URL] = Field(description="URL of the folder below which the paths are.")
    credentials: HttpCredentials | None = Field(default=None, description="How to log in.")


class HttpPutPlace(Model):
    """A server that stores what is PUT at a URL."""

    url: Annotated[str, *URL] = Field(description="URL below which the paths are.")
    credentials: HttpCredentials | None = Field(default=None, description="How to log in.")


class UploadPlace(Model):
    """One place that gets the report's files."""

    rules = (exactly_one_of("s3", "sftp", "webdav", "http_put"),)

    name: Identifier = Field(description="Name in results and messages.")
    path: Annotated[str, StringConstraints(max_length=PATH_LIMIT), ONE_LINE, IS_TEMPLATE] = Field(
        default="{{ name }}/{{ name }}-{{ report_date }}",
        description="Path of a file without its ending, a Jinja2 template. Each file adds its own "
        "ending, such as .pdf or -positions.csv.",
    )
    formats: Annotated[list[Format], unique()] = Field(
        default_factory=list,
        max_length=len(Format),
        json_schema_extra=LIST_SET,
        description="Formats to upload, each one of report.formats; all of them unless said.",
    )
    if_exists: IfExists = Field(
        default=IfExists.FAIL,
        description="What becomes of another file that is there: Fail leaves it and fails the "
        "delivery, Replace writes over it.",
    )
    read_back: Boolean = Field(
        default=True,
        description="Each file is read back and compared. Set it to false for a place that takes "
        "files and shows none: its answer is then all that is known.",
    )
    s3: S3Place | None = Field(default=None, description="Object storage.")
    sftp: SftpPlace | None = Field(default=None, description="An SFTP server.")
    webdav: WebDavPlace | None = Field(default=None, description="A WebDAV server.")
    http_put: HttpPutPlace | None = Field(default=None, description="HTTP PUT at a URL.")

    def urls(self) -> list[tuple[str, str]]:
        """Field and text of each URL that is uploaded to."""
        found = [
            ("s3.endpoint", self.s3.endpoint if self.s3 else None),
            ("webdav.url", self.webdav.url if self.webdav else None),
            ("httpPut.url", self.http_put.url if self.http_put else None),
        ]
        return [(field, url) for field, url in found if url]

    def selected(self) -> tuple[str, Model]:
        """The field that says which kind of place it is, and its value."""
        (found,) = self.set_models()
        return found
