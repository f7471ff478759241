"""What people do in their own room that needs a row of its own: taking their consents along to another address."""

from sqlalchemy import CheckConstraint, Column, Index, LargeBinary, Table, Text

from outreach.store.schema.columns import belongs_to, box, identity, instant, metadata, ref

# One row a press. It stays with the old address as its note of what became of it.
address_move = Table(
    "address_move",
    metadata,
    identity(),
    ref(),
    belongs_to("contact", "contact.id", index=True),  # whose consents: the old address
    belongs_to("target", "contact.id", nullable=True, index=True),  # the new one, once the engine looked
    belongs_to("confirmation", "confirmation.id", nullable=True),  # the question to its owner
    Column("network", LargeBinary(32), nullable=False),  # keyed hash of the IP prefix, for budgets
    instant("asked"),
    instant("expires"),  # the new address has so long to answer
    instant("due"),  # when the engine has to look next: at the new address, or at carrying it out
    instant("confirmed", nullable=True),  # its owner said yes; from then on the old address has days to stop it
    instant("ended", nullable=True),
    Column("outcome", Text),
    box("asked_box"),  # JSON, under the old address's key: the new address, and who asked
    box("answer_box"),  # JSON, under the new address's key: who said yes
    CheckConstraint("outcome IN ('moved','stopped','declined','lapsed')", name="outcome"),
    sqlite_autoincrement=True,
)
_open = address_move.c.ended.is_(None)
Index("uq_address_move_open", address_move.c.contact, unique=True, sqlite_where=_open, postgresql_where=_open)
Index("ix_address_move_due", address_move.c.due, sqlite_where=_open, postgresql_where=_open)
