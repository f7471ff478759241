"""Stopping mails that no consent sends: a connected person's and our answers, from a link in one of them."""

import email
import re
from collections.abc import Callable
from email import policy

import pytest
from sqlalchemy import delete, select

from outreach.domain.actors import Role
from outreach.mail import dkim
from outreach.mail.cleaning import Cleaned
from outreach.mail.compose import Returns
from outreach.mail.peer import Peer
from outreach.mail.relayed import Letter, compose
from outreach.services import connections, streams
from outreach.services.confirm import Client
from outreach.services.context import Context
from outreach.services.conversations import answering
from outreach.services.intake.accept import Known, may_accept, take_in
from outreach.services.intake.process import process_mails
from outreach.services.intake.undo import undo_report
from outreach.services.relaying.showing import correspondence
from outreach.services.rights.held_with_others import conversations_of
from outreach.services.streams import Stream
from outreach.services.why import explain
from outreach.services.withdraw import withdraw
from outreach.store.boxes import ContactKeys
from outreach.store.schema.audit import audit_entry
from outreach.store.schema.campaigns import message
from outreach.store.schema.inbound import inbound_report
from outreach.store.schema.relaying import relayed
from tests.factories import World
from tests.pipeline.conftest import Line
from tests.pipeline.relaying import BOB, Pair, letter, read, words
from tests.services.conversations.writing import ALICE, mailed, opened, replies, worker, writes
from tests.services.owning import OFFICER, WHY


@pytest.fixture
def pair(line: Line) -> Pair:
    return Pair(line)


def newest(ctx: Context, origin: str = "reply") -> bytes:
    """The ref of the newest mail of this origin."""
    with ctx.db.reading() as conn:
        query = select(message.c.ref).where(message.c.origin == origin).order_by(message.c.id.desc()).limit(1)
        return bytes(conn.execute(query).scalar_one())


def pressed(ctx: Context, act: Callable[..., int], ref: bytes, *more: int) -> tuple[int, int]:
    """(what it changed, when)."""
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        return act(conn, ctx, now, ref, *more), now


def seen(ctx: Context, ref: bytes) -> Stream | None:
    with ctx.db.reading() as conn:
        return streams.stream_of(conn, ctx, ref)


def kinds(ctx: Context, *wanted: str) -> list[str]:
    with ctx.db.reading() as conn:
        query = select(audit_entry.c.kind, audit_entry.c.actor).where(audit_entry.c.kind.in_(wanted))
        return [f"{row.kind} {row.actor}" for row in conn.execute(query.order_by(audit_entry.c.id))]


def test_a_stop_mutes_the_connection_for_its_reader_and_what_was_on_its_way_waits(pair: Pair) -> None:
    pair.write("One\n")
    assert len(pair.sent()) == 1
    pair.write("Two\n")
    first = newest(pair.ctx)
    assert seen(pair.ctx, first) == Stream("connection", is_stopped=False)
    assert pressed(pair.ctx, streams.stop, first)[0] == 1
    assert seen(pair.ctx, first) == Stream("connection", is_stopped=True)
    assert pressed(pair.ctx, streams.stop, first)[0] == 0
    pair.write("Three\n")
    assert pair.sent() == []
    pair.write("And mine\n", by=BOB)
    assert ["And mine" in words(one) for one in pair.sent()] == [True]
    assert [one.muted is not None for one in connections.list_connections(pair.ctx, pair.bob.actor)] == [True]
    assert [one.muted for one in connections.list_connections(pair.ctx, pair.alice.actor)] == [None]
    assert {one.state for one in correspondence(pair.ctx, pair.alice.actor, pair.ref).mine} == {"taken"}
    assert kinds(pair.ctx, "connection.muted") == ["connection.muted recipient"]


