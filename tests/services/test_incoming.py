"""What came in for a member: who sees it, what accepting and refusing do, and that one link is used once."""

import json

import pytest
from sqlalchemy import select, update

from outreach.domain.errors import NotFoundError, TokenError
from outreach.services import connections, incoming
from outreach.services.context import Context
from outreach.services.findings import Findings
from outreach.services.incoming import CannotAcceptError, Fault
from outreach.services.verify_invitations import check_invitations
from outreach.store.schema.campaigns import message
from outreach.store.schema.members import connection, member
from outreach.store.schema.people import contact_key
from tests.factories import MadeMember, World
from tests.services.connecting import NOTE, connected, entries, everything, handed, link_of, mailed, requested, row_of
from tests.services.people import count, move_clock

ALICE, BOB = "alice@inviters.example", "bob@recipients.example"
DAY_SECONDS = 86_400


@pytest.fixture
def alice(world: World) -> MadeMember:
    return world.member(ALICE, "Alice Berg")


@pytest.fixture
def bob(world: World) -> MadeMember:
    return world.member(BOB, "Bob Lind")


@pytest.fixture
def outsider(world: World) -> MadeMember:
    return world.member("carol@outside.example", "Carol")


def yes(
    ctx: Context, who: MadeMember, ref: bytes, *, name: bool = False, address: bool = False, hand: str = ""
) -> bytes:
    return incoming.accept(ctx, who.actor, ref, show_name=name, show_address=address, hand_token=hand)


def change_member(ctx: Context, who: MadeMember, **values: object) -> None:
    with ctx.db.transaction() as conn:
        conn.execute(update(member).where(member.c.id == who.id).values(values))


def notices(ctx: Context) -> list[int]:
    """Whom notices wait for."""
    with ctx.db.reading() as conn:
        return list(conn.execute(select(message.c.contact).where(message.c.origin == "notice")).scalars())


@pytest.mark.parametrize(
    ("state", "is_seen"),
    [
        ("waiting", False),
        ("planned", False),
        ("attempted", False),
        ("withheld", False),
        ("failed", False),
        ("sent", True),
        ("unknown", True),
    ],
)
def test_an_invitation_is_seen_once_its_mail_went_out(
    ctx: Context, alice: MadeMember, bob: MadeMember, state: str, is_seen: bool
) -> None:
    ref = mailed(ctx, alice, bob.person, state=state)
    assert [one.ref for one in incoming.list_incoming(ctx, bob.actor)] == ([ref] if is_seen else [])
    if not is_seen:
        before = everything(ctx)
        for act in (incoming.see_incoming, incoming.refuse):
            with pytest.raises(NotFoundError):
                act(ctx, bob.actor, ref)
        with pytest.raises(NotFoundError):
            yes(ctx, bob, ref)
        assert everything(ctx) == before


def test_the_page_tells_who_what_and_how(ctx: Context, alice: MadeMember, bob: MadeMember) -> None:
    one = incoming.see_incoming(ctx, bob.actor, mailed(ctx, alice, bob.person))
    assert (one.kind, one.way, one.name, one.note) == ("invitation", "mail", "Alice Berg", NOTE)
    assert (one.my_name, one.my_masked, one.relationship) == ("Bob Lind", "b•••@r•••.example", "friend")
    assert ALICE not in repr(one)
    assert BOB not in repr(one)


def test_another_address_of_the_same_mailbox_answers_too(
    ctx: Context, world: World, alice: MadeMember, bob: MadeMember
) -> None:
    tagged = world.person("bob+garden@recipients.example")
    ref = mailed(ctx, alice, tagged)
    yes(ctx, bob, ref)
    assert row_of(ctx, ref).contact == bob.person.id
    assert count(ctx, contact_key, contact_key.c.contact == tagged.id) == 0  # nobody needs it any more


def test_to_anybody_else_there_is_no_invitation(
    ctx: Context, alice: MadeMember, bob: MadeMember, outsider: MadeMember, world: World
) -> None:
    by_hand, _ = handed(ctx, alice)
    refs = [mailed(ctx, alice, bob.person), by_hand, requested(ctx, alice, world.person())]
    before = everything(ctx)
    for who in (outsider, bob):
        for ref in refs[1:] if who is bob else refs:
            for act in (incoming.see_incoming, incoming.refuse):
                with pytest.raises(NotFoundError):
                    act(ctx, who.actor, ref)
            with pytest.raises(NotFoundError):
                yes(ctx, who, ref, name=True, address=True)
    assert incoming.list_incoming(ctx, outsider.actor) == []
    assert everything(ctx) == before


