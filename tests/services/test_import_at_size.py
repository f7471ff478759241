"""Imports of many people: in slices that stand by themselves, beside other officers, and in little memory."""

import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from outreach.domain.actors import CONSOLE, Actor, Role
from outreach.domain.errors import InvalidInputError
from outreach.services import consents, import_rows, import_slices
from outreach.services.context import Context
from outreach.services.import_contacts import Import, apply_import, rehearse_import
from outreach.services.import_report import Report
from outreach.services.import_rows import Refusal
from outreach.services.import_slices import KeySet
from outreach.services.seal import seal
from outreach.services.verify import verify
from outreach.store import newcomers
from outreach.store.boxes import ContactKeys
from outreach.store.schema.consents import consent, consent_event
from outreach.store.schema.people import contact, contact_key, mailbox
from tests.factories import World
from tests.services.at_once import at_once
from tests.services.people import count

HEAD = "address,topic,source,time,text,name\n"
SLICE = 40
MEGABYTE = 1_000_000


def row(address: str, topic: int = 1, text: str = "Yes please") -> str:
    return f"{address},topic-{topic},spring fair,2025-03-03T10:00:00Z,{text},Name of {address}\n"


def crowd(number: int) -> list[str]:
    return [row(f"person{place}@example.org") for place in range(number)]


def files(rows: list[str]) -> Import:
    return Import((HEAD + "".join(rows)).encode(), no_suppressions=True)


def bring(ctx: Context, given: Import, actor: Actor = CONSOLE) -> Report:
    rehearse_import(ctx, actor, given)
    return apply_import(ctx, actor, given)


