"""Looking at the store as pages do: without a transaction where none is needed, and through servers that come back."""

import time
from collections.abc import Callable

import psycopg
import pytest
from psycopg.pq import TransactionStatus
from sqlalchemy import event, select, text

from outreach.services.context import Context
from outreach.store import consents
from outreach.store.schema.people import mailbox
from tests.factories import World

_OTHERS = b"SELECT COUNT(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = current_database() AND " + (
    b"pid <> pg_backend_pid()"
)


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
@pytest.mark.parametrize("how", ["reading", "looking", "transaction"])
def test_connections_that_the_server_ended_are_replaced_before_they_are_used(ctx: Context, how: str) -> None:
    with ctx.db.reading() as one, ctx.db.reading() as two:
        for conn in (one, two):
            conn.execute(select(mailbox.c.id)).all()
    with psycopg.connect(ctx.db.url, autocommit=True) as server:
        until = time.monotonic() + 30
        while (left := server.execute(_OTHERS).fetchone()) and left[0]:
            assert time.monotonic() < until
    begin: Callable[..., object] = getattr(ctx.db, how)
    for _ in range(3):
        with begin() as conn:  # type: ignore[attr-defined]  # one of three that give a connection
            assert conn.execute(select(mailbox.c.id)).all() == []


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_live_connection_is_used_again_whatever_the_server_said_meanwhile(ctx: Context) -> None:
    with ctx.db.transaction() as conn:
        before = conn.execute(text("SELECT pg_backend_pid()")).scalar_one()
        conn.exec_driver_sql("LISTEN words")
    with psycopg.connect(ctx.db.url, autocommit=True) as server:
        server.execute(b"NOTIFY words, 'nothing that matters'")
    with ctx.db.reading() as conn:
        assert conn.execute(text("SELECT pg_backend_pid()")).scalar_one() == before


def test_looking_sees_what_is_committed_and_holds_nothing_up(ctx: Context) -> None:
    with ctx.db.looking() as conn:
        assert conn.execute(select(mailbox.c.id)).all() == []
        if not ctx.db.is_sqlite:
            driver = conn.connection.driver_connection
            assert driver is not None
            assert driver.info.transaction_status == TransactionStatus.IDLE
    with ctx.db.transaction() as conn:
        conn.execute(text("INSERT INTO mailbox (mailbox_key) VALUES (:key)"), {"key": b"k" * 32})
        with ctx.db.looking() as other:
            assert other.execute(select(mailbox.c.id)).all() == []
    with ctx.db.looking() as conn:
        assert len(conn.execute(select(mailbox.c.id)).all()) == 1
    with ctx.db.reading() as conn:
        conn.execute(select(mailbox.c.id)).all()
        if not ctx.db.is_sqlite:
            driver = conn.connection.driver_connection
            assert driver is not None
            assert driver.info.transaction_status == TransactionStatus.INTRANS


def test_a_text_is_asked_for_once_but_only_what_is_committed_is_remembered(ctx: Context, world: World) -> None:
    _, written = world.topic()
    said: list[str] = []
    event.listen(ctx.db.engine, "before_cursor_execute", lambda *words: said.append(words[2]))

    def asks() -> int:
        return sum("FROM consent_text" in statement for statement in said)

    with ctx.db.transaction() as conn:
        assert consents.texts(conn, [written])[written].title == "Garden tips"
        assert consents.texts(conn, [written])[written].title == "Garden tips"
    assert asks() == 2
    for _ in range(2):
        with ctx.db.looking() as conn:
            assert list(consents.texts(conn, [written, 4711])) == [written]
    with ctx.db.transaction() as conn:
        assert list(consents.texts(conn, [written])) == [written]
    assert asks() == 4  # the one that is not there is asked for each time
