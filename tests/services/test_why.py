"""Why a mail came, or was withheld: that one mail, what it rests on and its place in every limit; nothing else."""

import hashlib
from typing import Any

import pytest
from sqlalchemy import insert, select, update

from outreach.domain import addresses
from outreach.domain.audit import leaf_hash, verify_inclusion
from outreach.domain.errors import NotFoundError, TokenError
from outreach.domain.tokens import Purpose
from outreach.services.confirm import Client, grant
from outreach.services.context import Context
from outreach.services.outbox import queue_notice
from outreach.services.seal import seal
from outreach.services.transparency.public_log import prove_inclusion
from outreach.services.transparency.publish import publish
from outreach.services.why import Decision, Explanation, Limit, explain
from outreach.store.audit import Entry, record
from outreach.store.contacts import Person, find_by_address
from outreach.store.schema.audit import audit_entry
from outreach.store.schema.campaigns import campaign as campaigns
from outreach.store.schema.campaigns import content, message
from outreach.store.schema.consents import consent
from outreach.store.schema.people import contact
from outreach.store.schema.policies import approval
from tests.factories import World
from tests.services.people import ALICE, asked, count, letter, link, topic_ref

_WEEK = 7 * 86_400
_TOTAL = Limit("total", 4, _WEEK)


def confirmed(ctx: Context, world: World) -> tuple[int, int]:
    topic_id, _ = world.topic()
    grant(ctx, asked(ctx), {topic_ref(ctx)}, Client("192.0.2.7", "Firefox"), button="Yes")
    return alice(ctx).id, topic_id


def alice(ctx: Context) -> Person:
    with ctx.db.reading() as conn:
        found = find_by_address(conn, ctx.keyring, addresses.parse(ALICE))
    assert found is not None
    return found


def why_of(ctx: Context, ref: bytes) -> Explanation:
    return explain(ctx, link(ctx, Purpose.WHY, ref))


def frozen(ctx: Context, campaign: int) -> int:
    with ctx.db.transaction() as conn:
        values = {"ref": b"c" * 16, "campaign": campaign, "version": 1, "subject": "Pruning roses", "preheader": "",
                  "body": "x", "prepared": "{}", "sha256": b"s" * 32, "frozen": 1_800_000_000_000_000}  # fmt: skip
        return int(conn.execute(insert(content).values(values).returning(content.c.id)).scalar_one())


def test_it_says_when_and_to_what_its_reader_agreed_and_the_how_manieth_it_was(ctx: Context, world: World) -> None:
    person, topic_id = confirmed(ctx, world)
    letter(ctx, world, person, topic_id)
    ref = letter(ctx, world, person, topic_id)
    before = count(ctx, audit_entry)
    why = why_of(ctx, ref)
    assert why.agreement is not None
    assert why.agreement.wording == "I would like Northfield to send me mail, at most 2 times."
    assert (why.agreement.how, why.agreement.promise.cap_n, why.nth) == ("confirmed", 2, 2)
    assert (why.masked, why.kind, why.proof) == ("a•••@e•••.org", "informational", None)
    assert (why.lower, why.can_pause) == ("lower", True)
    assert count(ctx, audit_entry) == before


def test_every_limit_is_told_and_a_place_only_where_it_tells_of_no_other_mail(ctx: Context, world: World) -> None:
    person, topic_id = confirmed(ctx, world)
    ref = letter(ctx, world, person, topic_id)
    other, _ = world.topic()
    letter(ctx, world, person, other)
    assert why_of(ctx, ref).limits == (Limit("promise", 2, _WEEK, 1), _TOTAL)
    with ctx.db.transaction() as conn:
        conn.execute(update(consent).values(own_n=1, own_window=_WEEK))
        conn.execute(update(contact).values(own_total_n=3, own_total_window=_WEEK))
    why = why_of(ctx, ref)
    assert why.limits[1:] == (Limit("own", 1, _WEEK, 1), Limit("own-total", 3, _WEEK), _TOTAL)
    assert why.lower == "lower-month"
    with ctx.db.transaction() as conn:
        conn.execute(update(consent).values(own_n=1, own_window=90 * 86_400))
    assert why_of(ctx, ref).lower == ""


