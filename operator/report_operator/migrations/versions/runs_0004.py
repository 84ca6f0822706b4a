"""The channel of a delivery, and all deliveries to one recipient."""

from alembic import op

revision = "0004"
down_revision = "0003"

STATEMENTS = (
    # An e-mail is what all older rows are, and what the version before goes on to write.
    "ALTER TABLE report_scheduler.deliveries ADD COLUMN channel text NOT NULL DEFAULT 'email'",
    "CREATE INDEX deliveries_by_recipient ON report_scheduler.deliveries (lower(recipient))",
    # The few that are looked for among the many: uploads, and what did not arrive.
    "CREATE INDEX deliveries_by_channel ON report_scheduler.deliveries (channel, job_uid)"
    " WHERE channel <> 'email'",
    "CREATE INDEX deliveries_not_sent ON report_scheduler.deliveries (status, job_uid)"
    " WHERE status NOT IN ('sent', 'alreadySent')",
)


def upgrade() -> None:
    """Add the column and the index."""
    for statement in STATEMENTS:
        op.execute(statement)
