"""What receipts need beside the events they are about: who the controller was, and which receipts were mailed."""

from sqlalchemy import Column, Table, Text

from outreach.store.schema.columns import BigId, belongs_to, identity, instant, metadata

# Append-only. What the organisation was called and where it could be reached until it changed, so that the receipt of
# an event names whoever answered for it then. `controller` has what holds now.
former_controller = Table(
    "former_controller",
    metadata,
    identity(),
    instant("until", index=True),
    Column("name", Text, nullable=False),
    Column("postal_address", Text, nullable=False),
    Column("country", Text, nullable=False),
    Column("privacy_contact", Text, nullable=False),
)

# A receipt its owner asked to be mailed. The receipt itself is made anew from the event whenever it is needed.
receipt_mail = Table(
    "receipt_mail",
    metadata,
    identity(),
    belongs_to("event", "consent_event.id", index=True),
    Column("message", BigId, nullable=False, unique=True),
    instant("at"),
)
