"""The public page of how promises are kept: in three languages, without small numbers, added up once, light."""

import pytest
from sqlalchemy import select

from outreach.services.context import Context
from outreach.services.officer.figures import count_log
from outreach.services.officer.public_figures import public_figures
from outreach.services.seal import seal
from outreach.store.audit import Entry, record
from outreach.store.schema.consents import topic
from tests.factories import DAY, World
from tests.web.conftest import Browser


@pytest.fixture
def told(ctx: Context, world: World) -> str:
    """Yesterday seven mails were sent and three withheld; the root they are sealed under."""
    made, _ = world.topic()
    with ctx.db.transaction() as conn:
        ref = conn.execute(select(topic.c.ref).where(topic.c.id == made)).scalar_one()
        sent = Entry(kind="message.sent", actor="engine", topic=ref, body={"state": "sent", "reason": None})
        body = {"state": "withheld", "reason": "cap_promise"}
        held = Entry(kind="message.withheld", actor="engine", topic=ref, body=body)
        record(conn, ctx.db.now(conn) - DAY, *[sent] * 7, *[held] * 3)
    sealed = seal(ctx, 1)
    assert sealed is not None
    count_log(ctx)
    return sealed.root.hex()


def test_before_anything_was_sent_the_page_says_so(client: Browser, world: World) -> None:
    assert "There is nothing to show yet" in client.page("/transparency")


def test_anybody_reads_figures_and_the_checkpoint_they_stand_under(client: Browser, told: str) -> None:
    page = client.page("/transparency")
    assert "Garden tips" in page and "Kept for everybody." in page
    assert "<dd>7</dd>" in page
    assert "<dd>3</dd>" not in page and "fewer than 5" in page
    assert told in page
    assert "<script" not in page and "@" not in page


@pytest.mark.parametrize("locale", ["en", "sv", "nl"])
def test_it_speaks_each_language_and_is_light(client: Browser, told: str, locale: str) -> None:
    page = client.page(f"/transparency?lang={locale}")
    assert f'<html lang="{locale}"' in page
    assert len(page.encode()) < 20_000


def test_it_is_added_up_once_until_more_is_sealed(
    ctx: Context, client: Browser, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def count(ctx: Context, locale: str) -> object:
        asked.append(locale)
        return public_figures(ctx, locale)

    monkeypatch.setattr("outreach.web.transparency.views.public_figures", count)
    for _ in range(3):
        client.page("/transparency")
    client.page("/transparency?lang=sv")
    assert asked == ["en", "sv"]
    with ctx.db.transaction() as conn:
        record(conn, ctx.db.now(conn), Entry(kind="topic.created", actor="engine"))
    seal(ctx, 1)
    count_log(ctx)
    client.page("/transparency")
    assert asked == ["en", "sv", "en"]
