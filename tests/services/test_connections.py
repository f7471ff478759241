"""What each side of a connection shows, takes back, mutes and ends."""

import json

import pytest
from sqlalchemy import select, update

from outreach.domain.errors import ConflictError, InvalidInputError, NotAllowedError, NotFoundError, TokenError
from outreach.domain.tokens import Purpose
from outreach.services import connections
from outreach.services.connections import ConnectionView
from outreach.services.context import Context
from outreach.services.incoming import accept
from outreach.store.schema.members import connection, member
from outreach.store.schema.people import contact_key
from tests.factories import MadeMember, World
from tests.services.connecting import (
    connected,
    entries,
    everything,
    handed,
    link_of,
    mailed,
    notice_link_of,
    requested,
)
from tests.services.people import count, move_clock

ALICE, BOB = "alice@inviters.example", "bob@recipients.example"


@pytest.fixture
def alice(world: World) -> MadeMember:
    return world.member(ALICE, "Alice Berg")


@pytest.fixture
def bob(world: World) -> MadeMember:
    return world.member(BOB, "Bob Lind")


@pytest.fixture
def outsider(world: World) -> MadeMember:
    return world.member("carol@outside.example", "Carol")


@pytest.fixture
def pair(ctx: Context, alice: MadeMember, bob: MadeMember) -> bytes:
    """Alice invited Bob, who accepted and shows nothing yet."""
    return connected(ctx, alice, bob.person)


def seen_by(ctx: Context, who: MadeMember, ref: bytes) -> ConnectionView:
    return connections.see_connection(ctx, who.actor, ref)


def test_from_the_start_only_the_inviters_name_shows(
    ctx: Context, alice: MadeMember, bob: MadeMember, pair: bytes
) -> None:
    by_bob, by_alice = seen_by(ctx, bob, pair), seen_by(ctx, alice, pair)
    assert (by_bob.theirs.name, by_bob.theirs.address) == ("Alice Berg", "")
    assert (by_alice.theirs.name, by_alice.theirs.address) == ("", "")
    assert (by_bob.mine.name, by_bob.mine.address) == ("", "")
    assert by_alice.mine.shows == {"name"}
    assert (by_alice.is_mine, by_bob.is_mine, by_bob.way) == (True, False, "hand")


def test_a_pair_that_is_connected_stays_one_connection(ctx: Context, alice: MadeMember, bob: MadeMember) -> None:
    first = connected(ctx, alice, bob.person)
    again = connected(ctx, bob, alice.person)
    assert first == again
    assert count(ctx, connection) == 1
    assert seen_by(ctx, alice, first).theirs.name == "Bob Lind"  # his own invitation named him
    assert len(entries(ctx, "connection.made")) == 2


def test_a_pair_can_connect_again_after_an_end(ctx: Context, alice: MadeMember, bob: MadeMember, pair: bytes) -> None:
    connections.end(ctx, bob.actor, pair)
    again = connected(ctx, bob, alice.person)
    assert again != pair
    assert [one.ref for one in connections.list_connections(ctx, alice.actor)] == [again, pair]


def test_showing_and_taking_back_count_at_once_and_leave_the_times(
    ctx: Context, alice: MadeMember, bob: MadeMember, pair: bytes
) -> None:
    connections.disclose(ctx, bob.actor, pair, "address")
    assert seen_by(ctx, alice, pair).theirs.address == BOB
    assert seen_by(ctx, bob, pair).mine.address == BOB
    move_clock(ctx, 60)
    connections.take_back(ctx, bob.actor, pair, "address")
    for who in (alice, bob):
        view = seen_by(ctx, who, pair)
        assert BOB not in repr(view)
        side = view.theirs if who is alice else view.mine
        (period,) = side.periods
        assert period.what == "address"
        assert period.until is not None
        assert period.until - period.since >= 60_000_000
    connections.disclose(ctx, bob.actor, pair, "address")
    assert [period.until is None for period in seen_by(ctx, alice, pair).theirs.periods] == [False, True]


def test_pressing_twice_is_pressing_once(ctx: Context, bob: MadeMember, pair: bytes) -> None:
    for _ in range(2):
        connections.disclose(ctx, bob.actor, pair, "name")
        connections.mute(ctx, bob.actor, pair)
    for _ in range(2):
        connections.take_back(ctx, bob.actor, pair, "name")
        connections.unmute(ctx, bob.actor, pair)
    for _ in range(2):
        connections.end(ctx, bob.actor, pair)
    kinds = ["disclosure.taken-back", "connection.muted", "connection.unmuted"]
    assert [entry.kind for entry in entries(ctx, *kinds)] == ["connection.muted", *kinds[::2]]
    assert len(entries(ctx, "disclosure.given")) == 2  # Alice's name from the start, Bob's now
    assert len(entries(ctx, "connection.ended")) == 2  # one for each of the two


