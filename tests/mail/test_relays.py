"""Several relays: who carries what, and what happens when one of them fails, checked against what each one took."""

import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from outreach.config import Settings
from outreach.domain.errors import SettingsError
from outreach.hosts import Relay
from outreach.mail.relays import Router, Turns
from outreach.mail.smtp_batch import Batch
from outreach.mail.smtp_health import Health
from outreach.mail.smtp_opening import Timeouts
from outreach.mail.transport import Outcome, Result
from tests.mail.relays import DROP, PATIENT, STALL, Diary, Scripted, by_id, free_port, parcel, scripted


def settings(**relays: Relay) -> Settings:
    return Settings(relays=relays, public_url="https://mail.example.org")


def relay(server: Scripted | int, **more: Any) -> Relay:
    port = server if isinstance(server, int) else server.port
    return Relay(host="127.0.0.1", port=port, security="none", **{"connections": 2, **more})


@contextmanager
def routing(found: Settings, timeouts: Timeouts = PATIENT, window: float = 2.0) -> Iterator[Router]:
    router = Router(found, "client.example", timeouts=timeouts, window=window)
    try:
        yield router
    finally:
        router.close()


def results(outcomes: list[Outcome]) -> Counter[str]:
    return Counter(str(outcome.result) for outcome in outcomes)


def carried(outcomes: list[Outcome]) -> Counter[str]:
    return Counter(outcome.relay for outcome in outcomes)


CLIENTS = pytest.mark.parametrize("client", ["pipelined", "smtplib"])


def test_a_sender_names_a_relay_or_a_pool() -> None:
    found = settings(
        one=Relay(host="a.example"),
        two=Relay(host="b.example", pool="bulk"),
        three=Relay(host="c.example", pool="bulk", weight=0),
    )
    with routing(found) as router:
        assert router.names("one") == ("one",)
        assert router.names("bulk") == ("two", "three")
        with pytest.raises(SettingsError, match="nobody"):
            router.names("nobody")
        with pytest.raises(SettingsError, match="nobody"):
            router.hand_off("nobody", [parcel(1)], Diary())


def test_while_no_relay_is_configured_the_demo_mailbox_stands_behind_every_word() -> None:
    with scripted() as server, routing(Settings(demo_smtp_port=server.port)) as router:
        assert router.names("main") == ("main",)
        (outcome,) = router.hand_off("main", [parcel(1)], Diary())
    assert (outcome.result, outcome.relay) == (Result.SENT, "main")
    assert len(server.mails) == 1


def test_turns_follow_weights_and_are_spread_evenly() -> None:
    turns = Turns({"a": 5, "b": 1, "c": 1})
    order = [turns.next(["a", "b", "c"]) for _ in range(14)]
    assert Counter(order) == {"a": 10, "b": 2, "c": 2}
    assert all("bb" not in "".join(order[at : at + 2]) for at in range(13))
    assert order[:7] == order[7:]


@CLIENTS
def test_mail_is_shared_out_by_weight_and_every_outcome_names_its_relay(client: str) -> None:
    with ExitStack() as stack:
        heavy, light, spare = (stack.enter_context(scripted()) for _ in range(3))
        found = settings(
            heavy=relay(heavy, pool="all", weight=3, client=client),
            light=relay(light, pool="all", client=client),
            spare=relay(spare, pool="all", weight=0, client=client),
        )
        router = stack.enter_context(routing(found))
        outcomes = [
            one
            for batch in range(2)
            for one in router.hand_off("all", [parcel(batch * 20 + number) for number in range(20)], Diary())
        ]
        assert results(outcomes) == {"sent": 40}
        assert carried(outcomes) == {"heavy": 30, "light": 10}
        assert (len(heavy.mails), len(light.mails), spare.connections) == (30, 10, 0)


