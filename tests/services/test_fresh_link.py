"""A link of a leaked key: one fresh link to the owner's mailbox, within a budget, and never a change of consent."""

from dataclasses import replace

import pytest
from sqlalchemy import select, update

from outreach.domain.errors import TokenError
from outreach.domain.keys import TokenKey
from outreach.domain.tokens import Purpose, TokenCompromisedError, Tokens
from outreach.services.confirm import Client
from outreach.services.context import Context
from outreach.services.fresh_link import mail_fresh_link
from outreach.services.withdraw import withdraw
from outreach.store.boxes import ContactKeys
from outreach.store.schema.audit import audit_entry
from outreach.store.schema.campaigns import message
from outreach.store.schema.consents import consent_event, mail_budget
from tests.factories import World
from tests.services.people import asked, count, letter, link, move_clock, state_of

NOTICES = message.c.origin == "notice"


@pytest.fixture
def safe(ctx: Context) -> Context:
    """The installation after its only token key was marked as compromised and another added."""
    (old,) = ctx.keyring.tokens
    return replace(ctx, tokens=Tokens([TokenKey(old.id, old.secret, compromised=True), TokenKey("t2", b"2" * 32)]))


def subscribed(ctx: Context, world: World, state: str = "granted") -> tuple[int, bytes]:
    """(contact, ref of a mail they got)."""
    topic, text = world.topic()
    person = world.person("alice@example.org")
    world.grant(person, topic, text, state=state)
    return person.id, letter(ctx, world, person.id, topic)


def facts_of(ctx: Context) -> dict[str, str]:
    """What the only notice says."""
    with ctx.db.reading() as conn:
        row = conn.execute(select(message).where(NOTICES)).one()
        return dict(ContactKeys(ctx.keyring, conn).facts(row.contact, row.body_box)["facts"])


@pytest.mark.parametrize("purpose", [Purpose.STOP, Purpose.WHY])
def test_the_owner_is_mailed_a_stop_link_for_the_same_mail_that_works(
    ctx: Context, safe: Context, world: World, purpose: Purpose
) -> None:
    contact, ref = subscribed(ctx, world)
    mail_fresh_link(safe, link(ctx, purpose, ref))
    facts = facts_of(ctx)
    assert facts["topic"] == "Garden tips"
    start, _, token = facts["url"].rpartition("/")
    assert start == f"{ctx.settings.public_url}/stop"
    assert safe.tokens.read(Purpose.STOP, token, world.now).ref == ref
    assert state_of(ctx) == "granted"
    assert count(ctx, consent_event) == 0
    withdraw(safe, token, "one-click", Client())
    assert state_of(ctx) == "withdrawn"
    with ctx.db.reading() as conn:
        assert conn.execute(select(message.c.contact).where(NOTICES)).scalar_one() == contact


def test_a_mail_that_belongs_to_nothing_has_its_link_renewed_while_its_reader_gets_mail(
    ctx: Context, safe: Context, world: World
) -> None:
    contact, _ = subscribed(ctx, world)
    of_nothing = letter(ctx, world, contact, None, origin="notice")
    mail_fresh_link(safe, link(ctx, Purpose.STOP, of_nothing))
    with ctx.db.reading() as conn:
        notice = conn.execute(select(message).where(NOTICES, message.c.ref != of_nothing)).one()
        facts = ContactKeys(ctx.keyring, conn).facts(contact, notice.body_box)["facts"]
    assert facts["topic"] == ""
    withdraw(safe, facts["url"].rpartition("/")[2], "one-click", Client())
    assert state_of(ctx) == "withdrawn"
    mail_fresh_link(safe, link(ctx, Purpose.STOP, of_nothing))
    assert count(ctx, message, NOTICES) == 2


