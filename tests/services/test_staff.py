"""Accounts: the one set-up link, inviting, forgetting, changing roles, leaving, and what each of them ends."""

import json

import pytest
from sqlalchemy import func, select, update

from outreach.domain.actors import Role
from outreach.domain.errors import (
    ConflictError,
    InvalidInputError,
    NotAllowedError,
    TokenError,
    TokenExpiredError,
)
from outreach.domain.tokens import Purpose
from outreach.services import sessions, set_up, staff, staff_passwords
from outreach.services.context import Context
from outreach.services.controller import Controller
from outreach.services.senders import SenderFacts
from outreach.store.boxes import ContactKeys
from outreach.store.schema.audit import audit_entry
from outreach.store.schema.campaigns import campaign, message
from outreach.store.schema.consents import request
from outreach.store.schema.organisation import controller, one_time_link, sender, staff_session
from outreach.store.schema.organisation import staff as staff_table
from outreach.store.schema.people import contact
from tests.factories import World
from tests.services.staffing import CLIENT, PASSWORD, hire, kinds, session_of
from tests.services.test_sessions import shift, statements

FIRST = set_up.SetUp(
    controller=Controller(
        name="Northfield", postal_address="1 Orchard Lane", country="SE", timezone="Europe/Stockholm"
    ),
    sender=SenderFacts(
        name="Northfield", postal_address="1 Orchard Lane", from_local="news", from_domain="northfield.example"
    ),
    name="Alice Archer",
    address="alice@northfield.example",
    password=PASSWORD,
    roles=frozenset({Role.OFFICER}),
)
INVITED = staff.Invitation(name="Bob", address="bob@northfield.example", roles=frozenset({Role.MARKETER}))


def mailed_tokens(ctx: Context) -> list[str]:
    """Tokens in the notices that were queued, oldest first."""
    with ctx.db.reading() as conn:
        keys = ContactKeys(ctx.keyring, conn)
        rows = conn.execute(select(message).where(message.c.origin == "notice").order_by(message.c.id)).all()
        facts = [keys.facts(row.contact, row.body_box) for row in rows]
    assert all(one["template"] in {"staff-password", "staff-reset"} and one["facts"]["hours"] == 24 for one in facts)
    return [one["facts"]["token"] for one in facts]


def token_of(link: str) -> str:
    return link.rsplit("/", 1)[1]


def test_the_set_up_link_makes_everything_once_and_signs_in(ctx: Context) -> None:
    link = set_up.make_set_up_link(ctx)
    assert link.startswith(f"{ctx.settings.public_url}/set-up/")
    set_up.see_set_up(ctx, token_of(link))
    opened = sessions.open_session(ctx, set_up.set_up(ctx, token_of(link), FIRST, CLIENT))
    assert opened is not None
    assert opened.roles == {Role.ADMINISTRATOR, Role.OFFICER}
    with ctx.db.reading() as conn:
        assert conn.execute(select(controller.c.name)).scalar_one() == "Northfield"
        assert conn.execute(select(sender.c.from_domain)).scalar_one() == "northfield.example"
        key = conn.execute(select(one_time_link.c.key)).scalar_one()
    assert token_of(link).encode() not in key
    with pytest.raises(ConflictError):
        set_up.set_up(ctx, token_of(link), FIRST, CLIENT)
    assert set_up.make_set_up_link(ctx) == ""


def test_a_newer_set_up_link_replaces_the_older(ctx: Context) -> None:
    old, new = set_up.make_set_up_link(ctx), set_up.make_set_up_link(ctx)
    with pytest.raises(TokenExpiredError):
        set_up.set_up(ctx, token_of(old), FIRST, CLIENT)
    set_up.set_up(ctx, token_of(new), FIRST, CLIENT)


