"""The officer's page of witnesses: it shows who took what and what is wrong, and nothing of where they are."""

from collections.abc import Callable
from pathlib import Path

import pytest
from flask import Flask

from outreach.app import create_app
from outreach.services.context import Context
from outreach.services.transparency.publish import publish
from outreach.services.transparency.witnesses import tell_witnesses
from tests.services.transparency.logs import write
from tests.services.transparency.witnessing import at, with_witnesses
from tests.web.conftest import Browser

PAGE = "/compliance/witnesses"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "far-away"


@pytest.fixture
def app(ctx: Context, folder: Path) -> Flask:
    watched = with_witnesses(
        ctx, vault=at(str(folder), "folder"), auditor=at("auditor@elsewhere.example", "mail", minutes=30)
    )
    made = create_app(watched, testing=True)
    made.test_client_class = Browser
    return made


def test_the_page_shows_how_each_witness_stands(
    app: Flask, ctx: Context, folder: Path, signed_in: Callable[..., Browser]
) -> None:
    officer = signed_in("officer")
    assert "Nothing was published yet" in officer.page(PAGE)
    write(ctx, 3)
    size = publish(ctx, 1)
    assert size is not None
    watched: Context = app.extensions["outreach"]
    tell_witnesses(watched)
    page = officer.page(PAGE)
    assert "in trouble" in page and "It could not be written" in page
    assert "elsewhere" not in page and "far-away" not in page
    folder.mkdir()
    answer = officer.post(PAGE, data={"witness": "vault", "csrf_token": officer.csrf_token()})
    assert (answer.status_code, answer.location) == (303, PAGE)
    tell_witnesses(watched)
    page = officer.page(PAGE)
    assert f'<td class="n">{size}</td>' in page
    assert "Taken lately" in page
    assert ctx.keyring.audit_name in page


def test_a_witness_nobody_named_is_not_asked(signed_in: Callable[..., Browser]) -> None:
    officer = signed_in("officer")
    answer = officer.post(PAGE, data={"witness": "another", "csrf_token": officer.csrf_token()})
    assert answer.status_code == 404


def test_the_page_is_the_officers(signed_in: Callable[..., Browser]) -> None:
    assert signed_in("marketer").get(PAGE).status_code == 403


def test_without_witnesses_the_page_says_how_to_get_one(ctx: Context, signed_in: Callable[..., Browser]) -> None:
    officer = signed_in("officer")
    alone = create_app(ctx, testing=True)
    alone.test_client_class = Browser
    client = alone.test_client()
    assert isinstance(client, Browser)
    with officer.session_transaction() as cookie:
        client.carry(cookie["_user_id"])
    assert "No witness yet" in client.page(PAGE)
