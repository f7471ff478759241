"""Members' accounts: a door that tells nobody, one mail, a password, one's own facts, and closing it all."""

import re
from collections.abc import Collection
from typing import Any

import pytest
from sqlalchemy import insert, select, update

from outreach.domain import addresses
from outreach.domain.errors import ConflictError, InvalidInputError, NotFoundError, TokenError, TokenExpiredError
from outreach.domain.plain_words import PlainWordsError
from outreach.domain.tokens import Purpose
from outreach.pipeline.letters import write_letters
from outreach.services import join, members, sessions
from outreach.services.confirm import view_confirmation
from outreach.services.context import Context
from outreach.services.expiry import expire
from outreach.services.join import Chosen, TakenNameError, choose, process_member_requests, see_choice, submit_start
from outreach.services.leave import close_account
from outreach.services.seal import seal
from outreach.services.verify import verify
from outreach.store import leaving, suppressions
from outreach.store import members as store
from outreach.store.contacts import find_by_address
from outreach.store.schema.audit import audit_entry
from outreach.store.schema.campaigns import message
from outreach.store.schema.consents import confirmation, request
from outreach.store.schema.members import connect_link, connection, invitation, member, member_session
from outreach.store.schema.organisation import staff
from outreach.store.schema.people import contact, contact_key, mailbox
from tests.factories import MadeMember, World
from tests.services.connecting import connected, handed, requested
from tests.services.people import ALICE, asked, count, hand_off_everything, link, move_clock
from tests.services.staffing import CLIENT, PASSWORD, kinds
from tests.services.test_sessions import statements

NEW = "four brown otters"


def start(ctx: Context, address: str = ALICE, *, network: str = "192.0.2.0/24", back: str = "") -> None:
    submit_start(ctx, address=address, network=network, locale="en", back=back)


def mailed(ctx: Context, address: str = ALICE, *, back: str = "") -> str:
    """The token in the mail that a request for this address leads to."""
    start(ctx, address, back=back)
    process_member_requests(ctx)
    return last_token(ctx)


def last_token(ctx: Context) -> str:
    with ctx.db.reading() as conn:
        ref = conn.execute(select(confirmation.c.ref).order_by(confirmation.c.id.desc()).limit(1)).scalar_one()
    return link(ctx, Purpose.ACCOUNT, ref)


def joined(ctx: Context, address: str = ALICE, name: str = "Alice Berg") -> Chosen:
    return choose(ctx, mailed(ctx, address), name=name, password=PASSWORD, client=CLIENT)


def session_of(ctx: Context, who: MadeMember) -> sessions.Session:
    with ctx.db.transaction() as conn:
        token = sessions.begin_session(ctx, conn, ctx.db.now(conn), who.id, CLIENT, sessions.MEMBERS)
    opened = sessions.open_session(ctx, token)
    assert opened is not None
    return opened


def mails(ctx: Context) -> int:
    return count(ctx, message, message.c.origin == "confirmation", message.c.state == "planned")


def letters(ctx: Context) -> list[str]:
    """The mails that are planned, as they would go."""
    with ctx.db.reading() as conn:
        ids = list(conn.execute(select(message.c.id).where(message.c.state == "planned")).scalars())
    written = write_letters(ctx, ids, 0.0)
    assert not written.failed and not written.evidence
    parcels = (parcel for batch in written.parcels.values() for parcel in batch)
    return [parcel.data.decode() for parcel in sorted(parcels, key=lambda parcel: parcel.message_id)]


def bar(ctx: Context, address: str, *, lift: str = "officer") -> None:
    with ctx.db.transaction() as conn:
        key = ctx.keyring.blind("mailbox", addresses.parse(address).mailbox)
        suppressions.put(conn, ctx.db.now(conn), [suppressions.Bar(key, "mailbox", "never", lift)])


def is_held(ctx: Context, person: int) -> bool:
    return count(ctx, contact_key, contact_key.c.contact == person) == 1


# the door


