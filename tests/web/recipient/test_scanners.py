"""Scanners confirm nobody, people are asked nothing more than they must, and stopping is never challenged.

The counts of docs/guides/scanners.md are printed by
`FLEET=100 pytest tests/web/recipient/test_scanners.py -s -k "measured and sqlite"`.
"""

import os

from flask import Flask
from sqlalchemy import func, select, update

from outreach.domain.tokens import Purpose, purpose_of
from outreach.pipeline.letters import write_letters
from outreach.services.context import Context
from outreach.services.scanners import forget_touches
from outreach.services.sign_up import process_requests, submit_sign_up
from outreach.store import leaving
from outreach.store.schema.campaigns import message
from outreach.store.schema.consents import consent
from outreach.store.schema.observations import observation
from tests.factories import World
from tests.pipeline.claiming import claim_due
from tests.services.people import count, form, letter, link, move_clock
from tests.web.conftest import Browser
from tests.web.recipient.fleet import CLIENTS, Mail, answer_as_a_person, opened, scan

_LINK = ("Look at it and decide",)
FLEET = int(os.environ.get("FLEET", "10"))


def mailed(ctx: Context, ago: int, *addresses: str) -> list[Mail]:
    """A question to each, handed off `ago` seconds ago."""
    for number, address in enumerate(addresses):
        submit_sign_up(ctx, form(address, network=f"10.{number // 200}.{number % 200}.0/24"))
        process_requests(ctx)
    ids = claim_due(ctx, f"bench {ago}", len(addresses)).ids
    written = [parcel for parcels in write_letters(ctx, ids, 0.0).parcels.values() for parcel in parcels]
    with ctx.db.transaction() as conn:
        at = ctx.db.now(conn) - ago * 1_000_000
        conn.execute(update(message).where(message.c.id.in_(ids)).values(state="sent", counted=at, settled=at))
    return [opened(one.data) for one in sorted(written, key=lambda one: one.message_id)]


def granted(ctx: Context) -> int:
    return count(ctx, consent, consent.c.state == "granted")


def test_the_link_nobody_sees_is_in_the_markup_alone_and_does_nothing_but_be_noted(
    ctx: Context, client: Browser, world: World
) -> None:
    world.topic()
    (mail,) = mailed(ctx, 60, "alice@example.org")
    (hidden,) = [url for url in mail.every if "/look/" in url]
    assert hidden not in mail.shown.values()
    assert purpose_of(hidden.rpartition("/")[2]) == Purpose.HIDDEN
    for _ in range(2):
        assert client.get(f"/look/{hidden.rpartition('/')[2]}").status_code == 200
        assert count(ctx, observation) == 1
    with ctx.db.reading() as conn:
        row = conn.execute(select(observation)).one()
    assert set(row._mapping) == {"id", "about", "at"}


def test_an_observation_counts_for_a_day_and_is_gone_after_it(ctx: Context, app: Flask, world: World) -> None:
    world.topic()
    (mail,) = mailed(ctx, 60, "alice@example.org")
    scan(app, mail, 0, presses="nothing")
    move_clock(ctx, 86_401)
    assert not answer_as_a_person(app, mail, CLIENTS[0], _LINK).was_challenged
    forget_touches(ctx)
    assert count(ctx, observation) == 0


def test_erasing_a_person_takes_the_observation_with_them(ctx: Context, app: Flask, world: World) -> None:
    world.topic()
    (mail,) = mailed(ctx, 60, "alice@example.org")
    scan(app, mail, 0, presses="nothing")
    with ctx.db.transaction() as conn:
        leaving.erase(conn, [conn.execute(select(message.c.contact)).scalar_one()])
    assert count(ctx, observation) == 0


def test_measured_a_fleet_of_scanners_confirms_nobody_and_people_after_it_all_can(
    ctx: Context, app: Flask, world: World
) -> None:
    world.topic()
    delays = (0, 5, 30, 120, 3_000)
    confirmed = challenged = people = 0
    for at, ago in enumerate(delays):
        mails = mailed(ctx, ago, *(f"reader{at}.{number}@example.org" for number in range(FLEET // len(delays))))
        for number, mail in enumerate(mails):
            scan(app, mail, number)
        assert granted(ctx) == people
        for number, mail in enumerate(mails):
            outcome = answer_as_a_person(app, mail, CLIENTS[number % len(CLIENTS)], _LINK)
            people += 1
            challenged += outcome.was_challenged
            confirmed += outcome.is_confirmed
    print(f"\nscanned mails={FLEET} confirmed by scanners=0 then asked a step more={challenged} confirmed={confirmed}")
    assert (confirmed, challenged) == (FLEET, FLEET)


def test_measured_people_whose_mail_nobody_scanned_are_asked_nothing_more(
    ctx: Context, app: Flask, world: World
) -> None:
    world.topic()
    mails = mailed(ctx, 60, *(f"reader.{number}@example.org" for number in range(FLEET)))
    outcomes = [answer_as_a_person(app, mail, CLIENTS[at % len(CLIENTS)], _LINK) for at, mail in enumerate(mails)]
    challenged, confirmed = sum(one.was_challenged for one in outcomes), sum(one.is_confirmed for one in outcomes)
    print(f"\npeople={FLEET} asked a step more={challenged} confirmed={confirmed}")
    assert (challenged, confirmed) == (0, FLEET)
    assert count(ctx, observation) == 0


def test_measured_stopping_is_never_challenged_however_soon_and_whoever_touched_what(
    ctx: Context, app: Flask, world: World
) -> None:
    topic_id, text_id = world.topic()
    stopped = 0
    for number in range(FLEET):
        person = world.person()
        world.grant(person, topic_id, text_id)
        stop = f"/stop/{link(ctx, Purpose.STOP, letter(ctx, world, person.id, topic_id))}"
        client = app.test_client()
        if number % 2:
            client.post(stop, data={"List-Unsubscribe": "One-Click"})
        else:
            assert isinstance(client, Browser)
            assert 'id="human"' not in client.submit(f"{stop}/press", {"how": "page"}, follow_redirects=True).text
        with ctx.db.reading() as conn:
            left = conn.execute(select(func.count()).where(consent.c.state == "granted")).scalar_one()
        stopped += left == 0
    print(f"\nstops={FLEET} challenged=0 in force at once={stopped}")
    assert stopped == FLEET


def test_a_no_from_a_scanned_mail_acts_at_once(ctx: Context, app: Flask, client: Browser, world: World) -> None:
    world.topic()
    (mail,) = mailed(ctx, 0, "alice@example.org")
    scan(app, mail, 0, presses="nothing")
    path = mail.shown[_LINK[0]].partition("/confirm/")[2]
    assert client.submit(f"/confirm/{path}", {"answer": "no"}).status_code == 303
    assert "Nothing will be sent" in client.page(f"/confirm/{path}")
