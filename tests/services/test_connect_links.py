"""Connect links as their owner has them: named, limited, counted by confirmed requests alone, and switched off."""

import json
import secrets
from typing import Any

import pytest
from sqlalchemy import insert, select, update

from outreach.domain.actors import VISITOR
from outreach.domain.errors import ConflictError, InvalidInputError, NotAllowedError, NotFoundError
from outreach.domain.invitation import Report
from outreach.domain.plain_words import PlainWordsError
from outreach.domain.tokens import Purpose
from outreach.services.answers import report
from outreach.services.connect import process_connects
from outreach.services.connect_links import MOST_LIVE, close_link, list_links, make_link, see_link, view_link
from outreach.services.context import Context
from outreach.store import invitations
from outreach.store.schema.audit import audit_entry
from outreach.store.schema.members import connect_link, invitation, member
from tests.factories import DAY, MadeMember, World
from tests.services.asking import ask
from tests.services.people import count, hand_off_everything, link, move_clock


def asked_through(ctx: Context, owner: MadeMember, ref: bytes, *, answer: str | None) -> None:
    """Somebody's ask through a link, in whatever state."""
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        through = conn.execute(select(connect_link.c.id).where(connect_link.c.ref == ref)).scalar_one()
        values: dict[str, Any] = {
            "ref": secrets.token_bytes(16),
            "member": owner.id,
            "way": "link",
            "link": through,
            "locale": "en",
            "asked": now,
            "expires": now + 7 * DAY,
            "answer": answer,
            "answered": now if answer else None,
        }
        conn.execute(insert(invitation).values(values))


def entries(ctx: Context, kind: str) -> list[Any]:
    with ctx.db.reading() as conn:
        return list(conn.execute(select(audit_entry).where(audit_entry.c.kind == kind)).all())


def test_a_link_has_its_owners_label_which_nobody_else_can_read(ctx: Context, world: World) -> None:
    alice = world.member(name="Alice Berg")
    ref = make_link(ctx, alice.actor, label="  My   blog ")
    seen = see_link(ctx, alice.actor, ref)
    assert (seen.label, seen.state, seen.is_live, seen.asked) == ("My blog", "open", True, 0)
    assert seen.url == f"{ctx.settings.public_url}/connect/{ref.hex()}"
    assert seen.badge_url == f"{ctx.settings.public_url}/badge/{ref.hex()}"
    assert list_links(ctx, alice.actor) == [seen]
    with ctx.db.reading() as conn:
        assert b"blog" not in conn.execute(select(connect_link.c.label_box)).scalar_one()
    (entry,) = entries(ctx, "connect-link.made")
    assert (entry.actor, entry.contact) == (alice.actor.name, alice.person.ref)
    assert json.loads(entry.body) == {"link": ref.hex(), "most": None, "days": None}


def test_anybody_sees_whose_it_is_and_no_more(ctx: Context, world: World) -> None:
    alice = world.member(name="Alice Berg")
    ref = make_link(ctx, alice.actor, label="My blog")
    shown = view_link(ctx, ref)
    assert (shown.owner, shown.is_live, shown.url) == ("Alice Berg", True, see_link(ctx, alice.actor, ref).url)
    assert "blog" not in repr(shown)


@pytest.mark.parametrize("label", ["", "see www.example.org", "x" * 61, "write to a@b.example", "<b>"])
def test_a_label_is_plain_words(ctx: Context, world: World, label: str) -> None:
    with pytest.raises(PlainWordsError) as caught:
        make_link(ctx, world.member().actor, label=label)
    assert caught.value.field == "label"
    assert count(ctx, connect_link) == 0


@pytest.mark.parametrize(("field", "value"), [("most", 0), ("most", 1_001), ("days", 0), ("days", 366)])
def test_limits_are_numbers_that_make_sense(ctx: Context, world: World, field: str, value: int) -> None:
    limits: dict[str, int | None] = {"most": None, "days": None, field: value}
    with pytest.raises(InvalidInputError) as caught:
        make_link(ctx, world.member().actor, label="Blog", **limits)
    assert caught.value.field == field


def test_only_active_members_make_links(ctx: Context, world: World) -> None:
    alice = world.member()
    with pytest.raises(NotAllowedError):
        make_link(ctx, VISITOR, label="Blog")
    with ctx.db.transaction() as conn:
        conn.execute(update(member).values(suspended=1, suspended_for="officer"))
    with pytest.raises(NotAllowedError):
        make_link(ctx, alice.actor, label="Blog")
    assert count(ctx, connect_link) == 0


def test_twenty_links_may_be_on_and_one_switched_off_makes_room(ctx: Context, world: World) -> None:
    alice, bob = world.member(), world.member()
    refs = [make_link(ctx, alice.actor, label=f"Link {number}") for number in range(MOST_LIVE)]
    with pytest.raises(ConflictError):
        make_link(ctx, alice.actor, label="One too many")
    make_link(ctx, bob.actor, label="His own")
    close_link(ctx, alice.actor, refs[3])
    make_link(ctx, alice.actor, label="In its place")
    assert sum(link.is_live for link in list_links(ctx, alice.actor)) == MOST_LIVE


