"""How long the rows of a source may be used again."""

from __future__ import annotations

from pydantic import Field

from report_runner.contract.model import CacheDuration, Model


class SourceCache(Model):
    """Rows that a run of the namespace has fetched, used again by runs that ask for the same."""

    ttl: CacheDuration = Field(
        description="For how long, e.g. 30m. The same are definition, parameters and date, Secret "
        "and time zone. A retry fetches anew."
    )
