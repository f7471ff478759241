"""The pages of conversations; `blueprint` is what the application registers."""

from outreach.web.conversations import inbox, one, public
from outreach.web.conversations.slice import blueprint

__all__ = ["blueprint", "inbox", "one", "public"]
