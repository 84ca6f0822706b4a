"""The schema's version: the first process that connects updates it, under a lock."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import psycopg

from report_operator.adapters.postgres.database import SCHEMA, HistoryUnavailableError, one_line

if TYPE_CHECKING:
    from sqlalchemy import Connection

logger = logging.getLogger(__name__)
logging.getLogger("alembic").setLevel(logging.WARNING)

LOCK = 0x7265706F727473  # "reports": of the advisory lock
VERSION_TABLE = "schema_version"


def migrate(conninfo: str) -> None:
    """Create or update the schema; does nothing where it has this version or a newer one.

    It blocks: call it in a thread. Raises HistoryUnavailableError.
    """
    # Here, since they take memory and a second that only an operator with history should pay.
    from alembic.util import CommandError
    from sqlalchemy import create_engine, pool
    from sqlalchemy.exc import DBAPIError

    engine = create_engine(
        "postgresql+psycopg://", creator=lambda: psycopg.connect(conninfo), poolclass=pool.NullPool
    )
    try:
        with engine.begin() as connection:
            _upgrade(connection)
    except DBAPIError as error:
        raise HistoryUnavailableError(one_line(error.orig or error)) from error
    except CommandError as error:
        raise HistoryUnavailableError(f"the schema's versions: {error}") from error


def _upgrade(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory
    from sqlalchemy import text

    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": LOCK})
    # CREATE ... IF NOT EXISTS would ask for the right to create even where it is there.
    there = text("SELECT 1 FROM pg_namespace WHERE nspname = :name")
    if not connection.execute(there, {"name": SCHEMA}).first():
        connection.execute(text(f"CREATE SCHEMA {SCHEMA}"))
    options = {"version_table": VERSION_TABLE, "version_table_schema": SCHEMA}
    current = MigrationContext.configure(connection, opts=options).get_current_revision()
    config = Config()
    config.set_main_option("script_location", "report_operator:migrations")
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if current is not None and current not in known:
        logger.info("history's schema %s is newer than this version, and left alone", current)
        return
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
