"""`python -m bench.partitions`: messages in one table against eight hash partitions by mailbox, on PostgreSQL.

The same town (`bench/town.py`) is planned, claimed, judged and looked up by the product's own code, once over the table
as it is and once over one partitioned by HASH (mailbox): unique keys then have to name the mailbox too, and no foreign
key can point to a message's id. Prints each figure as partitioned ÷ one table; above 1 means partitions cost.
Decision 0018 is about the result.
"""

import argparse
import statistics
import time
from collections.abc import Callable

from sqlalchemy import Connection, text

from bench.plan import OnPostgresql, plan_all
from bench.servers import durable_postgresql, folder
from bench.town import Town, fill, settle_in
from outreach.services.context import Context
from outreach.store.decide import load_rule
from outreach.store.messages import due_in
from outreach.store.migrate import upgrade
from outreach.store.planning import judge_messages

PARTS = 8
_LOOKS = 2000
_GOES = 15

_INDEXES = (
    "ALTER TABLE message ADD CONSTRAINT parted_pk PRIMARY KEY (id, mailbox)",
    "ALTER TABLE message ADD CONSTRAINT parted_ref UNIQUE (ref, mailbox)",
    "ALTER TABLE message ADD CONSTRAINT parted_campaign UNIQUE (campaign, contact, mailbox)",
    "ALTER TABLE message ADD CONSTRAINT parted_contact FOREIGN KEY (contact) REFERENCES contact (id)",
    "CREATE INDEX ON message (mailbox)",
    "CREATE INDEX ON message (lane, due, id) WHERE queue = 1",
    "CREATE INDEX ON message (campaign, due) WHERE queue = 2",
)


def partition(conn: Connection) -> None:
    """Put a partitioned table with the same rows in the place of `message`."""
    conn.execute(text("ALTER TABLE message RENAME TO message_one"))
    like = "LIKE message_one INCLUDING DEFAULTS INCLUDING GENERATED INCLUDING CONSTRAINTS"
    conn.execute(text(f"CREATE TABLE message ({like}) PARTITION BY HASH (mailbox)"))
    for part in range(PARTS):
        values = f"FOR VALUES WITH (MODULUS {PARTS}, REMAINDER {part}) WITH (fillfactor = 70)"
        conn.execute(text(f"CREATE TABLE message_{part} PARTITION OF message {values}"))
    columns = conn.execute(
        text(
            "SELECT string_agg(column_name, ', ') FROM information_schema.columns "
            "WHERE table_name = 'message_one' AND is_generated = 'NEVER'"
        )
    ).scalar_one()
    conn.execute(text(f"INSERT INTO message ({columns}) SELECT {columns} FROM message_one ORDER BY id"))
    for statement in _INDEXES:
        conn.execute(text(statement))
    conn.execute(text("ALTER SEQUENCE message_id_seq OWNED BY message.id"))
    conn.execute(text("DROP TABLE message_one"))


def look(run: Context, town: Town) -> dict[str, float]:
    """Seconds, or octets, of each thing that is done to messages; the quickest of several goes, warm."""
    slices, _ends = plan_all(run, town)
    settle_in(run)
    with run.db.transaction() as conn:
        now = run.db.now(conn)
        rule = load_rule(conn, now)
        lane = conn.execute(text("SELECT MIN(lane) FROM message WHERE queue = 1")).scalar_one()
        ids = [one.id for one in due_in(conn, lane, now, 500)]
        keys = conn.execute(text(f"SELECT id, ref, mailbox FROM message ORDER BY ref LIMIT {_LOOKS}")).all()
        return {
            "plan": statistics.median(slices) * len(slices),
            "claim": _quickest(lambda: due_in(conn, lane, now, 500)),
            "judge": _quickest(lambda: judge_messages(conn, rule, ids, now)),
            "by_id": _quickest(lambda: _find(conn, "id", "BIGINT", [key.id for key in keys])),
            "by_ref": _quickest(lambda: _find(conn, "ref", "BYTEA", [key.ref for key in keys])),
            "by_mailbox": _quickest(lambda: _find(conn, "mailbox", "BIGINT", [key.mailbox for key in keys])),
            "table_octets": _octets(conn, "pg_table_size"),
            "index_octets": _octets(conn, "pg_indexes_size"),
        }


def _find(conn: Connection, column: str, kind: str, values: list[object]) -> None:
    """Look each value up by its index, within the server."""
    conn.execute(text("SET LOCAL enable_hashjoin = off"))
    conn.execute(text("SET LOCAL enable_mergejoin = off"))
    query = f"SELECT COUNT(m.reason) FROM UNNEST(CAST(:values AS {kind}[])) AS v JOIN message m ON m.{column} = v"
    conn.execute(text(query), {"values": values}).all()


def _octets(conn: Connection, size_of: str) -> float:
    parts = "SELECT inhrelid FROM pg_inherits WHERE inhparent = 'message'::regclass"
    query = f"SELECT SUM({size_of}(oid)) FROM pg_class WHERE oid = 'message'::regclass OR oid IN ({parts})"
    return float(conn.execute(text(query)).scalar_one())


def _quickest(act: Callable[[], object]) -> float:
    seconds = []
    for _ in range(_GOES):
        began = time.perf_counter()
        act()
        seconds.append(time.perf_counter() - began)
    return min(seconds)


def main() -> None:
    arguments = argparse.ArgumentParser(description="One table of messages against hash partitions.")
    arguments.add_argument("--people", type=int, default=200_000)
    arguments.add_argument("--repeats", type=int, default=3)
    chosen = arguments.parse_args()
    ratios: dict[str, list[float]] = {}
    with durable_postgresql() as server, folder() as place:
        store = OnPostgresql(server, place)
        base = store.base()
        upgrade(base.db)
        town = fill(base, chosen.people)
        base.db.dispose()
        for number in range(chosen.repeats):
            figures: dict[int, dict[str, float]] = {}
            for parts in (1, PARTS) if number % 2 else (PARTS, 1):
                run = store.copy()
                if parts > 1:
                    with run.db.transaction() as conn:
                        partition(conn)
                settle_in(run)
                figures[parts] = look(run, town)
                run.db.dispose()
            for name, value in figures[1].items():
                ratios.setdefault(name, []).append(figures[PARTS][name] / value)
            pairs = (f"{name}={figures[PARTS][name]:.4g}/{figures[1][name]:.4g}" for name in ratios)
            print("  " + " ".join(pairs), flush=True)
    print("partitions " + " ".join(f"{name}={statistics.median(found):.2f}" for name, found in ratios.items()))


if __name__ == "__main__":
    main()
