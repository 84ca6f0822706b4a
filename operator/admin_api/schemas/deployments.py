"""Roll-outs of the scheduler."""

from __future__ import annotations

from pydantic import BaseModel, Field

from admin_api.schemas.common import Instant
from report_operator.domain.deployment import COMPONENTS


class Deployment(BaseModel):
    components: list[str] = Field(examples=[list(COMPONENTS)])
    version: str
    image: str
    time: Instant
