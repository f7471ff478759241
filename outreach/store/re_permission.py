"""SQL about asking once more: whose consent ends soon, or who was long silent, and whom nobody has asked yet.

A sign of life is an entry of the log about something the person did: a press, a change, an answer. That a mail was
opened or a link fetched is none, for programs do both.
"""

from typing import Any, NamedTuple

from sqlalchemy import Connection, func, select, text
from sqlalchemy.engine import Row

from outreach.store.decide import AUDIENCE, Rule
from outreach.store.schema.campaigns import message
from outreach.store.schema.consents import confirmation
from outreach.store.schema.people import contact, mailbox

KIND = "promotional"
"""What such a mail counts as under the caps, the give ratio included (ePrivacy 13: asking for consent is marketing)."""

_GIVEN = """COALESCE((SELECT MAX(e.at) FROM consent_event e WHERE e.contact = cs.contact AND e.topic = cs.topic
    AND e.event IN ('confirmed', 'imported')), cs.since)"""
_LIVED = """EXISTS (SELECT 1 FROM audit_entry a WHERE a.contact = {ref} AND a.at > {since}
    AND (a.actor IN ('recipient', 'recipient:room') OR a.actor LIKE 'member:%'))"""
_SILENT_SINCE = "CAST(:silent_since AS BIGINT)"
_DUE = f"""AND cs.state = 'granted' AND cs.soft_from IS NULL AND (cs.expires IS NULL OR cs.expires > :now)
  AND (cs.expires <= CAST(:ends_before AS BIGINT)
    OR ({_GIVEN} <= {_SILENT_SINCE} AND NOT {_LIVED.format(ref="c.ref", since=_SILENT_SINCE)}))
  AND NOT EXISTS (SELECT 1 FROM message q WHERE q.mailbox = c.mailbox AND q.contact = c.id AND q.topic = cs.topic
    AND q.origin = 'confirmation' AND q.state <> 'withheld' AND q.planned >= {_GIVEN})"""


class Due(NamedTuple):
    """Somebody to ask about a topic, as the planners' rule judged them: `reason` None where a mail may go.

    `expires`: when the consent ends by itself, None: it does not; quiet hours in minutes after local midnight.
    """

    contact: int
    mailbox: int
    zone: str
    quiet_from: int
    quiet_to: int
    reason: str | None
    expires: int | None


class Terms(NamedTuple):
    """What a look goes by, in UTC microseconds: consents that end up to `ends_before`, or whose owner gave no sign of
    life after `silent_since` (0: silence does not matter).
    """

    now: int
    ends_before: int
    silent_since: int


def last_mailbox(conn: Connection) -> int:
    """The greatest id of a mailbox, 0 while there is none."""
    return int(conn.execute(select(func.coalesce(func.max(mailbox.c.id), 0))).scalar_one())


def due(conn: Connection, rule: Rule, topic: int, part: tuple[int, int], terms: Terms, limit: int) -> list[Due]:
    """Whom to ask about a topic, of the mailboxes in `part` (after, upto], one contact of each; those who may be asked
    now come first.
    """
    query = f"""SELECT j.contact, j.mailbox, j.zone, j.quiet_from, j.quiet_to, j.reason, s.expires
FROM ({rule.judged(AUDIENCE, segment=_DUE)}) j JOIN consent s ON s.contact = j.contact AND s.topic = j.topic
ORDER BY CASE WHEN j.reason IS NULL THEN 0 ELSE 1 END, j.contact LIMIT :limit"""
    params = {"topic": topic, "kind": KIND, "after": part[0], "upto": part[1], "limit": limit, "too_old": rule.too_old}
    found: dict[int, Due] = {}
    for row in conn.execute(text(query), params | terms._asdict()):
        found.setdefault(row.mailbox, Due(*row))
    return list(found.values())


def unanswered(conn: Connection, now: int, limit: int) -> list[Row[Any]]:
    """Questions whose time is over and that nobody answered, oldest first."""
    over = (confirmation.c.about == "renewal", confirmation.c.answered.is_(None), confirmation.c.expires <= now)
    return list(conn.execute(select(confirmation).where(*over).order_by(confirmation.c.expires).limit(limit)))


def was_asked(conn: Connection, question: Row[Any]) -> bool:
    """Whether the mail of a question was handed over."""
    own = select(contact.c.mailbox).where(contact.c.id == question.contact).scalar_subquery()
    query = select(message.c.id).where(
        message.c.mailbox == own,  # the index is by mailbox
        message.c.contact == question.contact,
        message.c.confirmation == question.id,
        message.c.state.in_(["sent", "unknown"]),
    )
    return conn.execute(query.limit(1)).first() is not None


def gave_sign(conn: Connection, contact_ref: bytes, since: int) -> bool:
    """Whether this person gave a sign of life after `since`, UTC microseconds."""
    query = text(f"SELECT {_LIVED.format(ref=':ref', since=':since')} AS lived")
    return bool(conn.execute(query, {"ref": contact_ref, "since": since}).scalar_one())