def test_the_door_runs_the_same_statements_for_unknown_member_barred_and_staff(ctx: Context, world: World) -> None:
    world.member("member@example.org")
    hired = world.person("staff@example.org")
    world._insert(staff, ref=b"s" * 16, contact=hired.id, roles="officer", created=world.now)
    bar(ctx, "barred@example.org")
    traces = []
    for address in ("unknown@example.org", "member@example.org", "barred@example.org", "staff@example.org"):
        with statements(ctx) as trace:
            start(ctx, address)
        traces.append(trace)
    assert all(trace == traces[0] for trace in traces)
    assert sum(statement.startswith("INSERT") for statement in traces[0]) == 1
    assert count(ctx, request) == 4


def test_what_is_no_address_is_said_at_once_and_writes_nothing(ctx: Context, world: World) -> None:
    with pytest.raises(InvalidInputError) as caught:
        start(ctx, "alice")
    assert caught.value.field == "address"
    assert count(ctx, request) == 0


def test_a_stranger_is_mailed_a_link_to_make_an_account_and_a_member_one_for_a_new_password(
    ctx: Context, world: World
) -> None:
    world.member("member@example.org")
    start(ctx, "new@example.org")
    start(ctx, "member@example.org")
    assert process_member_requests(ctx) == 2
    assert process_member_requests(ctx) == 0
    first, second = letters(ctx)
    assert "Make your account at Northfield" in first and "Choose a new password" in second
    for letter in (first, second):
        assert "30 minutes" in letter and "Alice" not in letter
        assert len(set(re.findall(r"http://[^\s\"<>]*/members/choose/", letter.replace("=\n", "")))) == 1


def test_a_barred_mailbox_gets_no_mail_and_the_reason_is_kept(ctx: Context, world: World) -> None:
    bar(ctx, ALICE)
    start(ctx)
    process_member_requests(ctx)
    assert mails(ctx) == 0
    assert count(ctx, message, message.c.state == "withheld", message.c.reason == "never") == 1
    assert kinds(ctx) == ["message.withheld", "confirmation.requested"]


def test_a_bar_its_owner_may_lift_does_not_stop_the_mail(ctx: Context, world: World) -> None:
    bar(ctx, ALICE, lift="owner")
    start(ctx)
    process_member_requests(ctx)
    assert mails(ctx) == 1


def test_a_second_request_before_the_mail_went_adds_none(ctx: Context, world: World) -> None:
    start(ctx)
    start(ctx)
    process_member_requests(ctx)
    assert (mails(ctx), count(ctx, confirmation)) == (1, 1)


def test_a_mailbox_gets_three_mails_a_day_whichever_way_it_is_spelled(ctx: Context, world: World) -> None:
    for number in range(5):
        start(ctx, f"alice+{number}@example.org")
    process_member_requests(ctx)
    assert mails(ctx) == 3
    assert count(ctx, message, message.c.reason == "budget") == 2


def test_over_a_networks_budget_requests_wait(ctx: Context, world: World) -> None:
    for number in range(21):
        start(ctx, f"person{number}@example.org")
    process_member_requests(ctx)
    assert mails(ctx) == 20
    assert count(ctx, request, request.c.settled.is_(None)) == 1
    move_clock(ctx, 3601)
    process_member_requests(ctx)
    assert mails(ctx) == 21


def test_one_request_that_cannot_be_opened_stops_no_other(ctx: Context, world: World) -> None:
    start(ctx, "first@example.org")
    start(ctx, "second@example.org")
    with ctx.db.transaction() as conn:
        first = conn.execute(select(request.c.id).order_by(request.c.id).limit(1)).scalar_one()
        conn.execute(update(request).where(request.c.id == first).values(payload_box=b"x" * 40))
    process_member_requests(ctx)
    assert mails(ctx) == 1
    assert count(ctx, request, request.c.settled.is_(None)) == 1


def test_another_spelling_of_a_members_address_mails_the_account_there_is(ctx: Context, world: World) -> None:
    owner = world.member("alice@example.org")
    start(ctx, "alice+else@example.org")
    process_member_requests(ctx)
    with ctx.db.reading() as conn:
        assert conn.execute(select(message.c.contact)).scalar_one() == owner.person.id
    assert count(ctx, contact) == 1


