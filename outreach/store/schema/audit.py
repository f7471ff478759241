"""The log: entries as they were written, their place in the tree, tiles of hashes, and signed checkpoints."""

from sqlalchemy import Column, ForeignKey, Index, Integer, LargeBinary, Table, Text

from outreach.store.schema.columns import BigId, identity, instant, metadata

# Append-only. `body` is JSON text exactly as hashed; no address, no name.
audit_entry = Table(
    "audit_entry",
    metadata,
    identity(),
    Column("nonce", LargeBinary(16), nullable=False),
    instant("at"),
    Column("kind", Text, nullable=False),
    Column("actor", Text, nullable=False),  # "staff:<ref>", "recipient", "engine", …
    Column("contact", LargeBinary(16)),  # refs, not ids: they must outlive the rows
    Column("topic", LargeBinary(16)),
    Column("campaign", LargeBinary(16)),
    Column("message", LargeBinary(16)),
    Column("body", Text, nullable=False, server_default="{}"),
)
Index("ix_audit_entry_contact", audit_entry.c.contact)
Index("ix_audit_entry_kind_at", audit_entry.c.kind, audit_entry.c.at)
Index("ix_audit_entry_at", audit_entry.c.at)
_acted = audit_entry.c.actor != "engine"  # whose entries are most of the log: those are found by their time
Index("ix_audit_entry_actor_at", audit_entry.c.actor, audit_entry.c.at, sqlite_where=_acted, postgresql_where=_acted)
_of_campaign = audit_entry.c.campaign.is_not(None)
Index(
    "ix_audit_entry_campaign_at",
    audit_entry.c.campaign,
    audit_entry.c.at,
    sqlite_where=_of_campaign,
    postgresql_where=_of_campaign,
)

# The queue the sealer empties. Written beside its entry, in one transaction, by one function: no foreign key, which
# would cost more than the row.
audit_pending = Table("audit_pending", metadata, Column("entry", BigId, primary_key=True, autoincrement=False))

# Append-only, and so are entries: what a leaf names cannot go away.
audit_leaf = Table(
    "audit_leaf",
    metadata,
    Column("position", BigId, primary_key=True, autoincrement=False),
    Column("entry", BigId, nullable=False, unique=True),
    Column("hash", LargeBinary(32), nullable=False),
)

# Append-only: full tiles of 256 hashes (C2SP tlog-tiles).
audit_tile = Table(
    "audit_tile",
    metadata,
    Column("level", Integer, primary_key=True, autoincrement=False),
    Column("number", BigId, primary_key=True, autoincrement=False),
    Column("hashes", LargeBinary, nullable=False),
)

# Append-only. The size is unique: two leaders cannot seal the same place.
checkpoint = Table(
    "checkpoint",
    metadata,
    Column("size", BigId, primary_key=True, autoincrement=False),
    Column("root", LargeBinary(32), nullable=False),
    Column("edge", LargeBinary, nullable=False),  # the tree's right edge: 32-byte hashes, largest subtree first
    Column("epoch", BigId, nullable=False),
    instant("at"),
)

# Append-only: the signed note, made after the checkpoint was durably committed.
checkpoint_note = Table(
    "checkpoint_note",
    metadata,
    Column("size", BigId, ForeignKey("checkpoint.size"), primary_key=True, autoincrement=False),
    Column("note", Text, nullable=False),
)

# One row: who leads. The epoch fences the writes of a leader that lost its lock.
leader = Table("leader", metadata, identity(), Column("epoch", BigId, nullable=False), instant("since"))
