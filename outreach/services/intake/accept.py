"""Whether a mail may come in, and keeping it: asked for each recipient before the server that brings it is answered.

An address of ours is a genuine ticket, or a connection's relay address; nothing is looked up for any other, so that
guessing tells nothing. What is taken is on disk, boxed under the key of whom it is about, before anybody is told so.
Other doors, such as an IMAP folder or a provider's webhook, bring their mails by the same two functions.

What comes to `postmaster` (RFC 5321 §4.5.1) or `abuse` (RFC 2142 §4) is taken too; nobody reads it here, so only that
it came is logged.
"""

import hmac
from dataclasses import dataclass

import structlog

from outreach.domain.inbound_addresses import SERVERS, Door
from outreach.mail.inbound.reading import read
from outreach.mail.peer import Peer
from outreach.mail.resolver import Resolver
from outreach.services.context import Context
from outreach.services.relaying import passing
from outreach.store import inbound as store
from outreach.store.boxes import ContactKeys

RELAY = "relay"
OFFICE = "office"
"""The door of addresses every domain must have: OFFICES, in any case."""
OFFICES = frozenset({"postmaster", "abuse"})
MOST_REPLIES_A_DAY = 50
"""Replies to one person's mails that are kept in 24 hours: whoever was passed one of those can write them, too."""

_DAY = 86_400_000_000
_PURPOSE = b"outreach mail that came in\0"

log = structlog.get_logger()


@dataclass(frozen=True)
class Refusal:
    """An SMTP answer: `text` begins with the RFC 3463 code."""

    code: int
    text: str


@dataclass(frozen=True)
class Known:
    """A recipient of ours. `message`: ref of the message it is about, None at the address of a provider's feedback
    loop, where only the report itself tells, and at an OFFICE; `contact`: 0 there.
    """

    local_part: str
    door: str
    contact: int
    message: bytes | None = None


UNKNOWN = Refusal(550, "5.1.1 There is no such address here")
ENOUGH = Refusal(452, "4.7.1 As many answers came here today as are kept in a day, please try again later")
NOT_OURS = Refusal(550, "5.7.1 This report names no mail of ours")


def may_accept(ctx: Context, local_part: str) -> Refusal | Known:
    """What to answer to a recipient at our domain for mail that comes in. Changes nothing.

    Raises the driver's errors where the store is away: the mail is to come again.
    """
    ticket = ctx.inbound.read(local_part)
    if ticket is None and local_part.lower() == Door.REPORT:
        return Known(local_part, Door.REPORT, 0)
    if local_part.lower() in OFFICES:
        return Known(local_part, OFFICE, 0)
    if ticket is None and not passing.is_relay_address(local_part):
        return UNKNOWN
    with ctx.db.reading() as conn:
        if ticket is not None:
            door, message = ticket
            whom = store.addressee(conn, message)
            return UNKNOWN if whom is None else Known(local_part, door, whom, message)
        refused = passing.at_the_door(conn, ctx.db.now(conn), local_part)
        if refused is not None:
            return Refusal(550, refused)
        writer = passing.sender_of(conn, local_part)
        return UNKNOWN if writer is None else Known(local_part, RELAY, writer)


def take_in(ctx: Context, known: Known, octets: bytes, peer: Peer, resolver: Resolver | None = None) -> Refusal | None:
    """Keep a mail for one recipient; the same mail once. None: it is kept, durably. Raises the driver's errors.

    What comes to a relay address is refused here unless somebody vouches for its sender, by `resolver` or the system's.
    """
    if known.door == RELAY:
        refused = passing.at_the_data(ctx, local_part=known.local_part, octets=octets, peer=peer, resolver=resolver)
        if refused is not None:
            return Refusal(refused.code, refused.text)
    if known.door == OFFICE:
        log.info("intake.office", address=known.local_part.lower(), octets=len(octets))
        return None
    message, contact = known.message, known.contact
    if not contact:
        message = _named_in(ctx, octets)
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        if not contact:
            contact = (store.addressee(conn, message) if message else None) or 0
            if not contact:
                return NOT_OURS
        if known.door == Door.REPLY and store.came_since(conn, contact, Door.REPLY, now - _DAY) >= MOST_REPLIES_A_DAY:
            return ENOUGH
        facts = {"octets": octets.decode("latin-1"), "local_part": known.local_part}
        facts |= {"ip": peer.ip, "helo": peer.helo, "mail_from": peer.mail_from}
        digest = hmac.digest(ctx.keyring.doors, _PURPOSE + known.local_part.lower().encode() + b"\0" + octets, "sha256")
        mail = store.Arrived(door=known.door, contact=contact, message=message, digest=digest, facts=facts)
        store.keep(conn, ContactKeys(ctx.keyring, conn), now, [mail])
        return None


def _named_in(ctx: Context, octets: bytes) -> bytes | None:
    """The message a report is about that came to the one address of a feedback loop: by a genuine ticket inside it,
    servers' rather than people's.
    """
    named = [ctx.inbound.read(found) for found in read(octets, door=Door.REPORT, now=0).tickets]
    genuine = sorted((one for one in named if one is not None), key=lambda one: one[0] not in SERVERS)
    return genuine[0][1] if genuine else None
