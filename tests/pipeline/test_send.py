"""One worker's rounds: decided again at hand-off, recorded with its entry, deferred, given up, suppressed."""

import email
import email.policy
import hashlib
from typing import Any

import pytest
from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import OperationalError

from outreach.domain.actors import CONSOLE
from outreach.domain.errors import SettingsError
from outreach.domain.policies import Name, of_caps
from outreach.mail import dkim
from outreach.mail.transport import Outcome, Parcel, Result
from outreach.pipeline.claim import claim
from outreach.services.outbox import queue_confirmation, queue_notice
from outreach.services.policies.changes import change_policy
from outreach.store.boxes import ContactKeys
from outreach.store.messages import due_lanes
from outreach.store.schema.campaigns import attempt, campaign, message
from outreach.store.schema.consents import confirmation, confirmation_topic, consent
from outreach.store.schema.organisation import sender
from outreach.store.schema.people import contact, suppression
from tests.factories import World
from tests.pipeline.claiming import claim_due
from tests.pipeline.conftest import Line

DAY = 86_400_000_000


def ready(line: Line, world: World, author: int, people: int = 1, **more: Any) -> int:
    topic, text = world.topic(**more)
    for _ in range(people):
        world.grant(world.person(name="Alice Berg"), topic, text, cap_n=more.get("cap_n", 2))
    one = line.campaign(topic, author=author)
    line.plan()
    return one


def parsed(parcel: Parcel) -> email.message.EmailMessage:
    return email.message_from_bytes(parcel.data, policy=email.policy.default)


def test_a_mail_goes_out_with_its_links_headers_and_reference(line: Line, world: World, author: int) -> None:
    one = ready(line, world, author)
    line.rounds()
    mail = parsed(line.relay.sent[0])
    text = mail.get_body(("plain",)).get_content()  # type: ignore[union-attr]
    assert "Dear Alice" in text
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert "/stop/" in mail["List-Unsubscribe"]
    assert "/why/" in text
    assert "1 Orchard Lane" in text
    assert list(line.states(one).values()) == [("sent", None)]
    assert line.entries("message.sent") == [{"attempt": 1, "code": 250, "reason": None, "state": "sent"}]


def test_a_withdrawal_between_planning_and_decision_counts(line: Line, world: World, author: int) -> None:
    one = ready(line, world, author)
    with line.ctx.db.transaction() as conn:
        conn.execute(update(consent).values(state="withdrawn"))
    claimed = claim_due(line.ctx, "w")
    assert (claimed.ids, claimed.found) == ([], 1)
    assert list(line.states(one).values()) == [("withheld", "withdrawn")]


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)  # SQLite's one writer lets nobody claim then
def test_a_person_whose_withdrawal_is_under_way_is_left_until_it_is_done(line: Line, world: World, author: int) -> None:
    one = ready(line, world, author, people=2)
    with line.ctx.db.transaction() as conn:
        last = select(contact.c.id).order_by(contact.c.id.desc()).limit(1)
        leaving = conn.execute(last.with_for_update()).scalar_one()
        conn.execute(update(consent).where(consent.c.contact == leaving).values(state="withdrawn"))
        assert [line.states(one)[leaving], len(claim_due(line.ctx, "w").ids)] == [("planned", None), 1]
    assert claim_due(line.ctx, "w").ids == []
    assert line.states(one)[leaving] == ("withheld", "withdrawn")


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("state", "paused", "paused"),
        ("expires", 1, "expired"),
        ("kinds", "promotional", "kind"),
        ("own_n", 0, "cap_own"),
    ],
)
def test_every_basis_is_checked_again_at_hand_off(
    line: Line, world: World, author: int, column: str, value: Any, reason: str
) -> None:
    one = ready(line, world, author)
    with line.ctx.db.transaction() as conn:
        conn.execute(update(consent).values({column: value, "own_window": 60}))
    line.rounds()
    assert line.relay.taken == []
    assert list(line.states(one).values()) == [("withheld", reason)]


