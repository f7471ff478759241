"""Who is acting. Every view names its door; a view without one is refused, and every door but two asks to sign in.

Staff sign in to staff's doors, members to members'. Neither's session opens the other's.
"""

from collections.abc import Callable
from typing import TypeVar, cast
from urllib.parse import urlsplit

from flask import Flask, current_app, flash, g, redirect, request, session, url_for
from flask_login import LoginManager, UserMixin, current_user, login_user, logout_user
from werkzeug.wrappers import Response

from outreach.domain.actors import RECIPIENT, VISITOR, Actor, Role
from outreach.domain.errors import NotAllowedError
from outreach.services import sessions
from outreach.web.home import context
from outreach.web.limits import network_prefix
from outreach.web.security import FILES, SIGNED_IN

View = TypeVar("View", bound=Callable[..., object])

OPEN = frozenset({"visitor", "recipient"})
MEMBER = "member"
ACTORS = OPEN | {"staff", MEMBER} | {role.value for role in Role}
HANDED = "hand"
"""In the cookie: the link passed on by hand that this browser's owner pressed Accept on. It opens that page alone."""
_NEEDS_PROOF = "needs_proof"


class SignedIn(UserMixin):
    """Flask-Login's user: one session of one member of staff."""

    def __init__(self, token: str, opened: sessions.Session) -> None:
        self.token = token
        self.session = opened

    def get_id(self) -> str:
        return self.token


def door(*actors: str) -> Callable[[View], View]:
    """Say who may use a view: "visitor", "recipient", "member", "staff" (any role) or roles.

    Goes right under the route. A member's door is nobody else's.
    """
    unknown = set(actors) - ACTORS
    if unknown or not actors:
        raise ValueError(f"no such actor: {unknown or 'none named'}")
    if MEMBER in actors and len(actors) > 1:
        raise ValueError("a member's door is nobody else's")

    def mark(view: View) -> View:
        view.actors = frozenset(actors)  # type: ignore[attr-defined]  # read by `_guard` and the guard tests
        return view

    return mark


def needs_proof(view: View) -> View:
    """Ask for the password again, unless given within 10 minutes, before this view of staff's. Goes under `door`.

    Members' forms that need it ask for it themselves.
    """
    setattr(view, _NEEDS_PROOF, True)
    return view


def current_actor() -> Actor:
    """The actor services are told: whoever signed in behind their own doors, otherwise a recipient or a visitor."""
    actors = _actors_of(request.endpoint)
    if actors & OPEN:
        return RECIPIENT if "recipient" in actors else VISITOR
    return current_session().actor


def current_session() -> sessions.Session:
    """The session of whoever is signed in. Raises NotAllowedError when nobody is."""
    present = present_session()
    if present is None:
        raise NotAllowedError("Sign in first.")
    return present


def present_session() -> sessions.Session | None:
    """The session of whoever is signed in, if somebody is. For layouts on open pages."""
    user = cast(SignedIn, current_user)
    return user.session if user.is_authenticated else None


def present_member() -> Actor | None:
    """The member who is signed in, if one is. For open pages that a member goes on from."""
    present = present_session()
    return present.actor if present is not None and present.kind == MEMBER else None


def client() -> sessions.Client:
    """What a session remembers about where it began."""
    return sessions.Client(browser=request.user_agent.string, network=network_prefix())


def start_session(token: str) -> None:
    """Put a new session in the cookie. What the cookie held before is dropped, so nothing can be fixed in it; but for a
    link passed on by hand, which its owner signs in to answer.

    Who was signed in as staff and now is as a member, or the other way round, is signed out there.
    """
    before, handed = present_session(), session.get(HANDED)
    session.clear()
    if handed is not None:
        session[HANDED] = handed
    opened = sessions.open_session(context(), token)
    if opened is not None:
        if before is not None and before.kind != opened.kind:
            sessions.sign_out(context(), before)
        login_user(SignedIn(token, opened))


def drop_session() -> None:
    """Empty the cookie."""
    logout_user()
    session.clear()


def safe_next(target: str | None, *, otherwise: str) -> str:
    """`target` when it is a path on this installation, else `otherwise`: a sign-in never sends anyone elsewhere."""
    if not target or not target.startswith("/") or target.startswith("//"):
        return otherwise
    if "\\" in target or any(ord(letter) < 32 for letter in target):
        return otherwise
    parts = urlsplit(target)
    return otherwise if parts.scheme or parts.netloc else target


def watch_doors(app: Flask) -> None:
    """Install Flask-Login and the check before every view. Files under static/ are open to all."""
    manager = LoginManager(app, add_context_processor=False)  # no template asks Flask-Login who is signed in
    manager.session_protection = None  # type: ignore[assignment]  # sessions live in the table; a changed network must not end them
    manager.user_loader(_load)
    app.before_request(_guard)


def _load(token: str) -> SignedIn | None:
    opened = sessions.open_session(context(), token)
    return SignedIn(token, opened) if opened else None


def _guard() -> Response | None:
    if request.endpoint is None or request.endpoint in FILES:
        return None
    actors = _actors_of(request.endpoint)
    if not actors:
        raise NotAllowedError("This page names nobody who may use it.")
    if actors & OPEN:
        return None
    present = present_session()
    wanted = MEMBER if MEMBER in actors else "staff"
    if present is None or present.kind != wanted:
        return _ask_to_sign_in(wanted, keep=present is not None)
    if not actors & {"staff", MEMBER}:
        present.actor.must_be(*(Role(actor) for actor in actors))
    if getattr(current_app.view_functions[request.endpoint], _NEEDS_PROOF, False) and not present.is_proved:
        if _here() is None:
            flash("What you just sent was not kept. Give your password, then send it again.", "warn")
        return redirect(url_for("account.prove", next=_here()), 303)
    return None


def _ask_to_sign_in(kind: str, *, keep: bool) -> Response:
    """To the sign-in page of `kind`. `keep`: somebody is signed in, as the other kind, and stays so for now."""
    if SIGNED_IN in session and not keep:
        session.clear()
        g.pop("csrf_token", None)
    page = "member.sign_in" if kind == MEMBER else "account.sign_in"
    return redirect(url_for(page, next=_here()), 303)


def _here() -> str | None:
    """The page to come back to. A form that was posted comes back to nothing: it has to be sent again by hand."""
    return request.full_path.rstrip("?") if request.method in {"GET", "HEAD"} else None


def _actors_of(endpoint: str | None) -> frozenset[str]:
    view = current_app.view_functions.get(endpoint or "")
    return getattr(view, "actors", frozenset())
