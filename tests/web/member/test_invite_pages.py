"""Inviting one person: the form, the exact look at what goes, the one press, and a list that tells only of a yes."""

import re
from collections.abc import Callable
from html import unescape
from typing import Any

import pytest
from sqlalchemy import update

from outreach.services import sessions
from outreach.services.context import Context
from outreach.store.schema.members import invitation, member
from tests.factories import World
from tests.services.connecting import everything
from tests.services.people import count, move_clock
from tests.services.pressing import set_policy
from tests.web.conftest import CLIENT, Browser
from tests.web.inviting import ALICE, BOB, NOTE, Invited, invite_by_hand, invite_by_mail
from tests.web.test_pages_render import check_page

FORM = {"way": "mail", "address": BOB, "relationship": "friend", "note": NOTE, "locale": "en"}
NEW = "/me/invite/preview"
MemberClient = Callable[..., Browser]
_CHANGING = re.compile(r'value="[^"]{60,}"|[0-9a-f]{32}|<time.*?</time>')


@pytest.fixture
def by_mail(ctx: Context, world: World) -> None:
    """An officer allowed inviting by mail."""
    set_policy(ctx)


@pytest.fixture
def alice(world: World, member_client: MemberClient) -> Browser:
    """The browser of Alice Berg, who is signed in."""
    return member_client(world.member(ALICE, "Alice Berg"))


def test_by_hand_is_always_there_and_by_mail_only_when_allowed(alice: Browser) -> None:
    page = alice.page("/me/invite")
    assert "/me/invite?way=hand" in page
    assert "Invitations by mail are switched off here." in page
    assert "/me/invite?way=mail" not in page
    assert 'name="address"' not in alice.page("/me/invite?way=mail")
    assert "At most 5 in 24 hours and 20 in 30 days." in page


@pytest.mark.usefixtures("by_mail")
def test_the_form_chooses_nothing_for_anybody(alice: Browser) -> None:
    for way, has_address in (("mail", True), ("hand", False)):
        page = alice.page(f"/me/invite?way={way}")
        check_page(page)
        assert ('name="address"' in page) is has_address
        assert page.count('type="radio"') == 5
        assert "checked" not in page
        assert "There is one message and no reminder, ever one per person." in page
        assert "You can make 5 invitations now." in page


@pytest.mark.usefixtures("by_mail")
def test_looking_at_it_first_writes_nothing(ctx: Context, alice: Browser) -> None:
    before = everything(ctx)
    answer = alice.submit(NEW, FORM)
    assert answer.status_code == 200
    check_page(answer.text)
    assert alice.submit("/me/invite", FORM).status_code == 200
    for path in ("/me/invite", "/me/invitations"):
        alice.page(path)
        assert alice.head(path).status_code == 200
    assert everything(ctx) == before


@pytest.mark.usefixtures("by_mail")
def test_the_preview_shows_the_exact_mail_and_what_each_side_sees(alice: Browser) -> None:
    page = alice.submit(NEW, FORM).text
    frame = re.search(r'srcdoc="([^"]*)"', page)
    assert frame is not None
    mail = unescape(frame[1])
    assert "Alice Berg" in mail and "How are your beans?" in mail
    assert "<script" not in mail and "/invitation/" not in mail
    assert 'sandbox referrerpolicy="no-referrer"' in page
    for words in (
        "your name, Alice Berg, how you say you know them, and your words",
        "your e-mail address, and whom else you are connected with",
        "one message, no reminder; you can never invite them again",
        "their address is erased after 14 days",
        "Send this one invitation to b•••@r•••.example",
    ):
        assert words in page
    assert ALICE not in page


@pytest.mark.usefixtures("by_mail")
def test_the_preview_lets_through_the_mails_own_styles_and_no_others(alice: Browser) -> None:
    policy = alice.submit(NEW, FORM).headers["Content-Security-Policy"]
    assert "'unsafe-hashes' 'sha256-" in policy
    assert "'unsafe-inline'" not in policy
    assert "unsafe-hashes" not in alice.get("/me/invite?way=mail").headers["Content-Security-Policy"]


