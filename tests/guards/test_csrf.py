"""No form of ours can be sent from somebody else's page, and the two doors that take such posts read no cookie."""

import re
from pathlib import Path

import pytest
from flask import Flask

from outreach.domain.tokens import Purpose
from outreach.services.context import Context
from outreach.web.security import csrf
from tests.guards.material import gather, rules
from tests.guards.store import Watch
from tests.guards.visitors import ALL, MEMBER, VISITOR, WHO, browser

EXEMPT = {"recipient.one_click", "recipient.sign_up"}
_CHANGING = re.compile(r'nonce="[^"]*"|name="shown" value="[^"]*"')


def test_the_exempt_routes_are_these(site: Flask) -> None:
    views = {f"{view.__module__}.{view.__name__}": name for name, view in site.view_functions.items()}
    assert {views[name] for name in csrf._exempt_views} == EXEMPT
    assert csrf._exempt_blueprints == set()


@pytest.mark.parametrize("who", [VISITOR, MEMBER, ALL])
def test_every_other_post_needs_the_pages_token(site: Flask, house: Context, who: str) -> None:
    client = browser(site, who)
    material = gather(house)
    watch = Watch(Path(house.settings.database.removeprefix("sqlite:///")))
    posts = [rule for rule in rules(site) if "POST" in (rule.methods or ()) and rule.endpoint not in EXEMPT]
    for rule in posts:
        for path in material.fill(site, rule)[:1]:
            assert client.post(path, data={"how": "page"}).status_code == 400, rule.rule
            assert watch.changes() == [], rule.rule
    watch.close()
    assert len(posts) > 20


def test_another_sessions_token_is_refused(site: Flask) -> None:
    from tests.guards.visitors import csrf_token

    stolen = csrf_token(browser(site, "officer"))
    for who in (VISITOR, MEMBER, "marketer"):
        for path in ("/sign-out", "/me/sign-out"):
            assert browser(site, who).post(path, data={"csrf_token": stolen}).status_code == 400


@pytest.mark.parametrize("who", WHO)
def test_exempt_routes_read_no_cookie(site: Flask, house: Context, who: str) -> None:
    token = gather(house).tokens[Purpose.STOP.value][2]  # already stopped: every press is answered alike
    for path, data in (
        (f"/stop/{token}", {"List-Unsubscribe": "One-Click"}),
        (f"/stop/{token}", {"List-Unsubscribe": "Two-Clicks"}),
        ("/sign-up", {"address": "somebody@new.example", "topics": "garden-tips"}),
        ("/sign-up", {"address": "not an address"}),
    ):
        plain = site.test_client(use_cookies=False).post(path, data=data)
        client = browser(site, who)
        client.get("/sign-in")
        with client.session_transaction() as cookie:
            cookie["_flashes"] = [("ok", "Something meant for another page")]
        known = client.post(path, data=data)
        assert (known.status_code, known.location) == (plain.status_code, plain.location), path
        assert _CHANGING.sub("", known.text) == _CHANGING.sub("", plain.text), path
        for answer in (plain, known):
            assert "Set-Cookie" not in answer.headers, (path, who)
