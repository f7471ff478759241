"""Planning: a row for everybody, a place only for those who may, and planners that never reserve the same place."""

import threading

import pytest
from sqlalchemy import select, update

from outreach.pipeline import plan
from outreach.store.schema.campaigns import campaign, message
from outreach.store.schema.consents import consent
from outreach.store.schema.people import contact
from tests.factories import World
from tests.pipeline.conftest import Line

WEEK = 7 * 86400


def test_everybody_in_the_audience_has_a_row_with_a_state_and_a_reason(line: Line, world: World, author: int) -> None:
    topic, text = world.topic()
    people = {state: world.person() for state in ("granted", "paused", "withdrawn", "expired")}
    for state, person in people.items():
        world.grant(person, topic, text, state=state)
    one = line.campaign(topic, author=author)
    line.plan()
    assert line.states(one) == {
        people["granted"].id: ("planned", None),
        people["paused"].id: ("withheld", "paused"),
        people["withdrawn"].id: ("withheld", "withdrawn"),
        people["expired"].id: ("withheld", "expired"),
    }
    assert len(line.entries("message.withheld")) == 3


def test_two_spellings_of_one_mailbox_get_one_mail(line: Line, world: World, author: int) -> None:
    topic, text = world.topic()
    for address in ("alice@example.org", "alice+a@example.org", "alice+b@example.org"):
        world.grant(world.person(address), topic, text)
    one = line.campaign(topic, author=author)
    line.plan()
    assert sorted(state for state, _ in line.states(one).values()) == ["planned", "withheld", "withheld"]
    assert {reason for _, reason in line.states(one).values()} == {None, "same_mailbox"}


def test_slices_end_between_mailboxes_and_lose_nobody(
    line: Line, world: World, author: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan, "SLICE", 3)
    topic, text = world.topic()
    people = [world.person() for _ in range(10)]
    for person in people:
        world.grant(person, topic, text)
    one = line.campaign(topic, author=author)
    line.plan()
    assert set(line.states(one)) == {person.id for person in people}
    assert len(line.entries("campaign.slice-planned")) == 4


def test_the_first_planned_campaign_takes_the_place(line: Line, world: World, author: int) -> None:
    topic, text = world.topic(cap_n=1)
    person = world.person()
    world.grant(person, topic, text, cap_n=1)
    late = line.campaign(topic, author=author, priority=5)
    first = line.campaign(topic, author=author, priority=1)
    line.plan()
    assert line.states(first)[person.id] == ("planned", None)
    assert line.states(late)[person.id] == ("withheld", "cap_promise")


def test_send_later_waits_until_the_window_opens_and_then_goes(line: Line, world: World, author: int) -> None:
    topic, text = world.topic(cap_n=1)
    person = world.person()
    world.grant(person, topic, text, cap_n=1, window=WEEK)
    line.campaign(topic, author=author)
    line.plan()
    line.rounds()
    second = line.campaign(topic, author=author, later_until=line.now() + 8 * 86_400_000_000)
    line.plan()
    assert line.states(second)[person.id] == ("waiting", "cap_promise")
    line.pass_hours(24 * 7 - 1)
    plan.release_waiting(line.ctx)
    assert line.states(second)[person.id] == ("waiting", "cap_promise")
    line.pass_hours(2)
    plan.release_waiting(line.ctx)
    line.rounds()
    assert line.states(second)[person.id] == ("sent", None)


def test_a_deadline_that_passes_withholds_with_the_reason(line: Line, world: World, author: int) -> None:
    topic, text = world.topic(cap_n=1)
    person = world.person()
    world.grant(person, topic, text, cap_n=1, window=WEEK)
    line.campaign(topic, author=author)
    line.plan()
    line.rounds()
    second = line.campaign(topic, author=author, later_until=line.now() + 86_400_000_000)
    line.plan()
    line.pass_hours(25)
    plan.release_waiting(line.ctx)
    assert line.states(second)[person.id] == ("withheld", "cap_promise")
    assert plan.finish_campaigns(line.ctx) == 2


