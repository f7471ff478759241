"""All of an officer's pages; `blueprint` is what the application registers."""

from outreach.web.officer import (
    approvals,
    compliance,
    contact,
    exports,
    invitations,
    inviters,
    policies,
    register,
    reports,
    rights,
    search,
    start,
    unknown,
    witnesses,
)
from outreach.web.officer.slice import blueprint

__all__ = [
    "approvals",
    "blueprint",
    "compliance",
    "contact",
    "exports",
    "invitations",
    "inviters",
    "policies",
    "register",
    "reports",
    "rights",
    "search",
    "start",
    "unknown",
    "witnesses",
]