@pytest.mark.usefixtures("by_mail")
def test_going_and_going_back_weigh_the_same_and_keep_what_was_typed(alice: Browser) -> None:
    page = alice.submit(NEW, FORM).text
    buttons = re.findall(r'<button class="([^"]*)"[^>]*>', page.partition('action="/me/invite/send"')[2])
    assert buttons[:2] == ["btn even wide", "btn even wide"]
    back = alice.submit("/me/invite", FORM).text
    assert f'value="{BOB}"' in back
    assert "How are your beans?" in back
    assert re.search(r'value="friend"[^>]* checked', back)


def test_a_handed_page_is_shown_as_its_reader_sees_it(ctx: Context, world: World, alice: Browser) -> None:
    page = alice.submit(NEW, {**FORM, "way": "hand", "address": ""}).text
    check_page(page)
    handed = invite_by_hand(ctx, world, inviter=alice.member)
    theirs = alice.page(f"/hand/{handed.token}")
    shown = _words(page.partition('class="card stack shown"')[2].partition("They do not see")[0])
    for line in re.findall(r"<d[td]>(.*?)</d[td]>|<blockquote[^>]*>(.*?)</blockquote>", theirs, re.DOTALL):
        assert _words(line[0] or line[1]) in shown
    assert "Make the link" in page


def test_the_preview_is_in_the_readers_language_and_the_page_in_the_members(world: World, alice: Browser) -> None:
    page = alice.submit(NEW, {**FORM, "way": "hand", "locale": "sv"}).text
    assert '<html lang="en"' in page
    assert '<div class="card stack shown" lang="sv" dir="ltr">' in page


@pytest.mark.usefixtures("by_mail")
@pytest.mark.parametrize(
    ("typed", "field", "words"),
    [
        ({"address": ""}, "address", "Type an e-mail address."),
        ({"address": "bob@gmial.com"}, "address", "Did you mean gmail.com?"),
        ({"relationship": ""}, "relationship", "Say how you know this person: choose one."),
        ({"relationship": "boss"}, "relationship", "Say how you know this person: choose one."),
        ({"note": "see https://shop.example"}, "note", "Leave web addresses out"),
        ({"note": "call 0701234567"}, "note", "Leave telephone numbers out"),
        ({"note": "x" * 201}, "note", "This is too long: 200 characters fit"),
        ({"locale": "xx"}, "locale", "Choose the language they read."),
    ],
)
@pytest.mark.parametrize("path", [NEW, "/me/invite/send"])
def test_what_cannot_go_is_said_at_its_field_and_everything_is_kept(
    ctx: Context, alice: Browser, typed: dict[str, str], field: str, words: str, path: str
) -> None:
    before = everything(ctx)
    answer = alice.submit(path, FORM | typed)
    assert answer.status_code == 422
    error = re.search(rf'id="{field}-error">([^<]*)<', answer.text)
    assert error is not None and words in unescape(error[1])
    kept = FORM | typed
    assert unescape(answer.text).count(kept["note"]) == 1
    assert f'value="{kept["address"]}"' in answer.text
    assert everything(ctx) == before


@pytest.mark.usefixtures("by_mail")
def test_a_sentence_about_what_was_typed_is_in_the_members_language(alice: Browser) -> None:
    page = alice.submit(f"{NEW}?lang=sv", FORM | {"address": "bob@gmial.com"}).text
    assert '<html lang="sv"' in page
    assert "gmail.com" in page
    assert "Did you mean" not in page


@pytest.mark.usefixtures("by_mail")
def test_the_one_press_answers_the_same_for_everybody(ctx: Context, world: World, alice: Browser) -> None:
    world.member("already@member.example", "Already Here")
    world.person("known@recipients.example")
    answers = []
    for address in ("already@member.example", "known@recipients.example", "unknown@recipients.example"):
        sent = alice.submit("/me/invite/send", FORM | {"address": address})
        page = alice.page(sent.location)
        answers.append(
            (sent.status_code, _CHANGING.sub("", page.replace("a•••@m•••", "k•••@r•••").replace("u•••", "k•••")))
        )
    assert answers[0] == answers[1] == answers[2]
    assert answers[0][0] == 303
    assert "Noted. If it may go, one message goes; you will hear only if they accept." in answers[0][1]


@pytest.mark.usefixtures("by_mail")
def test_by_mail_without_a_press_of_the_pages_own_nothing_goes(ctx: Context, alice: Browser) -> None:
    before = everything(ctx)
    for path in ("/me/invite", NEW, "/me/invite/send"):
        assert alice.post(path, data=FORM).status_code == 400
    assert everything(ctx) == before


