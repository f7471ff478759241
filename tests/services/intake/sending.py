"""A message that went out, mails that come back about it, and what became of them."""

import json
import secrets
from collections.abc import Mapping, Sequence
from email.message import EmailMessage
from email.policy import SMTP
from typing import Any

from sqlalchemy import func, insert, select, update

from outreach.domain.inbound_addresses import SERVERS, Door
from outreach.mail.peer import Peer
from outreach.services.intake.accept import Known, Refusal, may_accept, take_in
from outreach.services.intake.process import process_mails
from outreach.store.contacts import Person
from outreach.store.schema.audit import audit_entry
from outreach.store.schema.campaigns import message
from outreach.store.schema.consents import consent
from outreach.store.schema.inbound import inbound_mail, inbound_report
from outreach.store.schema.people import suppression
from outreach.store.tally import add as add_to_tally
from tests.factories import World

PEER = Peer("192.0.2.7", "mx.example.net", "bob@example.org")
SERVER = Peer("192.0.2.7", "mx.example.net", "")


class NoNames:
    """A DNS without a record."""

    def look_up(self, name: str, kind: str) -> Sequence[str]:
        return []


class Sent:
    """One organisation, one topic, one campaign that is being sent."""

    def __init__(self, world: World) -> None:
        self.world, self.ctx = world, world.ctx
        self.topic, self.text = world.topic(cap_n=50)
        self.campaign = world.campaign(self.topic)

    def reader(self, **more: Any) -> Person:
        person = self.world.person(**more)
        self.world.grant(person, self.topic, self.text, cap_n=50)
        return person

    def message(self, person: Person, state: str = "sent", **more: Any) -> bytes:
        """A message of the campaign to somebody, or of another origin. Returns its ref."""
        ref = secrets.token_bytes(16)
        values: dict[str, Any] = {"ref": ref, "origin": "campaign", "kind": "informational", "lane": "x",
                  "contact": person.id, "mailbox": person.mailbox, "campaign": self.campaign, "topic": self.topic,
                  "state": state, "planned": self.world.now, "due": self.world.now, "settled": self.now(),
                  "counted": self.now()} | more  # fmt: skip
        with self.ctx.db.transaction() as conn:
            conn.execute(insert(message).values(values))
            if values["campaign"] is not None:
                add_to_tally(conn, self.ctx.db.now(conn), self.campaign, {(state, more.get("reason")): 1})
        return ref

    def unlimited(self) -> None:
        """Later messages of this campaign may go to the same person."""
        self.campaign = self.world.campaign(self.topic)

    def now(self) -> int:
        with self.ctx.db.reading() as conn:
            return self.ctx.db.now(conn)

    def pass_days(self, days: float) -> None:
        assert self.ctx.settings.clock_file is not None
        before = float(self.ctx.settings.clock_file.read_text()) if self.ctx.settings.clock_file.exists() else 0
        self.ctx.settings.clock_file.write_text(str(before + days * 86_400))

    def address(self, ref: bytes, door: Door = Door.BOUNCE) -> str:
        inbound = self.ctx.inbound
        return f"{door}+{inbound.servers_ticket(ref) if door in SERVERS else inbound.ticket(ref)}"

    def arrive(self, local_part: str, octets: bytes, peer: Peer | None = None) -> Refusal | None:
        """Bring a mail in, as the listener does, and let the engine act on it. `peer`: a server's where one reports."""
        peer = peer or (SERVER if local_part.startswith(Door.BOUNCE) else PEER)
        known = may_accept(self.ctx, local_part)
        assert isinstance(known, Known), known
        refused = take_in(self.ctx, known, octets, peer)
        process_mails(self.ctx, NoNames())
        return refused

    def bounce(self, person: Person, status: str = "5.1.1", action: str = "failed") -> bytes:
        """A message to somebody, and the report that it could not be delivered."""
        ref = self.message(person)
        self.unlimited()
        assert self.arrive(self.address(ref), report_of(status, action)) is None
        return ref

    def reports(self) -> list[tuple[str, str]]:
        """(kind, what was done) of every report, oldest first."""
        query = select(inbound_report.c.kind, inbound_report.c.did).order_by(inbound_report.c.id)
        with self.ctx.db.reading() as conn:
            return [(row.kind, row.did) for row in conn.execute(query)]

    def newest(self) -> bytes:
        """The ref of the newest report."""
        with self.ctx.db.reading() as conn:
            query = select(inbound_report.c.ref).order_by(inbound_report.c.id.desc()).limit(1)
            return bytes(conn.execute(query).scalar_one())

    def bars(self) -> list[str]:
        """The kinds of bars that stand."""
        with self.ctx.db.reading() as conn:
            query = select(suppression.c.kind).where(suppression.c.lifted.is_(None)).order_by(suppression.c.id)
            return list(conn.execute(query).scalars())

    def states(self, person: Person) -> list[str]:
        """Where the person stands with each topic."""
        with self.ctx.db.reading() as conn:
            query = select(consent.c.state).where(consent.c.contact == person.id).order_by(consent.c.topic)
            return list(conn.execute(query).scalars())

    def waiting(self) -> int:
        """Mails that were not acted on yet."""
        with self.ctx.db.reading() as conn:
            query = select(func.count()).where(inbound_mail.c.state == "waiting")
            return int(conn.execute(query).scalar_one())

    def entries(self, kind: str) -> list[Mapping[str, Any]]:
        """The bodies of the log's entries of a kind."""
        with self.ctx.db.reading() as conn:
            query = select(audit_entry.c.body).where(audit_entry.c.kind == kind).order_by(audit_entry.c.id)
            return [json.loads(body) for body in conn.execute(query).scalars()]

    def settle(self, ref: bytes, **values: Any) -> None:
        """Change a message as a test needs it."""
        with self.ctx.db.transaction() as conn:
            conn.execute(update(message).where(message.c.ref == ref).values(values))


