"""A reader writes back: a conversation opens, is read by a press the log keeps, and goes on until it is closed."""

import json
from typing import Any

import pytest
from sqlalchemy import select

from outreach.domain.actors import Actor
from outreach.domain.conversations import LONGEST_KEPT, MOST_FILE_OCTETS
from outreach.domain.errors import ConflictError, InvalidInputError, NotAllowedError, NotFoundError
from outreach.mail.inbound.incoming import Kind
from outreach.services.context import Context
from outreach.services.conversations import answering, handling, own
from outreach.services.conversations.inbox import (
    Narrowed,
    NotOpenError,
    open_conversation,
    read_file,
    see_conversation,
    see_inbox,
)
from outreach.services.overview import see_overview
from outreach.store import leaving
from outreach.store.boxes import ContactKeys
from outreach.store.contacts import Person
from outreach.store.schema.audit import audit_entry
from outreach.store.schema.campaigns import message
from outreach.store.schema.consents import topic
from outreach.store.schema.conversations import conversation_file, conversation_post
from tests.factories import World
from tests.services.conversations.writing import ALICE, a_file, mailed, opened, replies, rows, said, worker, writes
from tests.services.people import move_clock

HOUR = 3600
SECRET = "the marigolds at Elm Street 12 all died"


@pytest.fixture
def alice(world: World) -> Person:
    return world.person(ALICE, name="Alice")


@pytest.fixture
def robin(world: World) -> Actor:
    return worker(world)


def entries(ctx: Context, kind: str = "") -> list[Any]:
    """Entries about conversations."""
    query = select(audit_entry).where(audit_entry.c.kind.like(f"conversation.{kind or '%'}"))
    with ctx.db.reading() as conn:
        return list(conn.execute(query.order_by(audit_entry.c.id)).all())


def test_a_reply_opens_a_conversation_that_waits_and_says_nothing_in_the_log(
    ctx: Context, world: World, alice: Person, robin: Actor
) -> None:
    garden, _ = world.topic()
    sold = world.campaign(garden, kind="promotional")
    mail = mailed(world, alice, garden, sold)
    ref = replies(ctx, alice, mail, SECRET)
    (line,) = see_inbox(ctx, robin).lines
    assert (line.ref, line.topic, line.campaign, line.via) == (ref, "Topic 2", "Pruning roses", "reply")
    assert line.waits == "waiting less than an hour"
    move_clock(ctx, 3 * 24 * HOUR)
    assert see_inbox(ctx, robin).lines[0].waits == "waiting 3 days"
    (entry,) = entries(ctx)
    assert (entry.kind, entry.actor, entry.message) == ("conversation.opened", "recipient", mail)
    assert (entry.contact, json.loads(entry.body)["conversation"]) == (alice.ref, ref.hex())
    assert "marigold" not in entry.body
    assert see_overview(ctx, robin).replies == 1
    assert see_overview(ctx, robin).oldest_reply == "waiting 3 days"


@pytest.mark.parametrize(
    "automatic",
    [said("I am away", is_automatic=True), said("I am away", kind=Kind.AUTO_REPLY), said("", kind=Kind.DELAY)],
)
def test_an_automatic_reply_neither_opens_nor_reopens_one(
    ctx: Context, world: World, alice: Person, robin: Actor, automatic: Any
) -> None:
    garden, _ = world.topic()
    mail = mailed(world, alice, garden)
    assert replies(ctx, alice, mail, automatic) == b""
    assert see_inbox(ctx, robin, "open").lines == ()
    ref = replies(ctx, alice, mail, "Where is my seed?")
    answer = answering.answer(ctx, robin, ref, "On its way.", seen=opened(ctx, robin, ref).seen, closes=True)
    assert replies(ctx, alice, answer, automatic) == b""
    assert [line.ref for line in see_inbox(ctx, robin, "closed").lines] == [ref]
    assert len(rows(ctx, conversation_post.c.id)) == 2


