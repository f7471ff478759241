"""The register of processing (GDPR Art. 30(1)), made from what the installation really holds, with an officer's notes.

Generated at each look: who we are, for what, whose data, which data, to whom they go, how long they stay and how they
are kept. What a machine cannot know (a representative, transfers, a legal assessment) an officer adds as a note; each
change is a version that stays.
"""

import hashlib
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, func, insert, select
from sqlalchemy.engine import Row

from outreach.config import Settings
from outreach.domain import addresses
from outreach.domain.actors import Actor, Role
from outreach.domain.errors import ConflictError, InvalidInputError
from outreach.domain.policies import Name
from outreach.services.context import Context
from outreach.store.audit import Entry, record
from outreach.store.policies import value_at, values_at
from outreach.store.schema.consents import consent, consent_text, topic
from outreach.store.schema.desk import register_note
from outreach.store.schema.members import member
from outreach.store.schema.organisation import controller, sender, staff
from outreach.store.schema.people import contact

LONGEST_NOTE = 4_000
SECTIONS = {
    "controller": "Controller, representative and data protection officer",
    "purposes": "Purposes and their legal basis",
    "people": "Whose data",
    "data": "Which data",
    "recipients": "To whom they are disclosed",
    "transfers": "Transfers to other countries",
    "retention": "How long they are kept",
    "security": "How they are protected",
}
"""Parts of the register, in the order of Art. 30(1)(a) to (g)."""


@dataclass(frozen=True, kw_only=True)
class Purpose:
    """A topic as a purpose, by its own rules and the policies in force.

    Days: how long evidence stays after a consent ended, and after how many a consent given now lapses.
    """

    name: str
    purpose: str
    sender: str
    kinds: tuple[str, ...]
    languages: tuple[str, ...]
    retention_days: int
    expires_days: int | None
    closed: int | None


@dataclass(frozen=True, kw_only=True)
class Recipient:
    """A mail server our mail is handed to, and for which senders."""

    name: str
    host: str
    security: str
    verifies: bool
    senders: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Note:
    """What an officer added to a section. `author`: an actor as in the log; `at`: UTC microseconds."""

    section: str
    version: int
    words: str
    author: str
    at: int


@dataclass(frozen=True, kw_only=True)
class House:
    """The controller as it stands in the settings of the organisation."""

    name: str
    postal_address: str
    country: str
    privacy_contact: str


@dataclass(frozen=True, kw_only=True)
class Register:
    """The whole register at `made`. `holds`: which groups of people anything is held of, by name.

    `soft_months`: so long a purchase may carry mail; None while nothing but consent does.
    """

    made: int
    house: House | None
    purposes: tuple[Purpose, ...]
    soft_months: int | None
    holds: frozenset[str]
    recipients: tuple[Recipient, ...]
    database: str
    has_broker: bool
    is_https: bool
    notes: dict[str, Note]


def see_register(ctx: Context, actor: Actor) -> Register:
    """The register as it is now. Writes nothing."""
    actor.must_be(Role.OFFICER)
    with ctx.db.reading() as conn:
        row = conn.execute(select(controller)).one_or_none()
        return Register(
            made=ctx.db.now(conn),
            house=None
            if row is None
            else House(
                name=row.name,
                postal_address=row.postal_address,
                country=row.country,
                privacy_contact=row.privacy_contact,
            ),
            purposes=tuple(_purposes(conn, ctx.db.now(conn))),
            soft_months=_soft_months(conn, ctx.db.now(conn)),
            holds=frozenset(_holds(conn)),
            recipients=tuple(_recipients(conn, ctx.settings)),
            database="SQLite, on this machine" if ctx.db.is_sqlite else "PostgreSQL",
            has_broker=bool(ctx.settings.broker_url.get_secret_value()),
            is_https=ctx.settings.public_url.startswith("https://"),
            notes=_notes(conn),
        )


def note_history(ctx: Context, actor: Actor, section: str) -> list[Note]:
    """Every version of a section's note, newest first. Raises InvalidInputError for no section of ours."""
    actor.must_be(Role.OFFICER)
    _check_section(section)
    query = select(register_note).where(register_note.c.section == section).order_by(register_note.c.version.desc())
    with ctx.db.reading() as conn:
        return [_note(row) for row in conn.execute(query)]


