"""Pages of a person's own room: the same answer for every address, what its owner presses, and the way back."""

import re
from datetime import UTC, datetime, timedelta
from gettext import NullTranslations
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask_babel import Babel
from sqlalchemy import select

from outreach import translations
from outreach.domain.eligibility import Reason
from outreach.domain.tokens import Purpose
from outreach.services.context import Context
from outreach.services.room.carrying import process_moves
from outreach.store.boxes import ContactKeys
from outreach.store.schema.campaigns import message
from outreach.store.schema.consents import confirmation, consent, request
from outreach.store.schema.people import contact
from outreach.store.schema.room import address_move
from outreach.web import formats
from outreach.web.room import words
from tests.factories import World
from tests.services.owning import agreed, asks_for_link, fresh_link, later, told
from tests.services.people import ALICE, count, hand_off_everything, letter, state_of, topic_ref
from tests.web.conftest import Browser

STATIC = Path(__file__).parents[3] / "static"
NONCE = re.compile(r'(nonce-|csrf_token" value=")[^"\';]+')
FORM = re.compile(r'<form method="post" action="([^"]+)"[^>]*>(.*?)</form>', re.DOTALL)
HIDDEN = re.compile(r'<input type="hidden" name="([^"]+)" value="([^"]*)">')


def undo(client: Browser, page: str) -> None:
    """Press the button that takes the last press back."""
    (action, inside), *_ = [form for form in FORM.findall(page) if ">Undo:" in form[1]]
    fields: dict[str, Any] = {}
    for name, value in HIDDEN.findall(inside):
        if name != "csrf_token":
            fields.setdefault(name, []).append(value)
    assert client.submit(action, fields).status_code == 303


def settings_of(ctx: Context) -> tuple[Any, ...]:
    query = select(contact.c.own_total_n, contact.c.quiet_from, contact.c.quiet_to, contact.c.locale)
    with ctx.db.reading() as conn:
        return tuple(conn.execute(query.order_by(contact.c.id).limit(1)).one())


def test_the_answer_is_the_same_for_every_address_and_one_row_is_written(
    client: Browser, ctx: Context, world: World
) -> None:
    world.person(ALICE)
    pages = []
    for address in (ALICE, "nobody@example.org"):
        answer = client.submit("/room", {"address": address})
        assert (answer.status_code, answer.location) == (303, "/room/asked")
        pages.append(NONCE.sub("", client.page("/room/asked")))
    assert pages[0] == pages[1]
    assert count(ctx, request, request.c.door == "rights") == 2
    assert client.submit("/room", {"address": "alice"}).status_code == 422


def test_the_link_that_was_mailed_opens_the_room(client: Browser, ctx: Context, world: World) -> None:
    person = world.person(ALICE)
    asks_for_link(ctx, leads="room")
    assert told(ctx, person) == [("room-link", "")]
    with ctx.db.reading() as conn:
        row = conn.execute(select(message.c.contact, message.c.body_box)).one()
        url = ContactKeys(ctx.keyring, conn).facts(row.contact, row.body_box)["facts"]["url"]
    page = client.page(url.removeprefix(ctx.settings.public_url))
    assert "a•••@e•••.org" in page
    assert ALICE not in page


def test_no_link_inside_a_campaigns_mail_opens_the_room(client: Browser, ctx: Context, world: World) -> None:
    made, _ = world.topic()
    person = agreed(ctx)
    ref = letter(ctx, world, person.id, made)
    for purpose in (Purpose.STOP, Purpose.WHY):
        token = ctx.tokens.issue(purpose, ref, world.now)
        for path in ("", "/limits", "/times", "/history", "/receipts", "/people", "/conversations"):
            client.page(f"/room/{token}{path}", 404)
        assert client.submit(f"/room/{token}/topics", {"act": "stop", "all": "1"}).status_code == 404
        assert client.submit(f"/room/{token}/fresh").status_code == 404
    assert state_of(ctx) == "granted"


def test_an_old_link_offers_a_fresh_one_to_its_own_mailbox(client: Browser, ctx: Context, world: World) -> None:
    person = world.person(ALICE)
    token = fresh_link(ctx, person)
    later(ctx, 1800)
    page = client.page(f"/room/{token}", 410)
    assert "Mail me a fresh link" in page
    assert client.submit(f"/room/{token}/fresh").status_code == 303
    assert told(ctx, person) == [("room-link", "")]