def test_who_decided_is_told_by_role_and_a_second_yes_with_it(ctx: Context, world: World) -> None:
    person, topic_id = confirmed(ctx, world)
    campaign = world.campaign(topic_id)
    ref = letter(ctx, world, person, topic_id, campaign=campaign, content=frozen(ctx, campaign))
    assert why_of(ctx, ref).decided == Decision(by="marketer", at=1_800_000_000_000_000)
    with ctx.db.transaction() as conn:
        named = conn.execute(select(campaigns.c.ref)).scalar_one()
        values: dict[str, Any] = {"ref": b"a" * 16, "act": "campaign", "about": named, "digest": b"d" * 32,
                  "body": "{}", "reason": "", "asker": "staff:0", "asked": 5, "expires": 9, "state": "approved",
                  "answered": 7, "answerer": "staff:1", "words": ""}  # fmt: skip
        conn.execute(insert(approval).values(values))
    why = why_of(ctx, ref)
    assert (why.decided.approved, why.decided.is_by_delay, why.subject) == (7, False, "Pruning roses")


def test_the_promise_explained_is_the_one_agreed_to_not_todays(ctx: Context, world: World) -> None:
    person, topic_id = confirmed(ctx, world)
    ref = letter(ctx, world, person, topic_id)
    world.text(topic_id, version=2, cap_n=9)
    why = why_of(ctx, ref)
    assert why.agreement is not None
    assert why.agreement.promise.version == 1


def test_mail_of_every_origin_is_explained_by_what_it_rests_on(ctx: Context, world: World) -> None:
    person, topic_id = confirmed(ctx, world)
    with ctx.db.transaction() as conn:
        question = conn.execute(select(message.c.ref).where(message.c.origin == "confirmation")).scalar_one()
        notice = queue_notice(
            conn, ctx, world.now, alice(ctx), template="policy-change", facts={"x": "y"}, topic=topic_id
        )
    about = why_of(ctx, question)
    assert (about.about, about.decided.by, about.standing.is_question, about.standing.is_open) == (
        "topics",
        "typist",
        True,
        False,
    )
    told = why_of(ctx, notice)
    assert (told.origin, told.about, told.decided.by, told.nth) == ("notice", "policy-change", "staff", 0)
    for origin, by in (("test", "marketer"), ("reply", "staff"), ("notice", "reader"), ("invitation", "member")):
        why = why_of(ctx, letter(ctx, world, person, None, origin=origin))
        assert (why.origin, why.decided.by, why.agreement, why.lower) == (origin, by, None, "")


def test_a_mail_withheld_is_explained_with_its_reason_and_counts_nowhere(ctx: Context, world: World) -> None:
    person, topic_id = confirmed(ctx, world)
    ref = letter(ctx, world, person, topic_id, state="withheld", reason="cap_own", counted=None)
    why = why_of(ctx, ref)
    assert (why.state, why.reason, why.nth) == ("withheld", "cap_own", 0)


def test_the_entry_that_stands_in_the_log_can_be_checked_against_the_published_checkpoint(
    ctx: Context, world: World
) -> None:
    person, topic_id = confirmed(ctx, world)
    ref = letter(ctx, world, person, topic_id)
    with ctx.db.transaction() as conn:
        entry = Entry(kind="message.sent", actor="engine", contact=alice(ctx).ref, message=ref, body={"state": "sent"})
        record(conn, world.now, entry)
    waiting = why_of(ctx, ref).proof
    assert waiting is not None
    assert (waiting.index, waiting.size) == (None, None)
    while seal(ctx, 1) is not None:
        pass
    sealed = why_of(ctx, ref).proof
    assert sealed is not None
    assert sealed.index is not None
    assert sealed.size is None
    publish(ctx, 1)
    shown = why_of(ctx, ref).proof
    assert shown is not None
    assert shown.index == sealed.index
    assert shown.size is not None
    found = prove_inclusion(ctx, shown.index or 0, shown.size)
    assert found.leaf == leaf_hash(shown.text.encode()) == hashlib.sha256(b"\0" + shown.text.encode()).digest()
    assert verify_inclusion(found.leaf, found.index, found.size, list(found.proof), found.root)
    assert ALICE not in shown.text


def test_links_of_another_purpose_and_mails_not_held_explain_nothing(ctx: Context, world: World) -> None:
    person, topic_id = confirmed(ctx, world)
    with pytest.raises(TokenError):
        explain(ctx, link(ctx, Purpose.STOP, letter(ctx, world, person, topic_id)))
    with pytest.raises(NotFoundError):
        why_of(ctx, bytes(16))
