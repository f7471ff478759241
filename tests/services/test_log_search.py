"""The officer's search: every filter, pages that neither repeat nor skip, an index for each, bounded work."""

import re
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import event, insert, select, text

from outreach.domain.actors import Actor, Role
from outreach.domain.addresses import parse
from outreach.domain.errors import ConflictError, InvalidInputError, NotAllowedError, NotFoundError
from outreach.services.context import Context
from outreach.services.officer import saved
from outreach.services.officer.look_up import look_up
from outreach.services.officer.search import Search, list_kinds, search_entries, see_entry, see_timeline
from outreach.services.seal import seal
from outreach.store import log_search, staff
from outreach.store.audit import Entry, record
from outreach.store.boxes import ContactKeys
from outreach.store.bulk import analyse
from outreach.store.schema.audit import audit_entry
from outreach.store.schema.campaigns import message
from outreach.store.schema.members import member
from outreach.store.schema.people import suppression
from tests.factories import DAY, World

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


SEARCHES: list[tuple[dict[str, Any], list[str]]] = [
    ({}, ["consents.imported", "message.sent", "consent.withdrawn", "consent.confirmed"]),
    ({"kind": "message.sent"}, ["message.sent"]),
    ({"kind": "consent."}, ["consent.withdrawn", "consent.confirmed"]),
    ({"actor": "engine"}, ["message.sent"]),
    ({"actor": "recipient"}, ["consent.withdrawn", "consent.confirmed"]),
    ({"actor": "recipient", "kind": "consent.withdrawn"}, ["consent.withdrawn"]),
    ({"since": 200, "until": 400}, ["message.sent", "consent.withdrawn"]),
    ({"kind": "consent.", "since": 200}, ["consent.withdrawn"]),
    ({"contact": b"c" * 16}, ["consent.withdrawn", "consent.confirmed"]),
    ({"contact": b"c" * 16, "until": 200}, ["consent.confirmed"]),
    ({"topic": b"t" * 16}, ["consent.confirmed"]),
    ({"campaign": b"p" * 16}, ["message.sent"]),
    ({"campaign": b"p" * 16, "actor": "recipient"}, []),
    ({"message": b"m" * 16}, ["message.sent"]),
    ({"contact": b"c" * 16, "kind": "message."}, []),
]


@pytest.mark.parametrize(("search", "found"), SEARCHES)
def test_each_filter_narrows(filled: Context, search: dict[str, Any], found: list[str]) -> None:
    assert kinds(filled, **search) == found


@pytest.mark.parametrize(
    "search", [{}, {"kind": "consent."}, {"kind": "many.", "topic": b"t" * 16}, {"actor": "engine"}]
)
def test_pages_neither_repeat_nor_skip_whatever_shares_an_instant(filled: Context, search: dict[str, Any]) -> None:
    write(filled, 250, *(Entry(kind=f"many.{n % 3}", actor="engine", topic=b"t" * 16) for n in range(9)))
    seen: list[int] = []
    before = ""
    while True:
        page = search_entries(filled, OFFICER, Search(**search), before=before, limit=2)
        seen += [entry.id for entry in page.entries]
        if page.older is None:
            break
        before = page.older
    assert seen == [entry.id for entry in search_entries(filled, OFFICER, Search(**search)).entries]
    assert len(seen) == len(set(seen)) >= 2


def test_a_search_that_finds_little_stops_and_goes_on_from_there(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_search, "SCAN", 4)
    write(ctx, 1, Entry(kind="topic.created", actor="engine", topic=b"t" * 16))
    for at in range(2, 10):
        write(ctx, at, Entry(kind="topic.created", actor="engine", topic=b"u" * 16))
    search = Search(kind="topic.created", topic=b"t" * 16)
    pages, before = 0, ""
    while True:
        page = search_entries(ctx, OFFICER, search, before=before)
        pages += 1
        if page.older is None:
            break
        assert page.reached is not None and not page.entries
        before = page.older
    assert [entry.at for entry in page.entries] == [1]
    assert pages == 3