@pytest.mark.parametrize(
    ("press", "between", "after"),
    [
        ({"act": "stop"}, "withdrawn", "granted"),
        ({"act": "pause", "days": "90"}, "paused", "granted"),
        ({"act": "pause", "days": "7", "until": "2026-12-24"}, "paused", "granted"),
    ],
)
def test_a_press_counts_at_once_and_is_undone_in_the_browser_that_made_it(
    client: Browser, app: Flask, ctx: Context, world: World, press: dict[str, str], between: str, after: str
) -> None:
    world.topic()
    token = fresh_link(ctx, agreed(ctx))
    if "until" in press:
        with ctx.db.reading() as conn:
            today = datetime.fromtimestamp(ctx.db.now(conn) / 1_000_000, UTC).date()
        press = press | {"until": str(today + timedelta(days=20))}
    name = topic_ref(ctx).hex()
    answer = client.submit(f"/room/{token}/topics", {"topic": name, **press})
    assert (answer.status_code, answer.location) == (303, f"/room/{token}/topic/{name}")
    assert state_of(ctx) == between
    other = app.test_client()
    assert isinstance(other, Browser)
    assert ">Undo:" not in other.page(f"/room/{token}")
    undo(client, client.page(answer.location))
    assert state_of(ctx) == after


def test_a_cap_is_chosen_below_the_promise_and_undone(client: Browser, ctx: Context, world: World) -> None:
    world.topic(cap_n=2)
    token = fresh_link(ctx, agreed(ctx))
    name = topic_ref(ctx).hex()
    page = client.page(f"/room/{token}/topic/{name}")
    assert 'value="1/604800"' in page
    assert 'value="3/604800"' not in page
    for wrong in ("3/604800", "many", "2/604800"):
        answer = client.submit(f"/room/{token}/topics", {"topic": name, "act": "cap", "cap": wrong})
        assert answer.status_code == 422
        assert 'role="alert"' in answer.get_data(as_text=True)
    assert client.submit(f"/room/{token}/topics", {"topic": name, "act": "cap", "cap": "1/604800"}).status_code == 303
    with ctx.db.reading() as conn:
        assert conn.execute(select(consent.c.own_n)).scalar_one() == 1
    undo(client, client.page(f"/room/{token}/topic/{name}"))
    with ctx.db.reading() as conn:
        assert conn.execute(select(consent.c.own_n)).scalar_one() is None


def test_everything_stops_and_comes_back_at_once(client: Browser, ctx: Context, world: World) -> None:
    world.topic()
    token = fresh_link(ctx, agreed(ctx))
    client.submit(f"/room/{token}/topics", {"all": "1", "act": "stop", "days": "30"})
    assert state_of(ctx) == "withdrawn"
    undo(client, client.page(f"/room/{token}"))
    assert state_of(ctx) == "granted"
    for wrong in ({"act": "grow"}, {"act": "stop"}, {"act": "stop", "topic": "zz"}):
        data = {"all": "1", **wrong} if wrong["act"] == "grow" else wrong
        assert client.submit(f"/room/{token}/topics", data).status_code == 400
    assert client.post(f"/room/{token}/topics", data={"all": "1", "act": "stop"}).status_code == 400  # no CSRF token
    assert state_of(ctx) == "granted"


def test_limits_hours_zone_and_language_are_kept_and_undone(client: Browser, ctx: Context, world: World) -> None:
    world.cap("total", 5, 7 * 86_400)
    world.topic()
    token = fresh_link(ctx, agreed(ctx))
    assert client.submit(f"/room/{token}/limits", {"cap": "2/604800"}).status_code == 303
    assert settings_of(ctx)[0] == 2
    undo(client, client.page(f"/room/{token}/limits"))
    assert settings_of(ctx)[0] is None
    assert client.submit(f"/room/{token}/limits", {"cap": "9/604800"}).status_code == 422
    times = {"hours": "own", "quiet_from": "20:30", "quiet_to": "09:00", "timezone": "Europe/Stockholm", "locale": "sv"}
    assert client.submit(f"/room/{token}/times?lang=en", times).status_code == 303
    assert settings_of(ctx)[1:] == (1230, 540, "sv")
    undo(client, client.page(f"/room/{token}/times?lang=en"))
    assert settings_of(ctx)[1:] == (None, None, "en")
    wrong = client.submit(f"/room/{token}/times?lang=en", times | {"quiet_to": "20:00"})
    assert wrong.status_code == 422
    assert "Leave at least two hours" in wrong.get_data(as_text=True)
    assert 'value="20:30"' in wrong.get_data(as_text=True)


