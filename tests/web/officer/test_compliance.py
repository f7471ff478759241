"""The officer's pages: what each shows, what each writes, and that nobody else gets in."""

import re
from collections.abc import Callable

import pytest
from sqlalchemy import insert, select

from outreach.services.context import Context
from outreach.services.seal import seal
from outreach.store.audit import Entry, record
from outreach.store.schema.audit import audit_entry
from outreach.store.schema.campaigns import message
from tests.factories import World
from tests.services.test_bars import bar
from tests.services.test_reveal import ANNA, REASON, agreed
from tests.tampering import loosen
from tests.web.conftest import Browser

SignIn = Callable[..., Browser]


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
        "/compliance/log",
        "/compliance/unknown",
        "/compliance/policy",
        "/compliance/policy/cap-total",
        "/compliance/policy/cap-total/change",
        "/compliance/approvals",
        f"/compliance/approvals/{'0' * 32}",
        f"/compliance/contacts/{'0' * 32}",
        f"/compliance/contacts/{'0' * 32}/reveal",
        f"/compliance/contacts/{'0' * 32}/proof/{'0' * 32}",
        f"/compliance/bars/{'0' * 32}/lift",
    ],
)
def test_only_an_officer_gets_in(client: Browser, signed_in: SignIn, path: str) -> None:
    assert client.get(path).status_code == 303
    assert signed_in("marketer", "administrator").get(path).status_code == 403


def test_the_start_page_shows_the_checkpoint(ctx: Context, world: World, officer: Browser) -> None:
    with ctx.db.transaction() as conn:
        record(conn, 1, Entry(kind="topic.created", actor="engine"))
    sealed = seal(ctx, 1)
    assert sealed is not None
    page = officer.page("/compliance")
    assert sealed.note.splitlines()[2].replace("+", "&#43;") in page.replace("+", "&#43;")
    assert "checkpoints.txt" in page


def test_looking_is_all_a_get_does(ctx: Context, world: World, officer: Browser) -> None:
    person = world.person(ANNA)
    before = kinds(ctx)
    for path in ("/compliance", "/compliance/log", "/compliance/unknown", "/compliance/policy"):
        officer.page(path)
    assert kinds(ctx) == before
    officer.page(f"/compliance/contacts/{person.ref.hex()}")
    assert kinds(ctx) == before


def test_an_address_is_looked_up_by_post_and_stays_out_of_the_url(ctx: Context, world: World, officer: Browser) -> None:
    person = world.person(ANNA)
    answer = officer.submit("/compliance/find", {"who": ANNA})
    assert answer.status_code == 303
    assert answer.location == f"/compliance/contacts/{person.ref.hex()}"
    assert ANNA not in officer.page(answer.location)
    read = officer.submit(answer.location).text
    assert "a•••@e•••.org" in read
    assert ANNA not in read


def test_a_look_up_that_finds_nobody_says_so_without_echo(world: World, officer: Browser) -> None:
    answer = officer.submit("/compliance/find", {"who": "stranger@example.org"})
    assert answer.status_code == 200
    assert "Nobody is held" in answer.text
    assert "stranger" not in answer.text
    answer = officer.submit("/compliance/find", {"who": "stranger@gmial.com"})
    assert answer.status_code == 422
    assert "Did you mean gmail.com?" in answer.text
    assert "stranger" not in answer.text


def test_a_bar_is_lifted_from_the_look_up_and_from_the_contact(ctx: Context, world: World, officer: Browser) -> None:
    links = re.compile(r"/compliance/bars/[0-9a-f]{32}/lift")
    bar(ctx)
    (path,) = links.findall(officer.submit("/compliance/find", {"who": ANNA}).text)
    assert "Lifting grants nothing" in officer.page(path)
    assert "still stands" in officer.submit(path, {"reason": "because"}).text
    assert officer.submit(path, {"reason": REASON}).location == "/compliance"
    assert kinds(ctx)[-1] == "contact.bar-lifted"
    officer.page(path, 409)
    person = world.person(ANNA)
    bar(ctx, "deceased")
    page = f"/compliance/contacts/{person.ref.hex()}"
    (path,) = links.findall(officer.page(page))
    assert officer.submit(path, {"reason": REASON}).location == page
    assert not links.findall(officer.page(page))
    assert "lifted" in officer.page(page)


def test_lifting_a_bar_asks_for_the_password_again(ctx: Context, officer: Browser) -> None:
    path = f"/compliance/bars/{bar(ctx).hex()}/lift"
    assert ctx.settings.clock_file is not None
    ctx.settings.clock_file.write_text("660")
    assert officer.get(path).location.startswith("/account/prove")


def test_several_spellings_of_a_mailbox_are_listed(world: World, officer: Browser) -> None:
    people = [world.person(ANNA), world.person("anna.berg+x@example.org")]
    page = officer.submit("/compliance/find", {"who": ANNA}).text
    assert all(person.ref.hex() in page for person in people)


