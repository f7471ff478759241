"""Acts on mail that came in, for the engine: reads each, finds out who vouches for it, and does what its kind asks for.

A mail about one of our messages changes what we do next: a mailbox is barred or rests, a complaint or a stop withdraws.
What people wrote opens a conversation; machines that answer are noted and never answered (RFC 3834). Mail to a relay
address is passed on. Each in a transaction of its own: one that fails is kept, and tried again later and later.

A report changes something only where it came as a server's does: to the address that servers alone are told, from the
null sender, or vouched for by the reader's provider. Any other is noted.
"""

from dataclasses import dataclass, replace

import structlog
from sqlalchemy import Connection

from outreach.domain.inbound_addresses import SERVERS, Door
from outreach.mail.inbound.incoming import Incoming, Kind
from outreach.mail.inbound.reading import read
from outreach.mail.peer import Peer
from outreach.mail.resolver import Resolver
from outreach.services.context import Context
from outreach.services.conversations.incoming import take_reply
from outreach.services.intake import bounces, complaints
from outreach.services.intake.accept import RELAY
from outreach.services.relaying.passing import pass_on
from outreach.services.vouching import authenticate, is_from, mailbox_of, providers_of
from outreach.services.withdraw import withdraw_by_mail
from outreach.store import consents
from outreach.store import inbound as store
from outreach.store.boxes import ContactKeys
from outreach.store.contacts import find_by_id
from outreach.store.inbound import Told
from outreach.store.relaying import address_boxes

A_ROUND = 50
REMEMBERED = 90 * 86_400_000_000
"""Microseconds a mail is known again after it was acted on; a server gives up after days (RFC 5321 §4.5.4.1)."""

_OF_MAILBOX = frozenset({Kind.HARD_BOUNCE, Kind.SOFT_BOUNCE})

log = structlog.get_logger()


class UnsureError(Exception):
    """Nobody vouches for a complaint, but the DNS gave no answer: it is looked at again later."""


@dataclass(frozen=True)
class _Mail:
    """A mail taken out of its box. `message`: ref and id of what it is about, None at a relay address; `reader`: whom
    that went to. `domains`: those that vouch for a complaint and speak for the reader's provider; `is_vouched`: whether
    somebody vouches that a reply is of the address in its From.
    """

    id: int
    contact: int
    message: tuple[bytes, int] | None
    local_part: str
    octets: bytes
    peer: Peer
    reader: str
    door: Door = Door.REPLY
    incoming: Incoming | None = None
    domains: str = ""
    is_vouched: bool = False


def process_mails(ctx: Context, resolver: Resolver | None = None) -> int:
    """Act on what waits. Returns how many mails were looked at. `resolver`: asks the DNS; None: the system's."""
    with ctx.db.reading() as conn:
        waiting = store.due(conn, ctx.db.now(conn), A_ROUND)
    for mail in waiting:
        try:
            _process(ctx, mail, resolver)
        except Exception as error:  # whatever is wrong with one mail, the others are acted on
            log.error("intake.mail", mail=mail, error=type(error).__name__)
            with ctx.db.transaction() as conn:
                store.put_off(conn, ctx.db.now(conn), mail)
    return len(waiting)


def forget_old_mails(ctx: Context) -> int:
    """Rows of mails that were acted on long ago, and their digests. Returns how many went. For the engine."""
    with ctx.db.transaction() as conn:
        return store.purge(conn, ctx.db.now(conn) - REMEMBERED)


def _process(ctx: Context, mail_id: int, resolver: Resolver | None) -> None:
    """Reading and asking the DNS may take a while, so both are done before the transaction that acts."""
    mail = _open(ctx, mail_id)
    if mail is not None and mail.message is not None:
        mail = _look(ctx, mail, resolver)
    with ctx.db.transaction() as conn:
        if not store.take(conn, mail_id):
            return
        now = ctx.db.now(conn)
        if mail is not None:
            _act(conn, ctx, now, mail)
        store.settle(conn, now, mail_id)


def _open(ctx: Context, mail_id: int) -> _Mail | None:
    """None where the person was erased since, or the mail was acted on."""
    with ctx.db.reading() as conn:
        row = store.find(conn, mail_id)
        keys = ContactKeys(ctx.keyring, conn)
        facts = keys.facts(row.contact, row.mail_box)
        reader = keys.text(row.contact, address_boxes(conn, [row.contact]).get(row.contact)) or ""
        about = None if row.message is None else store.message_id(conn, row.message)
    if not facts or (about is None and row.door != RELAY):
        return None
    return _Mail(
        id=mail_id,
        contact=row.contact,
        message=None if about is None else (row.message, about),
        local_part=facts["local_part"],
        octets=facts["octets"].encode("latin-1"),
        peer=Peer(facts["ip"], facts["helo"], facts["mail_from"]),
        reader=reader,
    )


