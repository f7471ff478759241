"""A campaign's words: frozen once for a version, previewed with a contact's fields, tested on oneself."""

import pytest
from sqlalchemy import select

from outreach.domain.actors import Actor, Role
from outreach.domain.errors import InvalidInputError, NotAllowedError, NotFoundError
from outreach.mail.content import Prepared
from outreach.services import campaign_content, campaigns
from outreach.services.campaign_content import reader_fields
from outreach.services.context import Context
from outreach.store.contacts import Person
from outreach.store.schema.campaigns import campaign, content, message
from outreach.store.schema.organisation import staff
from tests.factories import World

WORDS = campaigns.Words(
    name="Roses", subject="Pruning, {{ first_name }}", preheader="Before frost", body="Dear {{ first_name }} {{ town }}"
)


@pytest.fixture
def alice(world: World) -> Actor:
    return Actor("staff:a11ce0", frozenset({Role.MARKETER}), world.staff("marketer"))


@pytest.fixture
def greta(world: World) -> Person:
    return world.person("greta@example.org", name="Greta Green", note="see greta@example.org")


@pytest.fixture
def ref(ctx: Context, world: World, alice: Actor, greta: Person) -> bytes:
    """A draft with words, about a topic Greta agreed to."""
    topic_id, text_id = world.topic()
    world.grant(greta, topic_id, text_id)
    made = world.campaign(topic_id, state="draft", due=None)
    with ctx.db.reading() as conn:
        found = bytes(conn.execute(select(campaign.c.ref).where(campaign.c.id == made)).scalar_one())
    campaigns.edit_words(ctx, alice, found, WORDS)
    return found


def test_a_preview_is_filled_with_the_contacts_own_fields(
    ctx: Context, alice: Actor, greta: Person, ref: bytes
) -> None:
    shown = campaign_content.preview(ctx, alice, ref, greta.code.lower())
    assert shown.subject == "Pruning, Greta"
    assert "Dear Greta" in shown.html
    assert "Dear Greta" in shown.text
    assert shown.unknown == ("town",)
    assert shown.octets == len(shown.html.encode()) + len(shown.text.encode())


def test_a_preview_has_the_footer_everybody_gets(ctx: Context, alice: Actor, greta: Person, ref: bytes) -> None:
    shown = campaign_content.preview(ctx, alice, ref, greta.code)
    assert "1 Orchard Lane, Northfield" in shown.html
    assert "1 Orchard Lane, Northfield" in shown.text
    assert "greta@example.org" not in shown.html + shown.text


def test_no_field_carries_an_address() -> None:
    facts = {"name": "Greta Green", "note": "see greta@example.org", "born": 1980}
    assert reader_fields(facts) == {"name": "Greta Green", "first_name": "Greta"}
    assert reader_fields({"name": " "}) == {"name": " "}


def test_a_preview_after_scheduling_shows_what_was_frozen(
    ctx: Context, alice: Actor, greta: Person, ref: bytes
) -> None:
    campaigns.schedule_campaign(ctx, alice, ref, campaigns.Timing())
    with ctx.db.reading() as conn:
        kept = conn.execute(select(content.c.prepared)).scalar_one()
    assert Prepared.from_json(kept).fields == {"first_name", "town"}
    assert campaign_content.preview(ctx, alice, ref, greta.code).subject == "Pruning, Greta"


def test_an_unknown_reference_or_an_empty_draft_shows_nothing(
    ctx: Context, world: World, alice: Actor, greta: Person, ref: bytes
) -> None:
    with pytest.raises(NotFoundError):
        campaign_content.preview(ctx, alice, ref, "AAAAAAAAAA")
    campaigns.edit_words(ctx, alice, ref, campaigns.Words(name="Roses", subject="", preheader="", body=""))
    with pytest.raises(InvalidInputError):
        campaign_content.preview(ctx, alice, ref, greta.code)


def test_the_next_contact_is_one_who_agreed(
    ctx: Context, world: World, alice: Actor, ref: bytes, greta: Person
) -> None:
    other = world.person()
    with ctx.db.reading() as conn:
        topic_id = conn.execute(select(campaign.c.topic)).scalar_one()
    world.grant(other, topic_id, 1, state="withdrawn")
    assert {campaign_content.next_contact(ctx, alice, ref) for _ in range(8)} == {greta.code}


def test_nobody_agreed_nobody_to_preview_as(ctx: Context, world: World, alice: Actor) -> None:
    topic_id, _text = world.topic()
    made = world.campaign(topic_id, state="draft")
    with ctx.db.reading() as conn:
        ref = bytes(conn.execute(select(campaign.c.ref).where(campaign.c.id == made)).scalar_one())
    assert campaign_content.next_contact(ctx, alice, ref) is None


def test_fields_met_among_the_people_are_named_and_others_warned_of(ctx: Context, alice: Actor, ref: bytes) -> None:
    report = campaign_content.report_words(ctx, alice, ref)
    assert report.fields == ("first_name", "name")
    assert report.unknown == ("town",)
    assert 0 < report.octets < 100_000


def test_a_test_mail_goes_to_whoever_asks_with_a_version_of_its_own(ctx: Context, alice: Actor, ref: bytes) -> None:
    sent = campaign_content.send_test(ctx, alice, ref)
    with ctx.db.reading() as conn:
        row = conn.execute(select(message).where(message.c.ref == sent)).one()
        own = conn.execute(select(staff.c.contact).where(staff.c.id == alice.staff_id)).scalar_one()
        frozen = conn.execute(select(content.c.subject).where(content.c.id == row.content)).scalar_one()
    assert (row.origin, row.kind, row.contact, row.campaign) == ("test", "service", own, None)
    assert frozen == WORDS.subject


def test_only_marketers_preview_and_test(ctx: Context, alice: Actor, greta: Person, ref: bytes) -> None:
    officer = Actor("staff:0ff1ce", frozenset({Role.OFFICER}), alice.staff_id)
    with pytest.raises(NotAllowedError):
        campaign_content.preview(ctx, officer, ref, greta.code)
    with pytest.raises(NotAllowedError):
        campaign_content.send_test(ctx, officer, ref)
    with pytest.raises(NotAllowedError):
        campaign_content.next_contact(ctx, officer, ref)
