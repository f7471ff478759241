"""Mail to a relay address: whether it is taken, and passing it on to the other of two connected people.

Everything that can be refused is refused while the server that brings it waits for an answer, in one polite line: then
its writer is told by their own server, and we never write to somebody because of a mail that may be forged.
"""

import re
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from outreach.domain.actors import ENGINE
from outreach.mail import cleaning
from outreach.mail.inbound import automatic, fields
from outreach.mail.inbound.fields import Fields
from outreach.mail.peer import Peer
from outreach.mail.relayed import LOOP_MARK
from outreach.mail.resolver import Resolver
from outreach.services.context import Context
from outreach.services.relaying import held, words
from outreach.services.relaying.letting import let_through
from outreach.services.vouching import authenticate, is_from
from outreach.store import consents
from outreach.store import relaying as store
from outreach.store.audit import Entry, record
from outreach.store.boxes import ContactKeys
from outreach.store.contacts import find_by_id

MOST_A_DAY = 50
"""Mails one side may write in 24 hours."""
MOST_OCTETS_A_DAY = 50_000_000
"""Of all of them together; one mail may be larger, if it is the first."""

MOST_HOPS = 50

_DAY = 86_400_000_000
_SHAPE = re.compile(r"with-[a-z2-7]{26}", re.IGNORECASE | re.ASCII)
_NAMING = ("from", "sender", "reply-to", "return-path", "resent-from", "resent-sender", "disposition-notification-to")

_UNKNOWN = "5.1.1 There is no such address here"
_ENDED = "5.7.1 This connection has ended, so mail to this address is not passed on any more"
_FULL = "5.7.1 As many mails came to this address today as are passed on in a day; please send this one tomorrow"


@dataclass(frozen=True)
class Refused:
    """An SMTP answer: `text` begins with the RFC 3463 code."""

    code: int
    text: str


_AUTOMATIC = Refused(550, "5.7.1 Reports and automatic answers are not passed on")
_LOOP = Refused(550, "5.4.6 This mail was passed on before, or goes round in circles")
_UNSURE = Refused(451, "4.4.3 Who sent this could not be checked now; please try again later")
_UNPROVED = Refused(
    550,
    "5.7.1 Only the person this address was given to can write to it, from the address they connected with, and only "
    "where SPF or DKIM shows that it is theirs",
)


def is_relay_address(local_part: str) -> bool:
    """Whether it has the shape of one."""
    return _SHAPE.fullmatch(local_part) is not None


def at_the_door(conn: Connection, now: int, local_part: str) -> str | None:
    """What to refuse a recipient with (550), beginning with the RFC 3463 code; None: go on. Changes nothing.

    Whether the other side muted the connection is nobody's to know, so it makes no difference here.
    """
    row = store.by_local_part(conn, local_part)
    if row is None:
        return _UNKNOWN
    if row.ended is not None:
        return _ENDED
    return _FULL if _is_full(conn, now, row) else None


def sender_of(conn: Connection, local_part: str) -> int | None:
    """The contact who may write to a relay address: under their key the mail is kept. None for no such address."""
    row = store.by_local_part(conn, local_part)
    return None if row is None else int(row.writer)


def at_the_data(
    ctx: Context, *, local_part: str, octets: bytes, peer: Peer, resolver: Resolver | None = None
) -> Refused | None:
    """What to refuse a mail with, once all of it is there; None: it is to be kept, then passed on. Changes nothing.

    Asks the DNS, unless our own server's word is believed. Which of the checks failed is not told: nobody can try out
    by it whose address this is.
    """
    header, _ = fields.parse(octets, 0, len(octets))
    if not peer.mail_from:
        return _AUTOMATIC
    if _went_round(header, ctx.settings.mail_in):
        return _LOOP
    with ctx.db.reading() as conn:
        row = store.by_local_part(conn, local_part)
        boxes = {} if row is None else store.address_boxes(conn, [row.writer])
        exact = None if row is None else ContactKeys(ctx.keyring, conn).text(row.writer, boxes.get(row.writer))
    found = authenticate(ctx, octets, peer, resolver)
    if found.is_unsure:
        return _UNSURE
    return None if exact is not None and is_from(found, exact, peer) else _UNPROVED


def pass_on(conn: Connection, ctx: Context, now: int, *, local_part: str, octets: bytes, peer: Peer) -> None:
    """Take a mail that `at_the_data` let in, inside the caller's transaction.

    It is cleaned, and then queued; kept, while its reader has the connection muted; or held, with a warning to its
    writer, where it still seems to hold an address.
    """
    row = store.by_local_part(conn, local_part)
    if row is None:
        return
    refs = consents.lock_contacts(conn, [row.reader, row.writer])
    row = store.by_id(conn, row.id)
    header, _ = fields.parse(octets, 0, len(octets))
    person = find_by_id(conn, row.writer)
    dropped = "ended" if row.ended is not None or person is None else ""
    if not dropped and automatic.says_so(header):
        dropped = "automatic"
    if not dropped and _is_full(conn, now, row):
        dropped = "too many"
    body: dict[str, Any] = {"connection": row.connection_ref.hex(), "octets": len(octets)}
    if dropped or person is None:
        entry = Entry(
            kind="relay.dropped", actor=ENGINE.name, contact=refs.get(row.writer), body={**body, "reason": dropped}
        )
        record(conn, now, entry)
        return
    keys = ContactKeys(ctx.keyring, conn)
    mail = cleaning.clean(
        octets,
        known=_known(conn, keys, row, header, peer),
        mail_in=ctx.settings.mail_in,
        public_url=ctx.settings.public_url,
    )
    origin = next(iter(header.message_ids("message-id")), "")
    answers = [*header.message_ids("references"), *header.message_ids("in-reply-to")]
    made = store.add(
        conn,
        address=row.id,
        writer=row.writer,
        received=now,
        octets=len(octets),
        state="held",
        words_box=keys.seal(row.writer, words.to_facts(mail, answers)),
        origin_key=words.origin_key(ctx.keyring, origin) if origin else None,
        origin_box=keys.seal(row.writer, origin) if origin else None,
    )
    body |= {"mail": made.ref.hex(), "files": len(mail.files), "doubts": len(mail.doubts)}
    record(conn, now, Entry(kind="relay.taken", actor=ENGINE.name, contact=person.ref, body=body))
    if mail.doubts:
        held.hold(conn, ctx, now, made, person)
    else:
        let_through(conn, ctx, now, made)


def _is_full(conn: Connection, now: int, row: store.AddressRow) -> bool:
    mails, octets = store.came_since(conn, row.id, now - _DAY)
    return mails >= MOST_A_DAY or octets >= MOST_OCTETS_A_DAY


def _went_round(header: Fields, mail_in: str) -> bool:
    marks = {value.strip().lower() for value in header.all(LOOP_MARK.lower())}
    return mail_in in marks or len(header.all("received")) > MOST_HOPS


def _known(conn: Connection, keys: ContactKeys, row: store.AddressRow, header: Fields, peer: Peer) -> set[str]:
    """The addresses of both, and whatever else the mail names its writer by."""
    keys.load([row.reader, row.writer])
    boxes = store.address_boxes(conn, [row.reader, row.writer])
    known = {keys.text(person, box) or "" for person, box in boxes.items()}
    known |= {header.address(name) for name in _NAMING} | {peer.mail_from}
    return {one for one in known if one.count("@") == 1}