@pytest.mark.parametrize(("name", "address"), [(False, False), (True, False), (False, True), (True, True)])
def test_accepting_shows_what_was_chosen_and_no_more(
    ctx: Context, alice: MadeMember, bob: MadeMember, name: bool, address: bool
) -> None:
    made = yes(ctx, bob, mailed(ctx, alice, bob.person), name=name, address=address)
    seen = connections.see_connection(ctx, alice.actor, made).theirs
    assert (seen.name, seen.address) == ("Bob Lind" if name else "", BOB if address else "")
    assert connections.see_connection(ctx, bob.actor, made).theirs.name == "Alice Berg"
    assert connections.see_connection(ctx, bob.actor, made).theirs.address == ""


def test_accepting_forgets_the_note_and_the_label(ctx: Context, alice: MadeMember, bob: MadeMember) -> None:
    ref = mailed(ctx, alice, bob.person)
    made = yes(ctx, bob, ref)
    row = row_of(ctx, ref)
    assert (row.answer, row.note_box, row.label_box) == ("accepted", None, None)
    assert incoming.list_incoming(ctx, bob.actor) == []
    assert incoming.see_incoming(ctx, bob.actor, ref).connection == made


def test_accepting_twice_is_accepting_once(ctx: Context, alice: MadeMember, bob: MadeMember) -> None:
    ref = mailed(ctx, alice, bob.person)
    made = yes(ctx, bob, ref)
    before = everything(ctx)
    assert yes(ctx, bob, ref, name=True, address=True) == made
    assert everything(ctx) == before
    (answered,) = entries(ctx, "invitation.answered")
    assert json.loads(answered.body) == {"answer": "accepted", "invitation": ref.hex(), "way": "mail"}
    assert answered.contact == bob.person.ref


def test_refusing_tells_nobody_and_lasts(ctx: Context, alice: MadeMember, bob: MadeMember) -> None:
    change_member(ctx, alice, notify=1)
    ref = mailed(ctx, alice, bob.person)
    for _ in range(2):
        incoming.refuse(ctx, bob.actor, ref)
    assert row_of(ctx, ref).answer == "declined"
    assert notices(ctx) == []
    assert incoming.list_incoming(ctx, bob.actor) == []
    with pytest.raises(NotFoundError):
        yes(ctx, bob, ref)


def test_what_was_accepted_is_not_refused(ctx: Context, alice: MadeMember, bob: MadeMember) -> None:
    ref = mailed(ctx, alice, bob.person)
    yes(ctx, bob, ref)
    with pytest.raises(CannotAcceptError):
        incoming.refuse(ctx, bob.actor, ref)
    assert row_of(ctx, ref).answer == "accepted"


def test_past_its_time_nothing_is_left_to_answer(ctx: Context, alice: MadeMember, bob: MadeMember) -> None:
    by_mail = mailed(ctx, alice, bob.person)
    by_hand, token = handed(ctx, alice)
    move_clock(ctx, 31 * DAY_SECONDS)
    assert incoming.list_incoming(ctx, bob.actor, hand_token=token) == []
    for ref, hand in ((by_mail, ""), (by_hand, token)):
        with pytest.raises((NotFoundError, CannotAcceptError)):
            yes(ctx, bob, ref, hand=hand)
        with pytest.raises((NotFoundError, CannotAcceptError)):
            incoming.refuse(ctx, bob.actor, ref, hand_token=hand)
    assert count(ctx, connection) == 0


@pytest.mark.parametrize("gone", [{"suspended": 1, "suspended_for": "officer"}, {"closed": 1}])
def test_nobody_connects_with_an_inviter_who_was_stopped(
    ctx: Context, alice: MadeMember, bob: MadeMember, gone: dict[str, object]
) -> None:
    ref = mailed(ctx, alice, bob.person)
    change_member(ctx, alice, **gone)
    with pytest.raises(CannotAcceptError) as refused:
        yes(ctx, bob, ref)
    assert refused.value.fault == Fault.STOPPED
    assert row_of(ctx, ref).answer is None


def test_the_inviter_is_told_by_mail_only_if_they_asked_to_be(
    ctx: Context, alice: MadeMember, bob: MadeMember, world: World
) -> None:
    yes(ctx, bob, mailed(ctx, alice, bob.person))
    assert notices(ctx) == []
    change_member(ctx, alice, notify=1)
    other = world.member()
    yes(ctx, other, mailed(ctx, alice, other.person), address=True)
    assert notices(ctx) == [alice.person.id]


