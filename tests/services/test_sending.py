"""What administrators see of the pace of mail, and forgetting what refusals taught: theirs alone, in the log."""

from dataclasses import replace

import pytest
from pydantic import SecretStr

from outreach.domain.actors import Actor, Role
from outreach.domain.errors import ConflictError, InvalidInputError, NotAllowedError
from outreach.domain.pacing import DAY, SECOND, Pace
from outreach.hosts import Pacing, Relay
from outreach.services.context import Context
from outreach.services.seal import seal
from outreach.services.sending import forget_pace, see_sending, slowed_pairs
from outreach.services.verify import verify
from outreach.store.pacing import Pair, hold_paces, read_paces, save_paces
from tests.factories import World
from tests.services.test_reveal import ADMINISTRATOR, OFFICER, entries

REASON = "the provider raised our limit"
PAIR = ("main", "gmail")


def with_relay(ctx: Context, **pacing: object) -> Context:
    """The same with a relay “main”, paced like this."""
    secret, paced = SecretStr("a secret"), Pacing.model_validate(pacing)
    relay = Relay(host="smtp.example.net", username="outreach", password=secret, pacing=paced, pool="house", weight=3)
    return replace(ctx, settings=ctx.settings.model_copy(update={"relays": {"main": relay}}))


def learn(ctx: Context, pair: Pair = PAIR, rate: int = 17_500) -> int:
    """Let a pair have been slowed a minute ago, and rest two more; returns the database's now."""
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        hold_paces(conn, [pair])
        pace = Pace(rate=rate, slowed=now - 60 * SECOND, resting=now + 120 * SECOND, strikes=1, code="421 4.7.28")
        save_paces(conn, {pair: pace})
        return now


def test_the_page_tells_each_pairs_pace_and_never_a_password(ctx: Context, world: World) -> None:
    ctx = with_relay(ctx, gmail=20, yahoo="0.5", warm_up=[50, 100])
    now = learn(ctx)
    (relay,) = see_sending(ctx, ADMINISTRATOR).relays
    assert (relay.name, relay.senders) == ("main", ("Northfield",))
    gmail, microsoft, yahoo, _ = relay.pairs
    assert (gmail.learned, gmail.ceiling, gmail.code, gmail.resting) == (
        17_500,
        20_000,
        "421 4.7.28",
        now + 120 * SECOND,
    )
    assert (gmail.day, gmail.days, gmail.left, gmail.allowance) == (1, 2, 50, 50)
    assert (microsoft.ceiling, microsoft.learned, microsoft.slowed) == (None, None, None)
    assert yahoo.ceiling == 500
    assert "a secret" not in repr(relay)


def test_without_relays_there_is_nothing_to_pace(ctx: Context) -> None:
    assert see_sending(ctx, ADMINISTRATOR).relays == ()


@pytest.mark.parametrize("pacing", [{}, {"gmail": 20}])
def test_forgetting_frees_the_pair_and_the_log_says_who_and_why(
    ctx: Context, world: World, pacing: dict[str, object]
) -> None:
    ctx = with_relay(ctx, **pacing)
    learn(ctx)
    assert [(one.relay, one.provider) for one in slowed_pairs(ctx, ADMINISTRATOR)] == [PAIR]
    forget_pace(ctx, ADMINISTRATOR, *PAIR, f"{REASON}, said postmaster@example.net")
    assert slowed_pairs(ctx, ADMINISTRATOR) == []
    (relay,) = see_sending(ctx, ADMINISTRATOR).relays
    assert (relay.pairs[0].learned, relay.pairs[0].resting) == (None, None)
    reason = f"{REASON}, said p•••@e•••.net"
    body = {"relay": "main", "provider": "gmail", "rate": "17.5/s", "reason": reason}
    assert entries(ctx, "pace.forgotten") == [(None, ADMINISTRATOR.name, body)]
    with ctx.db.reading() as conn:
        assert (PAIR in read_paces(conn)) == bool(pacing)
    with pytest.raises(ConflictError):
        forget_pace(ctx, ADMINISTRATOR, *PAIR, REASON)


def test_the_log_with_such_an_entry_verifies(ctx: Context, world: World) -> None:
    learn(ctx)
    forget_pace(ctx, ADMINISTRATOR, *PAIR, REASON)
    seal(ctx, 1)
    assert verify(ctx).is_clean


def test_only_an_administrator_may_look_or_forget(ctx: Context) -> None:
    learn(ctx)
    for actor in (OFFICER, Actor("staff:1", frozenset({Role.MARKETER}))):
        with pytest.raises(NotAllowedError):
            see_sending(ctx, actor)
        with pytest.raises(NotAllowedError):
            slowed_pairs(ctx, actor)
        with pytest.raises(NotAllowedError):
            forget_pace(ctx, actor, *PAIR, REASON)


def test_forgetting_needs_a_reason_and_something_to_forget(ctx: Context) -> None:
    learn(ctx)
    with pytest.raises(InvalidInputError, match="Nothing was forgotten"):
        forget_pace(ctx, ADMINISTRATOR, *PAIR, "because")
    with pytest.raises(ConflictError):
        forget_pace(ctx, ADMINISTRATOR, "main", "yahoo", REASON)
    assert len(slowed_pairs(ctx, ADMINISTRATOR)) == 1


def test_what_was_learned_more_than_a_day_ago_is_not_shown(ctx: Context) -> None:
    ctx = with_relay(ctx)
    now = learn(ctx)
    with ctx.db.transaction() as conn:
        hold_paces(conn, [PAIR])
        save_paces(conn, {PAIR: Pace(rate=5, slowed=now - DAY, code="421")})
    assert slowed_pairs(ctx, ADMINISTRATOR) == []
    assert see_sending(ctx, ADMINISTRATOR).relays[0].pairs[0].code == ""
