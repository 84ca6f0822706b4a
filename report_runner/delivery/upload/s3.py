"""Places in object storage: one PUT, which either is there whole or not at all."""

from __future__ import annotations

from report_runner.contract.upload import S3Place
from report_runner.delivery.channel import DeliveryContext
from report_runner.delivery.upload.place import Place


def s3_place(spec: S3Place, field: str, context: DeliveryContext) -> Place:
    raise NotImplementedError
