"""Imports: bars first, evidence or nothing, nobody revived, a rehearsal before each."""

from typing import Any

import pytest
from sqlalchemy import event, select, update

from outreach.domain.actors import Actor, Role
from outreach.domain.errors import ConflictError, InvalidInputError, NotAllowedError
from outreach.services.context import Context
from outreach.services.import_contacts import Import, apply_import, rehearse_import
from outreach.services.import_rows import Refusal
from outreach.store.boxes import ContactKeys
from outreach.store.schema.audit import audit_entry
from outreach.store.schema.consents import consent, consent_event, topic
from outreach.store.schema.people import contact, suppression
from tests.factories import World
from tests.services.people import ALICE, count

HEAD = "address,topic,source,time,text,locale,timezone,name\n"
GOOD = f"{ALICE},topic-1,spring fair,2025-03-03T10:00:00Z,Yes please,sv-SE,Europe/Stockholm,Alice\n"
NONE: dict[str, bool] = {"no_suppressions": True}


@pytest.fixture
def officer() -> Actor:
    return Actor("staff:0ff1", frozenset({Role.OFFICER}), 1)


def files(rows: str, bars: str | None = None) -> Import:
    if bars is None:
        return Import(rows.encode(), None, True)
    return Import(rows.encode(), bars.encode())


def bring(ctx: Context, officer: Actor, given: Import) -> dict[Refusal, list[int]]:
    rehearsed = rehearse_import(ctx, officer, given)
    applied = apply_import(ctx, officer, given)
    assert rehearsed.refused == applied.refused
    assert (rehearsed.granted, rehearsed.new_people) == (applied.granted, applied.new_people)
    return applied.refused


def test_a_row_with_evidence_is_granted_and_its_evidence_boxed(ctx: Context, world: World, officer: Actor) -> None:
    world.topic()
    assert bring(ctx, officer, files(HEAD + GOOD)) == {}
    with ctx.db.reading() as conn:
        person = conn.execute(select(contact)).one()
        given = conn.execute(select(consent_event)).one()
        keys = ContactKeys(ctx.keyring, conn)
        evidence = keys.facts(person.id, given.evidence_box)
        fields = keys.facts(person.id, person.fields_box)
        row = conn.execute(select(consent)).one()
    assert (row.state, row.cap_n, given.event) == ("granted", 2, "imported")
    assert (person.locale, person.timezone, fields) == ("sv", "Europe/Stockholm", {"name": "Alice"})
    assert (evidence["source"], evidence["wording"]) == ("spring fair", "Yes please")
    assert evidence["given"] == 1_740_996_000_000_000


def test_rows_that_cannot_be_used_are_counted_by_reason_and_number(ctx: Context, world: World, officer: Actor) -> None:
    topic_id, text_id = world.topic()
    for name, state in (("gone", "withdrawn"), ("here", "granted"), ("asked", "pending")):
        world.grant(world.person(f"{name}@example.org"), topic_id, text_id, state=state)
    evidence = "fair,2025-03-03,Yes,en,UTC,X"
    rows = [
        GOOD.strip(),
        f"nobody,topic-1,{evidence}",
        f"b@example.org,no-topic,{evidence}",
        "c@example.org,topic-1,,2025-03-03,Yes,en,UTC,X",
        "d@example.org,topic-1,fair,yesterday,Yes,en,UTC,X",
        "e@example.org,topic-1,fair,2999-01-01,Yes,en,UTC,X",
        "f@example.org,topic-1,fair,2025-03-03,Yes,en,Mars/Base,X",
        GOOD.strip(),
        f"barred+x@example.org,topic-1,{evidence}",
        f"gone@example.org,topic-1,{evidence}",
        f"here@example.org,topic-1,{evidence}",
        f"asked@example.org,topic-1,{evidence}",
    ]
    refused = bring(ctx, officer, files(HEAD + "\n".join(rows), "address,reason\nbarred@example.org,asked\nnobody,\n"))
    assert refused == {
        Refusal.WRONG_ADDRESS: [3],
        Refusal.NO_TOPIC: [4],
        Refusal.NO_EVIDENCE: [5],
        Refusal.WRONG_TIME: [6, 7],
        Refusal.WRONG_ZONE: [8],
        Refusal.TWICE: [9],
        Refusal.BARRED: [10],
        Refusal.ASKED_NOT_TO: [11],
        Refusal.ALREADY: [12],
    }
    assert count(ctx, suppression, suppression.c.kind == "imported") == 1
    assert count(ctx, consent, consent.c.state == "granted") == 3


def test_bars_come_first_and_withdraw_what_stood(ctx: Context, world: World, officer: Actor) -> None:
    topic_id, text_id = world.topic()
    world.grant(world.person("old@example.org"), topic_id, text_id)
    bring(ctx, officer, files(HEAD + GOOD, f"address;reason\nold@example.org;left\n{ALICE};left\n"))
    with ctx.db.reading() as conn:
        assert conn.execute(select(consent.c.state)).scalars().all() == ["withdrawn"]


