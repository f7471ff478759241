"""Why a mail came: that one mail, its agreement and its place in the promise; nothing else."""

import pytest

from outreach.domain import addresses
from outreach.domain.errors import NotFoundError, TokenError
from outreach.domain.tokens import Purpose
from outreach.services.confirm import Client, grant
from outreach.services.context import Context
from outreach.services.why import explain
from outreach.store.contacts import find_by_address
from outreach.store.schema.audit import audit_entry
from tests.factories import World
from tests.services.people import ALICE, asked, count, letter, link, topic_ref


def confirmed(ctx: Context, world: World) -> tuple[int, int]:
    topic_id, _ = world.topic()
    grant(ctx, asked(ctx), {topic_ref(ctx)}, Client("192.0.2.7", "Firefox"), button="Yes")
    with ctx.db.reading() as conn:
        alice = find_by_address(conn, ctx.keyring, addresses.parse(ALICE))
    assert alice is not None
    return alice.id, topic_id


def test_it_says_when_and_to_what_its_reader_agreed_and_the_how_manieth_it_was(ctx: Context, world: World) -> None:
    person, topic_id = confirmed(ctx, world)
    letter(ctx, world, person, topic_id)
    ref = letter(ctx, world, person, topic_id)
    before = count(ctx, audit_entry)
    why = explain(ctx, link(ctx, Purpose.WHY, ref))
    assert why.agreement is not None
    assert why.agreement.wording == "I would like Northfield to send me mail, at most 2 times."
    assert (why.agreement.how, why.agreement.promise.cap_n, why.nth) == ("confirmed", 2, 2)
    assert (why.masked, why.kind, why.entry) == ("a•••@e•••.org", "informational", None)
    assert (why.can_lower, why.can_pause) == (True, True)
    assert count(ctx, audit_entry) == before


def test_the_promise_explained_is_the_one_agreed_to_not_todays(ctx: Context, world: World) -> None:
    person, topic_id = confirmed(ctx, world)
    ref = letter(ctx, world, person, topic_id)
    world.text(topic_id, version=2, cap_n=9)
    why = explain(ctx, link(ctx, Purpose.WHY, ref))
    assert why.agreement is not None
    assert why.agreement.promise.version == 1


def test_a_mail_without_a_topic_is_explained_without_an_agreement(ctx: Context, world: World) -> None:
    person, _ = confirmed(ctx, world)
    why = explain(ctx, link(ctx, Purpose.WHY, letter(ctx, world, person, None, origin="notice")))
    assert (why.agreement, why.origin, why.can_lower) == (None, "notice", False)


def test_links_of_another_purpose_and_mails_not_held_explain_nothing(ctx: Context, world: World) -> None:
    person, topic_id = confirmed(ctx, world)
    with pytest.raises(TokenError):
        explain(ctx, link(ctx, Purpose.STOP, letter(ctx, world, person, topic_id)))
    with pytest.raises(NotFoundError):
        explain(ctx, link(ctx, Purpose.WHY, bytes(16)))
