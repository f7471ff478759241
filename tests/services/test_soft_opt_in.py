"""Mail that stands on a purchase: only with its evidence, only while an officer allows it, and told from a consent."""

import json
from datetime import UTC, datetime

import pytest
from sqlalchemy import select

from outreach.domain.actors import RECIPIENT, Actor, Role
from outreach.domain.consent import Event
from outreach.domain.errors import ConflictError
from outreach.domain.policies import Name
from outreach.domain.soft_opt_in import Ground, Soft
from outreach.services.consent_proof import consent_proof
from outreach.services.consents import Change, apply_changes
from outreach.services.contact_history import contact_history
from outreach.services.context import Context
from outreach.services.expiry import expire
from outreach.services.import_rows import Refusal
from outreach.services.officer.as_of import state_as_of
from outreach.services.receipts.checking import Verdict, check_receipt
from outreach.services.receipts.showing import all_of, as_text
from outreach.services.seal import seal
from outreach.services.verify import verify
from outreach.store.schema.audit import audit_entry
from outreach.store.schema.consents import consent, topic
from outreach.store.schema.people import contact
from tests.factories import World
from tests.pipeline.conftest import Line
from tests.services.people import ALICE, count, move_clock, state_of
from tests.services.policies.acting import change
from tests.services.test_import import bring, files

HEAD = "address,topic,source,time,text,basis,bought,objecting,similar\n"
ALLOWED = {"on": True, "months": 24}
DAY = 86_400_000_000


@pytest.fixture
def officer() -> Actor:
    return Actor("staff:0ff1", frozenset({Role.OFFICER}), 1)


def row(days: int = 30, address: str = ALICE, basis: str = "purchase", **other: str) -> str:
    """A row of a purchase so many days ago, whole unless `other` says otherwise."""
    when = datetime.fromtimestamp(datetime.now(UTC).timestamp() - days * 86_400, UTC).isoformat()
    cells = {"source": "shop order 7", "bought": "seeds", "objecting": "Tick to get no mail", "similar": "yes"} | other
    parts = (cells["source"], when, "", basis, cells["bought"], cells["objecting"], cells["similar"])
    return ",".join((address, "topic-1", *parts)) + "\n"


def held(ctx: Context) -> tuple[str, int | None, int | None]:
    with ctx.db.reading() as conn:
        one = conn.execute(select(consent.c.state, consent.c.soft_from, consent.c.expires)).one()
        return one.state, one.soft_from, one.expires


def test_a_purchase_brings_nobody_in_while_no_officer_allows_it(ctx: Context, world: World, officer: Actor) -> None:
    world.topic()
    assert bring(ctx, officer, files(HEAD + row())) == {Refusal.NOT_ALLOWED: [2]}
    assert count(ctx, consent) == 0


def test_each_row_needs_all_of_its_evidence(ctx: Context, world: World, officer: Actor) -> None:
    world.topic()
    world.policy(Name.SOFT_OPT_IN, {"on": True, "months": 6})
    rows = [
        row(),
        row(address="b@example.org", bought=""),
        row(address="c@example.org", objecting=""),
        row(address="d@example.org", source=""),
        row(address="e@example.org", similar="no"),
        row(address="f@example.org", basis="hearsay"),
        row(address="g@example.org", days=200),
        row(address="h@example.org", days=-2),
    ]
    assert bring(ctx, officer, files(HEAD + "".join(rows))) == {
        Refusal.NO_PURCHASE: [3, 4, 5],
        Refusal.NOT_SIMILAR: [6],
        Refusal.NO_BASIS: [7],
        Refusal.EXPIRED: [8],
        Refusal.WRONG_TIME: [9],
    }
    state, bought, ends = held(ctx)
    assert (state, bought is not None, ends is not None) == ("granted", True, True)
    with ctx.db.reading() as conn:
        applied = conn.execute(select(audit_entry.c.body).where(audit_entry.c.kind == "import.applied")).scalar_one()
        told = conn.execute(select(audit_entry.c.body).where(audit_entry.c.kind == "consent.soft")).scalar_one()
    assert json.loads(applied)["soft"] == 1
    assert (json.loads(told)["ground"], json.loads(told)["dated"]) == ("purchase", bought)
    assert "seeds" not in told and "shop order" not in told


def test_it_is_told_from_a_consent_wherever_it_is_shown(ctx: Context, world: World, officer: Actor) -> None:
    topic_id, text_id = world.topic()
    world.policy(Name.SOFT_OPT_IN, ALLOWED)
    bring(ctx, officer, files(HEAD + row()))
    with ctx.db.reading() as conn:
        ref = bytes(conn.execute(select(contact.c.ref).where(contact.c.code != "")).scalars().all()[-1])
        of = bytes(conn.execute(select(topic.c.ref).where(topic.c.id == topic_id)).scalar_one())
        now = ctx.db.now(conn)
    history = contact_history(ctx, officer, ref)
    facts = {fact.name: fact.text for fact in history.events[0].evidence}
    assert (facts["bought"], facts["objecting"], facts["ground"]) == ("seeds", "Tick to get no mail", "purchase")
    assert history.consents[0].soft_from is not None
    (then,) = state_as_of(ctx, officer, ref, now).consents
    assert then.soft_from == history.consents[0].soft_from
    proof = consent_proof(ctx, officer, ref, of)
    assert proof.act is not None and proof.act.event.event == "soft"
    with ctx.db.reading() as conn:
        person = conn.execute(select(contact.c.id).where(contact.c.ref == ref)).scalar_one()
        ((_, issued),) = all_of(conn, ctx, person)
    record = issued.document["dpv:hasRecordOfActivity"]
    assert record["dpv:hasLegalBasis"] == {"@id": "dpv:LegitimateInterestOfController"}
    assert record["dpv:hasConsentStatus"]["@type"] == "dpv:ConsentStatus"
    assert check_receipt(ctx, as_text(issued.document)).verdict == Verdict.GENUINE
    seal(ctx, 1)
    assert not verify(ctx).findings
    world.grant(world.person(), topic_id, text_id)
    assert [one.soft_from for one in state_as_of(ctx, officer, ref, now).consents] == [then.soft_from]


