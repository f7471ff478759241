"""One's own account: whether mails tell what waits is a box, for those for whom something may wait."""

from collections.abc import Callable

from outreach.services.context import Context
from outreach.store.staff_mails import among
from tests.factories import World
from tests.web.conftest import Browser

SignIn = Callable[..., Browser]


def test_mails_about_what_waits_are_switched_off_and_on(ctx: Context, world: World, signed_in: SignIn) -> None:
    browser = signed_in("officer")
    assert 'name="told"' in browser.page("/account") and "checked" in browser.page("/account")
    for typed, wants in (({}, 0), ({"told": "y"}, 1)):
        kept = browser.submit("/account", {"name": "Robin", "timezone": "UTC", **typed})
        assert kept.status_code == 303
        with ctx.db.reading() as conn:
            assert len(among(conn, range(1, 20))) == wants


def test_a_marketer_has_no_such_box_and_stays_as_they_were(ctx: Context, world: World, signed_in: SignIn) -> None:
    browser = signed_in("marketer")
    assert "Mail me what waits" not in browser.page("/account")
    browser.submit("/account", {"name": "Robin", "timezone": "UTC", "told": "y"})
    with ctx.db.reading() as conn:
        assert len(among(conn, range(1, 20))) == 1
