"""Taking one's consents along to another address: nobody learns whose it is, nothing moves without its owner's yes, the
old address can stop it, and what was promised holds across both.
"""

from typing import Any

import pytest
from sqlalchemy import select

from outreach.domain import addresses
from outreach.domain.actors import OWNER
from outreach.domain.consent import Event
from outreach.domain.errors import ConflictError, InvalidInputError, NotFoundError, TokenError
from outreach.domain.frequency import Cap
from outreach.domain.tokens import Purpose
from outreach.services.confirm import Client
from outreach.services.consents import Change, apply_changes
from outreach.services.context import Context
from outreach.services.expiry import expire
from outreach.services.receipts.showing import view_receipt
from outreach.services.rights.erasure import erase_due
from outreach.services.rights.results import gather
from outreach.services.rights.room import ask as ask_right
from outreach.services.room.carrying import process_moves
from outreach.services.room.history import see_receipts
from outreach.services.room.moving import ask_move, keep, say_no, say_yes, see_moves, stop_here, view_keep, view_move
from outreach.services.room.pressing import Act, Press, press
from outreach.services.room.settings import set_total
from outreach.services.room.topics import see_room
from outreach.services.seal import seal
from outreach.services.verify import verify
from outreach.services.why import explain
from outreach.services.withdraw import undo, view_stop, withdraw
from outreach.store import consents, suppressions
from outreach.store.boxes import ContactKeys
from outreach.store.contacts import Person, find_by_address
from outreach.store.decide import load_rule
from outreach.store.planning import judge_messages
from outreach.store.schema.audit import audit_entry
from outreach.store.schema.campaigns import message
from outreach.store.schema.consents import confirmation, consent
from outreach.store.schema.room import address_move
from tests.factories import World
from tests.services.owning import agreed, fresh_link, held, later, told
from tests.services.people import ALICE, asked, count, hand_off_everything, letter, link, topic_ref

NEW = "alice@new.example"
CLIENT = Client(ip="192.0.2.7", browser="Firefox")
DAYS = 86_400
WEEK = 7 * DAYS


def find(ctx: Context, address: str = NEW) -> Person | None:
    with ctx.db.reading() as conn:
        return find_by_address(conn, ctx.keyring, addresses.parse(address))


def asks(ctx: Context, person: Person, address: str = NEW) -> None:
    """Ask for it in the room, let the engine look, and the mail leave."""
    ask_move(ctx, fresh_link(ctx, person), address, CLIENT, "192.0.2.0/24")
    process_moves(ctx)
    hand_off_everything(ctx)


def question(ctx: Context) -> str:
    """The token mailed to the new address last."""
    with ctx.db.reading() as conn:
        ref = conn.execute(select(confirmation.c.ref).order_by(confirmation.c.id.desc()).limit(1)).scalar_one()
        return ctx.tokens.issue(Purpose.MOVE, ref, ctx.db.now(conn))


def notice(ctx: Context, person: Person) -> str:
    """The token mailed to the old address last."""
    with ctx.db.reading() as conn:
        keys = ContactKeys(ctx.keyring, conn)
        query = select(message.c.body_box).where(message.c.contact == person.id, message.c.origin == "notice")
        box = conn.execute(query.order_by(message.c.id.desc()).limit(1)).scalar_one()
        return str(keys.facts(person.id, box)["facts"]["url"]).rpartition("/")[2]


def moves(ctx: Context, person: Person, address: str = NEW) -> Person:
    """The whole way. Returns the person at the new address."""
    asks(ctx, person, address)
    say_yes(ctx, question(ctx), CLIENT)
    hand_off_everything(ctx)
    later(ctx, 3 * DAYS + 1)
    process_moves(ctx)
    found = find(ctx, address)
    assert found is not None
    return found


def states(ctx: Context, person: Person) -> dict[int, str]:
    with ctx.db.reading() as conn:
        return {one.topic: one.state for one in consents.held(conn, [person.id])}


def bar(ctx: Context, person: Person, kind: str, lift: str = "officer") -> None:
    with ctx.db.transaction() as conn:
        key, _ = consents.bar_keys(conn, person.id)
        suppressions.put(conn, ctx.db.now(conn), [suppressions.Bar(key, "address", kind, lift)])


def outcome(ctx: Context) -> Any:
    with ctx.db.reading() as conn:
        query = select(address_move.c.outcome).order_by(address_move.c.id.desc()).limit(1)
        return conn.execute(query).scalar_one()


