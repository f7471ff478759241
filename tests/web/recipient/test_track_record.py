"""A sign-up page keeps its word in advance: how often mail really came, and the last mail that several people got."""

from typing import Any

import pytest
from flask import Flask
from sqlalchemy import insert, update

from outreach.mail.content import prepare
from outreach.services.context import Context
from outreach.services.public_text import see_offer
from outreach.services.track_record import see_track_record
from outreach.store import tally
from outreach.store.schema.campaigns import campaign as campaigns
from outreach.store.schema.campaigns import content
from outreach.store.schema.consents import consent
from tests.factories import DAY, World
from tests.services.people import letter
from tests.web.conftest import Browser

BODY = (
    "Dear {{ first_name }}, [prune now](https://elsewhere.example/prune) and ![roses](https://elsewhere.example/r.png)"
)


def sent_campaign(ctx: Context, world: World, topic_id: int, people: int, subject: str = "Pruning roses") -> int:
    """A campaign that went to so many."""
    made = world.campaign(topic_id, state="sent", started=world.now)
    with ctx.db.transaction() as conn:
        values: dict[str, Any] = {"ref": bytes([made]) * 16, "campaign": made, "version": 1, "subject": subject}
        values |= {"preheader": "", "body": BODY, "prepared": prepare(subject, "", BODY).to_json()}
        row = insert(content).values(values | {"sha256": b"s" * 32, "frozen": world.now})
        frozen = conn.execute(row.returning(content.c.id)).scalar_one()
        conn.execute(update(campaigns).where(campaigns.c.id == made).values(content=frozen))
        tally.add(conn, world.now, made, {("sent", None): people})
    return made


def readers(ctx: Context, world: World, number: int, mails: int, days: int = 70) -> int:
    """A topic of two mails a week; its readers agreed `days` days ago and got `mails` each."""
    topic_id, text_id = world.topic()
    for _ in range(number):
        person = world.person()
        world.grant(person, topic_id, text_id)
        for at in range(mails):
            letter(ctx, world, person.id, topic_id, counted=world.now - (at + 1) * DAY)
    with ctx.db.transaction() as conn:
        conn.execute(update(consent).values(since=world.now - days * DAY))
    return topic_id


@pytest.mark.parametrize(
    ("number", "days", "rate"), [(5, 70, 0.8), (4, 70, None), (5, 6, None), (5, 400, 8 * 7 / 90), (0, 70, None)]
)
def test_the_rate_is_what_readers_of_long_enough_really_got_and_few_are_not_told_of(
    ctx: Context, world: World, number: int, days: int, rate: float | None
) -> None:
    readers(ctx, world, number, 8, days)
    chosen = see_offer(ctx, "en", "topic-1").chosen
    assert chosen is not None
    found = see_track_record(ctx, chosen).rate
    assert found == (None if rate is None else pytest.approx(rate, abs=0.01))


def test_the_page_says_what_was_promised_and_what_was_sent_and_stays_small(
    ctx: Context, client: Browser, world: World
) -> None:
    topic_id = readers(ctx, world, 5, 8)
    sent_campaign(ctx, world, topic_id, 5)
    page = client.page("/sign-up/topic-1")
    assert "Promised: up to 2 mails a week. Sent: 0.8 on average in the same time, over the last 90 days." in page
    assert "The last mail, as an example: “Pruning roses”" in page
    assert 'href="/sign-up/topic-1/last-mail" target="last-mail"' in page
    assert "Set-Cookie" not in client.get("/sign-up/topic-1").headers
    assert len(page.encode()) < 14_000


def test_the_last_mail_is_shown_to_nobody_in_particular_and_leads_nowhere(
    ctx: Context, client: Browser, world: World
) -> None:
    topic_id, _ = world.topic()
    sent_campaign(ctx, world, topic_id, 7)
    sent_campaign(ctx, world, topic_id, 4, "For few eyes")
    answer = client.get("/sign-up/topic-1/last-mail")
    shown = answer.get_data(as_text=True)
    assert "Dear …," in shown
    assert "For few eyes" not in shown
    assert "elsewhere.example" not in shown
    assert "href=" not in shown
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("sandbox; default-src 'none'")
    assert "Set-Cookie" not in answer.headers


def test_before_five_people_got_one_there_is_no_example(ctx: Context, client: Browser, world: World) -> None:
    topic_id, _ = world.topic()
    sent_campaign(ctx, world, topic_id, 4)
    assert "What was really sent" not in client.page("/sign-up/topic-1")
    assert client.get("/sign-up/topic-1/last-mail").status_code == 404
    assert client.get("/sign-up/nothing-here/last-mail").status_code == 404


def test_it_is_worked_out_once_for_many_who_look(
    ctx: Context, app: Flask, client: Browser, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    readers(ctx, world, 5, 1)
    client.page("/sign-up/topic-1")
    calls: list[object] = []
    monkeypatch.setattr("outreach.web.recipient.sign_up.see_track_record", lambda *given: calls.append(given))
    assert "Sent: 0.1 on average" in client.page("/sign-up/topic-1")
    assert calls == []
