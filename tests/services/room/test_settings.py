"""What people set for all mail together holds for the very next mail, and never lets more through than was promised."""

import pytest
from sqlalchemy import select

from outreach.domain.errors import InvalidInputError
from outreach.domain.frequency import Cap
from outreach.services.context import Context
from outreach.services.room.history import see_history
from outreach.services.room.settings import Times, see_limits, see_times, set_times, set_total
from outreach.store.decide import load_rule
from outreach.store.planning import judge_messages
from outreach.store.schema.audit import audit_entry
from outreach.store.schema.campaigns import message
from tests.factories import World
from tests.services.owning import agreed, fresh_link, held
from tests.services.people import letter

WEEK = 7 * 86_400


def judged(ctx: Context, ref: bytes) -> tuple[str | None, bool]:
    """(reason, whether it may go now) of a planned mail, by the rule of hand-off."""
    with ctx.db.reading() as conn:
        now = ctx.db.now(conn)
        identity = conn.execute(select(message.c.id).where(message.c.ref == ref)).scalar_one()
        (verdict,) = judge_messages(conn, load_rule(conn, now), [identity], now)
    return verdict.reason, verdict.due <= now


def test_a_cap_over_everything_is_below_the_ceiling_and_binds_the_next_mail(ctx: Context, world: World) -> None:
    world.cap("total", 5, WEEK)
    made, _ = world.topic(cap_n=5)
    person = agreed(ctx)
    token = fresh_link(ctx, person)
    assert see_limits(ctx, token).ceiling == Cap(5, WEEK)
    for cap in (Cap(5, WEEK), Cap(6, WEEK), Cap(1, 86_400)):
        with pytest.raises(InvalidInputError):
            set_total(ctx, token, cap)
    letter(ctx, world, person.id, made)
    planned = letter(ctx, world, person.id, made, state="planned", counted=None, settled=None)
    assert judged(ctx, planned)[0] is None
    assert set_total(ctx, token, Cap(1, WEEK)) is None
    with ctx.db.reading() as conn:
        row = conn.execute(select(message.c.state, message.c.reason).where(message.c.ref == planned)).one()
    assert tuple(row) == ("withheld", "cap_own")
    another = letter(ctx, world, person.id, made, state="planned", counted=None, settled=None)
    assert judged(ctx, another)[0] == "cap_own"
    assert see_limits(ctx, token).got == 1
    assert set_total(ctx, token, None) == Cap(1, WEEK)
    assert judged(ctx, another)[0] is None


def test_own_quiet_hours_take_the_place_of_the_organisations_for_this_person_alone(ctx: Context, world: World) -> None:
    made, text = world.topic()
    person = agreed(ctx)
    other = world.person("bob@example.org")
    world.grant(other, made, text)
    mine, theirs = (
        letter(ctx, world, who.id, made, state="planned", counted=None, settled=None) for who in (person, other)
    )
    token = fresh_link(ctx, person)
    with ctx.db.reading() as conn:
        hour = ctx.db.now(conn) // 3_600_000_000 % 24
    around = ((hour - 1) % 24 * 60, (hour + 2) % 24 * 60)
    _, times = see_times(ctx, token)
    assert times.own is None
    set_times(ctx, token, Times(around, times.usual, "UTC", "sv"))
    assert (judged(ctx, mine), judged(ctx, theirs)) == ((None, False), (None, True))
    assert held(ctx).locale == "sv"
    assert see_times(ctx, token)[1].own == around
    set_times(ctx, token, Times((0, 0), times.usual, "UTC", "en"))
    assert judged(ctx, mine) == (None, True)
    with ctx.db.reading() as conn:
        kinds = conn.execute(select(audit_entry.c.kind).where(audit_entry.c.actor == "recipient:room")).scalars().all()
    assert kinds == ["contact.corrected", "contact.quiet-hours"] * 2


@pytest.mark.parametrize("own", [(8 * 60, 7 * 60), (2000, 10)])
def test_hours_that_leave_no_room_for_mail_are_refused(ctx: Context, world: World, own: tuple[int, int]) -> None:
    token = fresh_link(ctx, world.person())
    _, times = see_times(ctx, token)
    with pytest.raises(InvalidInputError):
        set_times(ctx, token, Times(own, times.usual, "Europe/Stockholm", "en"))
    assert see_times(ctx, token)[1] == times


def test_the_history_has_every_mail_sent_and_withheld_with_its_reason_and_nobody_elses(
    ctx: Context, world: World
) -> None:
    made, text = world.topic()
    person = world.person("alice@example.org")
    world.grant(person, made, text)
    refs = [letter(ctx, world, person.id, made) for _ in range(26)]
    refs += [
        letter(ctx, world, person.id, made, state="withheld", counted=None, reason=reason)
        for reason in ("paused", "cap_promise", "never")
    ]
    letter(ctx, world, world.person("bob@example.org").id, made)
    token = fresh_link(ctx, person)
    first = see_history(ctx, token)
    second = see_history(ctx, token, bytes.fromhex(first.older))
    shown = [*first.mails, *second.mails]
    assert [mail.ref for mail in shown] == refs[::-1]
    assert second.older == ""
    assert [mail.reason for mail in shown[:4]] == ["never", "cap_promise", "paused", ""]
    assert {bool(mail.why) for mail in shown[:3]} == {False}
