"""The demo mailbox's way back: what its buttons send is a real mail, arrives at the door, and is acted on."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import insert, select

from outreach.engines.listener import Listener
from outreach.mail import maildir
from outreach.mail.content import prepare
from outreach.pipeline.letters import write_letters
from outreach.services.context import Context
from outreach.services.intake.process import process_mails
from outreach.store.schema.campaigns import content, message
from tests.factories import World
from tests.guards.living import free_port
from tests.mail.test_mailbox_pages import browser, put
from tests.services.intake.sending import NoNames, Sent
from tests.web.conftest import Browser


@contextmanager
def at_work(world: World) -> Iterator[tuple[Context, Browser]]:
    """The installation with its door open, and somebody at its demo mailbox."""
    settings = world.ctx.settings.model_copy(update={"inbound_port": free_port()})
    ctx = replace(world.ctx, settings=settings)
    listener = Listener(ctx)
    listener.start()
    try:
        yield ctx, browser(ctx)
    finally:
        listener.stop()


@pytest.fixture
def folder(ctx: Context) -> Path:
    assert ctx.settings.demo_mailbox is not None
    return ctx.settings.demo_mailbox


def test_each_button_does_what_its_reader_or_their_provider_would(world: World, folder: Path) -> None:
    sent = Sent(world)
    found = {}
    for act in ("reply", "spam", "bounce"):
        person = sent.reader(address=f"{act}@example.org")
        sent.unlimited()
        ref = sent.message(person, content=frozen(world, sent))
        key = kept(world.ctx, folder, ref)
        with at_work(world) as (ctx, visitor):
            page = visitor.page(f"/mailbox/{key}")
            assert "Try the way back" in page
            answer = visitor.submit(f"/mailbox/{key}/{act}", {"words": "Which roses do you mean?"})
            assert answer.location == f"/mailbox/{key}"
            assert "within a second or two" in visitor.page(answer.location)
            process_mails(ctx, NoNames())
        found[act] = (sent.reports()[-1], sent.states(person))
    assert found == {
        "reply": (("reply", "conversation"), ["granted"]),
        "spam": (("complaint", "withdrew"), ["withdrawn"]),
        "bounce": (("hard-bounce", "barred"), ["granted"]),
    }


def test_a_reply_without_words_and_a_closed_door_are_told_of(world: World, folder: Path) -> None:
    sent = Sent(world)
    ref = sent.message(sent.reader(), content=frozen(world, sent))
    key = kept(world.ctx, folder, ref)
    with at_work(world) as (_ctx, visitor):
        assert "Nothing was sent" in visitor.submit(f"/mailbox/{key}/reply", {"words": " "}).text
    answer = visitor.submit(f"/mailbox/{key}/bounce")
    assert (answer.status_code, sent.reports()) == (422, [])
    assert "open while the engine runs" in answer.text


def test_a_letter_that_names_no_way_back_shows_none(ctx: Context, world: World, folder: Path) -> None:
    key = put(folder)
    visitor = browser(ctx)
    assert "Try the way back" not in visitor.page(f"/mailbox/{key}")
    assert visitor.submit(f"/mailbox/{key}/spam").status_code == 422


def frozen(world: World, sent: Sent) -> int:
    """Content of the campaign, as it is written from."""
    prepared = prepare("Open day", "", "Dear reader").to_json()
    values = {"ref": secrets.token_bytes(16), "campaign": sent.campaign, "version": 1, "subject": "Open day"}
    values |= {"preheader": "", "body": "Dear reader", "prepared": prepared, "sha256": bytes(32), "frozen": world.now}
    with world.ctx.db.transaction() as conn:
        return int(conn.execute(insert(content).values(values).returning(content.c.id)).scalar_one())


def kept(ctx: Context, folder: Path, ref: bytes) -> str:
    """The message as it arrives in the demo mailbox. Returns its key there."""
    with ctx.db.reading() as conn:
        identity = conn.execute(select(message.c.id).where(message.c.ref == ref)).scalar_one()
    (parcels,) = write_letters(ctx, [identity], 0.0).parcels.values()
    maildir.prepare(folder)
    return maildir.keep(folder, parcels[0].mail_from, [parcels[0].rcpt_to], parcels[0].data)
