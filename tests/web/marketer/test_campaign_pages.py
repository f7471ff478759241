"""The marketer's path through the pages, and what other roles and other sites cannot do with them."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import insert, select, update

from outreach.services.context import Context
from outreach.store.schema.campaigns import campaign, message
from outreach.store.schema.consents import topic
from outreach.store.schema.organisation import staff
from tests.counting import count_anew
from tests.factories import World
from tests.web.conftest import Browser

WORDS = {"name": "Roses", "subject": "Pruning, {{ first_name }}", "preheader": "", "body": "Dear **{{ first_name }}**"}
NOW = {"start": "now", "local": "", "zone": "UTC", "occurrence": "", "later_until": "", "priority": "5"}


@pytest.fixture
def alice(signed_in: Callable[..., Browser]) -> Browser:
    return signed_in("marketer")


@pytest.fixture
def garden(world: World) -> int:
    """A topic Greta agreed to."""
    topic_id, text_id = world.topic()
    world.grant(world.person("greta@example.org", name="Greta Green", first_name="Greta"), topic_id, text_id)
    return topic_id


def one(ctx: Context, column: Any, *where: Any) -> Any:
    with ctx.db.reading() as conn:
        return conn.execute(select(column).where(*where)).scalars().one()


def draft(ctx: Context, alice: Browser, topic_id: int, words: dict[str, str] | None = None) -> str:
    """A draft made through the pages. Returns its path."""
    ref = one(ctx, topic.c.ref, topic.c.id == topic_id).hex()
    answer = alice.submit("/campaigns/new", {"name": "Roses", "topic": ref, "kind": "informational"})
    assert answer.status_code == 303
    assert alice.submit(answer.location, words or WORDS).status_code == 303
    return str(answer.location.removesuffix("/words"))


def test_the_way_from_an_empty_list_to_a_scheduled_campaign(ctx: Context, alice: Browser, garden: int) -> None:
    assert "Write the first campaign" in alice.page("/campaigns")
    path = draft(ctx, alice, garden)
    assert "first_name" in alice.page(f"{path}/words")
    assert alice.submit(f"{path}/audience", {"kind": "informational", "locales": ["en"]}).location == f"{path}/check"
    assert "Go on to the schedule" in alice.page(f"{path}/check")
    assert alice.submit(f"{path}/schedule", NOW).location == path
    page = alice.page(path)
    assert "It reaches fewer than 5 people" in page
    assert "Take back to a draft" in page
    assert alice.submit(f"{path}/pause").location == path
    assert "Resume the schedule" in alice.page(path)
    alice.submit(f"{path}/resume")
    alice.submit(f"{path}/cancel")
    assert one(ctx, campaign.c.state) == "cancelled"
    assert "Roses" in alice.page("/campaigns?tab=finished")


def test_the_schedule_of_service_mail_says_who_must_approve_it(
    ctx: Context, alice: Browser, signed_in: Callable[..., Browser], world: World
) -> None:
    topic_id, text_id = world.topic(kinds="informational,service")
    world.grant(world.person(), topic_id, text_id, kinds="informational,service")
    path = draft(ctx, alice, topic_id)
    said = "somebody who is marketer and officer must schedule it"
    assert said not in alice.page(f"{path}/schedule")
    alice.submit(f"{path}/audience", {"kind": "service", "locales": ["en"]})
    assert said in alice.page(f"{path}/schedule")
    refused = alice.submit(f"{path}/schedule", NOW)
    assert refused.status_code == 422
    assert "Your draft was kept" in refused.text
    assert signed_in("marketer", "officer").submit(f"{path}/schedule", NOW).location == path


@pytest.mark.parametrize("tab", ["all", "drafts", "scheduled", "sending", "finished"])
def test_every_tab_says_what_to_do_when_it_is_empty(alice: Browser, tab: str) -> None:
    assert "card empty" in alice.page(f"/campaigns?tab={tab}")


def test_an_unknown_tab_or_campaign_is_not_found(alice: Browser) -> None:
    alice.page("/campaigns?tab=everything", 404)
    alice.page("/campaigns?older=zz", 404)
    alice.page(f"/campaigns/{'0' * 32}", 404)


def test_without_a_topic_the_page_says_who_makes_one(alice: Browser) -> None:
    assert "No topic to write about" in alice.page("/campaigns/new")


def test_scheduling_for_nobody_stops_with_the_reason(ctx: Context, alice: Browser, world: World) -> None:
    topic_id, _text = world.topic()
    path = draft(ctx, alice, topic_id)
    answer = alice.submit(f"{path}/schedule", NOW)
    assert answer.status_code == 422
    text = answer.get_data(as_text=True)
    assert "Nobody would get this" in text
    assert "sign-up page" in text
    assert one(ctx, campaign.c.state) == "draft"


def test_what_was_typed_is_kept_when_it_cannot_be_saved(ctx: Context, alice: Browser, garden: int) -> None:
    path = draft(ctx, alice, garden)
    answer = alice.submit(f"{path}/words", {**WORDS, "body": "Half a {% if letter"})
    assert answer.status_code == 422
    assert "Half a {% if letter" in answer.get_data(as_text=True)
    assert one(ctx, campaign.c.body) == WORDS["body"]


def test_a_field_nobody_has_is_pointed_out(ctx: Context, alice: Browser, garden: int) -> None:
    path = draft(ctx, alice, garden, {**WORDS, "body": "Dear {{ nickname }}"})
    assert "<code>nickname</code>" in alice.page(f"{path}/words")


def test_a_time_that_comes_twice_asks_which(ctx: Context, alice: Browser, garden: int) -> None:
    path = draft(ctx, alice, garden)
    later = {**NOW, "start": "at", "local": "2035-10-28T02:30", "zone": "Europe/Stockholm"}
    answer = alice.submit(f"{path}/schedule", later)
    assert answer.status_code == 422
    text = answer.get_data(as_text=True)
    assert "comes twice" in text
    assert "The second time" in text
    assert alice.submit(f"{path}/schedule", {**later, "occurrence": "second"}).status_code == 303


def test_a_time_taken_back_is_offered_again(ctx: Context, alice: Browser, garden: int) -> None:
    path = draft(ctx, alice, garden)
    assert "The second time" not in alice.page(f"{path}/schedule")
    alice.submit(f"{path}/schedule", {**NOW, "start": "at", "local": "2035-07-01T08:00", "zone": "Asia/Kathmandu"})
    alice.submit(f"{path}/unschedule")
    page = alice.page(f"{path}/schedule")
    assert 'value="2035-07-01T08:00"' in page
    assert '<option selected value="Asia/Kathmandu">' in page


def test_the_preview_shows_the_persons_fields_and_never_the_address(ctx: Context, alice: Browser, garden: int) -> None:
    path = draft(ctx, alice, garden, {**WORDS, "body": "Dear {{ first_name }}, {{ address }}{{ email }}"})
    answer = alice.get(f"{path}/preview")
    page = alice.page(answer.location)
    assert "Pruning, Greta" in page
    mail = alice.page(answer.location.replace("/preview?", "/preview/mail?"))
    assert "Dear Greta" in mail
    assert "greta@example.org" not in page + mail


def test_a_preview_can_run_nothing_and_is_framed_by_us_alone(ctx: Context, alice: Browser, garden: int) -> None:
    """CVE-2025-58430: markup in a mail's words or in a contact's fields became script in the staff's session."""
    body = "<script>alert(1)</script> <img src=x onerror=alert(1)> <svg onload=alert(1)> {{ first_name }}"
    path = draft(ctx, alice, garden, {**WORDS, "subject": "<script>alert(2)</script>", "body": body})
    answer = alice.get(f"{path}/preview")
    page = alice.get(answer.location)
    assert "<script>alert(2)" not in page.get_data(as_text=True)
    assert "frame-src 'self'" in page.headers["Content-Security-Policy"]
    assert " sandbox " in page.get_data(as_text=True)
    mail = alice.get(answer.location.replace("/preview?", "/preview/mail?"))
    policy = mail.headers["Content-Security-Policy"]
    assert policy.startswith("sandbox; default-src 'none'")
    assert "script-src" not in policy
    assert mail.headers["X-Frame-Options"] == "SAMEORIGIN"
    text = mail.get_data(as_text=True)
    assert "Greta" in text
    for tag in ("<script", "<img src=x", "<svg"):
        assert tag not in text


