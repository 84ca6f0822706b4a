"""Errors as the API answers them."""

from __future__ import annotations

from pydantic import BaseModel


class ProblemDocument(BaseModel):
    """An error (RFC 9457)."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    instance: str
