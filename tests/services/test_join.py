"""Making an account: one a mailbox, whoever presses at the same instant, and a name that is nobody else's."""

import threading

import pytest
from sqlalchemy import select, update

from outreach.domain.errors import ConflictError, TokenError
from outreach.domain.tokens import Purpose
from outreach.services import passwords
from outreach.services.confirm import Client as Presser
from outreach.services.context import Context
from outreach.services.join import OfficeNameError, TakenNameError, choose, process_member_requests
from outreach.services.members import edit_account
from outreach.services.withdraw import withdraw
from outreach.store.schema.campaigns import message
from outreach.store.schema.consents import confirmation
from outreach.store.schema.members import member
from tests.factories import World
from tests.services.people import count, link
from tests.services.staffing import CLIENT, PASSWORD
from tests.services.test_members import mailed, start


def tokens(ctx: Context, addresses: list[str]) -> list[str]:
    """The account link of each address, all of them still good."""
    for address in addresses:
        start(ctx, address)
    process_member_requests(ctx)
    with ctx.db.reading() as conn:
        refs = conn.execute(select(confirmation.c.ref).order_by(confirmation.c.id)).scalars().all()
    return [link(ctx, Purpose.ACCOUNT, ref) for ref in refs]


def test_spellings_of_one_mailbox_pressed_at_the_same_instant_make_one_account(
    ctx: Context, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = tokens(ctx, ["alice+one@example.org", "alice+two@example.org", "alice+three@example.org"])
    gate = threading.Barrier(len(theirs))
    said: list[str] = []
    hashed = passwords.hash_password(PASSWORD)

    def together(_password: str) -> str:
        gate.wait(30)
        return hashed

    def press(token: str) -> None:
        try:
            choose(ctx, token, name="Alice", password=PASSWORD, client=CLIENT)
            said.append("made")
        except ConflictError:
            said.append("another")

    monkeypatch.setattr(passwords, "hash_password", together)
    threads = [threading.Thread(target=press, args=(token,)) for token in theirs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(said) == ["another", "another", "made"]
    assert count(ctx, member) == 1


@pytest.mark.parametrize(
    "name", ["Northfield Garden Society Team", "The north-field GARDEN society", "Anna of Northfield", "Ｎorthfield"]
)
def test_nobody_has_the_organisations_name_within_their_own(ctx: Context, world: World, name: str) -> None:
    token = mailed(ctx)
    with pytest.raises(TakenNameError) as caught:
        choose(ctx, token, name=name, password=PASSWORD, client=CLIENT)
    assert caught.value.field == "name"
    assert choose(ctx, token, name="Anna North", password=PASSWORD, client=CLIENT).session


@pytest.mark.parametrize("name", ["Support", "Alice from the team", "No-reply", "Kundtjänst"])
def test_nobody_is_called_as_staff_are_not_even_later(ctx: Context, world: World, name: str) -> None:
    with pytest.raises(OfficeNameError):
        choose(ctx, mailed(ctx), name=name, password=PASSWORD, client=CLIENT)
    alice = world.member()
    with pytest.raises(OfficeNameError) as caught:
        edit_account(ctx, alice.actor, name=name, locale="en", timezone="Europe/Stockholm", notify=False)
    assert caught.value.field == "name"


def test_a_stop_in_the_mail_that_brings_the_link_says_no_and_ends_it(ctx: Context, world: World) -> None:
    world.topic()
    (token,) = tokens(ctx, ["alice@example.org"])
    with ctx.db.reading() as conn:
        ref = conn.execute(select(message.c.ref).where(message.c.origin == "confirmation")).scalar_one()
    done = withdraw(ctx, link(ctx, Purpose.STOP, ref), "one-click", Presser())
    assert done.standing.asks
    assert not done.standing.is_question
    assert count(ctx, confirmation, confirmation.c.answer == "declined") == 1
    with pytest.raises(TokenError):
        choose(ctx, token, name="Alice", password=PASSWORD, client=CLIENT)
    assert count(ctx, member) == 0


def test_once_the_link_made_an_account_a_stop_in_its_mail_stops_everything(ctx: Context, world: World) -> None:
    world.topic()
    (token,) = tokens(ctx, ["alice@example.org"])
    choose(ctx, token, name="Alice", password=PASSWORD, client=CLIENT)
    with ctx.db.transaction() as conn:
        ref = conn.execute(select(message.c.ref).where(message.c.origin == "confirmation")).scalar_one()
        conn.execute(update(member).values(notify=1))
    done = withdraw(ctx, link(ctx, Purpose.STOP, ref), "one-click", Presser())
    assert (done.changed, done.standing.asks) == (1, False)
    assert count(ctx, member, member.c.notify == 0) == 1
