"""Whether a consent shall go on: asked once, while it lives, as an offer is counted; silence ends it."""

import email
import email.policy
import json
from typing import Any

import pytest
from sqlalchemy import select, update

from outreach.domain.policies import Name
from outreach.domain.tokens import Purpose, purpose_of
from outreach.mail.transport import Outcome, Result
from outreach.pipeline.letters import write_letters
from outreach.pipeline.record import record_outcomes
from outreach.services.confirm import Client, decline, grant, view_confirmation
from outreach.services.context import Context
from outreach.services.expiry import expire
from outreach.services.re_permission import renew_consents
from outreach.services.why import explain
from outreach.services.withdraw import view_stop, withdraw
from outreach.store.audit import Entry, record
from outreach.store.contacts import Person
from outreach.store.decide import load_rule
from outreach.store.planning import judge_messages
from outreach.store.schema.audit import audit_entry
from outreach.store.schema.campaigns import message
from outreach.store.schema.consents import confirmation, consent
from tests.factories import DAY, World
from tests.pipeline.claiming import claim_due
from tests.services.people import ALICE, count, hand_off_everything, letter, link, move_clock, state_of, topic_ref

HOME = Client("203.0.113.9", "Firefox")
ASKED = message.c.origin == "confirmation"


def switch(world: World, **more: Any) -> None:
    world.policy(Name.RE_PERMISSION, {"on": True, "days_before": 30, "silent_days": None, **more})


def ending(world: World, days: int = 20, **more: Any) -> tuple[Person, int]:
    """A consent that ends in `days` days."""
    topic_id, text_id = world.topic()
    person = world.person(ALICE)
    world.grant(person, topic_id, text_id, expires=world.now + days * DAY, **more)
    return person, topic_id


def question(ctx: Context) -> Any:
    with ctx.db.reading() as conn:
        return conn.execute(select(confirmation).order_by(confirmation.c.id.desc()).limit(1)).one()


def token(ctx: Context) -> str:
    return link(ctx, Purpose.CONFIRM, question(ctx).ref)


def ref_of_mail(ctx: Context) -> bytes:
    with ctx.db.reading() as conn:
        return bytes(conn.execute(select(message.c.ref).where(ASKED)).scalar_one())


@pytest.mark.parametrize(("on", "days", "asked"), [(True, 20, 1), (True, 31, 0), (True, -1, 0), (False, 20, 0)])
def test_it_is_asked_once_before_the_end_and_only_while_it_is_wanted(
    ctx: Context, world: World, on: bool, days: int, asked: int
) -> None:
    ending(world, days)
    switch(world, on=on)
    assert renew_consents(ctx) == asked
    assert renew_consents(ctx) == 0
    assert count(ctx, message, ASKED) == asked


