"""All of a recipient's pages; `blueprint` is what the application registers."""

from outreach.web.recipient import confirm, connect, connection_end, fresh_link, held_mail, invitation, sign_up, stop
from outreach.web.recipient.slice import blueprint

__all__ = [
    "blueprint",
    "confirm",
    "connect",
    "connection_end",
    "fresh_link",
    "held_mail",
    "invitation",
    "sign_up",
    "stop",
]
