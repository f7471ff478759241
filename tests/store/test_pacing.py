"""Rows of pace: made when held, one at a time for all who lease from them, gone when nothing is left to remember."""

import threading

from outreach.domain.pacing import Pace
from outreach.services.context import Context
from outreach.store.pacing import drop_paces, hold_paces, read_paces, save_paces

A, B = ("main", "gmail"), ("main", "yahoo")
FULL = Pace(rate=5, free=1, resting=2, slowed=3, strikes=4, code="421 4.7.28", day=6, step=7, sent=8)


def test_a_row_comes_back_as_it_was_saved(ctx: Context) -> None:
    with ctx.db.transaction() as conn:
        assert hold_paces(conn, [B, A, A]) == {A: Pace(), B: Pace()}
        save_paces(conn, {B: FULL})
    with ctx.db.reading() as conn:
        assert read_paces(conn) == {A: Pace(), B: FULL}


def test_only_the_pairs_named_are_held_or_dropped(ctx: Context) -> None:
    with ctx.db.transaction() as conn:
        hold_paces(conn, [A, B])
        assert list(hold_paces(conn, [B])) == [B]
        drop_paces(conn, [A])
        drop_paces(conn, [])
        assert list(read_paces(conn)) == [B]
        assert hold_paces(conn, []) == {}


def test_no_lease_is_lost_between_workers_that_hold_a_pair_at_once(ctx: Context) -> None:
    ready = threading.Barrier(6)

    def lease() -> None:
        ready.wait(30)
        for _ in range(5):
            with ctx.db.transaction() as conn:
                held = hold_paces(conn, [B, A])
                save_paces(conn, {pair: Pace(sent=pace.sent + 1) for pair, pace in held.items()})

    workers = [threading.Thread(target=lease) for _ in range(6)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    with ctx.db.reading() as conn:
        assert {pair: pace.sent for pair, pace in read_paces(conn).items()} == {A: 30, B: 30}