def test_consents_go_with_their_evidence_limits_and_pauses_and_the_old_address_keeps_a_note(
    ctx: Context, world: World
) -> None:
    made, _ = world.topic(cap_n=2)
    world.cap("total", 9, WEEK)
    old = agreed(ctx)
    token = fresh_link(ctx, old)
    press(ctx, token, {topic_ref(ctx)}, Press(Act.CAP, cap=Cap(1, WEEK)), CLIENT)
    set_total(ctx, token, Cap(2, WEEK))
    agreed_at = see_room(ctx, token).topics[0].agreed
    new = moves(ctx, old)
    assert (states(ctx, old), states(ctx, new)) == ({made: "withdrawn"}, {made: "granted"})
    room = see_room(ctx, fresh_link(ctx, new))
    assert (room.topics[0].own, room.total) == (Cap(1, WEEK), Cap(2, WEEK))
    with ctx.db.reading() as conn:
        event = consents.agreement(conn, new.id, made, before=ctx.db.now(conn))
        assert event is not None
        evidence = ContactKeys(ctx.keyring, conn).facts(new.id, event.evidence_box)
    assert evidence["before"]["at"] == agreed_at
    assert (evidence["ip"], evidence["asked"]["ip"]) == (CLIENT.ip, CLIENT.ip)
    assert evidence["token"]["purpose"] == "move"
    assert event.message_ref is not None
    assert ALICE not in str(evidence)
    _, receipts = see_receipts(ctx, fresh_link(ctx, new))
    assert view_receipt(ctx, receipts[-1].token).receipt.how == "double-opt-in"
    (note,) = see_moves(ctx, fresh_link(ctx, old)).moves
    assert (note.is_mine, note.state, note.other) == (True, "moved", "a•••@n•••.example")
    (arrived,) = see_moves(ctx, fresh_link(ctx, new)).moves
    assert (arrived.is_mine, arrived.other) == (False, "a•••@e•••.org")
    seal(ctx, 1)
    assert [one for one in verify(ctx).findings if "consent" in one.what] == []


def test_what_was_sent_to_the_old_address_counts_at_the_new_one(ctx: Context, world: World) -> None:
    made, _ = world.topic(cap_n=2, window=30 * DAYS)
    old = agreed(ctx)
    for _ in range(2):
        letter(ctx, world, old.id, made)
    new = moves(ctx, old)
    assert see_room(ctx, fresh_link(ctx, new)).topics[0].got == 2
    ref = letter(ctx, world, new.id, made, state="planned", counted=None, settled=None)
    with ctx.db.reading() as conn:
        now = ctx.db.now(conn)
        identity = conn.execute(select(message.c.id).where(message.c.ref == ref)).scalar_one()
        (verdict,) = judge_messages(conn, load_rule(conn, now), [identity], now)
    assert verdict.reason == "cap_promise"


def test_what_was_agreed_to_at_the_new_address_already_stays_as_it_is(ctx: Context, world: World) -> None:
    made, _ = world.topic(cap_n=2)
    other, other_text = world.topic(cap_n=2)
    old = agreed(ctx)
    world.grant(old, other, other_text, cap_n=2)
    known = world.person(NEW)
    later_text = world.text(made, version=2, cap_n=1)
    world.grant(known, made, later_text, cap_n=1)
    moves(ctx, old)
    room = see_room(ctx, fresh_link(ctx, known))
    assert {one.name: one.promise.n for one in room.topics} == {
        topic_ref(ctx, "topic-1").hex(): 1,
        topic_ref(ctx, "topic-2").hex(): 2,
    }
    assert set(states(ctx, old).values()) == {"withdrawn"}


def test_the_room_answers_alike_for_known_unknown_and_barred_addresses(ctx: Context, world: World) -> None:
    world.topic()
    old = agreed(ctx)
    bar(ctx, world.person("barred@new.example"), "never")
    world.person("known@new.example")
    shown, entries = [], []
    for address in ("known@new.example", "barred@new.example", "stranger@new.example"):
        before = count(ctx, audit_entry)
        asks(ctx, old, address)
        queued = count(ctx, message, message.c.origin == "confirmation", message.c.state == "sent")
        entries.append(count(ctx, audit_entry) - before)
        (one, *_) = see_moves(ctx, fresh_link(ctx, old)).moves
        shown.append((one.state, one.ended, one.is_mine))
        stop_here(ctx, fresh_link(ctx, old))
        assert queued
    assert shown[0] == shown[1] == shown[2] == ("asked", None, True)
    assert entries[0] + 1 == entries[1]  # the mail's own hand-off will be one entry more
    with ctx.db.reading() as conn:
        query = select(message.c.state, message.c.reason).where(message.c.reason.is_not(None))
        assert [tuple(row) for row in conn.execute(query)] == [("withheld", "never")]


