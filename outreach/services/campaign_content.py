"""A campaign's words: checked as they are written, frozen when scheduled, previewed as any contact, tested on oneself.

A preview shows fields such as a first name, which is what the marketer is writing with; never an address.
"""

import hashlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, func, select

from outreach.domain.actors import Actor, Role
from outreach.domain.errors import InvalidInputError, NotAllowedError, NotFoundError
from outreach.mail.compose import dress
from outreach.mail.content import Prepared, fill, prepare
from outreach.mail.footer import Footer
from outreach.services.context import Context
from outreach.services.conversations.public_answers import answered_topics
from outreach.services.outbox import queue_test
from outreach.store import campaigns as rows
from outreach.store.audit import Entry, record
from outreach.store.boxes import ContactKeys
from outreach.store.campaigns import Campaign, Promise
from outreach.store.contacts import find_by_code, find_by_id
from outreach.store.schema.consents import consent, topic
from outreach.store.schema.organisation import controller, sender, staff
from outreach.store.schema.people import contact

BASIC_FIELDS = ("first_name", "name")
_LOOKED_AT = 100  # people whose fields are named to the author


@dataclass(frozen=True)
class Preview:
    """One contact's mail. `octets`: of its HTML and text. `unknown`: fields the author used that this contact lacks."""

    code: str
    locale: str
    subject: str
    preheader: str
    html: str
    text: str
    octets: int
    unknown: tuple[str, ...]


@dataclass(frozen=True)
class WordsReport:
    """What the author is told beside the words. `fields`: names met among the topic's people; `octets`: size now."""

    fields: tuple[str, ...]
    unknown: tuple[str, ...]
    octets: int


def reader_fields(facts: Mapping[str, Any]) -> dict[str, str]:
    """The fields a mail to this person may use, from what their box holds. Never an address."""
    fields = {name: value for name, value in facts.items() if isinstance(value, str) and "@" not in value}
    if "first_name" not in fields and fields.get("name", "").strip():
        fields["first_name"] = fields["name"].split()[0]
    return fields


def the_campaign(conn: Connection, ref: bytes) -> Campaign:
    """The campaign of this ref. Raises NotFoundError."""
    one = rows.find_campaign(conn, ref)
    if one is None:
        raise NotFoundError("There is no such campaign.")
    return one


def words_hash(subject: str, preheader: str, body: str, locale: str = "") -> bytes:
    """SHA-256 of a campaign's words, and of the language they declare once frozen: what the log names a version by."""
    return hashlib.sha256(json.dumps([subject, preheader, body, locale], ensure_ascii=False).encode()).digest()


def check_words(subject: str, preheader: str, body: str) -> None:
    """Raise InvalidInputError, naming the field, when these words cannot become a mail. A draft may lack some."""
    prepare(subject.strip() or "–", preheader, body if body.strip() else "–")


def freeze(conn: Connection, now: int, one: Campaign) -> tuple[int, bytes]:
    """Keep the words as they are now, prepared for every reader. Returns (content id, words_hash).

    Raises InvalidInputError when there is no subject or no text.
    """
    locale = _locale(conn, one)
    prepared = prepare(one.subject, one.preheader, one.body, locale=locale)
    digest = words_hash(one.subject, one.preheader, one.body, locale)
    return rows.freeze_content(conn, now, one, prepared=prepared.to_json(), sha256=digest), digest


def preview(ctx: Context, actor: Actor, ref: bytes, code: str) -> Preview:
    """The mail as the contact of this reference would read it. Raises NotFoundError, InvalidInputError."""
    actor.must_be(Role.MARKETER)
    with ctx.db.reading() as conn:
        one = the_campaign(conn, ref)
        person = find_by_code(conn, code)
        if person is None:
            raise NotFoundError("No contact has this reference. It stands at the foot of every mail, like K7Q2M9XRT4.")
        box = conn.execute(select(contact.c.fields_box).where(contact.c.id == person.id)).scalar_one()
        fields = reader_fields(ContactKeys(ctx.keyring, conn).facts(person.id, box))
        prepared = _prepared(conn, one)
        footer = dead_footer(conn, one, person.locale, person.code)
    shown = dress(fill(prepared, fields), footer.sender_name, footer)
    unknown = sorted(name for name in prepared.fields if not fields.get(name))
    octets = len(shown.html.encode()) + len(shown.text.encode())
    return Preview(
        person.code, person.locale, shown.subject, shown.preheader, shown.html, shown.text, octets, tuple(unknown)
    )


