"""All of a member's pages; `blueprint` is what the application registers."""

from outreach.web.member import account, dashboard
from outreach.web.member.slice import blueprint

__all__ = ["account", "blueprint", "dashboard"]
