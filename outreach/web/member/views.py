"""All of a member's pages; `blueprint` is what the application registers."""

from outreach.web.member import account, appeal, connections, dashboard, incoming, invite, join, links, sent
from outreach.web.member.slice import blueprint

__all__ = ["account", "appeal", "blueprint", "connections", "dashboard", "incoming", "invite", "join", "links", "sent"]
