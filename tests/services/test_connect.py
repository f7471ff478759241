"""Asking through connect links: one row at the door, no more mail than caps allow, and a request without address."""

import email
import email.policy
import json
import re
from typing import Any

import pytest
from sqlalchemy import event, insert, select, update

from outreach.domain import addresses
from outreach.domain.errors import ConflictError, InvalidInputError, NotFoundError, TokenError, TokenExpiredError
from outreach.domain.tokens import Purpose, purpose_of
from outreach.pipeline.claim import claim_next, decide_again
from outreach.pipeline.letters import write_letters
from outreach.services import connect, connections
from outreach.services.connect import (
    confirm_connect,
    decline_connect,
    expire_requests,
    process_connects,
    submit_connect,
    view_connect,
)
from outreach.services.connect_links import close_link, make_link, see_link
from outreach.services.context import Context
from outreach.services.expiry import expire
from outreach.services.incoming import accept, see_incoming
from outreach.store import invitations, suppressions
from outreach.store.contacts import find_by_address
from outreach.store.schema.audit import audit_entry
from outreach.store.schema.campaigns import message
from outreach.store.schema.consents import request
from outreach.store.schema.members import invitation, invitation_policy, member
from outreach.store.schema.people import contact, contact_key
from tests.factories import DAY, MadeMember, World
from tests.services.people import count, hand_off_everything, link, move_clock

VICTIM = "victim@example.org"
QUESTIONS = message.c.origin == "invitation"
NOTICES = message.c.origin == "notice"


def ask(ctx: Context, ref: bytes, address: str = VICTIM, *, network: str = "192.0.2.0/24", **more: Any) -> None:
    """A patient visitor types an address at a link."""
    facts: dict[str, Any] = {"locale": "en", "ip": "192.0.2.7", "browser": "Firefox", "seconds": 30.0, **more}
    submit_connect(ctx, ref, address=address, network=network, **facts)


def asked(ctx: Context, ref: bytes, address: str = VICTIM, *, ago: int = 60) -> str:
    """Ask, let the mail go out `ago` seconds ago, and return the token of its link to confirm."""
    ask(ctx, ref, address)
    process_connects(ctx)
    hand_off_everything(ctx, ago)
    with ctx.db.reading() as conn:
        newest = select(invitation.c.ref).order_by(invitation.c.id.desc()).limit(1)
        return ctx.tokens.issue(Purpose.CONNECT, conn.execute(newest).scalar_one(), ctx.db.now(conn))


def mails(ctx: Context) -> int:
    return count(ctx, message, QUESTIONS, message.c.state != "withheld")


def withheld(ctx: Context) -> list[str]:
    """Why asks were not mailed, as the log has it."""
    with ctx.db.reading() as conn:
        bodies = conn.execute(
            select(audit_entry.c.body).where(audit_entry.c.kind == "invitation.decided").order_by(audit_entry.c.id)
        ).scalars()
        return [body["reason"] for body in map(json.loads, bodies) if body["mail"] == "withheld"]


def bar(ctx: Context, address: str) -> None:
    with ctx.db.transaction() as conn:
        key = ctx.keyring.blind("mailbox", addresses.parse(address).mailbox)
        suppressions.put(conn, ctx.db.now(conn), [suppressions.Bar(key, "mailbox", "never", "officer")])


def connected(ctx: Context, one: MadeMember, other: MadeMember) -> None:
    """A live connection between two members."""
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        row = invitations.add(
            conn,
            member=other.id,
            way="hand",
            locale="en",
            asked=now,
            expires=now + DAY,
            answer="accepted",
            answered=now,
        )
        connections.connect(
            conn,
            ctx,
            now,
            invitation_row=row,
            inviter_contact=other.person.id,
            other_contact=one.person.id,
            shows={},
            actor=one.actor,
        )


def stop(ctx: Context, who: MadeMember, **values: Any) -> None:
    with ctx.db.transaction() as conn:
        conn.execute(update(member).where(member.c.id == who.id).values(**(values or {"suspended": 1})))


def contact_of(ctx: Context, address: str = VICTIM) -> int | None:
    with ctx.db.reading() as conn:
        person = find_by_address(conn, ctx.keyring, addresses.parse(address))
    return None if person is None else person.id


def set_cap(ctx: Context, n: int, seconds: int = 30 * 86_400) -> None:
    """An officer's cap on invitations to one mailbox."""
    with ctx.db.transaction() as conn:
        values = {"by_mail": 1, "a_day": 5, "a_month": 20, "recipient_n": n, "recipient_window": seconds}
        conn.execute(insert(invitation_policy).values(**values, keep_days=14, since=1, reason="test"))


