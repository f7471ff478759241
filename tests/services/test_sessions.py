"""Signing in, sessions that end by themselves or by command, and answers that tell nobody who has an account."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import event, select, update

from outreach.domain.errors import InvalidInputError, NotFoundError
from outreach.services import passwords, sessions
from outreach.services.context import Context
from outreach.store.schema.organisation import staff, staff_session
from tests.factories import World
from tests.services.staffing import CLIENT, PASSWORD, hire, kinds, session_of

MINUTE = 60_000_000


@contextmanager
def statements(ctx: Context) -> Iterator[list[str]]:
    """The SQL statements run inside."""
    seen: list[str] = []

    def note(_conn: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        seen.append(statement)

    event.listen(ctx.db.engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(ctx.db.engine, "before_cursor_execute", note)


def shift(ctx: Context, seconds: float) -> None:
    assert ctx.settings.clock_file is not None
    ctx.settings.clock_file.write_text(str(seconds))


def test_the_right_password_starts_a_session_of_256_bits_that_the_table_does_not_hold(
    ctx: Context, world: World
) -> None:
    hired = hire(world, address="alice@northfield.example")
    token = sessions.sign_in(ctx, address="alice@northfield.example", password=PASSWORD, client=CLIENT)
    opened = sessions.open_session(ctx, token)
    assert opened is not None
    assert opened.owner_id == hired
    assert len(token) == 43
    with ctx.db.reading() as conn:
        row = conn.execute(select(staff_session)).one()
    assert token.encode() not in row.key and b"Firefox" not in row.client_box
    assert kinds(ctx) == ["staff.signed-in"]


def test_two_sign_ins_have_two_ids(ctx: Context, world: World) -> None:
    hire(world, address="alice@northfield.example")
    one = sessions.sign_in(ctx, address="alice@northfield.example", password=PASSWORD, client=CLIENT)
    two = sessions.sign_in(ctx, address="alice@northfield.example", password=PASSWORD, client=CLIENT)
    assert one != two
    assert sessions.open_session(ctx, one) and sessions.open_session(ctx, two)


def test_unknown_wrong_and_disabled_run_the_same_statements_and_say_the_same(ctx: Context, world: World) -> None:
    hire(world, address="alice@northfield.example")
    gone = hire(world, address="gone@northfield.example")
    with ctx.db.transaction() as conn:
        conn.execute(update(staff).where(staff.c.id == gone).values(disabled=1))
    world.person("reader@example.org")
    traces, words = [], set()
    for address in ("alice@northfield.example", "gone@northfield.example", "reader@example.org", "nobody@example.org"):
        with statements(ctx) as trace, pytest.raises(InvalidInputError) as caught:
            sessions.sign_in(ctx, address=address, password="not the password", client=CLIENT)
        traces.append(trace)
        words.add(str(caught.value))
    assert all(trace == traces[0] for trace in traces)
    assert len(words) == 1
    assert kinds(ctx) == []


def test_an_unknown_address_costs_one_argon2_verification_like_a_known_one(monkeypatch: pytest.MonkeyPatch) -> None:
    count: list[str] = []
    hasher = passwords._HASHER

    class Counting:
        def verify(self, held: str, given: str) -> bool:
            count.append(held)
            return hasher.verify(held, given)

        def hash(self, text: str) -> str:
            return hasher.hash(text)

    monkeypatch.setattr(passwords, "_HASHER", Counting())
    assert not passwords.matches(None, "anything")
    assert not passwords.matches(hasher.hash("something else"), "anything")
    assert len(count) == 2
    assert all("m=19456,t=2,p=1" in held for held in count)


def test_a_session_ends_after_eight_idle_hours(ctx: Context, world: World) -> None:
    hired = hire(world)
    with ctx.db.transaction() as conn:
        token = sessions.begin_session(ctx, conn, ctx.db.now(conn), hired, CLIENT)
    shift(ctx, 8 * 3600 - 60)
    assert sessions.open_session(ctx, token) is not None
    shift(ctx, 16 * 3600)
    assert sessions.open_session(ctx, token) is None


def test_a_session_ends_after_seven_days_however_busy(ctx: Context, world: World) -> None:
    hired = hire(world)
    with ctx.db.transaction() as conn:
        token = sessions.begin_session(ctx, conn, ctx.db.now(conn), hired, CLIENT)
    for hours in range(7, 7 * 24, 7):
        shift(ctx, hours * 3600)
        assert sessions.open_session(ctx, token) is not None
    shift(ctx, 7 * 86400 + 1)
    assert sessions.open_session(ctx, token) is None


def test_last_seen_is_written_once_a_minute_at_most(ctx: Context, world: World) -> None:
    hired = hire(world)
    with ctx.db.transaction() as conn:
        token = sessions.begin_session(ctx, conn, ctx.db.now(conn), hired, CLIENT)
    with statements(ctx) as trace:
        for _ in range(3):
            sessions.open_session(ctx, token)
    assert not [statement for statement in trace if statement.startswith("UPDATE")]
    shift(ctx, 61)
    with statements(ctx) as trace:
        for _ in range(3):
            sessions.open_session(ctx, token)
    assert len([statement for statement in trace if statement.startswith("UPDATE")]) == 1


def test_a_disabled_person_has_no_session(ctx: Context, world: World) -> None:
    hired = hire(world)
    with ctx.db.transaction() as conn:
        token = sessions.begin_session(ctx, conn, ctx.db.now(conn), hired, CLIENT)
        conn.execute(update(staff).where(staff.c.id == hired).values(disabled=1))
    assert sessions.open_session(ctx, token) is None


def test_one_ends_ones_own_sessions_and_nobody_elses(ctx: Context, world: World) -> None:
    alice, charlie = session_of(ctx, hire(world)), session_of(ctx, hire(world))
    with pytest.raises(NotFoundError):
        sessions.revoke_session(ctx, charlie.actor, alice.ref)
    assert [line.ref for line in sessions.list_sessions(ctx, alice.actor)] == [alice.ref]
    assert sessions.list_sessions(ctx, alice.actor)[0].browser == CLIENT.browser
    sessions.revoke_session(ctx, alice.actor, alice.ref)
    assert sessions.list_sessions(ctx, alice.actor) == []


def test_ending_the_others_keeps_the_present_one(ctx: Context, world: World) -> None:
    hired = hire(world)
    session_of(ctx, hired)
    present = session_of(ctx, hired)
    assert sessions.revoke_other_sessions(ctx, present) == 1
    assert [line.ref for line in sessions.list_sessions(ctx, present.actor)] == [present.ref]


def test_sessions_are_forgotten_a_month_after_they_ended(ctx: Context, world: World) -> None:
    hired = hire(world)
    old = session_of(ctx, hired)
    sessions.sign_out(ctx, old)
    session_of(ctx, hired)
    shift(ctx, 29 * 86400)
    assert sessions.forget_old_sessions(ctx) == 0
    shift(ctx, 31 * 86400)
    assert sessions.forget_old_sessions(ctx) == 1
    shift(ctx, 38 * 86400)
    assert sessions.forget_old_sessions(ctx) == 1


def test_a_proof_of_the_password_lasts_ten_minutes(ctx: Context, world: World) -> None:
    hired = hire(world)
    with ctx.db.transaction() as conn:
        token = sessions.begin_session(ctx, conn, ctx.db.now(conn), hired, CLIENT)
    shift(ctx, 601)
    stale = sessions.open_session(ctx, token)
    assert stale is not None and not stale.is_proved
    with pytest.raises(InvalidInputError):
        sessions.prove_password(ctx, stale, "not the password")
    sessions.prove_password(ctx, stale, PASSWORD)
    fresh = sessions.open_session(ctx, token)
    assert fresh is not None and fresh.is_proved


def test_a_hash_of_an_older_policy_is_made_again_at_sign_in(ctx: Context, world: World) -> None:
    from argon2 import PasswordHasher

    hired = hire(world, address="alice@northfield.example")
    old = PasswordHasher(time_cost=1, memory_cost=8192, parallelism=1).hash(PASSWORD)
    with ctx.db.transaction() as conn:
        conn.execute(update(staff).where(staff.c.id == hired).values(password_hash=old))
    sessions.sign_in(ctx, address="alice@northfield.example", password=PASSWORD, client=CLIENT)
    with ctx.db.reading() as conn:
        held = conn.execute(select(staff.c.password_hash).where(staff.c.id == hired)).scalar_one()
    assert held and "m=19456,t=2,p=1" in held


@pytest.mark.parametrize(
    "password",
    ["short", "password1234", "aaaaaaaaaaaaaaa", "Outreach-and-me-1", "robin.hood@sherwood", "my robin sings"],
)
def test_poor_passwords_are_refused(password: str) -> None:
    with pytest.raises(InvalidInputError):
        passwords.must_be_good(password, known=("robin.hood@sherwood.example", "Robin Hood"))
