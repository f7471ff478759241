"""A forwarded mail: whoever has it can stop or lower, reads that one mail explained, and reaches nothing else."""

import re
from urllib.parse import urlsplit

import pytest
from flask import Flask
from sqlalchemy import insert, select, update
from werkzeug.exceptions import HTTPException

from outreach.domain.consent import Event
from outreach.domain.tokens import MAIL_POWERS, Purpose, purpose_of
from outreach.mail.layout import TEMPLATES
from outreach.mail.system import TEMPLATES as SYSTEM
from outreach.services.confirm import Client, grant
from outreach.services.context import Context
from outreach.store.boxes import ContactKeys
from outreach.store.schema.campaigns import message
from outreach.store.schema.consents import consent, consent_event, consent_text
from tests.factories import World
from tests.guards.pages import ADDRESS, Form, Page
from tests.guards.test_mail_links import ACTS, PUBLIC, PUTS_BACK, SHOWS
from tests.services.people import ALICE, asked, letter, link, topic_ref
from tests.web.conftest import Browser

# What a link in each of our mails is called where it is written; those of a campaign are its footer's. A word joins
# this list only on purpose. `url` of an account, of rights and room, of staff: the fresh link itself, for a short time.
LINKS = {
    "account": {"url"},
    "address-arrives": {"confirm_url"},
    "address-leaves": {"url"},
    "answered": {"url"},
    "approval": {"url"},
    "campaign": set(),
    "confirmation": {"confirm_url"},
    "connect": {"confirm_url", "decline_url", "never_url", "report_url"},
    "connected": {"end_url", "start_url"},
    "conversation": {"stop_url"},
    "footer": {"answers_url", "stop_url", "why_url"},
    "fresh-link": {"url"},
    "go-on": {"confirm_url", "stop_url"},
    "invitation": {"decline_url", "never_url", "report_url", "see_url"},
    "layout": set(),
    "policy-change": {"url"},
    "receipt": {"check_url"},
    "relay-failed": set(),
    "relay-held": {"url"},
    "relayed": {"end_url", "page_url", "stop_url", "why_url"},
    "request": {"url"},
    "rights": {"url"},
    "rights-link": {"url"},
    "room-link": {"url"},
    "staff-dues": {"url"},
    "staff-password": {"url"},
    "staff-reset": {"url"},
    "system": set(),
    "system_footer": {"why_url"},
    "unseen": {"hidden_url"},
}
_OTHER = "Seeds nobody else knows of"


def test_no_mail_gained_a_link_unseen() -> None:
    found = {
        path.stem: set(re.findall(r'href="\{\{ *(\w+)', path.read_text())) for path in sorted(TEMPLATES.glob("*.html"))
    }
    assert found == LINKS
    assert Purpose.STOP.powers | Purpose.WHY.powers <= MAIL_POWERS


@pytest.fixture
def alice(ctx: Context, world: World) -> tuple[int, int]:
    """(contact, topic): she confirmed one topic, and lives by another that no page behind a mail may name."""
    topic_id, _ = world.topic()
    other, text_id = world.topic()
    grant(ctx, asked(ctx), {topic_ref(ctx)}, Client(), button="Yes")
    with ctx.db.transaction() as conn:
        like = conn.execute(select(consent_text).where(consent_text.c.id == text_id)).one()._mapping
        own = {"ref": b"o" * 16, "version": 2, "title": _OTHER}
        values = {**{name: value for name, value in like.items() if name != "id"}, **own}
        secret = conn.execute(insert(consent_text).values(values).returning(consent_text.c.id)).scalar_one()
    world.grant(world.person(ALICE), other, secret)
    return world.person(ALICE).id, topic_id


