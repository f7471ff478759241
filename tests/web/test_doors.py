"""Who may open which page: forced sign-in, roles, and a view without a door."""

from collections.abc import Callable

import pytest
from flask import Flask

from outreach.web.auth import door, safe_next
from tests.web.conftest import Browser


@pytest.fixture
def app(own_app: Flask) -> Flask:
    """One that these tests add views to."""
    return own_app


def test_staff_pages_ask_to_sign_in_and_remember_the_way(client: Browser) -> None:
    answer = client.get("/home?a=1")
    assert answer.status_code == 303
    assert answer.location == "/sign-in?next=/home?a%3D1"


def test_signed_in_staff_see_their_start_page(signed_in: Callable[..., Browser]) -> None:
    assert "What needs doing" in signed_in("marketer").page("/home")


def test_a_view_without_a_door_is_refused_to_everybody(app: Flask, signed_in: Callable[..., Browser]) -> None:
    app.add_url_rule("/open", "open", lambda: "secret")
    assert signed_in("administrator").get("/open").status_code == 403
    assert app.test_client().get("/open").status_code == 403


def test_a_role_does_not_open_another_roles_door(app: Flask, signed_in: Callable[..., Browser]) -> None:
    app.add_url_rule("/officers", "officers", door("officer")(lambda: "for officers"))
    assert signed_in("officer").page("/officers") == "for officers"
    assert "for officers" not in signed_in("marketer").page("/officers", 403)


def test_next_never_leaves_the_installation() -> None:
    for bad in (
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example",
        "javascript:alert(1)",
        "\\\\evil.example",
        "/a\r\nLocation: x",
        "",
        None,
    ):
        assert safe_next(bad, otherwise="/home") == "/home"
    assert safe_next("/topics?page=2", otherwise="/home") == "/topics?page=2"
