"""Account, connections, invitations and conversations go along to another address for who has read both mailboxes, and
stay for everybody else; two accounts stay two; what is at the old address afterwards opens nothing.
"""

import json
from typing import Any

import pytest
from sqlalchemy import select

from outreach.domain.errors import ConflictError, InvalidInputError
from outreach.mail.inbound.incoming import Attachment
from outreach.services import connect_links, connections, incoming, invite
from outreach.services.appeals import see_standing, write_appeal
from outreach.services.connections import list_connections
from outreach.services.context import Context
from outreach.services.conversations.answering import answer
from outreach.services.join import choose, process_member_requests, see_choice, submit_start
from outreach.services.leave import close_account
from outreach.services.members import edit_account, see_account, sign_in_member
from outreach.services.relaying import passing
from outreach.services.rights.erasure import erase_due
from outreach.services.rights.results import gather
from outreach.services.rights.room import ask as ask_right
from outreach.services.room.carrying import process_moves
from outreach.services.room.conversations import see_talks
from outreach.services.room.invitations import see_people
from outreach.services.room.moving import Move, ask_move, keep, say_yes, see_moves, stop_here
from outreach.services.seal import seal
from outreach.services.sessions import MEMBERS, Session, begin_session, open_session
from outreach.services.verify import verify
from outreach.store import address_moves, members, relaying
from outreach.store import connections as connection_rows
from outreach.store.boxes import ContactKeys
from outreach.store.contacts import Person
from outreach.store.schema.audit import audit_entry
from outreach.store.schema.campaigns import message
from outreach.store.schema.people import contact_key
from outreach.store.schema.relaying import relayed
from tests.factories import MadeMember, World
from tests.services.at_once import at_once
from tests.services.connecting import connected, entries, mailed, requested, row_of
from tests.services.conversations.writing import opened, replies, said, worker, writes
from tests.services.owning import agreed, fresh_link, held, later
from tests.services.people import ALICE, count, hand_off_everything, letter
from tests.services.room.test_moving import CLIENT, DAYS, NEW, asks, find, notice, outcome, question
from tests.services.staffing import CLIENT as BROWSER
from tests.services.staffing import PASSWORD
from tests.services.test_members import last_token

BOB = "bob@recipients.example"


@pytest.fixture
def alice(ctx: Context, world: World) -> MadeMember:
    """A member who also agreed to a topic."""
    world.topic()
    made = world.member(ALICE, "Alice Berg", password=PASSWORD)
    agreed(ctx)
    return made


@pytest.fixture
def bob(world: World) -> MadeMember:
    return world.member(BOB, "Bob Lind", password=PASSWORD)


def last_move(ctx: Context, person: Person) -> Move:
    return see_moves(ctx, fresh_link(ctx, person)).moves[0]


def goes(ctx: Context, person: Person, address: str = NEW, *, with_code: bool = True) -> Person:
    """The whole way to another address. Returns the person there."""
    asks(ctx, person, address)
    say_yes(ctx, question(ctx), CLIENT, code=last_move(ctx, person).code if with_code else "")
    return arrives(ctx, address)


def arrives(ctx: Context, address: str = NEW) -> Person:
    """The days pass."""
    hand_off_everything(ctx)
    later(ctx, 3 * DAYS + 1)
    process_moves(ctx)
    found = find(ctx, address)
    assert found is not None
    return found


def signs_in(ctx: Context, address: str) -> bool:
    try:
        sign_in_member(ctx, address=address, password=PASSWORD, client=BROWSER)
    except InvalidInputError:
        return False
    return True


def signed_in(ctx: Context, who: MadeMember) -> Session:
    with ctx.db.transaction() as conn:
        token = begin_session(ctx, conn, ctx.db.now(conn), who.id, BROWSER, MEMBERS)
    session = open_session(ctx, token)
    assert session is not None
    return session


