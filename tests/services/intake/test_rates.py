"""Rates of complaints and bounces against the lines, and a campaign that pauses itself."""

import pytest
from sqlalchemy import select

from outreach.domain.actors import Actor, Role
from outreach.domain.inbound_addresses import Door
from outreach.domain.policies import Name
from outreach.services import campaigns
from outreach.services.campaign_pages import see_campaign
from outreach.services.intake.figures import Rate, see_rates
from outreach.services.intake.lines import PAUSES, watch_lines
from outreach.services.intake.undo import undo_report
from outreach.services.officer.figures import rates
from outreach.store.schema.campaigns import campaign
from tests.factories import World
from tests.services.intake.sending import Sent, complaint_of, report_of
from tests.services.intake.test_intake import BESIDE_US, MARKETER, OFFICER, VOUCHED, WHY
from tests.services.test_officer_figures import count, settled, write

AUTHOR = Actor("staff:author", frozenset({Role.MARKETER}), 1)


@pytest.fixture
def sent(world: World) -> Sent:
    world.policy(Name.LINES, {"complaints": 2000, "bounces": 2000, "least": 2})
    return Sent(world)


def ref_of(sent: Sent) -> bytes:
    with sent.ctx.db.reading() as conn:
        return bytes(conn.execute(select(campaign.c.ref).where(campaign.c.id == sent.campaign)).scalar_one())


def mails(sent: Sent, many: int) -> list[bytes]:
    sent.pass_days(0.001)
    return [sent.message(sent.reader()) for _ in range(many)]


def desk(sent: Sent) -> list[tuple[int, int, int]]:
    """(taken, came back, handed over) of each period on the officer's first page."""
    with sent.ctx.db.reading() as conn:
        return [(rate.sent, rate.bounced, rate.tried) for rate in rates(conn, sent.ctx.db.now(conn))]


@pytest.mark.parametrize(("why", "door"), [("complaints", Door.REPORT), ("bounces", Door.BOUNCE)])
def test_a_campaign_above_a_line_pauses_itself_and_is_judged_anew_when_resumed(
    sent: Sent, why: str, door: Door
) -> None:
    refs = mails(sent, 6)
    ref = ref_of(sent)
    told = complaint_of if why == "complaints" else (lambda _ref, _vouched: report_of("5.1.1"))
    for number, one in enumerate(refs[:2]):
        assert watch_lines(sent.ctx) == 0, f"{number} of 6"
        sent.arrive(sent.address(one, door), told(one, VOUCHED), BESIDE_US)
    assert watch_lines(sent.ctx) == 1
    seen = see_campaign(sent.ctx, MARKETER, ref)
    assert (seen.state, seen.pause_reason) == ("paused", why)
    assert why in PAUSES
    assert sent.entries("campaign.paused")[0]["reason"] == why
    sent.pass_days(0.001)
    campaigns.resume_campaign(sent.ctx, AUTHOR, ref)
    mails(sent, 2)  # over its whole life it is still above the line
    assert watch_lines(sent.ctx) == 0
    assert see_campaign(sent.ctx, MARKETER, ref).state == "sending"


def test_before_enough_mails_were_handed_over_nothing_is_judged(sent: Sent) -> None:
    (one,) = mails(sent, 1)
    sent.arrive(sent.address(one, Door.REPORT), complaint_of(one, VOUCHED), BESIDE_US)
    assert watch_lines(sent.ctx) == 0


def test_mails_a_server_would_not_take_are_among_those_handed_over(sent: Sent) -> None:
    mails(sent, 3)
    for _ in range(3):
        sent.message(sent.reader(), "failed", reason="address")
    rate = Rate(name="", ref=None, sent=3, tried=6, bounced=2, refused=0, complained=0)
    assert rate.bounces == pytest.approx(2 / 6 * 10_000)
    assert rate.is_above({"complaints": 30, "bounces": 500, "least": 7}) == ""
    assert rate.is_above({"complaints": 30, "bounces": 500, "least": 6}) == "bounces"


def test_rates_by_topic_provider_and_campaign_leave_out_what_was_undone(sent: Sent) -> None:
    one, other, *_ = mails(sent, 6)
    sent.arrive(sent.address(one, Door.REPORT), complaint_of(one, VOUCHED), BESIDE_US)
    sent.arrive(sent.address(other), report_of("5.1.1"))
    with sent.ctx.db.reading() as conn:
        topic = conn.execute(select(campaign.c.topic)).scalars().first()
        person = conn.exec_driver_sql("SELECT ref FROM contact ORDER BY id LIMIT 1").scalar_one()
        topic_ref = conn.exec_driver_sql(f"SELECT ref FROM topic WHERE id = {topic}").scalar_one()
    write(sent.ctx, 0, *(settled("sent", to=bytes(person), of=bytes(topic_ref)) for _ in range(6)))
    count(sent.ctx)
    found = see_rates(sent.ctx, OFFICER)
    for (rate,) in (found.topics, found.providers, found.campaigns):
        assert (rate.sent, rate.complained, rate.bounced) == (6, 1, 1), rate.name
        assert rate.complaints == pytest.approx(10_000 / 6)
    assert desk(sent) == [(6, 1, 6)] * 3
    undo_report(sent.ctx, OFFICER, sent.newest(), WHY)
    (rate,) = see_rates(sent.ctx, OFFICER).providers
    assert (rate.complained, rate.bounced) == (1, 0)
    assert desk(sent) == [(6, 0, 6)] * 3
