"""The staff desk: what people tell us by telephone, letter or across a counter. Write-only, and it never grants.

Every act gets the same answer whether or not the person is known, so the desk is no place to look people up.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from outreach.domain import addresses
from outreach.domain.actors import Actor
from outreach.domain.consent import Event
from outreach.domain.errors import InvalidInputError, NotAllowedError
from outreach.services.consents import Change, apply_changes
from outreach.services.context import Context
from outreach.services.public_text import read_house
from outreach.services.sign_up import choose, write_request
from outreach.store import consents, requests, suppressions
from outreach.store.audit import Entry, record
from outreach.store.contacts import Person, find_by_address, find_by_code

_LONGEST_REASON = 500
SOURCES = ("paper", "telephone")


@dataclass(frozen=True)
class Recorded:
    """The answer of the desk. It says nothing about whether the person is known."""

    what: str


@dataclass(frozen=True, kw_only=True)
class OptIn:
    """A wish to sign up, heard or read by staff. `topics`: slugs; `source`: paper or telephone; `note`: where, when."""

    address: str
    topics: Sequence[str]
    locale: str
    source: str
    note: str = ""


def record_stop(ctx: Context, actor: Actor, who: str, reason: str, *, topic: str = "") -> Recorded:
    """Withdraw for the person of an address typed in full, or of the reference printed in their mails.

    `topic`: a slug, or empty for everything. Raises InvalidInputError (field "who", "reason" or "topic").
    """
    _must_be_staff(actor)
    said = _reason(reason)
    address = _read_who(who)
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        topic_ids = _topics(conn, topic)
        person = _find(conn, ctx, who, address)
        body: dict[str, object] = {"reason": said, "everything": not topic}
        entry = Entry(kind="desk.stop-recorded", actor=actor.name, contact=person.ref if person else None, body=body)
        record(conn, now, entry)
        if person is not None:
            _stop(conn, ctx, now, actor, person, said, topic_ids)
        return Recorded("stop")


def record_death(ctx: Context, actor: Actor, who: str, reason: str) -> Recorded:
    """Deceased: no notice, ever. Bars the mailbox whether or not we know it, and withdraws everything.

    Raises InvalidInputError (field "who" or "reason").
    """
    _must_be_staff(actor)
    said = _reason(reason)
    address = _read_who(who)
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        person = _find(conn, ctx, who, address)
        keys = [ctx.keyring.blind("mailbox", address.mailbox)] if address else []
        if person is not None and not keys:
            keys = [consents.bar_keys(conn, person.id)[1]]
        suppressions.put(conn, now, [suppressions.Bar(key, "mailbox", "deceased", "officer", said) for key in keys])
        contact = person.ref if person else None
        record(conn, now, Entry(kind="desk.death-recorded", actor=actor.name, contact=contact, body={"reason": said}))
        if person is not None:
            _stop(conn, ctx, now, actor, person, said, None)
        return Recorded("deceased")


def start_opt_in(ctx: Context, actor: Actor, command: OptIn) -> Recorded:
    """Start a double opt-in from paper or telephone: the person gets the mail that asks, nothing more happens.

    Raises InvalidInputError (field "address", "topics" or "source").
    """
    _must_be_staff(actor)
    if command.source not in SOURCES:
        raise InvalidInputError("Say whether this came on paper or by telephone.", field="source")
    address = addresses.parse(command.address)
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        topics = choose(conn, read_house(conn), command.locale, command.topics)
        facts = {
            "locale": command.locale,
            "actor": actor.name,
            "source": command.source,
            "note": command.note[:_LONGEST_REASON],
        }
        write_request(
            conn,
            ctx,
            now,
            door="staff-start",
            network=actor.name,
            address=address.exact,
            topics=topics,
            facts=facts,
            not_before=now,
        )
        body = {"source": command.source, "topics": [topic.name for topic in topics]}
        record(conn, now, Entry(kind="desk.opt-in-started", actor=actor.name, body=body))
        return Recorded("opt-in")


def _must_be_staff(actor: Actor) -> None:
    if actor.staff_id is None:
        raise NotAllowedError("Only staff use the desk.")


def _reason(reason: str) -> str:
    said = addresses.scrub(" ".join(reason.split()))
    if not said:
        raise InvalidInputError("Say why, in a few words: it is kept in the log.", field="reason")
    return said[:_LONGEST_REASON]


def _read_who(who: str) -> addresses.Address | None:
    """An address typed in full, or None for a contact reference. Raises InvalidInputError for neither."""
    if "@" in who:
        try:
            return addresses.parse(who)
        except InvalidInputError as error:
            raise InvalidInputError(str(error), field="who") from None
    if sum(letter.isalnum() for letter in who) != 10:
        raise InvalidInputError(
            "Type the whole address, or the ten letters and digits printed in the mail.", field="who"
        )
    return None


def _find(conn: Connection, ctx: Context, who: str, address: addresses.Address | None) -> Person | None:
    return find_by_address(conn, ctx.keyring, address) if address else find_by_code(conn, who)


def _topics(conn: Connection, slug: str) -> set[int] | None:
    """The topic a stop is about; None for everything. Closed topics count."""
    if not slug:
        return None
    found = consents.topic_by_slug(conn, slug)
    if found is None:
        raise InvalidInputError("There is no such topic.", field="topic")
    return {found.id}


def _stop(
    conn: Connection, ctx: Context, now: int, actor: Actor, person: Person, reason: str, topics: set[int] | None
) -> None:
    consents.lock_contacts(conn, [person.id])
    changes = [
        Change(
            contact=person.id,
            topic=row.topic,
            event=Event.DECLINED if row.state == "pending" else Event.WITHDRAWN,
            text=row.text,
            evidence={"act": "told to staff", "actor": actor.name, "reason": reason},
        )
        for row in consents.held(conn, [person.id], topics)
    ]
    apply_changes(conn, ctx, now, actor=actor, changes=changes)
    pending = requests.open_confirmation(conn, person.id, now)
    if pending is None:
        return
    if topics is not None:
        requests.ask_no_more(conn, pending.id, topics)
    if topics is None or not requests.asked_topics(conn, pending.id):
        requests.change_confirmation(conn, pending.id, answered=now, answer="declined")
