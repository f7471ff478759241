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
    """Seconds, or octets, of each thing that is done to messages."""
    slices, _ends = plan_all(run, town)
    settle_in(run)
    with run.db.transaction() as conn:
        now, rule = run.db.now(conn), load_rule(conn)
        lane = conn.execute(text("SELECT MIN(lane) FROM message WHERE queue = 1")).scalar_one()
        claims = [_seconds(lambda: due_in(conn, lane, now, 500)) for _ in range(20)]
        ids = [one.id for one in due_in(conn, lane, now, 500)]
        judged = [_seconds(lambda: judge_messages(conn, rule, ids, now)) for _ in range(20)]
        some = f"FROM message TABLESAMPLE BERNOULLI (5) LIMIT {_LOOKS}"
        keys = conn.execute(text(f"SELECT id, ref, mailbox {some}")).all()
        found = {
            name: _seconds(lambda name=name, place=place: _find(conn, name, [key[place] for key in keys]))  # type: ignore[misc]
            for place, name in enumerate(("id", "ref", "mailbox"))
        }
        size = (
            "SELECT SUM({}) FROM pg_class WHERE oid = 'message'::regclass OR oid IN (SELECT inhrelid FROM pg_inherits)"
        )
        tables, indexes = (
            float(conn.execute(text(size.format(of))).scalar_one())
            for of in ("pg_table_size(oid)", "pg_indexes_size(oid)")
        )
    return {
        "plan": sum(slices),
        "claim": statistics.median(claims),
        "judge": statistics.median(judged),
        **{f"by_{name}": seconds for name, seconds in found.items()},
        "table_octets": tables,
        "index_octets": indexes,
    }


def _find(conn: Connection, column: str, values: list[object]) -> None:
    query = text(f"SELECT state, reason FROM message WHERE {column} = :value")
    for value in values:
        conn.execute(query, {"value": value}).all()


def _seconds(act: Callable[[], object]) -> float:
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


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
        for _ in range(chosen.repeats):
            figures = []
            for parts in (1, PARTS):
                run = store.copy()
                if parts > 1:
                    with run.db.transaction() as conn:
                        partition(conn)
                settle_in(run)
                figures.append(look(run, town))
                run.db.dispose()
            for name, value in figures[0].items():
                ratios.setdefault(name, []).append(figures[1][name] / value)
            print(
                "  " + " ".join(f"{name}={figures[0][name]:.4g}/{figures[1][name]:.4g}" for name in ratios), flush=True
            )
    print("partitions " + " ".join(f"{name}={statistics.median(found):.2f}" for name, found in ratios.items()))


if __name__ == "__main__":
    main()
