"""The organisation's caps, as an officer sets them. Lowering one withholds the surplus in the same transaction."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, insert, select, text, update

from outreach.domain.actors import Actor, Role
from outreach.domain.errors import InvalidInputError
from outreach.domain.frequency import SECOND
from outreach.services.context import Context
from outreach.store.audit import Entry, record
from outreach.store.decide import DEFAULT_TOTAL
from outreach.store.messages import Settled, settle
from outreach.store.planning import take_planners_turn
from outreach.store.schema.organisation import cap

SLICE = 5000
_LONGEST = 366 * 86400
_COUNTS = {
    "promotional": "(m.kind = 'promotional' OR m.origin = 'invitation')",
    "total": "(m.kind <> 'service' OR m.origin = 'invitation')",
}


@dataclass(frozen=True)
class CapView:
    """One cap in force: at most `n` messages of `scope` (promotional or total) in any `window` seconds."""

    scope: str
    n: int
    window: int


def current_caps(ctx: Context) -> list[CapView]:
    """The caps in force; the default total ceiling where no officer has set one."""
    with ctx.db.reading() as conn:
        query = (
            select(cap.c.scope, cap.c.n, cap.c.window).where(cap.c.ended.is_(None)).order_by(cap.c.scope, cap.c.window)
        )
        found = [CapView(*row) for row in conn.execute(query)]
    if not any(one.scope == "total" for one in found):
        found.append(CapView("total", DEFAULT_TOTAL.n, DEFAULT_TOTAL.window))
    return found


def change_caps(ctx: Context, actor: Actor, scope: str, caps: Sequence[tuple[int, int]], reason: str) -> int:
    """Replace the caps of `scope` by (n, window seconds) pairs. Returns how many planned messages were withheld.

    People whose text promised a lower total ceiling keep it: that promise is theirs, not policy.
    """
    actor.must_be(Role.OFFICER)
    _check(scope, caps, reason)
    with ctx.db.transaction() as conn:
        take_planners_turn(conn)
        now = ctx.db.now(conn)
        conn.execute(update(cap).where(cap.c.scope == scope, cap.c.ended.is_(None)).values(ended=now))
        for n, window in caps:
            conn.execute(insert(cap).values(scope=scope, n=n, window=window, since=now, reason=reason))
        body = {"scope": scope, "caps": [list(pair) for pair in caps], "reason": reason}
        record(conn, now, Entry(kind="policy.cap-changed", actor=actor.name, body=body))
        return sum(_withhold_surplus(conn, now, scope, n, window) for n, window in caps)


def _check(scope: str, caps: Sequence[tuple[int, int]], reason: str) -> None:
    if scope not in _COUNTS:
        raise InvalidInputError("There are caps for promotional mail and for the total only.", "scope")
    if not reason.strip():
        raise InvalidInputError("Say why the cap changes; the log keeps the reason. Nothing was changed.", "reason")
    if scope == "total" and not caps:
        raise InvalidInputError("There is always a total ceiling. Nothing was changed.", "caps")
    for n, window in caps:
        if not 0 <= n <= 1000 or not 3600 <= window <= _LONGEST:
            raise InvalidInputError(
                "A cap is 0 to 1,000 mails in a window of an hour to a year. Nothing was changed.", "caps"
            )


def _withhold_surplus(conn: Connection, now: int, scope: str, n: int, window: int) -> int:
    """Withhold the newest planned messages of each mailbox that would go past `n` in the window."""
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
        {"opened": now - window * SECOND, "n": n},
    ).scalars()
    surplus = [Settled(message_id, "withheld", f"cap_{scope}") for message_id in rows]
    for start in range(0, len(surplus), SLICE):
        settle(conn, now, surplus[start : start + SLICE], "planned")
    return len(surplus)
