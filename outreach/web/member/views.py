"""All of a member's pages; `blueprint` is what the application registers."""

from outreach.web.member import account, connections, dashboard, incoming, invite, join, links, sent
from outreach.web.member.slice import blueprint

__all__ = ["account", "blueprint", "connections", "dashboard", "incoming", "invite", "join", "links", "sent"]
