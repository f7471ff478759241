"""Promise 1: no GET or HEAD changes anything, whoever asks, whatever they hold."""

from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import update
from werkzeug.routing import Rule

from outreach.services.context import Context
from outreach.store.audit import Entry, record
from outreach.store.schema.organisation import staff_session
from tests.guards.crawl import Visit
from tests.guards.material import Material, rules
from tests.guards.store import Watch
from tests.guards.visitors import WHO

# What looking may leave behind: that an officer read (with its place in the queue), and that a link was touched.
_TRACES = {"+read", "+observation"}

# Answer no page in a house that is set up.
_CLOSED = {"account.set_up_page"}


def test_nothing_is_changed_by_looking(visits: list[Visit]) -> None:
    changed = [f"{visit}: {visit.wrote}" for visit in visits if set(visit.wrote) - _TRACES]
    assert changed == []


def test_only_officers_reading_leaves_an_entry(visits: list[Visit]) -> None:
    readers = {visit.who for visit in visits if "+read" in visit.wrote}
    assert all("officer" in who for who in readers)


def test_the_crawl_opened_every_page(visits: list[Visit], site: Flask) -> None:
    opened = {visit.endpoint for visit in visits if visit.method == "GET" and visit.status in {200, 303}}
    expected = {rule.endpoint for rule in rules(site) if "GET" in (rule.methods or ())}
    assert expected - opened - _CLOSED == set()
    assert {visit.who for visit in visits if visit.status == 200} == set(WHO)
    assert {visit.method for visit in visits} == {"GET", "HEAD"}


def test_no_page_breaks(visits: list[Visit]) -> None:
    assert [str(visit) for visit in visits if visit.status >= 500] == []


def test_head_answers_as_get_would(visits: list[Visit]) -> None:
    got = {(visit.who, visit.url): visit.status for visit in visits if visit.method == "GET"}
    differing = [str(v) for v in visits if v.method == "HEAD" and got.get((v.who, v.url), v.status) != v.status]
    assert differing == []


def test_the_watch_itself_sees_what_it_should(house: Context) -> None:
    watch = Watch(Path(house.settings.database.removeprefix("sqlite:///")))
    with house.db.transaction() as conn:
        conn.execute(update(staff_session).values(seen=staff_session.c.seen + 1))
    assert watch.changes() == []
    with house.db.transaction() as conn:
        record(conn, house.db.now(conn), Entry(kind="contact.read", actor="staff:0"))
    assert set(watch.changes()) == {"+read"}
    with house.db.transaction() as conn:
        record(conn, house.db.now(conn), Entry(kind="contact.revealed", actor="staff:0"))
    assert set(watch.changes()) == {"+audit_entry", "+audit_pending"}
    with house.db.transaction() as conn:
        conn.execute(update(staff_session).values(proved=staff_session.c.proved + 1))
    assert set(watch.changes()) == {"+staff_session", "-staff_session"}
    watch.close()


def test_a_route_nobody_can_fill_is_named(site: Flask) -> None:
    nothing = Material({frozenset(): [{}]}, {})
    with pytest.raises(LookupError, match="/nowhere"):
        rule = Rule("/nowhere/<thing>", endpoint="nowhere")
        site.url_map.bind("127.0.0.1")
        rule.arguments = {"thing"}
        nothing.fill(site, rule)