def test_no_other_token_sets_up(ctx: Context) -> None:
    with ctx.db.reading() as conn:
        now = ctx.db.now(conn)
    for token in (
        ctx.tokens.issue(Purpose.STOP, b"x" * 16, now),
        ctx.tokens.issue(Purpose.SET_UP, b"x" * 16, now),
        "x",
    ):
        with pytest.raises(TokenError):
            set_up.set_up(ctx, token, FIRST, CLIENT)
    with ctx.db.reading() as conn:
        assert conn.execute(select(func.count()).select_from(staff_table)).scalar_one() == 0


def test_a_fault_in_the_set_up_form_leaves_nothing_behind(ctx: Context) -> None:
    token = token_of(set_up.make_set_up_link(ctx))
    bad = SenderFacts(name="N", postal_address="1 Orchard Lane", from_local="news", from_domain="gmail.com")
    with pytest.raises(InvalidInputError) as caught:
        set_up.set_up(ctx, token, set_up.SetUp(**{**vars(FIRST), "sender": bad}), CLIENT)
    assert caught.value.field == "sender_name"
    with ctx.db.reading() as conn:
        for table in (staff_table, controller, sender, staff_session, contact, audit_entry):
            assert conn.execute(select(func.count()).select_from(table)).scalar_one() == 0
    set_up.set_up(ctx, token, FIRST, CLIENT)


def test_an_invited_person_chooses_a_password_by_mail_and_may_then_sign_in(ctx: Context, world: World) -> None:
    boss = session_of(ctx, hire(world))
    ref = staff.invite_staff(ctx, boss, INVITED)
    assert not staff.see_member(ctx, boss.actor, ref).has_password
    (token,) = mailed_tokens(ctx)
    staff_passwords.see_password_link(ctx, token)
    staff_passwords.choose_password(ctx, token, "eight calm otters")
    with pytest.raises(TokenExpiredError):
        staff_passwords.choose_password(ctx, token, "nine calm otters")
    assert sessions.sign_in(ctx, address="bob@northfield.example", password="eight calm otters", client=CLIENT)
    member = staff.see_member(ctx, boss.actor, ref)
    assert (member.name, member.masked, member.roles) == ("Bob", "b•••@n•••.example", (Role.MARKETER,))


def test_nothing_in_the_log_names_the_invited(ctx: Context, world: World) -> None:
    staff.invite_staff(ctx, session_of(ctx, hire(world)), INVITED)
    with ctx.db.reading() as conn:
        bodies = "".join(conn.execute(select(audit_entry.c.body)).scalars())
    assert "bob" not in bodies.lower() and "@" not in bodies


def test_nobody_is_invited_twice(ctx: Context, world: World) -> None:
    boss = session_of(ctx, hire(world))
    staff.invite_staff(ctx, boss, INVITED)
    with pytest.raises(InvalidInputError):
        staff.invite_staff(ctx, boss, INVITED)
    assert len(mailed_tokens(ctx)) == 1


def test_a_reader_who_becomes_staff_keeps_what_was_known_and_gains_a_name(ctx: Context, world: World) -> None:
    reader = world.person("bob@northfield.example", town="Northfield")
    staff.invite_staff(ctx, session_of(ctx, hire(world)), INVITED)
    with ctx.db.reading() as conn:
        box = conn.execute(select(contact.c.fields_box).where(contact.c.id == reader.id)).scalar_one()
        assert ContactKeys(ctx.keyring, conn).facts(reader.id, box) == {"town": "Northfield", "name": "Bob"}


def test_inviting_again_ends_the_earlier_link(ctx: Context, world: World) -> None:
    boss = session_of(ctx, hire(world))
    ref = staff.invite_staff(ctx, boss, INVITED)
    staff.invite_again(ctx, boss, ref)
    old, new = mailed_tokens(ctx)
    with pytest.raises(TokenExpiredError):
        staff_passwords.choose_password(ctx, old, "eight calm otters")
    staff_passwords.choose_password(ctx, new, "eight calm otters")


