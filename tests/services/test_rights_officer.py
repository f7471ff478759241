"""Requests an officer enters and answers: identity, extension, refusal, and the clock that says when one is due."""

import pytest
from sqlalchemy import select

from outreach.domain.actors import Actor, Role
from outreach.domain.errors import ConflictError, InvalidInputError, NotAllowedError
from outreach.domain.rights import due as due_at
from outreach.services.context import Context
from outreach.services.rights import requests
from outreach.services.rights.carry_out import Correction, decide, refuse
from outreach.services.rights.results import read_result
from outreach.services.rights.room import ask
from outreach.store.schema.audit import audit_entry
from outreach.store.schema.rights import rights_request
from tests.factories import DAY, World
from tests.services.owning import OFFICER, WHY, fresh_link, held, told
from tests.services.people import ALICE, count, move_clock

MARKETER = Actor(f"staff:{'1' * 32}", frozenset({Role.MARKETER, Role.ADMINISTRATOR}), staff_id=2)
LETTER = "a letter of 3 May"


def entered(ctx: Context, kind: str = "access", who: str = ALICE, **more: int) -> bytes:
    return requests.enter(ctx, OFFICER, kind, who, LETTER, **more)


def due(ctx: Context) -> tuple[requests.Due, ...]:
    with ctx.db.reading() as conn:
        return requests.due(conn, ctx.db.now(conn))


def kinds(ctx: Context) -> list[str]:
    with ctx.db.reading() as conn:
        query = select(audit_entry.c.kind).where(audit_entry.c.kind.like("rights.%")).order_by(audit_entry.c.id)
        return list(conn.execute(query).scalars())


def test_a_request_counts_from_the_day_it_reached_us_and_the_person_is_told(ctx: Context, world: World) -> None:
    person = world.person(ALICE)
    ref = entered(ctx, days_ago=5)
    seen = requests.see_request(ctx, OFFICER, ref)
    assert seen.due == due_at(seen.opened)
    assert abs(seen.opened - (world.now - 5 * DAY)) < DAY
    assert (seen.has_words, seen.words) == (True, {})
    assert requests.read_request(ctx, OFFICER, ref).words == {"asked": LETTER}
    assert kinds(ctx)[-1] == "rights.read"
    assert told(ctx, person) == [("rights", "received")]
    assert [one.ref for one in due(ctx)] == [ref]


def test_a_person_is_found_by_the_reference_printed_in_a_mail(ctx: Context, world: World) -> None:
    person = world.person(ALICE)
    ref = entered(ctx, who=f"{person.code[:4]}-{person.code[4:8].lower()}-{person.code[8:]}")
    assert requests.see_request(ctx, OFFICER, ref).contact == person.ref


@pytest.mark.parametrize("who", ["nobody@example.org", "ABCD-EFGH-23", "somebody"])
def test_nobody_is_made_for_a_request_about_somebody_not_held(ctx: Context, world: World, who: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        entered(ctx, who=who)
    assert caught.value.field == "who"
    assert count(ctx, rights_request) == 0


def test_one_request_of_a_kind_waits_at_a_time(ctx: Context, world: World) -> None:
    world.person(ALICE)
    entered(ctx)
    with pytest.raises(InvalidInputError):
        entered(ctx)
    entered(ctx, "erasure")


def test_a_week_before_and_once_over_the_log_says_so_once(ctx: Context, world: World) -> None:
    world.person(ALICE)
    entered(ctx)
    assert requests.warn(ctx) == 0
    assert not due(ctx)[0].is_soon
    move_clock(ctx, 25 * 86_400)
    assert (requests.warn(ctx), requests.warn(ctx)) == (1, 0)
    assert due(ctx)[0].is_soon
    move_clock(ctx, 32 * 86_400)
    assert (requests.warn(ctx), requests.warn(ctx)) == (1, 0)
    assert due(ctx)[0].is_overdue
    assert kinds(ctx)[-2:] == ["rights.due-soon", "rights.overdue"]


def test_an_extension_adds_two_months_once_within_the_first_and_is_told(ctx: Context, world: World) -> None:
    person = world.person(ALICE)
    ref = entered(ctx)
    requests.extend(ctx, OFFICER, ref, "your records span four systems")
    seen = requests.read_request(ctx, OFFICER, ref)
    assert seen.due == due_at(seen.opened, is_extended=True)
    assert seen.words["extension"] == "your records span four systems"
    assert told(ctx, person)[-1] == ("rights", "extended")
    with pytest.raises(ConflictError):
        requests.extend(ctx, OFFICER, ref, "and once more")


def test_after_its_month_a_request_is_not_extended_any_more(ctx: Context, world: World) -> None:
    world.person(ALICE)
    ref = entered(ctx)
    move_clock(ctx, 33 * 86_400)
    with pytest.raises(ConflictError):
        requests.extend(ctx, OFFICER, ref, "it is complex indeed")


def test_more_proof_asked_for_must_come_before_anything_is_done(ctx: Context, world: World) -> None:
    person = world.person(ALICE)
    ref = entered(ctx)
    with pytest.raises(ConflictError):
        requests.meet_identity(ctx, OFFICER, ref, "card shown at the counter")
    requests.ask_identity(ctx, OFFICER, ref, "please come to the counter with a card")
    assert told(ctx, person)[-1] == ("rights", "identity")
    with pytest.raises(ConflictError):
        decide(ctx, OFFICER, ref, WHY)
    requests.meet_identity(ctx, OFFICER, ref, "card shown at the counter")
    assert decide(ctx, OFFICER, ref, WHY) == "done"
    assert told(ctx, person)[-1] == ("rights", "ready")


def test_a_refusal_is_told_with_its_reason_and_ends_the_clock(ctx: Context, world: World) -> None:
    person = world.person(ALICE)
    ref = entered(ctx)
    refuse(ctx, OFFICER, ref, "the same was answered last week")
    assert told(ctx, person)[-1] == ("rights", "refused")
    assert due(ctx) == ()
    with pytest.raises(ConflictError):
        decide(ctx, OFFICER, ref, WHY)


def test_a_correction_says_what_is_right(ctx: Context, world: World) -> None:
    world.person(ALICE, name="Alise")
    ref = entered(ctx, "correction")
    with pytest.raises(InvalidInputError):
        decide(ctx, OFFICER, ref, WHY)
    decide(ctx, OFFICER, ref, WHY, correction=Correction(name="Alice", locale="nl"))
    assert held(ctx).locale == "nl"


def test_an_officer_hands_a_result_over_only_for_a_reason_the_log_keeps(ctx: Context, world: World) -> None:
    made = ask(ctx, fresh_link(ctx, world.person(ALICE)), "access")
    with pytest.raises(InvalidInputError):
        read_result(ctx, OFFICER, made.ref, "because")
    assert read_result(ctx, OFFICER, made.ref, WHY).document["you"]["address"] == ALICE
    assert kinds(ctx)[-1] == "rights.result-read"


@pytest.mark.parametrize("act", [requests.ask_identity, requests.extend, refuse, decide, requests.meet_identity])
def test_nobody_but_an_officer_answers(ctx: Context, world: World, act: object) -> None:
    world.person(ALICE)
    ref = entered(ctx)
    assert callable(act)
    with pytest.raises(NotAllowedError):
        act(ctx, MARKETER, ref, WHY)
    with pytest.raises(NotAllowedError):
        requests.list_requests(ctx, MARKETER)
