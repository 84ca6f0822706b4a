"""Listings of finished files."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from report_runner.contract.files import PATH_LIMIT


class FilesQuery(BaseModel):
    model_config = ConfigDict(extra="forbid")

    after: str = Field(default="", max_length=PATH_LIMIT, description="`next` of the page before.")