def test_switching_off_is_for_good_and_twice_is_once(ctx: Context, world: World) -> None:
    alice = world.member()
    ref = make_link(ctx, alice.actor, label="Blog")
    close_link(ctx, alice.actor, ref)
    close_link(ctx, alice.actor, ref)
    assert see_link(ctx, alice.actor, ref).state == "closed"
    assert not view_link(ctx, ref).is_live
    assert len(entries(ctx, "connect-link.closed")) == 1


def test_a_link_ends_with_its_days(ctx: Context, world: World) -> None:
    alice = world.member()
    ref = make_link(ctx, alice.actor, label="Fair", days=2)
    move_clock(ctx, 2 * 86_400 - 60)
    assert view_link(ctx, ref).is_live
    move_clock(ctx, 2 * 86_400 + 60)
    assert not view_link(ctx, ref).is_live
    assert see_link(ctx, alice.actor, ref).state == "ended"


def test_only_confirmed_requests_are_counted_and_use_a_link_up(ctx: Context, world: World) -> None:
    alice = world.member()
    ref = make_link(ctx, alice.actor, label="Fair", most=2)
    before = (see_link(ctx, alice.actor, ref), view_link(ctx, ref))
    for answer in (None, None, "declined", "never", "expired", "reported"):
        asked_through(ctx, alice, ref, answer=answer)
    assert (see_link(ctx, alice.actor, ref), view_link(ctx, ref)) == before
    asked_through(ctx, alice, ref, answer="accepted")
    assert (see_link(ctx, alice.actor, ref).asked, view_link(ctx, ref).is_live) == (1, True)
    asked_through(ctx, alice, ref, answer="accepted")
    assert see_link(ctx, alice.actor, ref).state == "full"
    assert not view_link(ctx, ref).is_live


@pytest.mark.parametrize("stopped", ["suspended", "closed"])
def test_switched_off_used_up_stopped_and_never_made_look_the_same(ctx: Context, world: World, stopped: str) -> None:
    alice, bob = world.member(), world.member()
    switched_off, stops = make_link(ctx, alice.actor, label="Blog"), make_link(ctx, bob.actor, label="Blog")
    close_link(ctx, alice.actor, switched_off)
    with ctx.db.transaction() as conn:
        conn.execute(update(member).where(member.c.id == bob.id).values({stopped: 1}))
    shown = {(view.is_live, view.owner) for view in (view_link(ctx, ref) for ref in (switched_off, stops, b"n" * 16))}
    assert shown == {(False, "")}


def test_nobody_sees_or_closes_anothers_link(ctx: Context, world: World) -> None:
    alice, bob = world.member(), world.member()
    ref = make_link(ctx, alice.actor, label="Blog")
    for act in (see_link, close_link):
        for wrong in (ref, b"n" * 16):
            with pytest.raises(NotFoundError):
                act(ctx, bob.actor, wrong)
    assert list_links(ctx, bob.actor) == []
    assert view_link(ctx, ref).is_live


def reported(ctx: Context, ref: bytes, address: str) -> None:
    """Somebody types this address at the link, and who reads its mail reports it."""
    ask(ctx, ref, address, network=f"{address}'s")
    process_connects(ctx)
    hand_off_everything(ctx)
    with ctx.db.reading() as conn:
        made = conn.execute(select(invitation.c.ref).order_by(invitation.c.id.desc()).limit(1)).scalar_one()
    for _ in range(2):
        report(ctx, link(ctx, Purpose.INVITATION, made), Report.UNWANTED)


def test_three_mailboxes_that_report_switch_a_link_off_and_nothing_of_it_is_their_owners_record(
    ctx: Context, world: World
) -> None:
    alice = world.member()
    ref, other = (make_link(ctx, alice.actor, label=label) for label in ("Blog", "Badge"))
    for number in range(2):
        reported(ctx, ref, f"stranger{number}@example.org")
        reported(ctx, other, f"other{number}@example.org")
    assert view_link(ctx, ref).is_live
    reported(ctx, ref, "stranger2@example.org")
    seen = see_link(ctx, alice.actor, ref)
    assert (seen.state, seen.is_reported, view_link(ctx, ref).is_live) == ("closed", True, False)
    assert view_link(ctx, other).is_live
    (entry,) = entries(ctx, "connect-link.closed")
    assert (entry.actor, entry.contact) == ("engine", alice.person.ref)
    assert json.loads(entry.body) == {"link": ref.hex(), "confirmed": 0, "why": "reports"}
    with ctx.db.reading() as conn:
        assert invitations.record_of(conn, alice.id, ctx.db.now(conn)).reported == 0
    close_link(ctx, alice.actor, ref)
    assert see_link(ctx, alice.actor, ref).is_reported and len(entries(ctx, "connect-link.closed")) == 1


def test_reports_more_than_thirty_days_apart_switch_nothing_off(ctx: Context, world: World) -> None:
    alice = world.member()
    ref = make_link(ctx, alice.actor, label="Blog")
    for number in range(5):
        move_clock(ctx, number * 16 * 86_400)
        reported(ctx, ref, f"stranger{number}@example.org")
    assert view_link(ctx, ref).is_live


def test_a_link_its_owner_switched_off_is_not_called_reported(ctx: Context, world: World) -> None:
    alice = world.member()
    ref = make_link(ctx, alice.actor, label="Blog")
    close_link(ctx, alice.actor, ref)
    assert not see_link(ctx, alice.actor, ref).is_reported
