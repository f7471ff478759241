"""People are told of a change before it starts: who, by what mail, and what waits for it."""

import email
import email.policy

import pytest
from sqlalchemy import select, update

from outreach.domain.actors import Actor
from outreach.domain.invitation import Policy
from outreach.domain.policies import Name, Value, defaults, of_caps, of_inviting
from outreach.mail import system
from outreach.mail.transport import Outcome, Result
from outreach.services.policies import notices
from outreach.services.policies.notices import facts_of, tell
from outreach.services.policies.starts import begin_due
from outreach.services.public_text import House
from outreach.services.withdraw import view_stop, withdraw
from outreach.store import policies
from outreach.store.schema.campaigns import message
from outreach.store.schema.people import contact
from tests.factories import World
from tests.pipeline.conftest import Line
from tests.services.policies.acting import DAY, DAY_US, WEEK, change, clock, entries, holds, newest, officer
from tests.services.test_withdraw import HOME

LOOSE = of_caps((6, WEEK))


@pytest.fixture
def ada(world: World) -> Actor:
    return officer(world)


@pytest.fixture
def line(world: World) -> Line:
    return Line(world)


def people(world: World, count: int, **more: object) -> list[int]:
    topic, text = world.topic()
    found = [world.person() for _ in range(count)]
    for one in found:
        world.grant(one, topic, text, **more)  # type: ignore[arg-type]  # columns of the consent
    return [one.id for one in found]


def told(line: Line) -> list[tuple[int, str, str | None]]:
    with line.ctx.db.reading() as conn:
        query = select(message.c.contact, message.c.state, message.c.reason).where(message.c.origin == "notice")
        return [tuple(row) for row in conn.execute(query.order_by(message.c.contact))]


def play(line: Line) -> None:
    """The engine's looks and the worker's rounds, until nothing is left to do."""
    for _ in range(20):
        if not tell(line.ctx) and not line.rounds():
            return
    raise AssertionError("it never came to rest")


def test_everybody_we_may_write_to_is_told_once_and_then_the_days_run(line: Line, world: World, ada: Actor) -> None:
    agreed, paused = people(world, 3), people(world, 1, state="paused")
    people(world, 2, state="withdrawn")
    done = change(line.ctx, ada, Name.CAP_TOTAL, LOOSE)
    assert done.people == 4
    play(line)
    assert told(line) == [(one, "sent", None) for one in sorted(agreed + paused)]
    version = newest(line.ctx, Name.CAP_TOTAL)
    assert version.told is not None
    assert version.starts == max(version.since, version.told + 14 * DAY_US)
    assert [entry["body"]["people"] for entry in entries(line.ctx, "policy.told")] == [4]
    line.pass_hours(14 * 24 - 1)
    assert holds(line.ctx, Name.CAP_TOTAL) != LOOSE
    line.pass_hours(2)
    assert holds(line.ctx, Name.CAP_TOTAL) == LOOSE
    assert begin_due(line.ctx) == 1


def test_slices_follow_each_other_once_each_was_tried(
    line: Line, world: World, ada: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notices, "SLICE", 2)
    people(world, 5)
    change(line.ctx, ada, Name.CAP_TOTAL, LOOSE)
    assert (tell(line.ctx), tell(line.ctx)) == (True, False), "the first two have not been handed over"
    assert len(told(line)) == 2
    play(line)
    assert [state for _, state, _ in told(line)] == ["sent"] * 5
    assert len({one for one, _, _ in told(line)}) == 5


def test_a_mailbox_that_takes_no_mail_today_keeps_nobody_waiting(line: Line, world: World, ada: Actor) -> None:
    people(world, 2)
    line.relay.script = lambda parcel: Outcome(parcel.message_id, Result.DEFERRED, code=450)
    change(line.ctx, ada, Name.CAP_TOTAL, LOOSE)
    play(line)
    assert newest(line.ctx, Name.CAP_TOTAL).told is not None


def test_until_the_last_was_handed_over_nothing_starts(line: Line, world: World, ada: Actor) -> None:
    people(world, 2)
    change(line.ctx, ada, Name.CAP_TOTAL, LOOSE)
    tell(line.ctx)
    line.pass_hours(30 * 24)
    assert not tell(line.ctx)
    begin_due(line.ctx)
    assert holds(line.ctx, Name.CAP_TOTAL) != LOOSE
    play(line)
    version = newest(line.ctx, Name.CAP_TOTAL)
    assert version.starts is not None and version.starts > clock(line.ctx) + 13 * DAY_US


