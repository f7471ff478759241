"""Every answer carries the baseline (OWASP ASVS 5.0 V3), and no page needs what the content policy forbids."""

from urllib.parse import urlsplit

from flask import Flask

from outreach.app import create_app
from outreach.hosts import LOOPBACK
from outreach.services.context import Context, context_of
from tests.guards.crawl import Visit
from tests.guards.pages import Page
from tests.guards.visitors import ALL, VISITOR, browser

_FRAMED = {
    "mailbox.letter_html",
    "marketer.preview_mail",
    "recipient.last_mail",
}  # a mail as its reader sees it, in a sandbox
_EMBEDDED = {"recipient.badge"}  # what any site may frame: no script, form or cookie, in a sandbox
_KEPT = {"published_log." + name for name in ("checkpoint", "keys", "tile", "inclusion", "consistency", "entries")}
_KEPT |= {"answers.topic", "recipient.last_mail"}
_EXTRA = {"marketer.campaign": {"connect-src": "'self'"}}
_FRAMES = {"mailbox.letter", "marketer.preview", "recipient.sign_up_page"}
_POLICY = {
    "default-src": "'none'",
    "style-src": "'self'",
    "img-src": "'self' data:",
    "font-src": "'self'",
    "form-action": "'self'",
    "base-uri": "'none'",
    "frame-ancestors": "'none'",
}
_EMBEDDED_POLICY = {
    "default-src": "'none'",
    "style-src": "'self'",
    "form-action": "'none'",
    "base-uri": "'none'",
    "frame-ancestors": "*",
    "sandbox": "allow-popups allow-popups-to-escape-sandbox",
}


def _policy(visit: Visit) -> dict[str, str]:
    text = dict(visit.headers)["Content-Security-Policy"]
    return {name: value for name, _, value in (part.strip().partition(" ") for part in text.split(";"))}


def test_every_answer_has_the_content_policy(visits: list[Visit]) -> None:
    for visit in visits:
        policy = _policy(visit)
        if visit.endpoint in _FRAMED and visit.status == 200:
            assert "sandbox" in policy and "allow-scripts" not in policy["sandbox"], visit
            assert "allow-same-origin" not in policy["sandbox"], visit
            assert (policy["default-src"], policy["form-action"]) == ("'none'", "'none'"), visit
            continue
        if visit.endpoint in _EMBEDDED and visit.status == 200:
            assert policy == _EMBEDDED_POLICY, visit
            continue
        script = policy.pop("script-src")
        assert script.startswith("'self' 'nonce-") and "unsafe" not in script, visit
        extra = {name: value for name, value in policy.items() if name not in _POLICY}
        allowed = {"frame-src": "'self'"} if visit.endpoint in _FRAMES else _EXTRA.get(visit.endpoint, {})
        assert extra.items() <= allowed.items(), visit
        assert {name: policy.get(name) for name in _POLICY} == _POLICY, visit


def test_nonces_are_never_used_twice(visits: list[Visit]) -> None:
    own = _FRAMED | _EMBEDDED
    scripts = [_policy(visit).get("script-src", "") for visit in visits if visit.endpoint not in own]
    assert len(set(scripts)) == len(scripts)


def test_every_answer_has_the_other_headers(visits: list[Visit]) -> None:
    for visit in visits:
        headers = dict(visit.headers)
        assert headers["X-Content-Type-Options"] == "nosniff", visit
        if visit.endpoint in _EMBEDDED and visit.status == 200:
            assert "X-Frame-Options" not in headers and "Set-Cookie" not in headers, visit
            assert headers["Cache-Control"] == "no-store", visit
            continue
        is_framed = visit.endpoint in _FRAMED and visit.status == 200
        assert headers["X-Frame-Options"] == ("SAMEORIGIN" if is_framed else "DENY"), visit
        assert headers["Cross-Origin-Opener-Policy"] == "same-origin", visit
        if not visit.endpoint.endswith("static") and visit.endpoint not in _KEPT:
            assert headers["Cache-Control"] == "no-store", visit


def test_pages_with_a_token_send_no_referrer(visits: list[Visit]) -> None:
    starts = ("/stop/", "/why/", "/confirm/", "/password/", "/set-up/", "/invitation/", "/hand/")
    with_token = [v for v in visits if v.url.startswith(starts)]
    assert len(with_token) > 50
    for visit in with_token:
        assert dict(visit.headers)["Referrer-Policy"] == "no-referrer", visit


def test_no_page_holds_script_or_style_of_its_own(visits: list[Visit]) -> None:
    for visit in visits:
        if visit.is_page and visit.endpoint not in _FRAMED:
            assert Page(visit.body).inline == [], visit


def test_no_page_loads_or_sends_anything_elsewhere(visits: list[Visit]) -> None:
    for visit in visits:
        if not visit.is_page:
            continue
        for url in Page(visit.body).loads:
            host = urlsplit(url).hostname
            assert host is None or host in LOOPBACK, (str(visit), url)


def test_cookies_are_for_us_alone(site: Flask) -> None:
    for who, path in ((VISITOR, "/sign-in"), (ALL, "/home")):
        cookies = browser(site, who).get(path).headers.getlist("Set-Cookie")
        assert cookies
        for cookie in cookies:
            assert {"HttpOnly", "Path=/", "SameSite=Lax"} <= set(cookie.split("; ")), cookie


def test_over_https_the_cookie_is_bound_to_the_host(house: Context) -> None:
    public = house.settings.model_copy(update={"public_url": "https://mail.example"})
    secure = create_app(context_of(public, house.keyring, house.db))
    answer = secure.test_client().get("/sign-in", base_url="https://mail.example")
    (cookie,) = answer.headers.getlist("Set-Cookie")
    assert cookie.startswith("__Host-outreach=")
    assert {"Secure", "HttpOnly", "Path=/", "SameSite=Lax"} <= set(cookie.split("; "))
    assert "Domain" not in cookie
    assert answer.headers["Strict-Transport-Security"].startswith("max-age=63072000")