def test_taking_it_back_brings_what_waited_and_takes_back_no_other_mute(pair: Pair) -> None:
    pair.write("One\n")
    pair.sent()
    ref = newest(pair.ctx)
    _, at = pressed(pair.ctx, streams.stop, ref)
    pair.write("Two\n")
    assert pair.sent() == []
    assert pressed(pair.ctx, streams.resume, ref, at - 1)[0] == 0
    assert pressed(pair.ctx, streams.resume, ref, at)[0] == 1
    assert ["Two" in words(one) for one in pair.sent()] == [True]
    assert pressed(pair.ctx, streams.resume, ref, at)[0] == 0
    connections.mute(pair.ctx, pair.bob.actor, pair.ref)
    assert pressed(pair.ctx, streams.resume, ref, at)[0] == 0
    muted = ["connection.muted recipient", "connection.unmuted recipient"]
    assert kinds(pair.ctx, "connection.muted", "connection.unmuted")[:2] == muted


def test_it_works_for_ever_and_says_when_there_is_nothing_left_to_stop(pair: Pair) -> None:
    pair.write("One\n")
    pair.sent()
    ref = newest(pair.ctx)
    with pair.ctx.db.transaction() as conn:
        conn.execute(delete(relayed))
    assert seen(pair.ctx, ref) == Stream("connection", is_stopped=False)
    assert pressed(pair.ctx, streams.stop, ref)[0] == 1
    connections.unmute(pair.ctx, pair.bob.actor, pair.ref)
    connections.end(pair.ctx, pair.alice.actor, pair.ref)
    assert seen(pair.ctx, ref) == Stream("connection", is_stopped=True)
    assert pressed(pair.ctx, streams.stop, ref)[0] == 0


def test_a_stopped_conversation_answers_in_the_room_alone_until_its_person_writes_again(
    line: Line, world: World
) -> None:
    ctx, robin = line.ctx, worker(world)
    alice = world.person(ALICE)
    mail = mailed(world, alice, world.topic()[0])
    talk = replies(ctx, alice, mail, "Where is my seed?")

    def answers(text: str) -> bytes:
        ref = answering.answer(ctx, robin, talk, text, seen=opened(ctx, robin, talk).seen)
        line.rounds()
        return ref

    first = answers("On its way.")
    assert len(line.relay.sent) == 1
    assert seen(ctx, first) == Stream("conversation", is_stopped=False)
    changed, at = pressed(ctx, streams.stop, first)
    assert (changed, pressed(ctx, streams.stop, first)[0]) == (1, 0)
    view = opened(ctx, robin, talk)
    assert not view.can_mail
    assert [(post.kind, post.author, post.text) for post in view.posts][-1] == ("note", "", "")
    second = answers("It came back.")
    assert len(line.relay.sent) == 1
    assert line.states()[alice.id] == ("withheld", "conversation_ended")
    writes(ctx, alice, "Please write after all.", conversation=talk)
    assert opened(ctx, robin, talk).can_mail
    assert seen(ctx, second) == Stream("conversation", is_stopped=False)
    answers("Gladly.")
    assert len(line.relay.sent) == 2
    assert pressed(ctx, streams.resume, first, at)[0] == 0
    with ctx.db.reading() as conn:
        told = conversations_of(conn, ContactKeys(ctx.keyring, conn), alice.id)
    assert [post["by"] for post in told[0]["posts"]].count("you, who wanted no more of it by mail") == 1
    assert kinds(ctx, "conversation.stopped", "conversation.resumed") == ["conversation.stopped recipient"]
    assert robin.roles == {Role.MARKETER}


def test_a_stop_of_a_conversation_can_be_taken_back(line: Line, world: World) -> None:
    ctx, robin, alice = line.ctx, worker(world), world.person(ALICE)
    talk = writes(ctx, alice, "Hello?")
    ref = answering.answer(ctx, robin, talk, "Hello.", seen=opened(ctx, robin, talk).seen)
    _, at = pressed(ctx, streams.stop, ref)
    assert pressed(ctx, streams.resume, ref, at)[0] == 1
    assert opened(ctx, robin, talk).can_mail
    assert [post.kind for post in opened(ctx, robin, talk).posts] == ["theirs", "answer"]
    line.rounds()
    assert len(line.relay.sent) == 1
    assert kinds(ctx, "conversation.resumed") == ["conversation.resumed recipient"]