def test_a_link_that_would_run_script_is_refused(ctx: Context, alice: Browser, garden: int) -> None:
    path = draft(ctx, alice, garden)
    assert alice.submit(f"{path}/words", {**WORDS, "body": "[x](javascript:alert(1))"}).status_code == 422


@pytest.mark.parametrize(
    "body",
    [
        "{{ config }}{{ settings }}{{ environ }}{{ request }}{{ self }}{{ context }}",
        "{{ first_name.__class__ }}{{ first_name.__class__.__mro__ }}",
        "{{ config.SECRET_KEY }}{{ ctx.keyring }}{{ keyring.sessions }}",
    ],
)
def test_a_template_reaches_no_setting_and_no_secret(ctx: Context, alice: Browser, garden: int, body: str) -> None:
    """CVE-2025-49136: a campaign's template read its host's environment."""
    path = draft(ctx, alice, garden, {**WORDS, "body": f"begin[{body}]end"})
    location = alice.get(f"{path}/preview").location
    assert "begin[]end" in alice.page(location.replace("/preview?", "/preview/mail?"))


@pytest.mark.parametrize("body", ["{% include '/etc/passwd' %}", "{% render 'x' %}", "{{ 'USER' | env }}"])
def test_a_template_opens_no_file_and_no_environment(ctx: Context, alice: Browser, garden: int, body: str) -> None:
    path = draft(ctx, alice, garden)
    assert alice.submit(f"{path}/words", {**WORDS, "body": body}).status_code == 422


