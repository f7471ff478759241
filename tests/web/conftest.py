"""The web as tests use it: an application over the store, a visitor's browser, and browsers of signed-in staff."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from itsdangerous import URLSafeTimedSerializer
from jinja2 import Environment, FileSystemBytecodeCache
from jinja2.bccache import Bucket
from werkzeug.test import TestResponse

from outreach.app import create_app
from outreach.services import sessions
from outreach.services.context import Context
from outreach.web.pages import Pages
from outreach.web.security import SIGNED_IN, csrf_secret
from tests.factories import MadeMember, World

CLIENT = sessions.Client(browser="Firefox on a test bench", network="192.0.2.0/24")


class Browser(FlaskClient):
    """A test client that can send forms: `submit` adds this session's CSRF token, as the page would."""

    staff_id: int = 0
    member: MadeMember

    def submit(self, path: str, data: Mapping[str, Any] | None = None, **options: Any) -> TestResponse:
        """POST a form. `data` is what was typed; lists send a field several times."""
        return self.post(path, data={**(data or {}), "csrf_token": self.csrf_token()}, **options)

    def csrf_token(self) -> str:
        ctx: Context = self.application.extensions["outreach"]
        with self.session_transaction() as cookie:
            if SIGNED_IN in cookie:
                cookie["csrf_token"] = csrf_secret(cookie[SIGNED_IN], ctx.keyring)
            secret = cookie.setdefault("csrf_token", "a visitor's secret")
        return str(URLSafeTimedSerializer(ctx.keyring.sessions, salt="wtf-csrf-token").dumps(secret))

    def page(self, path: str, status: int = 200) -> str:
        """GET a page and return its text; the status must be as expected."""
        answer = self.get(path)
        assert answer.status_code == status, (path, answer.status_code, answer.location)
        return answer.get_data(as_text=True)

    def carry(self, token: str) -> None:
        """Hold the cookie of this session."""
        with self.session_transaction() as cookie:
            cookie[SIGNED_IN] = token


class CompiledTemplates(FileSystemBytecodeCache):
    """Apart by language, since each has templates of its own."""

    def get_bucket(self, environment: Environment, name: str, filename: str | None, source: str) -> Bucket:
        language = environment.language if isinstance(environment, Pages) else ""
        return super().get_bucket(environment, f"{language}:{name}", filename, source)


@pytest.fixture(scope="session")
def compiled_templates(tmp_path_factory: pytest.TempPathFactory) -> FileSystemBytecodeCache:
    """Each test has an application of its own; they need not each compile the templates."""
    return CompiledTemplates(str(tmp_path_factory.mktemp("templates")))


@pytest.fixture
def own_app(ctx: Context, compiled_templates: FileSystemBytecodeCache) -> Flask:
    """An application of this test's own, for those that add routes or the like to it."""
    made = create_app(ctx, testing=True)
    made.jinja_env.bytecode_cache = compiled_templates
    made.test_client_class = Browser
    return made


@pytest.fixture(scope="session")
def applications() -> dict[str, Flask]:
    """Those made so far in this process, by what they were made of."""
    return {}


@pytest.fixture
def app(ctx: Context, applications: dict[str, Flask], request: pytest.FixtureRequest) -> Iterator[Flask]:
    """The application over this test's store: one for all tests with the same settings and keys.

    What a test changes in its configuration is put back; what its limits counted, and what pages keep for a while, is
    forgotten.
    """
    settings = ctx.settings.model_dump_json(exclude={"instance", "database_url", "clock_file"})
    made_of = f"{ctx.keyring.sessions.hex()} {settings}"
    if made_of not in applications:
        applications[made_of] = request.getfixturevalue("own_app")
    made = applications[made_of]
    made.extensions["outreach"] = ctx
    config, extensions = dict(made.config), dict(made.extensions)
    yield made
    made.config.clear()
    made.config.update(config)
    made.extensions.clear()
    made.extensions.update(extensions)
    made.extensions["outreach.limits"].storage.reset()


@pytest.fixture
def client(app: Flask) -> Browser:
    """A visitor's browser, without any cookie."""
    browser = app.test_client()
    assert isinstance(browser, Browser)
    return browser


@pytest.fixture
def signed_in(app: Flask, world: World) -> Callable[..., Browser]:
    """`signed_in("officer")` or `signed_in("marketer", "officer")`: the browser of a new member of staff.

    Their row's id is in `browser.staff_id`.
    """

    def sign_in(*roles: str) -> Browser:
        browser = app.test_client()
        assert isinstance(browser, Browser)
        browser.staff_id = world.staff(",".join(sorted(roles)))
        with world.ctx.db.transaction() as conn:
            now = world.ctx.db.now(conn)
            token = sessions.begin_session(world.ctx, conn, now, browser.staff_id, CLIENT)
        browser.carry(token)
        return browser

    return sign_in


@pytest.fixture
def member_client(app: Flask, world: World) -> Callable[..., Browser]:
    """`member_client()` or `member_client(world.member("alice@example.org"))`: the browser of a signed-in member.

    Who it is stands in `browser.member`.
    """

    def sign_in(who: MadeMember | None = None) -> Browser:
        browser = app.test_client()
        assert isinstance(browser, Browser)
        browser.member = who or world.member()
        with world.ctx.db.transaction() as conn:
            now = world.ctx.db.now(conn)
            token = sessions.begin_session(world.ctx, conn, now, browser.member.id, CLIENT, sessions.MEMBERS)
        browser.carry(token)
        return browser

    return sign_in
