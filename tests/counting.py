"""How a campaign's messages stand, counted one by one: what the sums in `tally` must come to."""

from collections import Counter

from sqlalchemy import Connection, delete, select

from outreach.store import tally
from outreach.store.schema.campaigns import message
from outreach.store.schema.tally import tally as rows


def standing(conn: Connection, campaign_id: int) -> dict[tuple[str, str | None], int]:
    """(state, reason of a final one) → how many; what is being attempted counts as planned."""
    found = conn.execute(select(message.c.state, message.c.reason).where(message.c.campaign == campaign_id))
    counts: Counter[tuple[str, str | None]] = Counter()
    for state, reason in found:
        is_open = state in {"planned", "attempted", "waiting"}
        counts["planned" if state == "attempted" else state, None if is_open else reason] += 1
    return dict(counts)


def count_anew(conn: Connection, campaign_id: int) -> None:
    """For messages that a test put straight into the table."""
    conn.execute(delete(rows).where(rows.c.campaign == campaign_id))
    tally.add(conn, 0, campaign_id, standing(conn, campaign_id))
