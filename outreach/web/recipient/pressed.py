"""What this browser pressed, as the page that answers shows it: the receipts of what was changed.

They are kept in this browser's session alone, as undo is: whoever else has the link of the mail is not shown them.
"""

from collections.abc import Sequence

from flask import session

from outreach.domain.tokens import Purpose
from outreach.services.receipts.links import ReceiptLink, made_since
from outreach.web.home import context

_MADE = "receipts"  # in the session: [link's token, [[title, receipt's token], …]]
_MOST = 8  # a cookie holds few


def remember(purpose: Purpose, token: str, since: int) -> None:
    """Keep the receipts of what the link `token` changed at or after `since` (`receipts.links.instant_before`)."""
    keep(token, made_since(context(), purpose, token, since))


def keep(token: str, made: Sequence[ReceiptLink]) -> None:
    """Keep the receipts of what a press on the page of this link changed, if it changed anything."""
    if made:
        session[_MADE] = [token, [[one.title, one.token] for one in made[-_MOST:]]]


def made_here(token: str) -> list[list[str]]:
    """[title, receipt's token] of what this browser changed last by this link; none for any other."""
    link, made = session.get(_MADE, ("", []))
    return made if link == token else []
