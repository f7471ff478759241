"""What a person does behind a fresh link: see, take along, correct, object, restrict. Erasing has its own tests."""

import json
from typing import Any

import pytest
from sqlalchemy import select, update

from outreach.domain.errors import ConflictError, InvalidInputError, NotFoundError
from outreach.services.bars import lift_bar
from outreach.services.context import Context
from outreach.services.expiry import expire
from outreach.services.rights.carry_out import Correction
from outreach.services.rights.room import ask, lift, put_right, see_result, see_room
from outreach.store.boxes import ContactKeys
from outreach.store.schema.audit import audit_entry
from outreach.store.schema.consents import topic
from outreach.store.schema.people import contact, suppression
from outreach.store.schema.rights import rights_request, rights_result
from tests.factories import World
from tests.services.owning import OFFICER, WHY, agreed, fresh_link, held, later, told
from tests.services.people import ALICE, count, hand_off_everything, move_clock, state_of

DAYS = 86_400


def bars(ctx: Context) -> list[tuple[str, str]]:
    query = select(suppression.c.kind, suppression.c.scope).where(suppression.c.lifted.is_(None))
    with ctx.db.reading() as conn:
        return [(row.kind, row.scope) for row in conn.execute(query)]


def test_access_is_ready_at_once_kept_boxed_and_told_by_a_mail_that_holds_none_of_it(
    ctx: Context, world: World
) -> None:
    world.topic()
    person = agreed(ctx)
    token = fresh_link(ctx, person)
    made = ask(ctx, token, "access")
    assert (made.state, made.has_result) == ("done", True)
    _, result = see_result(ctx, token, made.ref)
    assert result.document["you"]["address"] == ALICE
    assert told(ctx, person)[-1] == ("rights", "ready")
    with ctx.db.reading() as conn:
        box = conn.execute(select(rights_result.c.result_box)).scalar_one()
    assert ALICE.encode() not in box
    assert json.loads(result.to_json())["you"]["held_since"].endswith("Z")


def test_a_result_is_gone_after_thirty_days(ctx: Context, world: World) -> None:
    person = world.person(ALICE)
    made = ask(ctx, fresh_link(ctx, person), "portability")
    move_clock(ctx, 30 * DAYS)
    with pytest.raises(NotFoundError):
        see_result(ctx, fresh_link(ctx, person), made.ref)


def test_nobody_opens_anothers_result(ctx: Context, world: World) -> None:
    made = ask(ctx, fresh_link(ctx, world.person(ALICE)), "access")
    with pytest.raises(NotFoundError):
        see_result(ctx, fresh_link(ctx, world.person("bob@example.org")), made.ref)


def test_pressing_twice_is_pressing_once(ctx: Context, world: World) -> None:
    person = world.person(ALICE)
    token = fresh_link(ctx, person)
    assert ask(ctx, token, "access").ref == ask(ctx, token, "access").ref
    assert len(told(ctx, person)) == 1
    later(ctx, 3700)
    assert ask(ctx, fresh_link(ctx, person), "access").ref
    assert count(ctx, rights_request) == 2


def test_portability_holds_what_they_gave_and_not_what_we_noted(ctx: Context, world: World) -> None:
    world.topic()
    person = agreed(ctx)
    token = fresh_link(ctx, person)
    _, given = see_result(ctx, token, ask(ctx, token, "portability").ref)
    assert "events" in given.document
    assert not {"messages", "bars", "read_by_staff", "log"} & given.document.keys()


def test_name_language_and_zone_are_put_right_at_once(ctx: Context, world: World) -> None:
    person = world.person(ALICE, name="Alise", city="Northfield")
    wanted = Correction("Alice", "sv", "Europe/Stockholm")
    assert put_right(ctx, fresh_link(ctx, person), wanted)
    fresh = held(ctx)
    assert (fresh.locale, fresh.timezone) == ("sv", "Europe/Stockholm")
    assert fields(ctx, person.id) == {"name": "Alice", "city": "Northfield"}
    assert told(ctx, person) == [("rights", "done")]
    assert not put_right(ctx, fresh_link(ctx, person), wanted)
    assert told(ctx, person) == [("rights", "done")]


def test_a_name_is_plain_words_and_can_be_taken_away(ctx: Context, world: World) -> None:
    person = world.person(ALICE, name="Alice")
    with pytest.raises(InvalidInputError) as caught:
        put_right(ctx, fresh_link(ctx, person), Correction("see https://evil.example"))
    assert caught.value.field == "name"
    assert put_right(ctx, fresh_link(ctx, person), Correction(""))
    assert fields(ctx, person.id) == {}


