"""Mails the owner of a mail a fresh link, when the key that signed the old one leaked and it can no longer act.

Whoever holds a leaked key can forge such a link, so it proves nothing: the fresh one goes to the mailbox alone, within
the budget of its confirmations, only to somebody who still gets mail from us, and no answer tells what was found.
"""

from sqlalchemy import Connection, select

from outreach.domain.actors import VISITOR
from outreach.domain.consent import LIVE
from outreach.domain.errors import TokenError
from outreach.domain.tokens import MAIL_PURPOSES, Purpose, TokenCompromisedError
from outreach.services.context import Context
from outreach.services.outbox import queue_notice
from outreach.services.standing import Mail, find_mail, standing
from outreach.store import consents, requests
from outreach.store.audit import Entry, record
from outreach.store.contacts import find_by_id
from outreach.store.schema.campaigns import message
from outreach.store.schema.people import contact


def mail_fresh_link(ctx: Context, token: str) -> None:
    """Queue one notice with a fresh stop link for the mail of `token`, a stop or why link of a compromised key.

    Changes no consent, and does nothing for a link that is still trusted. Raises TokenError for one not ours.
    """
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        ref = _leaked(ctx, token, now)
        mail = find_mail(conn, ref) if ref is not None else None
        if mail is None:
            return
        consents.lock_contacts(conn, [mail.contact])
        here = standing(conn, mail)
        live = [row.topic for row in consents.held(conn, [mail.contact]) if row.state in LIVE]
        if not live:
            return
        about = mail.topic or live[0]  # what they still get mail by: the notice rests on it
        if not _may_send(ctx, conn, now, mail, about):
            return
        person = find_by_id(conn, mail.contact)
        assert person is not None  # noqa: S101  locked by this transaction
        link = f"{ctx.settings.public_url}/stop/{ctx.tokens.issue(Purpose.STOP, mail.ref, now)}"
        facts = {"topic": here.topic, "url": link}
        notice = queue_notice(conn, ctx, now, person, template="fresh-link", facts=facts, topic=about)
        body = {"renews": mail.ref.hex()}
        record(
            conn,
            now,
            Entry(kind="link.renewed", actor=VISITOR.name, contact=person.ref, message=notice, body=body),
        )


def _leaked(ctx: Context, token: str, now: int) -> bytes | None:
    """The ref in a link whose key is compromised; None for one that is still trusted."""
    for purpose in MAIL_PURPOSES:
        try:
            ctx.tokens.read(purpose, token, now)
        except TokenCompromisedError as leaked:
            return leaked.ref
        except TokenError:
            continue
        return None
    raise TokenError("This link is not complete, or not one of ours. Nothing was changed.")


def _may_send(ctx: Context, conn: Connection, now: int, mail: Mail, topic: int) -> bool:
    """Whether none is on its way about this topic, and the mailbox's budget has room; takes a place in it."""
    own = select(contact.c.mailbox).where(contact.c.id == mail.contact).scalar_subquery()
    on_its_way = select(message.c.id).where(
        message.c.mailbox == own,  # the index is by mailbox
        message.c.contact == mail.contact,
        message.c.topic == topic,
        message.c.origin == "notice",
        message.c.state == "planned",
    )
    if conn.execute(on_its_way.limit(1)).first() is not None:
        return False
    _, mailbox_key = consents.bar_keys(conn, mail.contact)
    if requests.spent(conn, mailbox_key, now - requests.DAY) >= ctx.settings.confirmations_per_mailbox:
        return False
    requests.spend(conn, now, {mailbox_key})
    return True