def test_a_paused_campaign_sends_nothing_more_and_loses_nobody(line: Line, world: World, author: int) -> None:
    one = ready(line, world, author)
    with line.ctx.db.reading() as conn:
        (lane,) = due_lanes(conn, line.ctx.db.now(conn))
    with line.ctx.db.transaction() as conn:
        conn.execute(update(campaign).where(campaign.c.id == one).values(state="paused"))
    assert claim(line.ctx, "w", lane, 10).ids == []
    assert list(line.states(one).values()) == [("planned", None)]
    assert line.rounds() == 0
    with line.ctx.db.transaction() as conn:
        conn.execute(update(campaign).where(campaign.c.id == one).values(state="sending"))
    line.rounds()
    assert list(line.states(one).values()) == [("sent", None)]


def test_a_refusal_for_now_is_tried_again_half_an_hour_later_and_given_up_after_five_days(
    line: Line, world: World, author: int
) -> None:
    one = ready(line, world, author)
    line.relay.script = lambda parcel: Outcome(parcel.message_id, Result.DEFERRED, code=451, reply="try later")
    line.rounds()
    assert list(line.states(one).values()) == [("planned", None)]
    line.pass_hours(0.4)
    assert line.rounds() == 0
    line.pass_hours(0.2)
    assert line.rounds() == 1
    for _ in range(20):
        line.pass_hours(8.1)
        line.rounds()
    assert list(line.states(one).values()) == [("failed", "gave_up")]
    assert 15 <= len(line.relay.taken) <= 20
    assert len(line.entries("message.deferred")) == len(line.relay.taken) - 1


def test_an_address_that_does_not_exist_is_not_written_to_again(line: Line, world: World, author: int) -> None:
    one = ready(line, world, author)
    line.relay.script = lambda parcel: Outcome(
        parcel.message_id, Result.FAILED, code=550, enhanced="5.1.1", bad_address=True
    )
    line.rounds()
    assert list(line.states(one).values()) == [("failed", "address")]
    with line.ctx.db.reading() as conn:
        topic = conn.execute(select(campaign.c.topic).where(campaign.c.id == one)).scalar_one()
        assert conn.execute(select(suppression.c.kind)).scalars().all() == ["bounce"]
    second = line.campaign(topic, author=author)
    line.plan()
    assert list(line.states(second).values()) == [("withheld", "bounce")]


def test_a_policy_refusal_does_not_bar_the_person(line: Line, world: World, author: int) -> None:
    one = ready(line, world, author)
    line.relay.script = lambda parcel: Outcome(parcel.message_id, Result.FAILED, code=550, enhanced="5.7.1")
    line.rounds()
    assert list(line.states(one).values()) == [("failed", "refused")]
    with line.ctx.db.reading() as conn:
        assert conn.execute(select(suppression.c.id)).all() == []


def test_what_was_put_back_goes_at_the_next_round_and_was_no_attempt(line: Line, world: World, author: int) -> None:
    one = ready(line, world, author)
    answers = iter([Result.PUT_BACK, Result.SENT])
    line.relay.script = lambda parcel: Outcome(parcel.message_id, next(answers), code=250)
    line.rounds()
    assert list(line.states(one).values()) == [("sent", None)]
    with line.ctx.db.reading() as conn:
        assert conn.execute(select(message.c.attempts)).scalar_one() == 1
        outcomes = conn.execute(select(attempt.c.outcome).order_by(attempt.c.id)).scalars().all()
        assert outcomes == ["put back", "sent"]


def test_no_reply_after_the_dot_is_unknown_and_never_sent_again(line: Line, world: World, author: int) -> None:
    one = ready(line, world, author)
    line.relay.script = lambda parcel: Outcome(parcel.message_id, Result.UNKNOWN)
    line.rounds()
    line.pass_hours(48)
    line.rounds()
    assert list(line.states(one).values()) == [("unknown", "no_reply")]
    assert len(line.relay.taken) == 1


