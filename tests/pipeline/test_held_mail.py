"""Mails between connected people that wait for their writer: the warning, its link, and what time does."""

import json
import re

import pytest

from outreach.domain.errors import ConflictError, NotFoundError, TokenError
from outreach.services.confirm import Client
from outreach.services.relaying import held
from outreach.services.relaying.looking_after import look_after_relays
from outreach.services.relaying.showing import correspondence
from outreach.services.why import explain
from outreach.services.withdraw import withdraw
from tests.pipeline.conftest import Line
from tests.pipeline.relaying import ALICE, BOB, Pair, read, words
from tests.services.connecting import everything

HIDDEN = "Ask carol@third.example for them.\n"


@pytest.fixture
def pair(line: Line) -> Pair:
    return Pair(line)


def token_in(pair: Pair) -> str:
    """The token of the warning that goes out now."""
    (warning,) = pair.sent()
    found = re.search(r"/held-mail/([\w.-]+)", words(warning))
    assert found is not None
    return found[1]


def test_a_mail_that_seems_to_hold_an_address_waits_for_its_writer(pair: Pair) -> None:
    pair.write(HIDDEN)
    (warning,) = pair.sent()
    assert warning.rcpt_to == ALICE
    assert "c•••@t•••.example" in words(warning)
    assert "carol" not in words(warning)
    assert read(warning)["Auto-Submitted"] == "auto-generated"
    (mine,) = correspondence(pair.ctx, pair.alice.actor, pair.ref).mine
    assert (mine.state, mine.doubts[0].kind) == ("held", "address")
    assert correspondence(pair.ctx, pair.bob.actor, pair.ref).mine == ()


def test_its_writer_lets_it_go_by_the_link_while_it_is_fresh(pair: Pair) -> None:
    pair.write(HIDDEN)
    token = token_in(pair)
    before = everything(pair.ctx)
    view = held.view_held(pair.ctx, token)
    assert (view.state, view.is_fresh, view.can_renew) == ("held", True, True)
    assert everything(pair.ctx) == before
    for _ in range(2):
        assert held.send_held(pair.ctx, token).state == "sent"
    (mail,) = pair.sent()
    assert (mail.rcpt_to, "carol@third.example" in words(mail)) == (BOB, True)
    with pytest.raises(ConflictError):
        held.drop_held(pair.ctx, token)


def test_an_old_link_only_drops_or_asks_for_a_fresh_one(pair: Pair) -> None:
    pair.write(HIDDEN)
    token = token_in(pair)
    pair.line.pass_hours(0.6)
    assert not held.view_held(pair.ctx, token).is_fresh
    with pytest.raises(ConflictError):
        held.send_held(pair.ctx, token)
    assert pair.sent() == []
    held.renew_link(pair.ctx, token)
    held.renew_link(pair.ctx, token)  # one is on its way
    fresh = token_in(pair)
    assert held.view_held(pair.ctx, fresh).is_fresh
    held.renew_link(pair.ctx, fresh)
    token_in(pair)
    held.renew_link(pair.ctx, fresh)
    assert pair.sent() == []  # three in all
    for _ in range(2):
        assert held.drop_held(pair.ctx, token).state == "dropped"
    with pytest.raises(ConflictError):
        held.send_held(pair.ctx, fresh)
    assert pair.rows()[0].words_box is None
    with pytest.raises(TokenError):
        held.view_held(pair.ctx, token[:-2] + "AA")


def test_a_warning_not_sent_yet_is_not_sent_once_it_was_decided(pair: Pair) -> None:
    pair.write(HIDDEN)
    (mine,) = correspondence(pair.ctx, pair.alice.actor, pair.ref).mine
    held.drop_own(pair.ctx, pair.alice.actor, mine.ref)
    assert pair.sent() == []
    assert [one.state for one in correspondence(pair.ctx, pair.alice.actor, pair.ref).mine] == ["dropped"]


def test_a_held_mail_is_its_writers_alone_and_time_drops_it(pair: Pair) -> None:
    pair.write(HIDDEN)
    pair.write(HIDDEN)
    first, second = correspondence(pair.ctx, pair.alice.actor, pair.ref).mine
    for act in (held.send_own, held.drop_own):
        with pytest.raises(NotFoundError):
            act(pair.ctx, pair.bob.actor, first.ref)
    held.send_own(pair.ctx, pair.alice.actor, first.ref)
    assert [mail.rcpt_to for mail in pair.sent()].count(BOB) == 1
    pair.line.pass_hours(24 * held.HELD_DAYS + 1)
    look_after_relays(pair.ctx)
    states = {one.ref: one.state for one in correspondence(pair.ctx, pair.alice.actor, pair.ref).mine}
    assert states == {first.ref: "taken", second.ref: "dropped"}
    assert {json.dumps(one) for one in pair.line.entries("relay.held")}


def test_the_warning_is_stopped_by_one_click_as_all_that_comes_of_the_connection(pair: Pair) -> None:
    pair.write(HIDDEN)
    (warning,) = pair.sent()
    found = re.search(r"<http[^>]*/stop/([^>]*)>", read(warning)["List-Unsubscribe"])
    assert found is not None
    done = withdraw(pair.ctx, found[1], "one-click", Client())
    assert (done.changed, done.standing.stream, done.standing.state) == (1, "connection", "withdrawn")
    pair.write("Hello\n", by=BOB)
    assert pair.sent() == []
    why = re.search(r"/why/([\w.-]+)", words(warning))
    assert why is not None
    here = explain(pair.ctx, why[1]).standing
    assert (here.stream, here.state) == ("connection", "withdrawn")
