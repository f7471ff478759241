"""Brings a database to the newest schema. Every process that opens the store calls `upgrade` or checks `current`."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from outreach.store.append_only import protect
from outreach.store.database import Database
from outreach.store.schema import APPEND_ONLY

_HERE = Path(__file__).parent / "migrations"


def migration_config() -> Config:
    """Alembic's configuration, without a file of its own."""
    config = Config()
    config.set_main_option("script_location", str(_HERE))
    return config


def upgrade(db: Database) -> None:
    """Run what is missing, then put the append-only triggers back wherever a migration moved a table.

    SQLite moves a table by dropping it, which others that refer to it would forbid: there foreign keys are not
    enforced meanwhile, and all of them are checked before the commit. Raises OutreachError where one is broken.
    """
    config = migration_config()
    with db.migrating() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        protect(connection, APPEND_ONLY)


def is_current(db: Database) -> bool:
    """Whether the database stands at the newest migration."""
    with db.reading() as connection:
        return MigrationContext.configure(connection).get_current_revision() == head()


def head() -> str | None:
    """The newest migration's id."""
    return ScriptDirectory.from_config(migration_config()).get_current_head()
