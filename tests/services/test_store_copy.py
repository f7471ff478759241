"""A store moves to another database whole or not at all, and what differs afterwards is named."""

import shutil
import sqlite3
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Integer, create_engine, delete, insert, inspect, make_url, select, text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from outreach.domain.errors import ConflictError, OutreachError, SettingsError
from outreach.services.context import Context
from outreach.services.store_copy import Compared, compare_stores
from outreach.services.verify import verify
from outreach.store import copying
from outreach.store.boxes import ContactKeys
from outreach.store.migrate import is_current
from outreach.store.schema.audit import audit_entry
from outreach.store.schema.consents import mail_budget
from outreach.store.schema.people import contact, mailbox
from tests.factories import World
from tests.postgresql import Cluster
from tests.services.moving import Told, contents, is_empty, moved, opened, sign_up
from tests.services.people import ALICE, letter
from tests.tampering import loosen


@pytest.fixture(params=["sqlite", "postgresql"])
def target_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database with tables and without rows."""
    if request.param == "sqlite":
        path = tmp_path / "target.db"
        shutil.copy(request.getfixturevalue("sqlite_template"), path)
        yield f"sqlite:///{path}"
        return
    server: Cluster = request.getfixturevalue("postgresql")
    name = server.create(request.getfixturevalue("postgresql_template"))
    yield server.url(name)
    server.drop(name)


@pytest.fixture(params=["sqlite", "postgresql"])
def bare_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database that holds nothing, not even tables."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'bare.db'}"
        return
    server: Cluster = request.getfixturevalue("postgresql")
    name = server.create()
    yield server.url(name)
    server.drop(name)


@pytest.fixture
def lived(world: World) -> Context:
    """A store in which one person signed up, was mailed and said yes, all of it sealed."""
    world.topic()
    sign_up(world.ctx, ALICE, "topic-1")
    return world.ctx


@pytest.fixture
def target(lived: Context, target_url: str) -> Iterator[Context]:
    """The lived store's verified copy."""
    assert moved(lived, target_url).is_verified
    copied = opened(lived, target_url)
    yield copied
    copied.db.dispose()


def test_every_row_arrives_on_either_database_and_the_source_stays(lived: Context, target_url: str) -> None:
    with lived.db.reading() as conn:
        before = contents(conn)
    told = Told()
    compared = moved(lived, target_url, told)
    rows = sum(one.rows for one in before.values())
    root = compared.root.hex()[:16]
    assert compared.line() == f"store copy: {len(before)} tables, {rows} rows, root {root} – verified"
    for name, one in before.items():
        assert f"  {name}: the same, rows: {one.rows:,}, sha256 {one.sha256}" in told.lines
    assert f"  root of the log: {root} in the source, {root} in the target" in told.lines
    assert "  audit verify: all is well" in told.lines
    target = opened(lived, target_url)
    with lived.db.reading() as conn, target.db.reading() as copied:
        assert contents(conn) == before == contents(copied)
    assert verify(target).size == before["audit_entry"].rows > 0
    target.db.dispose()


def test_both_databases_sort_every_table_alike() -> None:
    keys = [column for table in copying.tables() for column in table.primary_key]
    assert all(isinstance(column.type, Integer) for column in keys)


def test_a_target_without_tables_is_given_them(ctx: Context, bare_url: str) -> None:
    assert moved(ctx, bare_url).is_verified
    target = opened(ctx, bare_url)
    assert is_current(target.db)
    target.db.dispose()


def test_boxes_open_and_the_log_stays_append_only(target: Context) -> None:
    with target.db.reading() as conn:
        row = conn.execute(select(contact.c.id, contact.c.address_box)).one()
        assert ContactKeys(target.keyring, conn).text(row.id, row.address_box) == ALICE
    for statement in (update(audit_entry).values(kind="forged"), delete(audit_entry)):
        with pytest.raises(DBAPIError, match="append-only"), target.db.transaction() as conn:
            conn.execute(statement)


def test_people_go_on_signing_up_there(target: Context) -> None:
    with target.db.reading() as conn:
        before = set(conn.execute(select(contact.c.id)).scalars())
    assert sign_up(target, "bob@example.org", "topic-1") > max(before)
    assert verify(target).is_clean


