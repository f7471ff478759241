"""Erasing people of whom nothing needs to be held any more: their key goes, and with it every box."""

import secrets
from collections.abc import Collection

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    bindparam,
    case,
    delete,
    exists,
    func,
    literal,
    or_,
    select,
    update,
)

from outreach.domain.message import FINAL, MessageState
from outreach.domain.policies import Name
from outreach.store import conversations, inbound, policies
from outreach.store.schema.campaigns import message
from outreach.store.schema.consents import confirmation, confirmation_topic, consent, consent_event, topic
from outreach.store.schema.conversations import conversation
from outreach.store.schema.members import connection, invitation, member
from outreach.store.schema.observations import observation
from outreach.store.schema.organisation import staff
from outreach.store.schema.people import contact, contact_key, mailbox, suppression
from outreach.store.schema.room import address_move

_waits_for_an_answer = invitation.c.answered.is_(None) | (
    (invitation.c.way == "link") & (invitation.c.answer == "accepted") & invitation.c.settled.is_(None)
)
_STRANGERS_EVENTS = ("requested", "declined", "lapsed")
_DAY = 86_400_000_000


_TAKES_PART = (
    exists().where(member.c.contact == contact.c.id, member.c.closed.is_(None)),
    exists().where(connection.c.ended.is_(None), connection.c.low == contact.c.id),
    exists().where(connection.c.ended.is_(None), connection.c.high == contact.c.id),
    exists().where(invitation.c.contact == contact.c.id, _waits_for_an_answer),
    exists().where(conversation.c.contact == contact.c.id, conversation.c.closed.is_(None)),
    exists().where(address_move.c.target == contact.c.id, address_move.c.ended.is_(None)),
)
"""What holds a person whatever they agreed to: their account, a live connection, an invitation not answered yet, a
request at a connect link that they confirmed and its owner has not answered, an open conversation, and consents that
may come here from another address."""

_IS_RESTRICTED = exists().where(
    suppression.c.key == contact.c.address_key, suppression.c.kind == "restricted", suppression.c.lifted.is_(None)
)
"""They asked that nothing be deleted meanwhile (GDPR 18(1)(c)): only their own request for erasure outweighs that."""

_is_about_a_consent = message.c.origin.in_(["campaign", "test"]) | message.c.topic.is_not(None)
_is_on_its_way = message.c.origin.in_(["invitation", "notice"]) & message.c.state.not_in(sorted(FINAL))
_TO_THEM = (message.c.mailbox == contact.c.mailbox, message.c.contact == contact.c.id)  # found by the mailbox's index


def last_id(conn: Connection) -> int:
    """The greatest id of a contact, 0 while there is none."""
    return int(conn.execute(select(func.coalesce(func.max(contact.c.id), 0))).scalar_one())


def long_ended(conn: Connection, now: int, after: int, upto: int, *, limit: int) -> dict[int, bytes]:
    """People with ids in (after, upto] whose every consent ended longer ago than its topic keeps proof: id → ref.

    No longer, either, than the policies in force now and when it ended let any topic keep it.

    Without those who work here, have an account, a connection or an invitation to answer, a question open or a link of
    one that still answers, or mail on its way.
    """
    kept_for = _kept_days(conn, now) * literal(_DAY, BigInteger)
    is_needed = or_(consent.c.state.not_in(["none", "withdrawn", "expired"]), consent.c.since > now - kept_for)
    theirs = (consent.c.contact == contact.c.id, consent.c.contact > after, consent.c.contact <= upto)
    is_open = or_(confirmation.c.answered.is_(None), confirmation.c.expires > now)
    on_its_way = sorted(set(MessageState) - FINAL)
    stayed = (
        exists().where(*theirs, topic.c.id == consent.c.topic, is_needed),
        exists().where(staff.c.contact == contact.c.id),
        exists().where(confirmation.c.contact == contact.c.id, is_open),
        exists().where(*_TO_THEM, message.c.state.in_(on_its_way)),
        _IS_RESTRICTED,
        *_TAKES_PART,
    )
    query = select(contact.c.id, contact.c.ref).where(
        contact.c.id > after,
        contact.c.id <= upto,
        exists().where(contact_key.c.contact == contact.c.id),
        exists().where(*theirs),
        *(~reason for reason in stayed),
    )
    return {row.id: row.ref for row in conn.execute(query.order_by(contact.c.id).limit(limit))}


