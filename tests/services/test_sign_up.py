"""The door and what the engine makes of it: one row, one answer, one confirmation mail within budget."""

import json
from typing import Any

import pytest
from sqlalchemy import event, select, update
from structlog.testing import capture_logs

from outreach.domain import addresses
from outreach.domain.errors import InvalidInputError
from outreach.services import sign_up
from outreach.services.context import Context
from outreach.services.sign_up import process_requests, submit_sign_up
from outreach.store import suppressions
from outreach.store.boxes import seal, unseal
from outreach.store.contacts import find_by_address
from outreach.store.schema.audit import audit_entry
from outreach.store.schema.campaigns import message
from outreach.store.schema.consents import confirmation, confirmation_topic, consent, request, topic
from outreach.store.schema.people import contact
from tests.factories import World
from tests.services.people import ALICE, count, form, hand_off_everything, move_clock


def mails(ctx: Context) -> int:
    return count(ctx, message, message.c.origin == "confirmation", message.c.state == "planned")


def test_the_door_runs_the_same_statements_for_known_unknown_and_barred(ctx: Context, world: World) -> None:
    topic_id, text_id = world.topic()
    world.grant(world.person("known@example.org"), topic_id, text_id)
    with ctx.db.transaction() as conn:
        key = ctx.keyring.blind("mailbox", addresses.parse("barred@example.org").mailbox)
        suppressions.put(conn, world.now, [suppressions.Bar(key, "mailbox", "never", "officer")])
    traces: list[list[str]] = []
    answers = []
    for address in ("known@example.org", "unknown@example.org", "barred@example.org"):
        trace: list[str] = []

        def note(_c: Any, _cur: Any, statement: str, *_rest: Any, trace: list[str] = trace) -> None:
            trace.append(statement)

        event.listen(ctx.db.engine, "before_cursor_execute", note)
        answers.append(submit_sign_up(ctx, form(address)))
        event.remove(ctx.db.engine, "before_cursor_execute", note)
        traces.append(trace)
    assert traces[0] == traces[1] == traces[2]
    assert sum(statement.startswith("INSERT") for statement in traces[0]) == 1
    assert answers[0] == answers[1] == answers[2]
    assert count(ctx, request) == 3


def test_a_wrong_address_a_typo_and_no_topic_are_named_at_once(ctx: Context, world: World) -> None:
    world.topic()
    for wrong in ("alice", "alice@gmial.com"):
        with pytest.raises(InvalidInputError) as caught:
            submit_sign_up(ctx, form(wrong))
        assert caught.value.field == "address"
    for topics in ((), ("no-such",)):
        with pytest.raises(InvalidInputError) as caught:
            submit_sign_up(ctx, form(ALICE, topics=topics))
        assert caught.value.field == "topics"
    assert count(ctx, request) == 0


def test_what_was_typed_is_sealed_until_settled_and_then_forgotten(ctx: Context, world: World) -> None:
    world.topic()
    submit_sign_up(ctx, form())
    with ctx.db.reading() as conn:
        assert b"alice" not in conn.execute(select(request.c.payload_box)).scalar_one()
    assert process_requests(ctx) == 1
    with ctx.db.reading() as conn:
        assert conn.execute(select(request.c.payload_box)).scalar_one() is None
    assert process_requests(ctx) == 0


def test_one_mail_covers_several_topics_and_the_person_waits_as_pending(ctx: Context, world: World) -> None:
    world.topic()
    world.topic()
    submit_sign_up(ctx, form(ALICE, "topic-1", "topic-2"))
    process_requests(ctx)
    assert mails(ctx) == 1
    assert count(ctx, confirmation_topic) == 2
    assert count(ctx, consent, consent.c.state == "pending") == 2


def test_a_second_form_before_the_mail_went_adds_its_topics_to_it(ctx: Context, world: World) -> None:
    world.topic()
    world.topic()
    submit_sign_up(ctx, form(ALICE, "topic-1"))
    submit_sign_up(ctx, form(ALICE, "topic-2"))
    process_requests(ctx)
    assert mails(ctx) == 1
    assert count(ctx, confirmation) == 1
    assert count(ctx, confirmation_topic) == 2


def test_a_mailbox_gets_three_mails_a_day_however_its_address_is_spelled(ctx: Context, world: World) -> None:
    for _ in range(5):
        world.topic()
    for number in range(5):
        submit_sign_up(ctx, form(f"alice+{number}@example.org", f"topic-{number + 1}"))
    process_requests(ctx)
    assert mails(ctx) == 3
    assert count(ctx, message, message.c.reason == "budget") == 2
    move_clock(ctx, 25 * 3600)
    submit_sign_up(ctx, form("alice+9@example.org", "topic-1"))
    process_requests(ctx)
    assert mails(ctx) == 4


