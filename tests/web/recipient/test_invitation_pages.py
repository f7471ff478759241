"""Behind an invitation: a page with every choice of equal weight, presses that count once, and nothing by looking."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import select, update

from outreach.domain.tokens import Purpose
from outreach.services.context import Context
from outreach.store.schema.members import invitation
from outreach.store.schema.people import contact_key, suppression
from tests.factories import World
from tests.services.connecting import everything, row_of
from tests.services.people import count, letter, link, move_clock
from tests.web.conftest import Browser
from tests.web.inviting import ALICE, BOB, invite_by_hand, invite_by_mail
from tests.web.test_pages_render import check_page

STYLE = Path(__file__).parents[3] / "static" / "outreach.css"
PARTS = ("", "/accept", "/decline", "/never", "/report", "/later")
HAND_PARTS = ("", "/report")
CHOICE = re.compile(r'<(a|button) class="([^"]*btn[^"]*)"')


def test_looking_and_prefetching_write_no_row(ctx: Context, client: Browser, world: World) -> None:
    mailed, handed = invite_by_mail(ctx, world), invite_by_hand(ctx, world, inviter=world.member())
    paths = [f"/invitation/{mailed.token}{part}" for part in PARTS]
    paths += [f"/hand/{handed.token}{part}" for part in HAND_PARTS]
    before = everything(ctx)
    for path in paths:
        assert client.head(path).status_code == 200
        check_page(client.page(path))
    assert everything(ctx) == before


def test_looking_at_a_handed_link_keeps_nothing_in_the_browser(ctx: Context, client: Browser, world: World) -> None:
    handed = invite_by_hand(ctx, world)
    for path in (f"/hand/{handed.token}", f"/hand/{handed.token}/report"):
        client.page(path)
    assert client.get(f"/hand/{handed.token}/accept").location == f"/hand/{handed.token}"
    with client.session_transaction() as cookie:
        assert set(cookie) <= {"csrf_token"}


def test_it_says_who_invites_where_the_address_comes_from_and_how_long_it_is_kept(
    ctx: Context, client: Browser, world: World
) -> None:
    page = client.page(f"/invitation/{invite_by_mail(ctx, world).token}")
    for words in (
        "<h1>Alice Berg would like to connect with you</h1>",
        "We met at the seed swap.",
        "a friend",
        "Alice Berg typed it here on",
        "b•••@r•••.example",
        "There is one mail, and no reminder.",
        "your address is erased",
    ):
        assert words in page


def test_a_handed_link_says_that_nobody_was_mailed(ctx: Context, client: Browser, world: World) -> None:
    page = client.page(f"/hand/{invite_by_hand(ctx, world).token}")
    assert "We do not have it. Alice Berg passed this link on, and we mailed nobody." in page
    assert "Never again" not in page
    assert "remind me" not in page


@pytest.mark.parametrize("way", ["mail", "hand"])
def test_every_choice_weighs_the_same_and_nothing_is_chosen(
    ctx: Context, client: Browser, world: World, way: str
) -> None:
    if way == "mail":
        page = client.page(f"/invitation/{invite_by_mail(ctx, world).token}")
    else:
        page = client.page(f"/hand/{invite_by_hand(ctx, world).token}")
    looks = [found[1] for found in CHOICE.findall(page)]
    assert looks == ["btn even wide"] * (4 if way == "mail" else 3)
    assert "checked" not in page


def test_a_report_asks_why_with_nothing_chosen(ctx: Context, client: Browser, world: World) -> None:
    path = f"/invitation/{invite_by_mail(ctx, world).token}/report"
    page = client.page(path)
    assert page.count('type="radio"') == 4
    assert "checked" not in page
    before = everything(ctx)
    refused = client.submit(path)
    assert refused.status_code == 422
    assert "Choose what is wrong with it." in refused.text
    assert client.submit(path, {"why": "because"}).status_code == 422
    assert everything(ctx) == before


@pytest.mark.parametrize("part", ["decline", "never", "report", "later"])
def test_a_press_needs_the_pages_own_token(ctx: Context, client: Browser, world: World, part: str) -> None:
    path = f"/invitation/{invite_by_mail(ctx, world).token}/{part}"
    before = everything(ctx)
    assert client.post(path, data={"why": "unwanted"}).status_code == 400
    assert everything(ctx) == before


def test_declining_counts_once_and_says_so(ctx: Context, client: Browser, world: World) -> None:
    invited = invite_by_mail(ctx, world)
    path = f"/invitation/{invited.token}"
    assert client.submit(f"{path}/decline").status_code == 303
    after = everything(ctx)
    page = client.page(path)
    assert "<h1>Declined</h1>" in page
    assert "Alice Berg is not told, and can never invite you again." in page
    assert "Never again from anyone here" in page and "Report" in page
    assert client.submit(f"{path}/decline").status_code == 303
    assert everything(ctx) == after
    assert client.get(f"{path}/decline").status_code == 303
    assert row_of(ctx, invited.ref).answer == "declined"


def test_stronger_answers_follow_weaker_ones_and_never_the_other_way(
    ctx: Context, client: Browser, world: World
) -> None:
    invited = invite_by_mail(ctx, world)
    path = f"/invitation/{invited.token}"
    client.submit(f"{path}/decline")
    client.submit(f"{path}/report", {"why": "advertising"})
    assert row_of(ctx, invited.ref).answer == "reported"
    assert "<h1>Reported, and declined</h1>" in client.page(path)
    client.submit(f"{path}/never")
    assert row_of(ctx, invited.ref).answer == "never"
    assert count(ctx, suppression, suppression.c.kind == "never", suppression.c.lifted.is_(None)) == 1
    client.submit(f"{path}/decline")
    client.submit(f"{path}/never")
    assert row_of(ctx, invited.ref).answer == "never"
    assert count(ctx, suppression, suppression.c.kind == "never") == 1
    page = client.page(path)
    assert "<h1>We will never write to you again</h1>" in page
    assert f"{path}/never" not in page


def test_a_report_after_never_again_still_counts(ctx: Context, client: Browser, world: World) -> None:
    invited = invite_by_mail(ctx, world)
    path = f"/invitation/{invited.token}"
    client.submit(f"{path}/never")
    assert f"{path}/report" in client.page(path)
    client.submit(f"{path}/report", {"why": "harassment"})
    page = client.page(path)
    assert "Reported. It counts from now on." in page
    assert f"{path}/report" not in page
    assert count(ctx, invitation, invitation.c.report == "harassment") == 1


def test_never_again_says_what_it_ends(ctx: Context, client: Browser, world: World) -> None:
    page = client.page(f"/invitation/{invite_by_mail(ctx, world).token}/never")
    assert "nobody can invite you here any more" in page
    assert "Northfield Garden Society sends no other mail to this address either" in page
    assert "If you get other mail from Northfield Garden Society, that stops too." in page


def test_asking_to_be_reminded_is_noted_once(ctx: Context, client: Browser, world: World) -> None:
    invited = invite_by_mail(ctx, world)
    path = f"/invitation/{invited.token}"
    assert f"{path}/later" in client.page(path)
    assert client.submit(f"{path}/later").status_code == 303
    page = client.page(path)
    assert "Noted. Alice Berg may remind you once." in page
    assert f"{path}/later" not in page
    assert client.get(f"{path}/later").status_code == 303
    assert row_of(ctx, invited.ref).answer is None
    client.submit(f"{path}/decline")
    assert client.submit(f"{path}/later").status_code == 303
    assert row_of(ctx, invited.ref).answer == "declined"


def test_accepting_leads_to_an_account_and_accepts_nothing(ctx: Context, client: Browser, world: World) -> None:
    invited = invite_by_mail(ctx, world)
    before = everything(ctx)
    page = client.page(f"/invitation/{invited.token}/accept")
    assert "Nothing is accepted yet" in page
    assert f'href="/members/sign-in?next=/me/incoming/{invited.ref.hex()}&amp;lang=en"' in page
    assert 'action="/members/start?lang=en"' in page
    assert f'name="back" value="incoming/{invited.ref.hex()}"' in page
    assert "b•••@r•••.example" in page
    assert everything(ctx) == before


def test_accepting_a_handed_link_remembers_it_in_this_browser_alone(
    ctx: Context, client: Browser, world: World
) -> None:
    handed = invite_by_hand(ctx, world)
    before = everything(ctx)
    assert client.submit(f"/hand/{handed.token}/accept").location == f"/hand/{handed.token}/accept"
    page = client.page(f"/hand/{handed.token}/accept")
    assert "Nothing is accepted yet" in page
    assert f'name="back" value="incoming/{handed.ref.hex()}"' in page
    with client.session_transaction() as cookie:
        assert cookie["hand"] == handed.token
    assert everything(ctx) == before


def test_a_handed_link_is_remembered_over_signing_in(ctx: Context, client: Browser, world: World) -> None:
    handed = invite_by_hand(ctx, world)
    world.member(BOB, "Bob", password="a long password of Bob's")
    client.submit(f"/hand/{handed.token}/accept")
    waiting = f"/me/incoming/{handed.ref.hex()}"
    typed = {"address": BOB, "password": "a long password of Bob's", "next": waiting}
    assert client.submit("/members/sign-in", typed).location == waiting
    with client.session_transaction() as cookie:
        assert cookie["hand"] == handed.token


def test_a_member_who_accepts_a_handed_link_goes_straight_to_it(
    ctx: Context, world: World, member_client: Callable[..., Browser]
) -> None:
    handed = invite_by_hand(ctx, world)
    browser = member_client(world.member(BOB, "Bob"))
    assert browser.submit(f"/hand/{handed.token}/accept").location == f"/me/incoming/{handed.ref.hex()}"


def test_a_handed_link_is_declined_once_for_all(ctx: Context, client: Browser, world: World) -> None:
    handed = invite_by_hand(ctx, world)
    path = f"/hand/{handed.token}"
    assert client.submit(f"{path}/decline").status_code == 303
    after = everything(ctx)
    assert "<h1>Declined</h1>" in client.page(path)
    client.submit(f"{path}/decline")
    assert client.submit(f"{path}/accept").location == path
    assert everything(ctx) == after
    assert client.get(f"{path}/report").location == path
    client.submit(f"{path}/report", {"why": "unknown_person"})
    assert everything(ctx) == after


def test_a_handed_link_can_be_reported_while_it_is_open(ctx: Context, client: Browser, world: World) -> None:
    handed = invite_by_hand(ctx, world)
    path = f"/hand/{handed.token}"
    assert f"{path}/report" in client.page(path)
    client.submit(f"{path}/report", {"why": "unknown_person"})
    assert row_of(ctx, handed.ref).answer == "reported"
    assert "<h1>Reported, and declined</h1>" in client.page(path)


@pytest.mark.parametrize("answer", ["accepted", "cancelled", "expired"])
def test_a_used_or_ended_link_tells_only_that(ctx: Context, client: Browser, world: World, answer: str) -> None:
    handed = invite_by_hand(ctx, world)
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        conn.execute(update(invitation).where(invitation.c.ref == handed.ref).values(answer=answer, answered=now))
    page = client.page(f"/hand/{handed.token}")
    assert "<h1>This link is used up</h1>" in page
    assert "Alice" not in page


def test_past_its_time_it_can_still_be_refused_for_ever(ctx: Context, client: Browser, world: World) -> None:
    invited = invite_by_mail(ctx, world)
    path = f"/invitation/{invited.token}"
    move_clock(ctx, 400 * 86_400)
    assert "<h1>The time for this invitation is over</h1>" in client.page(path)
    assert client.get(f"{path}/accept").location == path
    client.submit(f"{path}/never")
    assert row_of(ctx, invited.ref).answer == "never"


def test_once_accepted_it_says_so_and_can_still_be_reported(ctx: Context, client: Browser, world: World) -> None:
    invited = invite_by_mail(ctx, world)
    with ctx.db.transaction() as conn:
        values = {"answer": "accepted", "answered": ctx.db.now(conn)}
        conn.execute(update(invitation).where(invitation.c.ref == invited.ref).values(values))
    path = f"/invitation/{invited.token}"
    assert "<h1>You said yes</h1>" in client.page(path)
    client.submit(f"{path}/decline")
    assert row_of(ctx, invited.ref).answer == "accepted"
    client.submit(f"{path}/report", {"why": "harassment"})
    assert "Reported. It counts from now on." in client.page(path)


def test_links_of_another_kind_open_nothing(ctx: Context, client: Browser, world: World) -> None:
    mailed, handed = invite_by_mail(ctx, world), invite_by_hand(ctx, world, inviter=world.member())
    before = everything(ctx)
    wrong = [link(ctx, purpose, mailed.ref) for purpose in Purpose if purpose is not Purpose.INVITATION]
    for token in (*wrong, link(ctx, Purpose.INVITATION, handed.ref), "t1.broken"):
        for part in PARTS:
            client.page(f"/invitation/{token}{part}", 404)
        assert client.submit(f"/invitation/{token}/never").status_code == 404
    wrong = [link(ctx, purpose, handed.ref) for purpose in Purpose if purpose is not Purpose.HAND]
    for token in (*wrong, link(ctx, Purpose.HAND, mailed.ref), "t1.broken"):
        client.page(f"/hand/{token}", 404)
        for part in ("accept", "decline", "report"):
            assert client.submit(f"/hand/{token}/{part}", {"why": "unwanted"}).status_code == 404
    assert everything(ctx) == before


def test_pages_are_light_private_and_show_no_address(ctx: Context, client: Browser, world: World) -> None:
    mailed, handed = invite_by_mail(ctx, world), invite_by_hand(ctx, world, inviter=world.member())
    paths = [f"/invitation/{mailed.token}{part}" for part in PARTS]
    paths += [f"/hand/{handed.token}{part}" for part in HAND_PARTS]
    for path in paths:
        answer = client.get(path)
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert answer.headers["Cache-Control"] == "no-store"
        assert len(answer.data) + len(STYLE.read_bytes()) < 20_000
        assert "<script" not in answer.text
        for address in (ALICE, BOB):
            assert address not in answer.text


def test_the_page_speaks_the_language_of_the_invitation(ctx: Context, client: Browser, world: World) -> None:
    invited = invite_by_mail(ctx, world, locale="nl")
    assert '<html lang="nl"' in client.page(f"/invitation/{invited.token}")
    assert '<html lang="sv"' in client.page(f"/invitation/{invited.token}?lang=sv")


def test_words_typed_by_a_member_are_words_only(ctx: Context, client: Browser, world: World) -> None:
    inviter = world.member(ALICE, "<b>Alice</b> & Co")
    page = client.page(f"/invitation/{invite_by_mail(ctx, world, inviter=inviter).token}")
    assert "<b>Alice</b>" not in page
    assert "&lt;b&gt;Alice&lt;/b&gt; &amp; Co" in page


def test_an_inviter_who_left_is_named_no_more(ctx: Context, client: Browser, world: World) -> None:
    invited = invite_by_mail(ctx, world)
    with ctx.db.transaction() as conn:
        conn.execute(contact_key.delete().where(contact_key.c.contact == invited.inviter.person.id))
    page = client.page(f"/invitation/{invited.token}")
    assert "a former member would like to connect with you" in page


def test_the_mails_own_way_to_stop_is_never_again(ctx: Context, client: Browser, world: World) -> None:
    invited = invite_by_mail(ctx, world)
    token = _stop_link(ctx, world, invited.ref)
    before = everything(ctx)
    page = client.page(f"/stop/{token}")
    assert "<h1>Never again from anyone here</h1>" in page
    assert page.count("<button") == 1
    assert everything(ctx) == before
    assert client.submit(f"/stop/{token}/press", {"how": "page"}).status_code == 303
    assert "<h1>Stopped</h1>" in client.page(f"/stop/{token}")
    assert row_of(ctx, invited.ref).answer == "never"


def test_one_click_in_a_mail_program_is_never_again(ctx: Context, client: Browser, world: World) -> None:
    invited = invite_by_mail(ctx, world)
    token = _stop_link(ctx, world, invited.ref)
    answer = client.post(f"/stop/{token}", data={"List-Unsubscribe": "One-Click"})
    assert answer.status_code == 200
    assert "<h1>Stopped</h1>" in answer.text
    assert row_of(ctx, invited.ref).answer == "never"


def _stop_link(ctx: Context, world: World, ref: bytes) -> str:
    """The link in the header of the invitation's mail."""
    with ctx.db.reading() as conn:
        row = conn.execute(select(invitation).where(invitation.c.ref == ref)).one()
    mail = letter(ctx, world, row.contact, None, origin="invitation", kind="service", invitation=row.id)
    return link(ctx, Purpose.STOP, mail)