def mails(ctx: Context, world: World, person: int, topic_id: int) -> dict[str, bytes]:
    """A mail of each origin and of each template our system writes, by name."""
    made = {"campaign": letter(ctx, world, person, topic_id)}
    made["withheld"] = letter(ctx, world, person, topic_id, state="withheld", reason="cap_total", counted=None)
    made["test"] = letter(ctx, world, person, None, origin="test")
    made["reply"] = letter(ctx, world, person, None, origin="reply")
    with ctx.db.reading() as conn:
        question = select(message.c.ref).where(message.c.origin == "confirmation")
        made["confirmation"] = bytes(conn.execute(question).scalar_one())
        keys = ContactKeys(ctx.keyring, conn)
        boxes = {name: keys.seal(person, {"template": name, "facts": {}}) for name in sorted(SYSTEM)}
    for name, box in boxes.items():
        about = topic_id if name in {"policy-change", "receipt", "fresh-link"} else None
        made[f"notice {name}"] = letter(ctx, world, person, about, origin="notice", kind="service", body_box=box)
    return made


def _endpoint(app: Flask, url: str, method: str) -> str:
    try:
        return str(app.url_map.bind("127.0.0.1").match(urlsplit(url).path, method=method)[0])
    except HTTPException:
        return f"nowhere: {method} {url}"


def _walk(app: Flask, client: Browser, start: str) -> tuple[set[str], list[tuple[str, Form]], str]:
    """Where a page leads to, the forms on the way, and all that was read."""
    shown, forms, read, waiting, met = set(), [], "", [start], set()
    while waiting:
        url = waiting.pop()
        path = urlsplit(url).path
        endpoint = _endpoint(app, path, "GET")
        shown.add(endpoint)
        if path in met or endpoint in PUBLIC:
            continue
        met.add(path)
        body = client.get(url).get_data(as_text=True)
        page = Page(body)
        read += body
        waiting += [one for one in page.links if not one.startswith(("mailto:", "http"))]
        forms += [(form.action, form) for form in page.forms]
    return shown, forms, read


def test_a_stranger_with_any_mail_can_only_reduce_and_reads_of_that_mail_alone(
    ctx: Context, app: Flask, world: World, alice: tuple[int, int]
) -> None:
    person, topic_id = alice
    for name, ref in mails(ctx, world, person, topic_id).items():
        for purpose in (Purpose.WHY, Purpose.STOP):
            place = str(purpose)
            stranger = app.test_client()
            assert isinstance(stranger, Browser)
            shown, forms, read = _walk(app, stranger, f"/{place}/{link(ctx, purpose, ref)}")
            assert shown <= SHOWS | PUBLIC, name
            assert {_endpoint(app, url, form.method.upper()) for url, form in forms} <= ACTS, name
            assert ADDRESS.findall(read) == [], name
            assert _OTHER not in read, name
            tokens = {purpose_of(part) for url in Page(read).links for part in re.split("[/?]", url)} - {None}
            assert tokens <= _OPENED, name
            for url, form in forms:
                for button in form.buttons:
                    stranger.post(url, data=dict([*form.fields, button]))
                    _assert_only_less(ctx)
            _, left, _ = _walk(app, stranger, f"/{place}/{link(ctx, purpose, ref)}")
            assert {_endpoint(app, url, form.method.upper()) for url, form in left} <= ACTS | PUTS_BACK, name
            _back_to_the_beginning(ctx)


_OPENED = {Purpose.WHY, Purpose.STOP, Purpose.RECEIPT}
"""What the pages behind a mail lead to: itself, and the receipt of what that mail rests on."""


def _assert_only_less(ctx: Context) -> None:
    """Nothing is granted that was not, and no cap is higher: events only ever take away."""
    less = {Event.WITHDRAWN, Event.PAUSED, Event.LIMITED, Event.DECLINED}
    given = {Event.REQUESTED, Event.CONFIRMED}
    with ctx.db.reading() as conn:
        events = [row.event for row in conn.execute(select(consent_event.c.event).order_by(consent_event.c.id))]
    assert set(events[len(given) :]) <= less


def _back_to_the_beginning(ctx: Context) -> None:
    with ctx.db.transaction() as conn:
        conn.execute(update(consent).values(state="granted", own_n=None, own_window=None, paused_until=None))