def next_contact(ctx: Context, actor: Actor, ref: bytes) -> str | None:
    """The reference of somebody at random among those who agreed to the topic; None while nobody has."""
    actor.must_be(Role.MARKETER)
    with ctx.db.reading() as conn:
        one = the_campaign(conn, ref)
        agreed = (consent.c.topic == one.topic) & (consent.c.state == "granted")
        low, high = conn.execute(select(func.min(consent.c.contact), func.max(consent.c.contact)).where(agreed)).one()
        if low is None:
            return None
        start = low + secrets.randbelow(high - low + 1)
        query = (
            select(contact.c.code)
            .join(consent, consent.c.contact == contact.c.id)
            .where(agreed, consent.c.contact >= start)
            .order_by(consent.c.contact)
            .limit(1)
        )
        return conn.execute(query).scalar_one_or_none()


def report_words(ctx: Context, actor: Actor, ref: bytes) -> WordsReport:
    """Which fields there are among the topic's people, which the saved words use in vain, and how large the mail is."""
    actor.must_be(Role.MARKETER)
    with ctx.db.reading() as conn:
        one = the_campaign(conn, ref)
        known = {*BASIC_FIELDS, *_fields_met(ctx, conn, one.topic)}
        if not one.body.strip():
            return WordsReport(tuple(sorted(known)), (), 0)
        prepared = _prepared(conn, one)
        footer = dead_footer(conn, one, "en", "K7Q2M9XRT4")
    shown = dress(fill(prepared, dict.fromkeys(prepared.fields, "Alexandra")), footer.sender_name, footer)
    octets = len(shown.html.encode()) + len(shown.text.encode())
    return WordsReport(tuple(sorted(known)), tuple(sorted(prepared.fields - known)), octets)


def send_test(ctx: Context, actor: Actor, ref: bytes) -> bytes:
    """Mail the present words to the actor's own address. Returns the message's ref."""
    actor.must_be(Role.MARKETER)
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        one = the_campaign(conn, ref)
        own = conn.execute(select(staff.c.contact).where(staff.c.id == actor.staff_id)).scalar_one_or_none()
        person = None if own is None else find_by_id(conn, own)
        if person is None:
            raise NotAllowedError("A test mail goes to the address of whoever is signed in.")
        content, digest = freeze(conn, now, one)
        sent = queue_test(conn, now, person, content=content)
        entry = Entry(
            kind="campaign.tested",
            actor=actor.name,
            topic=one.topic_ref,
            campaign=one.ref,
            message=sent,
            body={"content": digest.hex()},
        )
        record(conn, now, entry)
    return sent


def _prepared(conn: Connection, one: Campaign) -> Prepared:
    """The frozen words where there are some; a draft's are prepared as they stand."""
    frozen = rows.prepared_content(conn, one.content) if one.content is not None else None
    if frozen is not None:
        return Prepared.from_json(frozen)
    if not one.body.strip():
        raise InvalidInputError("There is nothing to show yet: write the text first.", "body")
    return prepare(one.subject.strip() or "(no subject yet)", one.preheader, one.body, locale=_locale(conn, one))


def _locale(conn: Connection, one: Campaign) -> str:
    """The language the mail declares: its only audience language, else the organisation's."""
    if len(one.segment.locales) == 1:
        return one.segment.locales[0]
    return conn.execute(select(controller.c.locale)).scalar_one_or_none() or "en"


def dead_footer(conn: Connection, one: Campaign, locale: str, code: str) -> Footer:
    """The footer a person of this locale would find, its links leading nowhere."""
    brand = conn.execute(
        select(sender.c.name, sender.c.postal_address)
        .join(topic, topic.c.sender == sender.c.id)
        .where(topic.c.id == one.topic)
    ).one()
    house = conn.execute(select(controller.c.name)).scalar_one_or_none()
    texts = rows.current_texts(conn, [one.topic])[one.topic]
    text = _text_for(texts, locale)
    return Footer(
        sender_name=brand.name,
        postal_address=brand.postal_address,
        controller=house or brand.name,
        topic=text.title if text else one.topic_name,
        cap_n=text.cap_n if text else 1,
        cap_window=text.cap_window if text else 7 * 86_400,
        locale=locale,
        why_url="#why",
        stop_url="#stop",
        contact_reference="-".join((code[:4], code[4:8], code[8:])),
        answers_url="#answers" if answered_topics(conn, [one.topic]) else "",
    )


def _text_for(texts: list[Promise], locale: str) -> Promise | None:
    return next((text for text in texts if text.locale == locale), texts[0] if texts else None)


def _fields_met(ctx: Context, conn: Connection, topic_id: int) -> set[str]:
    query = (
        select(contact.c.id, contact.c.fields_box)
        .join(consent, consent.c.contact == contact.c.id)
        .where(consent.c.topic == topic_id, consent.c.state == "granted", contact.c.fields_box.is_not(None))
        .order_by(contact.c.id.desc())
        .limit(_LOOKED_AT)
    )
    found = conn.execute(query).all()
    keys = ContactKeys(ctx.keyring, conn)
    keys.load(row.id for row in found)
    return {name for row in found for name in reader_fields(keys.facts(row.id, row.fields_box))}
