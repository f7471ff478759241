"""Several members invite the same few people in any order, and these answer as they like: no promise is ever broken.

A model keeps what was pressed and what may have arrived, from the mails alone; after every step it is held against the
promises: once ever, caps over every window, nothing after "never", nothing from a suspended member or without a press.
"""

import email
import email.policy
import itertools
import re
from collections import Counter
from dataclasses import dataclass

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import select

from outreach.domain import addresses
from outreach.domain.actors import RECIPIENT
from outreach.domain.consent import Event
from outreach.domain.errors import OutreachError
from outreach.domain.frequency import Cap
from outreach.domain.invitation import LOOK_BACK_DAYS, Report, Way
from outreach.mail.transport import Outcome, Parcel, Result
from outreach.services import answers, incoming
from outreach.services.consents import apply_event
from outreach.services.expiry import expire
from outreach.services.invitations import expire_invitations, process_invitations
from outreach.services.invite import cancel_invitation, hand_url, send_invitation, send_reminder
from outreach.services.seal import seal
from outreach.services.verify import verify
from outreach.store import invitations
from outreach.store.schema.members import member
from tests.factories import MadeMember, World
from tests.pipeline.conftest import Line
from tests.services.pressing import draft, set_policy

HOUR = 3_600_000_000
DAY = 24 * HOUR
INVITATIONS = Cap(2, 4 * 86_400)
PROMOTIONAL = Cap(2, 7 * 86_400)
TOTAL = Cap(4, 7 * 86_400)
MAY_HAVE_ARRIVED = {Result.SENT, Result.UNKNOWN}
RESULTS = (Result.SENT, Result.SENT, Result.SENT, Result.DEFERRED, Result.UNKNOWN, Result.PUT_BACK)
HOWS = ("decline", "never", "report", "report", "report", "later", "later")

_examples = itertools.count()
inviters = st.integers(0, 2)
places = st.integers(0, 30)


@dataclass(frozen=True)
class Seen:
    """A mail that may have arrived. `inviter`: empty for a campaign's."""

    mailbox: str
    at: int
    inviter: str = ""
    is_reminder: bool = False
    token: str = ""