def write_note(ctx: Context, actor: Actor, section: str, words: str, *, version: int) -> int:
    """Put a note to a section, as the version after `version` (0: the first); empty takes it out. Returns its number.

    Raises InvalidInputError (field "words") for an address or too many letters, and ConflictError when somebody else
    wrote meanwhile.
    """
    actor.must_be(Role.OFFICER)
    _check_section(section)
    said = "\n".join(line.rstrip() for line in words.strip().splitlines())
    if len(said) > LONGEST_NOTE:
        raise InvalidInputError(f"A note has at most {LONGEST_NOTE:,} letters. Nothing was saved.", field="words")
    if addresses.scrub(said) != said:
        raise InvalidInputError(
            "Leave addresses out: the register prints the organisation's privacy contact. Nothing was saved.",
            field="words",
        )
    with ctx.db.transaction() as conn:
        held = _newest(conn, section)
        if held != version:
            raise ConflictError("Somebody else changed this note meanwhile. Look at it again; nothing was saved.")
        now = ctx.db.now(conn)
        row = {"section": section, "version": version + 1, "words": said, "author": actor.name, "at": now}
        conn.execute(insert(register_note).values(row))
        body = {"section": section, "version": version + 1, "sha256": hashlib.sha256(said.encode()).hexdigest()}
        record(conn, now, Entry(kind="register.noted", actor=actor.name, body=body))
    return version + 1


def _check_section(section: str) -> None:
    if section not in SECTIONS:
        raise InvalidInputError("The register has no such part.", field="section")


def _newest(conn: Connection, section: str) -> int:
    query = select(func.coalesce(func.max(register_note.c.version), 0)).where(register_note.c.section == section)
    return int(conn.execute(query).scalar_one())


def _notes(conn: Connection) -> dict[str, Note]:
    rows = conn.execute(select(register_note).order_by(register_note.c.section, register_note.c.version))
    return {row.section: _note(row) for row in rows if row.section in SECTIONS}


def _note(row: Row[Any]) -> Note:
    return Note(section=row.section, version=row.version, words=row.words, author=row.author, at=row.at)


def _soft_months(conn: Connection, now: int) -> int | None:
    held = value_at(conn, Name.SOFT_OPT_IN, now)
    return held["months"] if held["on"] else None


def _purposes(conn: Connection, now: int) -> list[Purpose]:
    held = values_at(conn, now, Name.RETENTION, Name.EXPIRY)
    kept, lives = held[Name.RETENTION]["most_days"], held[Name.EXPIRY]["most_days"]
    texts: dict[int, list[tuple[str, str]]] = {}
    for row in conn.execute(select(consent_text.c.topic, consent_text.c.locale, consent_text.c.kinds)):
        texts.setdefault(row.topic, []).append((row.locale, row.kinds))
    query = select(topic, sender.c.name.label("sender_name")).join(sender, sender.c.id == topic.c.sender)
    return [
        Purpose(
            name=row.name,
            purpose=row.purpose,
            sender=row.sender_name,
            kinds=tuple(sorted({kind for _, kinds in texts.get(row.id, []) for kind in kinds.split(",")})),
            languages=tuple(sorted({locale for locale, _ in texts.get(row.id, [])})),
            retention_days=min(row.retention_days, kept),
            expires_days=min((days for days in (row.expires_days, lives) if days is not None), default=None),
            closed=row.closed,
        )
        for row in conn.execute(query.order_by(topic.c.closed.is_not(None), topic.c.name))
    ]


def _holds(conn: Connection) -> list[str]:
    """Groups of people of whom at least one is held: never how many, which would mean counting them."""
    tables = {"contacts": contact, "consents": consent, "members": member, "staff": staff}
    return [name for name, table in tables.items() if conn.execute(select(1).select_from(table).limit(1)).first()]


def _recipients(conn: Connection, settings: Settings) -> list[Recipient]:
    users: dict[str, list[str]] = {}
    rows = conn.execute(select(sender.c.name, sender.c.relay).where(sender.c.closed.is_(None)).order_by(sender.c.name))
    for row in rows:
        users.setdefault(row.relay, []).append(row.name)
    return [
        Recipient(
            name=name,
            host=relay.host,
            security=relay.security,
            verifies=relay.verify,
            senders=tuple(sorted({*users.get(name, ()), *users.get(relay.pool, ())})),
        )
        for name, relay in settings.relays.items()
    ]
