"""Every table, by what it is about. Import this to have `metadata` complete."""

from outreach.store.schema import (
    audit,
    campaigns,
    consents,
    conversations,
    desk,
    inbound,
    members,
    observations,
    organisation,
    pacing,
    people,
    policies,
    receipts,
    relaying,
    rights,
    room,
    tally,
    transparency,
)
from outreach.store.schema.columns import metadata, random_ref

APPEND_ONLY = (
    "consent_text",
    "consent_event",
    "audit_entry",
    "audit_leaf",
    "audit_tile",
    "checkpoint",
    "checkpoint_note",
    "register_note",
    "policy_version",
    "audit_node",
    "publication",
    "witnessed",
    "former_controller",
)
"""Tables that refuse UPDATE, DELETE, REPLACE and TRUNCATE by trigger, on both databases."""

__all__ = [
    "APPEND_ONLY",
    "audit",
    "campaigns",
    "consents",
    "conversations",
    "desk",
    "inbound",
    "members",
    "metadata",
    "observations",
    "organisation",
    "pacing",
    "people",
    "policies",
    "random_ref",
    "receipts",
    "relaying",
    "rights",
    "room",
    "tally",
    "transparency",
]