def test_an_id_that_was_deleted_is_not_handed_out_again(lived: Context, target_url: str) -> None:
    with lived.db.transaction() as conn:
        gone = conn.execute(insert(mailbox).values(mailbox_key=b"g" * 32).returning(mailbox.c.id)).scalar_one()
        conn.execute(delete(mailbox).where(mailbox.c.id == gone))
    assert moved(lived, target_url).is_verified
    target = opened(lived, target_url)
    with target.db.transaction() as conn:
        added = conn.execute(insert(mailbox).values(mailbox_key=b"n" * 32).returning(mailbox.c.id)).scalar_one()
    target.db.dispose()
    assert added == gone + 1


@pytest.mark.parametrize(
    "url", ["mysql://zz-secret@host/x", "zz-secret", "sqlite://", "sqlite:///:memory:", "sqlite:///"]
)
def test_what_cannot_be_a_target_is_refused_without_repeating_it(ctx: Context, url: str) -> None:
    with pytest.raises(SettingsError, match=r"^target: ") as caught:
        moved(ctx, url)
    assert "zz-secret" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://outreach:zz-secret@/none?host=/nowhere",
        "postgresql://outreach:zz-secret@host:zz-secret/none",
        "sqlite:////nowhere/zz-secret/x.db",
    ],
)
def test_a_target_out_of_reach_is_told_in_one_line(ctx: Context, url: str) -> None:
    with pytest.raises(OutreachError, match=r"^target: this database cannot be opened or reached") as caught:
        moved(ctx, url)
    assert "zz-secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_source_is_no_target(lived: Context, tmp_path: Path) -> None:
    with pytest.raises(ConflictError, match="the one to copy from"):
        moved(lived, lived.db.url)
    if lived.db.is_sqlite:
        other = tmp_path / "other.db"
        other.symlink_to(make_url(lived.db.url).database or "")
        with pytest.raises(ConflictError, match="the one to copy from"):
            moved(lived, f"sqlite:///{other}")


def test_a_target_that_holds_a_row_is_refused_and_left_as_it_is(lived: Context, target: Context) -> None:
    with target.db.reading() as conn:
        before = contents(conn)
    with pytest.raises(ConflictError, match="target: it is not empty"):
        moved(lived, target.db.url)
    with target.db.reading() as conn:
        assert contents(conn) == before


def test_a_database_of_something_else_gets_no_table_of_ours(lived: Context, bare_url: str) -> None:
    target = opened(lived, bare_url)
    with target.db.transaction() as conn:
        conn.execute(text("CREATE TABLE somebody_elses (id INTEGER)"))
    with pytest.raises(ConflictError, match="tables that are not Outreach's, such as somebody_elses"):
        moved(lived, bare_url)
    assert inspect(target.db.engine).get_table_names() == ["somebody_elses"]
    target.db.dispose()


def test_a_message_in_a_workers_hands_is_waited_for(lived: Context, world: World, target_url: str) -> None:
    letter(lived, world, 1, None, origin="notice", state="attempted")
    with pytest.raises(ConflictError, match="1 message is in a worker's hands"):
        moved(lived, target_url)
    assert is_empty(target_url)


def compared_again(lived: Context, target: Context) -> Compared:
    with lived.db.reading() as conn:
        return compare_stores(conn, target, Told())


def test_rows_that_were_changed_after_the_copy_are_found(lived: Context, target: Context) -> None:
    loosen(
        target,
        "UPDATE controller SET name = 'Southfield'",
        "UPDATE contact SET own_total_n = 0",
        "DELETE FROM contact_key",
        "INSERT INTO mail_budget (key, at) VALUES ('1', 1)",
    )
    compared = compared_again(lived, target)
    assert set(compared.differing) == {"controller", "contact", "contact_key", "mail_budget"}
    assert compared.line() == f"store copy: NOT verified, differing: {', '.join(compared.differing)}"


