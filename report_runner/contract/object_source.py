"""Rows from files in an S3-compatible object store."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field, StringConstraints

from report_runner.contract.bound_text import BindsValues
from report_runner.contract.format_options import Separator
from report_runner.contract.http_source import ENDPOINT
from report_runner.contract.model import Integer, Model, QueryDuration
from report_runner.contract.rules import Rule, matches
from report_runner.contract.secret import SecretReference
from report_runner.contract.tabular import MAX_BYTES, MAX_ROWS, Columns, MaxBytes, MaxRows


class ObjectFormat(StrEnum):
    """What the objects are."""

    PARQUET = "parquet"
    CSV = "csv"
    NDJSON = "ndjson"


class ObjectSource(Model):
    """Rows from one object, or from all that a pattern finds."""

    rules = (
        Rule(
            "!has(self.separator) || self.format == 'csv'",
            "separator needs format csv",
            lambda source: source.separator is None or source.format is ObjectFormat.CSV,
            path="separator",
        ),
    )

    endpoint: Annotated[str, *ENDPOINT] = Field(
        description="http(s)://HOST of the store, such as https://s3.eu-west-1.amazonaws.com. "
        "Addresses are refused as those of http.url are."
    )
    region: Annotated[
        str,
        StringConstraints(max_length=63),
        matches("[a-z0-9]([a-z0-9-]*[a-z0-9])?", "write a region such as eu-west-1"),
    ] = Field(default="us-east-1", description="Region of the bucket.")
    bucket: Annotated[
        str,
        StringConstraints(max_length=63),
        matches(
            "[a-z0-9]([a-z0-9.-]*[a-z0-9])?",
            "write a bucket's name: lower case letters, digits, '-' and '.'",
        ),
    ] = Field(description="Name of the bucket.")
    secret_ref: SecretReference = Field(
        description="Secret with the keys accessKeyId, secretAccessKey, and optionally "
        "sessionToken and ca.crt."
    )
    key: Annotated[
        BindsValues,
        StringConstraints(max_length=1024),
        matches(
            "[^/\\x00-\\x1f\\x7f][^\\x00-\\x1f\\x7f]*",
            "write a key: one line, without a slash before it",
        ),
    ] = Field(
        description="Key of the object, such as positions/{{ report_date }}.parquet: values are "
        "bound as in http.url. * stands for any characters but /, ? for one: all objects that "
        "match are read, in the order of their keys."
    )
    format: ObjectFormat = Field(description="parquet, csv or ndjson.")
    separator: Separator | None = Field(
        default=None, description="Between the cells of a CSV; ',' without it."
    )
    columns: Columns = Field(default_factory=list)
    timeout: QueryDuration = Field(
        default="5m", description="For listing and reading together, with retries."
    )
    max_objects: Integer = Field(
        default=100,
        ge=1,
        le=10_000,
        description="A pattern that more objects match fails the run.",
    )
    max_rows: MaxRows = MAX_ROWS
    max_bytes: MaxBytes = MAX_BYTES
