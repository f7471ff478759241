"""How a topic kept its word: how many of its mails its readers really got, and the last mail fit to be shown."""

from dataclasses import dataclass

from sqlalchemy import Connection, func, select, text

from outreach.domain.frequency import SECOND
from outreach.store import tally
from outreach.store.schema.campaigns import campaign
from outreach.store.schema.consents import consent

_SAMPLE = 500
_LOOKED_THROUGH = 20


@dataclass(frozen=True)
class Record:
    """What `people` readers got: `mails` in `windows` windows of the promise, all of theirs laid end to end."""

    people: int
    mails: int
    windows: float


_RECORD = text("""
SELECT COUNT(*) AS people, COALESCE(SUM(g.mails), 0) AS mails, COALESCE(SUM(g.span), 0) AS span FROM (
  SELECT CAST(:now AS BIGINT) - r.since AS span, (SELECT COUNT(*) FROM message m WHERE m.mailbox = r.mailbox
    AND m.contact = r.contact AND m.topic = :topic AND m.origin = 'campaign' AND m.state = 'sent'
    AND m.counted > r.since) AS mails
  FROM (SELECT cs.contact, c.mailbox, CASE WHEN cs.since > :since THEN cs.since ELSE CAST(:since AS BIGINT) END AS since
    FROM consent cs JOIN contact c ON c.id = cs.contact
    WHERE cs.topic = :topic AND cs.state = 'granted' AND cs.contact % :part = 0) r
  WHERE r.since <= CAST(:latest AS BIGINT)) g""")


def record_of(conn: Connection, now: int, topic: int, since: int, window: int) -> Record:
    """What the present readers of a topic got since they agreed, or since `since`; of many, of some 500.

    Readers of less than one `window` (seconds) are left out: a single mail would be too much for them. Instants in UTC
    microseconds.
    """
    readers = select(func.count()).where(consent.c.topic == topic, consent.c.state == "granted")
    part = max(1, int(conn.execute(readers).scalar_one()) // _SAMPLE)
    latest = now - window * SECOND
    row = conn.execute(_RECORD, {"now": now, "topic": topic, "since": since, "latest": latest, "part": part}).one()
    return Record(row.people, int(row.mails), float(row.span) / (window * SECOND))


def last_mail(conn: Connection, topic: int, least: int) -> bytes | None:
    """The ref of the topic's newest campaign that was sent to at least `least` people; None before there is one."""
    query = (
        select(campaign.c.id, campaign.c.ref)
        .where(campaign.c.topic == topic, campaign.c.kind != "service", campaign.c.started.is_not(None))
        .order_by(campaign.c.started.desc(), campaign.c.id.desc())
        .limit(_LOOKED_THROUGH)
    )
    rows = conn.execute(query).all()
    return next((row.ref for row in rows if tally.totals(conn, row.id).get(("sent", None), 0) >= least), None)
