"""The page Sending over HTTP: what it tells, and forgetting with a reason."""

from collections.abc import Callable

import pytest
from flask import Flask

from outreach.services.context import Context
from tests.factories import World
from tests.services.test_reveal import entries
from tests.services.test_sending import learn, with_relay
from tests.web.conftest import Browser

REASON = "the provider raised our limit"


@pytest.fixture
def paced(app: Flask, ctx: Context) -> Context:
    """The application with a relay that has ceilings and a warm-up."""
    changed = with_relay(ctx, microsoft="0.5", other=20, warm_up=[50, 100])
    app.extensions["outreach"] = changed
    return changed


@pytest.mark.parametrize("path", ["/settings/sending", "/settings/sending/forget"])
def test_sending_is_for_administrators(path: str, client: Browser, signed_in: Callable[..., Browser]) -> None:
    assert client.get(path).status_code == 303
    for role in ("marketer", "officer"):
        assert signed_in(role).get(path).status_code == 403
    signed_in("administrator").page(path)


def test_without_a_relay_the_page_says_where_mail_goes(signed_in: Callable[..., Browser]) -> None:
    admin = signed_in("administrator")
    assert "demo mailbox" in admin.page("/settings/sending")
    assert "Nothing to forget" in admin.page("/settings/sending/forget")


def test_the_page_shows_paces_ceilings_rests_and_warm_up(paced: Context, signed_in: Callable[..., Browser]) -> None:
    learn(paced, ("main", "yahoo"))
    page = signed_in("administrator").page("/settings/sending")
    for words in ("smtp.example.net:587", "the pool house with weight 3", "used by Northfield"):
        assert words in page
    for words in ("30 a minute", "20 a second", "day 1 of 2", "50 of 50 left today"):
        assert words in page
    assert "resting" in page and "421 4.7.28" in page and "about Yahoo by main" in page
    assert "a secret" not in page


def test_an_administrator_forgets_what_was_learned_and_says_why(
    paced: Context, world: World, signed_in: Callable[..., Browser]
) -> None:
    learn(paced, ("main", "yahoo"))
    admin = signed_in("administrator")
    page = admin.page("/settings/sending/forget?relay=main&provider=yahoo")
    assert '<option selected value="yahoo main">' in page
    refused = admin.submit("/settings/sending/forget", {"pair": "yahoo main", "reason": "because"})
    assert refused.status_code == 422 and 'id="reason-error"' in refused.get_data(as_text=True)
    assert admin.submit("/settings/sending/forget", {"pair": "gmail main", "reason": REASON}).status_code == 422
    done = admin.submit("/settings/sending/forget", {"pair": "yahoo main", "reason": REASON})
    assert (done.status_code, done.location) == (303, "/settings/sending")
    assert "resting" not in admin.page("/settings/sending")
    assert [body["reason"] for _, _, body in entries(paced, "pace.forgotten")] == [REASON]
