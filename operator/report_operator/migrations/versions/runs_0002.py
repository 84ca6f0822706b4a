"""`requested_by`: the word of the API, of status and of the Job's annotation.

`asked_by` stays for one release, and a trigger keeps both alike: the version before reads and
writes it while it is rolled out over, and after a rollback.
"""

from alembic import op

revision = "0002"
down_revision = "0001"

STATEMENTS = (
    "ALTER TABLE report_scheduler.runs ADD COLUMN requested_by text",
    "UPDATE report_scheduler.runs SET requested_by = asked_by WHERE asked_by IS NOT NULL",
    """
    CREATE FUNCTION report_scheduler.name_requester() RETURNS trigger
    LANGUAGE plpgsql AS $$
    BEGIN
        NEW.requested_by := coalesce(NEW.requested_by, NEW.asked_by);
        NEW.asked_by := NEW.requested_by;
        RETURN NEW;
    END $$
    """,
    "CREATE TRIGGER name_requester BEFORE INSERT ON report_scheduler.runs"
    " FOR EACH ROW EXECUTE FUNCTION report_scheduler.name_requester()",
)


def upgrade() -> None:
    """Add the column."""
    for statement in STATEMENTS:
        op.execute(statement)