@contextmanager
def traced() -> Iterator[Callable[[], int]]:
    """Tells the highest use of memory since the block began, in octets."""
    tracemalloc.start()
    try:
        yield lambda: tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Slices so short that a small file has several."""
    monkeypatch.setattr(import_slices, "SLICE", SLICE)


@pytest.mark.usefixtures("short")
def test_what_many_slices_left_is_whole_and_the_log_agrees(ctx: Context, world: World) -> None:
    world.topic(), world.topic()
    people = crowd(3 * SLICE)
    rows = [*people, row("person0@example.org", 2), row("person0+garden@example.org"), row("new@example.org", 2)]
    rows.insert(1, row("person1@example.org", 2))
    report = bring(ctx, files(rows))
    assert (report.granted, report.new_people) == (len(people) + 4, len(people) + 2)
    for table, number in ((contact, 2), (contact_key, 2), (mailbox, 1), (consent, 4), (consent_event, 4)):
        assert count(ctx, table) == len(people) + number
    with ctx.db.reading() as conn:
        keys = ContactKeys(ctx.keyring, conn)
        for held in conn.execute(select(contact)).all():
            address = keys.text(held.id, held.address_box)
            assert address is not None
            assert held.address_key == ctx.keyring.blind("address", address)
            assert keys.facts(held.id, held.fields_box) == {"name": f"Name of {address}"}
        for given in conn.execute(select(consent_event)).all():
            assert keys.facts(given.contact, given.evidence_box)["source"] == "spring fair"
    seal(ctx, 1)
    assert verify(ctx).is_clean


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize("are_known", [False, True])
def test_two_officers_who_bring_the_same_people_at_once_grant_each_of_them_once(
    ctx: Context, world: World, are_known: bool
) -> None:
    world.topic(), world.topic()
    people = crowd(5 * SLICE)
    if are_known:
        bring(ctx, files([row(f"person{place}@example.org", 2) for place in range(len(people))]))
    slices = [people[at : at + SLICE] for at in range(0, len(people), SLICE)]
    forth, back = files(people), files([one for part in slices for one in reversed(part)])
    officers = [Actor(f"staff:{number}", frozenset({Role.OFFICER}), number) for number in (1, 2)]
    for officer, given in zip(officers, (forth, back), strict=True):
        rehearse_import(ctx, officer, given)
    reports = at_once(
        lambda: apply_import(ctx, officers[0], forth),
        lambda: apply_import(ctx, officers[1], back),
    )
    assert sum(report.granted for report in reports) == len(people)
    assert sum(report.refusals[Refusal.ALREADY] for report in reports) == len(people)
    for table in (contact, contact_key, mailbox):
        assert count(ctx, table) == len(people)
    for table in (consent, consent_event):
        assert count(ctx, table) == len(people) * (1 + are_known)
    seal(ctx, 1)
    assert verify(ctx).is_clean


@pytest.mark.usefixtures("short")
def test_a_crash_leaves_whole_slices_and_doing_it_again_adds_the_rest(
    ctx: Context, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.topic()
    given = files(crowd(3 * SLICE))
    rehearse_import(ctx, CONSOLE, given)
    real, calls = consents.apply_changes, iter(range(9))

    def crashing(*args: Any, **more: Any) -> Any:
        done = real(*args, **more)
        if next(calls) == 1:
            raise RuntimeError("the power failed")
        return done

    with monkeypatch.context() as patch, pytest.raises(RuntimeError):
        patch.setattr(import_slices, "apply_changes", crashing)
        apply_import(ctx, CONSOLE, given)
    for table in (contact, contact_key, mailbox, consent, consent_event):
        assert count(ctx, table) == SLICE
    again = apply_import(ctx, CONSOLE, given)
    assert (again.granted, again.refusals[Refusal.ALREADY]) == (2 * SLICE, SLICE)
    assert count(ctx, consent_event) == 3 * SLICE
    seal(ctx, 1)
    assert verify(ctx).is_clean


def test_somebody_who_came_in_meanwhile_is_left_as_they_are(
    ctx: Context, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic_id, text_id = world.topic()
    there = world.person("person3@example.org")
    world.grant(there, topic_id, text_id)
    gone = world.person("person4@example.org")
    world.grant(gone, topic_id, text_id, state="withdrawn")
    given = files(crowd(20))
    rehearse_import(ctx, CONSOLE, given)
    monkeypatch.setattr(import_slices, "find_all", lambda _conn, _keys: {})
    report = apply_import(ctx, CONSOLE, given)
    assert report.refused == {Refusal.ALREADY: [5], Refusal.ASKED_NOT_TO: [6]}
    assert (report.granted, report.new_people) == (18, 18)
    assert count(ctx, contact) == 20
    assert count(ctx, consent, consent.c.state == "withdrawn", consent.c.contact == gone.id) == 1


def test_a_code_that_is_taken_is_drawn_again(ctx: Context, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.topic()
    codes = iter(["AAAAAAAAAA"] * 20 + [f"B{number:09}" for number in range(20)])
    monkeypatch.setattr(newcomers, "new_code", lambda: next(codes))
    assert bring(ctx, files(crowd(20))).granted == 20
    with ctx.db.reading() as conn:
        assert conn.execute(select(func.count(contact.c.code.distinct()))).scalar_one() == 20
    assert count(ctx, contact_key) == 20


def test_a_long_file_takes_no_more_memory_than_a_slice(ctx: Context, world: World, tmp_path: Path) -> None:
    world.topic()
    path, rows = tmp_path / "people.csv", 20_000
    with path.open("w") as file:
        file.write(HEAD)
        file.writelines(row(f"person{place}@example.org", text=f"{place} " + "yes " * 300) for place in range(rows))
    assert path.stat().st_size > 25 * MEGABYTE
    with path.open("rb") as file, traced() as peak:
        given = Import(file, no_suppressions=True)
        assert bring(ctx, given).granted == rows
        assert peak() < 20 * MEGABYTE


def test_more_rows_than_a_file_may_have_are_refused_before_anything_is_kept(
    ctx: Context, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.topic()
    monkeypatch.setattr(import_rows, "MOST_ROWS", 3)
    assert rehearse_import(ctx, CONSOLE, files(crowd(3))).granted == 3
    with pytest.raises(InvalidInputError):
        rehearse_import(ctx, CONSOLE, files(crowd(4)))


def test_a_reason_counts_all_its_rows_and_names_the_first_fifty(ctx: Context, world: World) -> None:
    world.topic()
    report = rehearse_import(ctx, CONSOLE, files([row("person@example.org")] * 70))
    ((why, number, named),) = report.reasons()
    assert (why, number, named) == (Refusal.TWICE.value, 69, list(range(3, 53)))
    assert any("69" in line and "52 …" in line for line in report.lines())


def test_a_set_of_keys_knows_just_those_it_was_given(world: World) -> None:
    given = [world.ctx.keyring.blind("address", str(number)) for number in range(5_000)]
    keys = KeySet()
    assert all(keys.add(key) for key in given)
    assert not any(keys.add(key) for key in given)
    assert all(key in keys for key in given)
    assert world.ctx.keyring.blind("mailbox", "0") not in keys