def test_an_unanswered_request_is_erased_after_a_day_with_the_stranger_but_not_the_member(
    ctx: Context, world: World
) -> None:
    owner = world.member("member@example.org")
    start(ctx, "new@example.org")
    start(ctx, "member@example.org")
    process_member_requests(ctx)
    hand_off_everything(ctx)
    move_clock(ctx, 86_401)
    expire(ctx)
    with ctx.db.reading() as conn:
        assert find_by_address(conn, ctx.keyring, addresses.parse("new@example.org")) is None
    assert is_held(ctx, owner.person.id)
    assert count(ctx, confirmation, confirmation.c.answer == "expired", confirmation.c.evidence_box.is_(None)) == 2
    assert "contact.erased" in kinds(ctx)


# choosing


def test_an_account_is_made_only_by_the_press_and_signs_its_owner_in(ctx: Context, world: World) -> None:
    token = mailed(ctx)
    choice = see_choice(ctx, token)
    assert (choice.is_new, choice.masked, choice.name) == (True, "a•••@e•••.org", "")
    assert count(ctx, member) == 0
    chosen = choose(ctx, token, name=" Alice  Berg ", password=PASSWORD, client=CLIENT)
    opened = sessions.open_session(ctx, chosen.session)
    assert opened is not None and (opened.kind, opened.roles) == ("member", frozenset())
    assert members.see_account(ctx, opened.actor).name == "Alice Berg"
    assert members.see_account(ctx, opened.actor).address == ALICE
    assert not members.see_account(ctx, opened.actor).notify
    assert kinds(ctx)[-1] == "member.joined"


def test_nothing_personal_of_an_account_stands_in_the_clear(ctx: Context, world: World) -> None:
    joined(ctx)
    with ctx.db.reading() as conn:
        row = conn.execute(select(member)).one()
        bodies = list(conn.execute(select(audit_entry.c.body)).scalars())
    assert b"Alice" not in row.name_box
    assert not any("alice" in str(body).lower() for body in bodies)


def test_the_link_works_once_for_half_an_hour_and_for_nothing_else(ctx: Context, world: World) -> None:
    token = mailed(ctx)
    with pytest.raises(TokenError):
        view_confirmation(ctx, token)
    with ctx.db.reading() as conn:
        ref = conn.execute(select(confirmation.c.ref)).scalar_one()
    with pytest.raises(TokenExpiredError):
        view_confirmation(ctx, link(ctx, Purpose.CONFIRM, ref))
    choose(ctx, token, name="Alice", password=PASSWORD, client=CLIENT)
    with pytest.raises(TokenExpiredError):
        see_choice(ctx, token)
    late = mailed(ctx, "bob@example.org")
    move_clock(ctx, 1801)
    with pytest.raises(TokenExpiredError):
        see_choice(ctx, late)


def test_a_topics_question_is_no_account_link(ctx: Context, world: World) -> None:
    world.topic()
    asked(ctx)
    with pytest.raises(TokenExpiredError):
        see_choice(ctx, last_token(ctx))


@pytest.mark.parametrize("name", ["", "call 555 123 4567", "see www.example", "x" * 61])
def test_a_name_that_could_carry_advertising_is_refused_and_the_link_still_works(
    ctx: Context, world: World, name: str
) -> None:
    token = mailed(ctx)
    with pytest.raises(PlainWordsError):
        choose(ctx, token, name=name, password=PASSWORD, client=CLIENT)
    assert choose(ctx, token, name="Alice", password=PASSWORD, client=CLIENT).session


@pytest.mark.parametrize("name", ["Northfield Garden Society", "NORTHFIELD", "north field"])
def test_nobody_can_call_themselves_what_the_organisation_is_called(ctx: Context, world: World, name: str) -> None:
    with pytest.raises(TakenNameError):
        choose(ctx, mailed(ctx), name=name, password=PASSWORD, client=CLIENT)


def test_a_password_of_ones_own_address_is_refused(ctx: Context, world: World) -> None:
    with pytest.raises(InvalidInputError) as caught:
        choose(ctx, mailed(ctx), name="Alice", password="alice@example.org", client=CLIENT)
    assert caught.value.field == "password"


