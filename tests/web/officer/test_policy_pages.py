"""The officer's pages of policies and approvals: what each shows, what each press does, and who gets in."""

import re
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from flask import Flask

from outreach.domain.actors import Actor, Role
from outreach.domain.invitation import Policy
from outreach.domain.policies import Name, defaults, of_caps, of_inviting
from outreach.services import sessions
from outreach.services.context import Context
from outreach.store.policies import value_at
from tests.factories import World
from tests.services.people import move_clock
from tests.services.policies.acting import newest, somebody
from tests.services.policies.test_campaigns_over import Garden
from tests.services.staffing import hire
from tests.services.test_reveal import ANNA, REASON
from tests.web.conftest import CLIENT, Browser

SignIn = Callable[..., Browser]
Hired = Callable[..., Browser]
UNITS = {f"unit_{row}": "days" for row in (1, 2, 3)}
CAPS = {**UNITS, "n_1": "2", "length_1": "7", "n_2": "1", "length_2": "12", "unit_2": "hours"}


@pytest.fixture
def hired(app: Flask, world: World) -> Hired:
    """`hired("officer")`: the browser of somebody who has chosen a password, as whoever answers must have."""

    def sign_in(roles: str = "officer") -> Browser:
        browser = app.test_client()
        assert isinstance(browser, Browser)
        browser.staff_id = hire(world, roles)
        with world.ctx.db.transaction() as conn:
            token = sessions.begin_session(world.ctx, conn, world.ctx.db.now(conn), browser.staff_id, CLIENT)
        browser.carry(token)
        return browser

    return sign_in


@pytest.fixture
def officer(hired: Hired) -> Browser:
    return hired()


def holds(ctx: Context, name: Name) -> object:
    with ctx.db.reading() as conn:
        return value_at(conn, name, ctx.db.now(conn))


@pytest.mark.parametrize("path", ["", "/cap-total", "/cap-total/change"])
def test_only_officers_see_policies(client: Browser, signed_in: SignIn, path: str) -> None:
    assert client.get(f"/compliance/policy{path}").status_code == 303
    assert signed_in("marketer", "administrator").get(f"/compliance/policy{path}").status_code == 403


@pytest.mark.parametrize("name", list(Name))
def test_every_policy_has_its_page_and_form(officer: Browser, world: World, name: Name) -> None:
    assert f"/compliance/policy/{name}" in officer.page("/compliance/policy")
    assert "as the product brings it" in officer.page(f"/compliance/policy/{name}")
    form = officer.page(f"/compliance/policy/{name}/change")
    assert "Why this changes" in form and "Decide this" in form
    refused = officer.submit(f"/compliance/policy/{name}/change", {"reason": "no"})
    assert refused.status_code == 422
    officer.page("/compliance/policy/soup-of-the-day", 404)


def test_caps_change_with_a_reason_and_the_page_keeps_what_was_decided(
    ctx: Context, world: World, officer: Browser
) -> None:
    path = "/compliance/policy/cap-promotional"
    assert "Say why." in officer.submit(f"{path}/change", CAPS).text
    assert officer.submit(f"{path}/change", {**CAPS, "reason": REASON}).location == path
    assert holds(ctx, Name.CAP_PROMOTIONAL) == of_caps((1, 12 * 3600), (2, 7 * 86400))
    page = officer.page(path)
    assert "This holds from" in page and REASON in page
    assert "at most 1 in 12 hours, at most 2 a week" in page
    assert re.search(r'name="length_1"[^>]*value="12"', officer.page(f"{path}/change"))