def _look(ctx: Context, mail: _Mail, resolver: Resolver | None) -> _Mail:
    """What kind of mail it is, and who vouches for a complaint or a reply. Raises UnsureError while the DNS does not
    answer about a complaint.
    """
    ticket = ctx.inbound.read(mail.local_part)
    is_loop = mail.local_part.lower() == Door.REPORT
    door = ticket[0] if ticket is not None else Door.REPORT if is_loop else Door.REPLY
    with ctx.db.reading() as conn:
        now = ctx.db.now(conn)
    incoming = read(mail.octets, door=door, now=now, mail_from=mail.peer.mail_from)
    if is_loop and not _holds_servers_ticket(ctx, mail, incoming):
        door = Door.REPLY
    mail = replace(mail, incoming=incoming, door=door)
    is_complaint = incoming.kind is Kind.COMPLAINT and door is Door.REPORT
    if not is_complaint and incoming.kind is not Kind.REPLY:
        return mail
    found = authenticate(ctx, mail.octets, mail.peer, resolver)
    if not is_complaint:
        return replace(mail, is_vouched=is_from(found, incoming.from_address, mail.peer))
    if found.is_unsure:
        raise UnsureError
    speaking = providers_of(ctx, found.domains, mail.reader) if "dkim" in found.by else ()
    return replace(mail, domains=", ".join(sorted(speaking)))


def _holds_servers_ticket(ctx: Context, mail: _Mail, incoming: Incoming) -> bool:
    named = [ctx.inbound.read(found) for found in incoming.tickets]
    return any(one[0] in SERVERS and mail.message and one[1] == mail.message[0] for one in named if one is not None)


def _act(conn: Connection, ctx: Context, now: int, mail: _Mail) -> None:
    if mail.message is None:
        pass_on(conn, ctx, now, local_part=mail.local_part, octets=mail.octets, peer=mail.peer)
        return
    if mail.incoming is None:
        return
    consents.lock_contacts(conn, [mail.contact])
    ref, about = mail.message
    read_as = mail.incoming
    told = Told(
        message=about,
        kind=_kind(mail, read_as),
        status=read_as.status,
        words=read_as.diagnostic,
        reporting=read_as.reporting,
    )
    if read_as.kind is Kind.COMPLAINT and mail.domains:
        complaints.complain(conn, ctx, now, told, mail.domains)
    elif read_as.kind is Kind.COMPLAINT:
        complaints.note_unproved(conn, now, told)
    elif read_as.kind is Kind.UNSUBSCRIBE:
        _stop(conn, ctx, now, told, ref)
    elif read_as.kind is Kind.REPLY:
        _answer(conn, ctx, now, mail, told)
    elif told.kind in _OF_MAILBOX and not (mail.door is Door.BOUNCE and mail.peer.mail_from == ""):
        bounces.note_unproved(conn, now, told)
    else:
        bounces.take_reports(conn, now, [told])


def _kind(mail: _Mail, read_as: Incoming) -> Kind:
    """A server behind the reader's may not know a mailbox they pass mail on to: theirs still is one."""
    others = read_as.recipients and mailbox_of(mail.reader) not in {mailbox_of(one) for one in read_as.recipients}
    return Kind.SOFT_BOUNCE if read_as.kind is Kind.HARD_BOUNCE and others else read_as.kind


def _stop(conn: Connection, ctx: Context, now: int, told: Told, ref: bytes) -> None:
    """However often they write: a stop never expires, and one that changes nothing is nothing. Reported once."""
    made = bounces.take_reports(conn, now, [replace(told, did="withdrew")])
    changed = withdraw_by_mail(conn, ctx, now, ref)
    for report in made:
        store.note(conn, report.id, changed=changed)


def _answer(conn: Connection, ctx: Context, now: int, mail: _Mail, told: Told) -> None:
    person = find_by_id(conn, mail.contact)
    if person is None or mail.message is None or mail.incoming is None:
        return
    kept = take_reply(
        conn,
        ctx,
        now,
        message=mail.message[0],
        person=person,
        incoming=mail.incoming,
        mail=mail.id,
        is_vouched=mail.is_vouched,
    )
    bounces.take_reports(conn, now, [replace(told, did="conversation" if kept else "noted")])
