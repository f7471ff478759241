"""Whom we hold: contacts, the mailboxes behind their addresses, their keys, and the bars on an address."""

import secrets
from functools import partial

from sqlalchemy import CheckConstraint, Column, Index, Integer, LargeBinary, Table, Text

from outreach.store.schema.columns import belongs_to, box, identity, instant, metadata, ref

mailbox = Table(
    "mailbox",
    metadata,
    identity(),
    # HMAC of the address with +tag folded (dots only at providers documented to ignore them): 32 bytes.
    # Caps, budgets, once-ever and never-again count by it.
    Column("mailbox_key", LargeBinary(32), nullable=False, unique=True),
    sqlite_autoincrement=True,
)

contact = Table(
    "contact",
    metadata,
    identity(),
    ref(),
    belongs_to("mailbox", "mailbox.id", index=True),
    Column("code", Text, nullable=False, unique=True),  # printed in every mail, so that staff find a person by it
    Column("address_key", LargeBinary(32), nullable=False, unique=True),  # HMAC of the exact normalised address
    box("address_box"),
    box("fields_box"),  # JSON object of text: name and what an import brought
    Column("channel", Text, nullable=False, server_default="email"),
    Column("provider", Text, nullable=False),  # gmail, microsoft, yahoo, other
    Column("locale", Text, nullable=False),
    Column("timezone", Text, nullable=False),
    Column("quiet_from", Integer),  # minutes after local midnight; null: the organisation's
    Column("quiet_to", Integer),
    Column("own_total_n", Integer),  # their own lower total ceiling
    Column("own_total_window", Integer),  # seconds
    Column("ceiling_n", Integer),  # the total ceiling printed when they last agreed
    Column("ceiling_window", Integer),  # seconds
    instant("rest_until", nullable=True),  # no campaign writes before: its mails came back several times in a row
    instant("created"),
    CheckConstraint("channel IN ('email')", name="channel"),
    sqlite_autoincrement=True,  # SQLite would hand a deleted person's id to the next
)

contact_key = Table(
    "contact_key",
    metadata,
    belongs_to("contact", "contact.id", primary_key=True),
    Column("kek", Text, nullable=False),  # id of the key that wraps it
    Column("wrapped", LargeBinary, nullable=False),
    Column("salt", LargeBinary(16), nullable=False),
)

suppression = Table(
    "suppression",
    metadata,
    identity(),
    ref(default=partial(secrets.token_bytes, 16)),
    # address_key or mailbox_key, by scope; holds no address
    Column("key", LargeBinary(32), nullable=False),
    Column("scope", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("lift", Text, nullable=False),  # who may lift it: owner (by double opt-in), officer, nobody
    instant("since"),
    instant("lifted", nullable=True),
    Column("reason", Text, nullable=False, server_default=""),
    CheckConstraint("scope IN ('address','mailbox')", name="scope"),
    CheckConstraint("kind IN ('bounce','complaint','never','restricted','erased','deceased','imported')", name="kind"),
    CheckConstraint("lift IN ('owner','officer','nobody')", name="lift"),
)
Index(
    "uq_suppression_live",
    suppression.c.key,
    suppression.c.kind,
    unique=True,
    sqlite_where=suppression.c.lifted.is_(None),
    postgresql_where=suppression.c.lifted.is_(None),
)