def test_bars_or_an_explicit_none_are_demanded(ctx: Context, world: World, officer: Actor) -> None:
    world.topic()
    with pytest.raises(InvalidInputError) as caught:
        rehearse_import(ctx, officer, Import((HEAD + GOOD).encode()))
    assert caught.value.field == "suppressions"


def test_a_rehearsal_writes_nobody_and_an_import_without_one_is_refused(
    ctx: Context, world: World, officer: Actor
) -> None:
    world.topic()
    rehearse_import(ctx, officer, files(HEAD + GOOD))
    assert count(ctx, contact, contact.c.address_key == ctx.keyring.blind("address", ALICE)) == 0
    with pytest.raises(ConflictError):
        apply_import(ctx, officer, files(HEAD + GOOD.replace("Alice", "Alicia")))


def test_importing_twice_changes_nothing_the_second_time(ctx: Context, world: World, officer: Actor) -> None:
    world.topic()
    bring(ctx, officer, files(HEAD + GOOD))
    assert bring(ctx, officer, files(HEAD + GOOD)) == {Refusal.ALREADY: [2]}
    assert count(ctx, consent_event) == 1


def test_words_that_are_a_published_text_bring_its_promise_and_others_the_tightest(
    ctx: Context, world: World, officer: Actor
) -> None:
    topic_id, _ = world.topic(cap_n=1)
    second = world.text(topic_id, version=2, cap_n=5)
    wording = "I would like Northfield to send me mail, at most 5 times."
    bob = GOOD.replace(ALICE, "bob@example.org").replace("Yes please", f'"{wording}"')
    bring(ctx, officer, files(HEAD + GOOD + bob))
    with ctx.db.reading() as conn:
        rows = conn.execute(select(consent.c.text, consent.c.cap_n).order_by(consent.c.cap_n)).all()
    assert rows[1] == (second, 5)
    assert rows[0].cap_n == 1


def test_an_old_consent_expires_from_when_it_was_given(ctx: Context, world: World, officer: Actor) -> None:
    topic_id, _ = world.topic()
    with ctx.db.transaction() as conn:
        conn.execute(update(topic).where(topic.c.id == topic_id).values(expires_days=30))
    assert bring(ctx, officer, files(HEAD + GOOD)) == {Refusal.EXPIRED: [2]}


def test_other_delimiters_a_mark_and_wrong_files(ctx: Context, world: World, officer: Actor) -> None:
    world.topic()
    assert rehearse_import(ctx, officer, files("\ufeff" + (HEAD + GOOD).replace(",", ";"))).granted == 1
    for wrong in ("address,topic\n", "", HEAD + '"open'):
        with pytest.raises(InvalidInputError):
            rehearse_import(ctx, officer, files(wrong))
    with pytest.raises(InvalidInputError):
        rehearse_import(ctx, officer, Import(HEAD.encode("utf-16"), None, True))


def test_only_an_officer_imports(ctx: Context, world: World) -> None:
    marketer = Actor("staff:3a3a", frozenset({Role.MARKETER}), 1)
    with pytest.raises(NotAllowedError):
        rehearse_import(ctx, marketer, files(HEAD + GOOD))


def test_no_address_reaches_the_log(ctx: Context, world: World, officer: Actor) -> None:
    world.topic()
    bring(ctx, officer, files(HEAD + GOOD, "address,reason\nbarred@example.org,wrote to barred@example.org\n"))
    with ctx.db.reading() as conn:
        assert not any("@example" in body for body in conn.execute(select(audit_entry.c.body)).scalars())
        assert not any("@example" in reason for reason in conn.execute(select(suppression.c.reason)).scalars())


def test_statements_grow_with_slices_of_five_hundred_not_with_rows(ctx: Context, world: World, officer: Actor) -> None:
    world.topic()

    def statements(first: int, rows: int) -> int:
        people = "".join(GOOD.replace("alice@", f"person{first + number}@") for number in range(rows))
        given = files(HEAD + people)
        rehearse_import(ctx, officer, given)
        seen: list[str] = []

        def note(_c: Any, _cur: Any, statement: str, *_rest: Any) -> None:
            seen.append(statement)

        event.listen(ctx.db.engine, "before_cursor_execute", note)
        apply_import(ctx, officer, given)
        event.remove(ctx.db.engine, "before_cursor_execute", note)
        return len(seen)

    few, many = statements(0, 100), statements(1000, 500)
    assert many - few < 30
    assert statements(2000, 1000) < 2 * many
    assert count(ctx, consent, consent.c.state == "granted") == 1600
