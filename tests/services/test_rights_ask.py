"""Asking for a link to one's own data: only the mailbox learns whether anything is held (promise 8)."""

import pytest
from sqlalchemy import func, select

from outreach.domain.errors import InvalidInputError, TokenError, TokenExpiredError
from outreach.domain.tokens import Purpose
from outreach.services.context import Context
from outreach.services.rights.ask import process_rights_requests, renew, submit_ask
from outreach.services.rights.room import see_room
from outreach.store import consents, suppressions
from outreach.store.schema.audit import audit_entry
from outreach.store.schema.campaigns import message
from outreach.store.schema.consents import request
from outreach.store.schema.people import contact
from outreach.store.schema.rights import rights_link, rights_mail
from tests.factories import World
from tests.services.owning import asks_for_link, fresh_link, later, told
from tests.services.people import ALICE, count, hand_off_everything, move_clock

HALF_AN_HOUR = 1800


def entries(ctx: Context) -> int:
    return count(ctx, audit_entry)


def test_whoever_is_held_is_mailed_one_link(ctx: Context, world: World) -> None:
    person = world.person(ALICE)
    asks_for_link(ctx)
    assert told(ctx, person) == [("rights-link", "")]
    assert count(ctx, rights_link) == count(ctx, rights_mail) == 1


def test_nobody_is_made_or_mailed_for_an_address_that_is_not_held(ctx: Context, world: World) -> None:
    people = count(ctx, contact)
    asks_for_link(ctx)
    assert count(ctx, contact) == people
    assert count(ctx, message) == 0
    assert count(ctx, request, request.c.settled.is_(None)) == 0


def test_the_log_grows_alike_for_known_and_unknown_addresses(ctx: Context, world: World) -> None:
    world.person(ALICE)
    before = entries(ctx)
    asks_for_link(ctx, "nobody@example.org")
    unknown = entries(ctx) - before
    before = entries(ctx)
    asks_for_link(ctx, ALICE)
    handed_off = count(ctx, message, message.c.state == "planned")  # each will be told of in one entry
    assert entries(ctx) - before + handed_off == unknown


def test_the_door_writes_the_same_row_whoever_is_named(ctx: Context, world: World) -> None:
    world.person(ALICE)
    for address in (ALICE, "nobody@example.org"):
        submit_ask(ctx, address=address, network="192.0.2.0/24")
    with ctx.db.reading() as conn:
        rows = conn.execute(select(request.c.door, func.count()).group_by(request.c.door)).all()
    assert [tuple(row) for row in rows] == [("rights", 2)]
    with pytest.raises(InvalidInputError):
        submit_ask(ctx, address="no address", network="192.0.2.0/24")


def test_one_mailbox_gets_few_links_a_day(ctx: Context, world: World) -> None:
    person = world.person(ALICE)
    for _ in range(ctx.settings.confirmations_per_mailbox + 2):
        asks_for_link(ctx)
    assert len(told(ctx, person)) == ctx.settings.confirmations_per_mailbox


def test_over_its_network_s_budget_a_request_waits(ctx: Context, world: World) -> None:
    for number in range(ctx.settings.confirmations_per_network + 1):
        submit_ask(ctx, address=f"nobody{number}@example.org", network="192.0.2.0/24")
    process_rights_requests(ctx)
    assert count(ctx, request, request.c.settled.is_(None)) == 1


@pytest.mark.parametrize("kind", ["never", "complaint", "imported"])
def test_whoever_wants_no_mail_still_gets_a_link_but_not_more_than_one_a_week(
    ctx: Context, world: World, kind: str
) -> None:
    person = world.person(ALICE)
    _bar(ctx, person.id, kind)
    asks_for_link(ctx)
    asks_for_link(ctx)
    assert len(told(ctx, person)) == 1
    move_clock(ctx, 8 * 86_400)
    asks_for_link(ctx)
    assert len(told(ctx, person)) == 2


def test_nothing_goes_to_the_deceased(ctx: Context, world: World) -> None:
    person = world.person(ALICE)
    _bar(ctx, person.id, "deceased")
    asks_for_link(ctx)
    assert told(ctx, person) == []


def test_a_link_works_for_half_an_hour_and_its_owner_can_have_a_fresh_one(ctx: Context, world: World) -> None:
    person = world.person(ALICE)
    token = fresh_link(ctx, person)
    assert see_room(ctx, token).masked == "a•••@e•••.org"
    later(ctx, HALF_AN_HOUR)
    with pytest.raises(TokenExpiredError):
        see_room(ctx, token)
    renew(ctx, token)
    assert told(ctx, person) == [("rights-link", "")]


def test_a_link_of_another_purpose_opens_nothing_and_renews_nothing(ctx: Context, world: World) -> None:
    person = world.person(ALICE)
    for purpose in set(Purpose) - {Purpose.RIGHTS}:
        token = ctx.tokens.issue(purpose, person.ref, world.now)
        for act in (see_room, renew):
            with pytest.raises(TokenError):
                act(ctx, token)
    hand_off_everything(ctx)
    assert told(ctx, person) == []


def _bar(ctx: Context, person_id: int, kind: str) -> None:
    with ctx.db.transaction() as conn:
        key, _ = consents.bar_keys(conn, person_id)
        suppressions.put(conn, ctx.db.now(conn), [suppressions.Bar(key, "address", kind, "officer")])
