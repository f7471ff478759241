"""The mail a link was in, and where its reader stands with its topic: what each page behind such a link begins with."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Select, select, text

from outreach.domain.consent import State
from outreach.domain.invitation import Answer
from outreach.services.public_text import House, read_house
from outreach.store import address_moves, consents, invitees
from outreach.store.bulk import prepared
from outreach.store.schema.campaigns import campaign, message
from outreach.store.schema.campaigns import content as contents
from outreach.store.schema.consents import confirmation
from outreach.store.schema.people import contact
from outreach.store.staging import among_keys, bound_keys


@dataclass(frozen=True, kw_only=True)
class Standing:
    """What a mail's link is about. `topic`: its title, empty when the mail belongs to none; `state`: of its consent; of
    an invitation withdrawn, once its reader wants nothing more from anybody here. `is_question`: it asks for a first
    yes; `asks`: that, or whether somebody's act was its reader's; `is_refused`: answered no, or not in time; `is_open`:
    which nobody has answered yet. `stream`: what a mail that stands under no consent goes on with
    (`services/streams.py`); its state is withdrawn once that is stopped.
    """

    house: House
    locale: str
    timezone: str
    topic: str = ""
    state: str = "none"
    is_question: bool = False
    asks: bool = False
    is_refused: bool = False
    is_open: bool = False
    is_invitation: bool = False
    stream: str = ""

    @property
    def is_alone(self) -> bool:
        """Whether its mail belongs to nothing, so that stopping it stops everything."""
        return not (self.topic or self.asks or self.is_invitation or self.stream)


@dataclass(frozen=True)
class Mail:
    """The mail a link was in, as far as acting on it needs. `question`: what it asks about, of the mails that ask.

    `invitation`: the one it brings; a notice about a connection brings none. `origin`: what sends it.
    `people`: its reader, and those they went along to with a change of address, in that order.
    """

    ref: bytes
    contact: int
    people: tuple[int, ...]
    topic: int | None
    confirmation: int | None
    locale: str
    timezone: str
    invitation: int | None = None
    question: str = ""
    is_open: bool = False
    answer: str = ""
    origin: str = ""

    @property
    def goes_on(self) -> bool:
        """Whether it may belong to a stream."""
        return self.origin == "reply" or (self.origin == "notice" and self.topic is None)

    @property
    def is_refused(self) -> bool:
        """Whether what it asks was answered no, or not in time."""
        return self.answer in {"declined", "never", "expired"}

    @property
    def led_to_account(self) -> bool:
        """Whether its link was used to get into an account: there is nothing left to say no to."""
        return self.question == "account" and not self.is_open and not self.is_refused


_MAIL = (
    select(
        message.c.ref,
        message.c.origin,
        message.c.contact,
        message.c.topic,
        message.c.confirmation,
        message.c.invitation,
        confirmation.c.about,
        confirmation.c.answered,
        confirmation.c.answer,
        campaign.c.topic.label("tested"),
        contact.c.locale,
        contact.c.timezone,
    )
    .join(contact, contact.c.id == message.c.contact)
    .outerjoin(contents, contents.c.id == message.c.content)
    .outerjoin(campaign, campaign.c.id == contents.c.campaign)
    .outerjoin(confirmation, confirmation.c.id == message.c.confirmation)
)


@prepared
def _mails(conn: Connection) -> Select[Any]:
    return _MAIL.where(text(among_keys(conn, "message.ref", length=16)))


def find_mail(conn: Connection, ref: bytes) -> Mail | None:
    """The mail of a link's ref; a test mail stands for its campaign's topic."""
    return find_mails(conn, [ref]).get(ref)


def find_mails(conn: Connection, refs: Collection[bytes]) -> dict[bytes, Mail]:
    """The mails of several links, by ref."""
    rows = conn.execute(_mails(conn), {"keys": bound_keys(set(refs))}).all()
    people = address_moves.trails(conn, {row.contact for row in rows})
    return {
        bytes(row.ref): Mail(
            ref=bytes(row.ref),
            contact=row.contact,
            people=tuple(people[row.contact]),
            topic=row.topic or row.tested,
            confirmation=row.confirmation,
            locale=row.locale,
            timezone=row.timezone,
            invitation=row.invitation if row.origin == "invitation" else None,
            question=row.about or "",
            is_open=row.about is not None and row.answered is None,
            answer=row.answer or "",
            origin=row.origin,
        )
        for row in rows
    }


def standing(conn: Connection, mail: Mail | None) -> Standing:
    """Where the mail's reader stands with its topic now."""
    if mail is not None:
        return standings(conn, [mail])[0]
    house = read_house(conn)
    return Standing(house=house, locale="", timezone=house.timezone)


def standings(conn: Connection, mails: Sequence[Mail]) -> list[Standing]:
    """The same of several mails."""
    if not mails:
        return []
    house = read_house(conn)
    rows = consents.held(conn, {one for mail in mails for one in mail.people})
    return [_standing(conn, house, mail, [row for row in rows if row.contact in mail.people]) for mail in mails]


def _standing(conn: Connection, house: House, mail: Mail, rows: Sequence[consents.Held]) -> Standing:
    mine = [row for row in rows if row.topic == mail.topic]
    here = max(mine, key=lambda row: mail.people.index(row.contact), default=None)
    return Standing(
        house=house,
        locale=mail.locale,
        timezone=mail.timezone,
        topic=_title(conn, mail, here),
        state=_state(conn, mail, here),
        is_question=mail.question == "topics",
        asks=mail.question in {"topics", "account", "address"} and not mail.led_to_account,
        is_refused=mail.is_refused and mail.question != "renewal",  # that one's topic says how it stands
        is_open=mail.is_open,
        is_invitation=mail.invitation is not None,
    )


def _state(conn: Connection, mail: Mail, here: consents.Held | None) -> str:
    if mail.invitation is not None and invitees.again(conn, mail.invitation).answer == Answer.NEVER:
        return State.WITHDRAWN
    return here.state if here else State.NONE


def _title(conn: Connection, mail: Mail, here: consents.Held | None) -> str:
    if mail.topic is None:
        return ""
    if here is not None and here.text is not None:
        return str(consents.texts(conn, [here.text])[here.text].title)
    return str(consents.topics(conn, [mail.topic])[mail.topic].name)
