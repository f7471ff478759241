"""A suspended member's page: why, what still works, one appeal at a time, and the officer's answer."""

from collections.abc import Callable

import pytest
from sqlalchemy import func, select

from outreach.services.appeals import LONGEST_APPEAL, answer_appeal, see_standing
from outreach.services.context import Context
from outreach.services.invitation_desk import list_inviters, suspend_inviter
from outreach.store.schema.audit import audit_entry
from outreach.store.schema.members import appeal
from tests.factories import MadeMember, World
from tests.services.test_invitation_desk import OFFICER, REASON, suspend_by_rule
from tests.web.conftest import Browser

MemberClient = Callable[..., Browser]
WORDS = "These are my <i>neighbours</i>.\nThey asked me to."


@pytest.fixture
def alice(world: World) -> MadeMember:
    return world.member("alice@example.org", "Alice")


def appeals_in(ctx: Context) -> int:
    with ctx.db.reading() as conn:
        return int(conn.execute(select(func.count()).select_from(appeal)).scalar_one())


def open_appeal(ctx: Context) -> bytes:
    with ctx.db.reading() as conn:
        return bytes(conn.execute(select(appeal.c.ref).where(appeal.c.answered.is_(None))).scalar_one())


def test_the_page_is_for_members(client: Browser, signed_in: Callable[..., Browser]) -> None:
    assert client.get("/me/appeal").location.startswith("/members/sign-in")
    assert signed_in("officer").get("/me/appeal").location.startswith("/members/sign-in")


def test_a_member_in_good_standing_has_nothing_to_send(ctx: Context, member_client: MemberClient) -> None:
    browser = member_client()
    page = browser.page("/me/appeal")
    assert "Your inviting is not suspended" in page
    assert "<textarea" not in page
    assert browser.submit("/me/appeal", {"words": WORDS}).status_code == 409
    assert appeals_in(ctx) == 0


@pytest.mark.parametrize(
    ("why", "words"), [("reports", "Several people reported"), ("refusals", "Almost everybody refused")]
)
def test_the_page_says_why_and_what_still_works(
    ctx: Context, alice: MadeMember, member_client: MemberClient, why: str, words: str
) -> None:
    suspend_by_rule(ctx, alice, why)
    page = member_client(alice).page("/me/appeal")
    assert "Your inviting is suspended" in page
    assert words in page
    assert "You can still sign in" in page


def test_an_officers_reason_is_shown(ctx: Context, alice: MadeMember, member_client: MemberClient) -> None:
    suspend_inviter(ctx, OFFICER, alice.ref, REASON)
    page = member_client(alice).page("/me/appeal")
    assert "One of our officers decided it" in page
    assert f"<q>{REASON}</q>" in page


def test_looking_writes_nothing(ctx: Context, alice: MadeMember, member_client: MemberClient) -> None:
    suspend_by_rule(ctx, alice)
    browser = member_client(alice)
    with ctx.db.reading() as conn:
        before = conn.execute(select(func.count()).select_from(audit_entry)).scalar_one()
    browser.page("/me/appeal")
    with ctx.db.reading() as conn:
        assert conn.execute(select(func.count()).select_from(audit_entry)).scalar_one() == before


def test_one_appeal_is_sent_and_then_the_form_is_gone(
    ctx: Context, alice: MadeMember, member_client: MemberClient
) -> None:
    suspend_by_rule(ctx, alice)
    browser = member_client(alice)
    answer = browser.submit("/me/appeal", {"words": WORDS})
    assert (answer.status_code, answer.location) == (303, "/me/appeal")
    page = browser.page("/me/appeal")
    assert "Your appeal is with us" in page
    assert "These are my &lt;i&gt;neighbours&lt;/i&gt;.<br>They asked me to." in page
    assert "Not answered yet." in page
    assert "<textarea" not in page
    assert browser.submit("/me/appeal", {"words": "And more."}).status_code == 409
    assert appeals_in(ctx) == 1
    assert list_inviters(ctx, OFFICER).lines[0].has_appeal


@pytest.mark.parametrize("words", ["", " \n", "\x07", "x" * (LONGEST_APPEAL + 1)])
def test_nothing_or_too_much_is_sent_back(
    ctx: Context, alice: MadeMember, member_client: MemberClient, words: str
) -> None:
    suspend_by_rule(ctx, alice)
    answer = member_client(alice).submit("/me/appeal", {"words": words})
    assert answer.status_code == 422
    assert 'aria-invalid="true"' in answer.text
    assert appeals_in(ctx) == 0


@pytest.mark.parametrize(("answer", "words"), [("kept", "it stays as it is"), ("lifted", "you may invite again")])
def test_the_answer_and_its_reason_are_read_here(
    ctx: Context, alice: MadeMember, member_client: MemberClient, answer: str, words: str
) -> None:
    suspend_by_rule(ctx, alice)
    browser = member_client(alice)
    browser.submit("/me/appeal", {"words": WORDS})
    answer_appeal(ctx, OFFICER, open_appeal(ctx), answer, REASON)
    page = browser.page("/me/appeal")
    assert words in page
    assert REASON in page
    assert ("<textarea" in page) is (answer == "kept")
    assert see_standing(ctx, alice.actor).can_appeal is (answer == "kept")


def test_members_read_only_their_own(
    ctx: Context, world: World, alice: MadeMember, member_client: MemberClient
) -> None:
    suspend_by_rule(ctx, alice)
    member_client(alice).submit("/me/appeal", {"words": WORDS})
    assert "neighbours" not in member_client(world.member()).page("/me/appeal")