def test_it_is_logged_without_address_or_token(ctx: Context, safe: Context, world: World) -> None:
    _, ref = subscribed(ctx, world)
    token = link(ctx, Purpose.STOP, ref)
    mail_fresh_link(safe, token)
    with ctx.db.reading() as conn:
        entry = conn.execute(select(audit_entry).where(audit_entry.c.kind == "link.renewed")).one()
        notice = conn.execute(select(message.c.ref).where(NOTICES)).scalar_one()
    assert (entry.actor, entry.message) == ("visitor", notice)
    assert ref.hex() in entry.body
    assert "alice" not in entry.body
    assert token not in entry.body


def test_presses_while_one_is_on_its_way_are_one_mail(ctx: Context, safe: Context, world: World) -> None:
    _, ref = subscribed(ctx, world)
    for purpose in (Purpose.STOP, Purpose.WHY, Purpose.STOP):
        mail_fresh_link(safe, link(ctx, purpose, ref))
    assert count(ctx, message, NOTICES) == 1
    assert count(ctx, mail_budget) == 1


def test_a_mailbox_gets_three_in_a_day_confirmations_counted(ctx: Context, safe: Context, world: World) -> None:
    _, ref = subscribed(ctx, world)
    asked(ctx, "alice@example.org")
    token = link(ctx, Purpose.STOP, ref)

    def press() -> int:
        mail_fresh_link(safe, token)
        with ctx.db.transaction() as conn:
            conn.execute(update(message).where(NOTICES).values(state="sent"))
        return count(ctx, message, NOTICES)

    assert [press() for _ in range(4)] == [1, 2, 2, 2]
    move_clock(ctx, 86_401)
    assert press() == 3


@pytest.mark.parametrize("state", ["none", "pending", "withdrawn", "expired"])
def test_somebody_who_gets_no_mail_is_not_written_to(ctx: Context, safe: Context, world: World, state: str) -> None:
    _, ref = subscribed(ctx, world, state)
    mail_fresh_link(safe, link(ctx, Purpose.STOP, ref))
    assert count(ctx, message, NOTICES) == 0
    assert count(ctx, mail_budget) == 0


def test_who_stopped_that_topic_but_gets_another_can_still_stop_everything(
    ctx: Context, safe: Context, world: World
) -> None:
    _, ref = subscribed(ctx, world, "withdrawn")
    topic, text = world.topic()
    world.grant(world.person("alice@example.org"), topic, text, state="paused")
    mail_fresh_link(safe, link(ctx, Purpose.STOP, ref))
    assert count(ctx, message, NOTICES) == 1


def test_a_forged_ref_finds_nobody_and_says_nothing(ctx: Context, safe: Context, world: World) -> None:
    subscribed(ctx, world)
    mail_fresh_link(safe, link(ctx, Purpose.STOP, b"f" * 16))
    assert count(ctx, message, NOTICES) == 0


def test_a_link_that_is_still_trusted_needs_no_fresh_one(ctx: Context, safe: Context, world: World) -> None:
    _, ref = subscribed(ctx, world)
    mail_fresh_link(safe, link(safe, Purpose.STOP, ref))
    assert count(ctx, message, NOTICES) == 0


@pytest.mark.parametrize("purpose", [Purpose.CONFIRM, Purpose.UNDO, Purpose.SET_UP, Purpose.STAFF_PASSWORD])
def test_links_of_other_kinds_bring_nothing(ctx: Context, safe: Context, world: World, purpose: Purpose) -> None:
    _, ref = subscribed(ctx, world)
    for token in (link(ctx, purpose, ref), "t1.nothing", ""):
        with pytest.raises(TokenError):
            mail_fresh_link(safe, token)
    assert count(ctx, message, NOTICES) == 0


def test_the_leaked_link_itself_never_acts(ctx: Context, safe: Context, world: World) -> None:
    _, ref = subscribed(ctx, world)
    with pytest.raises(TokenCompromisedError):
        withdraw(safe, link(ctx, Purpose.STOP, ref), "one-click", Client())
    assert state_of(ctx) == "granted"
