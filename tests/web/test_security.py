"""What every answer carries and every request must pass: headers, cookies, hosts, CSRF, limits, and quiet logs."""

import dataclasses
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import structlog
from flask import Flask
from sqlalchemy import func, select

from outreach.app import create_app
from outreach.config import Settings
from outreach.services.context import Context
from outreach.store.schema.consents import request
from outreach.web.security import csrf
from tests.factories import World
from tests.web.conftest import Browser


def under(ctx: Context, **settings: object) -> Flask:
    """An application on the same store under other settings."""
    values: dict[str, object] = {"instance": ctx.settings.instance, "database_url": ctx.settings.database_url}
    given = Settings(**{**values, **settings})  # type: ignore[arg-type]  # names are checked by Settings
    made = create_app(dataclasses.replace(ctx, settings=given), testing=True)
    made.test_client_class = Browser
    return made


def test_every_answer_carries_the_headers(app: Flask, client: Browser) -> None:
    for path in ("/sign-in", "/nothing-here", "/home", "/static/staff.css"):
        answer = client.get(path)
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy and "base-uri 'none'" in policy
        assert "unsafe" not in policy and "http" not in policy.replace("https", "http").split("script-src")[0]
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["X-Frame-Options"] == "DENY"
        assert answer.headers["Referrer-Policy"] == "same-origin"
        assert answer.headers["Cross-Origin-Opener-Policy"] == "same-origin"
        assert "Permissions-Policy" in answer.headers
        assert "Strict-Transport-Security" not in answer.headers
        answer.close()


def test_the_nonce_is_another_one_each_time(client: Browser) -> None:
    nonces = {
        re.findall(r"'nonce-([^']+)'", client.get("/sign-in").headers["Content-Security-Policy"])[0] for _ in "abc"
    }
    assert len(nonces) == 3


def test_pages_with_a_token_send_no_referrer_and_are_not_kept(client: Browser) -> None:
    for path in ("/set-up/x", "/password/x", "/stop/x", "/confirm/x", "/why/x"):
        answer = client.get(path)
        assert answer.headers["Referrer-Policy"] == "no-referrer", path
        assert answer.headers["Cache-Control"] == "no-store"


def test_under_https_the_cookie_is_host_bound_and_transport_strict(ctx: Context) -> None:
    app = under(ctx, public_url="https://mail.northfield.example")
    answer = app.test_client().get("/sign-in", base_url="https://mail.northfield.example")
    cookie = answer.headers["Set-Cookie"]
    assert cookie.startswith("__Host-outreach=")
    assert {"Secure", "HttpOnly", "Path=/", "SameSite=Lax"} <= set(cookie.split("; "))
    assert "Domain" not in cookie
    assert "max-age=63072000" in answer.headers["Strict-Transport-Security"]


def test_only_our_own_host_names_are_answered(ctx: Context) -> None:
    app = under(ctx, public_url="https://mail.northfield.example", former_hosts=["old.northfield.example"])
    client = app.test_client()
    for host, status in (
        ("mail.northfield.example", 200),
        ("old.northfield.example", 200),
        ("evil.example", 421),
        ("127.0.0.1", 421),
        ("mail.northfield.example.evil.example", 421),
        ("evilmail.northfield.example", 421),
    ):
        assert client.get("/sign-in", base_url=f"https://{host}").status_code == status, host


def test_on_one_machine_loopback_names_are_answered(client: Browser) -> None:
    for host, status in (("127.0.0.1:8460", 200), ("localhost", 200), ("[::1]:8460", 200), ("evil.example", 421)):
        assert client.get("/sign-in", base_url=f"http://{host}").status_code == status, host


def test_forwarded_addresses_count_only_behind_trusted_proxies(ctx: Context) -> None:
    plain, trusting = under(ctx), under(ctx, trusted_proxies=1)
    for app, expected in ((plain, "127.0.0.1"), (trusting, "203.0.113.9")):
        seen: list[str | None] = []
        app.before_request(lambda seen=seen: seen.append(_remote()))
        app.test_client().get("/sign-in", headers={"X-Forwarded-For": "198.51.100.1, 203.0.113.9"})
        assert seen == [expected]