def test_the_door_runs_the_same_statements_whoever_is_typed(ctx: Context, world: World) -> None:
    alice, bob = world.member("alice@example.org"), world.member("bob@example.org")
    ref = make_link(ctx, alice.actor, label="Blog")
    connected(ctx, alice, bob)
    bar(ctx, "barred@example.org")
    world.member("member@example.org")
    world.person("known@example.org")
    asked(ctx, ref, "asked@example.org")
    before = count(ctx, request)
    typed = ("unknown", "known", "member", "barred", "bob", "alice", "asked")
    traces: list[list[str]] = []
    for name in typed:
        trace: list[str] = []

        def note(_c: Any, _cur: Any, statement: str, *_rest: Any, trace: list[str] = trace) -> None:
            trace.append(statement)

        event.listen(ctx.db.engine, "before_cursor_execute", note)
        ask(ctx, ref, f"{name}@example.org")
        event.remove(ctx.db.engine, "before_cursor_execute", note)
        traces.append(trace)
    assert all(trace == traces[0] for trace in traces)
    assert [statement.split()[:3] for statement in traces[0] if not statement.startswith(("SELECT", "BEGIN"))] == [
        ["INSERT", "INTO", "request"]
    ]
    assert count(ctx, request) == before + len(typed)


def test_what_was_typed_is_sealed_until_decided(ctx: Context, world: World) -> None:
    ask(ctx, make_link(ctx, world.member().actor, label="Blog"))
    with ctx.db.reading() as conn:
        assert b"victim" not in conn.execute(select(request.c.payload_box)).scalar_one()
    assert process_connects(ctx) == 1
    with ctx.db.reading() as conn:
        assert conn.execute(select(request.c.payload_box)).scalar_one() is None
    assert process_connects(ctx) == 0


def test_an_ask_becomes_one_question_and_nothing_the_owner_sees(ctx: Context, world: World) -> None:
    alice = world.member()
    ref = make_link(ctx, alice.actor, label="Blog")
    before = see_link(ctx, alice.actor, ref)
    ask(ctx, ref)
    process_connects(ctx)
    with ctx.db.reading() as conn:
        row = conn.execute(select(invitation)).one()
        mail = conn.execute(select(message)).one()
    assert (row.way, row.member, row.contact, row.answer) == ("link", alice.id, contact_of(ctx), None)
    assert row.expires - row.asked >= 7 * DAY
    assert (mail.origin, mail.lane, mail.state, mail.invitation) == ("invitation", "4-invitation", "planned", row.id)
    assert see_link(ctx, alice.actor, ref) == before


def test_a_wrong_address_is_named_and_writes_nothing(ctx: Context, world: World) -> None:
    ref = make_link(ctx, world.member().actor, label="Blog")
    for wrong in ("", "alice", "alice@gmial.com"):
        with pytest.raises(InvalidInputError) as caught:
            ask(ctx, ref, wrong)
        assert caught.value.field == "address"
    assert count(ctx, request) == 0


def test_a_link_that_is_off_takes_no_ask(ctx: Context, world: World) -> None:
    alice, bob = world.member(), world.member()
    closed, stopped = make_link(ctx, alice.actor, label="Blog"), make_link(ctx, bob.actor, label="Blog")
    close_link(ctx, alice.actor, closed)
    stop(ctx, bob)
    for ref in (closed, stopped, b"n" * 16):
        with pytest.raises(ConflictError):
            ask(ctx, ref)
    assert count(ctx, request) == 0


def test_a_form_sent_at_once_waits_and_one_with_honey_is_dropped(ctx: Context, world: World) -> None:
    ref = make_link(ctx, world.member().actor, label="Blog")
    ask(ctx, ref, "quick@example.org", seconds=0.5)
    ask(ctx, ref, "bot@example.org", honey="x")
    assert process_connects(ctx) == 0
    move_clock(ctx, 3_700)
    assert process_connects(ctx) == 1
    assert mails(ctx) == 1


def test_asking_again_sends_nothing_more_whichever_link_of_hers_and_however_spelled(ctx: Context, world: World) -> None:
    alice = world.member()
    first, second = (make_link(ctx, alice.actor, label=label) for label in ("Blog", "Fair"))
    token = asked(ctx, first)
    ask(ctx, first)
    ask(ctx, second, "VICTIM+tag@example.org")
    process_connects(ctx)
    decline_connect(ctx, token)
    ask(ctx, second)
    process_connects(ctx)
    assert (mails(ctx), count(ctx, invitation)) == (1, 1)
    assert withheld(ctx) == ["invited_before"] * 3
    assert count(ctx, request, request.c.settled.is_(None)) == 0


def test_a_stranger_who_is_barred_is_not_mailed_and_not_remembered(ctx: Context, world: World) -> None:
    ref = make_link(ctx, world.member().actor, label="Blog")
    bar(ctx, VICTIM)
    ask(ctx, ref)
    process_connects(ctx)
    assert (count(ctx, message), count(ctx, invitation), contact_of(ctx)) == (0, 0, None)
    assert withheld(ctx) == ["never"]