def test_nothing_moves_without_a_yes_and_a_stranger_is_forgotten(ctx: Context, world: World) -> None:
    made, _ = world.topic()
    old = agreed(ctx)
    asks(ctx, old)
    assert find(ctx) is not None
    later(ctx, 8 * DAYS)
    expire(ctx)
    process_moves(ctx)
    assert find(ctx) is None
    assert (outcome(ctx), states(ctx, old)) == ("lapsed", {made: "granted"})


def test_a_no_at_the_new_address_ends_it_and_forgets_the_stranger(ctx: Context, world: World) -> None:
    made, _ = world.topic()
    old = agreed(ctx)
    asks(ctx, old)
    token = question(ctx)
    assert say_no(ctx, token).state == "declined"
    assert say_no(ctx, token).state == "declined"
    assert say_yes(ctx, token, CLIENT).state == "declined"
    assert find(ctx) is None
    later(ctx, 9 * DAYS)
    process_moves(ctx)
    assert states(ctx, old) == {made: "granted"}


def test_the_old_address_is_told_and_can_stop_it(ctx: Context, world: World) -> None:
    made, _ = world.topic()
    old = agreed(ctx)
    asks(ctx, old)
    assert [name for name, _ in told(ctx, old)] == []
    say_yes(ctx, question(ctx), CLIENT)
    assert [name for name, _ in told(ctx, old)] == ["address-leaves"]
    token = notice(ctx, old)
    assert (view_keep(ctx, token).state, view_keep(ctx, token).masked) == ("confirmed", "a•••@e•••.org")
    process_moves(ctx)
    assert states(ctx, old) == {made: "granted"}  # its days are not over
    assert keep(ctx, token).state == "stopped"
    later(ctx, 5 * DAYS)
    process_moves(ctx)
    assert (states(ctx, old), find(ctx)) == ({made: "granted"}, None)
    assert keep(ctx, token).state == "stopped"


def test_a_yes_at_the_mails_hand_off_is_asked_one_step_more(ctx: Context, world: World) -> None:
    world.topic()
    old = agreed(ctx)
    ask_move(ctx, fresh_link(ctx, old), NEW, CLIENT, "192.0.2.0/24")
    process_moves(ctx)
    hand_off_everything(ctx, ago=1)
    token = question(ctx)
    assert say_yes(ctx, token, CLIENT).needs_step
    assert view_move(ctx, token).state == "asked"
    assert say_yes(ctx, token, CLIENT, is_human=True).state == "confirmed"


def test_a_bar_that_comes_to_stand_at_the_new_address_holds(ctx: Context, world: World) -> None:
    made, _ = world.topic()
    old = agreed(ctx)
    asks(ctx, old)
    new = find(ctx)
    assert new is not None
    bar(ctx, new, "never")
    with pytest.raises(ConflictError):
        say_yes(ctx, question(ctx), CLIENT)
    assert states(ctx, old) == {made: "granted"}


def test_what_cannot_be_meant_is_refused(ctx: Context, world: World) -> None:
    world.topic()
    old = agreed(ctx)
    token = fresh_link(ctx, old)
    for wrong in ("alice", ALICE):
        with pytest.raises(InvalidInputError) as caught:
            ask_move(ctx, token, wrong, CLIENT, "192.0.2.0/24")
        assert caught.value.field == "address"
    with pytest.raises(ConflictError):  # nothing to take along
        ask_move(ctx, fresh_link(ctx, world.person("bob@example.org")), NEW, CLIENT, "192.0.2.0/24")
    for number in range(3):
        ask_move(ctx, token, f"alice{number}@new.example", CLIENT, "192.0.2.0/24")
    with pytest.raises(ConflictError):
        ask_move(ctx, token, NEW, CLIENT, "192.0.2.0/24")
    assert count(ctx, address_move, address_move.c.ended.is_(None)) == 1


def test_a_link_of_another_purpose_answers_nothing(ctx: Context, world: World) -> None:
    world.topic()
    old = agreed(ctx)
    asks(ctx, old)
    with ctx.db.reading() as conn:
        ref = conn.execute(select(address_move.c.ref)).scalar_one()
    for purpose in set(Purpose) - {Purpose.MOVE, Purpose.KEEP}:
        token = ctx.tokens.issue(purpose, ref, world.now)
        for act in (view_move, view_keep, say_no, keep):
            with pytest.raises(TokenError):
                act(ctx, token)
    with pytest.raises(NotFoundError):
        view_move(ctx, ctx.tokens.issue(Purpose.MOVE, ref, world.now))
    assert outcome(ctx) is None


