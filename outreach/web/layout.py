"""What the layouts need: the navigation a role may see, and the address of pages that exist."""

from dataclasses import dataclass

from flask import Flask, current_app, request
from flask_babel import gettext
from werkzeug.routing import BuildError

from outreach.domain.actors import Role
from outreach.web.auth import present_session

# By job.
_JOBS = (
    ("Campaigns", ("/campaigns",)),
    ("Audience", ("/audience", "/topics", "/audience/import", "/desk")),
    ("Invitations", ("/invitations", "/invitations/policy")),
    ("Conversations", ("/conversations", "/conversations/answers")),
    (
        "Compliance",
        (
            "/compliance",
            "/compliance/find",
            "/compliance/log",
            "/compliance/policy",
            "/compliance/approvals",
            "/compliance/requests",
            "/compliance/reports",
            "/compliance/unknown",
            "/compliance/register",
            "/compliance/witnesses",
            "/compliance/exports",
        ),
    ),
    ("Settings", ("/settings", "/settings/senders", "/settings/sending", "/settings/staff", "/settings/system")),
    ("Demo mailbox", ("/mailbox",)),
)
_NAMES = {
    "/topics": "Topics",
    "/audience": "People",
    "/audience/import": "Import",
    "/desk": "Desk",
    "/invitations": "Inviters",
    "/invitations/policy": "Policy",
    "/conversations": "Inbox",
    "/conversations/answers": "Public answers",
    "/compliance": "To do",
    "/compliance/find": "Find somebody",
    "/compliance/register": "Register",
    "/compliance/log": "Log",
    "/compliance/policy": "Policies",
    "/compliance/approvals": "Approvals",
    "/compliance/requests": "Requests",
    "/compliance/reports": "Reports",
    "/compliance/unknown": "Unknown outcomes",
    "/compliance/witnesses": "Witnesses",
    "/compliance/exports": "Exports",
    "/settings": "Organisation",
    "/settings/senders": "Senders",
    "/settings/sending": "Sending",
    "/settings/staff": "Staff",
    "/settings/system": "System",
}


@dataclass(frozen=True)
class Job:
    """A line in the navigation."""

    name: str
    path: str
    is_current: bool
    parts: tuple["Job", ...] = ()


def set_up_layout(app: Flask) -> None:
    """Give templates `navigation()`, `rooms()`, `signed_in()` and `page_of(endpoint, …)`."""
    app.jinja_env.globals.update(navigation=navigation, rooms=rooms, signed_in=present_session, page_of=page_of)


def navigation() -> list[Job]:
    """The jobs this member of staff's roles open, as far as they are built."""
    session = present_session()
    if session is None or session.kind != "staff":
        return []
    doors = _doors(session.actor.roles)
    here = max((path for _, paths in _JOBS for path in paths if _is_under(path)), key=len, default="")
    jobs = []
    for name, paths in _JOBS:
        mine = [path for path in paths if path in doors]
        if mine:
            parts = tuple(Job(_NAMES[path], path, path == here) for path in mine) if len(paths) > 1 else ()
            jobs.append(Job(name, mine[0], here in paths, parts))
    return jobs


def rooms() -> list[Job]:
    """A member's rooms, as far as they are built. A room's parts are the pages under its path."""
    here = max((path for path, _ in _rooms() if _is_under(path)), key=len, default="")
    return [Job(name, path, path == here) for path, name in _rooms()]


def _rooms() -> list[tuple[str, str]]:
    built = {rule.rule for rule in current_app.url_map.iter_rules() if rule.endpoint.startswith("member.")}
    named = (
        ("/me", gettext("Overview")),
        ("/me/invite", gettext("Invite")),
        ("/me/invitations", gettext("Sent")),
        ("/me/incoming", gettext("Came in")),
        ("/me/connections", gettext("Connections")),
        ("/me/links", gettext("Links")),
        ("/me/account", gettext("Account")),
    )
    return [(path, name) for path, name in named if path in built]


def page_of(endpoint: str, **values: object) -> str | None:
    """The path of a page, or None while nobody has built it."""
    try:
        return current_app.url_for(endpoint, **values)  # type: ignore[arg-type]
    except BuildError:
        return None


def _doors(roles: frozenset[Role]) -> set[str]:
    """Paths of pages without parameters that `roles` may open."""
    mine = {"visitor", "staff", *roles}
    paths = set()
    for rule in current_app.url_map.iter_rules():
        actors: frozenset[str] = getattr(current_app.view_functions.get(rule.endpoint), "actors", frozenset())
        if not rule.arguments and "GET" in (rule.methods or ()) and actors & mine:
            paths.add(rule.rule.rstrip("/") or "/")
    return paths


def _is_under(path: str) -> bool:
    return request.path == path or request.path.startswith(path + "/")
