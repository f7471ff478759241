"""What tests on PostgreSQL are lent: a database in which nothing of an earlier test is left."""

from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from tests.blank import Blanks
from tests.postgresql import Cluster

ADD = "INSERT INTO mailbox (mailbox_key) VALUES (uuid_send(gen_random_uuid())) RETURNING id"


@pytest.fixture
def own(postgresql: Cluster, postgresql_template: str) -> Blanks:
    return Blanks(postgresql, postgresql_template)


@pytest.fixture
def use(postgresql: Cluster, own: Blanks) -> Callable[..., tuple[str, list[Any]]]:
    """Borrow a database, say these statements in it, give it back: its name and the last answer."""

    def borrow(*statements: str) -> tuple[str, list[Any]]:
        found: list[Any] = []
        with own.lent() as name, psycopg.connect(postgresql.url(name), autocommit=True) as conn:
            for statement in statements:
                answer = conn.execute(statement.encode())
                found = answer.fetchall() if answer.description else []
        return name, found

    return borrow


def test_the_next_one_finds_no_row_and_ids_begin_anew(use: Callable[..., tuple[str, list[Any]]]) -> None:
    first = use(ADD, ADD)
    assert first[1] == [(2,)]
    assert use("SELECT COUNT(*) FROM mailbox") == (first[0], [(0,)])
    assert use(ADD) == (first[0], [(1,)])


@pytest.mark.parametrize("table", ["audit_entry", "consent_text"])
def test_append_only_tables_are_emptied_and_go_on_refusing(
    use: Callable[..., tuple[str, list[Any]]], table: str
) -> None:
    assert use(f"SELECT COUNT(*) FROM {table}")[1] == [(0,)]
    loose = "SET session_replication_role = replica"
    columns = {
        "audit_entry": ("nonce, at, kind, actor, body", "'\\x00', 1, 'k', 'a', '{}'"),
        "consent_text": (
            "ref, topic, locale, version, title, gets, wording, sender_name, kinds, cap_n, cap_window, ratio_k, "
            "sha256, published",
            "'\\x00', 1, 'en', 1, '', '', '', '', '', 1, 1, 0, '\\x00', 1",
        ),
    }
    names, values = columns[table]
    first, _ = use(loose, f"INSERT INTO {table} ({names}) VALUES ({values})")
    assert use(f"SELECT COUNT(*) FROM {table}") == (first, [(0,)])
    with pytest.raises(psycopg.errors.RaiseException, match="append-only"):
        use(loose, f"INSERT INTO {table} ({names}) VALUES ({values})", "SET session_replication_role = origin",
            f"DELETE FROM {table}")  # fmt: skip


@pytest.mark.parametrize(
    "change",
    [
        "DROP TRIGGER audit_entry_no_change ON audit_entry",
        "ALTER TABLE audit_entry DISABLE TRIGGER ALL",
        "ALTER TABLE contact ADD COLUMN more TEXT",
        "ALTER TABLE contact ALTER COLUMN locale DROP NOT NULL",
        "DROP INDEX ix_message_mailbox",
        "CREATE TABLE more (id INTEGER)",
        "CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$",
        "ANALYZE contact_key, mailbox",
        "UPDATE alembic_version SET version_num = 'another'",
        "INSERT INTO mailbox (mailbox_key) SELECT int8send(i) FROM generate_series(1, 200000) AS g(i)",
    ],
)
def test_one_that_was_changed_beyond_its_rows_is_not_lent_again(
    use: Callable[..., tuple[str, list[Any]]], change: str
) -> None:
    first, _ = use(ADD, change)
    second, held = use("SELECT COUNT(*) FROM mailbox")
    assert second != first
    assert held == [(0,)]


def test_whoever_stays_connected_is_gone_when_it_is_lent_again(postgresql: Cluster, own: Blanks) -> None:
    with own.lent() as name:
        left = psycopg.connect(postgresql.url(name))
        left.execute(ADD.encode())
    with own.lent() as again, psycopg.connect(postgresql.url(again), autocommit=True) as conn:
        assert again == name
        assert conn.execute(b"SELECT COUNT(*) FROM mailbox").fetchone() == (0,)
        connected = b"SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database()"
        assert conn.execute(connected).fetchone() == (1,)
    with pytest.raises(psycopg.OperationalError):
        left.execute(b"SELECT 1")
    left.close()
