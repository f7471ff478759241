"""Invitations for tests of pages: rows as the engine leaves them, and links to them."""

from dataclasses import dataclass
from typing import Any

from outreach.domain import addresses
from outreach.domain.tokens import Purpose
from outreach.services.context import Context
from outreach.store import invitations
from outreach.store.boxes import ContactKeys
from tests.factories import DAY, MadeMember, World

ALICE = "alice.berg@inviters.example"
BOB = "bob@recipients.example"
NOTE = "We met at the seed swap.\nHow are your beans?"


@dataclass(frozen=True)
class Invited:
    """An invitation that was made: its inviter, its ref, and its link's token."""

    inviter: MadeMember
    ref: bytes
    token: str


def invite_by_mail(ctx: Context, world: World, *, locale: str = "en", inviter: MadeMember | None = None) -> Invited:
    """Bob is invited, and the mail has gone."""
    who = inviter or world.member(ALICE, "Alice Berg")
    person = world.person(BOB)
    return _made(
        ctx,
        who,
        Purpose.INVITATION,
        way="mail",
        locale=locale,
        mailbox=person.mailbox,
        contact=person.id,
        days=14,
        label=addresses.mask(BOB),
    )


def invite_by_hand(ctx: Context, world: World, *, locale: str = "en", inviter: MadeMember | None = None) -> Invited:
    """A link that Alice passes on."""
    who = inviter or world.member(ALICE, "Alice Berg")
    return _made(ctx, who, Purpose.HAND, way="hand", locale=locale, days=30)


def _made(
    ctx: Context, who: MadeMember, purpose: Purpose, *, way: str, locale: str, days: int, label: str = "", **more: Any
) -> Invited:
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        keys = ContactKeys(ctx.keyring, conn)
        row = invitations.add(
            conn,
            member=who.id,
            way=way,
            relationship="friend",
            locale=locale,
            note_box=keys.seal(who.person.id, NOTE),
            label_box=keys.seal(who.person.id, label) if label else None,
            asked=now,
            decided=now,
            expires=now + days * DAY,
            **more,
        )
        return Invited(who, row.ref, ctx.tokens.issue(purpose, row.ref, now))
