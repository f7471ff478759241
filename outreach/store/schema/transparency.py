"""What of the log is shown to the world: hashes above the leaves, checkpoints published, and who took them."""

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, LargeBinary, Table, Text

from outreach.store.schema.columns import BigId, identity, instant, metadata

# Append-only: the root of each full tile, which is a hash of the tile above it, there before that one is full.
audit_node = Table(
    "audit_node",
    metadata,
    Column("level", Integer, primary_key=True, autoincrement=False),
    Column("number", BigId, primary_key=True, autoincrement=False),
    Column("hash", LargeBinary(32), nullable=False),
)

# Append-only: the checkpoints anybody may fetch. Those between them stay inside.
publication = Table(
    "publication",
    metadata,
    Column("size", BigId, ForeignKey("checkpoint.size"), primary_key=True, autoincrement=False),
    instant("at"),
)

# One row a witness of the settings: what it took last, and when it is asked again.
witness = Table(
    "witness",
    metadata,
    identity(),
    Column("name", Text, nullable=False, unique=True),
    Column("size", BigInteger),  # of the tree it took last
    instant("at", nullable=True),
    instant("due"),
    Column("failures", Integer, nullable=False, server_default="0"),
    Column("trouble", Text, nullable=False, server_default=""),
)

# Append-only: what each witness took, with its cosignature where it gave one (C2SP tlog-cosignature).
witnessed = Table(
    "witnessed",
    metadata,
    identity(),
    Column("witness", Text, nullable=False),
    Column("size", BigId, ForeignKey("checkpoint.size"), nullable=False),
    instant("at"),
    Column("cosignature", Text, nullable=False, server_default=""),
)
Index("ix_witnessed_size", witnessed.c.size)
Index("ix_witnessed_witness", witnessed.c.witness, witnessed.c.size)