def _plans(ctx: Context, search: Search) -> list[str]:
    """How the database would find this, a text for each statement."""
    asked: list[tuple[str, Any]] = []

    def note(_conn: Any, _cursor: Any, statement: str, parameters: Any, *_rest: Any) -> None:
        asked.append((statement, parameters))

    with ctx.db.reading() as conn:
        event.listen(ctx.db.engine, "before_cursor_execute", note)
        try:
            log_search.find(conn, search, log_search.Place(2**50, 2**50), 51)
        finally:
            event.remove(ctx.db.engine, "before_cursor_execute", note)
        explain = "EXPLAIN QUERY PLAN" if ctx.db.is_sqlite else "EXPLAIN"
        plans = []
        for statement, parameters in asked:
            rows = conn.exec_driver_sql(f"{explain} {statement}", parameters).all()
            plans.append("\n".join(str(row[-1]) for row in rows))
        return plans


@pytest.fixture
def large(ctx: Context) -> Context:
    """Twenty thousand entries as a season of sending leaves them."""
    refs = [bytes([n % 200, n // 200]) * 8 for n in range(5_000)]
    entries = [
        Entry(
            kind=("message.sent", "message.withheld", "consent.confirmed", "contact.read")[n % 4],
            actor=("engine", "engine", "recipient", f"staff:{n % 7:032x}")[n % 4],
            contact=refs[n % 5_000],
            topic=bytes([n % 3]) * 16,
            campaign=bytes([n % 9]) * 16 if n % 4 < 2 else None,
        )
        for n in range(20_000)
    ]
    with ctx.db.transaction() as conn:
        for start in range(0, 20_000, 1_000):
            record(conn, 1_000_000 + start, *entries[start : start + 1_000])
    with ctx.db.transaction() as conn:
        analyse(conn, audit_entry)
    return ctx


@pytest.mark.parametrize(
    ("search", "index"),
    [
        (Search(), "at"),
        (Search(since=1_005_000, until=1_006_000), "at"),
        (Search(kind="message.sent"), "kind_at"),
        (Search(kind="message."), "kind_at"),
        (Search(kind="contact.read", since=1_005_000), "kind_at"),
        (Search(kind="message.withheld", topic=b"\x01" * 16), "kind_at"),
        (Search(actor=f"staff:{3:032x}"), "actor_at"),
        (Search(actor=f"staff:{3:032x}", kind="contact.read"), "actor_at"),
        (Search(actor="engine", topic=b"\x02" * 16), "at"),
        (Search(contact=b"\x05\x00" * 8), "contact"),
        (Search(contact=b"\x05\x00" * 8, kind="message.", until=1_010_000), "contact"),
        (Search(campaign=b"\x04" * 16), "campaign_at"),
        (Search(campaign=b"\x04" * 16, kind="message.withheld"), "campaign_at"),
        (Search(topic=b"\x01" * 16), "at"),
        (Search(message=b"m" * 16), "at"),
    ],
    ids=str,
)
def test_no_search_looks_through_the_whole_log(
    large: Context, search: Search, index: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_search, "SCAN", 500)
    for plan in _plans(large, search):
        assert "Seq Scan on audit_entry" not in plan
        if large.db.is_sqlite:
            met = re.findall(r"(?:SCAN|SEARCH) audit_entry\b.*", plan)
            assert all(re.search(rf" ix_audit_entry_{index}\b", line) or "MIN" in plan for line in met), plan
            assert "CO-ROUTINE" in plan or search.contact or "TEMP B-TREE FOR ORDER BY" not in plan, plan


def test_a_search_by_mail_reads_its_persons_entries_alone(large: Context, world: World) -> None:
    person = world.person()
    with large.db.transaction() as conn:
        row = {"ref": b"m" * 16, "origin": "notice", "kind": "service", "lane": "x", "contact": person.id}
        row |= {"mailbox": person.mailbox, "state": "sent", "planned": 1, "due": 1}
        conn.execute(insert(message).values(row))
        record(conn, 5, Entry(kind="message.sent", actor="engine", contact=person.ref, message=b"m" * 16))
    assert kinds(large, message=b"m" * 16) == ["message.sent"]
    assert any("ix_audit_entry_contact" in plan for plan in _plans(large, Search(message=b"m" * 16)))


def test_an_entry_shows_its_place_and_hash_once_sealed(filled: Context) -> None:
    assert {entry.place for entry in search_entries(filled, OFFICER, Search()).entries} == {None}
    seal(filled, 1)
    page = search_entries(filled, OFFICER, Search())
    assert [entry.place for entry in page.entries] == [3, 2, 1, 0]
    entry = see_entry(filled, OFFICER, page.entries[0].id)
    assert entry == page.entries[0]
    assert len(entry.hash) == 64
    assert '"kind":"consents.imported"' in entry.text


def test_an_entry_that_is_none_is_said_to_be_none(filled: Context) -> None:
    with pytest.raises(NotFoundError):
        see_entry(filled, OFFICER, 10**9)


def test_kinds_are_listed_once(filled: Context) -> None:
    write(filled, 500, Entry(kind="message.sent", actor="engine"))
    assert list_kinds(filled, OFFICER) == [
        "consent.confirmed",
        "consent.withdrawn",
        "consents.imported",
        "message.sent",
    ]


def test_a_timeline_has_a_bar_for_each_day_and_wider_ones_for_a_long_time(ctx: Context) -> None:
    for day in (0, 0, 2):
        write(ctx, day * DAY + DAY // 2, Entry(kind="topic.created", actor="engine"))
    utc = ZoneInfo("UTC")
    line = see_timeline(ctx, OFFICER, Search(kind="topic.created"), utc)
    assert [(bar.start // DAY, bar.count) for bar in line.bars] == [(0, 2), (1, 0), (2, 1)]
    assert (line.days, line.is_cut) == (1, False)
    write(ctx, 200 * DAY, Entry(kind="topic.created", actor="engine"))
    line = see_timeline(ctx, OFFICER, Search(kind="topic.created"), utc)
    assert sum(bar.count for bar in line.bars) == 4
    assert len(line.bars) <= 60
    assert see_timeline(ctx, OFFICER, Search(kind="nothing.at-all"), utc).bars == ()


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


def _officer(ctx: Context, world: World) -> Actor:
    return Actor("staff:" + "2" * 32, frozenset({Role.OFFICER}), staff_id=world.staff())


def test_a_search_is_saved_for_its_officer_alone_and_forgotten(ctx: Context, world: World) -> None:
    mine, other = _officer(ctx, world), _officer(ctx, world)
    ref = saved.save_search(ctx, mine, " Reveals  of October ", {"kind": "contact.revealed", "actor": ""})
    (one,) = saved.saved_searches(ctx, mine)
    assert (one.ref, one.name, one.asked) == (ref, "Reveals of October", {"kind": "contact.revealed"})
    assert saved.saved_searches(ctx, other) == []
    with pytest.raises(NotFoundError):
        saved.forget_search(ctx, other, ref)
    saved.forget_search(ctx, mine, ref)
    assert saved.saved_searches(ctx, mine) == []
    assert kinds(ctx, kind="search.") == ["search.forgotten", "search.saved"]


def test_an_address_in_the_name_of_a_search_is_masked(ctx: Context, world: World) -> None:
    mine = _officer(ctx, world)
    saved.save_search(ctx, mine, f"about {ANNA}", {"kind": "contact."})
    assert ANNA not in saved.saved_searches(ctx, mine)[0].name
    with ctx.db.reading() as conn:
        assert not conn.execute(text("SELECT 1 FROM audit_entry WHERE body LIKE '%anna%'")).first()


def test_a_search_needs_a_name_something_asked_and_room(ctx: Context, world: World) -> None:
    mine = _officer(ctx, world)
    for name, asked in (("", {"kind": "x"}), ("x" * 61, {"kind": "x"}), ("Everything", {"kind": ""})):
        with pytest.raises(InvalidInputError):
            saved.save_search(ctx, mine, name, asked)
    for n in range(saved.MOST):
        saved.save_search(ctx, mine, f"search {n}", {"kind": "x"})
    with pytest.raises(ConflictError):
        saved.save_search(ctx, mine, "one more", {"kind": "x"})


def test_only_an_officer_may_look(ctx: Context) -> None:
    for attempt in (
        lambda: search_entries(ctx, MARKETER, Search()),
        lambda: see_entry(ctx, MARKETER, 1),
        lambda: see_timeline(ctx, MARKETER, Search(), ZoneInfo("UTC")),
        lambda: list_kinds(ctx, MARKETER),
        lambda: look_up(ctx, MARKETER, ANNA),
        lambda: saved.saved_searches(ctx, MARKETER),
        lambda: saved.save_search(ctx, MARKETER, "x", {"kind": "x"}),
        lambda: saved.forget_search(ctx, MARKETER, b"x" * 16),
    ):
        with pytest.raises(NotAllowedError):
            attempt()
