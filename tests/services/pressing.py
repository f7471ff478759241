"""Short cuts of the invitation tests: switch mail on, press, let the engine look, open the mail, answer."""

from typing import Any

from sqlalchemy import select

from outreach.domain.actors import Actor
from outreach.domain.invitation import Policy, Way
from outreach.domain.policies import Name, of_inviting
from outreach.domain.tokens import Purpose
from outreach.services.context import Context
from outreach.services.invitations import process_invitations
from outreach.services.invite import Draft, send_invitation
from outreach.store.policies import put
from outreach.store.schema.campaigns import message
from tests.services.people import hand_off_everything, link

BOB = "bob@example.net"


def set_policy(ctx: Context, **changed: Any) -> None:
    """The policy in force from now on: invitations by mail allowed, the defaults but for what is `changed`."""
    policy = Policy(by_mail=bool(changed.pop("by_mail", True)), **changed)
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        put(conn, now, Name.INVITATIONS, of_inviting(policy), reason="test", author="test", begun=now)


def draft(address: str = BOB, **more: Any) -> Draft:
    """A mail to a friend; `way="hand"` for a link to pass on."""
    values: dict[str, Any] = {"way": Way.MAIL, "address": address, "relationship": "friend", **more}
    if values["way"] == Way.HAND:
        values["address"] = ""
    return Draft(**values)


def press(ctx: Context, actor: Actor, address: str = BOB, **more: Any) -> bytes:
    """Invite, and let the engine decide."""
    ref = send_invitation(ctx, actor, draft(address, **more))
    process_invitations(ctx)
    return ref


def mailed(ctx: Context, actor: Actor, address: str = BOB, **more: Any) -> str:
    """Invite by mail and hand the mail off; returns the INVITATION token in it."""
    ref = press(ctx, actor, address, **more)
    hand_off_everything(ctx)
    return link(ctx, Purpose.INVITATION, ref)


def mails(ctx: Context) -> list[tuple[str, str | None]]:
    """(state, reason) of every mail of an invitation, oldest first."""
    query = select(message.c.state, message.c.reason).where(message.c.origin == "invitation")
    with ctx.db.reading() as conn:
        return [(row.state, row.reason) for row in conn.execute(query.order_by(message.c.id))]
