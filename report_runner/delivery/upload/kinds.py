"""The table of places: a new one is a field of UploadPlace, and a module with its line here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from report_runner.contract.upload import UploadPlace
from report_runner.delivery.channel import DeliveryContext
from report_runner.delivery.upload.place import Place

Opener = Callable[[Any, str, DeliveryContext], Place]


# Imported only where they are needed: a fresh pod pays for every import.
def _s3(spec: Any, field: str, context: DeliveryContext) -> Place:
    from report_runner.delivery.upload.s3 import s3_place

    return s3_place(spec, field, context)


def _sftp(spec: Any, field: str, context: DeliveryContext) -> Place:
    from report_runner.delivery.upload.sftp import sftp_place

    return sftp_place(spec, field, context)


def _webdav(spec: Any, field: str, context: DeliveryContext) -> Place:
    from report_runner.delivery.upload.http import webdav_place

    return webdav_place(spec, field, context)


def _http_put(spec: Any, field: str, context: DeliveryContext) -> Place:
    from report_runner.delivery.upload.http import http_put_place

    return http_put_place(spec, field, context)


# By the field of UploadPlace.
KINDS: dict[str, Opener] = {
    "s3": _s3,
    "sftp": _sftp,
    "webdav": _webdav,
    "http_put": _http_put,
}


def open_place(spec: UploadPlace, field: str, context: DeliveryContext) -> Place:
    """The place; nothing is connected yet. Raises RunError(ConfigurationError)."""
    kind, value = spec.selected()
    return KINDS[kind](value, field, context)