@CLIENTS
@pytest.mark.parametrize("greeting", ["421 4.3.2 closing", "554 5.3.2 no service", DROP])
def test_what_a_failing_relay_has_not_begun_goes_to_the_next_in_the_same_call(client: str, greeting: str) -> None:
    diary = Diary()
    with scripted({"GREETING": greeting}) as bad, scripted() as good:
        found = settings(bad=relay(bad, pool="all", client=client), good=relay(good, pool="all", client=client))
        with routing(found) as router:
            outcomes = router.hand_off("all", [parcel(number) for number in range(20)], diary)
            assert results(outcomes) == {"sent": 20}
            assert carried(outcomes) == {"good": 20}
            attempts = bad.connections
            outcomes = router.hand_off("all", [parcel(100 + number) for number in range(20)], diary)
            assert carried(outcomes) == {"good": 20}
            assert bad.connections <= attempts  # it is left alone for a while
    assert len(good.mails) == 40
    assert all(diary.of(number) == ["begun", "dotted", "replied 250"] for number in range(20))


@CLIENTS
def test_a_spare_relay_takes_over_while_the_others_fail(client: str) -> None:
    with scripted() as spare:
        found = settings(
            main=relay(free_port(), pool="all", weight=5, client=client),
            spare=relay(spare, pool="all", weight=0, client=client),
        )
        with routing(found) as router:
            outcomes = router.hand_off("all", [parcel(number) for number in range(10)], Diary())
    assert (results(outcomes), carried(outcomes)) == ({"sent": 10}, {"spare": 10})


@CLIENTS
def test_with_no_relay_left_everything_is_deferred_and_says_why(client: str) -> None:
    found = settings(
        one=relay(free_port(), pool="all", client=client), two=relay(free_port(), pool="all", client=client)
    )
    with routing(found) as router:
        for _ in range(2):
            outcomes = router.hand_off("all", [parcel(number) for number in range(10)], Diary())
            assert results(outcomes) == {"deferred": 10}
            assert {outcome.reply for outcome in outcomes} == {"The relay could not be reached: Connection refused."}


def test_a_relay_that_does_not_answer_holds_nobody_up_while_there_is_another() -> None:
    with scripted({"GREETING": STALL}) as silent, scripted() as good:
        found = settings(silent=relay(silent, pool="all"), good=relay(good, pool="all"))
        with routing(found, PATIENT) as router:
            outcomes = router.hand_off("all", [parcel(number) for number in range(20)], Diary())
    assert results(outcomes) == {"sent": 20}
    assert carried(outcomes) == {"good": 20}


def test_a_relay_slow_to_answer_gets_no_share_until_it_has() -> None:
    with scripted({"GREETING": STALL}) as silent, scripted() as good:
        found = settings(silent=relay(silent, pool="all"), good=relay(good, pool="all"))
        with routing(found, Timeouts(connect=9, command=9, final=9, idle=9), window=4) as router:
            router.hand_off("all", [parcel(number) for number in range(4)], Diary())
            outcomes = router.hand_off("all", [parcel(number, age=3) for number in range(10, 20)], Diary())
    assert (results(outcomes), carried(outcomes)) == ({"sent": 10}, {"good": 10})


def test_mail_that_waits_behind_a_stalled_message_goes_elsewhere() -> None:
    with scripted({"DOT": STALL}) as stalled, scripted() as good:
        found = settings(stalled=relay(stalled, pool="all", connections=1), good=relay(good, pool="all"))
        with routing(found, Timeouts(connect=2, command=2, final=1.5, idle=5)) as router:
            outcomes = by_id(router.hand_off("all", [parcel(number) for number in range(20)], Diary()))
    assert results(list(outcomes.values())) == {"sent": 19, "unknown": 1}
    assert len(good.mails) == 19


def test_what_comes_too_late_for_the_other_relay_is_put_back() -> None:
    with scripted({"GREETING": STALL}) as silent, scripted() as good:
        found = settings(silent=relay(silent, pool="all"), good=relay(good, pool="all"))
        with routing(found, window=0.4) as router:
            began = time.monotonic()
            outcomes = router.hand_off("all", [parcel(number, age=0.35) for number in range(20)], Diary())
            assert time.monotonic() - began < PATIENT.command
    assert results(outcomes) == {"sent": 10, "put_back": 10}


