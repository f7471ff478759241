"""Settings and topics, a module a room; importing them gives the blueprint its pages."""

from outreach.web.admin import organisation, senders, sending, staff, system, topics
from outreach.web.admin.slice import blueprint

ROOMS = (organisation, senders, sending, staff, system, topics)

__all__ = ["ROOMS", "blueprint"]