def test_a_reference_nobody_has_is_named(ctx: Context, alice: Browser, garden: int) -> None:
    path = draft(ctx, alice, garden)
    assert "No contact has this reference" in alice.page(f"{path}/preview?contact=AAAA-AAAA-AA", 422)


def test_a_test_mail_goes_to_oneself(ctx: Context, alice: Browser, garden: int) -> None:
    path = draft(ctx, alice, garden)
    assert alice.submit(f"{path}/test").status_code == 303
    with ctx.db.reading() as conn:
        row = conn.execute(select(message.c.origin, message.c.content, message.c.campaign)).one()
    assert (row.origin, row.campaign) == ("test", None)
    assert row.content is not None


def sent_to(world: World, campaign_id: int, topic_id: int, state: str, reason: str | None, count: int) -> list[str]:
    """Messages of a campaign put straight into the table. Returns their people's references."""
    codes = []
    for _ in range(count):
        person = world.person()
        codes.append(person.code)
        with world.ctx.db.transaction() as conn:
            conn.execute(
                insert(message).values(
                    ref=person.ref,
                    origin="campaign",
                    kind="informational",
                    lane=f"5-campaign-{campaign_id}-other",
                    contact=person.id,
                    mailbox=person.mailbox,
                    campaign=campaign_id,
                    topic=topic_id,
                    state=state,
                    reason=reason,
                    planned=world.now,
                    due=world.now,
                    settled=world.now,
                )
            )
            count_anew(conn, campaign_id)
    return codes


def test_progress_shows_numbers_and_keeps_small_ones_small(
    ctx: Context, alice: Browser, world: World, garden: int
) -> None:
    running = world.campaign(garden)
    sent_to(world, running, garden, "sent", None, 3)
    sent_to(world, running, garden, "withheld", "complaint", 2)
    sent_to(world, running, garden, "withheld", "withdrawn", 1)
    sent_to(world, running, garden, "withheld", "paused", 6)
    path = f"/campaigns/{one(ctx, campaign.c.ref).hex()}"
    for page in (alice.page(path), alice.page(f"{path}/progress")):
        assert '<td>Asked not to</td><td class="n">fewer than 5</td>' in page
        assert '<td>Paused by the person</td><td class="n">6</td>' in page
        assert "Not: at least 6" in page
        assert "complain" not in page.lower()
        assert "withdr" not in page.lower()
    assert "progress.js" in alice.page(path)
    assert "connect-src 'self'" in alice.get(path).headers["Content-Security-Policy"]