def test_a_member_who_forgot_keeps_the_name_gets_the_password_and_loses_other_sessions(
    ctx: Context, world: World
) -> None:
    before = joined(ctx)
    token = mailed(ctx)
    assert (see_choice(ctx, token).is_new, see_choice(ctx, token).name) == (False, "Alice Berg")
    after = choose(ctx, token, name="Somebody Else", password=NEW, client=CLIENT)
    assert sessions.open_session(ctx, before.session) is None
    opened = sessions.open_session(ctx, after.session)
    assert opened is not None and members.see_account(ctx, opened.actor).name == "Alice Berg"
    with pytest.raises(InvalidInputError):
        members.sign_in_member(ctx, address=ALICE, password=PASSWORD, client=CLIENT)
    assert members.sign_in_member(ctx, address=ALICE, password=NEW, client=CLIENT).startswith("m.")
    assert kinds(ctx)[-2:] == ["member.password-chosen", "member.signed-in"]


@pytest.mark.parametrize(("agreed", "speaks"), [(False, "nl"), (True, "sv")])
def test_an_account_speaks_its_owners_language_not_the_one_an_inviter_guessed(
    ctx: Context, world: World, agreed: bool, speaks: str
) -> None:
    person = world.person(ALICE, locale="sv")
    if agreed:
        world.grant(person, *world.topic())
    submit_start(ctx, address=ALICE, network="192.0.2.0/24", locale="nl")
    process_member_requests(ctx)
    token = last_token(ctx)
    assert see_choice(ctx, token).locale == "nl"
    choose(ctx, token, name="Alice Berg", password=PASSWORD, client=CLIENT)
    with ctx.db.reading() as conn:
        assert conn.execute(select(contact.c.locale).where(contact.c.id == person.id)).scalar_one() == speaks


def test_one_comes_back_to_the_invitation_one_came_from_and_to_no_other_site(ctx: Context, world: World) -> None:
    waiting = "incoming/" + "ab" * 16
    token = mailed(ctx, back=waiting)
    assert choose(ctx, token, name="Alice", password=PASSWORD, client=CLIENT).back == f"/me/{waiting}"
    foreign = ("//evil.example", "../home", "https://evil.example/", waiting + "/accept", "x" * 900)
    for number, back in enumerate(foreign):
        token = mailed(ctx, f"person{number}@example.org", back=back)
        assert choose(ctx, token, name="Alice", password=PASSWORD, client=CLIENT).back == ""


def test_two_spellings_that_asked_at_once_make_one_account(ctx: Context, world: World) -> None:
    one = mailed(ctx, "alice+one@example.org")
    two = mailed(ctx, "alice+two@example.org")
    choose(ctx, one, name="Alice", password=PASSWORD, client=CLIENT)
    with pytest.raises(ConflictError):
        choose(ctx, two, name="Alice", password=PASSWORD, client=CLIENT)
    assert count(ctx, member) == 1


# signing in


def test_signing_in_runs_the_same_statements_for_known_and_unknown(ctx: Context, world: World) -> None:
    world.member("member@example.org", password=PASSWORD)
    closed = world.member("closed@example.org", password=PASSWORD)
    with ctx.db.transaction() as conn:
        store.change(conn, closed.id, closed=1, password_hash=None)
    traces = []
    for address, password in (
        ("member@example.org", NEW),
        ("nobody@example.org", PASSWORD),
        ("closed@example.org", PASSWORD),
        ("no address", PASSWORD),
    ):
        with statements(ctx) as trace, pytest.raises(InvalidInputError):
            members.sign_in_member(ctx, address=address, password=password, client=CLIENT)
        traces.append(trace)
    assert all(trace == traces[0] for trace in traces)


def test_a_staff_password_is_no_members_and_the_other_way_round(ctx: Context, world: World) -> None:
    world.member("member@example.org", password=PASSWORD)
    with pytest.raises(InvalidInputError):
        sessions.sign_in(ctx, address="member@example.org", password=PASSWORD, client=CLIENT)
    assert members.sign_in_member(ctx, address="member@example.org", password=PASSWORD, client=CLIENT)


def test_a_suspended_member_signs_in_but_does_not_act(ctx: Context, world: World) -> None:
    who = world.member("member@example.org", password=PASSWORD)
    with ctx.db.transaction() as conn:
        store.change(conn, who.id, suspended=world.now, suspended_for="reports")
    assert sessions.open_session(
        ctx, members.sign_in_member(ctx, address="member@example.org", password=PASSWORD, client=CLIENT)
    )
    with ctx.db.reading() as conn, pytest.raises(members.SuspendedError):
        members.must_be_active(conn, who.actor)
    assert members.see_account(ctx, who.actor).suspended_for == "reports"


