"""A mail that is forwarded gives its new reader nothing: its links stop, lower, pause, or explain that one mail."""

import email
import re
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.exceptions import HTTPException

from outreach.domain.tokens import MAIL_POWERS, Purpose, purpose_of
from outreach.services.context import Context
from outreach.store.schema.consents import consent
from outreach.store.schema.members import connection
from tests.guards.letters import Letter, read_letters
from tests.guards.material import gather
from tests.guards.pages import ADDRESS, Form, Page
from tests.guards.visitors import VISITOR, browser

# What may be behind a link of a campaign's mail. A route joins this list only on purpose.
SHOWS = {"recipient.stop_page", "recipient.why_page"}
# The receipt of what that one mail rests on, or of what was just pressed: no more than the page before it tells.
SHOWS |= {"receipts.receipt", "receipts.file"}
ACTS = {"recipient.one_click", "recipient.press", "recipient.change"}
ACTS |= {"receipts.mail"}  # to the mailbox the receipt is about, whoever presses
# The way back for an hour, in the browser that acted: the session it needs is in no mail.
PUTS_BACK = {"recipient.undo"}
# Behind a mail that asks: the question, and no more.
QUESTION = {"recipient.confirm_page", "recipient.answer", "recipient.never_page", "recipient.never"}
QUESTION |= {"recipient.look"} | SHOWS | ACTS  # beside it, as in any mail, what refuses and explains
# Behind a mail that invites: the invitation, every way to refuse it, and the way to an account; accepting is not there.
INVITATION_SHOWS = {"recipient.invitation", "recipient.invitation_choice", "recipient.report_page"}
INVITATION_SHOWS |= {"recipient.accept_page"}
REFUSES = {"recipient.decline_invitation", "recipient.never_invitation", "recipient.report_invitation"}
ASKS = {"recipient.later_invitation", "member.start_now"}  # for a reminder; for a link to the address typed there
# Where every page of ours leads anybody.
PUBLIC = {"published_log.inclusion", "published_log.checkpoint", "answers.topic"}
PUBLIC |= {"recipient.start", "recipient.sign_up_page", "member.sign_in", "receipts.check_page", "rights.start"}
PUBLIC |= {"room.start"}

_STATES = ("granted", "paused", "pending", "none", "expired", "withdrawn")


@pytest.fixture(scope="module")
def letters(lived: Path) -> list[Letter]:
    """Some of every kind."""
    return read_letters(lived / "instance" / "mailbox", every=37)


def _endpoint(site: Flask, url: str, method: str) -> str:
    try:
        return str(site.url_map.bind("127.0.0.1").match(urlsplit(url).path, method=method)[0])
    except HTTPException:
        return f"nowhere: {method} {url}"


def _tokens_of(letter: Letter) -> list[str]:
    return [part for url in letter.links for part in urlsplit(url).path.split("/") if purpose_of(part)]


def _is_question(letter: Letter) -> bool:
    return Purpose.CONFIRM in {purpose_of(token) for token in _tokens_of(letter)}


def test_a_campaigns_mail_holds_links_that_stop_and_explain_only(letters: list[Letter]) -> None:
    campaigns = [letter for letter in letters if letter.is_campaign]
    assert len(campaigns) > 20
    for letter in campaigns:
        public = [url for url in letter.links if "/answers/" in url]
        assert len(letter.links) == 2 + len(public) <= 3
        assert {purpose_of(token) for token in _tokens_of(letter)} == {Purpose.STOP, Purpose.WHY}
        assert Purpose.STOP.powers | Purpose.WHY.powers <= MAIL_POWERS
        assert len(set(_tokens_of(letter))) == 2


def test_a_mail_that_asks_holds_the_question_and_links_that_refuse_and_explain_only(letters: list[Letter]) -> None:
    questions = [letter for letter in letters if _is_question(letter)]
    assert len(questions) > 5
    for letter in questions:
        purposes = {purpose_of(token) for token in _tokens_of(letter)}
        assert purposes == {Purpose.CONFIRM, Purpose.STOP, Purpose.WHY, Purpose.HIDDEN}
        assert len(set(letter.links)) == len(purposes)
        assert Purpose.HIDDEN.powers == frozenset()