def _remote() -> str | None:
    from flask import request as present

    return present.remote_addr


def test_a_post_without_its_token_changes_nothing(world: World, client: Browser) -> None:
    for path, data in (("/forgot", {"address": "a@example.org"}), ("/sign-in", {"address": "a@example.org"})):
        assert client.post(path, data=data).status_code == 400
    with world.ctx.db.reading() as conn:
        assert conn.execute(select(func.count()).select_from(request)).scalar_one() == 0


def test_exempt_from_csrf_are_the_two_doors_that_read_no_cookie(app: Flask) -> None:
    assert {name.removeprefix("outreach.web.") for name in csrf._exempt_views} == {
        "recipient.sign_up.sign_up",
        "recipient.stop.one_click",
    }
    assert not csrf._exempt_blueprints


def test_public_forms_are_limited_by_network(ctx: Context) -> None:
    app = under(ctx, http_limit="3/minute")
    client = app.test_client()
    assert isinstance(client, Browser)
    statuses = [client.submit("/forgot", {"address": "a@example.org"}).status_code for _ in range(4)]
    assert statuses == [303, 303, 303, 429]
    assert client.get("/forgot").status_code == 200
    elsewhere = {"REMOTE_ADDR": "198.51.100.7"}
    assert client.submit("/forgot", {"address": "a@example.org"}, environ_base=elsewhere).status_code == 303


def test_stopping_is_never_limited(ctx: Context) -> None:
    client = under(ctx, http_limit="1/minute").test_client()
    statuses = {client.post("/stop/x", data={"List-Unsubscribe": "One-Click"}).status_code for _ in range(5)}
    assert 429 not in statuses


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/not-a-page", 404),
        ("POST", "/home", 405),
        ("GET", "/password/not-a-token", 404),
        ("GET", "/set-up/not-a-token", 409),
    ],
)
def test_errors_are_pages_in_our_look_that_echo_nothing(
    client: Browser, signed_in: Callable[..., Browser], method: str, path: str, status: int
) -> None:
    answer = signed_in("marketer").open(path, method=method)
    text = answer.get_data(as_text=True)
    assert answer.status_code == status
    assert "<h1>" in text and path.rsplit("/", 1)[1] not in text.replace("/home", "")


def test_a_fault_shows_a_page_without_its_message(ctx: Context) -> None:
    app = create_app(ctx)

    def fail() -> str:
        raise RuntimeError("alice@example.org broke it")

    fail.actors = frozenset({"visitor"})  # type: ignore[attr-defined]  # as `door` does
    app.add_url_rule("/fail", "fail", fail)
    with structlog.testing.capture_logs() as lines:
        answer = app.test_client().get("/fail")
    assert answer.status_code == 500
    assert "alice" not in answer.get_data(as_text=True)
    fault = next(line for line in lines if line["event"] == "fault")
    assert fault["error"] == "RuntimeError" and "alice" not in repr(lines)


def test_a_line_of_log_names_the_rule_and_the_actors_ref_never_the_path(signed_in: Callable[..., Browser]) -> None:
    browser = signed_in("marketer")
    with structlog.testing.capture_logs() as lines:
        browser.get("/password/a-secret-token?address=alice@example.org")
        browser.get("/home")
    assert [line["rule"] for line in lines] == ["/password/<token>", "/home"]
    assert lines[1]["actor"].startswith("staff:")
    assert "secret" not in repr(lines) and "alice" not in repr(lines)


def test_the_server_refuses_to_start_on_a_store_that_is_not_migrated(tmp_path: Path) -> None:
    import os
    import subprocess
    import sys

    environment = {**os.environ, "OUTREACH_INSTANCE": str(tmp_path)}
    run = subprocess.run(
        [sys.executable, "-c", "import wsgi"], capture_output=True, text=True, env=environment, check=False
    )
    assert run.returncode == 1
    assert run.stderr.strip().splitlines() == [
        "outreach: database: not at the newest migration; run `python -m outreach upgrade`"
    ]
