"""Append-only tables refuse every way of changing them, on both databases, after every migration."""

import secrets

import pytest
from sqlalchemy import insert, text
from sqlalchemy.exc import DBAPIError

from outreach.services.context import Context
from outreach.store.append_only import protect
from outreach.store.migrate import head, is_current, upgrade
from outreach.store.schema import APPEND_ONLY, metadata
from outreach.store.schema.audit import audit_entry
from tests.guards.migrations_lint import problems


def test_the_migrations_build_the_schema() -> None:
    assert problems() == []


@pytest.mark.parametrize("table", APPEND_ONLY)
def test_append_only_tables_refuse_change(ctx: Context, table: str) -> None:
    column = next(iter(metadata.tables[table].columns)).name
    statements = [f'UPDATE {table} SET "{column}" = "{column}"', f"DELETE FROM {table}"]
    if not ctx.db.is_sqlite:
        statements.append(f"TRUNCATE {table} CASCADE")
    triggers = _triggers(ctx, table)
    assert len(triggers) == 2
    if table == "audit_entry":
        _one_entry(ctx)
        for statement in statements:
            with pytest.raises(DBAPIError, match="append-only"), ctx.db.transaction() as conn:
                conn.execute(text(statement))


def test_replace_cannot_overwrite_an_entry(ctx: Context) -> None:
    _one_entry(ctx)
    if ctx.db.is_sqlite:
        statement = "REPLACE INTO audit_entry (id, nonce, at, kind, actor, body) VALUES (1, x'00', 1, 'x', 'x', '{}')"
    else:
        statement = (
            "INSERT INTO audit_entry (id, nonce, at, kind, actor, body) VALUES (1, '', 1, 'x', 'x', '{}') "
            "ON CONFLICT (id) DO UPDATE SET kind = 'y'"
        )
    with pytest.raises(DBAPIError, match="append-only"), ctx.db.transaction() as conn:
        conn.execute(text(statement))


def test_triggers_that_a_moved_table_lost_come_back(ctx: Context) -> None:
    with ctx.db.transaction() as conn:
        for trigger in _triggers(ctx, "audit_entry"):
            suffix = "" if ctx.db.is_sqlite else " ON audit_entry"
            conn.execute(text(f"DROP TRIGGER {trigger}{suffix}"))
    upgrade(ctx.db)
    assert len(_triggers(ctx, "audit_entry")) == 2
    with ctx.db.transaction() as conn:
        protect(conn, APPEND_ONLY)


def test_a_fresh_store_stands_at_the_head(ctx: Context) -> None:
    assert is_current(ctx.db)
    assert head() is not None


def _one_entry(ctx: Context) -> None:
    with ctx.db.transaction() as conn:
        conn.execute(
            insert(audit_entry).values(id=1, nonce=secrets.token_bytes(16), at=1, kind="a", actor="b", body="{}")
        )


def _triggers(ctx: Context, table: str) -> list[str]:
    if ctx.db.is_sqlite:
        query = "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = :table"
    else:
        query = "SELECT tgname FROM pg_trigger WHERE tgrelid = CAST(:table AS regclass) AND NOT tgisinternal"
    with ctx.db.reading() as conn:
        return list(conn.execute(text(query), {"table": table}).scalars())