def test_nothing_about_a_muted_connection_reaches_its_inviter(ctx: Context, alice: MadeMember, bob: MadeMember) -> None:
    change_member(ctx, alice, notify=1)
    connections.mute(ctx, alice.actor, connected(ctx, bob, alice.person))
    yes(ctx, bob, mailed(ctx, alice, bob.person))
    assert notices(ctx) == []


def test_a_link_that_was_handed_over_needs_its_token(ctx: Context, alice: MadeMember, bob: MadeMember) -> None:
    ref, token = handed(ctx, alice)
    _, other = handed(ctx, alice)
    before = everything(ctx)
    assert incoming.claim_hand(ctx, bob.actor, token) == ref
    assert [one.ref for one in incoming.list_incoming(ctx, bob.actor, hand_token=token)] == [ref]
    assert incoming.see_incoming(ctx, bob.actor, ref, hand_token=token).note == NOTE
    assert incoming.list_incoming(ctx, bob.actor) == []
    for wrong in ("", "nonsense", other, link_of(ctx, ref)):
        with pytest.raises(NotFoundError):
            incoming.see_incoming(ctx, bob.actor, ref, hand_token=wrong)
        with pytest.raises(NotFoundError):
            yes(ctx, bob, ref, hand=wrong)
    with pytest.raises(TokenError):
        incoming.claim_hand(ctx, bob.actor, link_of(ctx, ref))
    assert everything(ctx) == before


def test_the_first_who_accepts_a_handed_link_closes_it(
    ctx: Context, alice: MadeMember, bob: MadeMember, outsider: MadeMember
) -> None:
    ref, token = handed(ctx, alice)
    made = yes(ctx, bob, ref, hand=token)
    assert row_of(ctx, ref).mailbox == bob.person.mailbox
    assert yes(ctx, bob, ref, hand=token) == made
    assert incoming.claim_hand(ctx, bob.actor, token) == ref
    for act in (
        lambda: yes(ctx, outsider, ref, hand=token),
        lambda: incoming.refuse(ctx, outsider.actor, ref, hand_token=token),
        lambda: incoming.claim_hand(ctx, outsider.actor, token),
    ):
        with pytest.raises(CannotAcceptError) as refused:
            act()
        assert refused.value.fault == Fault.OVER
    assert count(ctx, connection) == 1


def test_a_handed_link_that_somebody_declined_is_closed(
    ctx: Context, alice: MadeMember, bob: MadeMember, outsider: MadeMember
) -> None:
    ref, token = handed(ctx, alice)
    incoming.refuse(ctx, bob.actor, ref, hand_token=token)
    assert row_of(ctx, ref).answer == "declined"
    with pytest.raises(CannotAcceptError):
        yes(ctx, outsider, ref, hand=token)


def test_nobody_answers_their_own(ctx: Context, alice: MadeMember) -> None:
    ref, token = handed(ctx, alice)
    before = everything(ctx)
    for act in (
        lambda: yes(ctx, alice, ref, hand=token),
        lambda: incoming.see_incoming(ctx, alice.actor, ref, hand_token=token),
        lambda: incoming.refuse(ctx, alice.actor, ref, hand_token=token),
        lambda: incoming.claim_hand(ctx, alice.actor, token),
    ):
        with pytest.raises(CannotAcceptError) as refused:
            act()
        assert refused.value.fault == Fault.OWN
    assert incoming.list_incoming(ctx, alice.actor, hand_token=token) == []
    assert everything(ctx) == before


@pytest.mark.parametrize("state", ["open", "declined", "accepted"])
def test_a_handed_link_does_not_show_its_inviter_whom_they_wrote_to(
    ctx: Context, alice: MadeMember, bob: MadeMember, state: str
) -> None:
    older = mailed(ctx, alice, bob.person)
    if state == "declined":
        incoming.refuse(ctx, bob.actor, older)
    first = yes(ctx, bob, older) if state == "accepted" else None
    before = row_of(ctx, older)
    ref, token = handed(ctx, alice)
    made = yes(ctx, bob, ref, hand=token)
    assert row_of(ctx, older) == before
    row = row_of(ctx, ref)
    assert (row.answer, row.mailbox, row.contact, row.note_box) == ("accepted", None, bob.person.id, None)
    assert first in {None, made}
    assert yes(ctx, bob, ref, hand=token) == made
    assert incoming.see_incoming(ctx, bob.actor, ref).connection == made
    assert count(ctx, connection) == 1
    told = entries(ctx, "invitation.answered", "invitation.cancelled")[-1]
    assert json.loads(told.body) == {"answer": "accepted", "invitation": ref.hex(), "way": "hand"}


