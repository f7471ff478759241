"""Senders and their signing keys."""

import dataclasses
import stat

import pytest
from sqlalchemy import select

from outreach.domain.actors import Role
from outreach.domain.errors import ConflictError, InvalidInputError, NotAllowedError
from outreach.mail import dkim
from outreach.services import senders
from outreach.services.context import Context
from outreach.store.schema.organisation import sender
from tests.factories import World
from tests.services.staffing import actor, kinds

ADMIN = actor(Role.ADMINISTRATOR)
FACTS = senders.SenderFacts(
    name="Northfield Shop", postal_address="1 Orchard Lane", from_local="shop", from_domain="shop.northfield.example"
)


def test_a_sender_is_added_and_edited_by_administrators_only(ctx: Context) -> None:
    ref = senders.add_sender(ctx, ADMIN, FACTS)
    senders.edit_sender(ctx, ADMIN, ref, dataclasses.replace(FACTS, name="Northfield Nursery"))
    held, keys = senders.see_sender(ctx, ADMIN, ref)
    assert (held.name, held.from_address, keys) == ("Northfield Nursery", "shop@shop.northfield.example", [])
    for other in (actor(Role.OFFICER), actor(Role.MARKETER)):
        assert [one.name for one in senders.list_senders(ctx, other)] == ["Northfield Nursery"]
        with pytest.raises(NotAllowedError):
            senders.add_sender(ctx, other, FACTS)
    assert kinds(ctx) == ["sender.added", "sender.edited"]


@pytest.mark.parametrize(
    ("field", "value"),
    [("name", "N"), ("name", "A\nBcc: x"), ("postal_address", ""), ("from_domain", "gmail.com"), ("from_domain", "x")],
)
def test_a_senders_facts_are_checked(ctx: Context, field: str, value: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        senders.add_sender(ctx, ADMIN, dataclasses.replace(FACTS, **{field: value}))
    assert caught.value.field == field


def test_a_domain_outside_ascii_is_kept_as_a_labels(ctx: Context) -> None:
    ref = senders.add_sender(ctx, ADMIN, dataclasses.replace(FACTS, from_domain="Trädgård.example"))
    assert senders.see_sender(ctx, ADMIN, ref)[0].from_domain == "trädgård.example".encode("idna").decode()


def test_two_senders_never_share_a_name(ctx: Context) -> None:
    senders.add_sender(ctx, ADMIN, FACTS)
    with pytest.raises(InvalidInputError) as caught:
        senders.add_sender(ctx, ADMIN, FACTS)
    assert caught.value.field == "name"


def test_a_name_in_a_published_text_stays(ctx: Context, world: World) -> None:
    world.topic()
    with ctx.db.reading() as conn:
        ref = conn.execute(select(sender.c.ref)).scalar_one()
    facts = dataclasses.replace(FACTS, name="Northfield")
    senders.edit_sender(ctx, ADMIN, ref, facts)
    with pytest.raises(InvalidInputError):
        senders.edit_sender(ctx, ADMIN, ref, dataclasses.replace(facts, name="Southfield"))


def test_a_key_is_published_before_it_signs(ctx: Context) -> None:
    ref = senders.add_sender(ctx, ADMIN, FACTS)
    with pytest.raises(ConflictError):
        senders.use_signing_key(ctx, ADMIN, ref)
    senders.make_signing_key(ctx, ADMIN, ref)
    held, (waiting,) = senders.see_sender(ctx, ADMIN, ref)
    assert (held.dkim_selector, waiting.is_in_use) == ("", False)
    senders.use_signing_key(ctx, ADMIN, ref)
    held, (used,) = senders.see_sender(ctx, ADMIN, ref)
    path = ctx.settings.instance / "dkim" / f"{ref.hex()}.pem"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert used.host == f"{held.dkim_selector}._domainkey.shop.northfield.example"
    assert used.record == waiting.record == dkim.dns_record(dkim.load_key(path.read_bytes()))
    assert used.is_in_use
    assert kinds(ctx)[1:] == ["sender.key-made", "sender.signing-started"]


def test_a_second_key_waits_beside_the_one_in_use(ctx: Context) -> None:
    ref = senders.add_sender(ctx, ADMIN, FACTS)
    senders.make_signing_key(ctx, ADMIN, ref)
    senders.use_signing_key(ctx, ADMIN, ref)
    senders.make_signing_key(ctx, ADMIN, ref)
    senders.make_signing_key(ctx, ADMIN, ref)
    held, (used, waiting) = senders.see_sender(ctx, ADMIN, ref)
    assert used.host != waiting.host
    assert used.host.startswith(held.dkim_selector)


def test_an_ed25519_key_signs_beside_the_rsa_key_and_never_alone(ctx: Context) -> None:
    ref = senders.add_sender(ctx, ADMIN, FACTS)
    with pytest.raises(ConflictError):
        senders.make_signing_key(ctx, ADMIN, ref, senders.ED25519)
    senders.make_signing_key(ctx, ADMIN, ref)
    senders.use_signing_key(ctx, ADMIN, ref)
    with pytest.raises(ConflictError):
        senders.use_signing_key(ctx, ADMIN, ref, senders.ED25519)
    senders.make_signing_key(ctx, ADMIN, ref, senders.ED25519)
    _, (rsa, waiting) = senders.see_sender(ctx, ADMIN, ref)
    assert (rsa.kind, waiting.kind, waiting.is_in_use) == ("rsa", "ed25519", False)
    assert "k=ed25519" in waiting.record
    senders.use_signing_key(ctx, ADMIN, ref, senders.ED25519)
    held, (same, used) = senders.see_sender(ctx, ADMIN, ref)
    assert (same, used.host, used.record, used.is_in_use) == (rsa, waiting.host, waiting.record, True)
    files = senders.key_files(ctx.settings.instance / "dkim", ref, held.dkim_selector)
    assert [selector for selector, _ in files] == [key.host.partition(".")[0] for key in (rsa, used)]
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for _, path in files)


def test_each_kind_of_key_is_replaced_by_its_own_kind_alone(ctx: Context) -> None:
    ref = senders.add_sender(ctx, ADMIN, FACTS)
    for kind in (senders.RSA, senders.ED25519):
        senders.make_signing_key(ctx, ADMIN, ref, kind)
        senders.use_signing_key(ctx, ADMIN, ref, kind)
    _, (rsa, ed25519) = senders.see_sender(ctx, ADMIN, ref)
    senders.make_signing_key(ctx, ADMIN, ref, senders.ED25519)
    senders.make_signing_key(ctx, ADMIN, ref)
    senders.use_signing_key(ctx, ADMIN, ref, senders.ED25519)
    _, keys = senders.see_sender(ctx, ADMIN, ref)
    assert [(key.kind, key.is_in_use) for key in keys] == [("rsa", True), ("ed25519", True), ("rsa", False)]
    assert keys[0] == rsa
    assert keys[1].host != ed25519.host
    senders.use_signing_key(ctx, ADMIN, ref)
    _, (new, kept) = senders.see_sender(ctx, ADMIN, ref)
    assert kept == keys[1]
    assert new.host == keys[2].host


def test_a_key_of_another_kind_is_refused(ctx: Context) -> None:
    ref = senders.add_sender(ctx, ADMIN, FACTS)
    with pytest.raises(InvalidInputError):
        senders.make_signing_key(ctx, ADMIN, ref, "dsa")