def test_by_mail_is_refused_while_switched_off(ctx: Context, alice: Browser) -> None:
    before = everything(ctx)
    for path in (NEW, "/me/invite/send"):
        answer = alice.submit(path, FORM)
        assert answer.status_code == 422
        assert "It cannot go this way now. Nothing was sent or made." in answer.text
    assert everything(ctx) == before


def test_a_way_that_is_none_leads_back_to_the_choice(ctx: Context, alice: Browser) -> None:
    before = everything(ctx)
    for path in ("/me/invite", NEW, "/me/invite/send"):
        assert "By hand" in alice.submit(path, FORM | {"way": "link"}).text
    assert everything(ctx) == before


def test_a_link_by_hand_is_shown_as_text_and_as_a_code(ctx: Context, alice: Browser) -> None:
    made = alice.submit("/me/invite/send", {**FORM, "way": "hand", "address": ""})
    page = alice.page(made.location)
    check_page(page)
    link = re.search(r'readonly value="([^"]*/hand/[^"]*)"', page)
    assert link is not None
    assert "<svg" in page and 'class="qr"' in page
    assert "Make" not in alice.page(f"/hand/{link[1].rpartition('/')[2]}")
    assert count(ctx, invitation, invitation.c.way == "hand") == 1


def test_when_no_more_are_allowed_it_says_when_the_next_is(alice: Browser) -> None:
    for _ in range(5):
        assert alice.submit("/me/invite/send", {**FORM, "way": "hand"}).status_code == 303
    page = alice.page("/me/invite")
    assert "You have made as many invitations as you can for now." in page
    assert 'name="relationship"' not in alice.page("/me/invite?way=hand")
    answer = alice.submit("/me/invite/send", {**FORM, "way": "hand"})
    assert answer.status_code == 422
    assert "as many invitations as you can for now" in answer.text


def test_a_suspended_member_reads_that_they_cannot(ctx: Context, alice: Browser) -> None:
    with ctx.db.transaction() as conn:
        values = {"suspended": ctx.db.now(conn), "suspended_for": "officer"}
        conn.execute(update(member).where(member.c.id == alice.member.id).values(values))
    page = alice.page("/me/invite?way=hand")
    assert "suspended from inviting" in page
    assert 'name="relationship"' not in page
    before = everything(ctx)
    assert alice.submit("/me/invite/send", {**FORM, "way": "hand"}).status_code == 403
    assert everything(ctx) == before


def _settle(ctx: Context, invited: Invited, **values: Any) -> None:
    with ctx.db.transaction() as conn:
        conn.execute(update(invitation).where(invitation.c.ref == invited.ref).values(values))


def test_declined_reported_barred_withheld_and_unanswered_look_the_same(
    ctx: Context, world: World, alice: Browser, client: Browser
) -> None:
    invited = invite_by_mail(ctx, world, inviter=alice.member)
    one, every = f"/me/invitations/{invited.ref.hex()}", "/me/invitations"
    silent = _seen(alice, one, every)
    assert "No answer yet" in silent[0]
    client.submit(f"/invitation/{invited.token}/decline")
    assert _seen(alice, one, every) == silent
    client.submit(f"/invitation/{invited.token}/report", {"why": "unwanted"})
    assert _seen(alice, one, every) == silent
    client.submit(f"/invitation/{invited.token}/never")
    assert _seen(alice, one, every) == silent
    _settle(ctx, invited, answer=None, answered=None, report=None, contact=None)
    assert _seen(alice, one, every) == silent


@pytest.mark.parametrize("answer", [None, "declined", "never", "reported"])
def test_when_the_time_is_over_every_silence_reads_the_same(
    ctx: Context, world: World, alice: Browser, answer: str | None
) -> None:
    invited = invite_by_mail(ctx, world, inviter=alice.member)
    if answer:
        _settle(ctx, invited, answer=answer, answered=world.now)
    move_clock(ctx, 15 * 86_400)
    alice = _again(ctx, alice)
    page = alice.page(f"/me/invitations/{invited.ref.hex()}")
    assert "Closed without an answer" in page
    assert "Take this invitation back" not in page
    assert answer is None or answer not in page.lower().replace("without an answer", "")


