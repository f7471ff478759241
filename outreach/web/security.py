"""What every answer carries and every request must pass: known host, content policy, cookie flags, CSRF.

OWASP ASVS 5.0 V3: a nonce per response, nothing from other hosts, no framing, no referrer from pages with a token.
"""

import hmac
import secrets
from collections.abc import Callable, Mapping
from typing import TypeVar
from urllib.parse import urlsplit

from flask import Flask, Response, abort, current_app, g, request, session
from flask.sessions import SecureCookieSessionInterface
from flask_wtf.csrf import CSRFProtect
from itsdangerous import URLSafeTimedSerializer
from werkzeug.middleware.proxy_fix import ProxyFix

from outreach.config import Settings
from outreach.domain.keys import Keyring
from outreach.hosts import LOOPBACK

View = TypeVar("View", bound=Callable[..., object])

csrf = CSRFProtect()
FILES = frozenset({"static", "bootstrap.static"})
SIGNED_IN = "_user_id"  # Flask-Login's name for the session id in the cookie

_POLICY = {
    "default-src": "'none'",
    "style-src": "'self'",
    "img-src": "'self' data:",
    "font-src": "'self'",
    "form-action": "'self'",
    "base-uri": "'none'",
    "frame-ancestors": "'none'",
}
_FRAMED_ANYWHERE = {
    "default-src": "'none'",
    "style-src": "'self'",
    "form-action": "'none'",
    "base-uri": "'none'",
    "frame-ancestors": "*",
    "sandbox": "allow-popups allow-popups-to-escape-sandbox",
}
_FRAMED_FILES = frozenset({"badge.css"})  # what such a page loads: to its sandbox our own files are another origin's


def _text(policy: Mapping[str, str]) -> str:
    return "; ".join(f"{name} {value}" for name, value in policy.items())


_POLICY_TEXT, _FRAMED_ANYWHERE_TEXT = _text(_POLICY), _text(_FRAMED_ANYWHERE)
_ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=(), browsing-topics=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_CROSS_ORIGIN = {"Cross-Origin-Resource-Policy": "cross-origin"}
# Without what would keep a page out of a frame, and a sandboxed page out of a window of its own (HTML §7.5).
_FOR_FRAMES = {name: value for name, value in _ALWAYS.items() if name != "X-Frame-Options"} | {
    "Cross-Origin-Opener-Policy": "unsafe-none",
    **_CROSS_ORIGIN,
}


def protect(app: Flask, settings: Settings, keyring: Keyring) -> None:
    """Set cookie flags, the host check, CSRF bound to who is signed in, and the headers of every response."""
    app.config.update(
        SECRET_KEY=keyring.sessions,
        SESSION_COOKIE_NAME="__Host-outreach" if settings.is_https else "outreach",
        SESSION_COOKIE_SECURE=settings.is_https,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_PATH="/",
        MAX_CONTENT_LENGTH=20 * 1024 * 1024,
        WTF_CSRF_TIME_LIMIT=None,  # as long as the session
        WTF_CSRF_SSL_STRICT=False,  # pages with a token send no referrer; the token itself is checked
    )
    if settings.trusted_proxies:
        hops = settings.trusted_proxies
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops, x_host=0)  # type: ignore[method-assign]
    hosts = known_hosts(settings)

    @app.before_request
    def _known_host_only() -> None:
        name = urlsplit(f"//{request.host}").hostname if request.host else None
        if name not in hosts:
            abort(421)

    @app.before_request
    def _bind_csrf() -> None:
        if request.endpoint not in FILES and not _is_framable() and not _is_cookieless() and SIGNED_IN in session:
            bound = csrf_secret(session[SIGNED_IN], keyring)
            if session.get("csrf_token") != bound:
                session["csrf_token"] = bound

    app.session_interface = _Sessions()
    csrf.init_app(app)
    app.jinja_env.globals["csp_nonce"] = csp_nonce

    @app.after_request
    def _headers(response: Response) -> Response:
        if _is_cookieless():
            session.accessed = False  # Flask-Login looks into every cookie, whether or not the answer depends on it
        return _dress(response, https=settings.is_https)


class _Sessions(SecureCookieSessionInterface):
    """Flask's own, with its signer made once: it is the same for every request, and each needs it twice."""

    _signer: URLSafeTimedSerializer | None = None

    def get_signing_serializer(self, app: Flask) -> URLSafeTimedSerializer | None:
        if self._signer is None:
            self._signer = super().get_signing_serializer(app)
        return self._signer


def known_hosts(settings: Settings) -> frozenset[str]:
    """Host names we answer for: the public one, former ones, and this machine while that is all there is."""
    hosts = {settings.public_host, *settings.former_hosts}
    if not settings.is_https and settings.public_host in LOOPBACK:
        hosts |= LOOPBACK | {settings.listen_host}
    return frozenset(hosts)


def csrf_secret(session_id: str, keyring: Keyring) -> str:
    """The only CSRF secret a signed-in session takes: another user's or an earlier one is refused."""
    return hmac.digest(keyring.sessions, f"csrf\0{session_id}".encode(), "sha256").hex()


def csp_nonce() -> str:
    """This response's nonce for a <script>."""
    if "csp_nonce" not in g:
        g.csp_nonce = secrets.token_urlsafe(16)
    return str(g.csp_nonce)


def allow(**directives: str) -> None:
    """Widen the content policy of this response alone: `allow(frame_src="'self'")`."""
    g.csp_extra = {**g.get("csp_extra", {}), **{name.replace("_", "-"): value for name, value in directives.items()}}


def framable(view: View) -> View:
    """Let any site frame this view's pages: in a sandbox without script, form or cookie. Goes under `door`."""
    view.is_framable = True  # type: ignore[attr-defined]  # read by `_is_framable`
    return view


def cookieless(view: View) -> View:
    """This view's answers are the same for everybody: no session is looked at, so that any cache may keep them."""
    view.is_cookieless = True  # type: ignore[attr-defined]  # read by `_is_cookieless`
    return view


def _is_cookieless() -> bool:
    view = current_app.view_functions.get(request.endpoint or "")
    return bool(getattr(view, "is_cookieless", False))


def _is_framable() -> bool:
    view = current_app.view_functions.get(request.endpoint or "")
    return bool(getattr(view, "is_framable", False))


def _dress(response: Response, *, https: bool) -> Response:
    if _is_framable() and response.status_code == 200:
        headers = {"Content-Security-Policy": _FRAMED_ANYWHERE_TEXT, **_FOR_FRAMES}
    else:
        extra = g.get("csp_extra", {})
        policy = _text({**_POLICY, **extra}) if extra else _POLICY_TEXT
        policy = policy if "script-src" in extra else f"{policy}; script-src 'self' 'nonce-{csp_nonce()}'"
        headers = {"Content-Security-Policy": policy, **_ALWAYS, **(_CROSS_ORIGIN if _is_framed_file() else {})}
    headers["Referrer-Policy"] = "no-referrer" if "token" in (request.view_args or {}) else "same-origin"
    if https:
        headers["Strict-Transport-Security"] = "max-age=63072000; includeSubDomains"
    if request.endpoint not in FILES:
        headers["Cache-Control"] = "no-store"
    given = {name.lower() for name, _ in response.headers}
    response.headers.extend([(name, value) for name, value in headers.items() if name.lower() not in given])
    return response


def _is_framed_file() -> bool:
    return request.endpoint == "static" and (request.view_args or {}).get("filename") in _FRAMED_FILES