def test_a_mail_between_two_people_links_to_what_explains_it_and_an_answer_leaves_that_out(pair: Pair) -> None:
    pair.write("One\n")
    (mail,) = pair.sent()
    (token,) = re.findall(r"/why/([\w.-]+)>", words(mail))
    why = explain(pair.ctx, token)
    assert (why.origin, why.masked) == ("reply", "b•••@r•••.example")
    pair.write(f"Two\n\n> {words(mail).replace(chr(10), chr(10) + '> ')}\n", by=BOB)
    (mail,) = pair.sent()
    assert words(mail).count("/why/") == words(mail).count("wrote this to you through") == 1


def test_every_such_mail_stops_by_one_click_by_mail_and_by_a_link_in_it(pair: Pair) -> None:
    pair.write("One\n")
    (mail,) = pair.sent()
    found = read(mail)
    url, address = re.findall(r"<(?:mailto:)?([^>]*)>", found["List-Unsubscribe"])
    assert found["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert found["CFBL-Address"].endswith("@in.localhost; report=arf")
    assert "Reply-To" not in found
    assert f"<{url}>" in words(mail)
    to = address.partition("@")[0]
    known = may_accept(pair.ctx, to)
    assert isinstance(known, Known)
    octets = letter(BOB, to, "").as_bytes()
    assert take_in(pair.ctx, known, octets, Peer("127.0.0.1", "mail.example", BOB)) is None
    process_mails(pair.ctx)
    pair.write("Two\n")
    assert pair.sent() == []
    with pair.ctx.db.reading() as conn:
        report = conn.execute(select(inbound_report)).one()
    assert (report.kind, report.changed) == ("unsubscribe", 1)
    undo_report(pair.ctx, OFFICER, report.ref, WHY)
    assert len(pair.sent()) == 1
    assert kinds(pair.ctx, "connection.unmuted") == [f"connection.unmuted {OFFICER.name}"]
    done = withdraw(pair.ctx, url.rpartition("/")[2], "one-click", Client())
    assert (done.changed, done.undo, done.standing.state, done.standing.stream) == (1, None, "withdrawn", "connection")
    pair.write("Three\n")
    assert pair.sent() == []


def test_what_stops_such_a_mail_is_signed() -> None:
    signers = (dkim.Signer("in.localhost", "s1", dkim.load_key(dkim.make_key("ed25519"))),)
    stop_url, returns = "https://garden.example/stop/t1.abc", Returns("in.localhost", "ticket", takes_replies=True)
    around = Letter(
        "A", "with-a@in.localhost", BOB, "m1@x.example", 1_790_000_000, "<p>x</p>", (), signers, stop_url, returns
    )
    octets = compose(around, Cleaned(subject="Hi", text="Hello\n"))
    mail = email.message_from_bytes(octets, policy=policy.default)
    names = re.search(r"h=([^;]*);", re.sub(r"\s", "", mail["DKIM-Signature"]))
    assert names is not None
    assert "Reply-To" not in mail
    for name in ("List-Unsubscribe", "List-Unsubscribe-Post", "CFBL-Address", "CFBL-Feedback-ID"):
        assert len(mail.get_all(name, [])) == 1
        assert name.lower() in names[1].lower().split(":")


def test_no_other_mail_is_of_a_stream(line: Line, world: World) -> None:
    person = world.person()
    campaign = mailed(world, person, world.topic()[0])
    assert (seen(line.ctx, campaign), seen(line.ctx, b"x" * 16)) == (None, None)
    assert pressed(line.ctx, streams.stop, campaign)[0] == 0
