"""A stop in a mail that belongs to nothing: what members and staff are told of our own accord ends too, and returns."""

import json

import pytest
from sqlalchemy import select, update

from outreach.domain.errors import ConflictError
from outreach.domain.tokens import Purpose
from outreach.mail.inbound.incoming import Kind
from outreach.services.confirm import Client
from outreach.services.context import Context
from outreach.services.intake.complaints import complain
from outreach.services.intake.process import _stop as stop_by_mail
from outreach.services.intake.undo import undo_report
from outreach.services.members import edit_account
from outreach.services.outbox import queue_notice
from outreach.services.withdraw import undo, withdraw
from outreach.store import consents
from outreach.store.contacts import find_by_id
from outreach.store.inbound import Told
from outreach.store.schema.audit import audit_entry
from outreach.store.schema.campaigns import message
from outreach.store.schema.inbound import inbound_report
from outreach.store.schema.members import member
from outreach.store.schema.organisation import staff
from tests.factories import World
from tests.services.owning import OFFICER, WHY
from tests.services.people import count, letter, link

HOME = Client("203.0.113.9", "Firefox")


@pytest.fixture
def told(ctx: Context, world: World) -> int:
    """A contact with both accounts, told by both."""
    made = world.member("anna@example.org")
    account = world.staff()
    with ctx.db.transaction() as conn:
        conn.execute(update(member).values(notify=1))
        conn.execute(update(staff).where(staff.c.id == account).values(contact=made.person.id))
    return made.person.id


def switches(ctx: Context) -> tuple[int, int]:
    """(the member's, the staff's)."""
    with ctx.db.reading() as conn:
        return conn.execute(select(member.c.notify)).scalar_one(), conn.execute(
            select(staff.c.told_of_dues)
        ).scalar_one()


def log(ctx: Context) -> list[tuple[str, str]]:
    with ctx.db.reading() as conn:
        rows = conn.execute(select(audit_entry).where(audit_entry.c.kind.like("notices.%")).order_by(audit_entry.c.id))
        return [(row.kind, json.loads(row.body)["of"]) for row in rows]


@pytest.mark.parametrize("how", ["one-click", "page", "everything"])
def test_a_stop_in_a_notice_ends_them_and_says_so_in_the_log(ctx: Context, world: World, told: int, how: str) -> None:
    token = link(ctx, Purpose.STOP, letter(ctx, world, told, None, origin="notice"))
    assert withdraw(ctx, token, how, HOME).changed == 2
    assert switches(ctx) == (0, 0)
    assert log(ctx) == [("notices.stopped", "member"), ("notices.stopped", "staff")]
    assert withdraw(ctx, token, how, HOME).changed == 0


def test_everything_ends_them_from_a_campaigns_mail_and_its_topic_alone_does_not(
    ctx: Context, world: World, told: int
) -> None:
    topic, _ = world.topic()
    token = link(ctx, Purpose.STOP, letter(ctx, world, told, topic))
    assert withdraw(ctx, token, "one-click", HOME).changed == 0
    assert switches(ctx) == (1, 1)
    assert withdraw(ctx, token, "everything", HOME).changed == 2
    assert switches(ctx) == (0, 0)


def test_undo_puts_back_what_that_press_took_and_nothing_else(ctx: Context, world: World, told: int) -> None:
    with ctx.db.transaction() as conn:
        conn.execute(update(member).values(notify=0))  # by choice, long ago
    token = link(ctx, Purpose.STOP, letter(ctx, world, told, None, origin="notice"))
    pressed = withdraw(ctx, token, "everything", HOME)
    assert pressed.changed == 1
    assert pressed.undo is not None
    assert undo(ctx, pressed.undo, HOME) == 1
    assert switches(ctx) == (0, 1)
    assert log(ctx) == [("notices.stopped", "staff"), ("notices.resumed", "staff")]
    assert undo(ctx, pressed.undo, HOME) == 0
    with pytest.raises(ConflictError):
        undo(ctx, link(ctx, Purpose.UNDO, b"x" * 16), HOME)


