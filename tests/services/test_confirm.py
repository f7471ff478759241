"""The owner's press: what it grants, what it proves, and that a link alone does nothing."""

import json
from typing import Any

import pytest
from sqlalchemy import select

from outreach.domain.errors import InvalidInputError, TokenError, TokenExpiredError
from outreach.domain.tokens import Purpose
from outreach.services.confirm import Client, decline, grant, never, view_confirmation
from outreach.services.context import Context
from outreach.services.sign_up import process_requests, submit_sign_up
from outreach.store import suppressions
from outreach.store.boxes import ContactKeys
from outreach.store.schema.audit import audit_entry
from outreach.store.schema.campaigns import message
from outreach.store.schema.consents import confirmation, consent, consent_event
from outreach.store.schema.people import contact, suppression
from tests.factories import World
from tests.services.people import ALICE, asked, count, form, link, move_clock, state_of, topic_ref

HOME = Client("203.0.113.9", "Firefox")


def yes(ctx: Context, token: str, *slugs: str, **more: Any) -> Any:
    refs = {topic_ref(ctx, slug) for slug in slugs or ("topic-1",)}
    return grant(ctx, token, refs, HOME, button="Yes, up to 2 mails a week", **more)


def test_looking_changes_nothing(ctx: Context, world: World) -> None:
    world.topic()
    token = asked(ctx)
    before = count(ctx, audit_entry)
    view = view_confirmation(ctx, token)
    assert (view.masked, view.answer, view.ceiling) == ("a•••@e•••.org", "", (4, 604_800))
    assert [topic.wording for topic in view.topics] == ["I would like Northfield to send me mail, at most 2 times."]
    assert state_of(ctx) == "pending"
    assert count(ctx, audit_entry) == before


def test_yes_grants_with_the_promise_of_the_text_and_the_printed_ceiling(ctx: Context, world: World) -> None:
    world.topic(cap_n=2, ratio_k=6)
    world.cap("total", 5, 86_400)
    answered = yes(ctx, asked(ctx))
    assert [topic.slug for topic in answered.view.granted] == ["topic-1"]
    with ctx.db.reading() as conn:
        row = conn.execute(select(consent)).one()
        person = conn.execute(select(contact)).one()
    assert (row.state, row.cap_n, row.cap_window, row.ratio_k) == ("granted", 2, 604_800, 6)
    assert row.kinds == "informational,promotional"
    assert (person.ceiling_n, person.ceiling_window) == (5, 86_400)


def test_the_evidence_proves_a_double_opt_in(ctx: Context, world: World) -> None:
    world.topic()
    token = asked(ctx)
    yes(ctx, token)
    with ctx.db.reading() as conn:
        event = conn.execute(select(consent_event).where(consent_event.c.event == "confirmed")).one()
        facts = ContactKeys(ctx.keyring, conn).facts(event.contact, event.evidence_box)
        mail = conn.execute(select(message.c.ref)).scalar_one()
        entry = conn.execute(select(audit_entry).where(audit_entry.c.kind == "consent.confirmed")).one()
    assert facts["wording"] == "I would like Northfield to send me mail, at most 2 times."
    assert (facts["version"], facts["text_locale"], facts["locale"]) == (1, "en", "en")
    assert facts["requests"][0]["form_url"] == "https://news.example/sign-up/topic-1"
    assert facts["requests"][0]["ip"] == "192.0.2.7"
    assert facts["requests"][0]["received"] > 0
    assert (facts["ip"], facts["browser"]) == ("203.0.113.9", "Firefox")
    assert facts["token"]["purpose"] == "confirm"
    assert facts["mail"] == mail.hex()
    assert "Yes, up to 2 mails a week" in facts["act"]
    assert event.message_ref == mail
    assert json.loads(entry.body)["event"] == event.ref.hex()
    assert (json.loads(entry.body)["from"], json.loads(entry.body)["to"]) == ("pending", "granted")


def test_used_twice_it_says_already_and_writes_nothing(ctx: Context, world: World) -> None:
    world.topic()
    token = asked(ctx)
    yes(ctx, token)
    before = count(ctx, audit_entry)
    again = yes(ctx, token)
    assert again.is_again
    assert again.view.answer == "confirmed"
    assert decline(ctx, token).is_again
    assert state_of(ctx) == "granted"
    assert count(ctx, audit_entry) == before


def test_of_several_topics_only_ticked_ones_are_granted_and_none_is_refused(ctx: Context, world: World) -> None:
    world.topic()
    world.topic()
    token = asked(ctx, ALICE, "topic-1", "topic-2")
    with pytest.raises(InvalidInputError):
        grant(ctx, token, set(), HOME, button="Yes")
    yes(ctx, token, "topic-2")
    assert state_of(ctx, "topic-1") == "none"
    assert state_of(ctx, "topic-2") == "granted"