def wrote(ctx: Context, connection: bytes, writer: Person, words: str) -> bytes:
    """A mail of theirs through the relay that waits for its reader. Returns its ref."""
    with ctx.db.transaction() as conn:
        now, keys = ctx.db.now(conn), ContactKeys(ctx.keyring, conn)
        row = connection_rows.by_ref(conn, connection)
        assert row is not None
        address = relaying.to_write_to(conn, row.id, writer.id)
        assert address is not None
        box = keys.seal(writer.id, {"text": words})
        values = {"received": now, "octets": 9, "state": "waiting", "until": now + 1, "words_box": box}
        values |= {"origin_box": keys.seal(writer.id, "1@x")}
        made = relaying.add(conn, address=address.id, writer=writer.id, **values)
        return bytes(made.ref)


def faults(ctx: Context) -> list[str]:
    """What log and tables do not agree about, but for mails, which these tests hand off without entries."""
    seal(ctx, 1)
    return [one.what for one in verify(ctx).findings if not one.what.startswith("message ")]


def everything_of(ctx: Context, person: Person) -> dict[str, Any]:
    with ctx.db.reading() as conn:
        return gather(conn, ContactKeys(ctx.keyring, conn), person, "access", ctx.db.now(conn))


def test_the_account_opens_at_the_new_address_and_nowhere_else(ctx: Context, alice: MadeMember) -> None:
    ref = connect_links.make_link(ctx, alice.actor, label="On my card")
    edit_account(ctx, alice.actor, name="Alice Berg", locale="en", timezone="UTC", notify=True)
    session = signed_in(ctx, alice)
    goes(ctx, alice.person)
    assert (signs_in(ctx, NEW), signs_in(ctx, ALICE)) == (True, False)
    with ctx.db.reading() as conn:
        assert members.by_contact(conn, alice.person.id) is None
    account = see_account(ctx, alice.actor)
    assert (account.name, account.address, account.notify) == ("Alice Berg", NEW, True)
    assert connect_links.see_link(ctx, alice.actor, ref).label == "On my card"
    assert session.owner_id == alice.id
    (told, _) = entries(ctx, "member.moved")
    assert json.loads(told.body)["sessions"] == 1  # the new address signed in after that
    assert see_people(ctx, fresh_link(ctx, held(ctx, NEW))).is_member
    assert not see_people(ctx, fresh_link(ctx, held(ctx))).is_member


def test_without_the_code_only_consents_go(ctx: Context, world: World, alice: MadeMember, bob: MadeMember) -> None:
    connected(ctx, bob, alice.person)
    writes(ctx, alice.person, "Hello")
    new = goes(ctx, alice.person, with_code=False)
    assert (signs_in(ctx, NEW), signs_in(ctx, ALICE)) == (False, True)
    room = fresh_link(ctx, new)
    assert (see_talks(ctx, room).conversations, see_people(ctx, room).connected) == ((), 0)
    assert len(see_talks(ctx, fresh_link(ctx, held(ctx))).conversations) == 1
    assert len(list_connections(ctx, alice.actor)) == 1
    assert entries(ctx, "member.moved", "connection.moved", "conversation.moved") == []
    assert see_moves(ctx, fresh_link(ctx, held(ctx))).can_ask  # with the code, this time


def test_a_stranger_at_the_new_address_guesses_no_code_and_learns_nothing(ctx: Context, alice: MadeMember) -> None:
    asks(ctx, alice.person)
    code = last_move(ctx, alice.person).code
    for wrong in ("aaaa-aaaa", code[:-1], "0", code + "2"):
        with pytest.raises(InvalidInputError) as caught:
            say_yes(ctx, question(ctx), CLIENT, code=wrong)
        assert caught.value.field == "code"
    assert last_move(ctx, alice.person).state == "asked"
    with ctx.db.reading() as conn:
        assert all(code.replace("-", "") not in (row.body or "") for row in conn.execute(select(audit_entry)))
    say_yes(ctx, question(ctx), CLIENT, code=f" {code.upper()} ")
    assert last_move(ctx, alice.person).is_whole
    assert last_move(ctx, alice.person).code == ""


