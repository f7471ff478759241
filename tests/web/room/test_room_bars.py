"""What a room says of a bar: why no mail comes, the whole reason, and a way out that leads somewhere."""

import re

import pytest

from outreach.services.context import Context
from outreach.store import suppressions
from outreach.store.consents import bar_keys
from tests.factories import World
from tests.services.owning import agreed, fresh_link
from tests.web.conftest import Browser

SAID = {
    "bounce": "Your mail server said that this address does not work.",
    "complaint": "You, or your mail provider for you, complained about mail from here.",
    "imported": "You had asked for no more mail before, at the system your data came from.",
}


@pytest.mark.parametrize("kind", SAID)
def test_a_bar_is_told_with_its_reason_and_whom_to_tell_if_it_is_wrong(
    client: Browser, ctx: Context, world: World, kind: str
) -> None:
    world.topic()
    person = agreed(ctx)
    with ctx.db.transaction() as conn:
        address_key, mailbox_key = bar_keys(conn, person.id)
        key, scope = (address_key, "address") if kind == "bounce" else (mailbox_key, "mailbox")
        suppressions.put(conn, ctx.db.now(conn), [suppressions.Bar(key, scope, kind, "officer")])
    token = fresh_link(ctx, person)
    page = client.page(f"/room/{token}?lang=en")
    assert SAID[kind] in page
    assert not any(words in page for one, words in SAID.items() if one != kind)
    assert "Sign up again" not in page  # that lifts no bar an officer must lift
    notice = page.split('<p class="notice warn">')[1].split("</p>")[0]
    (way_out,) = re.findall(r'href="([^"]+)"', notice)
    assert "What you want to say" in client.page(way_out)