def test_a_mail_that_invites_holds_links_that_show_and_refuse_only(lived: Path) -> None:
    invitations = read_letters(lived / "instance" / "mailbox", holding=b"would like to connect with you")
    assert len(invitations) > 2
    for letter in invitations:
        purposes = [purpose_of(token) for token in _tokens_of(letter)]
        assert sorted(str(purpose) for purpose in purposes) == ["invitation"] * 4 + ["stop", "why"]
        assert len(letter.links) == 6
        assert Purpose.INVITATION.powers <= MAIL_POWERS


def test_links_hold_no_address(letters: list[Letter]) -> None:
    for letter in letters:
        for url in letter.links:
            assert "@" not in url and "%40" not in url
            assert letter.to.partition("@")[0] not in url


def _reach(site: Flask, client: FlaskClient, starts: list[str]) -> tuple[set[str], list[tuple[str, Form]]]:
    """Where the links lead, and the forms found there; pages open to all are not walked further."""
    shown: set[str] = set()
    forms: list[tuple[str, Form]] = []
    asked: set[str] = set()
    waiting = list(starts)
    while waiting:
        url = waiting.pop()
        path = urlsplit(url).path
        if path in asked:
            continue
        asked.add(path)
        endpoint = _endpoint(site, path, "GET")
        shown.add(endpoint)
        if endpoint in PUBLIC:
            continue
        page = Page(client.get(url).text)
        waiting += [urljoin(url, link) for link in page.links if not link.startswith("mailto:")]
        forms += [(urljoin(url, form.action), form) for form in page.forms]
    return shown, forms


def test_a_stranger_with_a_campaigns_mail_can_only_reduce(site: Flask, house: Context, letters: list[Letter]) -> None:
    acted = 0
    for letter in [letter for letter in letters if letter.is_campaign][:12]:
        client = browser(site, VISITOR)
        shown, forms = _reach(site, client, list(letter.links))
        assert shown <= SHOWS | PUBLIC
        assert {_endpoint(site, url, form.method.upper()) for url, form in forms} <= ACTS
        acted += len(forms)
        for url in letter.links:
            assert ADDRESS.findall(client.get(url).text.replace("privacy@northfield.example", "")) == []
        for url, form in forms:
            for button in form.buttons:
                before = _all_states(house)
                client.post(url, data=dict([*form.fields, button]))
                _assert_only_less(before, _all_states(house))
        again, left = _reach(site, client, list(letter.links))
        assert again <= SHOWS | PUBLIC
        assert {_endpoint(site, url, form.method.upper()) for url, form in left} <= ACTS | PUTS_BACK
    assert acted > 12


def test_a_stranger_with_any_mail_of_ours_can_stop_or_lower_and_reaches_nothing_else(
    site: Flask, house: Context, lived: Path
) -> None:
    """One of each subject the house ever sent; each template alone is in tests/web/recipient/test_forwarding.py."""
    met: set[str] = set()
    for letter in _of_each_subject(lived):
        client = browser(site, VISITOR)
        starts = [url for url in letter.links if purpose_of(url.rpartition("/")[2]) in {Purpose.STOP, Purpose.WHY}]
        assert starts, letter.subject
        shown, forms = _reach(site, client, starts)
        assert shown <= SHOWS | PUBLIC, letter.subject
        assert {_endpoint(site, url, form.method.upper()) for url, form in forms} <= ACTS, letter.subject
        for url in starts:
            page = client.get(url).text
            assert ADDRESS.findall(page.replace("privacy@northfield.example", "")) == [], letter.subject
            met.add(page.partition("<h1>")[2].partition("</h1>")[0])
        before = _all_states(house)
        for url, form in forms:
            for button in form.buttons:
                client.post(url, data=dict([*form.fields, button]))
                _assert_only_less(before, _all_states(house))
                before = _all_states(house)
    assert len(met) > 3