def test_undo_of_a_press_leaves_what_its_owner_chose_since_and_what_a_later_press_took(
    ctx: Context, world: World
) -> None:
    made = world.member("anna@example.org")
    own = {"name": "Alice", "locale": "en", "timezone": "UTC"}
    edit_account(ctx, made.actor, notify=True, **own)
    pages = [link(ctx, Purpose.STOP, letter(ctx, world, made.person.id, None, origin="notice")) for _ in range(2)]
    pressed = withdraw(ctx, pages[0], "everything", HOME)
    assert pressed.undo is not None
    edit_account(ctx, made.actor, notify=True, **own)
    edit_account(ctx, made.actor, notify=False, **own)
    assert undo(ctx, pressed.undo, HOME) == 0
    assert count(ctx, member, member.c.notify == 1) == 0
    edit_account(ctx, made.actor, notify=True, **own)
    assert withdraw(ctx, pages[1], "one-click", HOME).changed == 1
    assert undo(ctx, pressed.undo, HOME) == 0
    assert count(ctx, member, member.c.notify == 1) == 0


@pytest.mark.parametrize(("template", "goes"), [("answered", False), ("staff-dues", False), ("staff-reset", True)])
def test_what_waits_to_go_out_is_withheld_but_for_what_was_asked_for(
    ctx: Context, world: World, told: int, template: str, goes: bool
) -> None:
    with ctx.db.transaction() as conn:
        reader = find_by_id(conn, told)
        assert reader is not None
        waits = queue_notice(conn, ctx, ctx.db.now(conn), reader, template=template, facts={})
    withdraw(ctx, link(ctx, Purpose.STOP, letter(ctx, world, told, None, origin="notice")), "one-click", HOME)
    with ctx.db.reading() as conn:
        state = conn.execute(select(message.c.state).where(message.c.ref == waits)).scalar_one()
    assert state == ("planned" if goes else "withheld")


def test_a_mail_to_the_stop_address_stops_each_time_and_is_reported_once(ctx: Context, world: World, told: int) -> None:
    ref = letter(ctx, world, told, None, origin="notice")
    for _ in range(2):
        with ctx.db.transaction() as conn:
            row = conn.execute(select(message.c.id).where(message.c.ref == ref)).one()
            said = Told(message=row.id, kind=Kind.UNSUBSCRIBE, status="", words="", reporting="")
            stop_by_mail(conn, ctx, ctx.db.now(conn), said, ref)
        assert switches(ctx) == (0, 0)
        with ctx.db.transaction() as conn:
            conn.execute(update(member).values(notify=1))
    assert count(ctx, inbound_report) == 1


def test_a_complaint_ends_them_and_who_undoes_it_brings_them_back(ctx: Context, world: World, told: int) -> None:
    ref = letter(ctx, world, told, None, origin="notice")
    with ctx.db.transaction() as conn:
        row = conn.execute(select(message.c.id).where(message.c.ref == ref)).one()
        consents.lock_contacts(conn, [told])
        said = Told(message=row.id, kind=Kind.COMPLAINT, status="", words="", reporting="x")
        complain(conn, ctx, ctx.db.now(conn), said, "example.org")
    assert switches(ctx) == (0, 0)
    with ctx.db.reading() as conn:
        report = conn.execute(select(inbound_report.c.ref)).scalar_one()
    undo_report(ctx, OFFICER, report, WHY)
    assert switches(ctx) == (1, 1)


def test_an_account_that_is_closed_has_nothing_to_stop(ctx: Context, world: World, told: int) -> None:
    with ctx.db.transaction() as conn:
        conn.execute(update(member).values(closed=1))
        conn.execute(update(staff).values(disabled=1))
    token = link(ctx, Purpose.STOP, letter(ctx, world, told, None, origin="notice"))
    assert withdraw(ctx, token, "everything", HOME).changed == 0
