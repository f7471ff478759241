"""A person's own room, behind a fresh link mailed to their address: every page of it."""

from outreach.web.room import conversations, moving, reading, settings, topics
from outreach.web.room.slice import blueprint

__all__ = ["blueprint", "conversations", "moving", "reading", "settings", "topics"]