def _again(ctx: Context, browser: Browser) -> Browser:
    """Signed in anew, after the clock moved."""
    with ctx.db.transaction() as conn:
        token = sessions.begin_session(ctx, conn, ctx.db.now(conn), browser.member.id, CLIENT, sessions.MEMBERS)
    browser.carry(token)
    return browser


def test_a_yes_is_told_and_leads_to_the_connections(ctx: Context, world: World, alice: Browser) -> None:
    invited = invite_by_mail(ctx, world, inviter=alice.member)
    _settle(ctx, invited, answer="accepted", answered=world.now)
    page = alice.page(f"/me/invitations/{invited.ref.hex()}")
    assert "Accepted" in page
    assert "/me/connections" in page


def test_taking_one_back_counts_once_and_closes_the_link(
    ctx: Context, world: World, alice: Browser, client: Browser
) -> None:
    handed = invite_by_hand(ctx, world, inviter=alice.member)
    path = f"/me/invitations/{handed.ref.hex()}"
    assert alice.submit(f"{path}/cancel").status_code == 303
    assert "You took it back" in alice.page(path)
    after = everything(ctx)
    alice.submit(f"{path}/cancel")
    assert everything(ctx) == after
    assert "This link is used up" in client.page(f"/hand/{handed.token}")


def test_a_reminder_is_offered_only_when_it_was_asked_for_and_only_once(
    ctx: Context, world: World, alice: Browser, client: Browser
) -> None:
    invited = invite_by_mail(ctx, world, inviter=alice.member)
    path = f"/me/invitations/{invited.ref.hex()}"
    assert "remind" not in alice.page(path).replace("no reminder", "")
    assert alice.get(f"{path}/remind").location == path
    assert alice.submit(f"{path}/remind").status_code == 409
    client.submit(f"/invitation/{invited.token}/later")
    assert "They asked to be reminded once." in alice.page(path)
    assert "Asked to be reminded" in alice.page("/me/invitations")
    before = everything(ctx)
    page = alice.page(f"{path}/remind")
    assert "Send this one reminder to b•••@r•••.example" in page
    assert everything(ctx) == before
    assert alice.submit(f"{path}/remind").status_code == 303
    assert "Reminded, as they asked." in alice.page(path)
    assert alice.get(f"{path}/remind").location == path


def test_nobody_sees_another_members_invitations(
    ctx: Context, world: World, alice: Browser, member_client: MemberClient, client: Browser
) -> None:
    invited = invite_by_mail(ctx, world, inviter=alice.member)
    path = f"/me/invitations/{invited.ref.hex()}"
    other = member_client(world.member(name="Charlie"))
    for page in (path, f"{path}/remind"):
        other.page(page, 404)
        assert client.get(page).location.startswith("/members/sign-in")
    for press in ("cancel", "remind"):
        assert other.submit(f"{path}/{press}").status_code == 404
    assert "b•••" not in other.page("/me/invitations")


def test_a_long_list_comes_in_pages_of_fifty(ctx: Context, world: World, alice: Browser) -> None:
    for _ in range(51):
        invite_by_hand(ctx, world, inviter=alice.member)
    first = alice.page("/me/invitations")
    assert first.count('<li class="card') == 50
    assert "/me/invitations?page=2" in first
    assert alice.page("/me/invitations?page=2").count('<li class="card') == 1
    assert "The list ends before this page." in alice.page("/me/invitations?page=3")


def test_an_empty_list_says_what_to_do(alice: Browser) -> None:
    page = alice.page("/me/invitations")
    assert "You have invited nobody yet." in page
    assert "/me/invite" in page


@pytest.mark.usefixtures("by_mail")
def test_no_page_shows_an_address_but_the_form_to_whom_typed_it(ctx: Context, world: World, alice: Browser) -> None:
    made = alice.submit("/me/invite/send", FORM)
    for path in ("/me/invite", "/me/invite?way=mail", "/me/invitations", made.location):
        page = alice.page(path)
        assert BOB not in page
        assert ALICE not in page
    assert "b•••@r•••.example" in alice.page(made.location)
    shown = alice.submit(NEW, FORM).text
    assert shown.count(BOB) == 1
    assert f'type="hidden" name="address" value="{BOB}"' in shown


def _seen(browser: Browser, *paths: str) -> list[str]:
    return [_CHANGING.sub("", browser.page(path)) for path in paths]


def _words(html: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", html)).split())