def test_words_are_shown_for_an_hour_to_who_opened_it_and_once_in_the_log(
    ctx: Context, world: World, alice: Person, robin: Actor
) -> None:
    ref = writes(ctx, alice, SECRET)
    hidden = see_conversation(ctx, robin, ref)
    assert (hidden.is_read, hidden.name, hidden.masked, hidden.posts) == (False, "", "", ())
    shown = opened(ctx, robin, ref)
    open_conversation(ctx, robin, ref)
    assert (shown.name, shown.masked, shown.posts[0].text) == ("Alice", "a•••@e•••.org", SECRET)
    assert [entry.actor for entry in entries(ctx, "read")] == [robin.name]
    officer = worker(world, "officer", "Olga")
    assert not see_conversation(ctx, officer, ref).is_read
    assert [name for name, _at in see_conversation(ctx, officer, ref).readers] == ["Robin"]
    move_clock(ctx, HOUR + 1)
    assert not see_conversation(ctx, robin, ref).is_read
    open_conversation(ctx, robin, ref)
    assert len(entries(ctx, "read")) == 2


def test_a_reply_to_our_answer_goes_on_with_it_and_opens_it_again(
    ctx: Context, world: World, alice: Person, robin: Actor
) -> None:
    garden, _ = world.topic()
    mail = mailed(world, alice, garden)
    ref = replies(ctx, alice, mail, "Where is my seed?")
    assert replies(ctx, alice, mail, "And my bulbs?") == ref
    answer = answering.answer(ctx, robin, ref, "On its way.", seen=opened(ctx, robin, ref).seen, closes=True)
    (queued,) = rows(ctx, message.c.lane, message.c.kind, message.c.topic, message.c.state, ref=answer)
    assert tuple(queued) == ("2-reply", "service", garden, "planned")
    assert replies(ctx, alice, mail, "Something else") != ref  # that one is closed: a reply to the campaign is new
    assert replies(ctx, alice, answer, "Thanks, but it is not") == ref
    shown = opened(ctx, robin, ref)
    assert [post.kind for post in shown.posts] == ["theirs", "theirs", "answer", "theirs"]
    assert (shown.closed, shown.waits) == (None, "waiting less than an hour")
    assert [entry.kind.split(".")[1] for entry in entries(ctx)].count("continued") == 2


def test_addresses_in_words_quotes_subjects_and_file_names_are_masked(
    ctx: Context, world: World, alice: Person, robin: Actor
) -> None:
    garden, _ = world.topic()
    whole = "write to alice@example.org or bob@example.net"
    files = (a_file("bob@example.net.txt", b"x"),)
    reply = said(whole, subject=whole, quoted=whole, attachments=files)
    ref = replies(ctx, alice, mailed(world, alice, garden), reply)
    shown = repr(opened(ctx, robin, ref))
    assert "@e•••" in shown
    assert "@example" not in shown
    with ctx.db.reading() as conn:
        (theirs,) = own.of_person(conn, ctx, alice)
    assert "@example" not in repr(theirs)


def test_what_is_not_drawn_hides_no_address_and_turns_no_word_around(
    ctx: Context, world: World, alice: Person, robin: Actor
) -> None:
    garden, _ = world.topic()
    tricks = "see \u202efdp.exe\u202c \x1b[31mred\x07\nof bo\u200bb@exam\u00adple.net, کتاب\u200cخانه"
    ref = replies(ctx, alice, mailed(world, alice, garden), said(tricks, quoted=f"> {tricks}"))
    (post,) = opened(ctx, robin, ref).posts
    assert post.text == "see fdp.exe [31mred\nof b•••@e•••.net, کتاب\u200cخانه"
    assert post.quoted == f"> {post.text}"


def test_who_answers_from_another_mailbox_is_pointed_out(
    ctx: Context, world: World, alice: Person, robin: Actor
) -> None:
    garden, _ = world.topic()
    wrote = {"Alice+garden@EXAMPLE.org": False, "bob@example.net": True, "": True, "not an address": True}
    for address, is_foreign in wrote.items():
        ref = replies(ctx, alice, mailed(world, alice, garden), said("Hello", from_address=address))
        (post,) = opened(ctx, robin, ref).posts
        assert post.is_foreign is is_foreign, address


