"""Runs of one schedule, and of one namespace, newest first: filters of the API's list."""

from alembic import op

revision = "0003"
down_revision = "0002"

STATEMENTS = (
    "CREATE INDEX runs_by_schedule ON report_scheduler.runs"
    " (schedule, namespace, finished_at, job_id, job)",
    "CREATE INDEX runs_by_namespace ON report_scheduler.runs (namespace, finished_at, job_id, job)",
)


def upgrade() -> None:
    """Add the indexes."""
    for statement in STATEMENTS:
        op.execute(statement)
