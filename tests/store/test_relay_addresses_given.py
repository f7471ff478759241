"""Who was connected before mail went through us has addresses after the upgrade; who no longer was has none."""

import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from sqlalchemy import Connection, Table, insert, select

from outreach.store.database import Database
from outreach.store.migrate import migration_config, upgrade
from outreach.store.schema.members import connection, invitation, member
from outreach.store.schema.people import contact, mailbox
from outreach.store.schema.relaying import relay_address
from tests.postgresql import Cluster


def add(conn: Connection, table: Table, **values: Any) -> int:
    return int(conn.execute(insert(table).values(values).returning(table.c.id)).scalar_one())


def person(conn: Connection) -> int:
    box = add(conn, mailbox, mailbox_key=secrets.token_bytes(32))
    named = {"code": secrets.token_hex(5), "provider": "other", "locale": "en", "timezone": "UTC"}
    key = secrets.token_bytes(32)
    return add(conn, contact, ref=secrets.token_bytes(16), mailbox=box, address_key=key, created=1, **named)


@pytest.fixture(params=["sqlite", "postgresql"])
def earlier(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Database, int]]:
    """A store of the version before with a live connection, whose id it gives, and one that ended."""
    cluster: Cluster | None = request.getfixturevalue("postgresql") if request.param == "postgresql" else None
    name = cluster.create() if cluster else ""
    db = Database(cluster.url(name) if cluster else f"sqlite:///{tmp_path / 'outreach.db'}")
    config = migration_config()
    with db.migrating() as conn:
        config.attributes["connection"] = conn
        command.upgrade(config, "0004")
        low, high = sorted((person(conn), person(conn)))
        owner = add(conn, member, ref=secrets.token_bytes(16), contact=low, code="A", created=1)
        asked = {"ref": secrets.token_bytes(16), "member": owner, "way": "hand", "locale": "en", "asked": 1}
        came = add(conn, invitation, expires=2, **asked)
        pair = {"invitation": came, "low": low, "high": high, "since": 1}
        add(conn, connection, ref=secrets.token_bytes(16), ended=2, **pair)
        live = add(conn, connection, ref=secrets.token_bytes(16), **pair)
    yield db, live
    db.dispose()
    if cluster:
        cluster.drop(name)


def test_live_connections_get_an_address_for_each_side(earlier: tuple[Database, int]) -> None:
    db, live = earlier
    upgrade(db)
    with db.reading() as conn:
        rows = list(conn.execute(select(relay_address)))
        pair = conn.execute(select(connection.c.low, connection.c.high).where(connection.c.id == live)).one()
    assert {(row.connection, row.contact) for row in rows} == {(live, pair.low), (live, pair.high)}
    assert len({row.local_part for row in rows}) == 2
    assert all(len(row.local_part) == len("with-") + 26 for row in rows)
