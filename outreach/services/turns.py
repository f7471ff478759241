"""What comes in at one time is carried out together: one transaction for all who wait, each answered as if alone.

What a press costs is mostly its statements and its commit, and those cost the same for one person as for thirty. Nobody
waits for company: whoever finds nobody at work begins at once, and those who come meanwhile are the next turn.
"""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar, cast

One = TypeVar("One")
Answer = TypeVar("Answer")

_Act = Callable[[Callable[[], Sequence[Any]]], Sequence[Any]]

MOST = 32
"""So many are carried out in one turn, at the most."""


class Later(Exception):  # noqa: N818  not an error: an answer to `Turns`
    """What a turn says of one that must wait for the next: it touches what another of this turn touches."""


@dataclass(eq=False)
class _Waiting:
    """One that was asked for. `woken` is released once it is answered, or leads."""

    one: Any
    woken: threading.Lock = field(default_factory=threading.Lock)
    is_done: bool = False
    answer: Any = None
    error: BaseException | None = None

    def settle(self, outcome: object) -> None:
        if isinstance(outcome, BaseException):
            self.error = outcome
        else:
            self.answer = outcome
        self.is_done = True


@dataclass(eq=False)
class _Queue:
    lock: threading.Lock = field(default_factory=threading.Lock)
    waiting: deque[_Waiting] = field(default_factory=deque)
    is_led: bool = False


class Turns:
    """Hands out turns, by what is to be done. The threads that wait do the work, one of them at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._queues: dict[object, _Queue] = {}

    def take(
        self, act: Callable[[Callable[[], Sequence[One]]], Sequence[Answer | Exception]], one: One, *, kind: object
    ) -> Answer:
        """The answer to `one` of the turn it is carried out in. `kind`: the same for all that `act` does together.

        `act` is given what tells it who is in its turn: all who wait when it asks, best once it holds what it had to
        wait for itself. It gives an answer or an error for each, in their order, or `Later`, never to the first. Where
        it raises instead, each of its turn is carried out alone. Raises the error of `one`.
        """
        mine = _Waiting(one)
        queue = self._queue(kind)
        mine.woken.acquire()
        with queue.lock:
            queue.waiting.append(mine)
            leads, queue.is_led = not queue.is_led, True
        if not leads:
            mine.woken.acquire()
        if not mine.is_done:
            self._lead(queue, act)
        if mine.error is not None:
            raise mine.error
        return cast(Answer, mine.answer)

    def _queue(self, kind: object) -> _Queue:
        with self._lock:
            return self._queues.setdefault(kind, _Queue())

    def _lead(self, queue: _Queue, act: _Act) -> None:
        """One turn, whose first is the leader's own; then the next in line leads."""
        with queue.lock:
            turn = [queue.waiting.popleft()]
        is_whole = False

        def everybody() -> list[Any]:
            nonlocal is_whole
            if not is_whole:
                is_whole = True
                with queue.lock:
                    turn.extend(queue.waiting.popleft() for _ in range(min(MOST - 1, len(queue.waiting))))
            return [one.one for one in turn]

        try:
            _carry_out(turn, everybody, act)
        finally:
            again = [one for one in turn if not one.is_done]
            with queue.lock:
                queue.waiting.extendleft(reversed(again))
                following = queue.waiting[0] if queue.waiting else None
                queue.is_led = following is not None
            for one in turn[1:]:
                if one.is_done:
                    one.woken.release()
            if following is not None:
                following.woken.release()


def _carry_out(turn: Sequence[_Waiting], everybody: Callable[[], Sequence[Any]], act: _Act) -> None:
    """`turn` is the leader's own until `everybody` is first called."""
    try:
        outcomes = act(everybody)
        answers = list(zip(turn, outcomes, strict=True))
    except Exception as error:
        if len(turn) == 1:
            turn[0].settle(error)
            return
        for one in turn:
            _carry_out([one], partial(_alone, one), act)
    except BaseException as error:
        for one in turn:
            one.settle(error)
        raise
    else:
        for one, outcome in answers:
            if not isinstance(outcome, Later):
                one.settle(outcome)


def _alone(one: _Waiting) -> list[Any]:
    return [one.one]