def test_over_its_budget_a_mailbox_gets_no_mail_but_its_pending_question_gains_the_topic(
    ctx: Context, world: World
) -> None:
    for _ in range(4):
        world.topic()
    for number in range(4):
        submit_sign_up(ctx, form(ALICE, f"topic-{number + 1}"))
        process_requests(ctx)
        hand_off_everything(ctx)
    assert count(ctx, message) == 3
    assert count(ctx, confirmation) == 1
    assert count(ctx, confirmation_topic) == 4


def test_over_a_networks_budget_requests_wait_and_are_never_dropped(ctx: Context, world: World) -> None:
    world.topic()
    for number in range(25):
        submit_sign_up(ctx, form(f"person{number}@example.org"))
    process_requests(ctx)
    assert mails(ctx) == 20
    assert count(ctx, request, request.c.settled.is_(None)) == 5
    submit_sign_up(ctx, form("neighbour@example.net", network="198.51.100.0/24"))
    process_requests(ctx)
    assert mails(ctx) == 21
    move_clock(ctx, 3601)
    process_requests(ctx)
    assert mails(ctx) == 26
    assert count(ctx, request, request.c.settled.is_(None)) == 0


def spoil(ctx: Context, wrong: str) -> None:
    """Make the second request one that does not open, or one that fails when everything about it is written."""
    with ctx.db.transaction() as conn:
        row = conn.execute(select(request).order_by(request.c.id).offset(1).limit(1)).one()
        payload = json.loads(unseal(ctx.keyring.doors, row.payload_box)) | {"actor": {"not": "a name"}}
        key = b"k" * 32 if wrong == "key" else ctx.keyring.doors
        box = seal(key, json.dumps(payload).encode())
        conn.execute(update(request).where(request.c.id == row.id).values(payload_box=box))


@pytest.mark.parametrize("wrong", ["key", "content"])
def test_a_request_that_cannot_be_taken_waits_and_stops_no_other(ctx: Context, world: World, wrong: str) -> None:
    world.topic()
    for name in ("one", "two", "three"):
        submit_sign_up(ctx, form(f"{name}@example.org"))
    spoil(ctx, wrong)
    with capture_logs() as said:
        assert process_requests(ctx) == 3
    assert mails(ctx) == count(ctx, contact) == count(ctx, confirmation) == 2
    assert count(ctx, consent, consent.c.state == "pending") == 2
    with ctx.db.reading() as conn:
        kept = conn.execute(select(request).where(request.c.settled.is_(None))).one()
    assert kept.payload_box is not None
    assert [(line["event"], line["request"]) for line in said] == [("request.failed", kept.ref.hex())]
    assert "example.org" not in repr(said)
    assert process_requests(ctx) == 0
    move_clock(ctx, 3601)
    submit_sign_up(ctx, form("four@example.org"))
    with capture_logs() as said:
        assert process_requests(ctx) == 2
    assert (mails(ctx), len(said)) == (3, 1)


def test_what_is_mended_is_taken_within_the_hour(ctx: Context, world: World) -> None:
    world.topic()
    for name in ("one", "two"):
        submit_sign_up(ctx, form(f"{name}@example.org"))
    with ctx.db.reading() as conn:
        good = conn.execute(select(request.c.id, request.c.payload_box).order_by(request.c.id.desc()).limit(1)).one()
    spoil(ctx, "key")
    process_requests(ctx)
    with ctx.db.transaction() as conn:
        conn.execute(update(request).where(request.c.id == good.id).values(payload_box=good.payload_box))
    move_clock(ctx, 3601)
    process_requests(ctx)
    assert mails(ctx) == 2
    assert count(ctx, request, request.c.settled.is_(None)) == 0


def test_only_a_mail_gives_a_pending_question_more_time(ctx: Context, world: World) -> None:
    for _ in range(5):
        world.topic()

    def ends() -> int:
        with ctx.db.reading() as conn:
            return int(conn.execute(select(confirmation.c.expires)).scalar_one())

    def ask(number: int, hours: int) -> int:
        move_clock(ctx, hours * 3600)
        submit_sign_up(ctx, form(ALICE, f"topic-{number}"))
        process_requests(ctx)
        return ends()

    first = ask(1, 0)
    assert ask(2, 1) == first  # shown by the mail that is still to go
    hand_off_everything(ctx)
    second = ask(3, 2)
    assert second > first
    hand_off_everything(ctx)
    third = ask(4, 3)
    hand_off_everything(ctx)
    assert ask(5, 4) == third > second  # over the mailbox's budget: no mail
    assert count(ctx, confirmation_topic) == 5


