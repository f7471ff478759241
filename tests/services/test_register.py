"""The register of processing: what stands in it is what is held, and its notes keep every version."""

import json

import pytest
from sqlalchemy import select, update

from outreach.domain.actors import Actor, Role
from outreach.domain.errors import ConflictError, InvalidInputError, NotAllowedError
from outreach.domain.policies import Name
from outreach.hosts import Relay
from outreach.services.context import Context, context_of
from outreach.services.officer.register import SECTIONS, note_history, see_register, write_note
from outreach.store.policies import put
from outreach.store.schema.audit import audit_entry
from outreach.store.schema.consents import topic
from tests.factories import World

OFFICER = Actor("staff:" + "0" * 32, frozenset({Role.OFFICER}))
MARKETER = Actor("staff:" + "1" * 32, frozenset({Role.MARKETER}))


def test_before_anything_is_set_up_the_register_is_empty_and_does_not_break(ctx: Context) -> None:
    register = see_register(ctx, OFFICER)
    assert (register.house, register.purposes, register.recipients, register.notes) == (None, (), (), {})
    assert register.holds == frozenset()


def test_purposes_are_the_topics_with_what_their_texts_allow(ctx: Context, world: World) -> None:
    made, _ = world.topic(kinds="informational")
    world.text(made, version=1, locale="sv", kinds="informational,promotional")
    closed, _ = world.topic()
    with ctx.db.transaction() as conn:
        conn.execute(update(topic).where(topic.c.id == closed).values(closed=5, expires_days=30))
    register = see_register(ctx, OFFICER)
    assert register.house is not None
    assert register.house.name == "Northfield Garden Society"
    first, second = register.purposes
    assert (first.sender, first.kinds, first.languages) == (
        "Northfield",
        ("informational", "promotional"),
        ("en", "sv"),
    )
    assert (first.retention_days, first.expires_days, first.closed) == (365, None, None)
    assert (second.expires_days, second.closed) == (30, 5)


def test_retention_and_expiry_are_those_the_policies_leave(ctx: Context, world: World) -> None:
    world.topic()
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        put(conn, now, Name.RETENTION, {"most_days": 90}, reason="shorter", author=OFFICER.name)
        put(conn, now, Name.EXPIRY, {"most_days": 400}, reason="shorter", author=OFFICER.name)
    (one,) = see_register(ctx, OFFICER).purposes
    assert (one.retention_days, one.expires_days) == (90, 400)


def test_mail_after_a_purchase_is_a_basis_only_while_a_policy_allows_it(ctx: Context, world: World) -> None:
    assert see_register(ctx, OFFICER).soft_months is None
    world.policy(Name.SOFT_OPT_IN, {"on": True, "months": 6})
    assert see_register(ctx, OFFICER).soft_months == 6


def test_recipients_are_the_relays_and_who_is_held_is_said(ctx: Context, world: World) -> None:
    relays = {"main": Relay(host="relay.example"), "spare": Relay(host="spare.example", security="tls", verify=False)}
    settings = ctx.settings.model_copy(update={"relays": relays})
    world.member("alice@example.org")
    register = see_register(context_of(settings, ctx.keyring, ctx.db), OFFICER)
    assert [(one.host, one.security, one.verifies, one.senders) for one in register.recipients] == [
        ("relay.example", "starttls", True, ("Northfield",)),
        ("spare.example", "tls", False, ()),
    ]
    assert register.holds == {"contacts", "members"}


def test_a_note_has_versions_that_stay(ctx: Context, world: World) -> None:
    assert write_note(ctx, OFFICER, "transfers", "  None outside the EEA.  ", version=0) == 1
    assert write_note(ctx, OFFICER, "transfers", "Relay in Norway.", version=1) == 2
    assert see_register(ctx, OFFICER).notes["transfers"].words == "Relay in Norway."
    assert [(one.version, one.words) for one in note_history(ctx, OFFICER, "transfers")] == [
        (2, "Relay in Norway."),
        (1, "None outside the EEA."),
    ]
    with pytest.raises(ConflictError):
        write_note(ctx, OFFICER, "transfers", "Relay in Iceland.", version=1)
    with ctx.db.reading() as conn:
        bodies = conn.execute(select(audit_entry.c.body).where(audit_entry.c.kind == "register.noted")).scalars().all()
    assert [(json.loads(body)["section"], json.loads(body)["version"]) for body in bodies] == [
        ("transfers", 1),
        ("transfers", 2),
    ]
    assert not any("Norway" in body for body in bodies)


@pytest.mark.parametrize(
    ("section", "words"),
    [("nowhere", "x"), ("security", "x" * 4001), ("controller", "write to dpo@northfield.example")],
)
def test_a_note_without_a_place_too_long_or_with_an_address_is_refused(
    ctx: Context, world: World, section: str, words: str
) -> None:
    with pytest.raises(InvalidInputError):
        write_note(ctx, OFFICER, section, words, version=0)
    assert see_register(ctx, OFFICER).notes == {}


def test_only_an_officer_reads_and_notes(ctx: Context) -> None:
    section = next(iter(SECTIONS))
    for attempt in (
        lambda: see_register(ctx, MARKETER),
        lambda: note_history(ctx, MARKETER, section),
        lambda: write_note(ctx, MARKETER, section, "x", version=0),
    ):
        with pytest.raises(NotAllowedError):
            attempt()
