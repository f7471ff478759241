"""The officer's search: every filter, pages that neither repeat nor skip, and look-ups that leave a trace."""

from typing import Any

import pytest
from sqlalchemy import insert, select

from outreach.domain.actors import Actor, Role
from outreach.domain.addresses import parse
from outreach.domain.errors import InvalidInputError, NotAllowedError
from outreach.services.audit_search import Search, list_kinds, list_unknown, log_status, look_up, search_entries
from outreach.services.context import Context
from outreach.services.seal import seal
from outreach.store import staff
from outreach.store.audit import Entry, record
from outreach.store.boxes import ContactKeys
from outreach.store.schema.audit import audit_entry
from outreach.store.schema.campaigns import message
from outreach.store.schema.members import member
from outreach.store.schema.people import suppression
from tests.factories import World

OFFICER = Actor("staff:" + "0" * 32, frozenset({Role.OFFICER}))
MARKETER = Actor("staff:" + "1" * 32, frozenset({Role.MARKETER}))
ANNA = "anna.berg@example.org"


def write(ctx: Context, at: int, *entries: Entry) -> None:
    with ctx.db.transaction() as conn:
        record(conn, at, *entries)


def kinds(ctx: Context, **search: Any) -> list[str]:
    return [entry.kind for entry in search_entries(ctx, OFFICER, Search(**search)).entries]


@pytest.fixture
def filled(ctx: Context) -> Context:
    write(ctx, 100, Entry(kind="consent.confirmed", actor="recipient", contact=b"c" * 16, topic=b"t" * 16))
    write(ctx, 200, Entry(kind="consent.withdrawn", actor="recipient", contact=b"c" * 16))
    write(ctx, 300, Entry(kind="message.sent", actor="engine", message=b"m" * 16, campaign=b"p" * 16))
    write(ctx, 400, Entry(kind="consents.imported", actor="console"))
    return ctx


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ({}, ["consents.imported", "message.sent", "consent.withdrawn", "consent.confirmed"]),
        ({"kind": "message.sent"}, ["message.sent"]),
        ({"kind": "consent."}, ["consent.withdrawn", "consent.confirmed"]),
        ({"actor": "engine"}, ["message.sent"]),
        ({"since": 200, "until": 400}, ["message.sent", "consent.withdrawn"]),
        ({"contact": b"c" * 16}, ["consent.withdrawn", "consent.confirmed"]),
        ({"topic": b"t" * 16}, ["consent.confirmed"]),
        ({"campaign": b"p" * 16}, ["message.sent"]),
        ({"message": b"m" * 16}, ["message.sent"]),
        ({"contact": b"c" * 16, "kind": "message."}, []),
    ],
)
def test_each_filter_narrows(filled: Context, search: dict[str, Any], found: list[str]) -> None:
    assert kinds(filled, **search) == found


def test_pages_neither_repeat_nor_skip(filled: Context) -> None:
    seen, before = [], None
    while True:
        page = search_entries(filled, OFFICER, Search(), before=before, limit=1)
        seen += [entry.kind for entry in page.entries]
        if page.older is None:
            break
        before = page.older
    assert seen == kinds(filled)


def test_an_entry_shows_its_place_once_sealed(filled: Context) -> None:
    assert {entry.place for entry in search_entries(filled, OFFICER, Search()).entries} == {None}
    seal(filled, 1)
    assert [entry.place for entry in search_entries(filled, OFFICER, Search()).entries] == [3, 2, 1, 0]


def test_kinds_are_listed_once(filled: Context) -> None:
    write(filled, 500, Entry(kind="message.sent", actor="engine"))
    assert list_kinds(filled, OFFICER) == [
        "consent.confirmed",
        "consent.withdrawn",
        "consents.imported",
        "message.sent",
    ]


def test_staff_are_shown_by_name(ctx: Context, world: World) -> None:
    with ctx.db.transaction() as conn:
        keys = ContactKeys(ctx.keyring, conn)
        row = staff.add(
            conn, ctx.keyring, keys, 1, address=parse(ANNA), name="Anna Berg", roles="officer", timezone="UTC"
        )
        assert row is not None
        record(conn, 1, Entry(kind="topic.created", actor=f"staff:{row.ref.hex()}"))
    assert search_entries(ctx, OFFICER, Search()).entries[0].actor_name == "Anna Berg"


