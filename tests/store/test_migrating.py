"""Migrations may move a table that others refer to, and leave no row that refers to nothing."""

import pytest
from sqlalchemy import text

from outreach.domain.errors import OutreachError
from outreach.services.context import Context
from tests.factories import World


def test_a_table_others_refer_to_can_be_moved(ctx: Context, world: World) -> None:
    if not ctx.db.is_sqlite:
        return  # PostgreSQL alters in place
    person = world.person()
    with ctx.db.migrating() as conn:
        conn.execute(text("CREATE TABLE moved AS SELECT * FROM contact"))
        conn.execute(text("DROP TABLE contact"))
        conn.execute(text("ALTER TABLE moved RENAME TO contact"))
        conn.execute(text("CREATE UNIQUE INDEX moved_id ON contact (id)"))
    with ctx.db.reading() as conn:
        assert conn.execute(text("SELECT id FROM contact")).scalars().all() == [person.id]
        assert conn.execute(text("PRAGMA foreign_keys")).scalar_one() == 1


def test_a_migration_that_loses_rows_changes_nothing(ctx: Context, world: World) -> None:
    if not ctx.db.is_sqlite:
        return  # there the constraint itself refuses
    person = world.person()
    with pytest.raises(OutreachError, match="nothing was changed"), ctx.db.migrating() as conn:
        conn.execute(text("DELETE FROM contact"))
    with ctx.db.reading() as conn:
        assert conn.execute(text("SELECT id FROM contact")).scalars().all() == [person.id]