@pytest.mark.parametrize(
    ("name", "typed", "found"),
    [
        ("cap-promotional", {**UNITS, "n_1": "2"}, "Give both"),
        ("cap-promotional", {**UNITS, "n_1": "-1", "length_1": "7"}, "between 0 and 1000"),
        ("cap-total", UNITS, "always a total ceiling"),
        ("quiet-hours", {"quiet_from": "25:00", "quiet_to": "08:00"}, 'id="quiet_from-error"'),
        ("notice", {"days": "0"}, "between 1 and 90"),
        ("notice", {"days": "10", "start": "tomorrow"}, 'href="#start"'),
        ("invitations", {"a_day": "51"}, 'href="#a_day"'),
        ("invitations", {"a_day": "9", "a_month": "3", "recipient_n": "1", "recipient_days": "9", "keep_days": "9"},
         'href="#a_month"'),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_named_and_changes_nothing(
    ctx: Context, world: World, officer: Browser, name: Name, typed: dict[str, str], found: str
) -> None:
    before = holds(ctx, Name(name))
    answer = officer.submit(f"/compliance/policy/{name}/change", {**typed, "reason": REASON})
    assert answer.status_code == 422
    assert found in answer.text
    assert holds(ctx, Name(name)) == before


def test_the_rules_of_inviting_are_changed_and_say_what_mailing_means(
    ctx: Context, world: World, officer: Browser
) -> None:
    path = "/compliance/policy/invitations/change"
    page = officer.page(path)
    assert "own advertising" in page
    assert not re.search(r'name="by_mail"[^>]* checked|checked[^>]* name="by_mail"', page)
    typed = {"by_mail": "y", "a_day": "3", "a_month": "9", "recipient_n": "1", "recipient_days": "60", "keep_days": "7"}
    assert officer.submit(path, {**typed, "reason": REASON}).status_code == 303
    held = holds(ctx, Name.INVITATIONS)
    assert isinstance(held, dict)
    assert held == dict(of_inviting(Policy(True, 3, 9, keep_days=7))) | {
        "recipient_n": 1,
        "recipient_window": 60 * 86_400,
    }
    assert "at most 1 in 60 days" in officer.page("/invitations/policy")
    assert "Invitations by mail are <b>on</b>" in officer.page("/invitations")


def test_what_gives_people_more_says_who_is_told_first(ctx: Context, world: World, officer: Browser) -> None:
    somebody(world)
    path = "/compliance/policy/notice"
    assert officer.submit(f"{path}/change", {"days": "3", "reason": REASON}).status_code == 303
    page = officer.page(path)
    assert "1 person is told first" in page and "14 days after the last is told" in page
    assert newest(ctx, Name.NOTICE).starts is None
    early = officer.submit(f"{path}/change", {"days": "2", "reason": REASON, "start": "2030-01-01T08:00"})
    assert early.status_code == 422 and "start-error" in early.text


def test_a_start_is_on_the_readers_clock(ctx: Context, world: World, officer: Browser) -> None:
    move_clock(ctx, 0)
    with ctx.db.reading() as conn:
        soon = ctx.db.now(conn) // 1_000_000 + 86_400
    typed = datetime.fromtimestamp(soon, UTC).strftime("%Y-%m-%dT%H:%M")
    officer.submit("/compliance/policy/notice/change", {"days": "20", "reason": REASON, "start": typed})
    assert newest(ctx, Name.NOTICE).since == soon // 60 * 60 * 1_000_000
    assert "Will hold" in officer.page("/compliance/policy/notice")


def test_a_change_that_needs_a_second_person_is_approved_by_one(
    ctx: Context, world: World, officer: Browser, hired: Hired
) -> None:
    other = hired()
    world.policy(Name.APPROVALS, {**defaults(Name.APPROVALS), "policies": True})
    officer.submit("/compliance/policy/notice/change", {"days": "20", "reason": REASON})
    assert "A second person has to approve this" in officer.page("/compliance/policy/notice")
    (path,) = set(re.findall(r"/compliance/approvals/[0-9a-f]{32}", officer.page("/compliance/approvals")))
    mine = officer.page(path)
    assert "Approve exactly this" not in mine and "Take it back" in mine
    assert officer.submit(f"{path}/approve").status_code == 403
    theirs = other.page(path)
    assert REASON in theirs and "20 days before" in theirs and "Approve exactly this" in theirs
    assert other.submit(f"{path}/decline", {"reason": "no"}).status_code == 422
    assert other.submit(f"{path}/approve").location == "/compliance/approvals"
    assert holds(ctx, Name.NOTICE) == {"days": 20}
    assert "answered already" in other.page(other.submit(f"{path}/approve").location)
    assert "approved" in other.page(path)


def test_a_request_can_be_declined_with_a_reason(ctx: Context, world: World, officer: Browser, hired: Hired) -> None:
    other = hired()
    world.policy(Name.APPROVALS, {**defaults(Name.APPROVALS), "policies": True})
    officer.submit("/compliance/policy/notice/change", {"days": "20", "reason": REASON})
    (path,) = set(re.findall(r"/compliance/approvals/[0-9a-f]{32}", other.page("/compliance/approvals")))
    assert other.submit(f"{path}/decline", {"reason": "the board has not met"}).status_code == 303
    assert "the board has not met" in officer.page(path)
    assert holds(ctx, Name.NOTICE) == {"days": 14}


def test_answering_asks_for_the_password_again(ctx: Context, world: World, officer: Browser) -> None:
    move_clock(ctx, 660)
    for path in (f"/compliance/approvals/{'0' * 32}", "/compliance/policy/notice/change"):
        assert officer.get(path).location.startswith("/account/prove")


def test_a_reveal_waits_for_a_second_officer(ctx: Context, world: World, officer: Browser, hired: Hired) -> None:
    other = hired()
    world.policy(Name.APPROVALS, {**defaults(Name.APPROVALS), "reveals": True})
    person = world.person(ANNA)
    path = f"/compliance/contacts/{person.ref.hex()}/reveal"
    answer = officer.submit(path, {"reason": REASON})
    assert (answer.status_code, answer.location) == (303, path)
    page = officer.page(path)
    assert "waits for a second person" in page and ANNA not in page
    (request,) = set(re.findall(r"/compliance/approvals/[0-9a-f]{32}", other.page("/compliance/approvals")))
    assert ANNA not in other.page(request)
    other.submit(f"{request}/approve")
    page = officer.page(path)
    assert "It was approved" in page and ANNA not in page
    shown = officer.submit(path, {"reason": REASON})
    assert ANNA in shown.text and shown.headers["Cache-Control"] == "no-store"
    assert officer.submit(path, {"reason": REASON}).status_code == 303


def test_a_marketer_reads_that_a_campaign_waits(ctx: Context, world: World, officer: Browser, hired: Hired) -> None:
    marketer = hired("marketer")
    world.policy(Name.APPROVALS, {**defaults(Name.APPROVALS), "campaign_over": 1})
    author = Actor("staff:a11ce0", frozenset({Role.MARKETER}), marketer.staff_id)
    campaign = Garden(world, 2).draft(author).hex()
    typed = {"start": "now", "zone": "UTC", "priority": "5", "local": "", "occurrence": "", "later_until": ""}
    assert marketer.submit(f"/campaigns/{campaign}/schedule", typed).status_code == 303
    page = marketer.page(f"/campaigns/{campaign}")
    assert "waits for approval: it reaches fewer than 5 people" in page and "Waits for approval." in page
    (request,) = set(re.findall(r"/compliance/approvals/[0-9a-f]{32}", officer.page("/compliance/approvals")))
    assert "Dear {{ first_name }}" in officer.page(request)
    officer.submit(f"{request}/decline", {"reason": "too long for our readers"})
    assert "too long for our readers" in marketer.page(f"/campaigns/{campaign}")
