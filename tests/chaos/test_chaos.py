"""The proof of `make chaos`, shortened: nobody twice, nobody lost, whatever dies."""

import random

import pytest

from tests.chaos.play import Engine, Plan, Store, play


@pytest.mark.parametrize(("engine", "store"), [("distributed", "postgresql"), ("embedded", "sqlite")])
def test_whatever_dies_every_message_is_accounted_for_and_none_comes_twice(engine: Engine, store: Store) -> None:
    plan = Plan(engine=engine, store=store, kills=8, people=600, seed=random.randrange(10_000), interval=(0.8, 3.0))
    tally = play(plan)
    print(tally.line(seed=plan.seed))
    assert tally.is_clean, "\n".join([tally.line(seed=plan.seed), *tally.faults[:20]])
    assert tally.kills == plan.kills
    assert tally.numbers["sent"] > 100, "too little went out to prove anything"
