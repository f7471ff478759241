"""The addresses at which two connected people write to each other, and the mails on their way between them."""

from sqlalchemy import CheckConstraint, Column, Index, Integer, LargeBinary, Table, Text, UniqueConstraint

from outreach.store.schema.columns import BigId, belongs_to, box, identity, instant, metadata, ref

# One a side of a connection, made with it. What is written to it goes to the person it stands for, and only the other
# of the two may write to it. It tells nothing of either.
relay_address = Table(
    "relay_address",
    metadata,
    identity(),
    Column("local_part", Text, nullable=False, unique=True),
    belongs_to("connection", "connection.id"),
    belongs_to("contact", "contact.id"),  # for whom it stands
    UniqueConstraint("connection", "contact"),
)

# A mail that came to such an address. Its words are gone once it was handed off, dropped, or out of time.
relayed = Table(
    "relayed",
    metadata,
    identity(),
    ref(),
    belongs_to("address", "relay_address.id"),
    belongs_to("writer", "contact.id", index=True),
    instant("received"),
    Column("octets", Integer, nullable=False),  # as it came
    Column("state", Text, nullable=False),
    Column("outcome", Text),  # of one that is done
    instant("until", nullable=True),  # when what waits is erased, if nobody does anything
    Column("message", BigId),  # the mail that takes it to the other side
    Column("warning", BigId),  # the mail that told its writer why it waits, or that it failed
    Column("warnings", Integer, nullable=False, server_default="0"),
    box("words_box"),  # JSON, under the writer's key: what is to be passed on
    Column("origin_key", LargeBinary(32)),  # keyed hash of the Message-ID it came with
    box("origin_box"),  # that Message-ID, under the writer's key: their own programme threads by it
    CheckConstraint("state IN ('held','waiting','going','done')", name="state"),
    CheckConstraint("outcome IN ('passed','failed','dropped','expired','ended')", name="outcome"),
    sqlite_autoincrement=True,
)
Index("ix_relayed_address", relayed.c.address, relayed.c.received)
_open = relayed.c.state != "done"
Index("ix_relayed_open", relayed.c.state, relayed.c.until, sqlite_where=_open, postgresql_where=_open)
Index("ix_relayed_received", relayed.c.received)
for _column in (relayed.c.message, relayed.c.warning):
    _is_set = _column.is_not(None)
    Index(f"ix_relayed_{_column.name}", _column, sqlite_where=_is_set, postgresql_where=_is_set)