@CLIENTS
def test_a_relay_that_comes_back_is_found_and_gets_its_share_again(client: str) -> None:
    with scripted({"GREETING 1": "421 not now", "GREETING 2": "421 not now"}) as moody, scripted() as good:
        found = settings(
            moody=relay(moody, pool="all", client=client, connections=1),
            good=relay(good, pool="all", client=client),
        )
        with routing(found) as router:
            numbers = iter(range(100_000))
            until = time.monotonic() + 20
            seen: Counter[str] = Counter()
            while seen["moody"] < 5 and time.monotonic() < until:
                seen += carried(router.hand_off("all", [parcel(next(numbers)) for _ in range(4)], Diary()))
    assert seen["moody"] >= 5
    assert moody.connections >= 3


def test_once_it_has_carried_mail_again_a_relay_is_as_good_as_any() -> None:
    brisk = Timeouts(connect=2, command=2, final=2, idle=0)
    with scripted({"GREETING 1": "421 not now"}) as moody, scripted() as good:
        found = settings(moody=relay(moody, pool="all", connections=1), good=relay(good, pool="all"))
        with routing(found, brisk) as router:
            numbers = iter(range(100_000))
            until = time.monotonic() + 20
            seen: Counter[str] = Counter()
            while not seen["moody"] and time.monotonic() < until:
                seen = carried(router.hand_off("all", [parcel(next(numbers)) for _ in range(4)], Diary()))
            while moody.heard.count("QUIT") < moody.heard.count("EHLO client.example") and time.monotonic() < until:
                time.sleep(0)
            seen = carried(router.hand_off("all", [parcel(next(numbers)) for _ in range(4)], Diary()))
    assert seen == {"moody": 2, "good": 2}


def test_a_relay_is_left_alone_longer_each_time_up_to_a_minute() -> None:
    health, now, pauses = Health(), 100.0, []
    for _ in range(9):
        health.fail(now)
        pauses.append(health.again - now)
        health.fail(health.again - 0.01)  # still the same failure
        now = health.again
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert not health.is_good
    health.recover()
    assert health.is_good
    health.fail(now)
    assert health.again - now == 1


@CLIENTS
def test_no_relay_takes_more_than_it_has_room_for(client: str) -> None:
    with scripted() as one, scripted() as two:
        found = settings(one=relay(one, pool="all", client=client), two=relay(two, pool="all", client=client))
        with routing(found) as router:
            outcomes = router.hand_off(
                "all", [parcel(number) for number in range(20)], Diary(), room={"one": 3, "two": 9}
            )
    assert results(outcomes) == {"sent": 12, "put_back": 8}
    assert (len(one.mails), len(two.mails)) == (3, 9)


def test_room_of_a_failed_relay_is_not_anothers() -> None:
    with scripted({"GREETING": "421 no"}) as bad, scripted() as good:
        found = settings(bad=relay(bad, pool="all"), good=relay(good, pool="all"))
        with routing(found) as router:
            outcomes = router.hand_off(
                "all", [parcel(number) for number in range(20)], Diary(), room={"bad": 50, "good": 12}
            )
    assert results(outcomes) == {"sent": 12, "put_back": 8}
    assert len(good.mails) == 12


def test_a_spare_relay_does_not_help_out_with_its_room() -> None:
    with scripted() as main, scripted() as spare:
        found = settings(main=relay(main, pool="all"), spare=relay(spare, pool="all", weight=0))
        with routing(found) as router:
            outcomes = router.hand_off(
                "all", [parcel(number) for number in range(6)], Diary(), room={"main": 2, "spare": 9}
            )
    assert (results(outcomes), spare.connections) == ({"sent": 2, "put_back": 4}, 0)


