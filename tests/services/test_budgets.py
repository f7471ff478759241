"""What a network has left tells nothing: every request takes one place, whatever became of it, at every public door."""

import pytest

from outreach.services.connect import process_connects
from outreach.services.connect_links import make_link
from outreach.services.context import Context
from outreach.services.join import process_member_requests, submit_start
from outreach.services.sign_up import process_requests, submit_sign_up
from outreach.store.schema.campaigns import message
from outreach.store.schema.consents import request
from tests.factories import World
from tests.services.asking import ask, bar, set_cap
from tests.services.people import count, form, hand_off_everything, move_clock

VICTIM, CANARY = "victim@example.net", "canary@example.org"
ELSEWHERE, HERE = "198.51.100.0/24", "203.0.113.0/24"


class Door:
    """A public door: type an address there from a network, and let the engine look."""

    def __init__(self, ctx: Context, world: World, name: str) -> None:
        self.ctx, self._name = ctx, name
        self._topic = world.topic()
        self._links = [make_link(ctx, world.member().actor, label="Blog") for _ in range(4)]
        self._typed = 0

    def type(self, address: str, network: str = HERE) -> None:
        if self._name == "account":
            submit_start(self.ctx, address=address, network=network, locale="en")
        elif self._name == "sign-up":
            submit_sign_up(self.ctx, form(address, network=network))
        else:  # one link after the other, so that no owner's limit is reached
            self._typed += 1
            ask(self.ctx, self._links[self._typed % len(self._links)], address, network=network)

    def look(self) -> None:
        for process in (process_member_requests, process_requests, process_connects):
            process(self.ctx)

    def mails(self) -> int:
        return count(self.ctx, message, message.c.state == "planned")


@pytest.fixture(params=["account", "sign-up", "connect"])
def door(request: pytest.FixtureRequest, ctx: Context, world: World) -> Door:
    return Door(ctx, world, request.param)


def make(ctx: Context, door: Door, victim: str) -> None:
    """Let the engine know the victim's address as this."""
    times = {"unsent": 1, "over its budget": ctx.settings.confirmations_per_mailbox, "asked before": 1}
    if victim == "barred":
        bar(ctx, VICTIM)
    for _ in range(times.get(victim, 0)):
        door.type(VICTIM, ELSEWHERE)
        door.look()
        if victim != "unsent":
            hand_off_everything(ctx)


def fill(ctx: Context, door: Door, leaving: int) -> None:
    for number in range(ctx.settings.confirmations_per_network - leaving):
        door.type(f"own{number}@example.com")


KINDS = ["unknown", "barred", "unsent", "asked before", "over its budget"]


@pytest.mark.parametrize("victim", KINDS)
def test_a_networks_last_request_takes_the_last_place_whoever_it_names(ctx: Context, door: Door, victim: str) -> None:
    make(ctx, door, victim)
    fill(ctx, door, leaving=1)
    door.type(VICTIM)
    door.look()
    before = door.mails()
    door.type(CANARY)
    door.look()
    assert door.mails() == before
    assert count(ctx, request, request.c.settled.is_(None)) == 1
    move_clock(ctx, 3_700)
    door.look()
    assert door.mails() == before + 1


@pytest.mark.parametrize("victim", KINDS)
def test_over_the_budget_a_request_waits_whoever_it_names(ctx: Context, door: Door, victim: str) -> None:
    make(ctx, door, victim)
    fill(ctx, door, leaving=0)
    door.look()
    before = door.mails()
    door.type(VICTIM)
    door.look()
    assert (door.mails(), count(ctx, request, request.c.settled.is_(None))) == (before, 1)
    move_clock(ctx, 3_700)
    fill(ctx, door, leaving=1)
    door.look()
    before = door.mails()
    door.type(CANARY)
    door.look()
    assert door.mails() == before
    assert count(ctx, request, request.c.settled.is_(None)) == 1


@pytest.mark.parametrize("is_at_cap", [False, True])
def test_an_ask_that_a_cap_makes_wait_takes_its_place_at_once_and_once(
    ctx: Context, world: World, is_at_cap: bool
) -> None:
    door = Door(ctx, world, "connect")
    set_cap(ctx, 1, 2 * 86_400)
    if is_at_cap:
        door.type(VICTIM, ELSEWHERE)
        door.look()
        hand_off_everything(ctx)
    fill(ctx, door, leaving=1)
    door.type(VICTIM)
    door.look()
    before = door.mails()
    door.type(CANARY)
    door.look()
    assert door.mails() == before
    move_clock(ctx, 3 * 86_400)
    door.look()  # the canary takes a place of this hour, what waited for the cap none
    fill(ctx, door, leaving=2)
    door.look()
    before = door.mails()
    door.type("second-canary@example.org")
    door.look()
    assert door.mails() == before + 1