def test_an_unknown_message_counts_under_the_cap(line: Line, world: World, author: int) -> None:
    one = ready(line, world, author, cap_n=1)
    line.relay.script = lambda parcel: Outcome(parcel.message_id, Result.UNKNOWN)
    line.rounds()
    with line.ctx.db.reading() as conn:
        topic = conn.execute(select(campaign.c.topic).where(campaign.c.id == one)).scalar_one()
    second = line.campaign(topic, author=author)
    line.plan()
    assert list(line.states(second).values()) == [("withheld", "cap_promise")]


def test_lowering_a_cap_withholds_the_surplus_at_once(line: Line, world: World, author: int) -> None:
    topic, text = world.topic(cap_n=9)
    person = world.person()
    world.grant(person, topic, text, cap_n=9)
    for _ in range(4):
        line.campaign(topic, author=author)
    line.plan()
    assert change_policy(line.ctx, CONSOLE, Name.CAP_TOTAL, of_caps((2, 7 * 86400)), "fewer, please").withheld == 2
    line.rounds()
    assert len(line.relay.sent) == 2
    assert {body["reason"] for body in line.entries("message.withheld")} == {"cap_total"}


def test_a_confirmation_needs_an_open_request(line: Line, world: World) -> None:
    topic, text = world.topic()
    people = [world.person(), world.person()]
    for number, person in enumerate(people):
        _request(line, person, topic, text, answered=number == 1)
    line.rounds()
    assert len(line.relay.sent) == 1
    mail = parsed(line.relay.sent[0])
    assert mail["Auto-Submitted"] == "auto-generated"
    assert "/confirm/" in mail.get_body(("plain",)).get_content()  # type: ignore[union-attr]
    assert line.states()[people[1].id] == ("withheld", "request_ended")


def _request(line: Line, person: Any, topic: int, text: int, *, answered: bool = False) -> None:
    with line.ctx.db.transaction() as conn:
        now = line.ctx.db.now(conn)
        made = conn.execute(
            insert(confirmation)
            .values(
                ref=person.ref, contact=person.id, locale="en", network=bytes(32), requested=now, created=now,
                expires=now + 7 * DAY, answered=now if answered else None,
            )
            .returning(confirmation.c.id)
        ).scalar_one()  # fmt: skip
        conn.execute(insert(confirmation_topic).values(confirmation=made, topic=topic, text=text))
        queue_confirmation(conn, now, person, made, due=now)


def test_a_confirmation_without_a_reply_is_simply_sent_once_more(line: Line, world: World) -> None:
    topic, text = world.topic()
    person = world.person()
    _request(line, person, topic, text)
    line.relay.script = lambda parcel: Outcome(parcel.message_id, Result.UNKNOWN)
    for _ in range(3):
        line.rounds()
        line.pass_hours(1)
    assert len(line.relay.taken) == 2
    assert line.states()[person.id][0] == "unknown"
    assert [entry["attempt"] for entry in line.entries("message.unknown")] == [1, 2]


def test_confirmations_have_a_worker_that_no_campaign_keeps_busy(line: Line, world: World, author: int) -> None:
    ready(line, world, author, people=3)
    topic, text = world.topic()
    _request(line, world.person(), topic, text)
    assert line.express.round(line.journal)
    assert ["/confirm/" in parcel.data.decode() for parcel in line.relay.sent] == [True]
    assert not line.express.round(line.journal)
    assert line.worker.round(line.journal)
    assert len(line.relay.sent) == 4


def test_mail_to_staff_ends_with_their_account(line: Line, world: World) -> None:
    person = world.person()
    with line.ctx.db.transaction() as conn:
        queue_notice(conn, line.ctx, line.now(), person, template="staff-password", facts={"token": "x", "hours": 24})
    line.rounds()
    assert line.relay.taken == []
    assert line.states()[person.id] == ("withheld", "staff_ended")


def test_an_erased_person_gets_nothing(line: Line, world: World, author: int) -> None:
    from outreach.store.schema.people import contact_key

    one = ready(line, world, author)
    with line.ctx.db.transaction() as conn:
        conn.execute(delete(contact_key))
    line.rounds()
    assert line.relay.taken == []
    assert list(line.states(one).values()) == [("withheld", "erased")]


