"""How fast each relay may hand mail to each provider: one row a pair that something holds back, shared by all workers.

No row: nothing holds this pair back. What the columns mean is said in `domain.pacing.Pace`.
"""

from sqlalchemy import BigInteger, Column, Integer, Table, Text, UniqueConstraint

from outreach.store.schema.columns import identity, instant, metadata

pace = Table(
    "pace",
    metadata,
    identity(),
    Column("relay", Text, nullable=False),
    Column("provider", Text, nullable=False),
    Column("rate", BigInteger),  # thousandths of a message a second, learned from refusals
    instant("free", server_default="0"),
    instant("resting", server_default="0"),
    instant("slowed", server_default="0"),
    Column("strikes", Integer, nullable=False, server_default="0"),
    Column("code", Text, nullable=False, server_default=""),
    Column("passed", Integer, nullable=False, server_default="0"),
    Column("refused", Integer, nullable=False, server_default="0"),
    instant("day", server_default="0"),
    Column("step", Integer, nullable=False, server_default="0"),
    Column("sent", Integer, nullable=False, server_default="0"),
    UniqueConstraint("relay", "provider"),
)