def test_the_code_is_shown_in_the_old_room_alone(ctx: Context, world: World, alice: MadeMember) -> None:
    new = world.person(NEW)
    asks(ctx, alice.person)
    assert last_move(ctx, alice.person).code
    assert last_move(ctx, new).code == ""
    world.grant(world.person("carol@outside.example"), 1, 1)
    carol = held(ctx, "carol@outside.example")
    asks(ctx, carol, "carol@new.example")
    assert last_move(ctx, carol).code == ""  # nothing but consents is there


@pytest.mark.parametrize("by", ["the mail", "the room"])
def test_an_objection_within_three_days_keeps_everything(
    ctx: Context, alice: MadeMember, bob: MadeMember, by: str
) -> None:
    connected(ctx, bob, alice.person)
    writes(ctx, alice.person, "Hello")
    asks(ctx, alice.person)
    say_yes(ctx, question(ctx), CLIENT, code=last_move(ctx, alice.person).code)
    later(ctx, 2 * DAYS)
    if by == "the mail":
        keep(ctx, notice(ctx, alice.person))
    else:
        stop_here(ctx, fresh_link(ctx, alice.person))
    later(ctx, 4 * DAYS)
    process_moves(ctx)
    assert (outcome(ctx), signs_in(ctx, ALICE), find(ctx)) == ("stopped", True, None)
    assert len(list_connections(ctx, alice.actor)) == 1
    assert len(see_talks(ctx, fresh_link(ctx, alice.person)).conversations) == 1


def test_connections_go_with_what_is_muted_and_shown_but_the_new_address_is_shown_to_nobody(
    ctx: Context, alice: MadeMember, bob: MadeMember
) -> None:
    shows = {alice.person.id: frozenset({"name", "address"}), bob.person.id: frozenset[str]()}
    ref = connected(ctx, bob, alice.person, shows)
    connections.mute(ctx, alice.actor, ref)
    waits = wrote(ctx, ref, bob.person, "from Bob")
    mine = wrote(ctx, ref, alice.person, "from Alice")
    before = relay_of(ctx, ref, alice.person)
    new = goes(ctx, alice.person)
    (view,) = list_connections(ctx, alice.actor)
    assert (view.ref, view.mine.name, view.mine.address) == (ref, "Alice Berg", "")
    assert view.muted is not None
    (seen,) = list_connections(ctx, bob.actor)
    assert (seen.theirs.name, seen.theirs.address, seen.is_erased) == ("Alice Berg", "", False)
    assert relay_of(ctx, ref, new) == before
    with ctx.db.reading() as conn:
        assert (passing.at_the_door(conn, ctx.db.now(conn), before), passing.sender_of(conn, before)) == (
            None,
            bob.person.id,
        )
        rows = {row.ref: row for row in conn.execute(select(relayed))}
        keys = ContactKeys(ctx.keyring, conn)
        assert (rows[mine].writer, rows[waits].writer) == (new.id, bob.person.id)
        assert keys.facts(new.id, rows[mine].words_box) == {"text": "from Alice"}
        assert keys.text(new.id, rows[mine].origin_box) == "1@x"
    named = {entry.contact for entry in entries(ctx, "connection.moved", "disclosure.taken-back")}
    assert named == {alice.person.ref, new.ref}  # nothing tells Bob


def relay_of(ctx: Context, ref: bytes, reader: Person) -> str:
    with ctx.db.reading() as conn:
        row = connection_rows.by_ref(conn, ref)
        assert row is not None
        return relaying.reached_at(conn, row.id, reader.id)


def test_a_connection_that_ended_goes_as_what_was_and_opens_nothing(
    ctx: Context, alice: MadeMember, bob: MadeMember
) -> None:
    ref = connected(ctx, bob, alice.person)
    local_part = relay_of(ctx, ref, alice.person)
    connections.end(ctx, alice.actor, ref)
    new = goes(ctx, alice.person)
    (view,) = list_connections(ctx, alice.actor)
    assert view.ended is not None
    assert view.ended_by_me
    with ctx.db.reading() as conn:
        refused = passing.at_the_door(conn, ctx.db.now(conn), local_part)
    assert refused is not None
    assert "ended" in refused
    assert see_people(ctx, fresh_link(ctx, new)).connected == 0
    assert entries(ctx, "connection.moved") == []


