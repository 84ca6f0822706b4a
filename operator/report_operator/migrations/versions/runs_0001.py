"""Runs, deliveries, deployments."""

from alembic import op

revision = "0001"
down_revision = None

# Texts that order pages compare byte by byte, as Python does: hence the collation.
STATEMENTS = (
    """
    CREATE TABLE report_scheduler.runs (
        job_uid text PRIMARY KEY,
        job_id text COLLATE "C" NOT NULL,
        namespace text NOT NULL,
        schedule text NOT NULL,
        schedule_uid text NOT NULL,
        report_type text NOT NULL,
        tier text NOT NULL,
        priority text,
        slot timestamptz NOT NULL,
        attempt integer NOT NULL,
        report_date date,
        manual boolean NOT NULL,
        asked_by text,
        backfill text,
        backfill_uid text,
        job text COLLATE "C" NOT NULL,
        definition text,
        outcome text NOT NULL,
        reason text,
        message text NOT NULL,
        error_pattern text,
        created_at timestamptz,
        admitted_at timestamptz,
        started_at timestamptz,
        finished_at timestamptz NOT NULL,
        queued_seconds integer,
        pending_seconds integer,
        run_seconds integer,
        rows bigint,
        pages integer,
        outputs jsonb NOT NULL DEFAULT '[]',
        pods integer,
        log_tail text,
        recorded_at timestamptz NOT NULL DEFAULT clock_timestamp()
    )
    """,
    "COMMENT ON COLUMN report_scheduler.runs.log_tail IS"
    " 'of a failed run; null: not looked for yet'",
    # Pages, newest first, by each filter.
    "CREATE INDEX runs_newest ON report_scheduler.runs (finished_at, job_id, job)",
    "CREATE INDEX runs_by_outcome ON report_scheduler.runs (outcome, finished_at, job_id, job)",
    "CREATE INDEX runs_by_type ON report_scheduler.runs (report_type, finished_at, job_id, job)",
    "CREATE INDEX runs_by_type_and_outcome"
    " ON report_scheduler.runs (report_type, outcome, finished_at, job_id, job)",
    "CREATE INDEX runs_by_id ON report_scheduler.runs (job_id, finished_at)",
    "CREATE INDEX runs_by_slot ON report_scheduler.runs (schedule_uid, slot, attempt)"
    " INCLUDE (outcome)",
    # Figures, from the index alone.
    "CREATE INDEX runs_figures ON report_scheduler.runs (finished_at)"
    " INCLUDE (outcome, report_type, run_seconds)",
    "CREATE INDEX runs_failures ON report_scheduler.runs (finished_at)"
    " INCLUDE (report_type, error_pattern) WHERE outcome = 'Failed'",
    """
    CREATE TABLE report_scheduler.deliveries (
        job_uid text NOT NULL REFERENCES report_scheduler.runs ON DELETE CASCADE,
        recipient text NOT NULL,
        position integer NOT NULL,
        status text NOT NULL,
        message_id text,
        error text,
        PRIMARY KEY (job_uid, recipient)
    )
    """,
    """
    CREATE TABLE report_scheduler.deployments (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        rolled_out_at timestamptz NOT NULL,
        checksum text NOT NULL,
        version text NOT NULL,
        image text NOT NULL,
        components text[] NOT NULL
    )
    """,
)


def upgrade() -> None:
    """Make the tables."""
    for statement in STATEMENTS:
        op.execute(statement)