def _kept_days(conn: Connection, now: int) -> ColumnElement[int]:
    """Days that proof of a consent is kept: its topic's, or the policy's where that is or was shorter."""
    line = [one for one in policies.acting(policies.versions(conn, Name.RETENTION)) if (one.starts or 0) <= now]
    most = line[-1].value["most_days"] if line else policies.default(conn, Name.RETENTION)["most_days"]
    limits = [(consent.c.since >= (one.starts or 0), min(most, one.value["most_days"])) for one in reversed(line)]
    limit = case(*limits, else_=most) if limits else literal(most)
    return case((topic.c.retention_days < limit, topic.c.retention_days), else_=limit)


def only_asked(conn: Connection, contacts: Collection[int]) -> dict[int, bytes]:
    """Those of `contacts` (id → ref) who never agreed to anything, work for nobody, take part in nothing and await no
    question.
    """
    stayed = (
        exists().where(consent.c.contact == contact.c.id, consent.c.state.not_in(["none", "pending"])),
        exists().where(consent_event.c.contact == contact.c.id, consent_event.c.event.not_in(_STRANGERS_EVENTS)),
        exists().where(staff.c.contact == contact.c.id),
        exists().where(*_TO_THEM, _is_about_a_consent | _is_on_its_way),
        exists().where(confirmation.c.contact == contact.c.id, confirmation.c.answered.is_(None)),
        _IS_RESTRICTED,
        *_TAKES_PART,
    )
    query = select(contact.c.id, contact.c.ref).where(
        contact.c.id.in_(list(contacts)),
        exists().where(contact_key.c.contact == contact.c.id),
        *(~reason for reason in stayed),
    )
    return {row.id: row.ref for row in conn.execute(query.order_by(contact.c.id))}


def erase(conn: Connection, contacts: Collection[int]) -> None:
    """Take everything by which these people could be known. Their message rows stay, naming nobody."""
    ids = sorted(contacts)
    if not ids:
        return
    conn.execute(delete(contact_key).where(contact_key.c.contact.in_(ids)))
    conn.execute(delete(consent).where(consent.c.contact.in_(ids)))
    conversations.forget(conn, ids)
    asked = select(confirmation.c.id).where(confirmation.c.contact.in_(ids))
    conn.execute(delete(confirmation_topic).where(confirmation_topic.c.confirmation.in_(asked)))
    conn.execute(update(confirmation).where(confirmation.c.contact.in_(ids)).values(evidence_box=None))
    questions = select(confirmation.c.ref).where(confirmation.c.contact.in_(ids))
    conn.execute(delete(observation).where(observation.c.about.in_(questions)))
    inbound.forget(conn, ids)
    conn.execute(update(invitation).where(invitation.c.contact.in_(ids)).values(contact=None))
    moves = address_move.c.contact.in_(ids) | address_move.c.target.in_(ids)
    conn.execute(update(address_move).where(moves).values(asked_box=None))
    conn.execute(
        update(contact)
        .where(contact.c.id == bindparam("of"))
        .values(address_key=bindparam("noise"), address_box=None, fields_box=None),
        [{"of": one, "noise": secrets.token_bytes(32)} for one in ids],
    )
    _forget_mailboxes(conn, ids)


def _forget_mailboxes(conn: Connection, ids: Collection[int]) -> None:
    """Mailboxes no other address shares lose their key too: it stood for an address.

    But not those somebody was ever invited to, so that once stays once and "never" stays never; and not those of
    members who ever invited or are suspended, so that a new account begins where the old one left off.
    """
    others = (
        select(contact.c.id)
        .join(contact_key, contact_key.c.contact == contact.c.id)
        .where(contact.c.mailbox == mailbox.c.id)
        .exists()
    )
    invited = exists().where(invitation.c.mailbox == mailbox.c.id)
    record = member.c.suspended.is_not(None) | exists().where(invitation.c.member == member.c.id)
    invited_others = exists().where(member.c.contact == contact.c.id, contact.c.mailbox == mailbox.c.id, record)
    kept = others | invited | invited_others
    mine = select(contact.c.mailbox).where(contact.c.id.in_(ids))
    empty = conn.execute(select(mailbox.c.id).where(mailbox.c.id.in_(mine), ~kept)).scalars().all()
    if empty:
        conn.execute(
            update(mailbox).where(mailbox.c.id == bindparam("of")).values(mailbox_key=bindparam("noise")),
            [{"of": one, "noise": secrets.token_bytes(32)} for one in empty],
        )
