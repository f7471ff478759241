"""Programs that open mail before its reader does: what gives them away, and the step more that then asks for a person.

Security scanners fetch every link of a mail, run scripts, and some press buttons (docs/guides/scanners.md). A mail that
asks for a yes therefore holds one link nobody sees. That it was touched is noted for 24 hours: not by whom, for fleets
press from other machines than they fetch from. Nobody's no is ever looked at here, only a yes.
"""

from sqlalchemy import Connection

from outreach.domain.tokens import Purpose
from outreach.services.context import Context
from outreach.store import observations

TOO_SOON = 10_000_000
"""A yes within so many microseconds of the mail's hand-off is asked one more human step: scanners press at once."""


def hidden_url(ctx: Context, about: bytes, now: int) -> str:
    """The link that people are not shown, for the mail that asks about `about` (a ref, 16 bytes)."""
    return f"{ctx.settings.public_url}/look/{ctx.tokens.issue(Purpose.HIDDEN, about, now)}"


def note_touch(ctx: Context, token: str) -> None:
    """The hidden link was touched. Leaves an observation and nothing else, once. Raises TokenError."""
    with ctx.db.reading() as conn:
        now = ctx.db.now(conn)
        about = ctx.tokens.read(Purpose.HIDDEN, token, now).ref
        if observations.was_touched(conn, now, about):
            return
    with ctx.db.transaction() as conn:
        observations.note(conn, now, about)


def looks_like_one(conn: Connection, now: int, about: bytes, handed_off: int | None) -> bool:
    """Whether a yes about `about` may be a program's, so that a step more is asked. `handed_off`: when its mail was."""
    return is_like_one(now, observations.was_touched(conn, now, about), handed_off)


def is_like_one(now: int, was_touched: bool, handed_off: int | None) -> bool:
    """The same, where it is known whether the hidden link was touched."""
    return was_touched or (handed_off is not None and now - handed_off < TOO_SOON)


def forget_touches(ctx: Context) -> None:
    """Delete observations past their 24 hours. For the engine."""
    with ctx.db.reading() as conn:
        if not observations.has_old(conn, ctx.db.now(conn)):
            return
    with ctx.db.transaction() as conn:
        observations.forget(conn, ctx.db.now(conn))
