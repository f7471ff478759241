"""What the mails of invitations say; made in one place for the inviter's preview and for the mail, so they are equal.

The mail comes from the site's own address and names the inviter, where the address came from (GDPR 14), that it is one
message, and when the address is erased. Its links only show and refuse (promise 2).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from babel.dates import format_date
from sqlalchemy import Connection, select

from outreach.domain.invitation import Relationship
from outreach.domain.tokens import Purpose
from outreach.mail import system
from outreach.mail.compose import dress
from outreach.mail.content import Filled
from outreach.services.context import Context
from outreach.services.public_text import House
from outreach.services.scanners import hidden_url
from outreach.store.schema.organisation import sender

DEAD = "#"
"""What a preview's links lead to."""

_SECOND = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Words:
    """What one invitation mail is about. `asked`, `expires`: UTC microseconds."""

    inviter: str
    note: str
    relationship: Relationship
    locale: str
    asked: int
    expires: int
    is_reminder: bool = False


@dataclass(frozen=True)
class Links:
    """Where the four buttons of the mail lead, and the line at its foot that explains it."""

    see: str = DEAD
    decline: str = DEAD
    never: str = DEAD
    report: str = DEAD
    why: str = DEAD


def links_of(ctx: Context, ref: bytes, now: int) -> Links:
    """The live links of the invitation named `ref`."""
    page = f"{ctx.settings.public_url}/invitation/{ctx.tokens.issue(Purpose.INVITATION, ref, now)}"
    return Links(page, f"{page}/decline", f"{page}/never", f"{page}/report")


def invitation_facts(words: Words, links: Links, house: House, sender_name: str) -> dict[str, Any]:
    """The facts of `templates/mail/invitation.html`."""
    return {
        "sender": sender_name,
        "controller": house.name,
        "postal_address": house.postal_address,
        "privacy_contact": house.privacy_contact,
        "reference": "",  # not known before it is sent, and the inviter sees the whole mail
        "inviter": words.inviter,
        "note": words.note,
        "relationship": str(words.relationship),
        "is_reminder": words.is_reminder,
        "asked": day(words.asked, house, words.locale),
        "expires": day(words.expires, house, words.locale),
        "see_url": links.see,
        "decline_url": links.decline,
        "never_url": links.never,
        "report_url": links.report,
        "why_url": links.why,
    }


def write_invitation(words: Words, links: Links, house: House, sender_name: str) -> Filled:
    """The whole mail, as it is handed to the relay."""
    facts: Mapping[str, Any] = invitation_facts(words, links, house, sender_name)
    return system.render("invitation", words.locale, facts)


def write_connect(
    ctx: Context,
    ref: bytes,
    now: int,
    house: House,
    *,
    owner: str,
    sender_name: str,
    locale: str,
    asked: int,
    expires: int,
    why_url: str = "",
) -> Filled:
    """The mail that asks whoever a connect link was given the address of (`templates/mail/connect.html`).

    No words of the link's owner but their name. `confirm_url` leads to the page where it is confirmed.
    """
    links = links_of(ctx, ref, now)
    facts = {
        "sender": sender_name,
        "controller": house.name,
        "postal_address": house.postal_address,
        "privacy_contact": house.privacy_contact,
        "reference": "",
        "owner": owner,
        "asked": day(asked, house, locale),
        "expires": day(expires, house, locale),
        "confirm_url": f"{ctx.settings.public_url}/connect/confirm/{ctx.tokens.issue(Purpose.CONNECT, ref, now)}",
        "decline_url": links.decline,
        "never_url": links.never,
        "report_url": links.report,
        "hidden_url": hidden_url(ctx, ref, now),
        "why_url": why_url,
    }
    return system.render("connect", locale, facts)


def preview(conn: Connection, words: Words, house: House) -> Filled:
    """The mail as it will go, its links dead."""
    name = sender_name(conn) or house.name
    return dress(write_invitation(words, Links(), house, name), name)


def sender_name(conn: Connection) -> str:
    """The brand our own mails come from: the first."""
    return conn.execute(select(sender.c.name).order_by(sender.c.id).limit(1)).scalar_one_or_none() or ""


def day(instant: int, house: House, locale: str) -> str:
    """A date in words, in the organisation's time zone."""
    local = datetime.fromtimestamp(instant / _SECOND, UTC).astimezone(ZoneInfo(house.timezone))
    return format_date(local.date(), "d MMMM y", locale)