def test_the_mail_asks_in_the_topics_words_counts_as_an_offer_and_holds_no_link_that_grants_but_the_question(
    ctx: Context, world: World
) -> None:
    _, topic_id = ending(world)
    switch(world)
    renew_consents(ctx)
    parcels = write_letters(ctx, claim_due(ctx, "bench").ids, 0.0).parcels
    ((parcel,),) = parcels.values()
    read = email.message_from_bytes(parcel.data, policy=email.policy.default)
    body = read.get_body(("plain",))
    assert body is not None
    text = body.get_content()
    assert read["Subject"] == "Shall “Garden tips” go on?"
    assert "I would like Northfield to send me mail, at most 2 times." in " ".join(text.split())
    found = [part for url in text.replace(">", " ").split() for part in url.split("/") if purpose_of(part)]
    assert {purpose_of(one) for one in found} == {Purpose.CONFIRM, Purpose.STOP, Purpose.WHY}
    assert read["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    with ctx.db.reading() as conn:
        row = conn.execute(select(message.c.kind, message.c.topic, message.c.lane)).one()
        entry = conn.execute(select(audit_entry).where(audit_entry.c.kind == "permission.asked")).one()
    assert (row.kind, row.topic, row.lane) == ("promotional", topic_id, "3-notice")
    assert json.loads(entry.body)["why"] == "ending"


def test_yes_begins_a_fresh_consent_with_evidence_and_used_twice_it_says_already(ctx: Context, world: World) -> None:
    ending(world)
    switch(world)
    renew_consents(ctx)
    hand_off_everything(ctx)
    view = view_confirmation(ctx, token(ctx))
    assert (view.about, view.ends, view.answer) == ("renewal", world.now + 20 * DAY, "")
    assert not grant(ctx, token(ctx), {topic_ref(ctx)}, HOME, button="Yes").needs_step
    with ctx.db.reading() as conn:
        row = conn.execute(select(consent.c.state, consent.c.expires)).one()
    assert (row.state, row.expires) == ("granted", None)
    assert grant(ctx, token(ctx), {topic_ref(ctx)}, HOME, button="Yes").is_again
    assert renew_consents(ctx) == 0
    why = explain(ctx, link(ctx, Purpose.WHY, ref_of_mail(ctx)))
    assert (why.about, why.decided.by, why.standing.is_question) == ("renewal", "system", False)


def test_no_and_the_stop_in_the_mail_end_it_at_once(ctx: Context, world: World) -> None:
    ending(world)
    switch(world)
    renew_consents(ctx)
    hand_off_everything(ctx)
    stop = link(ctx, Purpose.STOP, ref_of_mail(ctx))
    assert view_stop(ctx, stop).topic == "Garden tips"
    assert not decline(ctx, token(ctx)).is_again
    assert state_of(ctx) == "withdrawn"
    assert withdraw(ctx, stop, "one-click", HOME).changed == 0


def test_pausing_from_the_mail_is_no_answer(ctx: Context, world: World) -> None:
    ending(world)
    switch(world)
    renew_consents(ctx)
    hand_off_everything(ctx)
    withdraw(ctx, link(ctx, Purpose.WHY, ref_of_mail(ctx)), "pause", HOME, purpose=Purpose.WHY)
    assert state_of(ctx) == "paused"
    assert view_confirmation(ctx, token(ctx)).answer == ""


def test_silence_means_no(ctx: Context, world: World) -> None:
    ending(world)
    switch(world)
    renew_consents(ctx)
    hand_off_everything(ctx)
    move_clock(ctx, 21 * 86_400)
    expire(ctx)
    renew_consents(ctx)
    assert state_of(ctx) == "expired"
    assert question(ctx).answer == "expired"
    assert renew_consents(ctx) == 0


def test_who_was_long_silent_is_asked_and_a_sign_of_life_keeps_the_consent(ctx: Context, world: World) -> None:
    topic_id, text_id = world.topic()
    silent, lively, asked_since = (world.person(f"{name}@example.org") for name in ("silent", "lively", "later"))
    for person in (silent, lively, asked_since):
        world.grant(person, topic_id, text_id)
    switch(world, silent_days=90)
    assert renew_consents(ctx) == 0
    move_clock(ctx, 91 * 86_400)
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        record(conn, now, Entry(kind="consent.limited", actor="recipient", contact=lively.ref))
        record(conn, now, Entry(kind="confirmation.requested", actor="visitor", contact=silent.ref))
    assert renew_consents(ctx) == 2
    hand_off_everything(ctx, 0)
    with ctx.db.transaction() as conn:
        sign = Entry(kind="consent.limited", actor="recipient", contact=asked_since.ref)
        record(conn, ctx.db.now(conn), sign)
    move_clock(ctx, 122 * 86_400)
    expire(ctx)
    renew_consents(ctx)
    with ctx.db.reading() as conn:
        states = {row.contact: row.state for row in conn.execute(select(consent.c.contact, consent.c.state))}
    assert states == {silent.id: "expired", lively.id: "granted", asked_since.id: "granted"}


def test_it_stands_under_every_cap_beside_campaigns_and_they_beside_it(ctx: Context, world: World) -> None:
    person, topic_id = ending(world)
    switch(world)
    world.cap("promotional", 1, 7 * 86_400)
    letter(ctx, world, person.id, topic_id, kind="promotional", campaign=world.campaign(topic_id))
    assert renew_consents(ctx) == 0
    move_clock(ctx, 8 * 86_400)
    assert renew_consents(ctx) == 1
    with ctx.db.transaction() as conn:
        conn.execute(update(consent).values(cap_n=1))
    ref = letter(ctx, world, person.id, topic_id, campaign=world.campaign(topic_id), state="planned", counted=None)
    with ctx.db.reading() as conn:
        now = ctx.db.now(conn)
        mine = conn.execute(select(message.c.id).where(message.c.ref == ref)).scalar_one()
        (judged,) = judge_messages(conn, load_rule(conn, now), [mine], now)
    assert judged.reason == "cap_promise"


def test_one_place_under_a_cap_is_not_given_to_two_topics(ctx: Context, world: World) -> None:
    ending(world)
    other, text_id = world.topic()
    world.grant(world.person(ALICE), other, text_id, expires=world.now + 10 * DAY)
    switch(world)
    world.cap("promotional", 1, 7 * 86_400)
    assert renew_consents(ctx) == 1


@pytest.mark.parametrize("change", ["withdrawn", "off", "cap"])
def test_at_hand_off_it_is_judged_again(ctx: Context, world: World, change: str) -> None:
    person, topic_id = ending(world)
    switch(world)
    renew_consents(ctx)
    if change == "withdrawn":
        with ctx.db.transaction() as conn:
            conn.execute(update(consent).values(state="withdrawn"))
    elif change == "off":
        switch(world, on=False)
    else:
        letter(ctx, world, person.id, topic_id, kind="promotional", campaign=world.campaign(topic_id))
        world.cap("promotional", 1, 7 * 86_400)
    assert claim_due(ctx, "bench").ids == []
    expected = {"withdrawn": "withdrawn", "off": "request_ended", "cap": "cap_promotional"}[change]
    assert count(ctx, message, ASKED, message.c.state == "withheld", message.c.reason == expected) == 1


@pytest.mark.parametrize(("state", "kinds"), [("paused", "promotional"), ("granted", "informational")])
def test_nobody_is_asked_who_paused_or_agreed_to_no_offers(ctx: Context, world: World, state: str, kinds: str) -> None:
    ending(world, state=state, kinds=kinds)
    switch(world)
    assert renew_consents(ctx) == 0


def test_where_nobody_knows_whether_it_arrived_it_is_not_sent_again_for_a_cap_counts_it(
    ctx: Context, world: World
) -> None:
    ending(world)
    switch(world)
    renew_consents(ctx)
    claimed = claim_due(ctx, "bench")
    lost = [Outcome(one, Result.UNKNOWN) for one in claimed.ids]
    record_outcomes(ctx, "bench", claimed.facts, lost)
    assert count(ctx, message, ASKED, message.c.state == "unknown") == 1
