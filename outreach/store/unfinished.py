"""What of a campaign may still go out: whether there is any, finishing those without, withholding a cancelled one's.

Asked each second beside campaigns of millions, so each answer comes from an index that holds open messages alone.
"""

from collections.abc import Sequence

from sqlalchemy import Connection, text

from outreach.domain.eligibility import Reason
from outreach.store import tally
from outreach.store.audit import record_selected
from outreach.store.bulk import among, bound
from outreach.store.messages import PROVIDERS

SLICE = 5000


def lanes_of(campaign: str) -> str:
    """A list of the campaign's lanes in SQL; `campaign`: its id, or a column that holds it."""
    return ", ".join(f"'5-campaign-' || CAST({campaign} AS TEXT) || '-{provider}'" for provider in PROVIDERS)


def finish(conn: Connection, now: int) -> Sequence[bytes]:
    """Planned campaigns none of whose messages may still go out are sent. Returns their refs."""
    query = text(
        "UPDATE campaign SET state = 'sent', finished = :now WHERE state = 'sending' AND planned IS NOT NULL "
        f"AND NOT ({may_go_out(conn)}) RETURNING ref"
    )
    return conn.execute(query, {"now": now}).scalars().all()


def finish_cancelled(conn: Connection, now: int, campaign_id: int) -> bool:
    """A cancelled campaign of which nothing is on its way any more is over. Returns whether it was."""
    query = text(
        "UPDATE campaign SET finished = :now, updated = :now WHERE id = :campaign AND state = 'cancelled' "
        f"AND NOT ({may_go_out(conn)})"
    )
    return conn.execute(query, {"now": now, "campaign": campaign_id}).rowcount == 1


def withhold_cancelled(conn: Connection, now: int, campaign_id: int) -> int:
    """Withhold a slice of what a cancelled campaign has not begun to hand off, an entry each. Returns how many.

    What a worker is deciding about at this moment is left for the next look.
    """
    withheld = 0
    for state, chosen in (("planned", f"queue = 1 AND lane IN ({lanes_of(':campaign')})"),
                          ("waiting", "queue = 2 AND campaign = :campaign")):  # fmt: skip
        skip = " FOR UPDATE SKIP LOCKED" if conn.dialect.name == "postgresql" else ""
        found = text(f"SELECT id FROM message WHERE {chosen} LIMIT :most{skip}")
        ids = conn.execute(found, {"campaign": campaign_id, "most": SLICE - withheld}).scalars().all()
        _withhold(conn, now, ids)
        tally.add(conn, now, campaign_id, {(state, None): -len(ids), ("withheld", Reason.CANCELLED): len(ids)})
        withheld += len(ids)
    return withheld


def ahead(conn: Connection, campaign_id: int, now: int) -> tuple[int, int | None]:
    """(How many planned messages may not go yet, the next instant at which any message of the campaign may)."""
    planned = text(
        f"SELECT COUNT(*), MIN(due) FROM message WHERE queue = 1 AND lane IN ({lanes_of(':campaign')}) AND due > :now"
    )
    waiting = text("SELECT MIN(due) FROM message WHERE queue = 2 AND campaign = :campaign AND due > :now")
    params = {"campaign": campaign_id, "now": now}
    count, opens = conn.execute(planned, params).one()
    instants = [at for at in (opens, conn.execute(waiting, params).scalar_one()) if at is not None]
    return int(count), min(instants, default=None)


def _withhold(conn: Connection, now: int, ids: Sequence[int]) -> None:
    if not ids:
        return
    params = {"ids": bound(conn, ids), "now": now}
    values = f"state = 'withheld', reason = '{Reason.CANCELLED}', settled = :now"
    conn.execute(text(f"UPDATE message SET {values} WHERE {among(conn, 'id')}"), params)
    entries = (
        "SELECT 'message.withheld' AS kind, 'engine' AS actor, c.ref AS contact, t.ref AS topic, p.ref AS campaign, "
        f"""x.ref AS message, '{{"reason":"{Reason.CANCELLED}","state":"withheld"}}' AS body """
        "FROM message x JOIN contact c ON c.id = x.contact JOIN topic t ON t.id = x.topic "
        f"JOIN campaign p ON p.id = x.campaign WHERE {among(conn, 'x.id')}"
    )
    record_selected(conn, now, entries, {"ids": params["ids"]})


def may_go_out(conn: Connection) -> str:
    """A condition on `campaign`, in one statement, so that a message that is put back meanwhile is seen once."""
    if conn.dialect.name == "postgresql":
        hand = "CROSS JOIN LATERAL jsonb_array_elements_text(CAST(b.messages AS JSONB)) AS e(value)"
    else:
        hand = "CROSS JOIN json_each(b.messages) AS e"
    return f"""
  EXISTS (SELECT 1 FROM message m WHERE m.queue = 1 AND m.lane IN ({lanes_of("campaign.id")}))
  OR EXISTS (SELECT 1 FROM message m WHERE m.queue = 2 AND m.campaign = campaign.id)
  OR EXISTS (SELECT 1 FROM batch b {hand} JOIN message m ON m.id = CAST(e.value AS BIGINT)
    WHERE m.campaign = campaign.id AND m.state = 'attempted')"""