def test_sessions_are_listed_revoked_and_forgotten_like_staffs(ctx: Context, world: World) -> None:
    who = world.member()
    first, second = session_of(ctx, who), session_of(ctx, who)
    other = session_of(ctx, world.member())
    assert {line.ref for line in sessions.list_sessions(ctx, who.actor)} == {first.ref, second.ref}
    with pytest.raises(NotFoundError):
        sessions.revoke_session(ctx, who.actor, other.ref)
    sessions.revoke_session(ctx, who.actor, first.ref)
    assert [line.ref for line in sessions.list_sessions(ctx, who.actor)] == [second.ref]
    assert sessions.revoke_other_sessions(ctx, second) == 0
    move_clock(ctx, 40 * 86_400)
    assert sessions.forget_old_sessions(ctx) == 3
    assert count(ctx, member_session) == 0


# one's own facts


def test_a_member_changes_name_language_zone_and_mail(ctx: Context, world: World) -> None:
    who = world.member()
    members.edit_account(ctx, who.actor, name="Alice Berg", locale="sv", timezone="Europe/Stockholm", notify=True)
    own = members.see_account(ctx, who.actor)
    assert (own.name, own.locale, own.timezone, own.notify) == ("Alice Berg", "sv", "Europe/Stockholm", True)
    members.edit_account(ctx, who.actor, name="Alice Berg", locale="sv", timezone="Europe/Stockholm", notify=True)
    assert kinds(ctx) == ["member.account-edited"]
    for field, wrong in (("name", "Northfield"), ("locale", "xx"), ("timezone", "Mars/Olympus")):
        facts: dict[str, Any] = {"name": "Alice", "locale": "en", "timezone": "UTC", "notify": False, field: wrong}
        with pytest.raises(InvalidInputError) as caught:
            members.edit_account(ctx, who.actor, **facts)
        assert caught.value.field == field


def test_changing_the_password_needs_the_present_one_and_leaves_one_session(ctx: Context, world: World) -> None:
    who = world.member("member@example.org", password=PASSWORD)
    here, there = session_of(ctx, who), session_of(ctx, who)
    with pytest.raises(InvalidInputError) as caught:
        members.change_member_password(ctx, here, present=NEW, new=NEW, client=CLIENT)
    assert caught.value.field == "present"
    fresh = members.change_member_password(ctx, here, present=PASSWORD, new=NEW, client=CLIENT)
    assert sessions.open_session(ctx, fresh) is not None
    assert count(ctx, member_session, member_session.c.ended.is_(None)) == 1
    assert there.ref not in {line.ref for line in sessions.list_sessions(ctx, who.actor)}


def test_a_member_is_told_only_if_they_asked_to_be(ctx: Context, world: World) -> None:
    who = world.member()
    for notify in (0, 1):
        with ctx.db.transaction() as conn:
            store.change(conn, who.id, notify=notify)
            row = members.must_be_active(conn, who.actor)
            members.tell_member(conn, ctx, ctx.db.now(conn), row, template="request", facts={})
        assert count(ctx, message, message.c.origin == "notice") == notify


# closing


def going(ctx: Context, world: World, who: MadeMember, other: MadeMember) -> None:
    """A link and a request through it, an invitation nobody answered, and a connection of these two."""
    handed(ctx, who)
    requested(ctx, who, world.person())
    connected(ctx, who, other.person)


