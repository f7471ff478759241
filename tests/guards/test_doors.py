"""Every route says who may use it, and nobody else gets in."""

from pathlib import Path

import pytest
from flask import Flask
from werkzeug.routing import Rule

from outreach.services.context import Context
from outreach.web.auth import ACTORS, OPEN
from tests.guards.material import Material, gather, rules
from tests.guards.store import Watch
from tests.guards.visitors import ALL, MEMBER, STAFF, VISITOR, WHO, browser, csrf_token

# Open to people without an account. A route joins this list only on purpose.
FOR_VISITORS = {
    "GET /",
    "GET /sign-up/<slug>",
    "GET /sign-up/<slug>/last-mail",
    "GET /sign-up/received",
    "POST /sign-up",
    "GET /sign-in",
    "POST /sign-in",
    "GET /forgot",
    "POST /forgot",
    "GET /set-up/<token>",
    "POST /set-up/<token>",
    "GET /password/<token>",
    "POST /password/<token>",
    "GET /mailbox",
    "POST /mailbox",
    "GET /mailbox/<key>",
    "GET /mailbox/<key>/html",
    "POST /mailbox/<key>/<any(reply, spam, bounce):act>",
    "GET /members",
    "GET /members/sign-in",
    "POST /members/sign-in",
    "GET /members/start",
    "POST /members/start",
    "GET /members/started",
    "GET /members/choose/<token>",
    "POST /members/choose/<token>",
    "GET /connect/<ref:link>",
    "POST /connect/<ref:link>",
    "GET /connect/asked",
    "GET /badge/<ref:link>",
    "GET /log/checkpoint",
    "GET /log/keys",
    "GET /log/tile/<int:level>/<path:place>",
    "GET /log/proof/inclusion",
    "GET /log/proof/consistency",
    "GET /rights",
    "GET /room",
    "POST /room",
    "GET /room/asked",
    "POST /rights",
    "GET /rights/asked",
    "GET /transparency",
    "GET /receipts",
    "POST /receipts",
    "GET /receipts/key",
    "GET /answers/<ref:topic>",
}
FOR_RECIPIENTS = {
    "GET /confirm/<token>",
    "POST /confirm/<token>",
    "GET /look/<token>",
    "GET /confirm/<token>/never",
    "POST /confirm/<token>/never",
    "GET /stop/<token>",
    "POST /stop/<token>",
    "POST /stop/<token>/press",
    "POST /stop/<token>/fresh",
    "GET /fresh-link",
    "POST /undo",
    "GET /why/<token>",
    "POST /why/<token>",
    "GET /connect/confirm/<token>",
    "POST /connect/confirm/<token>",
    "GET /invitation/<token>",
    "GET /invitation/<token>/<any(decline, never, later):choice>",
    "GET /invitation/<token>/accept",
    "GET /invitation/<token>/report",
    "POST /invitation/<token>/decline",
    "POST /invitation/<token>/never",
    "POST /invitation/<token>/later",
    "POST /invitation/<token>/report",
    "GET /held-mail/<token>",
    "POST /held-mail/<token>/send",
    "POST /held-mail/<token>/drop",
    "POST /held-mail/<token>/renew",
    "GET /hand/<token>",
    "GET /hand/<token>/accept",
    "POST /hand/<token>/accept",
    "POST /hand/<token>/decline",
    "GET /hand/<token>/report",
    "POST /hand/<token>/report",
    "GET /rights/<token>",
    "GET /room/<token>",
    "POST /room/<token>/fresh",
    "POST /room/<token>/topics",
    "GET /room/<token>/topic/<ref:topic>",
    "GET /room/<token>/limits",
    "POST /room/<token>/limits",
    "GET /room/<token>/times",
    "POST /room/<token>/times",
    "GET /room/<token>/address",
    "POST /room/<token>/address",
    "POST /room/<token>/address/stop",
    "GET /moving/<token>",
    "POST /moving/<token>",
    "GET /keep/<token>",
    "POST /keep/<token>",
    "GET /room/<token>/history",
    "GET /room/<token>/receipts",
    "GET /room/<token>/people",
    "GET /room/<token>/conversations",
    "POST /room/<token>/conversations",
    "GET /room/<token>/conversations/<ref:talk>",
    "POST /room/<token>/conversations/<ref:talk>",
    "POST /rights/<token>/ask",
    "GET /rights/<token>/correct",
    "POST /rights/<token>/correct",
    "GET /rights/<token>/erase",
    "POST /rights/<token>/fresh",
    "POST /rights/<token>/lift",
    "GET /rights/<token>/result/<ref:asked>",
    "GET /rights/<token>/result/<ref:asked>/data.json",
    "GET /connection/<token>/end",
    "POST /connection/<token>/end",
    "GET /receipt/<token>",
    "GET /receipt/<token>/file",
    "POST /receipt/<token>/mail",
}
WITHOUT_DOOR = {"static"}  # files, the same for everybody


@pytest.fixture(scope="module")
def material(house: Context) -> Material:
    return gather(house)


def _actors(site: Flask, rule: Rule) -> frozenset[str]:
    actors: frozenset[str] = getattr(site.view_functions[rule.endpoint], "actors", frozenset())
    return actors


def _methods(rule: Rule) -> list[str]:
    return sorted((rule.methods or set()) - {"HEAD", "OPTIONS"})


def test_every_route_names_its_actors(site: Flask) -> None:
    silent = {rule.rule for rule in rules(site) if not _actors(site, rule) and rule.endpoint not in WITHOUT_DOOR}
    assert silent == set()
    for rule in rules(site):
        assert _actors(site, rule) <= ACTORS, rule.rule


@pytest.mark.parametrize(("actor", "pinned"), [("visitor", FOR_VISITORS), ("recipient", FOR_RECIPIENTS)])
def test_what_is_open_to_people_without_an_account_is_pinned(site: Flask, actor: str, pinned: set[str]) -> None:
    found = {f"{m} {rule.rule}" for rule in rules(site) if actor in _actors(site, rule) for m in _methods(rule)}
    assert found == pinned


@pytest.mark.parametrize("who", [who for who in WHO if who != ALL])
def test_staffs_and_members_routes_refuse_everybody_else(
    site: Flask, house: Context, material: Material, who: str
) -> None:
    client = browser(site, who)
    token = csrf_token(client)
    watch = Watch(Path(house.settings.database.removeprefix("sqlite:///")))
    tried = 0
    for rule in rules(site):
        actors = _actors(site, rule)
        if rule.endpoint in WITHOUT_DOOR or actors & (OPEN | {who}) or ("staff" in actors and who in STAFF):
            continue
        for method in _methods(rule):
            answer = client.open(material.fill(site, rule)[0], method=method, data={"csrf_token": token})
            if who == VISITOR or (who == MEMBER) != (MEMBER in actors):
                door = "/members/sign-in" if MEMBER in actors else "/sign-in"
                assert (answer.status_code, answer.location.partition("?")[0]) == (303, door), (method, rule.rule)
            else:
                assert answer.status_code == 403, (method, rule.rule)
            assert watch.changes() == [], (method, rule.rule)
            tried += 1
    watch.close()
    assert tried > 10
