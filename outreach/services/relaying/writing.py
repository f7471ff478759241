"""What the pipeline needs to write a mail between two people: words out of their box, and what stands around them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection

from outreach.domain.tokens import Purpose
from outreach.mail import layout
from outreach.mail.cleaning import Cleaned
from outreach.mail.compose import message_id
from outreach.mail.own_words import SHEET
from outreach.services.context import Context
from outreach.services.public_text import House, read_house
from outreach.services.relaying import words
from outreach.store import connections, members
from outreach.store import relaying as store
from outreach.store.boxes import ContactKeys
from outreach.store.contacts import Person, find_by_ids


@dataclass(frozen=True)
class Onward:
    """A mail to be passed on. `name`: the writer's, or words instead of it; `address`: where its reader answers;
    `notice`: what is told below the words, clean HTML; `answers`: Message-IDs it goes on from, oldest first;
    `stop_url`: where one press stops such mails.
    """

    name: str = field(repr=False)
    address: str = field(repr=False)
    mail: Cleaned
    notice: str = field(repr=False)
    answers: tuple[str, ...] = ()
    stop_url: str = field(default="", repr=False)


def load(
    conn: Connection, ctx: Context, keys: ContactKeys, messages: Sequence[int], domain: str
) -> dict[int, Onward | None]:
    """What these messages pass on, by the message's id; those that pass nothing on are not in it.

    `domain`: at which our Message-IDs are. None: its words are gone.
    """
    rows = store.of_messages(conn, messages)
    people = find_by_ids(conn, [row.reader for row in rows.values()])
    keys.load([person for row in rows.values() for person in (row.reader, row.writer)])
    house, now = read_house(conn), ctx.db.now(conn)
    found: dict[int, Onward | None] = {}
    for one, row in rows.items():
        facts = keys.facts(row.writer, row.words_box)
        is_there = facts and row.reader in people
        if not is_there:
            found[one] = None
            continue
        ways_out = _ways_out(conn, ctx, now, row)
        found[one] = _onward(conn, ctx, keys, house, row, people[row.reader], facts, ways_out, domain)
    return found


def _onward(
    conn: Connection,
    ctx: Context,
    keys: ContactKeys,
    house: House,
    row: store.RelayedRow,
    reader: Person,
    facts: Mapping[str, Any],
    ways_out: Mapping[str, str],
    domain: str,
) -> Onward:
    mail, answers = words.from_facts(facts)
    name = _name_shown(conn, keys, row)
    shown: dict[str, Any] = {
        "name": name,
        "controller": house.name,
        "has_cuts": mail.has_cuts,
        "lost_pictures": mail.lost_pictures,
        "left_out": mail.left_out,
        **ways_out,
    }
    return Onward(
        name=name or " ".join(layout.block(SHEET, "somebody", reader.locale, shown).split()),
        address=f"{store.reached_at(conn, row.connection, row.writer)}@{ctx.settings.mail_in}",
        mail=mail,
        notice=layout.block(SHEET, "notice", reader.locale, shown),
        answers=_answers(conn, ctx, keys, row, answers, domain),
        stop_url=ways_out["stop_url"],
    )


def _name_shown(conn: Connection, keys: ContactKeys, row: store.RelayedRow) -> str:
    """The writer's name while they show it here; empty otherwise."""
    periods = connections.shown(conn, [row.connection])[row.connection]
    if not any(one.contact == row.writer and one.what == "name" and one.until is None for one in periods):
        return ""
    account = members.by_contact(conn, row.writer)
    return "" if account is None or account.closed is not None else members.name_of(keys, account)


def _ways_out(conn: Connection, ctx: Context, now: int, row: store.RelayedRow) -> dict[str, str]:
    """Where the mail is explained, and where the reader mutes and ends: a member signed in; somebody without an account
    by the link they have to end.
    """
    site = ctx.settings.public_url
    found = {
        "why_url": f"{site}/why/{ctx.tokens.issue(Purpose.WHY, row.message_ref, now)}",
        "stop_url": f"{site}/stop/{ctx.tokens.issue(Purpose.STOP, row.message_ref, now)}",
        "page_url": f"{site}/me",
        "end_url": "",
    }
    account = members.by_contact(conn, row.reader)
    if account is not None and account.closed is None:
        return found | {"page_url": f"{site}/me/connections/{row.connection_ref.hex()}"}
    asked = store.accepted_request(conn, row.connection, row.reader)
    if asked is None:
        return found
    token = ctx.tokens.issue(Purpose.INVITATION, asked.ref, asked.settled)
    return found | {"page_url": "", "end_url": f"{site}/connection/{token}/end"}


def _answers(
    conn: Connection, ctx: Context, keys: ContactKeys, row: store.RelayedRow, answers: Sequence[str], domain: str
) -> tuple[str, ...]:
    """The thread as its reader's programme knows it: their own mails by their own Message-IDs, the writer's by ours.

    Any other Message-ID is dropped: it may name a host, or a person.
    """
    if not answers:
        return ()
    origins = {one: words.origin_key(ctx.keyring, one) for one in answers}
    refs = {one: bytes.fromhex(one[:32]) for one in answers if _is_ref(one)}
    by_origin, by_ref = store.threads(conn, row.connection, list(origins.values()), list(refs.values()))
    known: list[str] = []
    for one in answers:
        theirs = by_ref.get(refs.get(one, b""))
        if theirs is not None and theirs.writer == row.reader:
            known.append(keys.text(row.reader, theirs.origin_box) or "")
        elif origins[one] in by_origin:
            known.append(message_id(by_origin[origins[one]], domain))
    return tuple(dict.fromkeys(one for one in known if one))


def _is_ref(identifier: str) -> bool:
    local, _, _ = identifier.partition("@")
    return len(local) == 32 and all(letter in "0123456789abcdef" for letter in local)
