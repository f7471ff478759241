"""What waits is mailed to staff: once a day at most, only when something is due, to those who may do something."""

import email
import email.policy

import pytest
from sqlalchemy import select, update

from outreach.domain.actors import Actor
from outreach.domain.policies import Name, defaults
from outreach.mail import system
from outreach.services import staff as service
from outreach.services.officer.telling import tell_dues, tell_of_approvals
from outreach.services.policies import approvals
from outreach.services.seal import seal
from outreach.store.schema.audit import audit_entry
from outreach.store.schema.campaigns import campaign, message
from outreach.store.schema.organisation import staff
from tests.factories import World
from tests.pipeline.conftest import Line
from tests.services.policies.acting import change, officer
from tests.services.staffing import hire

MORE = {"days": 20}


@pytest.fixture
def line(world: World) -> Line:
    return Line(world)


def mails(line: Line) -> list[str]:
    """Plain words of what left since the last look."""
    line.rounds()
    sent = [email.message_from_bytes(one.data, policy=email.policy.default) for one in line.relay.sent]
    line.relay.taken.clear()
    return [" ".join(one.get_body(("plain",)).get_content().split()) for one in sent]  # type: ignore[union-attr]


def test_dues_are_told_once_a_day_only_to_whom_they_concern(line: Line, world: World) -> None:
    ctx = line.ctx
    officer(world)
    hire(world, "marketer")
    hire(world, "administrator")
    assert tell_dues(ctx) == 0, "nothing is due"
    made = world.campaign(world.topic()[0], author=hire(world, "marketer"), state="paused", resumes_to="sending")
    assert tell_dues(ctx) == 0, "a marketer paused it"
    with ctx.db.transaction() as conn:
        conn.execute(update(campaign).where(campaign.c.id == made).values(pause_reason="complaints"))
    assert tell_dues(ctx) == 1
    (words,) = mails(line)
    assert "one campaign that paused itself" in words and "/compliance" in words
    assert "second yes" not in words and "Pruning" not in words
    seal(ctx, 1)
    line.pass_hours(23)
    assert tell_dues(ctx) == 0
    line.pass_hours(2)
    assert tell_dues(ctx) == 1, "the officer, once more"
    line.pass_hours(1)
    assert tell_dues(ctx) == 1, "the administrator: nobody seals what was written an hour ago"
    assert sorted("wait too long to be sealed" in words for words in mails(line)) == [False, True]


def test_who_switched_them_off_gets_none(line: Line, world: World) -> None:
    ada = officer(world)
    world.campaign(world.topic()[0], author=1, state="paused", resumes_to="sending", pause_reason="bounces")
    assert service.see_profile(line.ctx, ada).told_of_dues
    service.edit_profile(line.ctx, ada, name="Ada", timezone="UTC", told_of_dues=False)
    assert not service.see_profile(line.ctx, ada).told_of_dues
    assert (tell_dues(line.ctx), mails(line)) == (0, [])


def test_a_second_yes_is_asked_for_by_mail_and_its_answer_told_to_whoever_asked(line: Line, world: World) -> None:
    ctx = line.ctx
    ada, bea = officer(world), officer(world)
    hire(world, "marketer")
    world.policy(Name.APPROVALS, {**defaults(Name.APPROVALS), "policies": True})
    asked = change(ctx, ada, Name.NOTICE, MORE).approval
    assert asked is not None
    assert (tell_of_approvals(ctx), tell_of_approvals(ctx)) == (1, 0)
    (words,) = mails(line)
    assert "A second yes is asked of you" in words and f"/compliance/approvals/{asked.hex()}" in words
    assert readers(line) == [bea.staff_id]
    approvals.approve(ctx, bea, asked)
    assert (tell_of_approvals(ctx), tell_of_approvals(ctx)) == (1, 0)
    (words,) = mails(line)
    assert "What you asked for was approved" in words
    assert readers(line) == [bea.staff_id, ada.staff_id]
    with ctx.db.reading() as conn:
        told = conn.execute(select(audit_entry.c.body).where(audit_entry.c.kind == "staff.told")).scalars().all()
    assert len(told) == 2


def readers(line: Line) -> list[int]:
    """Who was written to, in order, as staff."""
    with line.ctx.db.reading() as conn:
        query = select(staff.c.id).join(message, message.c.contact == staff.c.contact).order_by(message.c.id)
        return list(conn.execute(query).scalars())


def test_alone_nobody_is_asked_and_the_day_that_passed_is_told(line: Line, world: World) -> None:
    ada: Actor = officer(world)
    world.policy(Name.APPROVALS, {**defaults(Name.APPROVALS), "policies": True})
    change(line.ctx, ada, Name.NOTICE, MORE)
    assert tell_of_approvals(line.ctx) == 0
    line.pass_hours(25)
    approvals.settle_due(line.ctx)
    assert tell_of_approvals(line.ctx) == 1
    assert "was approved" in mails(line)[0]


@pytest.mark.parametrize("locale", ["en", "sv", "nl"])
@pytest.mark.parametrize("act", ["campaign", "reveal", "policy"])
@pytest.mark.parametrize("answer", ["", "approved", "declined", "lapsed"])
def test_every_answer_has_its_words(locale: str, act: str, answer: str) -> None:
    shared = {"sender": "Northfield", "controller": "Northfield", "postal_address": "1 Orchard Lane", "reference": "K7"}
    shown = system.render("approval", locale, {**shared, "act": act, "answer": answer, "url": "https://x.example/y"})
    assert shown.subject and shown.text.startswith(shown.subject[:5])
    assert "https://x.example/y" in shown.text
