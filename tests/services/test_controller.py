"""The organisation's facts, and what must be in place before mail goes to real people."""

import dataclasses
from pathlib import Path

import pytest
from sqlalchemy import update

from outreach.config import Settings
from outreach.domain.actors import Role
from outreach.domain.errors import InvalidInputError, NotAllowedError
from outreach.hosts import Relay
from outreach.services import controller as service
from outreach.services.context import Context
from outreach.store.schema.organisation import controller, sender
from tests.factories import World
from tests.services.staffing import actor, kinds

ADMIN = actor(Role.ADMINISTRATOR)


def with_relay(ctx: Context, **changed: object) -> Context:
    """The same store under settings with a real relay."""
    values: dict[str, object] = {
        "instance": ctx.settings.instance,
        "database_url": ctx.settings.database_url,
        "public_url": "https://mail.northfield.example",
        "relays": {"main": Relay(host="relay.example", username="u", password="very secret")},
    }
    return dataclasses.replace(ctx, settings=Settings(**{**values, **changed}))  # type: ignore[arg-type]  # by name


def problems(ctx: Context) -> list[str]:
    with ctx.db.reading() as conn:
        return service.ready_for_real_mail(ctx, conn)


def test_an_edit_names_in_the_log_what_changed_and_not_to_what(ctx: Context, world: World) -> None:
    held = service.see_controller(ctx, ADMIN)
    assert held is not None
    service.edit_controller(ctx, ADMIN, dataclasses.replace(held, privacy_contact="privacy@northfield.example"))
    service.edit_controller(ctx, ADMIN, dataclasses.replace(held, privacy_contact="privacy@northfield.example"))
    assert kinds(ctx) == ["controller.edited"]
    with pytest.raises(NotAllowedError):
        service.edit_controller(ctx, actor(Role.OFFICER), held)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""),
        ("postal_address", "x"),
        ("country", "Sweden"),
        ("privacy_contact", "http://insecure.example"),
        ("locale", "tlh"),
        ("timezone", "Mars/Olympus"),
        ("quiet_from", 1440),
    ],
)
def test_the_organisations_facts_are_checked(ctx: Context, world: World, field: str, value: object) -> None:
    held = service.see_controller(ctx, ADMIN)
    assert held is not None
    with pytest.raises(InvalidInputError) as caught:
        service.edit_controller(ctx, ADMIN, dataclasses.replace(held, **{field: value}))  # type: ignore[arg-type]  # wrong on purpose
    assert caught.value.field == field


def test_before_set_up_nothing_is_ready(ctx: Context) -> None:
    assert len(problems(with_relay(ctx))) == 2
    assert service.see_controller(ctx, ADMIN) is None


def test_with_everything_in_place_mail_may_go(ctx: Context, world: World) -> None:
    assert problems(with_relay(ctx)) == []


def test_each_missing_piece_is_named(ctx: Context, world: World) -> None:
    assert any("public_url" in words for words in problems(ctx))
    real = with_relay(ctx)
    with ctx.db.transaction() as conn:
        conn.execute(update(controller).values(postal_address=""))
        conn.execute(update(sender).values(relay="gone"))
    words = " ".join(problems(real))
    assert "postal address" in words and "“gone”" in words


@pytest.mark.parametrize(
    "url", ["https://10.1.2.3", "https://mailserver", "https://desk.local", "http://mail.example.org"]
)
def test_links_need_a_lasting_home(url: str, tmp_path: Path) -> None:
    assert not service.is_lasting(Settings(instance=tmp_path, public_url=url))


def test_the_system_page_tells_settings_without_secrets(ctx: Context, world: World) -> None:
    status = service.system_status(with_relay(ctx), ADMIN)
    shown = {setting.name: setting.value for setting in status.settings}
    assert "very secret" not in repr(status)
    assert shown["relays"].startswith("main: host=relay.example")
    assert (status.is_demo, status.is_current, status.problems) == (False, True, ())
    with pytest.raises(NotAllowedError):
        service.system_status(ctx, actor(Role.OFFICER))