def test_a_filled_honey_field_is_answered_alike_counted_and_sends_nothing(ctx: Context, world: World) -> None:
    world.topic()
    assert submit_sign_up(ctx, form(honey="http://pills.example")) == submit_sign_up(ctx, form())
    assert count(ctx, request) == 2
    assert process_requests(ctx) == 1


def test_a_form_filled_too_fast_waits_an_hour(ctx: Context, world: World) -> None:
    world.topic()
    submit_sign_up(ctx, form(seconds=0.4))
    assert process_requests(ctx) == 0
    move_clock(ctx, 3601)
    assert process_requests(ctx) == 1
    assert mails(ctx) == 1


@pytest.mark.parametrize("state", ["granted", "paused", "withdrawn", "expired"])
def test_submitting_somebodys_address_never_changes_their_consent(ctx: Context, world: World, state: str) -> None:
    topic_id, text_id = world.topic()
    person = world.person(ALICE)
    world.grant(person, topic_id, text_id, state=state)
    submit_sign_up(ctx, form())
    process_requests(ctx)
    with ctx.db.reading() as conn:
        assert conn.execute(select(consent.c.state)).scalar_one() == state
    assert mails(ctx) == 1


@pytest.mark.parametrize("kind", ["never", "complaint", "deceased", "bounce", "imported"])
def test_a_barred_address_gets_no_mail_and_the_log_says_why(ctx: Context, world: World, kind: str) -> None:
    world.topic()
    with ctx.db.transaction() as conn:
        key = ctx.keyring.blind("address", ALICE)
        suppressions.put(conn, world.now, [suppressions.Bar(key, "address", kind, "officer")])
    submit_sign_up(ctx, form())
    process_requests(ctx)
    assert mails(ctx) == 0
    assert count(ctx, message, message.c.state == "withheld", message.c.reason == kind) == 1
    assert count(ctx, consent) == 0
    with ctx.db.reading() as conn:
        body = conn.execute(select(audit_entry.c.body).where(audit_entry.c.kind == "message.withheld")).scalar_one()
    assert json.loads(body) == {"state": "withheld", "reason": kind}


def test_an_erased_owner_may_return_by_double_opt_in(ctx: Context, world: World) -> None:
    world.topic()
    with ctx.db.transaction() as conn:
        key = ctx.keyring.blind("address", ALICE)
        suppressions.put(conn, world.now, [suppressions.Bar(key, "address", "erased", "owner")])
    submit_sign_up(ctx, form())
    process_requests(ctx)
    assert mails(ctx) == 1


def test_a_topic_closed_meanwhile_asks_nobody(ctx: Context, world: World) -> None:
    topic_id, _ = world.topic()
    submit_sign_up(ctx, form())
    with ctx.db.transaction() as conn:
        conn.execute(update(topic).where(topic.c.id == topic_id).values(closed=world.now))
    process_requests(ctx)
    assert mails(ctx) == 0
    assert count(ctx, contact) == 0
    assert count(ctx, request, request.c.settled.is_(None)) == 0


def test_no_address_reaches_the_log(ctx: Context, world: World) -> None:
    world.topic()
    submit_sign_up(ctx, form())
    process_requests(ctx)
    with ctx.db.reading() as conn:
        rows = conn.execute(select(audit_entry.c.kind, audit_entry.c.actor, audit_entry.c.body)).all()
    assert {row.kind for row in rows} == {"consent.requested", "confirmation.requested"}
    assert not any("@" in f"{row.actor}{row.body}" for row in rows)


def test_the_person_is_asked_in_their_own_language_when_the_text_exists(ctx: Context, world: World) -> None:
    topic_id, english = world.topic()
    swedish = world.text(topic_id, locale="sv")
    submit_sign_up(ctx, form("sv@example.org", locale="sv"))
    submit_sign_up(ctx, form("nl@example.org", locale="nl"))
    process_requests(ctx)
    with ctx.db.reading() as conn:
        sv = find_by_address(conn, ctx.keyring, addresses.parse("sv@example.org"))
        assert sv is not None
        rows = conn.execute(
            select(confirmation.c.contact, confirmation_topic.c.text).join(
                confirmation_topic, confirmation_topic.c.confirmation == confirmation.c.id
            )
        ).all()
    assert {row.text for row in rows if row.contact == sv.id} == {swedish}
    assert {row.text for row in rows if row.contact != sv.id} == {english}


def test_a_stamp_tells_how_long_a_form_was_open_and_a_forged_one_tells_nothing(ctx: Context, world: World) -> None:
    stamped = sign_up.stamp(ctx)
    move_clock(ctx, 90)
    seconds = sign_up.seconds_since(ctx, stamped)
    assert seconds is not None
    assert 89 < seconds < 120
    assert sign_up.seconds_since(ctx, f"1.{stamped.partition('.')[2]}") is None
    assert sign_up.seconds_since(ctx, "") is None