def report_of(status: str, action: str = "failed", recipient: str = "somebody") -> bytes:
    """A delivery report (RFC 3464) as a mail server writes it; each is another mail. `recipient`: whom it names."""
    code = "550" if status[0] == "5" else "451"
    return f"""From: Mail Delivery System <MAILER-DAEMON@mx.example.net>\r
To: bounce@in.localhost\r
Subject: Undelivered Mail Returned to Sender\r
Auto-Submitted: auto-replied\r
Message-ID: <{secrets.token_hex(8)}@mx.example.net>\r
MIME-Version: 1.0\r
Content-Type: multipart/report; report-type=delivery-status; boundary="b"\r
\r
--b\r
Content-Type: text/plain\r
\r
Your mail could not be delivered.\r
--b\r
Content-Type: message/delivery-status\r
\r
Reporting-MTA: dns; mx.example.net\r
\r
Final-Recipient: rfc822; {recipient}\r
Action: {action}\r
Status: {status}\r
Diagnostic-Code: smtp; {code} {status} said the server about somebody@example.org\r
--b--\r
""".encode()


def complaint_of(ref: bytes, vouched: str = "", domain: str = "example.org") -> bytes:
    """A complaint in ARF (RFC 5965). `vouched`: the server whose Authentication-Results say that `domain` signed it."""
    results = f"Authentication-Results: {vouched}; dkim=pass header.d={domain}\r\n" if vouched else ""
    return f"""{results}From: Complaints <fbl@{domain}>\r
To: report@in.localhost\r
Subject: FW: Pruning roses\r
Message-ID: <{secrets.token_hex(8)}@example.net>\r
MIME-Version: 1.0\r
Content-Type: multipart/report; report-type=feedback-report; boundary="b"\r
\r
--b\r
Content-Type: text/plain\r
\r
This is an abuse report.\r
--b\r
Content-Type: message/feedback-report\r
\r
Feedback-Type: abuse\r
User-Agent: Example/1.0\r
Version: 1\r
--b\r
Content-Type: message/rfc822\r
\r
From: Northfield <news@northfield.example>\r
Subject: Pruning roses\r
Message-ID: <{ref.hex()}@northfield.example>\r
\r
Dear reader\r
--b--\r
""".encode()


def letter(subject: str, text: str, **headers: str) -> bytes:
    """A mail as a person's program writes it."""
    mail = EmailMessage(policy=SMTP)
    mail["From"] = "Bob <bob@example.org>"
    mail["To"] = "reply@in.localhost"
    mail["Subject"] = subject
    mail["Message-ID"] = f"<{secrets.token_hex(8)}@example.org>"
    for name, value in headers.items():
        mail[name.replace("_", "-")] = value
    mail.set_content(text)
    return mail.as_bytes()