def test_who_asked_by_a_link_and_accepts_a_handed_one_is_connected_once(
    ctx: Context, alice: MadeMember, bob: MadeMember
) -> None:
    older = requested(ctx, alice, bob.person)
    before = row_of(ctx, older)
    ref, token = handed(ctx, alice)
    made = yes(ctx, bob, ref, hand=token)
    assert row_of(ctx, older) == before
    assert row_of(ctx, ref).mailbox == bob.person.mailbox
    assert yes(ctx, alice, older) == made
    assert count(ctx, connection) == 1


def test_a_pair_that_ended_connects_again_by_a_new_link(ctx: Context, alice: MadeMember, bob: MadeMember) -> None:
    first = yes(ctx, bob, mailed(ctx, alice, bob.person))
    connections.end(ctx, alice.actor, first)
    ref, token = handed(ctx, alice)
    assert yes(ctx, bob, ref, hand=token) != first
    assert count(ctx, connection) == 2


def test_a_request_shows_where_it_came_from_and_nothing_of_whom(ctx: Context, alice: MadeMember, world: World) -> None:
    visitor = world.person("visitor@nowhere.example", name="Vera")
    ref = requested(ctx, alice, visitor)
    (one,) = incoming.list_incoming(ctx, alice.actor)
    assert (one.ref, one.kind, one.name, one.label) == (ref, "request", "", "On my card")
    assert "visitor" not in repr(one)
    assert "v•••" not in repr(one)
    assert "Vera" not in repr(one)


def test_accepting_a_request_connects_and_tells_its_asker_once(ctx: Context, alice: MadeMember, world: World) -> None:
    visitor = world.person("visitor@nowhere.example")
    ref = requested(ctx, alice, visitor)
    made = yes(ctx, alice, ref, address=True)
    assert yes(ctx, alice, ref) == made
    assert notices(ctx) == [visitor.id]
    assert row_of(ctx, ref).settlement == "accepted"
    view = connections.see_connection(ctx, alice.actor, made)
    assert view.theirs == connections.Side()
    assert view.mine.shows == {"name", "address"}
    _, settled = entries(ctx, "invitation.answered")
    assert (settled.contact, json.loads(settled.body)["settlement"]) == (visitor.ref, "accepted")


def test_refusing_a_request_tells_nobody_and_erases_a_stranger(ctx: Context, alice: MadeMember, world: World) -> None:
    visitor = world.person("visitor@nowhere.example")
    ref = requested(ctx, alice, visitor)
    for _ in range(2):
        incoming.refuse(ctx, alice.actor, ref)
    assert notices(ctx) == []
    assert row_of(ctx, ref).settlement == "refused"
    assert count(ctx, contact_key, contact_key.c.contact == visitor.id) == 0
    assert incoming.list_incoming(ctx, alice.actor) == []
    with pytest.raises(CannotAcceptError):
        yes(ctx, alice, ref)


def test_who_asked_sees_the_connection_in_their_account(ctx: Context, alice: MadeMember, world: World) -> None:
    tagged = world.person("dora+links@readers.example")
    ref = requested(ctx, alice, tagged)
    dora = world.member("dora@readers.example", "Dora")
    made = yes(ctx, alice, ref)
    view = connections.see_connection(ctx, dora.actor, made)
    assert (view.theirs.name, view.way, view.is_mine) == ("Alice Berg", "link", False)
    assert notices(ctx) == [dora.person.id]


def test_who_asked_cannot_settle_their_own_request(ctx: Context, alice: MadeMember, bob: MadeMember) -> None:
    ref = requested(ctx, alice, bob.person)
    with pytest.raises(NotFoundError):
        yes(ctx, bob, ref)
    assert row_of(ctx, ref).settlement is None


def test_the_log_replays_to_what_the_table_says(
    ctx: Context, alice: MadeMember, bob: MadeMember, outsider: MadeMember, world: World
) -> None:
    yes(ctx, bob, mailed(ctx, alice, bob.person), name=True)
    incoming.refuse(ctx, outsider.actor, mailed(ctx, alice, outsider.person))
    for older in (bob, outsider):
        ref, token = handed(ctx, alice)
        yes(ctx, older, ref, hand=token)
    yes(ctx, alice, requested(ctx, alice, world.person()))
    incoming.refuse(ctx, alice.actor, requested(ctx, alice, world.person()))
    asker = world.member()
    requested(ctx, alice, asker.person)
    ref, token = handed(ctx, alice)
    yes(ctx, asker, ref, hand=token)
    findings = Findings()
    with ctx.db.reading() as conn:
        assert check_invitations(conn, findings) == 8
    assert findings.found == []
