"""The mails behind a number on a campaign's page, by contact reference alone.

A masked address beside it would be missing for whoever was erased, and so tell them from all others who asked not to.
There is no list of who was withheld. Looked up one by one, a contact who was reads as `why_not.of_one` lets them: that
they asked not to, a limit, or not in the audience (promise 9).
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, and_, or_, select

from outreach.domain.actors import Actor, Role
from outreach.domain.errors import InvalidInputError, NotFoundError
from outreach.services.campaign_content import the_campaign
from outreach.services.campaign_pages import PAGE, later_words, page_ref
from outreach.services.context import Context
from outreach.services.forecast import reason_words
from outreach.services.why_not import of_one
from outreach.store.contacts import find_by_code
from outreach.store.schema.campaigns import campaign, message
from outreach.store.schema.people import contact

LISTS = ("sent", "to-go", "later", "came-back", "unknown")
"""The numbers that have a list behind them."""

_MAIL = (message.c.ref, message.c.state, message.c.reason, message.c.due, message.c.settled)


@dataclass(frozen=True)
class MailLine:
    """One mail in a list. `code`: the contact reference.

    `outcome`: one of LISTS, or of `why_not.of_one` where no mail went; `reason`: why it waits or came back, in words,
    else "".
    """

    code: str
    at: int | None
    outcome: str
    reason: str = ""


@dataclass(frozen=True)
class MailList:
    """A page of mails; `further`: where the next page begins, or ""."""

    lines: tuple[MailLine, ...]
    further: str


def see_mails(ctx: Context, actor: Actor, ref: bytes, which: str, further: str = "") -> MailList:
    """A page of the mails behind one number of LISTS. Raises NotFoundError: there is no list of who was withheld."""
    actor.must_be(Role.MARKETER)
    if which not in LISTS:
        raise NotFoundError("There is no such list. Who was not mailed, and why, is shown in numbers only.")
    with ctx.db.reading() as conn:
        one = the_campaign(conn, ref)
        query = (
            select(*_MAIL, contact.c.code)
            .join(contact, contact.c.id == message.c.contact)
            .where(message.c.campaign == one.id, _in_list(which, ctx.db.now(conn)))
            .order_by(message.c.contact)
            .limit(PAGE + 1)
        )
        if further:
            start = select(message.c.contact).where(message.c.ref == page_ref(further), message.c.campaign == one.id)
            query = query.where(message.c.contact > start.scalar_subquery())
        found = conn.execute(query).all()
        lines = tuple(MailLine(row.code, *_outcome(which, row)) for row in found[:PAGE])
    return MailList(lines, found[PAGE - 1].ref.hex() if len(found) > PAGE else "")


def see_mail_to(ctx: Context, actor: Actor, ref: bytes, code: str) -> MailLine:
    """What became of the mail to one contact, found by reference, or why there was none.

    Raises InvalidInputError for a reference that is nobody's.
    """
    actor.must_be(Role.MARKETER)
    with ctx.db.reading() as conn:
        one = the_campaign(conn, ref)
        person = find_by_code(conn, code)
        if person is None:
            raise InvalidInputError("No contact has this reference. It stands at the foot of every mail.", "contact")
        now = ctx.db.now(conn)
        query = select(*_MAIL).where(message.c.campaign == one.id, message.c.contact == person.id)
        row = conn.execute(query).one_or_none()
        which = None
        if row is not None and row.state != "withheld":
            settled = {"sent": "sent", "failed": "came-back", "unknown": "unknown", "waiting": "later"}
            ahead = row.state == "planned" and row.due > now
            which = settled.get(row.state, "later" if ahead else "to-go")
        is_planned = bool(conn.execute(select(campaign.c.planned).where(campaign.c.id == one.id)).scalar_one())
    if row is None or which is None:
        return MailLine(person.code, None, of_one(row.reason if row is not None else None, is_planned=is_planned))
    return MailLine(person.code, *_outcome(which, row))


def _in_list(which: str, now: int) -> ColumnElement[bool]:
    state = message.c.state
    ahead = and_(state == "planned", message.c.due > now)
    if which == "to-go":
        return or_(state == "attempted", and_(state == "planned", message.c.due <= now))
    if which == "later":
        return or_(state == "waiting", ahead)
    return state == {"sent": "sent", "came-back": "failed", "unknown": "unknown"}[which]


def _outcome(which: str, row: Any) -> tuple[int | None, str, str]:
    if which == "came-back":
        return row.settled, which, reason_words(row.reason or "refused")
    if which == "later":
        return None, which, later_words(row.reason or "quiet")
    return row.settled if which in {"sent", "unknown"} else None, which, ""