def test_the_history_tells_the_real_reason_and_what_came_can_be_explained(
    client: Browser, ctx: Context, world: World
) -> None:
    made, _ = world.topic()
    person = agreed(ctx)
    letter(ctx, world, person.id, made)
    letter(ctx, world, person.id, made, state="withheld", counted=None, reason="cap_promise")
    page = client.page(f"/room/{fresh_link(ctx, person)}/history")
    assert "You had had as many as the text you agreed to promises." in page
    why = re.findall(r'href="(/why/[^"]+)"', page)
    assert len(why) == 2  # the question that was confirmed, and the mail
    assert "number 1" in client.page(why[0])


def test_every_page_is_light_masked_and_changes_nothing(
    client: Browser, ctx: Context, world: World, app: Flask
) -> None:
    for _ in range(6):
        made, _ = world.topic()
    person = agreed(ctx)
    for place in range(30):
        reason = "cap_promotional" if place % 2 else "paused"
        letter(ctx, world, person.id, made, state="withheld", counted=None, reason=reason)
    token = fresh_link(ctx, person)
    sheet = sum((STATIC / name).stat().st_size for name in ("outreach.css", "mark.svg"))
    name = topic_ref(ctx).hex()
    paths = [
        "",
        f"/topic/{name}",
        "/limits",
        "/times",
        "/history",
        "/receipts",
        "/people",
        "/conversations",
        "/address",
    ]
    weights = {}
    for path in paths:
        page = client.page(f"/room/{token}{path}")
        assert ALICE not in page
        assert "<script" not in page
        weights[path] = len(page.encode()) + sheet
    assert max(weights.values()) < 20_000, weights
    client.page(f"/room/{token}/topic/{'0' * 32}", 404)
    client.page(f"/room/{token}/history?before=zz", 404)
    assert state_of(ctx) == "granted"


@pytest.mark.parametrize("language", ["sv", "nl"])
def test_the_room_speaks_its_owners_language(client: Browser, ctx: Context, world: World, language: str) -> None:
    token = fresh_link(ctx, world.person(ALICE, locale=language))
    assert f'<html lang="{language}"' in client.page(f"/room/{token}")