@pytest.mark.parametrize("wanted", [Correction(locale="tlh"), Correction(timezone="Mars/Olympus")])
def test_only_languages_and_zones_there_are(ctx: Context, world: World, wanted: Correction) -> None:
    with pytest.raises(InvalidInputError):
        put_right(ctx, fresh_link(ctx, world.person(ALICE)), wanted)


def test_what_is_wrong_in_their_own_words_waits_for_an_officer(ctx: Context, world: World) -> None:
    person = world.person(ALICE)
    put_right(ctx, fresh_link(ctx, person), Correction(), "My street is wrong, and bob@example.org is not me")
    assert told(ctx, person) == [("rights", "received")]
    with ctx.db.reading() as conn:
        row = conn.execute(select(rights_request)).one()
        words = ContactKeys(ctx.keyring, conn).facts(person.id, row.words_box)["asked"]
    assert (row.state, row.finished) == ("open", None)
    assert words.startswith("My street is wrong")
    assert "bob@" not in words


def test_an_objection_ends_all_mail(ctx: Context, world: World) -> None:
    world.topic()
    person = agreed(ctx)
    ask(ctx, fresh_link(ctx, person), "objection")
    assert state_of(ctx) == "withdrawn"
    assert bars(ctx) == [("never", "mailbox")]
    assert told(ctx, person) == [("rights", "done")]


def test_a_restriction_bars_and_is_lifted_by_its_person(ctx: Context, world: World) -> None:
    world.topic()
    person = agreed(ctx)
    token = fresh_link(ctx, person)
    ask(ctx, token, "restriction")
    assert bars(ctx) == [("restricted", "address")]
    assert see_room(ctx, token).is_restricted
    assert state_of(ctx) == "granted"
    assert lift(ctx, token)
    assert not lift(ctx, token)
    assert bars(ctx) == []
    assert told(ctx, person) == [("rights", "done"), ("rights", "lifted")]
    ask(ctx, token, "restriction")
    assert bars(ctx) == [("restricted", "address")]


def test_an_officer_who_lifts_a_restriction_tells_the_person(ctx: Context, world: World) -> None:
    person = world.person(ALICE)
    ask(ctx, fresh_link(ctx, person), "restriction")
    with ctx.db.reading() as conn:
        ref = conn.execute(select(suppression.c.ref)).scalar_one()
    lift_bar(ctx, OFFICER, ref, WHY)
    assert told(ctx, person)[-1] == ("rights", "lifted")


def test_time_deletes_nobody_while_a_restriction_stands(ctx: Context, world: World) -> None:
    world.topic()
    person = agreed(ctx)
    ask(ctx, fresh_link(ctx, person), "objection")
    ask(ctx, fresh_link(ctx, person), "restriction")
    hand_off_everything(ctx)
    with ctx.db.transaction() as conn:
        conn.execute(update(topic).values(retention_days=1))
    later(ctx, 40 * DAYS)
    expire(ctx)
    assert held(ctx).id == person.id
    lift(ctx, fresh_link(ctx, person))
    hand_off_everything(ctx)
    expire(ctx)
    with ctx.db.reading() as conn:
        assert conn.execute(select(contact.c.address_box).where(contact.c.id == person.id)).scalar_one() is None


def test_who_works_here_cannot_be_erased_meanwhile(ctx: Context, world: World) -> None:
    world.staff()
    with ctx.db.reading() as conn:
        person = held(ctx, _address(ctx, conn))
    with pytest.raises(ConflictError):
        ask(ctx, fresh_link(ctx, person), "erasure")
    assert count(ctx, rights_request) == 0


def test_every_step_is_in_the_log_without_a_name_or_address(ctx: Context, world: World) -> None:
    world.topic()
    person = agreed(ctx)
    for kind in ("access", "restriction", "objection"):
        ask(ctx, fresh_link(ctx, person), kind)
    with ctx.db.reading() as conn:
        rows = conn.execute(select(audit_entry.c.kind, audit_entry.c.body)).all()
    kinds = [row.kind for row in rows]
    assert kinds.count("rights.opened") == kinds.count("rights.done") == 3
    assert ALICE not in "".join(row.body for row in rows)


def fields(ctx: Context, person_id: int) -> dict[str, Any]:
    with ctx.db.reading() as conn:
        box = conn.execute(select(contact.c.fields_box).where(contact.c.id == person_id)).scalar_one()
        return ContactKeys(ctx.keyring, conn).facts(person_id, box)


def _address(ctx: Context, conn: Any) -> str:
    row = conn.execute(select(contact.c.id, contact.c.address_box)).one()
    return ContactKeys(ctx.keyring, conn).text(row.id, row.address_box) or ""