def test_members_are_shown_by_code_and_never_by_name(ctx: Context, world: World) -> None:
    made = world.member(ANNA, "Anna Berg")
    write(ctx, 1, Entry(kind="invitation.asked", actor=made.actor.name, contact=made.person.ref))
    (entry,) = search_entries(ctx, OFFICER, Search(actor=made.actor.name)).entries
    with ctx.db.reading() as conn:
        assert entry.actor_name == conn.execute(select(member.c.code)).scalar_one()
    assert "Anna" not in repr(entry)


def test_an_address_typed_in_full_finds_its_contact_first(ctx: Context, world: World) -> None:
    tagged = world.person("Anna.Berg+news@example.org")
    exact = world.person(ANNA)
    assert look_up(ctx, OFFICER, f" {ANNA} ").contacts == (exact.ref, tagged.ref)
    assert look_up(ctx, OFFICER, "ANNA.BERG@example.org").contacts == (tagged.ref, exact.ref)
    assert look_up(ctx, OFFICER, "bertil@example.org").contacts == ()


def test_a_reference_finds_its_contact(ctx: Context, world: World) -> None:
    person = world.person(ANNA)
    assert look_up(ctx, OFFICER, f"{person.code[:4]}-{person.code[4:]}".lower()).contacts == (person.ref,)
    assert look_up(ctx, OFFICER, "ZZZZ-ZZZZ").contacts == ()


def test_a_bar_is_found_even_where_nobody_is_held(ctx: Context) -> None:
    with ctx.db.transaction() as conn:
        conn.execute(
            insert(suppression).values(
                key=ctx.keyring.blind("mailbox", ANNA), scope="mailbox", kind="never", lift="officer", since=1
            )
        )
    assert [bar.kind for bar in look_up(ctx, OFFICER, ANNA).bars] == ["never"]


def test_a_look_up_is_audited_without_what_was_typed(ctx: Context, world: World) -> None:
    person = world.person(ANNA)
    look_up(ctx, OFFICER, ANNA)
    look_up(ctx, OFFICER, "nobody@example.org")
    with ctx.db.reading() as conn:
        rows = conn.execute(select(audit_entry).where(audit_entry.c.kind == "contact.looked-up")).all()
    assert [row.contact for row in rows] == [person.ref, None]
    assert not any("@" in row.body or "anna" in row.body for row in rows)


@pytest.mark.parametrize("typed", ["", "  ", "anna@", "anna@gmial.com"])
def test_what_is_no_address_is_named_and_not_echoed(ctx: Context, typed: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        look_up(ctx, OFFICER, typed)
    assert caught.value.field == "who"
    assert "anna" not in str(caught.value)


def test_the_status_tells_how_far_the_log_is_sealed(filled: Context) -> None:
    before = log_status(filled, OFFICER)
    assert (before.size, before.pending, before.at, before.note) == (0, 4, None, "")
    sealed = seal(filled, 1)
    after = log_status(filled, OFFICER)
    assert sealed is not None
    assert (after.size, after.pending, after.root, after.note) == (4, 0, sealed.root.hex(), sealed.note)


def test_unknown_mails_wait_in_a_list(ctx: Context, world: World) -> None:
    person = world.person()
    with ctx.db.transaction() as conn:
        for number, state in enumerate(["unknown", "sent"]):
            conn.execute(
                insert(message).values(
                    ref=bytes([number]) * 16,
                    origin="notice",
                    kind="service",
                    lane="3-notice",
                    contact=person.id,
                    mailbox=person.mailbox,
                    state=state,
                    planned=1,
                    due=1,
                    settled=2,
                )
            )
    waiting = list_unknown(ctx, OFFICER)
    assert [(one.ref, one.contact, one.origin, one.at) for one in waiting] == [(bytes(16), person.ref, "notice", 2)]
    assert log_status(ctx, OFFICER).unknown == 1


def test_only_an_officer_may_look(ctx: Context) -> None:
    for attempt in (
        lambda: search_entries(ctx, MARKETER, Search()),
        lambda: list_kinds(ctx, MARKETER),
        lambda: look_up(ctx, MARKETER, ANNA),
        lambda: log_status(ctx, MARKETER),
        lambda: list_unknown(ctx, MARKETER),
    ):
        with pytest.raises(NotAllowedError):
            attempt()
