"""Officers look and decide; they do not act for anybody. What they can press is pinned with why, and what is personal
is read by a press that the log keeps.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select

from outreach.domain.actors import Role
from outreach.services.context import Context
from outreach.store.boxes import ContactKeys
from outreach.store.schema.audit import audit_entry
from outreach.store.schema.organisation import staff
from tests.guards.material import Material, gather, rules
from tests.guards.visitors import browser, csrf_token

OWN = "their own account and searches"
READING = "reads what is personal, or checks the log; writes that it was done"
POLICY = "policy: what people may agree to, how often they are written to, who may invite"
REQUEST = "requests: what somebody asked for or told us"
APPROVAL = "approvals: a second person's yes or no, and what only an officer may rule on"
RECORD = "records that must be kept: exports, the register, witnesses, mails that came in"

_STEPS = "any('identity', 'met', 'extend', 'refuse', 'carry-out', 'result')"

# Whatever an officer alone can press. A route joins this list only on purpose, under one of the headings above.
PRESSED = {
    "POST /sign-out": OWN,
    "POST /account": OWN,
    "POST /account/password": OWN,
    "POST /account/prove": OWN,
    "POST /account/sessions/<ref:session>/end": OWN,
    "POST /account/sessions/end-others": OWN,
    "POST /compliance/log/saved": OWN,
    "POST /compliance/log/saved/<ref:search>/forget": OWN,
    "POST /compliance/find": READING,
    "POST /compliance/contacts/<ref:contact>": READING,
    "POST /compliance/contacts/<ref:contact>/reveal": READING,
    "POST /compliance/contacts/<ref:contact>/proof/<ref:topic>": READING,
    "POST /compliance/requests/<ref:asked>/read": READING,
    "POST /conversations/<ref:conversation>/open": READING,
    "POST /compliance/verify": READING,
    "POST /invitations/<ref:inviter>/appeals/<ref:appeal>/read": READING,
    "POST /compliance/policy/<policy>/change": POLICY,
    "POST /topics/new": POLICY,
    "POST /topics/<ref:topic>/text": POLICY,
    "POST /topics/<ref:topic>/close": POLICY,
    "POST /audience/import": POLICY,
    "POST /desk/stop": REQUEST,
    "POST /desk/deceased": REQUEST,
    "POST /desk/opt-in": REQUEST,
    "POST /compliance/bars/<ref:bar>/lift": REQUEST,
    "POST /compliance/requests/new": REQUEST,
    f"POST /compliance/requests/<ref:asked>/<{_STEPS}:act>": REQUEST,
    "POST /compliance/claims/<ref:hold>": REQUEST,
    "POST /compliance/approvals/<ref:approval>/approve": APPROVAL,
    "POST /compliance/approvals/<ref:approval>/decline": APPROVAL,
    "POST /compliance/unknown/<ref:group>": APPROVAL,
    "POST /compliance/reports/<ref:report>/undo": APPROVAL,
    "POST /compliance/reports/again": RECORD,
    "POST /invitations/<ref:inviter>/suspend": APPROVAL,
    "POST /invitations/<ref:inviter>/restore": APPROVAL,
    "POST /invitations/<ref:inviter>/appeals/<ref:appeal>": APPROVAL,
    "POST /compliance/register/<section>": RECORD,
    "POST /compliance/exports": RECORD,
    "POST /compliance/witnesses": RECORD,
}

OFFICER = Role.OFFICER.value
REASON = "asked for by the court, file 12"
READ_BY = {
    "officer.read_contact": ({}, "contact.read"),
    "officer.proof_now": ({}, "contact.read"),
    "officer.reveal_now": ({"reason": REASON}, "contact.revealed"),
    "officer.read_appeal": ({}, "member.appeal-read"),
}
"""Presses that show what a box held: what is typed, and the entry each leaves."""

LETTERS = {
    "/compliance/requests/<ref:asked>",
    f"/compliance/requests/<ref:asked>/<{_STEPS}:act>",
}
"""Words that were written to the officer, who has to answer them; every step of the answer is in the log."""


@pytest.fixture(scope="module")
def material(house: Context) -> Material:
    return gather(house)


@contextmanager
def watched_boxes() -> Iterator[list[int]]:
    """Contacts whose boxes were opened meanwhile."""
    opened: list[int] = []
    patch = pytest.MonkeyPatch()
    for name in ("text", "facts"):
        real = getattr(ContactKeys, name)

        def note(self: ContactKeys, contact: int, box: bytes | None, real: Any = real) -> Any:
            if box is not None:
                opened.append(contact)
            return real(self, contact, box)

        patch.setattr(ContactKeys, name, note)
    try:
        yield opened
    finally:
        patch.undo()


def _colleagues(ctx: Context) -> set[int]:
    with ctx.db.reading() as conn:
        return set(conn.execute(select(staff.c.contact)).scalars())


def _entries(ctx: Context, kind: str) -> int:
    with ctx.db.reading() as conn:
        query = select(func.count()).select_from(audit_entry).where(audit_entry.c.kind == kind)
        return int(conn.execute(query).scalar_one())


def test_what_an_officer_can_press_is_pinned_with_why(site: Flask) -> None:
    found = {
        f"POST {rule.rule}"
        for rule in rules(site)
        if "POST" in (rule.methods or ())
        and getattr(site.view_functions[rule.endpoint], "actors", frozenset()) & {"staff", OFFICER}
    }
    assert found == set(PRESSED)


def test_nobodys_box_but_a_colleagues_is_opened_by_an_officers_looking(
    site: Flask, house: Context, material: Material
) -> None:
    client = browser(site, OFFICER)
    colleagues = _colleagues(house)
    opened: dict[str, set[int]] = {}
    looked = 0
    for rule in rules(site):
        actors: frozenset[str] = getattr(site.view_functions[rule.endpoint], "actors", frozenset())
        if "GET" not in (rule.methods or ()) or not actors & {"staff", OFFICER}:
            continue
        for path in material.fill(site, rule):
            with watched_boxes() as boxes:
                looked += client.get(path).status_code == 200
            if (others := set(boxes) - colleagues) and rule.rule not in LETTERS:
                opened[rule.rule] = others
    assert looked > 20
    assert opened == {}


@pytest.mark.parametrize("endpoint", sorted(READ_BY))
def test_reading_what_is_personal_is_a_press_that_leaves_an_entry(
    site: Flask, house: Context, material: Material, endpoint: str
) -> None:
    typed, kind = READ_BY[endpoint]
    client = browser(site, OFFICER)
    token = csrf_token(client)
    (rule,) = [rule for rule in rules(site) if rule.endpoint == endpoint]
    read = 0
    for path in material.fill(site, rule):
        before = _entries(house, kind)
        with watched_boxes() as boxes:
            answer = client.post(path, data={**typed, "csrf_token": token})
        shown = answer.status_code == 200 and bool(set(boxes) - _colleagues(house))
        assert _entries(house, kind) - before == (1 if answer.status_code == 200 else 0), path
        read += shown
    assert read > 0