def test_an_entry_that_was_changed_after_the_copy_is_found_twice(lived: Context, target: Context) -> None:
    loosen(target, "UPDATE audit_entry SET kind = 'nothing.at-all' WHERE id = 1")
    assert compared_again(lived, target).differing == ("audit_entry", "audit log")


def test_a_table_that_would_hand_out_ids_again_is_found(lived: Context, target: Context) -> None:
    with lived.db.transaction() as conn:
        conn.execute(insert(mailbox).values(id=50, mailbox_key=b"g" * 32))
        copying.go_on_from(conn, mailbox, 50)
        conn.execute(delete(mailbox).where(mailbox.c.id == 50))
    assert compared_again(lived, target).differing == ("mailbox",)


def test_a_copy_that_is_interrupted_leaves_the_target_empty(lived: Context, target_url: str) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        moved(lived, target_url, Told("consent_event: copied", interrupt))
    assert is_empty(target_url)
    assert moved(lived, target_url).is_verified


def test_a_target_that_goes_away_midway_is_empty_when_it_is_back(lived: Context, target_url: str) -> None:
    if target_url.startswith("sqlite"):
        return  # a file does not go away
    name = make_url(target_url).database

    def cut() -> None:
        engine = create_engine(target_url, poolclass=NullPool)
        with engine.connect() as conn:
            others = "FROM pg_stat_activity WHERE datname = :name AND pid <> pg_backend_pid()"
            conn.execute(text(f"SELECT pg_terminate_backend(pid) {others}"), {"name": name})

    with pytest.raises(OutreachError, match=r"^contact_key: the target did not take its rows, and is still empty"):
        moved(lived, target_url, Told("confirmation: copied", cut))
    assert is_empty(target_url)
    assert moved(lived, target_url).is_verified


def test_a_row_the_target_cannot_hold_is_named_by_its_table_alone(lived: Context, target_url: str) -> None:
    if not lived.db.is_sqlite or target_url.startswith("sqlite"):
        return  # SQLite alone keeps a text with a zero byte
    loosen(lived, "UPDATE topic SET purpose = 'zz-secret' || char(0)")
    with pytest.raises(OutreachError, match=r"^topic: the target did not take its rows") as caught:
        moved(lived, target_url)
    assert "zz-secret" not in str(caught.value)
    assert is_empty(target_url)


def test_nobody_writes_to_the_source_while_it_is_copied(lived: Context, target_url: str) -> None:
    def write() -> None:
        if lived.db.is_sqlite:
            other = sqlite3.connect(make_url(lived.db.url).database or "", timeout=0)
            try:
                other.execute("DELETE FROM request")
            finally:
                other.close()
        with lived.db.transaction() as conn:
            conn.execute(text("SET LOCAL lock_timeout = '50ms'"))
            conn.execute(text("DELETE FROM request"))

    refusals: list[Exception] = []

    def try_to_write() -> None:
        try:
            write()
        except (DBAPIError, sqlite3.OperationalError) as error:
            refusals.append(error)

    assert moved(lived, target_url, Told("audit_entry: copied", try_to_write)).is_verified
    assert len(refusals) == 1
    assert "lock" in str(refusals[0])


def test_a_table_of_any_size_takes_the_memory_of_a_slice(lived: Context, target_url: str) -> None:
    many = 10 * copying.SLICE
    target = opened(lived, target_url)
    with lived.db.transaction() as conn:
        conn.execute(
            text(
                "INSERT INTO mail_budget (key, at) WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n "
                f"WHERE i < {many}) SELECT (SELECT mailbox_key FROM mailbox LIMIT 1), i FROM n"
            )
        )
    tracemalloc.start()
    try:
        with lived.db.reading() as conn:
            rows = conn.execute(select(mail_budget)).all()
            at_once, count = tracemalloc.get_traced_memory()[1], len(rows)
            del rows
            before = tracemalloc.get_traced_memory()[0]
            tracemalloc.reset_peak()
            with target.db.transaction() as writing:
                assert copying.put(writing, mail_budget, copying.slices(conn, mail_budget)) == count
            assert copying.digest(conn, mail_budget).rows == count
        sliced = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
        target.db.dispose()
    assert count > many
    assert sliced < at_once / 3
