"""The officer's desk: sums of the sealed log, rulings on unknown outcomes, saved searches, the register's notes."""

from sqlalchemy import BigInteger, CheckConstraint, Column, Integer, LargeBinary, Table, Text, UniqueConstraint

from outreach.store.schema.columns import BigId, belongs_to, identity, instant, metadata, ref

# What the sealed log adds up to, day by day, as far as `log_counted` says. All of it can be counted anew from the log,
# but for the provider: it is the contact's when the entry was counted.
log_figure = Table(
    "log_figure",
    metadata,
    identity(),
    Column("day", Integer, nullable=False),  # days since 1970-01-01, UTC
    Column("kind", Text, nullable=False),
    Column("topic", LargeBinary(16), nullable=False),  # empty: of no topic
    Column("reason", Text, nullable=False),  # empty: of none
    Column("provider", Text, nullable=False),  # empty: nobody's
    Column("n", BigInteger, nullable=False),
    UniqueConstraint("day", "kind", "topic", "reason", "provider"),
)

# One row: the size of the signed checkpoint up to which entries are counted.
log_counted = Table(
    "log_counted",
    metadata,
    identity(),
    Column("size", BigId, nullable=False),
    CheckConstraint("id = 1", name="one"),
)

# What an officer said of a message whose outcome was unknown. One that was left may be ruled on later.
unknown_ruling = Table(
    "unknown_ruling",
    metadata,
    Column("message", BigId, primary_key=True, autoincrement=False),
    Column("ruling", Text, nullable=False),
    instant("at"),
    CheckConstraint("ruling IN ('arrived','lost','left')", name="ruling"),
)

# An officer's own. `asked` holds kinds, refs and days, never an address.
saved_search = Table(
    "saved_search",
    metadata,
    identity(),
    ref(),
    belongs_to("staff", "staff.id", index=True),
    Column("name", Text, nullable=False),
    Column("asked", Text, nullable=False),  # JSON, as it stands in the page's address
    instant("created"),
)

# Append-only: what an officer adds to the register of processing. The highest version of a section holds.
register_note = Table(
    "register_note",
    metadata,
    identity(),
    Column("section", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("words", Text, nullable=False),
    Column("author", Text, nullable=False),  # an actor, as in the log
    instant("at"),
    UniqueConstraint("section", "version"),
)
