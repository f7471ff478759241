"""`python -m tests.guards.migrations_lint`: one head, and migrations that build just the schema the code describes."""

import sys
import tempfile
from pathlib import Path

from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from outreach.store.database import Database
from outreach.store.migrate import migration_config, upgrade
from outreach.store.schema import metadata


def problems() -> list[str]:
    """What is wrong, in words; empty when nothing is."""
    heads = ScriptDirectory.from_config(migration_config()).get_heads()
    found = [] if len(heads) == 1 else [f"the migrations have {len(heads)} heads: {', '.join(heads)}"]
    with tempfile.TemporaryDirectory() as folder:
        db = Database(f"sqlite:///{Path(folder) / 'lint.db'}")
        upgrade(db)
        with db.reading() as connection:
            differences = compare_metadata(MigrationContext.configure(connection), metadata)
        db.dispose()
    return found + [f"schema and migrations differ: {difference!r}" for difference in differences]


if __name__ == "__main__":
    for problem in problems():
        print(problem)
    sys.exit(1 if problems() else 0)