def test_only_a_name_or_an_address_can_be_shown(ctx: Context, bob: MadeMember, pair: bytes) -> None:
    for act in (connections.disclose, connections.take_back):
        with pytest.raises(InvalidInputError):
            act(ctx, bob.actor, pair, "everything")


def test_after_the_end_neither_sees_anything_of_the_other(
    ctx: Context, alice: MadeMember, bob: MadeMember, pair: bytes
) -> None:
    connections.disclose(ctx, bob.actor, pair, "address")
    connections.end(ctx, bob.actor, pair)
    by_alice, by_bob = seen_by(ctx, alice, pair), seen_by(ctx, bob, pair)
    for view in (by_alice, by_bob):
        assert view.ended is not None
        assert view.theirs == connections.Side()
        assert (view.mine.name, view.mine.address) == ("", "")
        assert all(period.until == view.ended for period in view.mine.periods)
    assert (by_alice.ended_by_me, by_bob.ended_by_me) == (False, True)
    assert BOB not in repr(by_alice)
    assert "Bob" not in repr(by_alice)


@pytest.mark.parametrize("act", ["mute", "unmute"])
def test_nothing_changes_about_a_connection_that_ended(
    ctx: Context, alice: MadeMember, bob: MadeMember, pair: bytes, act: str
) -> None:
    connections.end(ctx, alice.actor, pair)
    before = everything(ctx)
    with pytest.raises(ConflictError):
        getattr(connections, act)(ctx, bob.actor, pair)
    for showing in (connections.disclose, connections.take_back):
        with pytest.raises(ConflictError):
            showing(ctx, bob.actor, pair, "name")
    assert everything(ctx) == before


def test_muted_ones_and_then_ended_ones_stand_at_the_end(ctx: Context, world: World, alice: MadeMember) -> None:
    refs = [connected(ctx, alice, world.member().person) for _ in range(4)]
    connections.end(ctx, alice.actor, refs[3])
    connections.mute(ctx, alice.actor, refs[2])
    listed = connections.list_connections(ctx, alice.actor)
    assert [one.ref for one in listed] == [refs[1], refs[0], refs[2], refs[3]]


def test_a_mute_is_known_to_nobody_else(ctx: Context, alice: MadeMember, bob: MadeMember, pair: bytes) -> None:
    before = seen_by(ctx, alice, pair)
    connections.mute(ctx, bob.actor, pair)
    assert seen_by(ctx, alice, pair) == before
    assert seen_by(ctx, bob, pair).muted is not None


def test_to_an_outsider_there_is_no_connection(ctx: Context, outsider: MadeMember, pair: bytes) -> None:
    before = everything(ctx)
    assert connections.list_connections(ctx, outsider.actor) == []
    for act in (connections.see_connection, connections.mute, connections.unmute, connections.end):
        with pytest.raises(NotFoundError):
            act(ctx, outsider.actor, pair)
    for showing in (connections.disclose, connections.take_back):
        with pytest.raises(NotFoundError):
            showing(ctx, outsider.actor, pair, "address")
    assert everything(ctx) == before


def test_a_closed_account_acts_no_more(ctx: Context, bob: MadeMember, pair: bytes) -> None:
    with ctx.db.transaction() as conn:
        conn.execute(update(member).where(member.c.id == bob.id).values(closed=1))
    with pytest.raises(NotAllowedError):
        connections.see_connection(ctx, bob.actor, pair)


def test_who_leaves_ends_all_their_connections(
    ctx: Context, alice: MadeMember, bob: MadeMember, outsider: MadeMember, pair: bytes
) -> None:
    other = connected(ctx, outsider, alice.person)
    kept = connected(ctx, outsider, bob.person)
    with ctx.db.transaction() as conn:
        assert connections.end_all(conn, ctx, ctx.db.now(conn), alice.person.id, alice.actor) == 2
    assert seen_by(ctx, bob, pair).ended is not None
    assert seen_by(ctx, outsider, other).ended is not None
    assert seen_by(ctx, bob, kept).ended is None
    assert {json.loads(entry.body)["why"] for entry in entries(ctx, "connection.ended")} == {"account closed"}


def test_an_erased_persons_side_is_empty_and_says_so(
    ctx: Context, alice: MadeMember, bob: MadeMember, pair: bytes
) -> None:
    connections.disclose(ctx, bob.actor, pair, "address")
    with ctx.db.transaction() as conn:
        conn.execute(contact_key.delete().where(contact_key.c.contact == bob.person.id))
    view = seen_by(ctx, alice, pair)
    assert view.is_erased
    assert (view.theirs.name, view.theirs.address) == ("", "")


