"""Lifting a bar is an officer's act, with a reason, in the log; it grants nothing."""

import pytest
from sqlalchemy import select

from outreach.domain.errors import ConflictError, InvalidInputError, NotAllowedError, NotFoundError
from outreach.services.bars import lift_bar, see_bar
from outreach.services.contact_history import contact_history
from outreach.services.context import Context
from outreach.services.officer.look_up import look_up
from outreach.services.sign_up import process_requests, submit_sign_up
from outreach.store import suppressions
from outreach.store.schema.campaigns import message
from outreach.store.schema.people import suppression
from tests.factories import World
from tests.services.people import count, form, state_of
from tests.services.test_reveal import ADMINISTRATOR, ANNA, OFFICER, entries

REASON = "asked us in a letter of 12 November"


def bar(ctx: Context, kind: str = "never", lift: str = "officer") -> bytes:
    """A bar on Anna's mailbox; its ref."""
    key = ctx.keyring.blind("mailbox", ANNA)
    with ctx.db.transaction() as conn:
        suppressions.put(conn, 1, [suppressions.Bar(key, "mailbox", kind, lift, f"told by {ANNA}")])
        where = (suppression.c.key == key, suppression.c.kind == kind, suppression.c.lifted.is_(None))
        return bytes(conn.execute(select(suppression.c.ref).where(*where)).scalar_one())


@pytest.mark.parametrize("kind", ["bounce", "never", "complaint", "imported", "deceased"])
def test_a_lifted_bar_no_longer_stands_and_the_log_says_who_and_why(ctx: Context, world: World, kind: str) -> None:
    topic, text = world.topic()
    person = world.person(ANNA)
    world.grant(person, topic, text, state="withdrawn")
    ref = bar(ctx, kind)
    assert [(one.ref, one.can_be_lifted) for one in contact_history(ctx, OFFICER, person.ref).bars] == [(ref, True)]
    assert lift_bar(ctx, OFFICER, ref, f"{REASON} from {ANNA}") == (person.ref,)
    body = {"bar": ref.hex(), "kind": kind, "scope": "mailbox", "reason": f"{REASON} from a•••@e•••.org"}
    assert entries(ctx, "contact.bar-lifted") == [(person.ref, OFFICER.name, body)]
    assert look_up(ctx, OFFICER, ANNA).bars == ()
    (lifted,) = contact_history(ctx, OFFICER, person.ref).bars
    assert lifted.lifted is not None and not lifted.can_be_lifted
    assert state_of(ctx) == "withdrawn"
    with pytest.raises(ConflictError, match="lifted already"):
        lift_bar(ctx, OFFICER, ref, REASON)


def test_its_owner_may_then_be_asked_again(ctx: Context, world: World) -> None:
    world.topic()
    lift_bar(ctx, OFFICER, bar(ctx), REASON)
    submit_sign_up(ctx, form(ANNA))
    process_requests(ctx)
    assert count(ctx, message, message.c.state == "planned") == 1
    assert state_of(ctx) == "pending"


def test_a_bar_on_an_address_we_hold_nothing_else_about_is_lifted_too(ctx: Context) -> None:
    (found,) = look_up(ctx, OFFICER, ANNA).bars if bar(ctx) else ()
    assert found.reason == "told by a•••@e•••.org"
    assert see_bar(ctx, OFFICER, found.ref) == found
    assert lift_bar(ctx, OFFICER, found.ref, REASON) == ()
    assert [contact for contact, _, _ in entries(ctx, "contact.bar-lifted")] == [None]


@pytest.mark.parametrize(("lift", "why"), [("nobody", "nobody can lift it"), ("owner", "only the owner")])
def test_a_bar_that_is_not_an_officers_stays(ctx: Context, lift: str, why: str) -> None:
    ref = bar(ctx, "erased", lift)
    for act in (lambda: see_bar(ctx, OFFICER, ref), lambda: lift_bar(ctx, OFFICER, ref, REASON)):
        with pytest.raises(ConflictError, match=why):
            act()
    assert count(ctx, suppression, suppression.c.lifted.is_(None)) == 1


def test_lifting_needs_an_officer_a_reason_and_a_bar(ctx: Context) -> None:
    ref = bar(ctx)
    with pytest.raises(NotAllowedError):
        lift_bar(ctx, ADMINISTRATOR, ref, REASON)
    for reason in ("", "  because  ", "x" * 501):
        with pytest.raises(InvalidInputError, match="still stands"):
            lift_bar(ctx, OFFICER, ref, reason)
    with pytest.raises(NotFoundError):
        lift_bar(ctx, OFFICER, b"?" * 16, REASON)
    assert count(ctx, suppression, suppression.c.lifted.is_(None)) == 1
    assert entries(ctx, "contact.bar-lifted") == []
