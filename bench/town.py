"""Fills an empty store with an invented town of any size: people, what they agreed to, bars, and mails of the past.

Everything is made by the database itself, a statement a table, from the number of each person. Keys and boxes are
random octets, for planning opens none. Each person has five earlier messages, by five campaigns over a month.
"""

from dataclasses import dataclass

from sqlalchemy import Connection, text

from outreach.domain.policies import Name, of_caps
from outreach.services.context import Context
from outreach.store.policies import put
from tests.factories import DAY, World

EARLIER = 5
FIRST = 1001
"""The first person's id, of their mailbox too; the few rows below it are the organisation's own."""

_DAYS_AGO = (26, 15, 9, 5, 2)
_HOUR = DAY // 24
_MULTIPLIERS = (2654435761, 2246822519, 3266489917, 668265263, 374761393, 1640531527, 3935559001, 2971215073)


@dataclass(frozen=True)
class Town:
    """What was made: the topic everybody was asked about, another one, and the author of campaigns."""

    topic: int
    other: int
    author: int


def fill(ctx: Context, people: int) -> Town:
    """Fill the store of `ctx` with `people` contacts and five times as many messages."""
    world = World(ctx)
    topic, agreed = world.topic(cap_n=3, ratio_k=1)
    other, _ = world.topic(cap_n=3)
    town = Town(topic, other, world.staff())
    earlier = [_earlier(world, town, number) for number in range(EARLIER)]
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        conn.execute(text("UPDATE controller SET quiet_from = 1260, quiet_to = 480"))
        for scope, n, days in (("promotional", 2, 14), ("total", 4, 7)):
            value = of_caps((n, days * 86400))
            put(conn, now, Name(f"cap-{scope}"), value, reason="bench", author="bench", begun=now)
        _loosen(conn)
        _people(conn, people, now)
        _bars(conn, people, now)
        _consents(conn, people, now, topic, agreed)
        for number, campaign_id in enumerate(earlier):
            _messages(conn, people, now, number, campaign_id, town)
        _sequences(conn)
    settle_in(ctx)
    return town


def settle_in(ctx: Context) -> None:
    """Leave the store as months of running would: vacuumed, with statistics, its log of writes on disk."""
    if ctx.db.is_sqlite:
        with ctx.db.engine.connect() as conn:
            driver = conn.connection.driver_connection
            assert driver is not None
            driver.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            driver.execute("ANALYZE")
        return
    with ctx.db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
        conn.execute(text("VACUUM ANALYZE"))
        conn.execute(text("CHECKPOINT"))


def _earlier(world: World, town: Town, number: int) -> int:
    topic = town.other if number == 1 else town.topic
    kind = "promotional" if number == 2 else "informational"
    return world.campaign(topic, author=town.author, kind=kind, state="sent")


def _loosen(conn: Connection) -> None:
    """What is filled in here obeys every constraint by construction."""
    if conn.dialect.name == "postgresql":
        conn.execute(text("SET LOCAL session_replication_role = replica"))
        conn.execute(text("SET LOCAL synchronous_commit = off"))
    else:
        conn.execute(text("PRAGMA cache_size = -1500000"))
        conn.execute(text("PRAGMA defer_foreign_keys = ON"))


def _series(conn: Connection) -> str:
    """A FROM clause that yields `i` from :first to :last."""
    if conn.dialect.name == "postgresql":
        return "generate_series(CAST(:first AS BIGINT), CAST(:last AS BIGINT)) AS g(i)"
    return "(WITH RECURSIVE g(i) AS (SELECT :first UNION ALL SELECT i + 1 FROM g WHERE i < :last) SELECT i FROM g) AS g"


