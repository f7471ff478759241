"""Two connected people who write to each other: their mails at the door, what was passed on, and what is held."""

import email
from email import policy
from email.message import EmailMessage
from itertools import count
from typing import Any

from sqlalchemy import select

from outreach.mail.peer import Peer
from outreach.mail.resolver import Resolver
from outreach.mail.transport import Parcel
from outreach.services.intake.accept import Known, Refusal, may_accept, take_in
from outreach.services.intake.process import process_mails
from outreach.store.contacts import Person
from outreach.store.schema.members import connection
from outreach.store.schema.relaying import relay_address, relayed
from tests.factories import MadeMember, World
from tests.pipeline.conftest import Line
from tests.services.connecting import connected

ALICE, BOB = "alice@inviters.example", "bob@recipients.example"
_numbers = count(1)


def letter(sender: str, to: str, text: str, **fields: str) -> EmailMessage:
    """A mail as the demo mailbox's server hands it over, vouched for."""
    mail = EmailMessage()
    mail["Authentication-Results"] = f"in.localhost; dkim=pass header.d={sender.rpartition('@')[2]}"
    mail["From"], mail["To"] = sender, f"{to}@in.localhost"
    mail["Subject"] = fields.pop("subject", "Seeds")
    mail["Message-ID"] = f"<{next(_numbers)}.{sender}>"
    for name, value in fields.items():
        mail[name.replace("_", "-")] = value
    mail.set_content(text)
    return mail


class Pair:
    """Alice and Bob, connected, both with an account."""

    def __init__(self, line: Line) -> None:
        self.line, self.ctx = line, line.ctx
        self.alice, self.bob = self.line.world.member(ALICE, "Alice Berg"), self.line.world.member(BOB, "Bob Lind")
        self.ref = connected(self.ctx, self.alice, self.bob.person)

    @classmethod
    def of(cls, line: Line, alice: MadeMember, ref: bytes) -> "Pair":
        """Alice and somebody else, connected before."""
        made = cls.__new__(cls)
        made.line, made.ctx, made.alice, made.ref = line, line.ctx, alice, ref
        return made

    def to(self, reader: Person) -> str:
        """The local part at which a person is reached."""
        return address_of(self.line.world, self.ref, reader)

    def bring(
        self, mail: EmailMessage | bytes, to: str, *, sender: str = ALICE, ip: str = "127.0.0.1",
        resolver: Resolver | None = None,
    ) -> Refusal | None:  # fmt: skip
        """What the door says to a mail; None: it is kept."""
        known = may_accept(self.ctx, to)
        if isinstance(known, Refusal):
            return known
        assert isinstance(known, Known)
        octets = mail if isinstance(mail, bytes) else mail.as_bytes(policy=policy.SMTP)
        return take_in(self.ctx, known, octets, Peer(ip, "mail.example", sender), resolver)

    def write(self, text: str, *, by: str = ALICE, **fields: str) -> None:
        """A mail of one of the two, taken and acted on."""
        to = self.to(self.bob.person if by == ALICE else self.alice.person)
        assert self.bring(letter(by, to, text, **fields), to, sender=by) is None
        process_mails(self.ctx)

    def sent(self) -> list[Parcel]:
        """What the pipeline hands over now."""
        before = len(self.line.relay.sent)
        self.line.rounds()
        return self.line.relay.sent[before:]

    def rows(self) -> list[Any]:
        with self.ctx.db.reading() as conn:
            return list(conn.execute(select(relayed).order_by(relayed.c.id)))


def address_of(world: World, ref: bytes, reader: Person) -> str:
    with world.ctx.db.reading() as conn:
        mine = (connection.c.ref == ref, relay_address.c.contact == reader.id)
        query = select(relay_address.c.local_part).join(connection, connection.c.id == relay_address.c.connection)
        return str(conn.execute(query.where(*mine)).scalar_one())


def read(parcel: Parcel) -> EmailMessage:
    return email.message_from_bytes(parcel.data, policy=policy.default)


def words(parcel: Parcel) -> str:
    """The plain text of a mail."""
    part = read(parcel).get_body(("plain",))
    return "" if part is None else str(part.get_content())
