"""The officer's desk as pages: the start, unknown outcomes, the log, a contact and its press, the register."""

import re
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from sqlalchemy import select

from outreach.services.context import Context
from outreach.services.officer.figures import count_log
from outreach.services.seal import seal
from outreach.store import log_search
from outreach.store.audit import Entry, record
from outreach.store.schema.audit import audit_entry
from tests.factories import DAY, World
from tests.services.test_reveal import ANNA, agreed
from tests.services.unknown_mails import lost_in_the_air
from tests.web.conftest import Browser

SignIn = Callable[..., Browser]
REASON = "the relay's log has them all"


@pytest.fixture
def officer(signed_in: SignIn) -> Browser:
    return signed_in("officer")


def kinds(ctx: Context) -> list[str]:
    with ctx.db.reading() as conn:
        return list(conn.execute(select(audit_entry.c.kind).order_by(audit_entry.c.id)).scalars())


@pytest.mark.parametrize(
    "path",
    [
        "/compliance",
        "/compliance/find",
        "/compliance/unknown",
        f"/compliance/unknown/{'0' * 32}",
        "/compliance/log",
        "/compliance/log/entry/1",
        "/compliance/register",
        "/compliance/register/security",
        f"/compliance/contacts/{'0' * 32}",
        f"/compliance/contacts/{'0' * 32}/as-of",
    ],
)
def test_only_an_officer_gets_in(client: Browser, signed_in: SignIn, path: str) -> None:
    assert client.get(path).status_code == 303
    assert signed_in("marketer", "administrator").get(path).status_code == 403


def test_looking_at_the_desk_writes_nothing(ctx: Context, world: World, officer: Browser) -> None:
    person = world.person(ANNA)
    lost_in_the_air(ctx, [person])
    before = kinds(ctx)
    (group,) = set(re.findall(r"/compliance/unknown/[0-9a-f]{32}", officer.page("/compliance/unknown")))
    contact = f"/compliance/contacts/{person.ref.hex()}"
    for path in ("/compliance", "/compliance/find", group, "/compliance/log", "/compliance/register", contact):
        assert ANNA not in officer.page(path)
    officer.page(f"{contact}/as-of?at=2026-01-01T10:00")
    assert kinds(ctx) == before


def test_the_start_page_of_a_quiet_house_says_that_nothing_waits(world: World, officer: Browser) -> None:
    page = officer.page("/compliance")
    assert "Nothing waits for you." in page
    assert "No mail in 30 days." in page
    assert "No cap kept a mail back" in page


def test_the_start_page_leads_to_what_needs_doing(ctx: Context, world: World, officer: Browser) -> None:
    person = world.person("anna@gmail.com")
    lost_in_the_air(ctx, [person, world.person()])
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        sent = Entry(kind="message.sent", actor="engine", contact=person.ref, body={"state": "sent", "reason": None})
        body = {"state": "withheld", "reason": "cap_total"}
        held = Entry(kind="message.withheld", actor="engine", contact=person.ref, body=body)
        complained = Entry(kind="consent.complained", actor="engine", contact=person.ref, topic=b"t" * 16)
        record(conn, now - 2 * DAY, *[sent] * 200, held, complained)
        record(conn, now, *[Entry(kind="contact.revealed", actor="staff:" + "7" * 32)] * 12)
    seal(ctx, 1)
    count_log(ctx)
    page = officer.page("/compliance")
    assert "2 mails with an unknown outcome" in page
    assert "complaints are beyond the line over 7 days" in page
    assert "0.50 %" in page
    assert "Many addresses revealed" in page
    assert "At the limit for all mail together" in page
    entry = re.search(r"/compliance/log/entry/\d+", page)
    assert entry is not None
    assert "Contact revealed" in officer.page(entry[0])


def test_a_group_is_ruled_on_by_one_press_with_a_reason(ctx: Context, world: World, officer: Browser) -> None:
    topic, _ = world.topic()
    people = [world.person(ANNA), world.person()]
    refs = lost_in_the_air(ctx, people, campaign=world.campaign(topic), topic=topic)
    page = officer.page("/compliance/unknown")
    (path,) = set(re.findall(r"/compliance/unknown/[0-9a-f]{32}", page))
    seen = officer.page(path)
    assert all(ref.hex() in seen for ref in refs)
    assert "between the final dot and the reply" in seen
    assert ANNA not in seen
    assert "checked" not in seen
    assert "Choose one." in officer.submit(path, {"reason": REASON}).text
    refused = officer.submit(path, {"ruling": "arrived", "reason": "sure"})
    assert (refused.status_code, "10 to 500 characters" in refused.text) == (422, True)
    assert officer.submit(path, {"ruling": "arrived", "reason": REASON}).location == "/compliance/unknown"
    assert "They are sent: 2 mails that arrived." in officer.page("/compliance/unknown")
    assert kinds(ctx)[-3:] == ["unknown.ruled", "message.sent", "message.sent"]
    officer.page(path, 404)


