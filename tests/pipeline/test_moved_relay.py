"""Mail between two connected people of whom one changed their address, at the door and out of it: the other side writes
to the same relay address and notices nothing.
"""

import pytest
from sqlalchemy import select

from outreach.services import connections, streams
from outreach.services.context import Context
from outreach.services.intake.accept import Refusal
from outreach.services.intake.process import process_mails
from outreach.services.relaying.held import send_own
from outreach.services.relaying.showing import correspondence
from outreach.services.room.carrying import process_moves
from outreach.services.room.moving import ask_move, say_yes, see_moves
from outreach.store.contacts import Person
from outreach.store.schema.campaigns import message
from tests.pipeline.conftest import Line
from tests.pipeline.relaying import ALICE, BOB, Pair, letter, words
from tests.services.connecting import entries
from tests.services.owning import agreed, fresh_link
from tests.services.room.test_moving import CLIENT, NEW, find, question


@pytest.fixture
def pair(line: Line) -> Pair:
    return Pair(line)


def said_yes(pair: Pair) -> Context:
    """Alice asks to go along to NEW and says yes there, her mails sent by the pipeline; the three days have passed."""
    ctx, link = pair.ctx, fresh_link(pair.ctx, pair.alice.person)
    ask_move(ctx, link, NEW, CLIENT, "192.0.2.0/24")
    process_moves(ctx)
    pair.sent()
    say_yes(ctx, question(ctx), CLIENT, code=see_moves(ctx, link).moves[0].code, is_human=True)
    pair.sent()
    pair.line.pass_hours(73)
    return ctx


def moved(pair: Pair) -> Person:
    """Alice goes along to NEW, her mails sent by the pipeline itself."""
    ctx = said_yes(pair)
    process_moves(ctx)
    found = find(ctx)
    assert found is not None
    return found


def test_the_other_side_writes_on_and_it_arrives_at_the_new_address(pair: Pair) -> None:
    to_alice = pair.to(pair.alice.person)
    new = moved(pair)
    assert pair.to(new) == to_alice
    assert pair.bring(letter(BOB, to_alice, "Are they up?\n"), to_alice, sender=BOB) is None
    process_mails(pair.ctx)
    (mail,) = pair.sent()
    assert mail.rcpt_to == NEW
    assert "Are they up?" in words(mail)
    assert ALICE.encode() not in mail.data


def test_the_member_writes_from_the_new_address_and_from_the_old_one_no_more(pair: Pair) -> None:
    to_bob = pair.to(pair.bob.person)
    moved(pair)
    refused = pair.bring(letter(ALICE, to_bob, "No\n"), to_bob)
    assert isinstance(refused, Refusal)
    assert refused.code == 550
    assert pair.bring(letter(NEW, to_bob, f"They are up.\n\n-- \nAlice\n{NEW}\n"), to_bob, sender=NEW) is None
    process_mails(pair.ctx)
    (mail,) = pair.sent()
    assert (mail.rcpt_to, words(mail).startswith("They are up.")) == (BOB, True)
    for address in (NEW, ALICE):
        assert address.partition("@")[2].encode() not in mail.data


def test_what_waited_for_a_muted_connection_comes_to_the_new_address(pair: Pair) -> None:
    connections.mute(pair.ctx, pair.alice.actor, pair.ref)
    pair.write("Hello?\n", by=BOB)
    assert pair.sent() == []
    moved(pair)
    assert correspondence(pair.ctx, pair.alice.actor, pair.ref).waiting == 1
    connections.unmute(pair.ctx, pair.alice.actor, pair.ref)
    assert [mail.rcpt_to for mail in pair.sent()] == [NEW]


def test_a_held_mail_is_let_go_by_its_writer_after_the_change(pair: Pair) -> None:
    pair.write("Ask carol@third.example for them.\n")
    (row,) = [one for one in pair.rows() if one.state == "held"]
    moved(pair)
    (mine,) = correspondence(pair.ctx, pair.alice.actor, pair.ref).mine
    assert mine.doubts
    send_own(pair.ctx, pair.alice.actor, row.ref)
    (mail,) = pair.sent()
    assert (mail.rcpt_to, "carol" in words(mail)) == (BOB, True)


def test_nobody_goes_while_a_mail_of_the_other_side_is_under_way(pair: Pair) -> None:
    ctx = said_yes(pair)
    pair.write("Just now\n", by=BOB)
    process_moves(ctx)
    assert correspondence(ctx, pair.alice.actor, pair.ref).write_to
    (mail,) = pair.sent()
    assert mail.rcpt_to == ALICE
    pair.line.pass_hours(74)
    process_moves(ctx)
    found = find(ctx)
    assert found is not None
    assert pair.bring(letter(BOB, pair.to(found), "And now\n"), pair.to(found), sender=BOB) is None
    process_mails(ctx)
    assert [mail.rcpt_to for mail in pair.sent()] == [NEW]


def test_a_stop_in_a_mail_from_before_mutes_the_connection_where_it_is_now(pair: Pair) -> None:
    world, ctx = pair.line.world, pair.ctx
    world.topic()
    agreed(ctx, ALICE)  # else nothing would be held at the old address, its key neither
    pair.write("Hello\n", by=BOB)
    pair.sent()
    with ctx.db.reading() as conn:
        query = select(message.c.ref).where(message.c.contact == pair.alice.person.id, message.c.origin == "reply")
        before = conn.execute(query).scalar_one()
    new = moved(pair)
    with ctx.db.transaction() as conn:
        assert streams.stop(conn, ctx, ctx.db.now(conn), before) == 1
    (view,) = connections.list_connections(ctx, pair.alice.actor)
    assert view.muted is not None
    assert [entry.contact for entry in entries(ctx, "connection.muted")] == [new.ref]
    pair.bring(letter(BOB, pair.to(new), "More\n"), pair.to(new), sender=BOB)
    process_mails(ctx)
    assert pair.sent() == []