def test_who_is_connected_with_both_addresses_stays_connected_once(
    ctx: Context, world: World, alice: MadeMember, bob: MadeMember
) -> None:
    new = world.person(NEW)
    first = connected(ctx, bob, alice.person)
    twice = connected(ctx, bob, new)
    each_other = connected(ctx, alice, new)
    goes(ctx, alice.person)
    views = {view.ref: view for view in list_connections(ctx, alice.actor)}
    assert views[first].ended is None
    assert views[twice].ended is not None
    assert each_other not in views or views[each_other].ended is not None
    assert [view.ref for view in list_connections(ctx, bob.actor) if view.ended is None] == [first]


def test_two_accounts_stay_two_and_both_rooms_say_so(
    ctx: Context, world: World, alice: MadeMember, bob: MadeMember
) -> None:
    other = world.member(NEW, "Alice at work", password=PASSWORD)
    connected(ctx, bob, alice.person)
    carol = world.member("carol@outside.example", "Carol")
    asked_to = mailed(ctx, carol, alice.person)
    writes(ctx, alice.person, "Hello")
    goes(ctx, alice.person)
    assert (signs_in(ctx, NEW), signs_in(ctx, ALICE)) == (True, True)
    assert (see_account(ctx, other.actor).name, see_account(ctx, alice.actor).address) == ("Alice at work", ALICE)
    assert [len(list_connections(ctx, one.actor)) for one in (alice, other)] == [1, 0]
    assert last_move(ctx, alice.person).account_stays
    assert last_move(ctx, other.person).account_stays
    assert len(see_talks(ctx, fresh_link(ctx, other.person)).conversations) == 1
    assert [one.ref for one in incoming.list_incoming(ctx, alice.actor)] == [asked_to]
    assert incoming.list_incoming(ctx, other.actor) == []
    assert len(entries(ctx, "member.kept")) == 2


def test_where_an_account_was_closed_at_the_new_address_both_stay_as_well(
    ctx: Context, world: World, alice: MadeMember
) -> None:
    world.grant(world.person(NEW), 1, 1)
    other = world.member(NEW, "Alice at work", password=PASSWORD)
    close_account(ctx, signed_in(ctx, other), PASSWORD)
    goes(ctx, alice.person)
    assert (signs_in(ctx, NEW), signs_in(ctx, ALICE)) == (False, True)
    assert last_move(ctx, alice.person).account_stays


def test_a_closed_account_stays_closed_and_conversations_go(ctx: Context, alice: MadeMember) -> None:
    writes(ctx, alice.person, "Hello")
    close_account(ctx, signed_in(ctx, alice), PASSWORD)
    new = goes(ctx, alice.person)
    assert (signs_in(ctx, NEW), signs_in(ctx, ALICE)) == (False, False)
    assert len(see_talks(ctx, fresh_link(ctx, new)).conversations) == 1
    assert not last_move(ctx, alice.person).account_stays


def test_a_pause_by_an_officer_goes_along(ctx: Context, world: World, alice: MadeMember) -> None:
    with ctx.db.transaction() as conn:
        members.change(conn, alice.id, suspended=world.now, suspended_for="reports")
    write_appeal(ctx, alice.actor, "It was somebody else.")
    goes(ctx, alice.person)
    assert see_account(ctx, alice.actor).suspended == world.now
    assert [one.words for one in see_standing(ctx, alice.actor).appeals] == ["It was somebody else."]
    submit_start(ctx, address=ALICE, network="192.0.2.0/24", locale="en")  # and none is made anew at the old address
    process_member_requests(ctx)
    with pytest.raises(ConflictError):
        choose(ctx, last_token(ctx), name="Alice Berg", password=PASSWORD, client=BROWSER)


