"""The database: whole transactions or none, a SQLite that forgets nothing it promised, and one clock."""

import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, event, insert, select, text
from sqlalchemy.exc import IntegrityError

from outreach.services.context import Context
from outreach.store.database import BUSY_SECONDS, Database
from outreach.store.schema.people import contact_key, mailbox

SECOND = 1_000_000
KEY = b"m" * 32


@pytest.fixture
def sqlite(sqlite_template: Path, tmp_path: Path) -> Iterator[Database]:
    """A migrated store in a file of its own."""
    path = tmp_path / "own.db"
    path.write_bytes(sqlite_template.read_bytes())
    db = Database(f"sqlite:///{path}")
    yield db
    db.dispose()


def held(db: Database) -> bool:
    with db.reading() as conn:
        return conn.execute(select(mailbox.c.id).where(mailbox.c.mailbox_key == KEY)).first() is not None


def put(conn: Connection) -> None:
    conn.execute(insert(mailbox).values(mailbox_key=KEY))


def test_leaving_a_transaction_commits_it(ctx: Context) -> None:
    with ctx.db.transaction() as conn:
        put(conn)
    assert held(ctx.db)


def test_an_error_takes_everything_back_and_goes_on_up(ctx: Context) -> None:
    with pytest.raises(RuntimeError, match="in the middle"), ctx.db.transaction() as conn:
        put(conn)
        raise RuntimeError("in the middle")
    assert not held(ctx.db)


def test_nobody_sees_a_transaction_before_it_ends(ctx: Context) -> None:
    with ctx.db.transaction() as conn:
        put(conn)
        assert not held(ctx.db)
    assert held(ctx.db)


def test_a_reference_to_nothing_is_refused(ctx: Context) -> None:
    with pytest.raises(IntegrityError), ctx.db.transaction() as conn:
        conn.execute(insert(contact_key).values(contact=4711, kek="k1", wrapped=b"", salt=b"s" * 16))


@pytest.mark.parametrize(
    ("pragma", "expected"),
    [
        ("journal_mode", "wal"),
        ("synchronous", 2),  # FULL
        ("foreign_keys", 1),
        ("recursive_triggers", 1),
        ("secure_delete", 1),
        ("busy_timeout", BUSY_SECONDS * 1000),
    ],
)
def test_every_sqlite_connection_is_set_up(sqlite: Database, pragma: str, expected: object) -> None:
    with sqlite.reading() as one, sqlite.transaction() as two:
        for conn in (one, two):
            assert conn.exec_driver_sql(f"PRAGMA {pragma}").scalar_one() == expected


def test_writing_says_begin_immediate_and_reading_does_not(sqlite: Database) -> None:
    said: list[str] = []
    event.listen(sqlite.engine, "before_cursor_execute", lambda *words: said.append(words[2]))
    with sqlite.reading():
        pass
    with sqlite.transaction():
        pass
    with sqlite.reading():
        pass
    assert said == ["BEGIN", "BEGIN IMMEDIATE", "BEGIN"]


def test_a_writer_has_its_lock_before_it_writes(sqlite: Database) -> None:
    other = sqlite3.connect(sqlite.url.removeprefix("sqlite:///"), timeout=0, isolation_level=None)
    with sqlite.transaction(), pytest.raises(sqlite3.OperationalError, match="locked"):
        other.execute("BEGIN IMMEDIATE")
    with sqlite.reading() as conn:
        conn.execute(select(mailbox.c.id)).all()
        other.execute("BEGIN IMMEDIATE")
        other.execute("ROLLBACK")
    other.close()


def test_a_second_writer_waits_for_the_first(sqlite: Database) -> None:
    began, order = threading.Event(), []

    def second() -> None:
        began.set()
        with sqlite.transaction() as conn:
            order.append(len(conn.execute(select(mailbox.c.id)).all()))

    thread = threading.Thread(target=second)
    with sqlite.transaction() as conn:
        thread.start()
        assert began.wait(60)
        put(conn)
    thread.join()
    assert order == [1]


def test_what_is_deleted_leaves_no_trace_in_the_file(sqlite: Database) -> None:
    word = b"a key that was destroyed"
    path = Path(sqlite.url.removeprefix("sqlite:///"))
    with sqlite.transaction() as conn:
        conn.execute(text("CREATE TABLE kept (word BLOB)"))
        conn.execute(text("INSERT INTO kept VALUES (:word)"), {"word": word})
    _settle(sqlite)
    assert word in path.read_bytes()
    with sqlite.transaction() as conn:
        conn.execute(text("DELETE FROM kept"))
    _settle(sqlite)
    assert word not in path.read_bytes()


def _settle(db: Database) -> None:
    """Bring the write-ahead log into the file."""
    with db.engine.connect() as conn:
        conn.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def test_a_replaced_row_meets_the_triggers_that_forbid_deleting(sqlite: Database) -> None:
    with sqlite.transaction() as conn:
        conn.execute(text("CREATE TABLE kept (id INTEGER PRIMARY KEY, word TEXT)"))
        conn.execute(text("CREATE TRIGGER forbid BEFORE DELETE ON kept BEGIN SELECT RAISE(ABORT, 'append only'); END"))
        conn.execute(text("INSERT INTO kept VALUES (1, 'first')"))
    with pytest.raises(IntegrityError, match="append only"), sqlite.transaction() as conn:
        conn.execute(text("REPLACE INTO kept VALUES (1, 'second')"))


def test_migrating_enforces_foreign_keys_again_afterwards(sqlite: Database) -> None:
    with sqlite.migrating() as conn:
        assert conn.exec_driver_sql("PRAGMA foreign_keys").scalar_one() == 0
    with sqlite.reading() as conn:
        assert conn.exec_driver_sql("PRAGMA foreign_keys").scalar_one() == 1


def test_time_goes_on_also_within_a_transaction(ctx: Context) -> None:
    with ctx.db.transaction() as conn:
        first = ctx.db.now(conn)
        instants = [first]
        while instants[-1] == first:
            instants.append(ctx.db.now(conn))
    with ctx.db.reading() as conn:
        instants.append(ctx.db.now(conn))
    assert instants == sorted(instants)
    assert instants[-1] > first


def test_the_clock_file_moves_every_clock_that_reads_it(ctx: Context, database_url: str) -> None:
    path = ctx.settings.clock_file
    assert path is not None
    other, unmoved = Database(database_url, clock_file=path), Database(database_url)
    path.write_text("86400.5")
    with unmoved.reading() as plain, ctx.db.reading() as one, other.reading() as two:
        before = unmoved.now(plain)
        shifted = (ctx.db.now(one), other.now(two))
        after = unmoved.now(plain)
    for now in shifted:
        assert before <= now - 86_400_500_000 <= after
    other.dispose()
    unmoved.dispose()


@pytest.mark.parametrize("content", ["", "tomorrow"])
def test_a_clock_file_that_says_nothing_moves_nothing(ctx: Context, database_url: str, content: str) -> None:
    path = ctx.settings.clock_file
    assert path is not None
    path.write_text(content)
    unmoved = Database(database_url)
    with unmoved.reading() as plain, ctx.db.reading() as conn:
        before, now, after = unmoved.now(plain), ctx.db.now(conn), unmoved.now(plain)
    assert before <= now <= after
    unmoved.dispose()
