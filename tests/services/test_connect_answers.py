"""Behind the mail of a connect link: one press confirms, the owner gets a request without address, time ends it."""

import json
import re

import pytest
from sqlalchemy import select

from outreach.domain.errors import NotFoundError, TokenError, TokenExpiredError
from outreach.domain.tokens import Purpose, purpose_of
from outreach.services import connect, connections
from outreach.services.connect import (
    confirm_connect,
    decline_connect,
    process_connects,
    view_connect,
)
from outreach.services.connect_expiry import expire_requests
from outreach.services.connect_links import make_link, see_link
from outreach.services.context import Context
from outreach.services.expiry import expire
from outreach.services.incoming import accept, see_incoming
from outreach.store.schema.audit import audit_entry
from outreach.store.schema.campaigns import message
from outreach.store.schema.members import invitation
from outreach.store.schema.people import contact, contact_key
from tests.factories import World
from tests.pipeline.claiming import claim_due
from tests.services.asking import NOTICES, VICTIM, ask, asked, contact_of, letter, ref_of_request, stop
from tests.services.people import count, link, move_clock


def test_looking_changes_nothing_and_shows_whose_link_it_is(ctx: Context, world: World) -> None:
    alice = world.member(name="Alice Berg")
    token = asked(ctx, make_link(ctx, alice.actor, label="My blog"))
    view = view_connect(ctx, token)
    assert (view.owner, view.masked, view.answer, view.is_off) == ("Alice Berg", "v•••@e•••.org", "", False)
    assert "blog" not in repr(view)
    assert ctx.tokens.read(Purpose.INVITATION, view.refusal, view.asked).ref
    with ctx.db.reading() as conn:
        assert conn.execute(select(invitation.c.answer)).scalar_one() is None


def test_only_the_confirming_press_counts_and_twice_is_once(ctx: Context, world: World) -> None:
    alice = world.member()
    ref = make_link(ctx, alice.actor, label="Blog")
    token = asked(ctx, ref)
    first, again = confirm_connect(ctx, token), confirm_connect(ctx, token)
    assert (first.view.answer, first.is_again, again.is_again) == ("accepted", False, True)
    assert see_link(ctx, alice.actor, ref).asked == 1
    with ctx.db.reading() as conn:
        kinds = conn.execute(select(audit_entry.c.body).where(audit_entry.c.kind == "invitation.answered")).scalars()
        (body,) = [json.loads(one) for one in kinds]
    assert body["answer"] == "accepted"


def test_a_yes_within_seconds_of_the_mail_asks_one_human_step(ctx: Context, world: World) -> None:
    alice = world.member()
    ref = make_link(ctx, alice.actor, label="Blog")
    token = asked(ctx, ref, ago=2)
    assert confirm_connect(ctx, token).needs_step
    assert see_link(ctx, alice.actor, ref).asked == 0
    assert confirm_connect(ctx, token, is_human=True).view.answer == "accepted"


def test_no_erases_a_stranger_and_tells_nobody(ctx: Context, world: World) -> None:
    alice = world.member()
    stop(ctx, alice, notify=1)
    ref = make_link(ctx, alice.actor, label="Blog")
    token = asked(ctx, ref)
    decline_connect(ctx, token)
    decline_connect(ctx, token)
    assert view_connect(ctx, token).answer == "declined"
    assert contact_of(ctx) is None
    assert confirm_connect(ctx, token).view.answer == "declined"
    assert (see_link(ctx, alice.actor, ref).asked, count(ctx, message, NOTICES)) == (0, 0)


def test_a_yes_can_be_taken_back_while_the_owner_has_not_answered(ctx: Context, world: World) -> None:
    alice = world.member()
    ref = make_link(ctx, alice.actor, label="Blog")
    token = asked(ctx, ref)
    assert confirm_connect(ctx, token).view.waits
    decline_connect(ctx, token)
    assert (view_connect(ctx, token).answer, see_link(ctx, alice.actor, ref).asked) == ("declined", 0)
    assert contact_of(ctx) is None


def test_the_link_in_the_mail_works_for_seven_days(ctx: Context, world: World) -> None:
    token = asked(ctx, make_link(ctx, world.member().actor, label="Blog"))
    move_clock(ctx, 7 * 86_400 + 60)
    with pytest.raises(TokenExpiredError):
        view_connect(ctx, token)
    with pytest.raises(TokenExpiredError):
        confirm_connect(ctx, token)


@pytest.mark.parametrize("purpose", [Purpose.INVITATION, Purpose.CONFIRM, Purpose.HAND, Purpose.STOP])
def test_no_other_link_confirms(ctx: Context, world: World, purpose: Purpose) -> None:
    asked(ctx, make_link(ctx, world.member().actor, label="Blog"))
    with ctx.db.reading() as conn:
        ref = conn.execute(select(invitation.c.ref)).scalar_one()
    with pytest.raises(TokenError):
        confirm_connect(ctx, link(ctx, purpose, ref))


def test_a_link_for_one_lets_one_in_however_many_were_mailed(ctx: Context, world: World) -> None:
    alice = world.member()
    ref = make_link(ctx, alice.actor, label="Fair", most=1)
    first, second = asked(ctx, ref, "first@example.org"), asked(ctx, ref, "second@example.org")
    confirm_connect(ctx, first)
    late = confirm_connect(ctx, second)
    assert (late.view.answer, late.view.is_off) == ("", True)
    assert see_link(ctx, alice.actor, ref).asked == 1