def _octets(conn: Connection, count: int) -> str:
    if conn.dialect.name == "sqlite":
        return f"randomblob({count})"
    return "||".join(["uuid_send(gen_random_uuid())"] * (count // 16))


def _of(choice: int, *shares: tuple[int, str], otherwise: str) -> str:
    """SQL that gives each share (percent, value) of the people its value, independently for each `choice`."""
    drawn = f"((i * {_MULTIPLIERS[choice]} % 4294967296) / 65536 % 100)"
    whens, upto = "", 0
    for percent, value in shares:
        upto += percent
        whens += f" WHEN {drawn} < {upto} THEN {value}"
    return f"CASE{whens} ELSE {otherwise} END"


def _insert(conn: Connection, table: str, people: int, where: str = "1 = 1", **columns: str) -> None:
    names, values = ", ".join(columns), ", ".join(columns.values())
    query = f"INSERT INTO {table} ({names}) SELECT {values} FROM {_series(conn)} WHERE {where}"
    conn.execute(text(query), {"first": FIRST, "last": FIRST + people - 1})


def _people(conn: Connection, people: int, now: int) -> None:
    zones = ("Europe/Stockholm", "Europe/Amsterdam", "Europe/London", "America/New_York", "America/Los_Angeles",
             "Asia/Kolkata", "Australia/Sydney", "UTC")  # fmt: skip
    _insert(conn, "mailbox", people, id="i", mailbox_key=_octets(conn, 32))
    _insert(
        conn,
        "contact",
        people,
        id="i",
        ref=_octets(conn, 16),
        mailbox=_of(0, (1, f"CASE WHEN i > {FIRST} THEN i - 1 ELSE i END"), otherwise="i"),  # another spelling
        code="CAST(i AS TEXT)",
        address_key=_octets(conn, 32),
        address_box=_octets(conn, 48),
        fields_box=_octets(conn, 96),
        provider=_of(1, (45, "'gmail'"), (20, "'microsoft'"), (10, "'yahoo'"), otherwise="'other'"),
        locale=_of(2, (20, "'sv'"), (20, "'nl'"), otherwise="'en'"),
        timezone=_of(3, *((12, f"'{zone}'") for zone in zones), otherwise="'UTC'"),
        quiet_from=_of(4, (5, "1320"), otherwise="NULL"),
        quiet_to=_of(4, (5, "540"), otherwise="NULL"),
        own_total_n=_of(5, (2, "2"), otherwise="NULL"),
        own_total_window=_of(5, (2, "604800"), otherwise="NULL"),
        ceiling_n=_of(6, (80, "4"), otherwise="NULL"),
        ceiling_window=_of(6, (80, "604800"), otherwise="NULL"),
        created=str(now - 400 * DAY),
    )
    key = {"contact": "i", "kek": "'1'", "wrapped": _octets(conn, 48), "salt": _octets(conn, 16)}
    _insert(conn, "contact_key", people, "i % 200 <> 0", **key)


def _bars(conn: Connection, people: int, now: int) -> None:
    kind = _of(7, (60, "'bounce'"), (20, "'complaint'"), (15, "'never'"), otherwise="'imported'")
    for scope, key, chosen in (("address", "c.address_key", 17), ("mailbox", "mb.mailbox_key", 71)):
        query = (
            f"INSERT INTO suppression (ref, key, scope, kind, lift, since) SELECT {_octets(conn, 16)}, {key}, "
            f"'{scope}', kind, 'officer', {now - 90 * DAY} FROM (SELECT i, {kind} AS kind FROM {_series(conn)}) AS b "
            "JOIN contact c ON c.id = i JOIN mailbox mb ON mb.id = c.mailbox "
            f"WHERE i % 100 = {chosen} AND c.mailbox = c.id"
        )
        conn.execute(text(query), {"first": FIRST, "last": FIRST + people - 1})


def _consents(conn: Connection, people: int, now: int, topic: int, agreed: int) -> None:
    _insert(
        conn,
        "consent",
        people,
        contact="i",
        topic=str(topic),
        state=_of(4, (93, "'granted'"), (4, "'withdrawn'"), (2, "'paused'"), otherwise="'expired'"),
        since=str(now - 300 * DAY),
        expires=_of(2, (30, str(now + 90 * DAY)), (1, str(now - DAY)), otherwise="NULL"),
        text=str(agreed),
        cap_n=_of(0, (4, "2"), otherwise="3"),
        cap_window="604800",
        ratio_k=_of(5, (50, "1"), (30, "2"), otherwise="0"),
        kinds="'informational,promotional'",
        own_n=_of(7, (2, "1"), otherwise="NULL"),
        own_window=_of(7, (2, "604800"), otherwise="NULL"),
    )


def _messages(conn: Connection, people: int, now: int, number: int, campaign_id: int, town: Town) -> None:
    """One earlier campaign's, every one later than the one before it."""
    at = now - _DAYS_AGO[number] * DAY
    state = _of(number, (93, "'sent'"), (5, "'withheld'"), (1, "'failed'"), otherwise="'unknown'")
    later = f"CASE WHEN state IN ('sent', 'unknown') THEN {at} + i END"
    topic = town.other if number == 1 else town.topic
    kind = "promotional" if number == 2 else "informational"
    query = f"""
INSERT INTO message (ref, origin, kind, lane, contact, mailbox, campaign, topic, state, reason, planned, due, attempts,
  first_attempt, counted, settled)
SELECT {_octets(conn, 16)}, 'campaign', '{kind}', '5-campaign-{campaign_id}-' || c.provider, c.id, c.mailbox,
  {campaign_id}, {topic}, state, CASE WHEN state = 'withheld' THEN 'cap_total' END, {at - _HOUR}, {at - _HOUR}, 1,
  {at} + i, {later}, {at} + i
FROM (SELECT i, {state} AS state FROM {_series(conn)}) AS s JOIN contact c ON c.id = i ORDER BY i"""
    conn.execute(text(query), {"first": FIRST, "last": FIRST + people - 1})


def _sequences(conn: Connection) -> None:
    if conn.dialect.name == "postgresql":
        for table in ("mailbox", "contact"):
            conn.execute(text(f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), (SELECT MAX(id) FROM {table}))"))
