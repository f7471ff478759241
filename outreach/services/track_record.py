"""A topic's word, kept or not, for whoever thinks of signing up: how much was really sent, and the last mail.

The mail shown is one that at least five people got already (promise 9); what would be a reader's own in it is left
blank, and its links lead nowhere.
"""

import re
from dataclasses import dataclass

from sqlalchemy import Connection

from outreach.domain.campaign import FEW
from outreach.domain.errors import NotFoundError
from outreach.mail.compose import dress
from outreach.mail.content import Filled, Prepared, fill
from outreach.services.campaign_content import dead_footer, the_campaign
from outreach.services.context import Context
from outreach.services.conversations.public_answers import answered_topics
from outreach.services.public_text import Promise
from outreach.store import campaigns, consents
from outreach.store import track_record as store

DAYS = 90
_DAY = 86_400_000_000
_BLANK = "…"
_CODE = "•" * 10
_LEADS = re.compile(r"""\s(?:href|src)=(?:"(?!data:)[^"]*"|'(?!data:)[^']*')""", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class TrackRecord:
    """`rate`: mails a reader got on average in one window of the promise, over `days` days; None while too few are
    readers for long enough. `subject`: of the last mail, "" while none can be shown. `is_answered`: there are public
    answers.
    """

    rate: float | None
    days: int
    subject: str
    is_answered: bool


def see_track_record(ctx: Context, promise: Promise) -> TrackRecord:
    """What became of a topic's promise."""
    with ctx.db.reading() as conn:
        now = ctx.db.now(conn)
        record = store.record_of(conn, now, promise.topic, now - DAYS * _DAY, promise.cap_window)
        mail = _last(conn, promise.topic, promise.locale)
        return TrackRecord(
            rate=record.mails / record.windows if record.people >= FEW else None,
            days=DAYS,
            subject=mail.subject if mail else "",
            is_answered=promise.topic in answered_topics(conn, [promise.topic]),
        )


def see_last_mail(ctx: Context, slug: str, locale: str) -> str:
    """The last mail of a topic that is open, as HTML. Raises NotFoundError when there is none to show."""
    with ctx.db.reading() as conn:
        topic = next((one for one in consents.open_topics(conn) if one.slug == slug), None)
        mail = _last(conn, topic.id, locale) if topic is not None else None
    if mail is None:
        raise NotFoundError("No mail of this topic can be shown yet.")
    return _LEADS.sub("", mail.html)


def _last(conn: Connection, topic: int, locale: str) -> Filled | None:
    ref = store.last_mail(conn, topic, FEW)
    one = the_campaign(conn, ref) if ref is not None else None
    frozen = campaigns.prepared_content(conn, one.content) if one is not None and one.content is not None else None
    if one is None or frozen is None:
        return None
    prepared = Prepared.from_json(frozen)
    footer = dead_footer(conn, one, locale, _CODE)
    return dress(fill(prepared, dict.fromkeys(prepared.fields, _BLANK)), footer.sender_name, footer)