def test_nobody_can_be_asked_for_an_owner_who_was_stopped(ctx: Context, world: World) -> None:
    alice = world.member()
    token = asked(ctx, make_link(ctx, alice.actor, label="Blog"))
    stop(ctx, alice)
    assert confirm_connect(ctx, token).view.is_off
    assert count(ctx, invitation, invitation.c.answer == "accepted") == 0


@pytest.mark.parametrize("notify", [0, 1])
def test_the_owner_is_mailed_about_a_request_only_if_they_want_it(ctx: Context, world: World, notify: int) -> None:
    alice = world.member()
    stop(ctx, alice, notify=notify)
    confirm_connect(ctx, asked(ctx, make_link(ctx, alice.actor, label="Blog")))
    assert count(ctx, message, NOTICES, message.c.contact == alice.person.id) == notify


def test_who_asked_is_told_once_that_the_owner_accepted(ctx: Context, world: World) -> None:
    alice = world.member(name="Alice Berg")
    confirm_connect(ctx, asked(ctx, make_link(ctx, alice.actor, label="Blog")))
    with ctx.db.transaction() as conn:
        row = conn.execute(select(invitation)).one()
        connect.tell_requester(conn, ctx, ctx.db.now(conn), row)
    with ctx.db.reading() as conn:
        notice = conn.execute(select(message).where(NOTICES)).one()
    assert (notice.contact, notice.invitation) == (row.contact, row.id)


def test_a_request_its_owner_leaves_is_refused_after_thirty_days_and_who_asked_is_erased(
    ctx: Context, world: World
) -> None:
    alice = world.member()
    ref = make_link(ctx, alice.actor, label="Blog")
    confirm_connect(ctx, asked(ctx, ref))
    move_clock(ctx, 29 * 86_400)
    expire(ctx)
    assert (expire_requests(ctx), contact_of(ctx) is None) == (0, False)
    move_clock(ctx, 31 * 86_400)
    assert (expire_requests(ctx), expire_requests(ctx)) == (1, 0)
    assert contact_of(ctx) is None
    assert count(ctx, invitation, invitation.c.settlement == "refused") == 1
    assert count(ctx, message, NOTICES) == 0
    with pytest.raises(NotFoundError):
        see_incoming(ctx, alice.actor, ref_of_request(ctx))


def test_an_accepted_request_does_not_expire(ctx: Context, world: World) -> None:
    alice = world.member()
    confirm_connect(ctx, asked(ctx, make_link(ctx, alice.actor, label="Blog")))
    accept(ctx, alice.actor, ref_of_request(ctx), show_name=False, show_address=False)
    move_clock(ctx, 31 * 86_400)
    assert expire_requests(ctx) == 0
    assert contact_of(ctx) is not None


def test_the_mail_asks_in_the_askers_language_and_holds_nothing_the_owner_wrote(ctx: Context, world: World) -> None:
    alice = world.member(name="Alice Berg")
    ask(ctx, make_link(ctx, alice.actor, label="My secret blog"))
    process_connects(ctx)
    subject, text = letter(ctx)
    assert subject == "Please confirm: ask Alice Berg to connect?"
    assert "typed this address at a connect link of Alice Berg" in text
    assert "secret" not in text
    assert VICTIM not in text
    links = {url.rpartition("/invitation/")[2] or url for url in re.findall(r"https?://\S+", text)}
    purposes = {purpose_of(part) for url in links for part in url.rstrip(">").split("/") if part.startswith("t1.")}
    assert purposes == {Purpose.CONNECT, Purpose.INVITATION, Purpose.WHY}


def test_an_owner_stopped_before_the_hand_off_sends_nothing(ctx: Context, world: World) -> None:
    alice = world.member()
    ask(ctx, make_link(ctx, alice.actor, label="Blog"))
    process_connects(ctx)
    stop(ctx, alice)
    assert claim_due(ctx, "bench").ids == []
    assert count(ctx, message, message.c.reason == "inviter_stopped") == 1


def test_the_mail_that_tells_of_a_yes_offers_an_account_and_an_end(ctx: Context, world: World) -> None:
    alice = world.member(name="Alice Berg")
    ref = make_link(ctx, alice.actor, label="Blog")
    confirm_connect(ctx, asked(ctx, ref))
    accept(ctx, alice.actor, ref_of_request(ctx), show_name=False, show_address=False)
    subject, text = letter(ctx)
    assert subject == "Alice Berg accepted: you are connected"
    assert f"{ctx.settings.public_url}/members/start" in text
    found = re.search(r"/connection/([^/\s]+)/end", text)
    assert found
    assert purpose_of(found[1]) == Purpose.INVITATION
    assert connections.view_end(ctx, found[1]).is_live


def test_nobody_is_told_once_who_asked_was_erased(ctx: Context, world: World) -> None:
    alice = world.member()
    decline_connect(ctx, asked(ctx, make_link(ctx, alice.actor, label="Blog")))
    with ctx.db.transaction() as conn:
        connect.tell_requester(conn, ctx, ctx.db.now(conn), conn.execute(select(invitation)).one())
    assert count(ctx, message, NOTICES) == 0
    assert count(ctx, contact_key) == count(ctx, contact) - 1
