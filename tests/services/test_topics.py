"""Topics and consent texts: published by an officer, in versions, and never changed."""

import dataclasses

import pytest
from sqlalchemy import select

from outreach.domain.actors import Role
from outreach.domain.errors import ConflictError, InvalidInputError, NotAllowedError, NotFoundError
from outreach.services import topics
from outreach.services.context import Context
from outreach.store.schema.consents import consent_text
from outreach.store.schema.organisation import sender
from tests.factories import World
from tests.services.staffing import actor, kinds

OFFICER = actor(Role.OFFICER)
MARKETER = actor(Role.MARKETER)
TEXT = topics.NewText(
    locale="en",
    title="Garden tips",
    gets="what to sow and prune",
    wording="I would like Northfield to send me garden tips by e-mail, at most twice a week.",
    kinds=("informational", "promotional"),
    cap_n=2,
    cap_window=7 * topics.DAY,
    ratio_k=6,
)


def new_topic(ctx: Context, world: World, **changed: object) -> topics.NewTopic:
    with ctx.db.reading() as conn:
        owner = conn.execute(select(sender.c.ref).where(sender.c.id == world.sender)).scalar_one()
    values: dict[str, object] = {
        "slug": "garden-tips",
        "sender": owner,
        "name": "Garden tips",
        "purpose": "what to sow and prune",
        "retention_days": 1095,
        "expires_days": None,
        "not_for_children": True,
    }
    return topics.NewTopic(**{**values, **changed})  # type: ignore[arg-type]  # names are checked by the class


def test_a_topic_and_its_first_text(ctx: Context, world: World) -> None:
    ref = topics.create_topic(ctx, OFFICER, new_topic(ctx, world))
    assert topics.publish_text(ctx, OFFICER, ref, TEXT) == 1
    page = topics.see_topic(ctx, MARKETER, ref)
    assert page.topic.texts == {"en": 1}
    assert page.texts[0].wording == TEXT.wording
    assert page.texts[0].sender_name == "Northfield"
    assert kinds(ctx) == ["topic.created", "topic.text-published"]


def test_only_an_officer_creates_publishes_and_closes(ctx: Context, world: World) -> None:
    ref = topics.create_topic(ctx, OFFICER, new_topic(ctx, world))
    for other in (MARKETER, actor(Role.ADMINISTRATOR)):
        with pytest.raises(NotAllowedError):
            topics.create_topic(ctx, other, new_topic(ctx, world, slug="other"))
        with pytest.raises(NotAllowedError):
            topics.publish_text(ctx, other, ref, TEXT)
        with pytest.raises(NotAllowedError):
            topics.close_topic(ctx, other, ref, "why not")


def test_a_topic_aimed_at_children_is_refused(ctx: Context, world: World) -> None:
    with pytest.raises(InvalidInputError) as caught:
        topics.create_topic(ctx, OFFICER, new_topic(ctx, world, not_for_children=False))
    assert caught.value.field == "not_for_children"
    assert topics.list_topics(ctx, OFFICER) == []


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("slug", "Garden Tips"),
        ("slug", "-x"),
        ("name", ""),
        ("purpose", "x"),
        ("retention_days", 0),
        ("expires_days", 0),
    ],
)
def test_a_topics_facts_are_checked(ctx: Context, world: World, field: str, value: object) -> None:
    with pytest.raises(InvalidInputError) as caught:
        topics.create_topic(ctx, OFFICER, new_topic(ctx, world, **{field: value}))
    assert caught.value.field == field


def test_two_topics_never_share_an_address(ctx: Context, world: World) -> None:
    topics.create_topic(ctx, OFFICER, new_topic(ctx, world))
    with pytest.raises(InvalidInputError) as caught:
        topics.create_topic(ctx, OFFICER, new_topic(ctx, world))
    assert caught.value.field == "slug"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("locale", "tlh"),
        ("title", ""),
        ("gets", " "),
        ("wording", "too short"),
        ("kinds", ()),
        ("kinds", ("gossip",)),
        ("cap_n", 0),
        ("cap_window", 3600),
        ("cap_window", 400 * topics.DAY),
        ("ratio_k", -1),
    ],
)
def test_a_text_that_does_not_hold_together_is_not_published(
    ctx: Context, world: World, field: str, value: object
) -> None:
    ref = topics.create_topic(ctx, OFFICER, new_topic(ctx, world))
    bad = dataclasses.replace(TEXT, **{field: value})  # type: ignore[arg-type]  # wrong on purpose
    for act in (topics.publish_text, topics.preview_text):
        with pytest.raises(InvalidInputError) as caught:
            act(ctx, OFFICER, ref, bad)
        assert caught.value.field == field


def test_a_ratio_needs_promotional_mail(ctx: Context, world: World) -> None:
    ref = topics.create_topic(ctx, OFFICER, new_topic(ctx, world))
    with pytest.raises(InvalidInputError) as caught:
        topics.publish_text(ctx, OFFICER, ref, dataclasses.replace(TEXT, kinds=("informational",)))
    assert caught.value.field == "ratio_k"


def test_the_next_version_leaves_the_first_and_those_who_agreed_to_it(ctx: Context, world: World) -> None:
    ref = topics.create_topic(ctx, OFFICER, new_topic(ctx, world))
    topics.publish_text(ctx, OFFICER, ref, TEXT)
    with ctx.db.reading() as conn:
        first = conn.execute(select(consent_text)).one()
    world.grant(world.person(), first.topic, first.id)
    world.grant(world.person(), first.topic, first.id, state="withdrawn")
    topics.publish_text(ctx, OFFICER, ref, dataclasses.replace(TEXT, cap_n=1))
    topics.publish_text(ctx, OFFICER, ref, dataclasses.replace(TEXT, locale="sv"))
    page = topics.see_topic(ctx, OFFICER, ref)
    assert [(text.locale, text.version, text.agreed, text.is_current) for text in page.texts] == [
        ("en", 2, 0, True),
        ("en", 1, 1, False),
        ("sv", 1, 0, True),
    ]
    assert page.topic.agreed == 1
    with ctx.db.reading() as conn:
        assert conn.execute(select(consent_text).where(consent_text.c.id == first.id)).one() == first


def test_a_preview_writes_nothing_and_shows_the_version_to_come(ctx: Context, world: World) -> None:
    ref = topics.create_topic(ctx, OFFICER, new_topic(ctx, world))
    topics.publish_text(ctx, OFFICER, ref, TEXT)
    promise = topics.preview_text(ctx, OFFICER, ref, TEXT)
    assert (promise.version, promise.title, promise.sells) == (2, TEXT.title, True)
    assert len(topics.see_topic(ctx, OFFICER, ref).texts) == 1


def test_a_closed_topic_takes_no_text_and_says_why_in_the_log(ctx: Context, world: World) -> None:
    ref = topics.create_topic(ctx, OFFICER, new_topic(ctx, world))
    with pytest.raises(InvalidInputError):
        topics.close_topic(ctx, OFFICER, ref, " ")
    topics.close_topic(ctx, OFFICER, ref, "nobody writes it any more")
    with pytest.raises(ConflictError):
        topics.publish_text(ctx, OFFICER, ref, TEXT)
    assert topics.see_topic(ctx, OFFICER, ref).topic.closed is not None
    assert kinds(ctx)[-1] == "topic.closed"
    with pytest.raises(NotFoundError):
        topics.see_topic(ctx, OFFICER, b"x" * 16)