@CLIENTS
def test_several_threads_hand_over_by_the_same_relays(client: str) -> None:
    with scripted() as one, scripted() as two, ThreadPoolExecutor(3) as threads:
        found = settings(one=relay(one, pool="all", client=client), two=relay(two, pool="all", client=client))
        with routing(found) as router:
            batches = [[parcel(start + number) for number in range(30)] for start in (0, 100, 200)]
            outcomes = [
                outcome
                for found_ones in threads.map(lambda batch: router.hand_off("all", batch, Diary()), batches)
                for outcome in found_ones
            ]
        assert results(list(by_id(outcomes).values())) == {"sent": 90}
        assert (one.connections, two.connections) <= (2, 2)


@CLIENTS
def test_closing_ends_connections_and_the_next_hand_off_opens_new_ones(client: str) -> None:
    with scripted() as server:
        router = Router(settings(main=relay(server, client=client, connections=1)), "client.example", timeouts=PATIENT)
        for number in (1, 2):
            assert router.hand_off("main", [parcel(number)], Diary())[0].result is Result.SENT
            router.close()
        assert server.connections == 2
        assert server.hears("QUIT")


@CLIENTS
def test_closing_under_way_ends_a_hand_off_with_an_outcome_for_every_mail(client: str) -> None:
    diary = Diary()
    timeouts = Timeouts(connect=2, command=2, final=1, idle=5)
    with scripted({"DOT": STALL}) as server, ThreadPoolExecutor(1) as threads:
        router = Router(settings(main=relay(server, client=client, connections=1)), "client.example", timeouts=timeouts)
        handing = threads.submit(router.hand_off, "main", [parcel(number) for number in range(5)], diary)
        assert server.hears("DATA")
        while ("dotted", 0) not in diary.entries:
            time.sleep(0)
        router.close()
        outcomes = by_id(handing.result(5))
    assert [str(outcomes[number].result) for number in range(5)] == ["unknown", *["put_back"] * 4]


def test_outcomes_stand_though_the_loop_ends_before_they_are_fetched() -> None:
    batch = Batch([parcel(1)], Diary(), None)
    outcome = Outcome(1, Result.SENT)
    assert batch.done(outcome)
    batch.finish()
    batch.crash(RuntimeError("the router was closed"))
    assert batch.wait() == [outcome]


@CLIENTS
def test_a_callers_own_fault_is_raised_to_the_caller(client: str) -> None:
    def broken(message_id: int) -> bool:
        raise ZeroDivisionError(message_id)

    with scripted() as server, routing(settings(main=relay(server, client=client))) as router:
        with pytest.raises(ZeroDivisionError):
            router.hand_off("main", [parcel(number) for number in range(3)], Diary(), broken)
        assert router.hand_off("main", [parcel(9)], Diary())[0].result is Result.SENT
    assert len(server.mails) == 1


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"host": ""}, "host"),
        ({"host": "a b"}, "one word"),
        ({"connections_per_provider": 11}, "connections_per_provider"),
        ({"username": "me", "security": "none"}, "in clear"),
        ({"weight": 0}, "pool"),
        ({"weight": -1}, "weight"),
        ({"messages_per_connection": 0}, "messages_per_connection"),
        ({"client": "telnet"}, "client"),
        ({"conections": 3}, "conections"),
    ],
)
def test_a_relay_that_cannot_be_meant_is_refused_with_the_reason(more: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Relay(**{"host": "smtp.example.net", **more})


@pytest.mark.parametrize(
    ("relay_of", "cap"),
    [
        (Relay(host="smtp.example.net"), 20),
        (Relay(host="127.0.0.1"), None),
        (Relay(host="smtp.example.net", own=True), None),
        (Relay(host="127.0.0.1", own=False), 20),
        (Relay(host="127.0.0.1", messages_per_connection=7), 7),
    ],
)
def test_a_connection_carries_twenty_messages_unless_the_relay_is_our_own(relay_of: Relay, cap: int | None) -> None:
    assert relay_of.message_cap == cap