def test_a_link_to_choose_a_password_that_was_on_its_way_opens_nothing(ctx: Context, alice: MadeMember) -> None:
    asks(ctx, alice.person)
    say_yes(ctx, question(ctx), CLIENT, code=last_move(ctx, alice.person).code)
    hand_off_everything(ctx)
    later(ctx, 3 * DAYS + 1)
    submit_start(ctx, address=ALICE, network="192.0.2.0/24", locale="en")
    process_member_requests(ctx)
    hand_off_everything(ctx)
    token = last_token(ctx)
    see_choice(ctx, token)
    process_moves(ctx)
    with pytest.raises(Exception, match="used, or is past its time"):
        choose(ctx, token, name="", password="four brown otters", client=BROWSER)
    assert signs_in(ctx, NEW)


def test_conversations_show_in_the_new_room_and_answers_go_there(ctx: Context, world: World, alice: MadeMember) -> None:
    robin = worker(world)
    ref = writes(ctx, alice.person, "Where are my seeds?")
    seen = opened(ctx, robin, ref).seen
    sent = answer(ctx, robin, ref, "On their way.", seen=seen)
    hand_off_everything(ctx)
    new = goes(ctx, alice.person)
    (talk,) = see_talks(ctx, fresh_link(ctx, new)).conversations
    assert [post.text for post in talk.posts] == ["Where are my seeds?", "On their way."]
    assert see_talks(ctx, fresh_link(ctx, alice.person)).conversations == ()
    assert replies(ctx, alice.person, sent, said("Thank you!", from_address=NEW)) == ref
    (talk,) = see_talks(ctx, fresh_link(ctx, new)).conversations
    assert (talk.posts[-1].text, talk.posts[-1].is_foreign) == ("Thank you!", False)
    answer(ctx, robin, ref, "Welcome.", seen=opened(ctx, robin, ref).seen)
    assert count_mails(ctx, new) == 1
    assert {entry.contact for entry in entries(ctx, "conversation.moved")} == {alice.person.ref, new.ref}


def test_files_go_along_with_what_they_came_with(ctx: Context, world: World, alice: MadeMember) -> None:
    mail = letter(ctx, world, alice.person.id, 1)
    read = said("Look at this.", attachments=(Attachment("roses.txt", "text/plain", b"red"),))
    ref = replies(ctx, alice.person, mail, read)
    new = goes(ctx, alice.person)
    (talk,) = see_talks(ctx, fresh_link(ctx, new)).conversations
    assert (talk.ref, talk.posts[0].files) == (ref, ("roses.txt",))


def count_mails(ctx: Context, person: Person) -> int:
    return count(ctx, message, message.c.contact == person.id, message.c.origin == "reply")


def test_an_invitation_to_answer_is_answered_at_the_new_address(
    ctx: Context, alice: MadeMember, bob: MadeMember
) -> None:
    ref = mailed(ctx, bob, alice.person)
    new = goes(ctx, alice.person)
    assert [one.ref for one in incoming.list_incoming(ctx, alice.actor)] == [ref]
    assert len(see_people(ctx, fresh_link(ctx, new)).received) == 1
    assert see_people(ctx, fresh_link(ctx, alice.person)).received == ()
    made = incoming.accept(ctx, alice.actor, ref, show_name=True, show_address=False)
    assert [one.ref for one in list_connections(ctx, bob.actor)] == [made]
    assert row_of(ctx, ref).mailbox == alice.person.mailbox  # once invited there, never again
    assert len(entries(ctx, "invitation.moved")) == 2


def test_a_request_of_theirs_that_waits_connects_the_new_address(
    ctx: Context, alice: MadeMember, bob: MadeMember
) -> None:
    ref = requested(ctx, bob, alice.person)
    new = goes(ctx, alice.person)
    incoming.accept(ctx, bob.actor, ref, show_name=False, show_address=False)
    assert len(list_connections(ctx, alice.actor)) == 1
    assert see_people(ctx, fresh_link(ctx, new)).connected == 1


def test_what_they_made_stays_theirs_to_read(ctx: Context, alice: MadeMember, bob: MadeMember) -> None:
    mailed(ctx, alice, bob.person)
    goes(ctx, alice.person)
    (sent,) = invite.list_sent(ctx, alice.actor)
    assert sent.note
    assert [one.name for one in incoming.list_incoming(ctx, bob.actor)] == ["Alice Berg"]


