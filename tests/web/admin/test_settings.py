"""Settings over HTTP: organisation, senders, staff and the system page, for administrators alone."""

from collections.abc import Callable

import pytest
from flask import Flask
from sqlalchemy import select

from outreach.store.schema.organisation import sender, staff
from tests.factories import World
from tests.services.staffing import hire
from tests.services.test_staff import mailed_tokens
from tests.web.conftest import Browser

SENDER = {
    "name": "Northfield Shop",
    "postal_address": "1 Orchard Lane",
    "from_local": "shop",
    "from_domain": "shop.northfield.example",
    "relay": "main",
}
PAGES = ("/settings", "/settings/senders", "/settings/senders/new", "/settings/staff", "/settings/system")


@pytest.mark.parametrize("path", PAGES)
def test_settings_are_for_administrators(path: str, client: Browser, signed_in: Callable[..., Browser]) -> None:
    assert client.get(path).status_code == 303
    for role in ("marketer", "officer"):
        assert signed_in(role).get(path).status_code == 403
    signed_in("administrator").page(path)


def test_the_organisation_is_edited(signed_in: Callable[..., Browser]) -> None:
    admin = signed_in("administrator")
    typed = {
        "name": "Northfield",
        "postal_address": "2 Orchard Lane",
        "country": "NL",
        "privacy_contact": "privacy@northfield.example",
        "locale": "nl",
        "timezone": "Europe/Amsterdam",
    }
    assert admin.submit("/settings", typed).status_code == 303
    page = admin.page("/settings")
    assert "2 Orchard Lane" in page and "an officer sets them" in page
    answer = admin.submit("/settings", {**typed, "name": "x"})
    assert answer.status_code == 422
    text = answer.get_data(as_text=True)
    assert 'aria-invalid="true"' in text and 'id="name-error"' in text


def test_a_sender_is_added_given_a_key_and_signs(signed_in: Callable[..., Browser]) -> None:
    admin = signed_in("administrator")
    path = admin.submit("/settings/senders/new", SENDER).location or ""
    assert "is not signed" in admin.page(path)
    admin.submit(f"{path}/key")
    page = admin.page(path)
    assert "_domainkey.shop.northfield.example" in page and "v=DKIM1; k=rsa; p=" in page
    admin.submit(f"{path}/key/use")
    assert "sign with this key" not in admin.page(path)
    admin.submit(f"{path}/key", {"kind": "ed25519"})
    assert "v=DKIM1; k=ed25519; p=" in admin.page(path)
    admin.submit(f"{path}/key/use", {"kind": "ed25519"})
    assert admin.page(path).count(">signing<") == 2
    assert admin.submit(path, {**SENDER, "from_domain": "gmail.com"}).status_code == 422
    assert admin.submit(path, {**SENDER, "from_local": "hello"}).status_code == 303
    admin.page(f"/settings/senders/{'0' * 32}", 404)


def test_somebody_is_invited_given_roles_and_disabled(world: World, signed_in: Callable[..., Browser]) -> None:
    hire(world)
    admin = signed_in("administrator")
    typed = {"name": "Bob Baker", "address": "bob@northfield.example", "roles": ["marketer"]}
    assert admin.submit("/settings/staff/invite", typed).location == "/settings/staff"
    assert len(mailed_tokens(world.ctx)) == 1
    page = admin.page("/settings/staff")
    assert "Bob Baker" in page and "bob@northfield.example" not in page
    with world.ctx.db.reading() as conn:
        bob = conn.execute(select(staff).where(staff.c.roles == "marketer")).one()
    path = f"/settings/staff/{bob.ref.hex()}"
    assert admin.submit(path, {"roles": ["marketer", "officer"]}).status_code == 303
    assert admin.submit(path, {"roles": []}).status_code == 422
    assert admin.submit(path, {"roles": ["emperor"]}).status_code == 422
    admin.submit(f"{path}/invite-again")
    assert len(mailed_tokens(world.ctx)) == 2
    admin.submit(f"{path}/disable")
    assert "disabled" in admin.page("/settings/staff")
    admin.submit(f"{path}/enable")
    with world.ctx.db.reading() as conn:
        bob = conn.execute(select(staff).where(staff.c.ref == bob.ref)).one()
    assert (bob.roles, bob.disabled) == ("marketer,officer", None)


def test_disabling_ends_what_they_have_open(world: World, signed_in: Callable[..., Browser]) -> None:
    hire(world)
    admin, bob = signed_in("administrator"), signed_in("marketer")
    with world.ctx.db.reading() as conn:
        ref = conn.execute(select(staff.c.ref).where(staff.c.id == bob.staff_id)).scalar_one()
    admin.submit(f"/settings/staff/{ref.hex()}/disable")
    assert bob.get("/home").status_code == 303


def test_the_system_page_says_what_is_missing_for_real_mail(world: World, signed_in: Callable[..., Browser]) -> None:
    page = signed_in("administrator").page("/settings/system")
    assert "lasting https address" in page
    assert "http_limit" in page


def test_an_answer_never_shows_a_key(app: Flask, world: World, signed_in: Callable[..., Browser]) -> None:
    admin = signed_in("administrator")
    path = admin.submit("/settings/senders/new", SENDER).location or ""
    admin.submit(f"{path}/key")
    assert "PRIVATE" not in admin.page(path)
    with world.ctx.db.reading() as conn:
        assert conn.execute(select(sender.c.name).order_by(sender.c.id)).scalars().all()[-1] == "Northfield Shop"
