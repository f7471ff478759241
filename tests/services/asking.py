"""Short cuts of the tests of connect links: type an address at one, let the mail go, look what came of it."""

import email
import email.policy
import json
from typing import Any

from sqlalchemy import select, update

from outreach.domain import addresses
from outreach.domain.frequency import Cap
from outreach.domain.invitation import Policy
from outreach.domain.policies import Name, of_inviting
from outreach.domain.tokens import Purpose
from outreach.pipeline.letters import write_letters
from outreach.services import connections
from outreach.services.connect import (
    process_connects,
    submit_connect,
)
from outreach.services.context import Context
from outreach.store import invitations, suppressions
from outreach.store.contacts import find_by_address
from outreach.store.policies import put
from outreach.store.schema.audit import audit_entry
from outreach.store.schema.campaigns import message
from outreach.store.schema.members import invitation, member
from tests.factories import DAY, MadeMember
from tests.pipeline.claiming import claim_due
from tests.services.people import count, hand_off_everything

VICTIM = "victim@example.org"
QUESTIONS = message.c.origin == "invitation"
NOTICES = message.c.origin == "notice"


def ask(ctx: Context, ref: bytes, address: str = VICTIM, *, network: str = "192.0.2.0/24", **more: Any) -> None:
    """A patient visitor types an address at a link."""
    facts: dict[str, Any] = {"locale": "en", "ip": "192.0.2.7", "browser": "Firefox", "seconds": 30.0, **more}
    submit_connect(ctx, ref, address=address, network=network, **facts)


def asked(ctx: Context, ref: bytes, address: str = VICTIM, *, ago: int = 60) -> str:
    """Ask, let the mail go out `ago` seconds ago, and return the token of its link to confirm."""
    ask(ctx, ref, address)
    process_connects(ctx)
    hand_off_everything(ctx, ago)
    with ctx.db.reading() as conn:
        newest = select(invitation.c.ref).order_by(invitation.c.id.desc()).limit(1)
        return ctx.tokens.issue(Purpose.CONNECT, conn.execute(newest).scalar_one(), ctx.db.now(conn))


def mails(ctx: Context) -> int:
    return count(ctx, message, QUESTIONS, message.c.state != "withheld")


def withheld(ctx: Context) -> list[str]:
    """Why asks were not mailed, as the log has it."""
    with ctx.db.reading() as conn:
        bodies = conn.execute(
            select(audit_entry.c.body).where(audit_entry.c.kind == "invitation.decided").order_by(audit_entry.c.id)
        ).scalars()
        return [body["reason"] for body in map(json.loads, bodies) if body["mail"] == "withheld"]


def bar(ctx: Context, address: str) -> None:
    with ctx.db.transaction() as conn:
        key = ctx.keyring.blind("mailbox", addresses.parse(address).mailbox)
        suppressions.put(conn, ctx.db.now(conn), [suppressions.Bar(key, "mailbox", "never", "officer")])


def connected(ctx: Context, one: MadeMember, other: MadeMember) -> None:
    """A live connection between two members."""
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        row = invitations.add(
            conn,
            member=other.id,
            way="hand",
            locale="en",
            asked=now,
            expires=now + DAY,
            answer="accepted",
            answered=now,
        )
        connections.connect(
            conn,
            ctx,
            now,
            invitation_row=row,
            inviter_contact=other.person.id,
            other_contact=one.person.id,
            shows={},
            actor=one.actor,
        )


def stop(ctx: Context, who: MadeMember, **values: Any) -> None:
    with ctx.db.transaction() as conn:
        conn.execute(update(member).where(member.c.id == who.id).values(**(values or {"suspended": 1})))


def contact_of(ctx: Context, address: str = VICTIM) -> int | None:
    with ctx.db.reading() as conn:
        person = find_by_address(conn, ctx.keyring, addresses.parse(address))
    return None if person is None else person.id


def set_cap(ctx: Context, n: int, seconds: int = 30 * 86_400) -> None:
    """An officer's cap on invitations to one mailbox."""
    policy = Policy(by_mail=True, recipient=Cap(n, seconds))
    with ctx.db.transaction() as conn:
        put(conn, 1, Name.INVITATIONS, of_inviting(policy), reason="test", author="test", begun=1)


def ref_of_request(ctx: Context) -> bytes:
    with ctx.db.reading() as conn:
        return bytes(conn.execute(select(invitation.c.ref)).scalar_one())


def letter(ctx: Context) -> tuple[str, str]:
    """Subject and text of the one mail that may go now."""
    parcels = write_letters(ctx, claim_due(ctx, "bench").ids, 0.0).parcels
    ((parcel,),) = parcels.values()
    read = email.message_from_bytes(parcel.data, policy=email.policy.default)
    body = read.get_body(("plain",))
    assert body is not None
    return str(read["Subject"]), body.get_content()