def test_there_and_back_again(ctx: Context, alice: MadeMember, bob: MadeMember) -> None:
    ref = connected(ctx, bob, alice.person)
    writes(ctx, alice.person, "Hello")
    new = goes(ctx, alice.person)
    back = goes(ctx, new, ALICE)
    assert back.id == alice.person.id
    assert (signs_in(ctx, NEW), signs_in(ctx, ALICE)) == (False, True)
    assert [one.ref for one in list_connections(ctx, alice.actor)] == [ref]
    assert len(see_talks(ctx, fresh_link(ctx, back)).conversations) == 1
    with ctx.db.reading() as conn:
        assert (address_moves.left(conn, back.id), address_moves.left(conn, new.id)) == (False, True)


def test_who_agreed_to_nothing_goes_along_too_and_leaves_nothing_behind(
    ctx: Context, world: World, bob: MadeMember
) -> None:
    carol = world.member("carol@old.example", "Carol", password=PASSWORD)
    ref = connected(ctx, bob, carol.person)
    asks(ctx, carol.person)
    with pytest.raises(InvalidInputError):
        say_yes(ctx, question(ctx), CLIENT)
    say_yes(ctx, question(ctx), CLIENT, code=last_move(ctx, carol.person).code)
    arrives(ctx)
    assert signs_in(ctx, NEW)
    assert [one.ref for one in list_connections(ctx, carol.actor)] == [ref]
    assert count(ctx, contact_key, contact_key.c.contact == carol.person.id) == 0
    assert find(ctx, "carol@old.example") is None


def test_the_owner_of_an_address_that_only_mail_went_to_has_an_account_of_their_own(
    ctx: Context, world: World, alice: MadeMember, bob: MadeMember
) -> None:
    """By a slip of the keyboard a stranger got somebody's mail; the two are not taken for one person."""
    ref = mailed(ctx, bob, alice.person)
    stranger = goes(ctx, alice.person, with_code=False)
    assert see_people(ctx, fresh_link(ctx, stranger)).received == ()
    submit_start(ctx, address=NEW, network="192.0.2.0/24", locale="en")
    process_member_requests(ctx)
    hand_off_everything(ctx)
    choose(ctx, last_token(ctx), name="Nobody Else", password=PASSWORD, client=BROWSER)
    with ctx.db.reading() as conn:
        made = members.by_contact(conn, stranger.id)
    assert made is not None
    assert made.id != alice.id
    assert signs_in(ctx, ALICE)
    assert [one.ref for one in incoming.list_incoming(ctx, alice.actor)] == [ref]
    carol = world.member("carol@outside.example", "Carol")
    to_stranger = mailed(ctx, carol, held(ctx, NEW))
    assert to_stranger not in [one.ref for one in incoming.list_incoming(ctx, alice.actor)]


def test_the_log_holds_and_names_no_address_and_each_person_gets_what_is_theirs(
    ctx: Context, world: World, alice: MadeMember, bob: MadeMember
) -> None:
    connected(ctx, bob, alice.person)
    mailed(ctx, world.member("carol@outside.example", "Carol"), alice.person)
    writes(ctx, alice.person, "Hello")
    signed_in(ctx, alice)
    made_up = faults(ctx)
    before = everything_of(ctx, held(ctx))
    new = goes(ctx, alice.person)
    here, there = everything_of(ctx, new), everything_of(ctx, held(ctx))
    for kind in ("accounts", "connections", "conversations"):
        assert len(before[kind]) == len(here[kind]) == 1, kind
        assert there[kind] == [], kind
    assert here["accounts"][0]["sessions"][0]["from"] == {"browser": BROWSER.browser, "network": BROWSER.network}
    with ctx.db.reading() as conn:
        rows = conn.execute(select(audit_entry)).all()
    assert all("@" not in (row.body or "") for row in rows)
    moved = [json.loads(row.body) for row in rows if row.kind == "address.moved"]
    assert [(one["account"], one["connections"], one["conversations"]) for one in moved] == [("moved", 1, 1)] * 2
    assert faults(ctx) == made_up


