"""Carries out the start of a version. Lowering a cap withholds the surplus in the same transaction.

Whoever decides about a mail reads the version in force by the clock, so nothing here is needed for it to hold. But
until a cap's surplus is withheld no campaign's mail is claimed: else each of the planned would count against the rest.
"""

from sqlalchemy import Connection, text

from outreach.domain.actors import ENGINE
from outreach.domain.frequency import SECOND, Cap
from outreach.domain.policies import CAPS, Name, caps_of
from outreach.services.context import Context
from outreach.store import policies as store
from outreach.store.audit import Entry, record
from outreach.store.messages import Settled, settle
from outreach.store.planning import take_planners_turn
from outreach.store.policies import Version

SLICE = 5000
_COUNTS = {
    "promotional": "(m.kind = 'promotional' OR m.origin = 'invitation')",
    "total": "(m.kind <> 'service' OR m.origin = 'invitation')",
}


def begin_due(ctx: Context) -> int:
    """Carry out the starts whose instant has come. Returns how many. For the engine, each half second."""
    with ctx.db.reading() as conn:
        if not _due(conn, ctx.db.now(conn)):
            return 0
    with ctx.db.transaction() as conn:
        take_planners_turn(conn)
        now = ctx.db.now(conn)
        due = _due(conn, now)
        for version in due:
            begin(conn, now, version, ENGINE.name)
        return len(due)


def begin(conn: Connection, now: int, version: Version, actor: str) -> int:
    """Carry out one start; the caller holds the planners' turn. Returns how many planned mails were withheld."""
    store.note(conn, version.id, begun=now)
    told = {"name": str(version.name), "version": version.number, "reason": version.reason}
    if version.name not in CAPS:
        record(conn, now, Entry(kind="policy.begun", actor=actor, body={**told, "value": dict(version.value)}))
        return 0
    scope = CAPS[version.name]
    body = {**told, "scope": scope, "caps": version.value["caps"]}
    record(conn, now, Entry(kind="policy.cap-changed", actor=actor, body=body))
    return sum(_withhold_surplus(conn, now, scope, cap) for cap in caps_of(version.value))


def _due(conn: Connection, now: int) -> list[Version]:
    found = store.versions(conn)
    held = [store.in_force([one for one in found if one.name == name], now) for name in Name]
    return [one for one in held if one is not None and one.begun is None]


def _withhold_surplus(conn: Connection, now: int, scope: str, cap: Cap) -> int:
    """Withhold the newest planned messages of each mailbox that would go past the cap."""
    counts = _COUNTS[scope]
    rows = conn.execute(
        text(
            f"""
            WITH used AS (
              SELECT m.mailbox, SUM(CASE WHEN m.state <> 'planned' THEN 1 ELSE 0 END) AS gone
              FROM message m WHERE {counts}
                AND (m.state IN ('planned', 'attempted')
                  OR (m.state IN ('sent', 'unknown') AND m.counted > :opened))
              GROUP BY m.mailbox HAVING COUNT(*) > :n
            ), ranked AS (
              SELECT m.id, u.gone + ROW_NUMBER() OVER (PARTITION BY m.mailbox ORDER BY m.planned, m.id) AS place
              FROM message m JOIN used u ON u.mailbox = m.mailbox WHERE m.state = 'planned' AND {counts}
            ) SELECT id FROM ranked WHERE place > :n"""
        ),
        {"opened": now - cap.window * SECOND, "n": cap.n},
    ).scalars()
    surplus = [Settled(message_id, "withheld", f"cap_{scope}") for message_id in rows]
    for start in range(0, len(surplus), SLICE):
        settle(conn, now, surplus[start : start + SLICE], "planned")
    return len(surplus)