def test_files_are_kept_boxed_up_to_a_limit_and_read_while_it_is_open(
    ctx: Context, world: World, alice: Person, robin: Actor
) -> None:
    garden, _ = world.topic()
    files = (a_file("../..\\notes.html", b"<script>x</script>"), a_file("film.bin", b"0" * (MOST_FILE_OCTETS + 1)))
    reply = said("x" * (LONGEST_KEPT + 5), attachments=files)
    ref = replies(ctx, alice, mailed(world, alice, garden), reply)
    with ctx.db.reading() as conn:
        kept = conn.execute(select(conversation_file)).all()
    assert all(b"script" not in (row.content_box or b"") and b"notes" not in row.name_box for row in kept)
    with pytest.raises(NotOpenError):
        read_file(ctx, robin, ref, kept[0].ref)
    (post,) = opened(ctx, robin, ref).posts
    assert [(one.name, one.octets, one.is_kept) for one in post.files] == [
        ("notes.html", 18, True),
        ("film.bin", MOST_FILE_OCTETS + 1, False),
    ]
    assert post.is_cut
    assert read_file(ctx, robin, ref, post.files[0].ref) == ("notes.html", b"<script>x</script>")
    other = writes(ctx, alice, "another")
    open_conversation(ctx, robin, other)
    for where, which in ((ref, post.files[1].ref), (other, post.files[0].ref), (ref, b"0" * 16)):
        with pytest.raises(NotFoundError):
            read_file(ctx, robin, where, which)


def test_two_who_answer_at_once_are_told_apart(ctx: Context, world: World, alice: Person, robin: Actor) -> None:
    sam = worker(world, "administrator", "Sam")
    ref = writes(ctx, alice, "When do you open?")
    seen = opened(ctx, robin, ref).seen
    answering.answer(ctx, sam, ref, "At nine.", seen=seen)
    with pytest.raises(answering.OvertakenError, match="Sam answered meanwhile"):
        answering.answer(ctx, robin, ref, "At ten.", seen=seen)
    writes(ctx, alice, "And on Sundays?", conversation=ref)
    with pytest.raises(answering.OvertakenError, match="They wrote again"):
        answering.answer(ctx, sam, ref, "Hm.", seen=opened(ctx, sam, ref).posts[-2].kind)
    with pytest.raises(InvalidInputError, match="nobody's is passed on"):
        answering.answer(ctx, sam, ref, "Ask bob@example.org", seen=opened(ctx, sam, ref).seen)
    assert [post.text for post in opened(ctx, robin, ref).posts if post.kind == "answer"] == ["At nine."]


def test_it_is_sorted_taken_and_closed_for_a_reason_while_it_waits(
    ctx: Context, world: World, alice: Person, robin: Actor
) -> None:
    sam = worker(world, name="Sam")
    ref = writes(ctx, alice, "Too many mails!")
    handling.take(ctx, robin, ref)
    with pytest.raises(ConflictError, match="Robin takes care of this already"):
        handling.take(ctx, sam, ref)
    handling.assign(ctx, sam, ref, bytes.fromhex(sam.name.partition(":")[2]))
    handling.set_tags(ctx, sam, ref, "Frequency, too often")
    handling.set_mark(ctx, sam, ref, "critical")
    handling.add_note(ctx, sam, ref, "She rang in May as well.")
    (line,) = see_inbox(ctx, sam, "mine", Narrowed(tag="frequency", mark="critical")).lines
    assert (line.staff, line.mark, line.tags) == ("Sam", "critical", ("frequency", "too often"))
    assert see_inbox(ctx, robin, "mine").lines == see_inbox(ctx, robin, "unassigned").lines == ()
    assert see_inbox(ctx, sam, "open", Narrowed(tag="delivery")).lines == ()
    assert see_inbox(ctx, sam, "open", Narrowed(topic="zz", mark="none")).counts["open"] == 1
    with pytest.raises(InvalidInputError) as caught:
        handling.close(ctx, sam, ref, "no")
    assert caught.value.field == "reason"
    handling.close(ctx, sam, ref, "written twice; the other was answered")
    assert see_inbox(ctx, sam, "closed").lines[0].closed is not None
    handling.reopen(ctx, sam, ref)
    assert see_inbox(ctx, sam).lines[0].waits
    with pytest.raises(ConflictError):
        handling.reopen(ctx, sam, ref)
    text = "".join(entry.body for entry in entries(ctx))
    assert "the other was answered" in text
    assert not any(word in text for word in ("frequency", "rang", "mails!"))