def test_who_came_by_a_connect_link_shows_nothing_and_ends_it_by_their_mail(
    ctx: Context, world: World, alice: MadeMember
) -> None:
    visitor = world.person("visitor@nowhere.example")
    asked = requested(ctx, alice, visitor)
    ref = accept(ctx, alice.actor, asked, show_name=False, show_address=False)
    token = notice_link_of(ctx, asked)
    before = everything(ctx)
    view = connections.view_end(ctx, token)
    assert (view.is_live, view.name) == (True, "Alice Berg")
    assert everything(ctx) == before
    assert seen_by(ctx, alice, ref).theirs == connections.Side()
    for _ in range(2):
        done = connections.end_by_link(ctx, token)
        assert (done.is_live, done.name) == (False, "")
        assert done.ended is not None
    after = seen_by(ctx, alice, ref)
    assert after.ended is not None
    assert not after.ended_by_me
    assert len(entries(ctx, "connection.ended")) == 2


def test_the_mails_link_ends_the_pairs_connection_whichever_way_it_came(
    ctx: Context, alice: MadeMember, bob: MadeMember
) -> None:
    asked = requested(ctx, alice, bob.person)
    ref = connected(ctx, bob, alice.person)
    assert accept(ctx, alice.actor, asked, show_name=False, show_address=False) == ref
    connections.end_by_link(ctx, notice_link_of(ctx, asked))
    assert seen_by(ctx, bob, ref).ended_by_me


@pytest.mark.parametrize("way", ["hand", "mail", "link"])
def test_only_the_mail_that_told_of_a_connection_ends_it(
    ctx: Context, alice: MadeMember, bob: MadeMember, way: str
) -> None:
    """The link in any other mail can be in strange hands: it tells nothing, and ends nothing."""
    ref, token = handed(ctx, alice) if way == "hand" else (b"", "")
    if way == "hand":
        made = accept(ctx, bob.actor, ref, show_name=False, show_address=False, hand_token=token)
    elif way == "mail":
        ref = mailed(ctx, alice, bob.person)
        made = accept(ctx, bob.actor, ref, show_name=False, show_address=False)
    else:
        ref = requested(ctx, alice, bob.person)
        of_the_question = link_of(ctx, ref)
        made = accept(ctx, alice.actor, ref, show_name=False, show_address=False)
        with pytest.raises(NotFoundError):
            connections.view_end(ctx, of_the_question)
    before = everything(ctx)
    for act in (connections.view_end, connections.end_by_link):
        with pytest.raises(NotFoundError):
            act(ctx, link_of(ctx, ref))
    assert everything(ctx) == before
    assert seen_by(ctx, bob, made).ended is None


def test_a_link_without_a_connection_ends_nothing(ctx: Context, world: World, alice: MadeMember) -> None:
    asked = requested(ctx, alice, world.person())
    before = everything(ctx)
    with pytest.raises(NotFoundError):
        connections.end_by_link(ctx, link_of(ctx, asked))
    assert everything(ctx) == before


def test_a_link_for_something_else_ends_nothing(ctx: Context, alice: MadeMember, bob: MadeMember, pair: bytes) -> None:
    ref, token = handed(ctx, alice)
    with ctx.db.reading() as conn:
        connects = ctx.tokens.issue(Purpose.CONNECT, ref, ctx.db.now(conn))
    for wrong in (token, connects, "nonsense"):
        with pytest.raises(TokenError):
            connections.end_by_link(ctx, wrong)
    assert seen_by(ctx, bob, pair).ended is None


def test_entries_hold_refs_alone(ctx: Context, alice: MadeMember, bob: MadeMember, pair: bytes) -> None:
    connections.disclose(ctx, bob.actor, pair, "address")
    connections.mute(ctx, bob.actor, pair)
    connections.take_back(ctx, bob.actor, pair, "address")
    connections.end(ctx, alice.actor, pair)
    kinds = ("connection.made", "connection.ended", "connection.muted", "disclosure.given", "disclosure.taken-back")
    found = entries(ctx, *kinds)
    assert {entry.kind for entry in found} == set(kinds)
    for entry in found:
        assert "Alice" not in entry.body
        assert "Bob" not in entry.body
        assert "@" not in entry.body
        assert json.loads(entry.body)["connection"] == pair.hex()
    with ctx.db.reading() as conn:
        assert conn.execute(select(connection.c.ended_by)).scalar_one() == alice.person.id
