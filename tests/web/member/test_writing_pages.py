"""Pages about writing to somebody one is connected with: the address, what waits, and deciding about a held mail."""

import re
from collections.abc import Callable

import pytest

from outreach.services import connections
from outreach.services.context import Context
from tests.factories import World
from tests.pipeline.conftest import Line
from tests.pipeline.relaying import ALICE, BOB, Pair, words
from tests.services.connecting import everything
from tests.web.conftest import Browser

HIDDEN = "Ask carol@third.example for them.\n"

SignIn = Callable[..., Browser]


@pytest.fixture
def pair(world: World) -> Pair:
    return Pair(Line(world))


def page_of(pair: Pair) -> str:
    return f"/me/connections/{pair.ref.hex()}"


def link_of(pair: Pair) -> str:
    """The path of the link in the warning that goes out now."""
    found = [re.search(r"/held-mail/[\w.-]+", words(mail)) for mail in pair.sent() if mail.rcpt_to == ALICE]
    assert found[0] is not None
    return found[0][0]


def test_each_side_reads_where_it_reaches_the_other(pair: Pair, member_client: SignIn) -> None:
    hers, his = (member_client(who).page(page_of(pair)) for who in (pair.alice, pair.bob))
    assert f'value="{pair.to(pair.bob.person)}@in.localhost"' in hers
    assert f'value="{pair.to(pair.alice.person)}@in.localhost"' in his
    assert pair.to(pair.alice.person) not in hers
    connections.end(pair.ctx, pair.bob.actor, pair.ref)
    for who in (pair.alice, pair.bob):
        assert "with-" not in member_client(who).page(page_of(pair))


def test_without_a_door_for_mail_there_is_nothing_to_write_to(
    ctx: Context, pair: Pair, member_client: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(ctx.settings), "mail_in", "")
    page = member_client(pair.alice).page(page_of(pair))
    assert "Write to them" not in page


def test_a_held_mail_is_decided_on_the_page(pair: Pair, member_client: SignIn) -> None:
    pair.write(HIDDEN)
    pair.write(HIDDEN)
    hers = member_client(pair.alice)
    page = hers.page(page_of(pair))
    assert "an address like c•••@t•••.example" in page
    assert "carol" not in page
    assert page.count("Send it as it is") == page.count("Drop it") == 2
    first, second = dict.fromkeys(re.findall(r"/me/connections/\w+/held/\w+", page))
    assert "waits for you" not in member_client(pair.bob).page(page_of(pair))
    assert member_client(pair.bob).submit(f"{first}/send").status_code == 404
    assert hers.submit(f"{first}/send").status_code == 303
    assert "Sent on, as you wrote it." in hers.page(page_of(pair))
    hers.submit(f"{second}/drop")
    page = hers.page(page_of(pair))
    assert "Dropped. Nobody got it" in page
    assert "Send it as it is" not in page
    assert BOB in {mail.rcpt_to for mail in pair.sent()}


def test_what_waits_for_a_muted_side_is_counted_to_them_alone(pair: Pair, member_client: SignIn) -> None:
    hers, his = member_client(pair.alice), member_client(pair.bob)
    his.submit(f"{page_of(pair)}/mute")
    pair.write("Hello\n")
    assert "1 mail of theirs waits" in his.page(page_of(pair))
    page = hers.page(page_of(pair))
    assert "taken" in page
    assert "theirs waits" not in page
    his.submit(f"{page_of(pair)}/unmute")
    assert [mail.rcpt_to for mail in pair.sent()] == [BOB]


def test_the_link_shows_and_its_buttons_act(pair: Pair, client: Browser) -> None:
    pair.write(HIDDEN)
    path = link_of(pair)
    before = everything(pair.ctx)
    page = client.page(path)
    assert "an address like c•••@t•••.example" in page
    assert not re.search(r"carol|inviters|recipients|Bob|Ask", page)
    assert page.count('class="btn even wide"') == 2
    assert everything(pair.ctx) == before
    assert client.post(f"{path}/send").status_code == 400  # without the page's own token
    assert client.submit(f"{path}/send").status_code == 303
    assert "This mail was sent on" in client.page(path)
    assert client.submit(f"{path}/drop").status_code == 409
    assert [mail.rcpt_to for mail in pair.sent()] == [BOB]


def test_an_old_link_offers_to_drop_and_to_mail_a_fresh_one(pair: Pair, client: Browser) -> None:
    pair.write(HIDDEN)
    path = link_of(pair)
    pair.line.pass_hours(1)
    page = client.page(path)
    assert "Send it as it is" not in page
    assert client.submit(f"{path}/send").status_code == 409
    assert client.submit(f"{path}/renew").status_code == 303
    assert "a fresh link is on its way" in client.page(path)
    fresh = link_of(pair)
    assert fresh != path
    client.submit(f"{path}/drop")
    assert "This mail was dropped" in client.page(fresh)
    assert pair.sent() == []
    client.page(path[:-3] + "AAA", 404)