def test_a_search_is_saved_and_forgotten(ctx: Context, officer: Browser) -> None:
    saved = officer.submit("/compliance/log/saved", {"name": "Reveals", "kind": "contact.revealed", "actor": ""})
    assert saved.location == "/compliance/log?kind=contact.revealed"
    page = officer.page("/compliance/log")
    assert '<a href="/compliance/log?kind=contact.revealed">Reveals</a>' in page
    forget = re.search(r"/compliance/log/saved/[0-9a-f]{32}/forget", page)
    assert forget is not None
    assert officer.submit(forget[0]).location == "/compliance/log"
    assert ">Reveals</a>" not in officer.page("/compliance/log")
    assert officer.submit("/compliance/log/saved", {"name": "", "kind": "x"}).status_code == 422
    assert officer.submit("/compliance/log/saved", {"name": "x", "since": "soon"}).status_code == 422


def test_what_was_found_is_drawn_over_time_with_its_numbers(ctx: Context, officer: Browser) -> None:
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        record(conn, now - 5 * DAY, *[Entry(kind="topic.created", actor="engine")] * 3)
        record(conn, now - 2 * DAY, Entry(kind="topic.created", actor="engine"))
    page = officer.page("/compliance/log?kind=topic.created")
    assert 'role="img" aria-label="What was found over time: 4 bars' in page
    assert page.count('class="made"') == 2


def test_a_search_that_stopped_says_how_far_it_came(
    ctx: Context, officer: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_search, "SCAN", 2)
    with ctx.db.transaction() as conn:
        record(conn, 1, Entry(kind="topic.created", actor="engine", topic=b"t" * 16))
        record(conn, 2, *[Entry(kind="topic.created", actor="engine", topic=b"u" * 16)] * 2)
    page = officer.page(f"/compliance/log?kind=topic.created&topic={b't'.hex() * 16}")
    onward = re.search(r'rel="next" href="([^"]+)"', page)
    assert "Looked through the log back to" in page and onward is not None
    assert "Topic created</td>" in officer.page(onward[1].replace("&amp;", "&"))


def test_an_entry_is_short_with_hash_and_text_behind_a_fold(ctx: Context, officer: Browser) -> None:
    with ctx.db.transaction() as conn:
        record(conn, 1, Entry(kind="topic.created", actor="engine", body={"text": "ab" * 16, "sha256": "cd" * 32}))
    seal(ctx, 1)
    page = officer.page("/compliance/log?kind=topic.created")
    short, _, folded = page.partition('<details><summary class="small">In full')
    assert "ab" * 16 not in short and '<span class="mono">abababab</span>' in short
    assert "ab" * 16 in folded
    (path,) = set(re.findall(r"/compliance/log/entry/\d+", page))
    assert "cd" * 32 in officer.page(path)
    officer.page("/compliance/log/entry/999999", 404)


def test_a_contact_names_nobody_until_a_press_that_the_log_keeps(ctx: Context, world: World, officer: Browser) -> None:
    person = world.person(ANNA)
    agreed(ctx, world, person)
    path = f"/compliance/contacts/{person.ref.hex()}"
    before = kinds(ctx)
    page = officer.page(path)
    assert "•••@" not in page and "192.0.2.7" not in page
    assert "I would like Northfield" in page
    assert kinds(ctx) == before
    read = officer.submit(path)
    assert "a•••@e•••.org" in read.text and "192.0.2.7" in read.text
    assert ANNA not in read.text
    assert read.headers["Cache-Control"] == "no-store"
    assert kinds(ctx) == [*before, "contact.read"]


def test_a_contact_is_shown_as_it_stood(ctx: Context, world: World, officer: Browser) -> None:
    person = world.person(ANNA)
    agreed(ctx, world, person)
    path = f"/compliance/contacts/{person.ref.hex()}/as-of"
    assert "granted" not in officer.page(f"{path}?at=2026-01-01T10:00")
    with ctx.db.reading() as conn:
        now = ctx.db.now(conn) // 1_000_000
    today = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    assert "granted" in officer.page(f"{path}?at={today}")
    for typed in ("yesterday", "2999-01-01T00:00", "99999-01-01"):
        assert 'role="alert"' in officer.page(f"{path}?at={typed}", 422)
    officer.page(f"/compliance/contacts/{'0' * 32}/as-of?at=2026-01-01T10:00", 404)


def test_the_register_prints_topics_and_notes(ctx: Context, world: World, officer: Browser) -> None:
    world.topic()
    page = officer.page("/compliance/register")
    assert "Northfield Garden Society" in page and "what to sow and prune" in page
    assert "proof.css" in page
    form = officer.page("/compliance/register/transfers")
    assert 'name="version"' in form
    typed = {"words": "None <outside> the EEA.", "version": "0"}
    assert officer.submit("/compliance/register/transfers", typed).location == "/compliance/register"
    assert "None &lt;outside&gt; the EEA." in officer.page("/compliance/register")
    stale = officer.submit("/compliance/register/transfers", typed)
    assert (stale.status_code, "Somebody else changed this note" in stale.text) == (422, True)
    assert officer.submit("/compliance/register/security", {"words": f"ask {ANNA}", "version": "0"}).status_code == 422
    officer.page("/compliance/register/nothing", 404)