def test_erasing_the_old_address_takes_nothing_of_the_new_one(ctx: Context, alice: MadeMember, bob: MadeMember) -> None:
    ref = connected(ctx, bob, alice.person)
    writes(ctx, alice.person, "Hello")
    new = goes(ctx, alice.person)
    ask_right(ctx, fresh_link(ctx, alice.person), "erasure")
    hand_off_everything(ctx)
    later(ctx, 2 * 3600)
    erase_due(ctx)
    assert count(ctx, contact_key, contact_key.c.contact == alice.person.id) == 0
    assert signs_in(ctx, NEW)
    assert [(one.ref, one.ended) for one in list_connections(ctx, alice.actor)] == [(ref, None)]
    (talk,) = see_talks(ctx, fresh_link(ctx, new)).conversations
    assert talk.posts[0].text == "Hello"


def test_who_asked_to_be_erased_meanwhile_goes_nowhere(ctx: Context, alice: MadeMember) -> None:
    asks(ctx, alice.person)
    say_yes(ctx, question(ctx), CLIENT, code=last_move(ctx, alice.person).code)
    hand_off_everything(ctx)
    later(ctx, 3 * DAYS + 1)
    ask_right(ctx, fresh_link(ctx, alice.person), "erasure")
    hand_off_everything(ctx)
    process_moves(ctx)
    assert outcome(ctx) == "lapsed"


def test_an_account_made_again_under_another_spelling_can_be_read(ctx: Context, alice: MadeMember) -> None:
    connect_links.make_link(ctx, alice.actor, label="On my card")
    close_account(ctx, signed_in(ctx, alice), PASSWORD)
    submit_start(ctx, address=ALICE.replace("@", "+again@"), network="192.0.2.0/24", locale="en")
    process_member_requests(ctx)
    choose(ctx, last_token(ctx), name="Alice", password=PASSWORD, client=BROWSER)
    (link,) = connect_links.list_links(ctx, alice.actor)
    assert link.label == "On my card"


def test_a_new_question_has_a_new_code(ctx: Context, alice: MadeMember) -> None:
    asks(ctx, alice.person)
    first = last_move(ctx, alice.person).code
    ask_move(ctx, fresh_link(ctx, alice.person), "other@new.example", CLIENT, "192.0.2.0/24")
    process_moves(ctx)
    hand_off_everything(ctx)
    assert last_move(ctx, alice.person).code != first
    with pytest.raises(InvalidInputError):
        say_yes(ctx, question(ctx), CLIENT, code=first)


def test_what_is_done_at_the_same_moment_can_be_read_afterwards(
    ctx: Context, alice: MadeMember, bob: MadeMember
) -> None:
    """Whatever comes first, each box opens with the key of whose account it is then, and nobody waits for ever."""
    ref = connected(ctx, bob, alice.person)
    asks(ctx, alice.person)
    say_yes(ctx, question(ctx), CLIENT, code=last_move(ctx, alice.person).code)
    hand_off_everything(ctx)
    later(ctx, 3 * DAYS + 1)
    results = at_once(
        lambda: process_moves(ctx),
        lambda: edit_account(ctx, alice.actor, name="Alice Lind", locale="en", timezone="UTC", notify=True),
        lambda: connect_links.make_link(ctx, alice.actor, label="On my card"),
        lambda: connections.disclose(ctx, alice.actor, ref, "name"),
        lambda: connections.mute(ctx, bob.actor, ref),
        lambda: signed_in(ctx, alice),
    )
    assert [one for one in results if isinstance(one, Exception) and not isinstance(one, ConflictError)] == []
    process_moves(ctx)
    later(ctx, 120)
    process_moves(ctx)
    account = see_account(ctx, alice.actor)
    assert (account.name, account.address) == ("Alice Lind", NEW)
    assert [link.label for link in connect_links.list_links(ctx, alice.actor)] == ["On my card"]
    assert [one.ref for one in list_connections(ctx, alice.actor)] == [ref]
    assert everything_of(ctx, held(ctx, NEW))["accounts"]