def test_a_mail_that_cannot_be_made_fails_alone(line: Line, world: World, author: int) -> None:
    topic, text = world.topic()
    normal, broken = world.person(name="Alice"), world.person(name="x" * 200_000)
    for person in (normal, broken):
        world.grant(person, topic, text)
    one = line.campaign(topic, author=author, body="Dear {{ name }}")
    line.plan()
    line.rounds()
    assert line.states(one)[normal.id] == ("sent", None)
    assert line.states(one)[broken.id] == ("failed", "unsendable")


def test_an_unreachable_relay_costs_nobody_a_refusal(
    line: Line, world: World, author: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = ready(line, world, author)
    rests: list[float] = []
    monkeypatch.setattr(line.worker.stopping, "wait", rests.append)
    line.relay.script = lambda parcel: Outcome(parcel.message_id, Result.DEFERRED, reply="connection refused")
    for _ in range(3):
        line.rounds(1)
        line.pass_hours(0.2)
    assert rests == [1.0, 2.0, 4.0]
    assert line.entries("message.deferred") == []
    line.relay.script = lambda parcel: Outcome(parcel.message_id, Result.SENT, code=250)
    line.rounds()
    assert list(line.states(one).values()) == [("sent", None)]


def test_a_sender_whose_relay_is_not_configured_waits_for_it(
    line: Line, world: World, author: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = ready(line, world, author)

    def missing(_parcel: Parcel) -> Outcome:
        raise SettingsError("relays: no relay named “main” is configured")

    line.relay.script = missing
    monkeypatch.setattr(line.worker.stopping, "wait", lambda _seconds: None)
    line.rounds(1)
    assert list(line.states(one).values()) == [("planned", None)]


def test_a_missing_signing_key_delays_and_does_not_burn_a_campaign(line: Line, world: World, author: int) -> None:
    one = ready(line, world, author)
    with line.ctx.db.transaction() as conn:
        conn.execute(update(sender).values(dkim_selector="s1"))
        brand = conn.execute(select(sender.c.ref)).scalar_one()
    line.rounds(1)
    assert line.relay.taken == []
    assert list(line.states(one).values()) == [("planned", None)]
    folder = line.ctx.settings.instance / "dkim"
    folder.mkdir()
    (folder / f"{brand.hex()}.pem").write_bytes(dkim.make_key())
    line.pass_hours(0.1)
    line.rounds()
    assert b"DKIM-Signature" in line.relay.sent[0].data


def test_the_confirmation_as_sent_is_kept_before_it_goes(line: Line, world: World) -> None:
    """A worker that dies after the hand-off must not take the proof with it."""
    topic, text = world.topic()
    person = world.person()
    _request(line, person, topic, text)
    kept: list[dict[str, Any]] = []

    def look(parcel: Parcel) -> Outcome:
        with line.ctx.db.reading() as conn:
            box = conn.execute(select(message.c.body_box)).scalar_one()
            kept.append(ContactKeys(line.ctx.keyring, conn).facts(person.id, box))
        return Outcome(parcel.message_id, Result.SENT, code=250)

    line.relay.script = look
    line.rounds()
    assert "/confirm/" in kept[0]["text"]
    assert kept[0]["sha256"] == hashlib.sha256(line.relay.sent[0].data).hexdigest()


def test_a_database_away_before_the_hand_off_leaves_nobody_in_doubt(
    line: Line, world: World, author: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = ready(line, world, author)

    def away(*_arguments: object) -> None:
        raise OperationalError("SELECT", {}, Exception("the server closed the connection"))

    with monkeypatch.context() as patch:
        patch.setattr("outreach.pipeline.send.write_letters", away)
        with pytest.raises(OperationalError):
            line.rounds(1)
    assert list(line.states(one).values()) == [("planned", None)]
    line.rounds()
    assert list(line.states(one).values()) == [("sent", None)]