def test_only_administrators_who_gave_their_password_lately_change_who_may_do_what(ctx: Context, world: World) -> None:
    hired = hire(world)
    ref = staff.invite_staff(ctx, session_of(ctx, hired), INVITED)
    with pytest.raises(NotAllowedError):
        staff.invite_staff(ctx, session_of(ctx, hire(world, "marketer,officer")), INVITED)
    with ctx.db.transaction() as conn:
        token = sessions.begin_session(ctx, conn, ctx.db.now(conn), hired, CLIENT)
    shift(ctx, 601)
    stale = sessions.open_session(ctx, token)
    assert stale is not None
    for act in (
        lambda: staff.invite_staff(ctx, stale, INVITED),
        lambda: staff.change_roles(ctx, stale, ref, {Role.OFFICER}),
        lambda: staff.disable_staff(ctx, stale, ref),
    ):
        with pytest.raises(NotAllowedError):
            act()


def test_forgetting_writes_one_request_whoever_it_is(ctx: Context, world: World) -> None:
    hire(world, address="alice@northfield.example")
    traces = []
    for address in ("alice@northfield.example", "nobody@example.org"):
        with statements(ctx) as trace:
            staff_passwords.forgot_password(ctx, address=address, network="192.0.2.0/24")
        traces.append(trace)
    assert traces[0] == traces[1]
    with ctx.db.reading() as conn:
        rows = conn.execute(select(request)).all()
    assert [row.door for row in rows] == ["staff-reset", "staff-reset"]
    assert b"alice" not in b"".join(row.payload_box for row in rows)
    assert mailed_tokens(ctx) == []


def test_the_engine_mails_a_link_to_staff_only_and_three_a_day_at_most(ctx: Context, world: World) -> None:
    hire(world, address="alice@northfield.example")
    world.person("reader@example.org")
    for address in ["alice@northfield.example"] * 5 + ["reader@example.org", "nobody@example.org"]:
        staff_passwords.forgot_password(ctx, address=address, network="192.0.2.0/24")
    assert staff_passwords.process_staff_requests(ctx) == 7
    assert staff_passwords.process_staff_requests(ctx) == 0
    assert len(mailed_tokens(ctx)) == 3


def test_a_forgotten_password_that_cannot_be_opened_waits_and_stops_no_other(ctx: Context, world: World) -> None:
    hire(world, address="alice@northfield.example")
    for _ in range(2):
        staff_passwords.forgot_password(ctx, address="alice@northfield.example", network="n")
    with ctx.db.transaction() as conn:
        first = conn.execute(select(func.min(request.c.id))).scalar_one()
        conn.execute(update(request).where(request.c.id == first).values(payload_box=b"sealed with another key, once"))
    assert staff_passwords.process_staff_requests(ctx) == 2
    assert kinds(ctx) == ["staff.password-asked"]
    with ctx.db.reading() as conn:
        assert conn.execute(select(request.c.id).where(request.c.settled.is_(None))).scalars().all() == [first]
    assert staff_passwords.process_staff_requests(ctx) == 0


def test_a_chosen_password_ends_every_session_and_every_other_link(ctx: Context, world: World) -> None:
    hired = hire(world, address="alice@northfield.example")
    for _ in range(2):
        staff_passwords.forgot_password(ctx, address="alice@northfield.example", network="n")
    staff_passwords.process_staff_requests(ctx)
    open_now = session_of(ctx, hired)
    one, two = mailed_tokens(ctx)
    staff_passwords.choose_password(ctx, one, "eight calm otters")
    assert sessions.list_sessions(ctx, open_now.actor) == []
    with pytest.raises(TokenExpiredError):
        staff_passwords.choose_password(ctx, two, "eight calm otters")
    with pytest.raises(InvalidInputError):
        sessions.sign_in(ctx, address="alice@northfield.example", password=PASSWORD, client=CLIENT)


