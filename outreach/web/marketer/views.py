"""The marketer's pages: campaigns being written, campaigns on their way, and the audience by reference."""

from outreach.web.marketer import audience, running, writing
from outreach.web.marketer.slice import blueprint

__all__ = ["audience", "blueprint", "running", "writing"]