def test_the_log_is_searched_by_kind_actor_and_day(ctx: Context, officer: Browser) -> None:
    with ctx.db.transaction() as conn:
        record(conn, 1_790_000_000_000_000, Entry(kind="topic.created", actor="engine", body={"reason": "<b>bold</b>"}))
        record(conn, 1_795_000_000_000_000, Entry(kind="message.sent", actor="recipient", message=b"m" * 16))
    page = officer.page("/compliance/log")
    assert "&lt;b&gt;bold&lt;/b&gt;" in page
    assert "not yet sealed" in page
    cells = re.compile(r"</time></td>\s*<td>([^<]+)</td>")
    assert cells.findall(officer.page("/compliance/log?kind=topic.")) == ["Topic created"]
    assert cells.findall(officer.page("/compliance/log?actor=recipient")) == ["Message sent"]
    assert cells.findall(officer.page("/compliance/log?since=2026-10-01")) == ["Message sent"]
    assert cells.findall(officer.page("/compliance/log?until=2026-10-01")) == ["Topic created"]
    assert cells.findall(officer.page(f"/compliance/log?message={b'm'.hex() * 16}")) == ["Message sent"]
    assert "No entry matches" in officer.page("/compliance/log?kind=nothing")


@pytest.mark.parametrize("query", ["since=yesterday", "until=9999-12-31", "contact=zz", "topic=00"])
def test_a_search_that_cannot_be_read_is_named(officer: Browser, query: str) -> None:
    assert 'role="alert"' in officer.page(f"/compliance/log?{query}", 422)


def test_older_entries_are_a_page_away(ctx: Context, officer: Browser) -> None:
    with ctx.db.transaction() as conn:
        record(conn, 1, *(Entry(kind="topic.created", actor="engine", body={"n": f"number-{n}"}) for n in range(60)))
    page = officer.page("/compliance/log?kind=topic.created")
    assert "number-59" in page and "number-9<" not in page
    older = re.search(r'rel="next" href="([^"]+)"', page)
    assert older is not None
    assert "number-9<" in officer.page(older[1].replace("&amp;", "&"))


def test_one_contact_is_told_in_full_behind_a_mask(ctx: Context, world: World, officer: Browser) -> None:
    person = world.person(ANNA)
    agreed(ctx, world, person)
    with ctx.db.transaction() as conn:
        conn.execute(
            insert(message).values(
                ref=b"m" * 16,
                origin="campaign",
                kind="promotional",
                lane="x",
                contact=person.id,
                mailbox=person.mailbox,
                state="withheld",
                reason="cap_total",
                planned=1,
                due=1,
            )
        )
    page = officer.submit(f"/compliance/contacts/{person.ref.hex()}").text
    for shown in (
        "granted",
        "I would like Northfield",
        "192.0.2.7",
        "confirmed",
        "withheld",
        "cap total",
        person.code[:4],
    ):
        assert shown in page
    assert ANNA not in page


def test_a_proof_is_printable_and_masked(ctx: Context, world: World, officer: Browser) -> None:
    person = world.person(ANNA)
    topic = agreed(ctx, world, person)
    seal(ctx, 1)
    path = f"/compliance/contacts/{person.ref.hex()}/proof"
    before = kinds(ctx)
    assert "192.0.2.7" not in officer.page(f"{path}/{topic.hex()}")
    assert kinds(ctx) == before
    answer = officer.submit(f"{path}/{topic.hex()}")
    for shown in ("Proof of consent", "I would like Northfield", "192.0.2.7", "Inclusion proof", "proof.css"):
        assert shown in answer.text
    assert ANNA not in answer.text
    assert answer.headers["Cache-Control"] == "no-store"
    assert kinds(ctx) == [*before, "contact.read"]
    assert officer.submit(f"{path}/{'0' * 32}").status_code == 404


def test_an_address_is_revealed_for_a_reason_and_only_in_that_answer(
    ctx: Context, world: World, officer: Browser
) -> None:
    person = world.person(ANNA)
    path = f"/compliance/contacts/{person.ref.hex()}/reveal"
    assert ANNA not in officer.page(path)
    refused = officer.submit(path, {"reason": "because"})
    assert refused.status_code == 422
    assert ANNA not in refused.text
    shown = officer.submit(path, {"reason": REASON})
    assert ANNA in shown.text
    assert shown.headers["Cache-Control"] == "no-store"
    assert ANNA not in officer.page(path)
    assert kinds(ctx).count("contact.revealed") == 1


def test_the_log_is_verified_on_demand(ctx: Context, world: World, officer: Browser) -> None:
    with ctx.db.transaction() as conn:
        record(conn, 1, Entry(kind="topic.created", actor="engine"))
    seal(ctx, 1)
    assert "The log is whole" in officer.submit("/compliance/verify").text
    loosen(ctx, "UPDATE audit_entry SET at = 2 WHERE at = 1")
    answer = officer.submit("/compliance/verify").text
    assert "Something is wrong" in answer
    assert "entry 0: it was changed" in answer
    assert kinds(ctx).count("audit.verified") == 2


def test_a_verification_cut_short_says_where_to_go_on(
    ctx: Context, world: World, officer: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("outreach.web.officer.compliance.VERIFY_SECONDS", -1)
    with ctx.db.transaction() as conn:
        record(conn, 1, Entry(kind="topic.created", actor="engine"))
    seal(ctx, 1)
    assert "outreach audit verify" in officer.submit("/compliance/verify").text