class Inviting(RuleBasedStateMachine):
    """One small organisation; a fresh set of people an example, so that the store need not be emptied."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world, self.ctx = world, world.ctx
        number = next(_examples)
        self.line = Line(world)
        self.line.hours = number * 24 * 200.0
        self.line.pass_hours(1)
        self.line.relay.script = self._take
        names = [f"{name}{number}" for name in ("Ines", "Jon", "Kim")]
        self.members = [world.member(f"{name.lower()}@example.org", name) for name in names]
        self.names = dict(zip((one.ref for one in self.members), names, strict=True))
        self.topic, text = world.topic(cap_n=9)
        sue = world.person(f"sue{number}@example.net")
        for event in (Event.REQUESTED, Event.CONFIRMED):
            self._change(sue.id, event, text)
        self.author = world.staff()
        names = [f"{name}{number}" for name in ("sue", "bob", "BOB", "ann", "eva", "leo")] + [f"bob{number}+garden"]
        self.addresses = [f"{name}@example.net" for name in names] + [f"kim{number}@example.org"]
        self.ours = {addresses.parse(one).mailbox for one in self.addresses}
        self.results: list[Result] = []
        self.pressed: Counter[tuple[str, str]] = Counter()
        self.asked: set[tuple[str, str]] = set()
        self.reminded: Counter[tuple[str, str]] = Counter()
        self.nevers: dict[str, int] = {}
        self.reports: dict[str, dict[str, int]] = {name: {} for name in self.names.values()}
        self.stopped: dict[str, int] = {}
        self.sent: list[tuple[MadeMember, bytes, str]] = []
        self.by_hand: list[bytes] = []
        self.seen: list[Seen] = []

    def _change(self, contact_id: int, event: Event, text: int) -> None:
        with self.ctx.db.transaction() as conn:
            now = self.ctx.db.now(conn)
            apply_event(
                conn,
                self.ctx,
                now,
                actor=RECIPIENT,
                event=event,
                contact_id=contact_id,
                topic_id=self.topic,
                text_id=text,
            )

    def _name(self, who: MadeMember) -> str:
        return self.names[who.ref]

    def _take(self, parcel: Parcel) -> Outcome:
        result = self.results.pop() if self.results else Result.SENT
        mail = email.message_from_bytes(parcel.data, policy=email.policy.default)
        mailbox = addresses.parse(parcel.rcpt_to).mailbox
        if result in MAY_HAVE_ARRIVED and mailbox in self.ours:
            found = re.match(r"(As you asked: )?(\w+) would like to connect", str(mail["Subject"]))
            body = mail.get_body(("plain",))
            words = "" if body is None else body.get_content()
            token = re.search(r"/invitation/([\w.-]+)", words)
            at = self.line.now()
            if found is None:
                self.seen.append(Seen(mailbox, at))
            else:
                self.seen.append(Seen(mailbox, at, found[2], bool(found[1]), token[1] if token else ""))
        codes = {Result.SENT: 250, Result.DEFERRED: 451, Result.UNKNOWN: 421}  # with a code, the worker does not rest
        return Outcome(parcel.message_id, result, code=codes.get(result))

    @initialize(pairs=st.lists(st.tuples(inviters, places), min_size=4, max_size=12, unique=True))
    def begin(self, pairs: list[tuple[int, int]]) -> None:
        for who, where in pairs:
            self.invite_by_mail(who, where, is_delivered=False)
        self.deliver([])

    @rule(who=inviters, where=places, is_delivered=st.sampled_from([True, True, False]))
    def invite_by_mail(self, who: int, where: int, *, is_delivered: bool) -> None:
        inviter, address = self.members[who], self.addresses[where % len(self.addresses)]
        try:
            ref = send_invitation(self.ctx, inviter.actor, draft(address))
        except OutreachError:
            return
        mailbox = addresses.parse(address).mailbox
        self.pressed[self._name(inviter), mailbox] += 1
        self.sent.append((inviter, ref, mailbox))
        if is_delivered:
            self.deliver([])

    @rule(who=inviters)
    def make_by_hand(self, who: int) -> None:
        try:
            ref = send_invitation(self.ctx, self.members[who].actor, draft(way=Way.HAND))
        except OutreachError:
            return
        self.by_hand.append(ref)

    @precondition(lambda self: self.by_hand)
    @rule(which=places, how=st.sampled_from(["decline", "report", "accept"]), reader=inviters)
    def answer_by_hand(self, which: int, how: str, reader: int) -> None:
        ref = self.by_hand[which % len(self.by_hand)]
        with self.ctx.db.reading() as conn:
            row = invitations.by_ref(conn, ref)
        assert row is not None
        token = hand_url(self.ctx, row).rpartition("/")[2]
        if how == "decline":
            answers.decline_hand(self.ctx, token)
        elif how == "report":
            answers.report_hand(self.ctx, token, Report.UNWANTED)
        else:
            self._accept(self.members[reader], ref, token)

    def _accept(self, reader: MadeMember, ref: bytes, token: str = "") -> None:
        try:
            incoming.accept(self.ctx, reader.actor, ref, show_name=True, show_address=False, hand_token=token)
        except OutreachError:
            return

    @precondition(lambda self: self.sent)
    @rule(which=places)
    def accept_by_mail(self, which: int) -> None:
        self._accept(self.members[2], self.sent[which % len(self.sent)][1])

    @precondition(lambda self: any(one.token for one in self.seen))
    @rule(given=st.lists(st.tuples(places, st.sampled_from(HOWS)), min_size=1, max_size=5))
    def answer(self, given: list[tuple[int, str]]) -> None:
        tokens = [one for one in self.seen if one.token]
        for which, how in given:
            self._answer(tokens[which % len(tokens)], how)

    def _answer(self, one: Seen, how: str) -> None:
        if how == "decline":
            answers.decline(self.ctx, one.token)
        elif how == "never":
            answers.never(self.ctx, one.token)
            self.nevers.setdefault(one.mailbox, self.line.now())
        elif how == "report":
            view = answers.report(self.ctx, one.token, Report.ADVERTISING)
            self._reported(one.inviter, one.mailbox, view.asked)
        else:
            self._ask_later(one)

    def _ask_later(self, one: Seen) -> None:
        try:
            answers.ask_reminder(self.ctx, one.token)
        except OutreachError:
            return
        self.asked.add((one.inviter, one.mailbox))

    def _reported(self, name: str, mailbox: str, asked: int) -> None:
        self.reports[name][mailbox] = asked
        now = self.line.now()
        if sum(1 for at in self.reports[name].values() if at > now - LOOK_BACK_DAYS * DAY) >= 3:
            self.stopped.setdefault(name, now)

    @precondition(lambda self: any(one.token for one in self.seen))
    @rule(which=places, is_wished=st.booleans(), is_later=st.booleans())
    def remind(self, which: int, *, is_wished: bool, is_later: bool) -> None:
        tokens = [one for one in self.seen if one.token]
        one = tokens[-1 - which % len(tokens)]
        if is_wished:
            self._ask_later(one)
        if is_later:  # when the caps have room again
            self.time_passes(24 * 7 + 1)
        ref = answers.view_invitation(self.ctx, one.token).ref
        inviter = next(who for who in self.members if self._name(who) == one.inviter)
        try:
            send_reminder(self.ctx, inviter.actor, ref)
        except OutreachError:
            return
        self.reminded[one.inviter, one.mailbox] += 1
        self.deliver([])

    @precondition(lambda self: self.sent)
    @rule(which=places)
    def cancel(self, which: int) -> None:
        inviter, ref, _ = self.sent[which % len(self.sent)]
        try:
            cancel_invitation(self.ctx, inviter.actor, ref)
        except OutreachError:
            return

    @rule(who=inviters, is_planned_first=st.booleans())
    def promote_to_whom_somebody_invites(self, who: int, *, is_planned_first: bool) -> None:
        """A campaign and an invitation want the last place in one mailbox's caps."""
        if not is_planned_first:
            self.invite_by_mail(who, 0, is_delivered=True)
        self.line.campaign(self.topic, author=self.author, kind="promotional")
        self.line.plan()
        if is_planned_first:
            self.invite_by_mail(who, 0, is_delivered=True)
        self.line.rounds(6)

    @precondition(lambda self: not self.stopped)
    @rule(who=inviters, where=places, is_planned=st.booleans())
    def suspend_between_press_and_mail(self, who: int, where: int, *, is_planned: bool) -> None:
        """Three whom a member wrote to report them, while mails they pressed for are on their way."""
        for step in range(3):
            self.invite_by_mail(who, where + step, is_delivered=True)
        wrote = [one for one in self.seen if one.inviter == self._name(self.members[who]) and one.token]
        for step in range(3, 6):
            self.invite_by_mail(who, where + step, is_delivered=False)
        if is_planned:
            process_invitations(self.ctx)
        for one in wrote[-3:]:
            self._answer(one, "report")
        self.deliver([])

    @rule(results=st.lists(st.sampled_from(RESULTS), max_size=6))
    def deliver(self, results: list[Result]) -> None:
        self.results = list(results)
        process_invitations(self.ctx)
        self.line.rounds(6)

    @precondition(lambda self: any(one.token for one in self.seen))
    @rule(which=places)
    def never_and_then_everybody_invites_again(self, which: int) -> None:
        tokens = [one for one in self.seen if one.token]
        one = tokens[which % len(tokens)]
        self._answer(one, "never")
        spellings = [
            where for where, typed in enumerate(self.addresses) if addresses.parse(typed).mailbox == one.mailbox
        ]
        for who in range(3):
            for where in spellings:
                self.invite_by_mail(who, where, is_delivered=False)
        self.deliver([])

    @rule(results=st.lists(st.sampled_from(RESULTS), max_size=2))
    def deliver_without_the_engine(self, results: list[Result]) -> None:
        self.results = list(results)
        self.line.rounds(2)

    @rule(hours=st.sampled_from([1, 24, 24 * 4, 24 * 4 + 1, 24 * 7, 24 * 15]))
    def time_passes(self, hours: int) -> None:
        self.line.pass_hours(hours)
        self.deliver([])

    @rule()
    def erase(self) -> None:
        expire_invitations(self.ctx)
        expire(self.ctx)

    @invariant()
    def once_ever_and_a_reminder_only_if_asked_for(self) -> None:
        first = Counter((one.inviter, one.mailbox) for one in self.seen if one.inviter and not one.is_reminder)
        again = Counter((one.inviter, one.mailbox) for one in self.seen if one.is_reminder)
        for pair, times in first.items():
            assert times == 1
            assert self.pressed[pair] >= 1
        for pair, times in again.items():
            assert times == 1
            assert pair in self.asked
            assert self.reminded[pair] >= 1
            assert first[pair] == 1

    @invariant()
    def no_window_is_overfull(self) -> None:
        for mailbox in self.ours:
            mails = [(one.at, bool(one.inviter)) for one in self.seen if one.mailbox == mailbox]
            for start, _ in mails:
                assert _within([at for at, is_ours in mails if is_ours], start, INVITATIONS) <= INVITATIONS.n
                assert _within([at for at, _ in mails], start, PROMOTIONAL) <= PROMOTIONAL.n

    @invariant()
    def nothing_follows_never(self) -> None:
        for one in self.seen:
            assert one.at < self.nevers.get(one.mailbox, one.at + 1)

    @invariant()
    def a_suspended_member_sends_nothing(self) -> None:
        for one in self.seen:
            assert one.at < self.stopped.get(one.inviter, one.at + 1)
        with self.ctx.db.reading() as conn:
            query = select(member.c.ref).where(member.c.suspended.is_not(None))
            suspended = {self.names.get(ref) for ref in conn.execute(query).scalars()}
        assert set(self.stopped) <= suspended

    @invariant()
    def nobody_invites_themselves(self) -> None:
        for one in self.seen:
            assert not one.inviter or one.mailbox != f"{one.inviter.lower()}@example.org"

    def teardown(self) -> None:
        """Let everything that waits come to its end, and look once more."""
        for hours in (1, 24 * 21, 24 * 31):
            self.line.pass_hours(hours)
            process_invitations(self.ctx)
            self.line.rounds()
            expire_invitations(self.ctx)
        self.once_ever_and_a_reminder_only_if_asked_for()
        self.no_window_is_overfull()
        self.nothing_follows_never()
        self.a_suspended_member_sends_nothing()
        self.line.journal.close()


def _within(instants: list[int], start: int, cap: Cap) -> int:
    return sum(1 for at in instants if start <= at < start + cap.window * 1_000_000)


def test_whatever_happens_in_whatever_order(world: World) -> None:
    set_policy(world.ctx, a_day=50, a_month=200, recipient=INVITATIONS)
    world.cap("total", TOTAL.n, TOTAL.window)
    world.cap("promotional", PROMOTIONAL.n, PROMOTIONAL.window)
    lived: list[Inviting] = []

    class InOneWorld(Inviting):
        def __init__(self) -> None:
            super().__init__(world)
            lived.append(self)

    thorough = settings(
        max_examples=25 if world.ctx.db.is_sqlite else 6,
        stateful_step_count=30,
        deadline=None,
        derandomize=True,
        phases=[Phase.explicit, Phase.generate],  # to shrink a story takes longer than a test may
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(InOneWorld, settings=thorough)
    seen = [one for machine in lived for one in machine.seen]
    assert any(one.inviter for one in seen)
    assert any(machine.stopped for machine in lived)
    seal(world.ctx, 1)
    verdict = verify(world.ctx)
    assert verdict.is_clean, verdict.lines()