def test_who_leaves_meanwhile_is_not_written_to(line: Line, world: World, ada: Actor) -> None:
    (one,) = people(world, 1)
    change(line.ctx, ada, Name.CAP_TOTAL, LOOSE)
    tell(line.ctx)
    with line.ctx.db.transaction() as conn:
        conn.exec_driver_sql("UPDATE consent SET state = 'withdrawn'")
    play(line)
    assert told(line) == [(one, "withheld", "no_consent")]
    assert newest(line.ctx, Name.CAP_TOTAL).told is not None


def test_members_who_agreed_to_nothing_are_told_of_what_concerns_them(line: Line, world: World, ada: Actor) -> None:
    agreed = people(world, 1)
    elsa = world.member("elsa@example.org").person.id
    assert change(line.ctx, ada, Name.CAP_TOTAL, LOOSE).people == 2
    play(line)
    assert told(line) == [(one, "sent", None) for one in sorted([*agreed, elsa])]
    words = [one.data.decode() for one in line.relay.sent]
    assert sorted(("elsa@" in one, "Your account with us" in one) for one in words) == [(False, False), (True, True)]
    assert newest(line.ctx, Name.CAP_TOTAL).told is not None
    assert change(line.ctx, ada, Name.GIVE_RATIO, {"least": 1}).people == 0
    assert change(line.ctx, ada, Name.GIVE_RATIO, {"least": 0}).people == 1, "who gets offers, alone"


def test_only_those_it_concerns_are_told_of_quiet_hours(line: Line, world: World, ada: Actor) -> None:
    own, ours = people(world, 2)
    with line.ctx.db.transaction() as conn:
        conn.execute(update(contact).where(contact.c.id == own).values(quiet_from=0, quiet_to=60))
    change(line.ctx, ada, Name.QUIET_HOURS, {"from": 0, "to": 60})
    assert change(line.ctx, ada, Name.QUIET_HOURS, {"from": 0, "to": 30}).people == 1
    play(line)
    assert [one for one, _, _ in told(line)] == [ours]


def test_of_a_change_that_was_taken_back_nobody_is_told(line: Line, world: World, ada: Actor) -> None:
    people(world, 1)
    change(line.ctx, ada, Name.CAP_TOTAL, LOOSE)
    change(line.ctx, ada, Name.CAP_TOTAL, of_caps((4, WEEK)))
    assert not tell(line.ctx)
    assert told(line) == []


def test_the_mail_says_what_changes_and_its_link_stops(line: Line, world: World, ada: Actor) -> None:
    people(world, 1)
    change(line.ctx, ada, Name.CAP_TOTAL, LOOSE)
    play(line)
    [parcel] = line.relay.sent
    mail = email.message_from_bytes(parcel.data, policy=email.policy.default)
    words = " ".join(mail.get_body(("plain",)).get_content().split())  # type: ignore[union-attr]  # it has one
    assert "at most 4 mails in any 7 days" in words and "at most 6 mails in any 7 days" in words
    assert "What you were promised when you agreed stays as it is" in words
    token = words.partition("/stop/")[2].split()[0].rstrip(")>")
    assert view_stop(line.ctx, token).state == "granted"
    assert withdraw(line.ctx, token, "everything", HOME).changed == 1


@pytest.mark.parametrize("locale", ["en", "sv", "nl"])
@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        (Name.CAP_PROMOTIONAL, of_caps((1, DAY)), of_caps()),
        (Name.CAP_TOTAL, of_caps((1, DAY), (3, WEEK)), LOOSE),
        (Name.QUIET_HOURS, {"from": 1260, "to": 480}, {"from": 0, "to": 0}),
        (Name.GIVE_RATIO, {"least": 3}, {"least": 0}),
        (Name.RETENTION, {"most_days": 1}, {"most_days": 30}),
        (Name.INVITATIONS, of_inviting(Policy()), of_inviting(Policy(by_mail=True))),
        (Name.NOTICE, {"days": 14}, {"days": 1}),
        (Name.RE_PERMISSION, defaults(Name.RE_PERMISSION), {"on": True, "days_before": 1, "silent_days": 400}),
        (Name.SOFT_OPT_IN, {"on": True, "months": 1}, {"on": True, "months": 24}),
    ],
)
def test_every_policy_has_its_words(
    line: Line, ada: Actor, name: Name, before: Value, after: Value, locale: str
) -> None:
    with line.ctx.db.transaction() as conn:
        version = policies.put(conn, 1, name, after, reason="test", author="test")
    facts = facts_of(version, before, House(), locale)
    shared = {"sender": "Northfield", "controller": "Northfield", "postal_address": "1 Orchard Lane", "reference": "K7"}
    shown = system.render("policy-change", locale, {**shared, **facts, "url": "https://news.example/stop/x"})
    assert "1970" in shown.subject
    assert shown.text.count("1970") >= 1 and "https://news.example/stop/x" in shown.text
