"""All of an officer's pages; `blueprint` is what the application registers."""

from outreach.web.officer import compliance, invitations, inviters
from outreach.web.officer.slice import blueprint

__all__ = ["blueprint", "compliance", "invitations", "inviters"]