def test_a_topic_nobody_asked_about_cannot_be_slipped_in(ctx: Context, world: World) -> None:
    world.topic()
    world.topic()
    token = asked(ctx, ALICE, "topic-1")
    yes(ctx, token, "topic-1", "topic-2")
    assert state_of(ctx, "topic-2") is None


def test_no_ends_the_request_and_nothing_else(ctx: Context, world: World) -> None:
    topic_id, text_id = world.topic()
    world.topic()
    world.grant(world.person(ALICE), topic_id, text_id)
    decline(ctx, asked(ctx, ALICE, "topic-1", "topic-2"))
    assert state_of(ctx, "topic-1") == "granted"
    assert state_of(ctx, "topic-2") == "none"


def test_never_again_bars_the_mailbox_withdraws_everything_and_outlives_a_new_request(
    ctx: Context, world: World
) -> None:
    topic_id, text_id = world.topic()
    world.topic()
    world.grant(world.person(ALICE), topic_id, text_id)
    token = asked(ctx, ALICE, "topic-2")
    never(ctx, token)
    assert never(ctx, token).is_again
    assert state_of(ctx, "topic-1") == "withdrawn"
    with ctx.db.reading() as conn:
        bar = conn.execute(select(suppression)).one()
    assert (bar.scope, bar.kind, bar.lift) == ("mailbox", "never", "officer")
    submit_sign_up(ctx, form("alice+again@example.org"))
    process_requests(ctx)
    assert count(ctx, message, message.c.state == "withheld", message.c.reason == "never") == 1


def test_never_again_still_works_after_no(ctx: Context, world: World) -> None:
    world.topic()
    token = asked(ctx)
    decline(ctx, token)
    never(ctx, token)
    assert count(ctx, suppression, suppression.c.key == ctx.keyring.blind("mailbox", ALICE)) == 1


def test_a_stranger_who_says_never_is_forgotten_at_once(ctx: Context, world: World) -> None:
    world.topic()
    never(ctx, asked(ctx))
    assert count(ctx, contact, contact.c.address_key == ctx.keyring.blind("address", ALICE)) == 0


def test_a_link_past_seven_days_changes_nothing(ctx: Context, world: World) -> None:
    world.topic()
    token = asked(ctx)
    move_clock(ctx, 7 * 86_400 + 1)
    with pytest.raises(TokenExpiredError):
        view_confirmation(ctx, token)
    with pytest.raises(TokenExpiredError):
        yes(ctx, token)
    assert state_of(ctx) == "pending"


def test_a_token_of_another_purpose_is_refused(ctx: Context, world: World) -> None:
    world.topic()
    asked(ctx)
    with ctx.db.reading() as conn:
        ref = conn.execute(select(confirmation.c.ref)).scalar_one()
    for purpose in (Purpose.STOP, Purpose.WHY, Purpose.UNDO):
        with pytest.raises(TokenError):
            view_confirmation(ctx, link(ctx, purpose, ref))


def test_a_yes_right_after_hand_off_is_asked_one_human_step_and_never_dropped(ctx: Context, world: World) -> None:
    world.topic()
    token = asked(ctx, ago=3)
    assert yes(ctx, token).needs_step
    assert state_of(ctx) == "pending"
    assert not yes(ctx, token, is_human=True).needs_step
    assert state_of(ctx) == "granted"


def test_confirming_lifts_only_bars_the_owner_may_lift(ctx: Context, world: World) -> None:
    world.topic()
    key = ctx.keyring.blind("address", ALICE)
    with ctx.db.transaction() as conn:
        suppressions.put(conn, world.now, [suppressions.Bar(key, "address", "erased", "owner")])
    token = asked(ctx)
    with ctx.db.transaction() as conn:
        suppressions.put(conn, world.now, [suppressions.Bar(key, "address", "bounce", "officer")])
    yes(ctx, token)
    with ctx.db.reading() as conn:
        assert [bar.kind for bar in suppressions.live(conn, [key])] == ["bounce"]


def test_texts_change_and_people_keep_the_version_they_were_shown(ctx: Context, world: World) -> None:
    topic_id, first = world.topic()
    token = asked(ctx)
    world.text(topic_id, version=2, cap_n=9)
    yes(ctx, token)
    with ctx.db.reading() as conn:
        assert conn.execute(select(consent.c.text, consent.c.cap_n)).one() == (first, 2)


def test_an_ended_cap_is_not_printed(ctx: Context, world: World) -> None:
    world.topic()
    world.cap("total", 1, 86_400)
    world.cap("total", 4, 604_800)
    assert view_confirmation(ctx, asked(ctx)).ceiling == (4, 604_800)
