"""How fast each relay may hand mail to each provider: one row a pair that is slowed down, shared by all workers."""

from sqlalchemy import Column, Integer, Table, Text, UniqueConstraint

from outreach.store.schema.columns import BigId, identity, instant, metadata

# No row: nothing holds this pair back. Rates are thousandths of a message a second.
pace = Table(
    "pace",
    metadata,
    identity(),
    Column("relay", Text, nullable=False),
    Column("provider", Text, nullable=False),
    Column("rate", BigId),  # learned from refusals; null: only what the settings say
    instant("free", nullable=True),  # when the next message may leave, if all leased ones do (a GCRA's clock)
    instant("resting", nullable=True),  # nothing goes before this instant
    instant("slowed", nullable=True),  # when it was last slowed down
    instant("warming", nullable=True),  # when the warm-up began
    instant("day", nullable=True),  # the midnight (UTC) that `sent` counts from
    Column("sent", Integer, nullable=False, server_default="0"),  # leased since then, while it warms up
    UniqueConstraint("relay", "provider"),
)
