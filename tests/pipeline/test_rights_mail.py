"""The mails about a person's request go to whoever asked, barred or not; a restriction holds back all others."""

import email
import email.policy

import pytest

from outreach.domain.rights import Kind
from outreach.services.rights.notices import STAGES, tell
from outreach.services.rights.room import ask
from outreach.store import consents, suppressions
from tests.factories import World
from tests.pipeline.conftest import Line
from tests.services.owning import asks_for_link, fresh_link
from tests.services.people import ALICE


def subjects(line: Line) -> list[str]:
    mails = [email.message_from_bytes(one.data, policy=email.policy.default) for one in line.relay.sent]
    return [str(mail["Subject"]) for mail in mails]


@pytest.mark.parametrize("bar", ["never", "complaint", "imported", "bounce", "restricted", "erased"])
def test_the_link_and_the_answer_go_whatever_is_barred(line: Line, world: World, bar: str) -> None:
    person = world.person(ALICE)
    with line.ctx.db.transaction() as conn:
        key, _ = consents.bar_keys(conn, person.id)
        suppressions.put(conn, line.now(), [suppressions.Bar(key, "address", bar, "officer")])
    asks_for_link(line.ctx)
    ask(line.ctx, fresh_link(line.ctx, person), "access")
    line.rounds()
    assert sorted(subjects(line)) == ["Your data at Northfield: the link you asked for", "Your data is ready for you"]


def test_nothing_goes_to_the_deceased(line: Line, world: World) -> None:
    person = world.person(ALICE)
    ask(line.ctx, fresh_link(line.ctx, person), "access")
    with line.ctx.db.transaction() as conn:
        key, _ = consents.bar_keys(conn, person.id)
        suppressions.put(conn, line.now(), [suppressions.Bar(key, "address", "deceased", "officer")])
    line.rounds()
    assert line.relay.taken == []


def test_a_restriction_withholds_what_was_agreed_to_and_gives_it_back_when_lifted(
    line: Line, world: World, author: int
) -> None:
    topic, text = world.topic(cap_n=5)
    person = world.person(ALICE)
    world.grant(person, topic, text, cap_n=5)
    ask(line.ctx, fresh_link(line.ctx, person), "restriction")
    first = line.campaign(topic, author=author)
    line.plan()
    line.rounds()
    assert line.states(first) == {person.id: ("withheld", "restricted")}
    with line.ctx.db.transaction() as conn:
        key, _ = consents.bar_keys(conn, person.id)
        assert suppressions.lift_kind(conn, line.now(), key, "restricted")
    second = line.campaign(topic, author=author)
    line.plan()
    line.rounds()
    assert line.states(second) == {person.id: ("sent", None)}


def test_every_stage_of_every_kind_can_be_written(line: Line, world: World) -> None:
    person = world.person(ALICE)
    with line.ctx.db.transaction() as conn:
        now = line.now()
        for stage in STAGES:
            for kind in Kind:
                tell(conn, line.ctx, now, person, stage, kind, due=now, until=now, words="in an officer's words")
    line.rounds()
    mails = [email.message_from_bytes(one.data, policy=email.policy.default) for one in line.relay.sent]
    assert len(mails) == len(STAGES) * len(Kind)
    for mail in mails:
        body = mail.get_body(("plain",))
        assert body is not None
        assert "in an officer's words" in " ".join(body.get_content().split())
        assert "/rights/" not in body.get_content(), "no mail but the one asked for holds a link that opens anything"
