"""The table of delivery channels: where a finished report goes.

A new channel is a field of `Delivery` in the contract, and a module with its line here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from report_runner.delivery.channel import Channel, DeliveryContext

__all__ = ["CHANNELS", "Channel", "DeliveryContext"]


def _email(spec: Any, context: DeliveryContext) -> Channel:
    # Imported only where it is needed: a fresh pod pays for every import.
    from report_runner.delivery.mail import email_channel

    return email_channel(spec, context)


def _upload(spec: Any, context: DeliveryContext) -> Channel:
    from report_runner.delivery.upload.channel import upload_channel

    return upload_channel(spec, context)


# By the field of Delivery. Raises RunError(ConfigurationError) for a wrong Secret or template.
CHANNELS: dict[str, Callable[[Any, DeliveryContext], Channel]] = {
    "email": _email,
    "upload": _upload,
}