def test_officers_read_and_others_do_not_even_look(ctx: Context, world: World, alice: Person) -> None:
    officer = worker(world, "officer", "Olga")
    ref = writes(ctx, alice, SECRET)
    assert opened(ctx, officer, ref).posts[0].text == SECRET
    assert see_overview(ctx, officer).replies == 0
    acts: list[Any] = [
        lambda: handling.take(ctx, officer, ref),
        lambda: handling.close(ctx, officer, ref, "for no reason at all"),
        lambda: handling.add_note(ctx, officer, ref, "hm"),
        lambda: answering.answer(ctx, officer, ref, "No.", seen=""),
        lambda: see_inbox(ctx, Actor("visitor")),
    ]
    for act in acts:
        with pytest.raises(NotAllowedError):
            act()


def test_a_person_goes_on_in_their_own_alone_and_begins_so_many_a_day(
    ctx: Context, world: World, alice: Person, robin: Actor
) -> None:
    garden, _ = world.topic()
    (about,) = rows(ctx, topic.c.ref, id=garden)
    ref = writes(ctx, alice, "Hello", about.ref)
    answering.answer(ctx, robin, ref, "Hello!\n\nYours", seen=opened(ctx, robin, ref).seen)
    handling.add_note(ctx, robin, ref, "nice person")
    with ctx.db.reading() as conn:
        (one,) = own.of_person(conn, ctx, alice)
    assert (one.topic, one.waits, [post.text for post in one.posts]) == ("Topic 2", False, ["Hello", "Hello!\n\nYours"])
    with pytest.raises(NotFoundError):
        writes(ctx, world.person(), "Me too", conversation=ref)
    with pytest.raises(InvalidInputError):
        writes(ctx, alice, "Hello", b"0" * 16)
    for _ in range(own.MOST_A_DAY - 1):
        writes(ctx, alice, "Hello")
    with pytest.raises(ConflictError, match="many conversations today"):
        writes(ctx, alice, "Hello")
    assert writes(ctx, alice, "Still there?", conversation=ref) == ref


def test_erasing_takes_every_word_and_closes_what_was_open(
    ctx: Context, world: World, alice: Person, robin: Actor
) -> None:
    garden, _ = world.topic()
    ref = replies(ctx, alice, mailed(world, alice, garden), said(SECRET, attachments=(a_file("a.txt", b"x"),)))
    handling.set_tags(ctx, robin, ref, "marigolds")
    with ctx.db.transaction() as conn:
        assert leaving.only_asked(conn, [alice.id]) == {}, "an open conversation holds them"
        leaving.erase(conn, [alice.id])
    shown = opened(ctx, robin, ref)
    assert (shown.is_held, shown.posts, shown.tags, shown.name) == (False, (), (), "")
    assert [line.is_held for line in see_inbox(ctx, robin, "closed").lines] == [False]
    assert rows(ctx, conversation_file.c.id) == []
    assert [row.words_box for row in rows(ctx, conversation_post.c.words_box)] == [None]
    with pytest.raises(ConflictError, match="erased"):
        answering.answer(ctx, robin, ref, "Hello?", seen=shown.seen)
    assert replies(ctx, alice, mailed(world, alice, garden), "I am back") == b""


def test_words_are_in_the_store_under_their_key_alone(ctx: Context, alice: Person, robin: Actor) -> None:
    ref = writes(ctx, alice, SECRET)
    handling.add_note(ctx, robin, ref, SECRET)
    boxes = [row.words_box for row in rows(ctx, conversation_post.c.words_box)]
    assert all(b"marigold" not in box for box in boxes)
    with ctx.db.reading() as conn:
        keys = ContactKeys(ctx.keyring, conn)
        assert [keys.facts(alice.id, box)["text"] for box in boxes] == [SECRET, SECRET]


def test_a_campaigns_row_is_not_needed_for_the_list_to_grow_by_pages(
    ctx: Context, world: World, alice: Person, robin: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("outreach.services.conversations.inbox.PAGE", 2)
    refs = [writes(ctx, alice, f"Hello {n}") for n in range(5)]
    pages = [see_inbox(ctx, robin, page=page) for page in (0, 1, 2, 3, 9)]
    assert [(page.page, page.pages) for page in pages] == [(1, 3), (1, 3), (2, 3), (3, 3), (3, 3)]
    assert [line.ref for page in pages[1:4] for line in page.lines] != []
    assert sorted(line.ref for page in pages[1:4] for line in page.lines) == sorted(refs)
    with pytest.raises(NotFoundError):
        see_inbox(ctx, robin, "everything")
