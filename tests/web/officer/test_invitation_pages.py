"""The officer's pages of invitations: what each shows and keeps to itself, and what each press does."""

import re
from collections.abc import Callable

import pytest
from sqlalchemy import select

from outreach.services import appeals
from outreach.services.context import Context
from outreach.store.schema.audit import audit_entry
from outreach.store.schema.members import member
from tests.factories import MadeMember, World
from tests.services.past_invitations import invited
from tests.services.people import move_clock
from tests.services.test_invitation_desk import suspend_by_rule
from tests.web.conftest import Browser

SignIn = Callable[..., Browser]
REASON = "three complaints by telephone"
WORDS = "These are my <b>neighbours</b>."
RULES = {
    "by_mail": "y",
    "a_day": "3",
    "a_month": "9",
    "recipient_n": "1",
    "recipient_days": "60",
    "keep_days": "7",
    "reason": "decided by the board in November",
}


@pytest.fixture
def officer(signed_in: SignIn) -> Browser:
    return signed_in("officer")


@pytest.fixture
def anna(world: World) -> MadeMember:
    return world.member("anna.berg@example.org", "Anna Berg")


def kinds(ctx: Context) -> list[str]:
    with ctx.db.reading() as conn:
        return list(conn.execute(select(audit_entry.c.kind).order_by(audit_entry.c.id)).scalars())


def code_of(ctx: Context, who: MadeMember) -> str:
    with ctx.db.reading() as conn:
        return str(conn.execute(select(member.c.code).where(member.c.id == who.id)).scalar_one())


@pytest.mark.parametrize(
    "path",
    [
        "/invitations",
        "/invitations/policy",
        "/compliance/policy/invitations/change",
        f"/invitations/{'0' * 32}",
        f"/invitations/{'0' * 32}/suspend",
        f"/invitations/{'0' * 32}/restore",
        f"/invitations/{'0' * 32}/appeals/{'0' * 32}",
    ],
)
def test_only_an_officer_gets_in(client: Browser, signed_in: SignIn, officer: Browser, path: str) -> None:
    assert client.get(path).status_code == 303
    assert signed_in("marketer", "administrator").get(path).status_code == 403
    assert officer.get(path).status_code == (404 if "0000" in path else 200)


@pytest.mark.usefixtures("world")
def test_before_anybody_invited_the_page_says_so(officer: Browser) -> None:
    page = officer.page("/invitations")
    assert "Nobody has invited anybody yet" in page
    assert "Invitations by mail are <b>off</b>" in page
    assert '<a class="part" href="/invitations/policy">Policy</a>' in page


def test_inviters_are_listed_by_code_and_never_by_name(ctx: Context, officer: Browser, anna: MadeMember) -> None:
    for answer in ("accepted", "declined", "reported", "", "", ""):
        invited(ctx, anna, answer)
    page = officer.page("/invitations")
    seen = officer.page(f"/invitations/{anna.ref.hex()}")
    assert code_of(ctx, anna) in page
    assert "Anna" not in page + seen
    assert "anna" not in page + seen
    cells = re.findall(r'<td class="n">([^<]*)</td>', page)
    assert cells[:4] == ["6", "3", "67 %", "1"]
    assert "tightened" in page
    assert "2 a day, 10 a month" in page


def test_the_chart_has_a_text_and_a_table_with_its_numbers(ctx: Context, officer: Browser, anna: MadeMember) -> None:
    invited(ctx, anna, "declined", days=2.5)
    invited(ctx, anna, days=4.5)
    page = officer.page("/invitations")
    assert 'role="img" aria-label="Invitations in each of the last 30 days: 2 made, 1 refused.' in page
    assert page.count('class="made"') == 2 + 1  # two days, and the key
    assert page.count('class="refused"') == 1 + 1
    days = page[page.index("Day by day") :]
    assert days.count("<tr>") == 30 + 1


def test_an_inviters_page_marks_what_was_reported(ctx: Context, officer: Browser, anna: MadeMember) -> None:
    ref = invited(ctx, anna, "reported", report="harassment")
    invited(ctx, anna, "", way="link")
    page = officer.page(f"/invitations/{anna.ref.hex()}")
    assert "report: harassment" in page
    assert "connect link" in page
    assert f'<td class="mono">{ref.hex()[:8]}</td>' in page
    assert ref.hex() not in page
    assert "None so far." in page


def test_looking_is_all_a_get_does(ctx: Context, officer: Browser, anna: MadeMember) -> None:
    suspend_by_rule(ctx, anna)
    appeal = appeals.write_appeal(ctx, anna.actor, WORDS)
    before = kinds(ctx)
    own = f"/invitations/{anna.ref.hex()}"
    for path in ("", "/restore", "/suspend", f"/appeals/{appeal.hex()}"):
        assert "neighbours" not in officer.page(own + path)
    officer.page("/compliance/policy/invitations/change")
    assert kinds(ctx) == before
    assert officer.get(f"{own}/appeals/{appeal.hex()}/read").status_code == 405


