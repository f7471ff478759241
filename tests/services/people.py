"""Short cuts of the consent tests: sign up, open the mail, press."""

import secrets
from pathlib import Path
from typing import Any

from sqlalchemy import func, insert, select, update

from outreach.domain.tokens import Purpose
from outreach.services.context import Context
from outreach.services.sign_up import SignUp, process_requests, submit_sign_up
from outreach.store.schema.campaigns import message
from outreach.store.schema.consents import confirmation, consent, topic
from outreach.store.schema.people import contact
from tests.factories import World

ALICE = "alice@example.org"


def form(address: str = ALICE, *topics: str, **more: Any) -> SignUp:
    """A sign-up form as a patient person fills it."""
    values: dict[str, Any] = {
        "address": address,
        "topics": topics or ("topic-1",),
        "locale": "en",
        "form_url": "https://news.example/sign-up/topic-1",
        "network": "192.0.2.0/24",
        "ip": "192.0.2.7",
        "browser": "Firefox",
        "seconds": 30.0,
        **more,
    }
    return SignUp(**values)


def count(ctx: Context, table: Any, *conditions: Any) -> int:
    with ctx.db.reading() as conn:
        return int(conn.execute(select(func.count()).select_from(table).where(*conditions)).scalar_one())


def move_clock(ctx: Context, seconds: int) -> None:
    """Set the rehearsal clock `seconds` ahead."""
    path = ctx.settings.clock_file
    assert isinstance(path, Path)
    path.write_text(str(seconds))


def hand_off_everything(ctx: Context, ago: int = 60) -> None:
    """Every planned mail was accepted `ago` seconds ago."""
    with ctx.db.transaction() as conn:
        at = ctx.db.now(conn) - ago * 1_000_000
        conn.execute(update(message).where(message.c.state == "planned").values(state="sent", counted=at, settled=at))


def asked(ctx: Context, address: str = ALICE, *topics: str, ago: int = 60, **more: Any) -> str:
    """Sign up and return the token of the confirmation mail that went out `ago` seconds ago."""
    submit_sign_up(ctx, form(address, *topics, **more))
    process_requests(ctx)
    hand_off_everything(ctx, ago)
    with ctx.db.reading() as conn:
        ref = conn.execute(select(confirmation.c.ref).order_by(confirmation.c.id.desc()).limit(1)).scalar_one()
        return ctx.tokens.issue(Purpose.CONFIRM, ref, ctx.db.now(conn))


def state_of(ctx: Context, slug: str = "topic-1") -> str | None:
    """The only person's state for a topic."""
    query = select(consent.c.state).join(topic, topic.c.id == consent.c.topic).where(topic.c.slug == slug)
    with ctx.db.reading() as conn:
        return conn.execute(query).scalar_one_or_none()


def topic_ref(ctx: Context, slug: str = "topic-1") -> bytes:
    with ctx.db.reading() as conn:
        return bytes(conn.execute(select(topic.c.ref).where(topic.c.slug == slug)).scalar_one())


def letter(
    ctx: Context, world: World, person_id: int, topic_id: int | None, *, origin: str = "campaign", **more: Any
) -> bytes:
    """A mail to a person that was sent now; returns its ref."""
    ref = secrets.token_bytes(16)
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        mailbox = conn.execute(select(contact.c.mailbox).where(contact.c.id == person_id)).scalar_one()
        values = {
            "ref": ref,
            "origin": origin,
            "kind": "informational",
            "lane": "5-campaign-1-other",
            "contact": person_id,
            "mailbox": mailbox,
            "topic": topic_id,
            "state": "sent",
            "planned": now,
            "due": now,
            "counted": now,
            "settled": now,
            **more,
        }
        conn.execute(insert(message).values(values))
    return ref


def link(ctx: Context, purpose: Purpose, ref: bytes) -> str:
    with ctx.db.reading() as conn:
        return ctx.tokens.issue(purpose, ref, ctx.db.now(conn))
