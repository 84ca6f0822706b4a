"""How alembic runs the versions: in the caller's transaction, under the caller's lock."""

from alembic import context

from report_operator.adapters.postgres.database import SCHEMA
from report_operator.adapters.postgres.schema import VERSION_TABLE

context.configure(
    connection=context.config.attributes["connection"],
    version_table=VERSION_TABLE,
    version_table_schema=SCHEMA,
)
context.run_migrations()