def test_suspending_and_restoring_need_a_reason_and_are_told(ctx: Context, officer: Browser, anna: MadeMember) -> None:
    own = f"/invitations/{anna.ref.hex()}"
    refused = officer.submit(f"{own}/suspend", {"reason": "because"})
    assert refused.status_code == 422
    assert "Nothing was changed" in refused.text
    assert officer.submit(f"{own}/suspend", {"reason": REASON}).location == own
    page = officer.page(own)
    assert "Inviting suspended</b> by an officer" in page
    assert REASON in page
    assert officer.submit(f"{own}/suspend", {"reason": REASON}).status_code == 409
    assert officer.submit(f"{own}/restore", {"reason": ""}).status_code == 422
    assert officer.submit(f"{own}/restore", {"reason": REASON}).location == own
    assert "May invite again</b> by an officer" in officer.page(own)
    assert kinds(ctx)[-2:] == ["member.suspended", "member.restored"]


def test_an_appeal_is_shown_by_a_press_once_and_kept_nowhere(ctx: Context, officer: Browser, anna: MadeMember) -> None:
    suspend_by_rule(ctx, anna)
    appeal = appeals.write_appeal(ctx, anna.actor, WORDS)
    assert '<span class="tag warn">appeals</span>' in officer.page("/invitations")
    path = f"/invitations/{anna.ref.hex()}/appeals/{appeal.hex()}"
    assert path in officer.page(f"/invitations/{anna.ref.hex()}")
    answer = officer.submit(f"{path}/read")
    assert "These are my &lt;b&gt;neighbours&lt;/b&gt;." in answer.text
    assert answer.headers["Cache-Control"] == "no-store"
    assert kinds(ctx)[-1] == "member.appeal-read"
    assert "neighbours" not in officer.page(path)


@pytest.mark.parametrize(("answer", "is_lifted"), [("lifted", True), ("kept", False)])
def test_an_appeal_is_answered_with_a_reason(
    ctx: Context, officer: Browser, anna: MadeMember, answer: str, is_lifted: bool
) -> None:
    suspend_by_rule(ctx, anna)
    appeal = appeals.write_appeal(ctx, anna.actor, WORDS)
    path = f"/invitations/{anna.ref.hex()}/appeals/{appeal.hex()}"
    assert " checked" not in officer.page(path)
    assert officer.submit(path, {"reason": REASON}).status_code == 422
    assert officer.submit(path, {"answer": answer, "reason": "yes"}).status_code == 422
    assert officer.submit(path, {"answer": answer, "reason": REASON}).location == f"/invitations/{anna.ref.hex()}"
    standing = appeals.see_standing(ctx, anna.actor)
    assert (standing.since is None) is is_lifted
    assert standing.appeals[0].reason == REASON
    assert officer.submit(path, {"answer": answer, "reason": REASON}).status_code == 409
    assert "It has been answered." in officer.page(path)


def test_an_appeal_is_found_under_its_own_member_only(
    ctx: Context, world: World, officer: Browser, anna: MadeMember
) -> None:
    suspend_by_rule(ctx, anna)
    appeal = appeals.write_appeal(ctx, anna.actor, WORDS)
    other = f"/invitations/{world.member().ref.hex()}/appeals/{appeal.hex()}"
    before = kinds(ctx)
    assert officer.get(other).status_code == 404
    assert officer.submit(f"{other}/read").status_code == 404
    assert officer.submit(other, {"answer": "lifted", "reason": REASON}).status_code == 404
    assert kinds(ctx) == before


@pytest.mark.parametrize("path", ["{}/suspend", "{}/restore", "{}/appeals/{}"])
def test_acting_asks_for_the_password_again(ctx: Context, officer: Browser, anna: MadeMember, path: str) -> None:
    suspend_by_rule(ctx, anna)
    appeal = appeals.write_appeal(ctx, anna.actor, WORDS)
    move_clock(ctx, 660)
    filled = f"/invitations/{path.format(anna.ref.hex(), appeal.hex())}"
    assert officer.get(filled).location.startswith("/account/prove")
    before = kinds(ctx)
    target = "/invitations/policy" if path.startswith("policy") else filled
    posted = officer.submit(target, {**RULES, "answer": "lifted"})
    assert posted.location.startswith("/account/prove")
    assert kinds(ctx) == before


def test_the_log_and_a_contacts_page_name_members_by_code(
    ctx: Context, world: World, officer: Browser, anna: MadeMember
) -> None:
    person = world.person()
    invited(ctx, anna, "reported", way="mail", mailbox=person.mailbox, report="unknown_person")
    suspend_by_rule(ctx, anna)
    appeals.write_appeal(ctx, anna.actor, WORDS)
    code = code_of(ctx, anna)
    log = officer.page("/compliance/log?kind=member.")
    assert f'member <span class="mono">{code}</span>' in log
    received = officer.page(f"/compliance/contacts/{person.ref.hex()}")
    assert code in received
    assert "report: does not know this person" in received
    made = officer.page(f"/compliance/contacts/{anna.person.ref.hex()}")
    assert "inviting suspended" in made
    assert "None to this mailbox." in made
    assert "Anna" not in log + received + made