def test_switched_off_nothing_more_goes_out_and_all_of_it_ends(ctx: Context, world: World, officer: Actor) -> None:
    line = Line(world)
    topic_id, text_id = world.topic()
    world.policy(Name.SOFT_OPT_IN, ALLOWED)
    bring(ctx, officer, files(HEAD + row() + row(address="bob@example.org")))
    agreed = world.person("agreed@example.org")
    world.grant(agreed, topic_id, text_id)
    made = line.campaign(topic_id, author=world.staff(), state="scheduled")
    line.plan()
    assert {state for state, _ in line.states(made).values()} == {"planned"}
    change(ctx, officer, Name.SOFT_OPT_IN, {"on": False, "months": 24})
    line.rounds()
    states = line.states(made)
    assert states.pop(agreed.id) == ("sent", None)
    assert list(states.values()) == [("withheld", "expired")] * 2
    assert expire(ctx) == 2
    with ctx.db.reading() as conn:
        assert sorted(conn.execute(select(consent.c.state)).scalars()) == ["expired", "expired", "granted"]
    assert expire(ctx) == 0


def test_it_ends_by_its_months_and_sooner_when_they_are_shortened(ctx: Context, world: World, officer: Actor) -> None:
    world.topic()
    world.policy(Name.SOFT_OPT_IN, ALLOWED)
    bring(ctx, officer, files(HEAD + row(days=100) + row(days=100, address="asked@example.org", basis="inquiry")))
    assert expire(ctx) == 0
    move_clock(ctx, 90 * 86_400)
    assert expire(ctx) == 1, "half a year after the inquiry"
    change(ctx, officer, Name.SOFT_OPT_IN, {"on": True, "months": 6})
    assert expire(ctx) == 1
    assert {"granted"}.isdisjoint(_states(ctx))


def _states(ctx: Context) -> set[str]:
    with ctx.db.reading() as conn:
        return set(conn.execute(select(consent.c.state)).scalars())


def test_a_later_purchase_goes_on_but_never_instead_of_a_consent_or_past_an_objection(
    ctx: Context, world: World, officer: Actor
) -> None:
    topic_id, text_id = world.topic()
    world.policy(Name.SOFT_OPT_IN, ALLOWED)
    bring(ctx, officer, files(HEAD + row(days=300)))
    first = held(ctx)[1]
    assert bring(ctx, officer, files(HEAD + row(days=301))) == {Refusal.ALREADY: [2]}
    assert bring(ctx, officer, files(HEAD + row(days=3))) == {}
    assert (held(ctx)[1] or 0) > (first or 0)
    for address, state in (("agreed@example.org", "granted"), ("lapsed@example.org", "expired")):
        world.grant(world.person(address), topic_id, text_id, state=state)
    world.grant(world.person("left@example.org"), topic_id, text_id, state="withdrawn", soft_from=1)
    rows = row(address="agreed@example.org") + row(address="lapsed@example.org") + row(address="left@example.org")
    assert bring(ctx, officer, files(HEAD + rows)) == {Refusal.ALREADY: [2], Refusal.ASKED_NOT_TO: [3, 4]}


def test_agreeing_makes_it_a_consent_and_no_purchase_unmakes_that(ctx: Context, world: World, officer: Actor) -> None:
    topic_id, text_id = world.topic()
    world.policy(Name.SOFT_OPT_IN, ALLOWED)
    bring(ctx, officer, files(HEAD + row()))
    with ctx.db.reading() as conn:
        person = conn.execute(select(consent.c.contact)).scalar_one()
    yes = Change(contact=person, topic=topic_id, event=Event.CONFIRMED, text=text_id)
    with ctx.db.transaction() as conn:
        apply_changes(conn, ctx, ctx.db.now(conn), actor=RECIPIENT, changes=[yes])
    assert held(ctx) == ("granted", None, None)
    again = Change(contact=person, topic=topic_id, event=Event.SOFT, text=text_id, soft=Soft(Ground.PURCHASE, 1, 2))
    with pytest.raises(ConflictError, match="takes the place of no consent"), ctx.db.transaction() as conn:
        apply_changes(conn, ctx, ctx.db.now(conn), actor=officer, changes=[again])
    change(ctx, officer, Name.SOFT_OPT_IN, {"on": False, "months": 24})
    assert (expire(ctx), state_of(ctx)) == (0, "granted")