def test_closing_ends_connections_links_invitations_and_sessions_and_erases(ctx: Context, world: World) -> None:
    who, other = world.member("member@example.org", password=PASSWORD), world.member()
    going(ctx, world, who, other)
    session = session_of(ctx, who)
    with pytest.raises(InvalidInputError):
        close_account(ctx, session, NEW)
    close_account(ctx, session, PASSWORD)
    assert count(ctx, connection, connection.c.ended.is_(None)) == 0
    assert count(ctx, connect_link, connect_link.c.closed.is_(None)) == 0
    assert count(ctx, invitation, invitation.c.answer == "cancelled") == 1
    assert count(ctx, invitation, invitation.c.settlement == "refused") == 1
    assert count(ctx, invitation, invitation.c.note_box.is_not(None) | invitation.c.label_box.is_not(None)) == 0
    assert count(ctx, member, member.c.name_box.is_not(None), member.c.id == who.id) == 0
    assert not is_held(ctx, who.person.id) and is_held(ctx, other.person.id)
    with pytest.raises(InvalidInputError):
        members.sign_in_member(ctx, address="member@example.org", password=PASSWORD, client=CLIENT)
    with pytest.raises(NotFoundError):
        members.see_account(ctx, who.actor)
    done = kinds(ctx)
    for kind in ("connection.ended", "connect-link.closed", "invitation.cancelled", "member.closed", "contact.erased"):
        assert kind in done


def test_who_agreed_to_mail_is_still_held_after_closing(ctx: Context, world: World) -> None:
    who = world.member("member@example.org", password=PASSWORD)
    world.grant(who.person, *world.topic())
    close_account(ctx, session_of(ctx, who), PASSWORD)
    assert is_held(ctx, who.person.id)


def test_a_password_link_still_on_its_way_makes_no_account_anew(ctx: Context, world: World) -> None:
    who = world.member(ALICE, password=PASSWORD)
    token = mailed(ctx)
    close_account(ctx, session_of(ctx, who), PASSWORD)
    with pytest.raises(TokenExpiredError):
        see_choice(ctx, token)


def test_who_comes_back_after_inviting_has_their_record_again(ctx: Context, world: World) -> None:
    who, other = world.member(ALICE, password=PASSWORD), world.member()
    going(ctx, world, who, other)
    with ctx.db.transaction() as conn:
        store.change(conn, who.id, suspended=world.now, suspended_for="reports")
    close_account(ctx, session_of(ctx, who), PASSWORD)
    assert not is_held(ctx, who.person.id)
    opened = sessions.open_session(ctx, joined(ctx, "alice+again@example.org", "Alice Again").session)
    assert opened is not None and opened.owner_id == who.id
    own = members.see_account(ctx, opened.actor)
    assert (own.name, own.suspended_for) == ("Alice Again", "reports")


def test_who_never_invited_leaves_nothing_to_be_known_by(ctx: Context, world: World) -> None:
    who = world.member(ALICE, password=PASSWORD)
    close_account(ctx, session_of(ctx, who), PASSWORD)
    key = ctx.keyring.blind("mailbox", addresses.parse(ALICE).mailbox)
    assert count(ctx, mailbox, mailbox.c.mailbox_key == key) == 0


def strangers(ctx: Context, people: Collection[int]) -> set[int]:
    with ctx.db.reading() as conn:
        return set(leaving.only_asked(conn, people))


def test_an_open_account_holds_its_owner_and_a_closed_one_does_not(ctx: Context, world: World) -> None:
    who = world.member()
    assert strangers(ctx, [who.person.id]) == set()
    with ctx.db.transaction() as conn:
        store.change(conn, who.id, closed=1)
    assert strangers(ctx, [who.person.id]) == {who.person.id}


def test_a_waiting_invitation_holds_whom_it_is_for(ctx: Context, world: World) -> None:
    who, invited = world.member(), world.person()
    row = {"ref": b"i" * 16, "member": who.id, "way": "mail", "contact": invited.id, "mailbox": invited.mailbox}
    with ctx.db.transaction() as conn:
        conn.execute(insert(invitation).values(**row, locale="en", asked=1, expires=2))
    assert strangers(ctx, [invited.id]) == set()
    with ctx.db.transaction() as conn:
        conn.execute(update(invitation).values(answered=2, answer="expired"))
    assert strangers(ctx, [invited.id]) == {invited.id}


def test_the_log_of_all_this_verifies(ctx: Context, world: World) -> None:
    who = world.member("member@example.org", password=PASSWORD)
    joined(ctx)
    handed(ctx, who)
    requested(ctx, who, world.person())
    close_account(ctx, session_of(ctx, who), PASSWORD)
    while seal(ctx, 1) is not None:
        pass
    assert verify(ctx).is_clean


def test_the_engine_says_nothing_when_nothing_is_due(ctx: Context) -> None:
    assert process_member_requests(ctx) == 0
    assert join.path_of("") == ""