def test_who_is_planned_for_just_now_moves_a_little_later(ctx: Context, world: World) -> None:
    made, _ = world.topic()
    old = agreed(ctx)
    asks(ctx, old)
    say_yes(ctx, question(ctx), CLIENT)
    hand_off_everything(ctx)
    world.campaign(made, state="sending", started=world.now)
    later(ctx, 4 * DAYS)
    process_moves(ctx)
    assert (states(ctx, old), outcome(ctx)) == ({made: "granted"}, None)


def test_an_erasure_takes_the_new_address_too_and_access_tells_of_the_move(ctx: Context, world: World) -> None:
    world.topic()
    old = agreed(ctx)
    asks(ctx, old)
    with ctx.db.reading() as conn:
        keys = ContactKeys(ctx.keyring, conn)
        found = gather(conn, keys, held(ctx), "access", ctx.db.now(conn))
    assert [one["to"] for one in found["address_changes"]] == [NEW]
    ask_right(ctx, fresh_link(ctx, old), "erasure")
    hand_off_everything(ctx)
    later(ctx, 2 * 3600)
    erase_due(ctx)
    with ctx.db.reading() as conn:
        assert conn.execute(select(address_move.c.asked_box)).scalar_one() is None
    process_moves(ctx)
    later(ctx, 8 * DAYS)
    process_moves(ctx)
    assert outcome(ctx) == "lapsed"
    assert find(ctx) is None


def test_a_pause_goes_along(ctx: Context, world: World) -> None:
    made, _ = world.topic()
    old = agreed(ctx)
    with ctx.db.reading() as conn:
        until = ctx.db.now(conn) + 60 * DAYS * 1_000_000
    press(ctx, fresh_link(ctx, old), {topic_ref(ctx)}, Press(Act.PAUSE, until=until), CLIENT)
    new = moves(ctx, old)
    with ctx.db.reading() as conn:
        row = conn.execute(select(consent).where(consent.c.contact == new.id, consent.c.topic == made)).one()
    assert (row.state, row.paused_until) == ("paused", until)


def test_the_old_address_is_not_used_again_without_its_owners_new_yes(ctx: Context, world: World) -> None:
    made, text = world.topic()
    old = agreed(ctx)
    moves(ctx, old)
    change = Change(contact=old.id, topic=made, event=Event.IMPORTED, text=text)
    with pytest.raises(ConflictError), ctx.db.transaction() as conn:
        apply_changes(conn, ctx, ctx.db.now(conn), actor=OWNER, changes=[change])
    asked(ctx, ALICE)
    assert states(ctx, old) == {made: "withdrawn"}


@pytest.mark.parametrize("when", ["before the yes", "after it"])
def test_a_stop_from_the_mail_that_asked_ends_it_too(ctx: Context, world: World, when: str) -> None:
    made, _ = world.topic()
    old = agreed(ctx)
    asks(ctx, old)
    token = question(ctx)
    if when == "after it":
        say_yes(ctx, token, CLIENT)
    with ctx.db.reading() as conn:
        query = select(message.c.ref).where(message.c.origin == "confirmation").order_by(message.c.id.desc()).limit(1)
        ref = conn.execute(query).scalar_one()
    withdraw(ctx, link(ctx, Purpose.STOP, ref), "one-click", CLIENT)
    assert view_move(ctx, token).state == "declined"
    assert say_yes(ctx, token, CLIENT).state == "declined"
    later(ctx, 4 * DAYS)
    process_moves(ctx)
    assert (states(ctx, old), find(ctx)) == ({made: "granted"}, None)


def test_a_link_in_a_mail_from_before_speaks_for_the_address_its_reader_has_now(ctx: Context, world: World) -> None:
    made, _ = world.topic()
    old = agreed(ctx)
    ref = letter(ctx, world, old.id, made)
    moves(ctx, old)
    new = find(ctx)
    assert new is not None
    assert view_stop(ctx, link(ctx, Purpose.STOP, ref)).state == "granted"
    assert explain(ctx, link(ctx, Purpose.WHY, ref)).can_pause
    done = withdraw(ctx, link(ctx, Purpose.STOP, ref), "page", CLIENT)
    assert (done.changed, done.standing.state, states(ctx, new)) == (1, "withdrawn", {made: "withdrawn"})
    assert done.undo is not None
    assert undo(ctx, done.undo, CLIENT) == 1
    assert states(ctx, new) == {made: "granted"}