def test_waiting_reserves_nothing(line: Line, world: World, author: int) -> None:
    topic, text = world.topic(cap_n=1)
    other, other_text = world.topic(cap_n=5)
    world.cap("total", 2, WEEK)
    person = world.person()
    world.grant(person, topic, text, cap_n=1)
    world.grant(person, other, other_text, cap_n=5)
    line.campaign(topic, author=author)
    line.plan()
    line.campaign(topic, author=author, later_until=line.now() + 86_400_000_000)
    line.plan()
    third = line.campaign(other, author=author)
    line.plan()
    assert line.states(third)[person.id] == ("planned", None)


def test_quiet_hours_defer_and_do_not_drop(line: Line, world: World, author: int) -> None:
    topic, text = world.topic()
    person = world.person()
    world.grant(person, topic, text)
    minute = (line.now() // 60_000_000) % 1440
    with line.ctx.db.transaction() as conn:
        conn.execute(update(contact).values(quiet_from=(minute - 5) % 1440, quiet_to=(minute + 60) % 1440))
    one = line.campaign(topic, author=author)
    line.plan()
    assert line.states(one)[person.id] == ("planned", None)
    assert line.rounds() == 0
    line.pass_hours(1.1)
    line.rounds()
    assert line.states(one)[person.id] == ("sent", None)


def test_an_offer_waits_for_its_useful_mails(line: Line, world: World, author: int) -> None:
    topic, text = world.topic(cap_n=9, ratio_k=2)
    person = world.person()
    world.grant(person, topic, text, cap_n=9, ratio_k=2)
    for expected in ("ratio", "ratio", None):
        offer = line.campaign(topic, author=author, kind="promotional")
        line.plan()
        assert line.states(offer)[person.id][1] == expected
        line.campaign(topic, author=author)
        line.plan()
        line.rounds()


def test_planners_that_run_at_once_never_give_a_place_twice(line: Line, world: World, author: int) -> None:
    topic, text = world.topic(cap_n=2)
    people = [world.person() for _ in range(30)]
    for person in people:
        world.grant(person, topic, text, cap_n=2)
    for _ in range(6):
        line.campaign(topic, author=author)
    threads = [threading.Thread(target=line.plan) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with line.ctx.db.reading() as conn:
        rows = conn.execute(select(message.c.contact, message.c.state)).all()
    planned = [row.contact for row in rows if row.state == "planned"]
    assert len(rows) == 6 * 30
    assert all(planned.count(person.id) == 2 for person in people)


def test_a_segment_narrows_the_audience(line: Line, world: World, author: int) -> None:
    topic, text = world.topic()
    swede, other = world.person(locale="sv"), world.person()
    for person in (swede, other):
        world.grant(person, topic, text)
    one = line.campaign(topic, author=author, segment='{"locales": ["sv"]}')
    line.plan()
    assert set(line.states(one)) == {swede.id}


def test_only_campaigns_that_are_being_sent_are_planned(line: Line, world: World, author: int) -> None:
    topic, text = world.topic()
    world.grant(world.person(), topic, text)
    for state in ("draft", "paused", "cancelled", "sent"):
        line.campaign(topic, author=author, state=state)
    later = line.campaign(topic, author=author, state="scheduled", due=line.now() + 3_600_000_000)
    line.plan()
    assert line.states() == {}
    line.pass_hours(1.01)
    line.plan()
    assert len(line.states(later)) == 1
    with line.ctx.db.reading() as conn:
        assert conn.execute(select(campaign.c.state).where(campaign.c.id == later)).scalar_one() == "sending"


def test_a_consent_row_for_another_topic_opens_nothing(line: Line, world: World, author: int) -> None:
    topic, _text = world.topic()
    other, other_text = world.topic()
    world.grant(world.person(), other, other_text)
    line.campaign(topic, author=author)
    line.plan()
    with line.ctx.db.reading() as conn:
        assert conn.execute(select(message.c.id)).all() == []
        assert len(conn.execute(select(consent.c.contact)).all()) == 1


def test_an_offer_still_on_its_way_has_used_up_its_useful_mails(line: Line, world: World, author: int) -> None:
    topic, text = world.topic(cap_n=9, ratio_k=1)
    person = world.person()
    world.grant(person, topic, text, cap_n=9, ratio_k=1)
    line.campaign(topic, author=author)
    line.plan()
    line.rounds()
    first = line.campaign(topic, author=author, kind="promotional")
    line.plan()
    second = line.campaign(topic, author=author, kind="promotional")
    line.plan()
    assert line.states(first)[person.id] == ("planned", None)
    assert line.states(second)[person.id] == ("withheld", "ratio")