def test_a_person_we_hold_can_read_why_no_mail_came(ctx: Context, world: World) -> None:
    ref = make_link(ctx, world.member().actor, label="Blog")
    person = world.person(VICTIM)
    bar(ctx, VICTIM)
    ask(ctx, ref)
    process_connects(ctx)
    with ctx.db.reading() as conn:
        mail = conn.execute(select(message)).one()
    assert (mail.contact, mail.state, mail.reason) == (person.id, "withheld", "never")
    assert count(ctx, invitation) == 0


def test_ones_own_address_and_somebody_connected_are_asked_nothing(ctx: Context, world: World) -> None:
    alice, bob = world.member("alice@example.org"), world.member("bob@example.org")
    connected(ctx, alice, bob)
    ref = make_link(ctx, alice.actor, label="Blog")
    ask(ctx, ref, "alice+me@example.org")
    ask(ctx, ref, "bob@example.org")
    process_connects(ctx)
    assert mails(ctx) == 0
    assert withheld(ctx) == ["own_address", "connected"]


def test_an_owner_stopped_meanwhile_asks_nobody_but_a_link_closed_meanwhile_does(ctx: Context, world: World) -> None:
    alice, bob = world.member(), world.member()
    hers, his = make_link(ctx, alice.actor, label="Blog"), make_link(ctx, bob.actor, label="Blog")
    ask(ctx, hers)
    ask(ctx, his, "other@example.org")
    stop(ctx, alice)
    close_link(ctx, bob.actor, his)
    process_connects(ctx)
    assert mails(ctx) == 1
    assert contact_of(ctx) is None
    assert withheld(ctx) == ["inviter_stopped"]


def test_fifty_links_and_one_victim_make_no_more_mails_than_the_cap(ctx: Context, world: World) -> None:
    for number in range(50):
        ref = make_link(ctx, world.member().actor, label="Blog")
        ask(ctx, ref, f"victim+{number}@example.org", network=f"192.0.{number}.0/24")
    process_connects(ctx)
    assert mails(ctx) == 2
    hand_off_everything(ctx)
    for days in range(1, 9):
        move_clock(ctx, days * 86_400)
        process_connects(ctx)
    assert mails(ctx) == 2
    assert count(ctx, request, request.c.settled.is_(None)) == 0
    assert count(ctx, request, request.c.payload_box.is_not(None)) == 0
    assert count(ctx, invitation) == 2
    assert set(withheld(ctx)) == {"cap_invitations"}


def test_however_high_the_cap_a_mailbox_gets_three_questions_a_day(ctx: Context, world: World) -> None:
    set_cap(ctx, 50)
    with ctx.db.transaction() as conn:
        conn.exec_driver_sql("DELETE FROM cap")
    for number in range(10):
        ref = make_link(ctx, world.member().actor, label="Blog")
        ask(ctx, ref, network=f"192.0.{number}.0/24")
    process_connects(ctx)
    assert mails(ctx) == 3
    assert withheld(ctx) == ["budget"] * 7


def test_over_a_networks_budget_asks_wait_whoever_was_typed(ctx: Context, world: World) -> None:
    ref = make_link(ctx, world.member("alice@example.org").actor, label="Blog")
    for _ in range(ctx.settings.confirmations_per_network):
        ask(ctx, ref, "alice@example.org")
    ask(ctx, ref, "new@example.org")
    process_connects(ctx)
    assert mails(ctx) == 0
    assert count(ctx, request, request.c.settled.is_(None)) == 1
    move_clock(ctx, 3_700)
    process_connects(ctx)
    assert mails(ctx) == 1


def test_one_that_cannot_be_opened_stops_no_other(ctx: Context, world: World) -> None:
    ref = make_link(ctx, world.member().actor, label="Blog")
    ask(ctx, ref, "first@example.org")
    with ctx.db.transaction() as conn:
        conn.execute(update(request).values(payload_box=b"not a box at all, by no means"))
    ask(ctx, ref, "second@example.org")
    process_connects(ctx)
    assert mails(ctx) == 1
    assert count(ctx, request, request.c.settled.is_(None)) == 1


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


def ref_of_request(ctx: Context) -> bytes:
    with ctx.db.reading() as conn:
        return bytes(conn.execute(select(invitation.c.ref)).scalar_one())


def letter(ctx: Context) -> tuple[str, str]:
    """Subject and text of the one mail that may go now."""
    ids = claim_next(ctx, "bench", 10)
    parcels = write_letters(ctx, decide_again(ctx, "bench", ids).ids, 0.0).parcels
    ((parcel,),) = parcels.values()
    read = email.message_from_bytes(parcel.data, policy=email.policy.default)
    body = read.get_body(("plain",))
    assert body is not None
    return str(read["Subject"]), body.get_content()


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
    assert purposes == {Purpose.CONNECT, Purpose.INVITATION}


def test_an_owner_stopped_before_the_hand_off_sends_nothing(ctx: Context, world: World) -> None:
    alice = world.member()
    ask(ctx, make_link(ctx, alice.actor, label="Blog"))
    process_connects(ctx)
    stop(ctx, alice)
    assert decide_again(ctx, "bench", claim_next(ctx, "bench", 10)).ids == ()
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