def test_a_language_written_from_right_to_left_turns_the_page(
    client: Browser, ctx: Context, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(translations, "LOCALES", ("en", "sv", "nl", "ar"))
    monkeypatch.setattr(translations, "catalogue", lambda _locale: NullTranslations())
    monkeypatch.setitem(formats.LOCALES, "ar", "العربية")
    token = fresh_link(ctx, world.person(ALICE, locale="ar"))
    assert '<html lang="ar" dir="rtl">' in client.page(f"/room/{token}")
    sheet = (STATIC / "outreach.css").read_text()
    assert (
        re.findall(r"(?:margin|padding|border)-(?:left|right)|[{; ](?:left|right):|text-align: (?:left|right)", sheet)
        == []
    )


def test_every_reason_there_is_has_words_of_its_own() -> None:
    app = Flask("words")
    Babel(app)
    with app.test_request_context():
        assert [reason for reason in Reason if "the log names" in words.reason(reason)] == []


def test_an_address_changes_by_the_pages_of_both_mailboxes(client: Browser, ctx: Context, world: World) -> None:
    world.topic()
    old = agreed(ctx)
    token = fresh_link(ctx, old)
    answer = client.submit(f"/room/{token}/address", {"address": "alice"})
    assert answer.status_code == 422
    assert client.submit(f"/room/{token}/address", {"address": "alice@new.example"}).status_code == 303
    page = client.page(f"/room/{token}/address")
    assert "a•••@n•••.example" in page
    assert "alice@" not in page
    process_moves(ctx)
    hand_off_everything(ctx)
    moving = mailed(ctx, Purpose.MOVE)
    page = client.page(f"/moving/{moving}")
    assert "I would like Northfield to send me mail" in page
    assert "a•••@e" not in page  # whose it was stays with them
    assert client.submit(f"/moving/{moving}", {"answer": "perhaps"}).status_code == 400
    assert client.submit(f"/moving/{moving}", {"answer": "yes"}).status_code == 303
    assert "It comes here soon" in client.page(f"/moving/{moving}")
    keeping = mailed(ctx, Purpose.KEEP)
    assert "a•••@n" not in client.page(f"/keep/{keeping}")
    assert client.submit(f"/keep/{keeping}").status_code == 303
    assert "All stays here" in client.page(f"/keep/{keeping}")
    assert "Nothing comes here" in client.page(f"/moving/{moving}")
    assert state_of(ctx) == "granted"


def test_a_code_of_the_old_room_takes_the_rest_along(client: Browser, ctx: Context, world: World) -> None:
    world.topic()
    world.member(ALICE, "Alice Berg")
    token = fresh_link(ctx, agreed(ctx))
    assert "you get a code here" in client.page(f"/room/{token}/address")
    client.submit(f"/room/{token}/address", {"address": "alice@new.example"})
    process_moves(ctx)
    hand_off_everything(ctx)
    found = re.search(r"<b dir=.ltr.>([a-z0-9]{5}-[a-z0-9]{5})</b>", client.page(f"/room/{token}/address"))
    assert found is not None
    code, moving = found[1], mailed(ctx, Purpose.MOVE)
    page = client.page(f"/moving/{moving}")
    assert code not in page
    assert "If this address has an account of its own" in page
    wrong = client.submit(f"/moving/{moving}", {"answer": "yes", "code": "<b>aaaa"})
    assert wrong.status_code == 422
    assert "This is not the code" in wrong.text
    assert "&lt;b&gt;aaaa" in wrong.text
    assert client.submit(f"/moving/{moving}", {"answer": "yes", "code": code.upper()}).status_code == 303
    assert "All else there comes along" in client.page(f"/moving/{moving}")
    page = client.page(f"/room/{token}/address")
    assert "this address opens no account any more" in page
    assert code not in page
    assert "would go along" in client.page(f"/keep/{mailed(ctx, Purpose.KEEP)}")


def test_a_yes_that_may_be_a_programs_keeps_the_code_that_was_typed(
    client: Browser, ctx: Context, world: World
) -> None:
    world.topic()
    world.member(ALICE, "Alice Berg")
    token = fresh_link(ctx, agreed(ctx))
    client.submit(f"/room/{token}/address", {"address": "alice@new.example"})
    process_moves(ctx)
    hand_off_everything(ctx, ago=1)
    found = re.search(r"<b dir=.ltr.>([a-z0-9]{5}-[a-z0-9]{5})</b>", client.page(f"/room/{token}/address"))
    assert found is not None
    again = client.submit(f"/moving/{mailed(ctx, Purpose.MOVE)}", {"answer": "yes", "code": found[1]})
    assert "One step more" in again.text
    assert f'value="{found[1]}"' in again.text


def mailed(ctx: Context, purpose: Purpose) -> str:
    """The token of the link in a mail about the last change of address."""
    query = select(address_move.c.ref, confirmation.c.ref.label("question"))
    query = query.join(confirmation, confirmation.c.id == address_move.c.confirmation)
    with ctx.db.reading() as conn:
        row = conn.execute(query.order_by(address_move.c.id.desc()).limit(1)).one()
        ref = row.question if purpose is Purpose.MOVE else row.ref
        return ctx.tokens.issue(purpose, ref, ctx.db.now(conn))


def test_a_conversation_is_begun_and_gone_on_with(client: Browser, ctx: Context, world: World) -> None:
    world.topic()
    token = fresh_link(ctx, agreed(ctx))
    name = topic_ref(ctx).hex()
    assert client.submit(f"/room/{token}/conversations", {"topic": name, "words": " "}).status_code == 422
    answer = client.submit(f"/room/{token}/conversations", {"topic": name, "words": "Where do you buy your seeds?"})
    assert answer.status_code == 303
    page = client.page(answer.location)
    assert "Where do you buy your seeds?" in page
    assert "waits for our answer" in page
    assert client.submit(answer.location, {"words": "And your soil?"}).status_code == 303
    assert "And your soil?" in client.page(answer.location)
    stranger = fresh_link(ctx, world.person("bob@example.org"))
    client.page(f"/room/{stranger}/conversations/{answer.location.rpartition('/')[2]}", 404)
