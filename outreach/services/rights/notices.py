"""The mails about a person's request, in their language: received, more needed, extended, ready, done, refused.

None holds what was asked for: it says that the answer is ready, and the person opens it by a fresh link. They rest on
the request itself (GDPR 12(3)), so they go to whoever asked, barred or not.
"""

from collections.abc import Mapping

from sqlalchemy import Connection

from outreach.domain.tokens import Purpose
from outreach.services.context import Context
from outreach.services.invitation_mail import day
from outreach.services.outbox import queue_notice
from outreach.services.public_text import read_house
from outreach.store import rights as store
from outreach.store.contacts import Person

LINK_MINUTES = 30
LEADS = {"rights": "rights-link", "room": "room-link"}
"""Where a fresh link may lead, the first part of its path, and the mail that brings it."""

STAGES = ("received", "identity", "extended", "ready", "done", "erasing", "refused", "lifted")


def mail_link(conn: Connection, ctx: Context, now: int, person: Person, leads: str = "rights") -> bytes:
    """Queue a fresh link, good for 30 minutes, that leads to one of LEADS. Returns the mail's ref."""
    token = ctx.tokens.issue(Purpose.RIGHTS, store.add_link(conn, now, person.id), now)
    facts: dict[str, str | int] = {"url": f"{ctx.settings.public_url}/{leads}/{token}", "minutes": LINK_MINUTES}
    return _queue(conn, ctx, now, person, LEADS[leads], facts)


def tell(
    conn: Connection,
    ctx: Context,
    now: int,
    person: Person,
    stage: str,
    kind: str,
    *,
    due: int | None = None,
    until: int | None = None,
    words: str = "",
) -> bytes:
    """Queue the mail of one of STAGES about a request of `kind`. Returns the mail's ref.

    `due`: by when it is answered; `until`: how long proof is kept for claims (UTC microseconds); `words`: an officer's
    own, to the person.
    """
    if stage not in STAGES:
        raise ValueError(f"no such stage: {stage}")
    house = read_house(conn)
    facts = {
        "stage": stage,
        "kind": kind,
        "due": "" if due is None else day(due, house, person.locale),
        "until": "" if until is None else day(until, house, person.locale),
        "words": words,
        "url": f"{ctx.settings.public_url}/rights",
        "privacy_contact": house.privacy_contact,
    }
    return _queue(conn, ctx, now, person, "rights", facts)


def _queue(
    conn: Connection, ctx: Context, now: int, person: Person, template: str, facts: Mapping[str, str | int]
) -> bytes:
    ref = queue_notice(conn, ctx, now, person, template=template, facts=facts)
    store.note_mail(conn, now, ref)
    return ref