def test_every_mail_is_stopped_by_one_click(site: Flask, house: Context, lived: Path) -> None:
    """RFC 8058, whatever the mail is about; what leads into an account too."""
    every = {letter.subject: letter for letter in read_letters(lived / "instance" / "mailbox", every=5)}
    assert len(every) > 15
    for subject, letter in every.items():
        head = email.message_from_string(letter.source)
        (url,) = re.findall(r"<(http[^>]*)>", head["List-Unsubscribe"])
        assert head["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click", subject
        before = _all_states(house)
        answer = browser(site, VISITOR).post(url, data={"List-Unsubscribe": "One-Click"})
        assert answer.status_code == 200, subject
        _assert_only_less(before, _all_states(house))


def test_what_a_stranger_stopped_nobody_else_can_undo(site: Flask, house: Context, letters: list[Letter]) -> None:
    letter = next(letter for letter in letters[20:] if letter.is_campaign)
    (url,) = {link for link in letter.links if "/stop/" in link}
    client = browser(site, VISITOR)
    client.post(url, data={"List-Unsubscribe": "One-Click"})
    stopped = _all_states(house)
    _, forms = _reach(site, browser(site, VISITOR), list(letter.links))
    assert PUTS_BACK.isdisjoint({_endpoint(site, action, form.method.upper()) for action, form in forms})
    assert _all_states(house) == stopped


def test_behind_a_question_is_only_the_question(site: Flask, letters: list[Letter]) -> None:
    for letter in [letter for letter in letters if _is_question(letter)][:8]:
        shown, forms = _reach(site, browser(site, VISITOR), list(letter.links))
        assert shown <= QUESTION | PUBLIC
        assert {_endpoint(site, url, form.method.upper()) for url, form in forms} <= QUESTION


def test_a_stranger_with_an_invitations_mail_can_only_refuse(site: Flask, house: Context) -> None:
    page = f"/invitation/{gather(house).tokens['invitation'][0]}"
    client = browser(site, VISITOR)
    links = [page, *(f"{page}/{part}" for part in ("decline", "never", "report"))]
    shown, forms = _reach(site, client, links)
    assert shown <= INVITATION_SHOWS | PUBLIC
    assert REFUSES <= {_endpoint(site, url, form.method.upper()) for url, form in forms} <= REFUSES | ASKS
    for path in (*links, f"{page}/accept"):
        assert ADDRESS.findall(client.get(path).text.replace("privacy@northfield.example", "")) == []
    before, connected = _all_states(house), _connections(house)
    for url, form in forms:
        if _endpoint(site, url, "POST") in REFUSES:
            assert client.post(url, data=dict([*form.fields, ("why", "unwanted")])).status_code == 303
            _assert_only_less(before, _all_states(house))
            assert _connections(house) == connected
    again, _ = _reach(site, client, links)
    assert again <= INVITATION_SHOWS | PUBLIC


def test_a_token_opens_nothing_but_its_own_door(site: Flask, house: Context) -> None:
    tokens = gather(house).tokens
    client = browser(site, VISITOR)
    for own, some in tokens.items():
        for place in tokens.keys() - {own}:
            for token in some:
                if purpose_of(token) in {purpose_of(other) for other in tokens[place]}:
                    continue
                status = client.get(f"/{place}/{token}").status_code
                assert status == (409 if place == "set-up" else 404), (own, place)  # 409: set up already


def _of_each_subject(lived: Path) -> list[Letter]:
    """A letter for each subject, but for those that lead into an account."""
    found: dict[str, Letter] = {}
    for letter in read_letters(lived / "instance" / "mailbox", every=11):
        if {Purpose.SET_UP, Purpose.STAFF_PASSWORD, Purpose.ACCOUNT}.isdisjoint(map(purpose_of, _tokens_of(letter))):
            found.setdefault(letter.subject, letter)
    return list(found.values())[:24]


def _connections(house: Context) -> list[tuple[int, int | None]]:
    with house.db.reading() as conn:
        rows = conn.execute(select(connection.c.id, connection.c.ended).order_by(connection.c.id))
        return [(row.id, row.ended) for row in rows]


def _all_states(house: Context) -> dict[tuple[int, int], tuple[str, int | None]]:
    with house.db.reading() as conn:
        rows = conn.execute(select(consent.c.contact, consent.c.topic, consent.c.state, consent.c.own_n)).all()
    return {(row.contact, row.topic): (row.state, row.own_n) for row in rows}


def _assert_only_less(
    before: dict[tuple[int, int], tuple[str, int | None]], after: dict[tuple[int, int], tuple[str, int | None]]
) -> None:
    changed = {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}
    assert len({contact for contact, _ in changed}) <= 1
    for key in changed:
        (was, _), (now, _) = before[key], after[key]
        assert _STATES.index(now) >= _STATES.index(was), (was, now)
