"""Whether a run had parameters of its own: a retry without its Job must not guess."""

from alembic import op

revision = "0005"
down_revision = "0004"

# The version before writes no such column, and a retry of its runs has their Job or no overrides.
STATEMENT = "ALTER TABLE report_scheduler.runs ADD COLUMN overridden boolean NOT NULL DEFAULT false"


def upgrade() -> None:
    """Add the column."""
    op.execute(STATEMENT)
