"""The desk's pages; `blueprint` is what the application registers."""

from outreach.web.desk import audience, desk
from outreach.web.desk.slice import blueprint

__all__ = ["audience", "blueprint", "desk"]
