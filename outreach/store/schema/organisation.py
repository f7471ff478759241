"""Who runs the installation: the controller, its senders, its staff and their sessions."""

from sqlalchemy import CheckConstraint, Column, Integer, LargeBinary, Table, Text

from outreach.store.schema.columns import belongs_to, box, identity, instant, metadata, ref

controller = Table(
    "controller",
    metadata,
    identity(),  # always 1: one installation serves one controller
    ref(),
    Column("name", Text, nullable=False),
    Column("postal_address", Text, nullable=False),
    Column("country", Text, nullable=False, server_default=""),
    Column("privacy_contact", Text, nullable=False, server_default=""),  # printed on recipients' pages: public
    Column("locale", Text, nullable=False, server_default="en"),
    Column("timezone", Text, nullable=False, server_default="UTC"),
    # As given at set-up, minutes after local midnight; an officer's policy takes their place.
    Column("quiet_from", Integer, nullable=False, server_default="1260"),  # 21:00
    Column("quiet_to", Integer, nullable=False, server_default="480"),  # 08:00
    instant("updated"),
    CheckConstraint("id = 1", name="one"),
)

sender = Table(
    "sender",
    metadata,
    identity(),
    ref(),
    Column("name", Text, nullable=False, unique=True),
    Column("postal_address", Text, nullable=False),
    Column("from_local", Text, nullable=False),  # the part before @ of the public From address
    Column("from_domain", Text, nullable=False),
    Column("relay", Text, nullable=False, server_default="main"),  # names a relay in the settings
    Column("dkim_selector", Text, nullable=False, server_default=""),  # empty: mail is not signed
    instant("created"),
    instant("closed", nullable=True),
)

staff = Table(
    "staff",
    metadata,
    identity(),
    ref(),
    belongs_to("contact", "contact.id", unique=True),  # holds their address and name, boxed like anyone's
    Column("roles", Text, nullable=False),  # comma-separated: administrator, marketer, officer
    Column("password_hash", Text),  # argon2id; null until chosen
    Column("timezone", Text, nullable=False, server_default="UTC"),
    instant("created"),
    instant("disabled", nullable=True),
    Column("told_of_dues", Integer, nullable=False, server_default="1"),  # a mail a day at most, where something is due
    instant("last_told", nullable=True),
)

staff_session = Table(
    "staff_session",
    metadata,
    identity(),
    Column("key", LargeBinary(32), nullable=False, unique=True),  # SHA-256 of the 256-bit id in the cookie
    ref(),
    belongs_to("staff", "staff.id", index=True),
    instant("created"),
    instant("seen"),
    instant("proved"),  # when the password was last given: acts that need it ask again
    box("client_box"),  # browser and network prefix, boxed under the owner's key
    instant("ended", nullable=True),
)

one_time_link = Table(
    "one_time_link",
    metadata,
    identity(),
    Column("key", LargeBinary(32), nullable=False, unique=True),  # SHA-256 of the token's ref
    Column("purpose", Text, nullable=False),  # set-up, staff-password
    belongs_to("staff", "staff.id", nullable=True),
    instant("created"),
    instant("expires"),
    instant("used", nullable=True),
)
