"""Topics over HTTP: everybody reads, an officer creates, previews, publishes and closes."""

from collections.abc import Callable

from sqlalchemy import func, select

from outreach.store.schema.consents import consent_text, topic
from outreach.store.schema.organisation import sender
from tests.factories import World
from tests.web.conftest import Browser

TEXT = {
    "locale": "en",
    "title": "Garden tips",
    "gets": "what to sow and prune",
    "cap_n": "2",
    "window": "7",
    "days": "",
    "kinds": ["informational", "promotional"],
    "ratio_k": "6",
    "wording": "I would like Northfield to send me garden tips, at most twice a week.",
}


def create(world: World, officer: Browser, **changed: str) -> str:
    """The path a new topic's creation leads to."""
    with world.ctx.db.reading() as conn:
        ref = conn.execute(select(sender.c.ref)).scalar_one()
    typed = {
        "name": "Garden tips",
        "slug": "garden-tips",
        "sender": ref.hex(),
        "purpose": "what to sow and prune",
        "retention_days": "365",
        "expires_days": "",
        "not_for_children": "y",
    }
    return officer.submit("/topics/new", {**typed, **changed}).location or ""


def texts(world: World) -> int:
    with world.ctx.db.reading() as conn:
        return int(conn.execute(select(func.count()).select_from(consent_text)).scalar_one())


def test_the_empty_list_says_what_to_do_next(world: World, signed_in: Callable[..., Browser]) -> None:
    assert "Create a topic" in signed_in("officer").page("/topics")
    marketer = signed_in("marketer").page("/topics")
    assert "Create a topic" not in marketer and "A compliance officer creates it" in marketer


def test_a_text_is_previewed_as_a_recipient_sees_it_then_published(
    world: World, signed_in: Callable[..., Browser]
) -> None:
    officer = signed_in("officer")
    path = create(world, officer)
    assert path.endswith("/text")
    preview = officer.submit(path, TEXT).get_data(as_text=True)
    assert "up to 2 mails a week" in preview and "1 offer for every 6 useful mails" in preview
    assert str(TEXT["wording"]) in preview
    assert texts(world) == 0
    assert officer.submit(path, {**TEXT, "change": "1"}).status_code == 200
    assert texts(world) == 0
    published = officer.submit(path, {**TEXT, "publish": "1"})
    assert published.status_code == 303
    page = officer.page(published.location or "")
    assert "version 1" in page and "/sign-up/garden-tips" in page
    assert texts(world) == 1


def test_the_preview_speaks_the_texts_language(world: World, signed_in: Callable[..., Browser]) -> None:
    officer = signed_in("officer")
    preview = officer.submit(create(world, officer), {**TEXT, "locale": "sv"}).get_data(as_text=True)
    assert 'lang="sv"' in preview
    assert "What a person reads" not in preview


def test_another_window_is_given_in_days(world: World, signed_in: Callable[..., Browser]) -> None:
    officer = signed_in("officer")
    path = create(world, officer)
    assert officer.submit(path, {**TEXT, "window": "0"}).status_code == 422
    officer.submit(path, {**TEXT, "window": "0", "days": "10", "publish": "1"})
    with world.ctx.db.reading() as conn:
        assert conn.execute(select(consent_text.c.cap_window)).scalar_one() == 10 * 86400
    assert 'value="10"' in officer.page(f"{path}?locale=en")


def test_a_topic_needs_the_statement_about_children(world: World, signed_in: Callable[..., Browser]) -> None:
    officer = signed_in("officer")
    assert create(world, officer, not_for_children="") == ""
    with world.ctx.db.reading() as conn:
        assert conn.execute(select(func.count()).select_from(topic)).scalar_one() == 0


def test_other_roles_read_and_cannot_write(world: World, signed_in: Callable[..., Browser]) -> None:
    path = create(world, signed_in("officer")).removesuffix("/text")
    for role in ("marketer", "administrator"):
        browser = signed_in(role)
        assert "Garden tips" in browser.page(path)
        assert browser.submit(f"{path}/text", {**TEXT, "publish": "1"}).status_code == 403
        assert browser.submit(f"{path}/close", {"reason": "why not"}).status_code == 403
        assert browser.get("/topics/new").status_code == 403
    assert texts(world) == 0


def test_closing_asks_why(world: World, signed_in: Callable[..., Browser]) -> None:
    officer = signed_in("officer")
    path = create(world, officer).removesuffix("/text")
    assert officer.submit(f"{path}/close", {"reason": ""}).status_code == 422
    assert officer.submit(f"{path}/close", {"reason": "nobody writes it"}).status_code == 303
    assert officer.submit(f"{path}/text", {**TEXT, "publish": "1"}).status_code == 409
    assert "closed" in officer.page("/topics")


def test_what_an_officer_types_is_shown_as_text(world: World, signed_in: Callable[..., Browser]) -> None:
    officer = signed_in("officer")
    nasty = "<script>alert(1)</script> I would like mail"
    preview = officer.submit(create(world, officer), {**TEXT, "wording": nasty}).get_data(as_text=True)
    assert "<script>alert" not in preview
    assert "&lt;script&gt;" in preview