def test_a_changed_password_ends_every_session_but_the_new_one(ctx: Context, world: World) -> None:
    hired = hire(world)
    session_of(ctx, hired)
    present = session_of(ctx, hired)
    with pytest.raises(InvalidInputError):
        staff_passwords.change_password(ctx, present, present="wrong", new="eight calm otters", client=CLIENT)
    token = staff_passwords.change_password(ctx, present, present=PASSWORD, new="eight calm otters", client=CLIENT)
    fresh = sessions.open_session(ctx, token)
    assert fresh is not None
    assert [line.ref for line in sessions.list_sessions(ctx, fresh.actor)] == [fresh.ref]


def test_the_last_working_administrator_stays(ctx: Context, world: World) -> None:
    boss = session_of(ctx, hire(world))
    staff.invite_staff(ctx, boss, staff.Invitation(name="B", address="b@northfield.example", roles=frozenset(Role)))
    own = next(member.ref for member in staff.list_staff(ctx, boss.actor) if member.is_self)
    with pytest.raises(ConflictError):
        staff.change_roles(ctx, boss, own, {Role.OFFICER})
    with pytest.raises(ConflictError):
        staff.disable_staff(ctx, boss, own)
    second = session_of(ctx, hire(world))
    staff.change_roles(ctx, second, own, {Role.OFFICER})
    assert staff.see_member(ctx, second.actor, own).roles == (Role.OFFICER,)


def test_disabling_ends_sessions_and_links_and_pauses_what_was_going_out(ctx: Context, world: World) -> None:
    boss = session_of(ctx, hire(world))
    leaver_id = hire(world, "marketer", address="bob@northfield.example")
    topic, _ = world.topic()
    going = {state: world.campaign(topic, author=leaver_id, state=state) for state in ("draft", "scheduled", "sending")}
    other = world.campaign(topic, author=boss.owner_id, state="sending")
    leaver = session_of(ctx, leaver_id)
    staff_passwords.forgot_password(ctx, address="bob@northfield.example", network="n")
    staff_passwords.process_staff_requests(ctx)
    assert staff.disable_staff(ctx, boss, leaver.owner_ref) == 2
    assert sessions.list_sessions(ctx, leaver.actor) == []
    with ctx.db.reading() as conn:
        rows = {row.id: row for row in conn.execute(select(campaign))}
        paused = select(audit_entry.c.body).where(audit_entry.c.kind == "campaign.paused")
        reasons = [json.loads(body)["reason"] for body in conn.execute(paused).scalars()]
    assert rows[going["draft"]].state == "draft"
    assert (rows[going["scheduled"]].state, rows[going["scheduled"]].resumes_to) == ("paused", "scheduled")
    assert (rows[going["sending"]].state, rows[going["sending"]].resumes_to) == ("paused", "sending")
    assert rows[going["sending"]].pause_reason == "author disabled"
    assert rows[other].state == "sending"
    assert reasons == ["author disabled"] * 2
    with pytest.raises(TokenExpiredError):
        staff_passwords.choose_password(ctx, mailed_tokens(ctx)[0], "eight calm otters")
    staff.enable_staff(ctx, boss, leaver.owner_ref)
    assert sessions.sign_in(ctx, address="bob@northfield.example", password=PASSWORD, client=CLIENT)
    assert "staff.enabled" in kinds(ctx)


def test_ones_own_page_shows_the_address_in_full_and_takes_a_name(ctx: Context, world: World) -> None:
    session = session_of(ctx, hire(world, "marketer", address="bob@northfield.example"))
    staff.edit_profile(ctx, session.actor, name="Bob Baker", timezone="Europe/Amsterdam")
    profile = staff.see_profile(ctx, session.actor)
    assert (profile.name, profile.address, profile.timezone) == (
        "Bob Baker",
        "bob@northfield.example",
        "Europe/Amsterdam",
    )
    for name, timezone in (("", "UTC"), ("bob@northfield.example", "UTC"), ("Bob", "Mars/Olympus")):
        with pytest.raises(InvalidInputError):
            staff.edit_profile(ctx, session.actor, name=name, timezone=timezone)
