"""State of the scheduler and of what it depends on."""

from __future__ import annotations

from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field

from admin_api.schemas.common import Degraded, Instant


class SchedulerState(StrEnum):
    """The scheduler as a whole."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    STOPPING = "stopping"
    DOWN = "down"


class SchedulerStatus(BaseModel):
    status: SchedulerState
    uptime: int | None = Field(description="Seconds since the leading operator took over.")
    active_jobs: int
    queue_depth: int
    last_heartbeat: Instant | None = Field(description="When the operator last renewed its lease.")
    degraded: list[str] = Field(description="Problems, one a line.")
    schedules: int
    failing: int
    delayed: int


class Check(BaseModel):
    """A check of one dependency."""

    name: str
    ok: bool
    latency_ms: float
    reason: str = ""


class Health(BaseModel):
    """200 where all checks are ok, else 503."""

    status: SchedulerState
    checks: list[Check]


class DatabaseHealth(BaseModel):
    """200 where `ok`, else 503."""

    status: SchedulerState
    ok: bool
    latency_ms: float = Field(description="Of a new connection and a query.")
    reason: str = Field(default="", description="Why it is not ok.")
    server_version: str | None = None
    connections: dict[str, int] = Field(
        default_factory=dict, description="The scheduler's, by state."
    )
    pool: dict[str, int] = Field(
        default_factory=dict, description="This process's pool, as psycopg_pool counts."
    )


class PerformanceMetrics(BaseModel):
    """Statistics of the runs that ended in the last 24 hours."""

    processing_rate: float = Field(description="Finished jobs a minute.")
    avg_execution_time_ms: float | None
    success_rate_percent: float | None = Field(
        description="Of the runs that were to send a report: those that were skipped do not count."
    )
    finished: int
    skipped: int = Field(default=0, description="Of those finished: no report was wanted.")
    queue_depth: int
    active_jobs: int
    degraded: Degraded = Field(default_factory=list)


class ShutdownQuery(BaseModel):
    model_config = ConfigDict(extra="forbid")

    graceful: bool = True


class Accepted(BaseModel):
    """An action that continues in the background."""

    message: str