def test_lists_name_contacts_by_reference_and_none_who_were_withheld(
    ctx: Context, alice: Browser, world: World, garden: int
) -> None:
    running = world.campaign(garden)
    [sent] = sent_to(world, running, garden, "sent", None, 1)
    [asked] = sent_to(world, running, garden, "withheld", "withdrawn", 1)
    path = f"/campaigns/{one(ctx, campaign.c.ref).hex()}/messages"
    shown = f"{sent[:4]}-{sent[4:8]}-{sent[8:]}"
    page = alice.page(f"{path}?state=sent")
    assert shown in page
    assert "•••@" not in page
    assert "@example.org" not in page
    for state in ("to-go", "later", "came-back", "unknown"):
        assert asked[:4] not in alice.page(f"{path}?state={state}")
    alice.page(f"{path}?state=withheld", 404)
    found = alice.submit(path, {"contact": shown.lower()}).get_data(as_text=True)
    assert "Taken by their mail server" in found


def test_why_one_contact_did_not_is_told_in_words_that_betray_nobody(
    ctx: Context, alice: Browser, world: World, garden: int
) -> None:
    running = world.campaign(garden, planned=world.now)
    [withdrew] = sent_to(world, running, garden, "withheld", "withdrawn", 1)
    [complained] = sent_to(world, running, garden, "withheld", "complaint", 1)
    [capped] = sent_to(world, running, garden, "withheld", "cap_own", 1)
    path = f"/campaigns/{one(ctx, campaign.c.ref).hex()}/why-not"
    assert "Asked not to" in alice.page(path)

    def told(code: str) -> str:
        page = alice.submit(path, {"contact": code}).get_data(as_text=True)
        return page.split('<h2 id="one">')[1].split("</h2>")[1].split("</section>")[0]

    assert "they asked not to" in told(withdrew)
    assert told(withdrew) == told(complained)
    assert "a limit on how much they get" in told(capped)
    assert "Not in the audience" in told(world.person().code)
    assert alice.submit(path, {"contact": "AAAAAAAAAA"}).status_code == 422


def test_the_audience_page_keeps_small_numbers_small(ctx: Context, alice: Browser, world: World, garden: int) -> None:
    text = world.text(garden, version=2)
    world.grant(world.person(), garden, text, state="withdrawn")
    page = alice.page("/audience")
    assert '<td>Asked not to</td><td class="n">fewer than 5</td>' in page
    assert "/sign-up/topic-" in page
    listed = alice.page(f"/audience/{one(ctx, topic.c.ref).hex()}")
    assert "g•••@e•••.org" in listed
    assert "greta" not in listed
    assert listed.count("•••@") == 1


def test_an_adopted_campaign_is_resumed(ctx: Context, alice: Browser, world: World, garden: int) -> None:
    author = world.staff("marketer")
    world.campaign(garden, author=author, state="paused", resumes_to="scheduled", due=2**52)
    with ctx.db.transaction() as conn:
        conn.execute(update(staff).where(staff.c.id == author).values(disabled=1))
    path = f"/campaigns/{one(ctx, campaign.c.ref).hex()}"
    assert "Adopt this campaign" in alice.page(path)
    alice.submit(f"{path}/resume")
    assert "Adopt the campaign first" in alice.page(path)
    alice.submit(f"{path}/adopt")
    assert "Resume the schedule" in alice.page(path)


ACTS = ("unschedule", "pause", "resume", "cancel", "adopt", "copy", "test")


@pytest.mark.parametrize("act", ACTS)
def test_acts_need_a_post_with_our_token(ctx: Context, alice: Browser, world: World, garden: int, act: str) -> None:
    world.campaign(garden)
    path = f"/campaigns/{one(ctx, campaign.c.ref).hex()}/{act}"
    assert alice.get(path).status_code == 405
    assert alice.post(path).status_code == 400
    assert one(ctx, campaign.c.state) == "sending"


def test_officers_and_administrators_open_no_campaign(
    ctx: Context, signed_in: Callable[..., Browser], world: World, garden: int
) -> None:
    world.campaign(garden)
    path = f"/campaigns/{one(ctx, campaign.c.ref).hex()}"
    for browser in (signed_in("officer"), signed_in("administrator")):
        for page in ("/campaigns", "/campaigns/new", path, f"{path}/messages", f"{path}/preview"):
            browser.page(page, 403)
        assert browser.submit(f"{path}/pause").status_code == 403
    assert one(ctx, campaign.c.state) == "sending"
