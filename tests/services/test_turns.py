"""What comes in at one time is carried out together, and each is answered as if it had come alone."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import select

from outreach.domain.errors import InvalidInputError, TokenError
from outreach.domain.tokens import Purpose
from outreach.services.confirm import Client, grant
from outreach.services.context import Context
from outreach.services.turns import MOST, Later, Turns
from outreach.services.why import explain
from outreach.services.withdraw import undo, withdraw
from outreach.store.contacts import Person
from outreach.store.schema.audit import audit_entry
from outreach.store.schema.consents import consent, consent_event
from tests.factories import World
from tests.services.people import asked, letter, link, topic_ref

_PATIENCE = 20
HOME = Client("203.0.113.9", "Firefox")


class Busy:
    """Turns whose first is under way until it is let go, so that all who come meanwhile are the next."""

    def __init__(self) -> None:
        self.turns, self.seen = Turns(), list[list[Any]]()
        self.began, self.go = threading.Event(), threading.Event()
        self.act: Callable[[Sequence[Any]], Sequence[Any]] = lambda ones: [one * 10 for one in ones]

    def __call__(self, everybody: Callable[[], Sequence[Any]]) -> Sequence[Any]:
        ones = everybody()
        self.seen.append(list(ones))
        if not self.began.is_set():
            self.began.set()
            assert self.go.wait(_PATIENCE)
        return self.act(ones)

    def take(self, one: Any) -> Any:
        return self.turns.take(self, one, kind="test")

    def all(self, ones: Sequence[Any]) -> "list[Future[Any]]":
        """The outcomes of the first alone and of the others, who came while it was under way, in their order."""
        with ThreadPoolExecutor(len(ones)) as pool:
            first = pool.submit(self.take, ones[0])
            assert self.began.wait(_PATIENCE)
            others = []
            for place, one in enumerate(ones[1:], start=1):
                others.append(pool.submit(self.take, one))
                self._wait_for(place)
            self.go.set()
            return [first, *others]

    def _wait_for(self, count: int) -> None:
        queue = self.turns._queues["test"]
        for _ in range(_PATIENCE * 1000):
            if len(queue.waiting) == count:
                return
            threading.Event().wait(0.001)
        raise AssertionError("nobody came to wait")


def test_one_alone_waits_for_nobody() -> None:
    busy = Busy()
    busy.go.set()
    assert (busy.take(1), busy.take(2)) == (10, 20)
    assert busy.seen == [[1], [2]]


def test_those_who_come_while_one_is_at_work_are_the_next_turn() -> None:
    busy = Busy()
    assert [one.result() for one in busy.all([1, 2, 3, 4])] == [10, 20, 30, 40]
    assert busy.seen == [[1], [2, 3, 4]]


def test_a_turn_is_no_longer_than_it_may_be_and_nobody_is_left_behind() -> None:
    busy = Busy()
    ones = list(range(MOST + 4))
    assert [one.result() for one in busy.all(ones)] == [one * 10 for one in ones]
    assert busy.seen == [[0], ones[1 : MOST + 1], ones[MOST + 1 :]]


def test_who_comes_before_the_leader_asks_is_of_its_turn() -> None:
    turns, seen = Turns(), list[list[int]]()
    waits, go = threading.Event(), threading.Event()

    def act(everybody: Callable[[], Sequence[int]]) -> Sequence[int]:
        waits.set()
        assert go.wait(_PATIENCE)  # as for a lock
        seen.append(list(everybody()))
        return everybody()

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(turns.take, act, 1, kind="test")
        assert waits.wait(_PATIENCE)
        second = pool.submit(turns.take, act, 2, kind="test")
        while len(turns._queues["test"].waiting) < 1:
            threading.Event().wait(0.001)
        go.set()
        assert (first.result(), second.result()) == (1, 2)
    assert seen == [[1, 2]]


@pytest.mark.parametrize("error", [RuntimeError, SystemExit])
def test_who_fails_before_asking_who_is_in_the_turn_takes_nobody_along(error: type[BaseException]) -> None:
    turns, tries = Turns(), list[str]()
    waits, go = threading.Event(), threading.Event()

    def act(everybody: Callable[[], Sequence[int]]) -> Sequence[int]:
        tries.append(threading.current_thread().name)
        if len(tries) == 1:
            waits.set()
            assert go.wait(_PATIENCE)
            raise error("no connection")
        return everybody()

    with ThreadPoolExecutor(3) as pool:
        first = pool.submit(turns.take, act, 1, kind="test")
        assert waits.wait(_PATIENCE)
        others = [pool.submit(turns.take, act, one, kind="test") for one in (2, 3)]
        while len(turns._queues["test"].waiting) < 2:
            threading.Event().wait(0.001)
        go.set()
        assert isinstance(first.exception(), error)
        assert sorted(one.result() for one in others) == [2, 3]
    assert len(tries) == 2


def test_an_act_that_answers_too_few_fails_and_the_next_is_led() -> None:
    turns = Turns()
    with pytest.raises(ValueError, match="zip"):
        turns.take(lambda _everybody: [], 1, kind="test")
    assert turns.take(lambda everybody: everybody(), 2, kind="test") == 2


def test_an_error_is_given_to_its_own_and_to_nobody_else() -> None:
    busy = Busy()
    busy.act = lambda ones: [InvalidInputError("no") if one == 3 else one for one in ones]
    first, second, third, fourth = busy.all([1, 2, 3, 4])
    assert (first.result(), second.result(), fourth.result()) == (1, 2, 4)
    with pytest.raises(InvalidInputError, match="no"):
        third.result()


def test_where_a_turn_fails_as_a_whole_each_of_it_is_carried_out_alone() -> None:
    busy = Busy()

    def act(ones: Sequence[int]) -> Sequence[int]:
        if 3 in ones:
            raise RuntimeError("deadlock")
        return ones

    busy.act = act
    first, second, third, fourth = busy.all([1, 2, 3, 4])
    assert (first.result(), second.result(), fourth.result()) == (1, 2, 4)
    with pytest.raises(RuntimeError):
        third.result()
    assert busy.seen == [[1], [2, 3, 4], [2], [3], [4]]


def test_one_that_must_wait_leads_the_next_turn_before_those_who_came_later() -> None:
    busy = Busy()
    busy.act = lambda ones: [Later() if place and one == ones[0] else one for place, one in enumerate(ones)]
    assert [one.result() for one in busy.all([1, 7, 7, 8, 7])] == [1, 7, 7, 8, 7]
    assert busy.seen == [[1], [7, 7, 8, 7], [7, 7], [7]]


@contextmanager
def at_once(ctx: Context, kind: str, count: int) -> Any:
    """A pool whose presses of this kind meet in one turn: whoever leads waits until all have come."""
    turns, real, came = ctx.turns, ctx.turns.take, threading.Event()
    queue = turns._queue(kind)

    def take(act: Any, one: Any, *, kind: object) -> Any:
        def when_all_came(everybody: Any) -> Any:
            for _ in range(_PATIENCE * 1000):
                if came.is_set() or len(queue.waiting) >= count - 1:
                    break
                threading.Event().wait(0.001)
            came.set()
            return act(everybody)

        return real(when_all_came, one, kind=kind)

    turns.take = take  # type: ignore[method-assign]
    try:
        with ThreadPoolExecutor(count) as pool:
            yield pool
    finally:
        turns.take = real  # type: ignore[method-assign]


def readers(ctx: Context, world: World, count: int) -> tuple[int, list[tuple[Person, bytes]]]:
    """(topic, [(reader, the ref of a mail to them)])."""
    topic, text = world.topic()
    people = [world.person() for _ in range(count)]
    for one in people:
        world.grant(one, topic, text)
    return topic, [(one, letter(ctx, world, one.id, topic)) for one in people]


def states(ctx: Context) -> dict[int, str]:
    with ctx.db.reading() as conn:
        return {row.contact: row.state for row in conn.execute(select(consent.c.contact, consent.c.state))}


def test_stops_that_come_at_one_time_each_count_once_with_evidence_of_their_own(ctx: Context, world: World) -> None:
    _, mails = readers(ctx, world, 6)
    tokens = [link(ctx, Purpose.STOP, ref) for _, ref in mails]
    with at_once(ctx, "withdraw", 13) as pool:
        done = [pool.submit(withdraw, ctx, token, "page", HOME) for token in [*tokens, *tokens]]
        wrong = pool.submit(withdraw, ctx, "no token", "page", HOME)
    with pytest.raises(TokenError):
        wrong.result()
    assert sorted(one.result().changed for one in done) == [*[0] * 6, *[1] * 6]
    assert {one.result().standing.state for one in done} == {"withdrawn"}
    assert set(states(ctx).values()) == {"withdrawn"}
    with ctx.db.reading() as conn:
        events = conn.execute(select(consent_event).where(consent_event.c.event == "withdrawn")).all()
        entries = conn.execute(select(audit_entry).where(audit_entry.c.kind == "consent.withdrawn")).all()
    assert {(row.contact, row.message_ref) for row in events} == {(one.id, ref) for one, ref in mails}
    assert {(row.contact, row.message) for row in entries} == {(one.ref, ref) for one, ref in mails}
    back = next(one.result().undo for one in done if one.result().undo)
    assert undo(ctx, back, HOME) == 1
    assert sorted(states(ctx).values()) == ["granted", *["withdrawn"] * 5]


def test_answers_that_come_at_one_time_are_each_kept_with_the_words_they_answered(ctx: Context, world: World) -> None:
    world.topic()
    addresses = [f"reader{number}@example.org" for number in range(5)]
    tokens = [asked(ctx, address) for address in addresses]
    ref = topic_ref(ctx)
    with at_once(ctx, "grant", 11) as pool:
        done = [
            pool.submit(grant, ctx, token, {ref}, HOME, button=f"Yes {token[-6:]}", is_human=True)
            for token in [*tokens, *tokens]
        ]
        none = pool.submit(grant, ctx, tokens[1], set(), HOME, button="Yes", is_human=True)
    assert sorted(one.result().is_again for one in done) == [*[False] * 5, *[True] * 5]
    assert none.exception() is not None or none.result().is_again
    assert set(states(ctx).values()) == {"granted"}
    with ctx.db.reading() as conn:
        events = conn.execute(select(consent_event).where(consent_event.c.event == "confirmed")).all()
        answers = conn.execute(select(audit_entry).where(audit_entry.c.kind == "confirmation.answered")).all()
    assert (len(events), len({row.contact for row in events}), len(answers)) == (5, 5, 5)
    receipts = {receipt.token for one in done for receipt in one.result().receipts}
    assert len(receipts) == 5


def test_pages_that_are_asked_for_at_one_time_each_explain_their_own_mail(ctx: Context, world: World) -> None:
    _, mails = readers(ctx, world, 5)
    tokens = [link(ctx, Purpose.WHY, ref) for _, ref in mails]
    with at_once(ctx, "why", 5) as pool:
        told = [one.result() for one in [pool.submit(explain, ctx, token) for token in tokens]]
    assert [one.code for one in told] == [person.code for person, _ in mails]
