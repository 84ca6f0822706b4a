"""Whether a run had parameters of its own may be unknown: that is not the same as none."""

from alembic import op

revision = "0006"
down_revision = "0005"

STATEMENTS = (
    # What a version without the column writes says nothing about it.
    "ALTER TABLE report_scheduler.runs"
    " ALTER COLUMN overridden DROP NOT NULL, ALTER COLUMN overridden DROP DEFAULT",
    # The column before said `false` of all older rows. Only who asked for a run could give it any.
    "UPDATE report_scheduler.runs SET overridden = NULL"
    " WHERE NOT overridden AND requested_by IS NOT NULL",
)


def upgrade() -> None:
    """Allow NULL, and write it where the column before had guessed."""
    for statement in STATEMENTS:
        op.execute(statement)
