"""A notice about a topic goes to somebody who gets mail from us, in their language; to nobody else, whoever asked."""

import email
import email.policy
from typing import Any

import pytest
from sqlalchemy import insert, update

from outreach.services.outbox import queue_notice
from outreach.store import consents
from outreach.store.contacts import Person
from outreach.store.schema.consents import consent
from outreach.store.schema.organisation import staff
from outreach.store.schema.people import suppression
from tests.factories import World
from tests.pipeline.conftest import Line

URL = "https://mail.example.org/stop/t2.abc"


def queued(line: Line, world: World, *, state: str = "granted", locale: str = "en", **more: Any) -> Person:
    topic, text = world.topic()
    person = world.person(locale=locale)
    world.grant(person, topic, text, state=state, **more)
    with line.ctx.db.transaction() as conn:
        facts = {"topic": "Garden tips", "url": URL}
        queue_notice(conn, line.ctx, line.now(), person, template="fresh-link", facts=facts, topic=topic)
    return person


@pytest.mark.parametrize(
    ("locale", "subject"),
    [
        ("en", "A fresh link to stop “Garden tips”"),
        ("sv", "En ny länk för att stoppa ”Garden tips”"),
        ("nl", "Een nieuwe link om ‘Garden tips’ te stoppen"),
    ],
)
def test_the_fresh_link_goes_out_from_the_topics_sender(line: Line, world: World, locale: str, subject: str) -> None:
    person = queued(line, world, locale=locale)
    line.rounds()
    mail = email.message_from_bytes(line.relay.sent[0].data, policy=email.policy.default)
    assert mail["Subject"] == subject
    assert mail["From"] == "Northfield <news@northfield.example>"
    assert URL in mail.get_body(("plain",)).get_content()  # type: ignore[union-attr]
    assert line.states()[person.id] == ("sent", None)
    (entry,) = line.entries("message.sent")
    assert entry["state"] == "sent"


def test_a_pause_does_not_hold_it_back(line: Line, world: World) -> None:
    person = queued(line, world, state="paused")
    line.rounds()
    assert line.states()[person.id] == ("sent", None)


@pytest.mark.parametrize("values", [{"state": "withdrawn"}, {"state": "expired"}, {"state": "none"}, {"expires": 1}])
def test_it_ends_with_the_consent(line: Line, world: World, values: dict[str, Any]) -> None:
    person = queued(line, world)
    with line.ctx.db.transaction() as conn:
        conn.execute(update(consent).values(values))
    line.rounds()
    assert line.relay.taken == []
    assert line.states()[person.id] == ("withheld", "no_consent")


@pytest.mark.parametrize("bar", ["deceased", "never", "complaint", "imported", "bounce"])
def test_a_bar_is_stronger_even_for_staff(line: Line, world: World, bar: str) -> None:
    person = queued(line, world)
    with line.ctx.db.transaction() as conn:
        key, _ = consents.bar_keys(conn, person.id)
        conn.execute(insert(suppression).values(key=key, scope="address", kind=bar, lift="officer", since=world.now))
        conn.execute(insert(staff).values(ref=bytes(16), contact=person.id, roles="marketer", created=world.now))
    line.rounds()
    assert line.relay.taken == []
    assert line.states()[person.id] == ("withheld", bar)
